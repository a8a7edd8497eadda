//! `[database] connection`: reads the URL that SQLAlchemy takes and says which engine it names.
//!
//! Source of the form: SQLAlchemy's "Engine Configuration" (dialect+driver://user:password@host:port/db?k=v,
//! user and password percent-encoded; `sqlite:///relative` and `sqlite:////absolute`). Opening a
//! connection is `engine.rs`.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// A database address that can be opened. `Debug` and `Display` hide the password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// MySQL, MariaDB, Galera.
    MySql(MySqlUrl),
    /// A SQLite file.
    Sqlite {
        /// The file; created by `freezer-manage db sync` (or `--dev`) where it is missing.
        path: PathBuf,
    },
}

/// The parts of a MySQL URL, decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct MySqlUrl {
    /// Host name or address; `localhost` where the URL has none.
    pub host: String,
    /// TCP port, 3306 where the URL has none.
    pub port: u16,
    /// Unix socket (`unix_socket=`), used instead of host and port.
    pub socket: Option<PathBuf>,
    /// User name.
    pub user: String,
    /// Password, if any.
    pub password: Option<String>,
    /// Database name.
    pub database: String,
    /// Certificate authority to verify the server with (`ssl_ca=`).
    pub ssl_ca: Option<PathBuf>,
    /// Client certificate (`ssl_cert=`).
    pub ssl_cert: Option<PathBuf>,
    /// Key of the client certificate (`ssl_key=`).
    pub ssl_key: Option<PathBuf>,
    /// Verify that the certificate is the host's (`ssl_verify_identity=` or `ssl_check_hostname=`).
    pub ssl_verify_identity: bool,
}

/// Why a URL cannot be used. Never holds the URL itself: it has a password in it.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// No scheme.
    #[error("not a URL; expected mysql+pymysql://user:password@host/database or sqlite:///path")]
    NoScheme,
    /// A scheme of an engine that is not built in.
    #[error("the engine {0:?} is not supported; use mysql+pymysql://… (MySQL, MariaDB) or sqlite:///…")]
    Engine(String),
    /// A part is missing.
    #[error("the URL has no {0}")]
    Missing(&'static str),
    /// The port is not a number from 1 to 65535.
    #[error("the port {0:?} is not a number from 1 to 65535")]
    Port(String),
    /// A `%` that is not followed by two hexadecimal digits of UTF-8 text.
    #[error("the {0} is not valid percent-encoded UTF-8 text")]
    Encoding(&'static str),
    /// SQLite in memory: every connection would have a database of its own.
    #[error("a SQLite database in memory would be lost at the end; name a file: sqlite:///freezer.db")]
    InMemory,
}

impl DatabaseUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`UrlError`] names the part that cannot be used; the text never shows the password.
    pub fn parse(url: &str) -> Result<DatabaseUrl, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::NoScheme)?;
        // "mysql+pymysql": the part behind the plus is the Python driver, of no meaning here.
        match scheme.split('+').next().unwrap_or(scheme) {
            "mysql" | "mariadb" => parse_mysql(rest).map(DatabaseUrl::MySql),
            "sqlite" => parse_sqlite(rest),
            other => Err(UrlError::Engine(other.to_owned())),
        }
    }

    /// Which engine the URL names: `mysql` or `sqlite`.
    pub fn engine(&self) -> &'static str {
        match self {
            DatabaseUrl::MySql(_) => "mysql",
            DatabaseUrl::Sqlite { .. } => "sqlite",
        }
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DatabaseUrl::MySql(u) => match &u.socket {
                Some(socket) => write!(f, "mysql://{}@{}/{}", u.user, socket.display(), u.database),
                None => write!(f, "mysql://{}@{}:{}/{}", u.user, u.host, u.port, u.database),
            },
            DatabaseUrl::Sqlite { path } => write!(f, "sqlite:///{}", path.display()),
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

fn parse_sqlite(rest: &str) -> Result<DatabaseUrl, UrlError> {
    // sqlite:///relative.db, sqlite:////absolute.db; sqlite:// and sqlite:///:memory: are in memory
    let path = rest.split_once('?').map_or(rest, |(path, _)| path);
    let path = path.strip_prefix('/').unwrap_or(path);
    match path {
        "" | ":memory:" => Err(UrlError::InMemory),
        path => Ok(DatabaseUrl::Sqlite { path: PathBuf::from(decode(path, "path")?) }),
    }
}

fn parse_mysql(rest: &str) -> Result<MySqlUrl, UrlError> {
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = address.split_once('/').ok_or(UrlError::Missing("database name"))?;
    if database.is_empty() {
        return Err(UrlError::Missing("database name"));
    }
    // The last @ ends the user part: SQLAlchemy, too, lets an unescaped @ stand in a password.
    let (user_part, host_part) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = match user_part.split_once(':') {
        Some((user, password)) => (user, Some(decode(password, "password")?)),
        None => (user_part, None),
    };
    if user.is_empty() {
        return Err(UrlError::Missing("user name"));
    }
    let (host, port) = host_and_port(host_part)?;
    let mut url = MySqlUrl {
        host,
        port,
        socket: None,
        user: decode(user, "user name")?,
        password,
        database: decode(database, "database name")?,
        ssl_ca: None,
        ssl_cert: None,
        ssl_key: None,
        ssl_verify_identity: false,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value, "query part")?;
        match key {
            "unix_socket" => url.socket = Some(value.into()),
            "ssl_ca" => url.ssl_ca = Some(value.into()),
            "ssl_cert" => url.ssl_cert = Some(value.into()),
            "ssl_key" => url.ssl_key = Some(value.into()),
            "ssl_verify_identity" | "ssl_check_hostname" => {
                url.ssl_verify_identity = matches!(value.to_lowercase().as_str(), "1" | "true" | "yes");
            }
            // charset, plugin, … are settings of the Python driver: the connection is always utf8mb4
            _ => {}
        }
    }
    Ok(url)
}

fn host_and_port(text: &str) -> Result<(String, u16), UrlError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, rest)) => (v6, rest.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None | Some("") => 3306,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(UrlError::Port(port.to_owned())),
        },
    };
    Ok((if host.is_empty() { "localhost".to_owned() } else { host.to_owned() }, port))
}

fn decode(text: &str, what: &'static str) -> Result<String, UrlError> {
    percent_decode_str(text).decode_utf8().map(|t| t.into_owned()).map_err(|_| UrlError::Encoding(what))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_url_of_the_python_service_is_understood() {
        let url = DatabaseUrl::parse(
            "mysql+pymysql://fre%40zer:p%2Fw%3A@db.example:3307/freezer?charset=utf8mb4&ssl_ca=/etc/ca.pem",
        );
        let Ok(DatabaseUrl::MySql(u)) = url else { panic!("{url:?}") };
        assert_eq!((u.user.as_str(), u.password.as_deref()), ("fre@zer", Some("p/w:")));
        assert_eq!((u.host.as_str(), u.port, u.database.as_str()), ("db.example", 3307, "freezer"));
        assert_eq!(u.ssl_ca, Some(PathBuf::from("/etc/ca.pem")));
    }

    #[test]
    fn sqlite_paths_are_relative_or_absolute_by_their_slashes() {
        let path = |url| match DatabaseUrl::parse(url).unwrap() {
            DatabaseUrl::Sqlite { path } => path,
            other => panic!("{other:?}"),
        };
        assert_eq!(path("sqlite:///freezer.db"), PathBuf::from("freezer.db"));
        assert_eq!(path("sqlite:////var/lib/f.db"), PathBuf::from("/var/lib/f.db"));
        assert_eq!(DatabaseUrl::parse("sqlite://"), Err(UrlError::InMemory));
    }

    #[test]
    fn what_cannot_be_used_is_named_and_the_password_is_never_shown() {
        assert_eq!(DatabaseUrl::parse("freezer.db"), Err(UrlError::NoScheme));
        assert_eq!(DatabaseUrl::parse("oracle://u:p@h/d"), Err(UrlError::Engine("oracle".into())));
        assert_eq!(DatabaseUrl::parse("mysql://u:p@h/"), Err(UrlError::Missing("database name")));
        assert_eq!(DatabaseUrl::parse("mysql://u:p@h:0/d"), Err(UrlError::Port("0".into())));
        let shown = format!("{:?}", DatabaseUrl::parse("mysql://u:secret@[::1]:3306/d").unwrap());
        assert_eq!(shown, "mysql://u@::1:3306/d");
    }
}
