//! `[database] connection`: parses the SQLAlchemy URL of the database.
//!
//! The grammar is the regular expression of SQLAlchemy's `make_url` (`sqlalchemy/engine/url.py`), so a URL of
//! the Python service has the same meaning here. Parameters of MySQL URLs are in `parameters.rs`, option
//! files in `option_file.rs`, and checks of paths in `paths.rs`. `engine.rs` opens connections.

mod option_file;
mod parameters;
mod paths;

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

pub use self::parameters::{Effect, Parameter};
pub(crate) use self::paths::check_sqlite_file;
use crate::tls::TlsOptions;
use crate::url_error::UrlError;

/// A valid database address. `Debug` and `Display` hide the password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// MySQL, MariaDB, Galera.
    MySql(MySqlUrl),
    /// A SQLite file.
    Sqlite {
        /// The file. `freezer-manage db sync` or `--dev` creates it if it is missing.
        path: PathBuf,
    },
}

/// The parts of a MySQL URL, decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct MySqlUrl {
    /// Host name or address; `localhost` if the URL has none.
    pub host: String,
    /// TCP port, 3306 if the URL has none.
    pub port: u16,
    /// Further servers of the same database, with their ports. The next one is used if a server is unusable.
    pub others: Vec<(String, u16)>,
    /// Unix socket (`unix_socket=`), used instead of host and port.
    pub socket: Option<PathBuf>,
    /// User name.
    pub user: String,
    /// Password, if any.
    pub password: Option<String>,
    /// Database name.
    pub database: String,
    /// Encryption and verification (`ssl_*=`).
    pub tls: Box<TlsOptions>,
    /// Time limit for opening a connection (`connect_timeout=`).
    pub connect_timeout: Option<Duration>,
    /// Unknown parameters, and those without an effect here, for `config check`.
    pub ignored: Vec<Parameter>,
}

impl Default for MySqlUrl {
    fn default() -> Self {
        MySqlUrl {
            host: "localhost".to_owned(),
            port: 3306,
            others: Vec::new(),
            socket: None,
            user: String::new(),
            password: None,
            database: String::new(),
            tls: Box::default(),
            connect_timeout: None,
            ignored: Vec::new(),
        }
    }
}

impl DatabaseUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// [`UrlError`] names the invalid part. Its text never shows the password.
    pub fn parse(url: &str) -> Result<DatabaseUrl, UrlError> {
        DatabaseUrl::parse_with(url, "")
    }

    /// Parses a URL with additional parameters in the form of its query (`[database] connection_parameters`).
    pub fn parse_with(url: &str, more: &str) -> Result<DatabaseUrl, UrlError> {
        if url.trim_matches(|c: char| c.is_whitespace() || c == '\'' || c == '"').is_empty() {
            return Err(UrlError::Empty);
        }
        let parts = UrlParts::split(url)?;
        let (dialect, driver) = parts.scheme.split_once('+').unwrap_or((parts.scheme, ""));
        match dialect {
            "mysql" | "mariadb" => parts.mysql(driver, more).map(DatabaseUrl::MySql),
            "sqlite" => parse_sqlite(after_scheme(url), more),
            other => Err(UrlError::Engine(other.to_owned())),
        }
    }

    /// Returns the parameters of a SQLite URL that have an effect in the Python service, or none anywhere. None has an effect
    /// here.
    pub fn sqlite_parameters(url: &str, more: &str) -> Vec<Parameter> {
        let query = after_scheme(url).split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').chain(more.trim().split('&')).filter_map(|pair| pair.split_once('='));
        pairs.filter(|(_, value)| !value.is_empty()).map(|(name, _)| parameters::of_sqlite(name)).collect()
    }

    /// Returns the engine of the URL: `mysql` or `sqlite`.
    pub fn engine(&self) -> &'static str {
        match self {
            DatabaseUrl::MySql(_) => "mysql",
            DatabaseUrl::Sqlite { .. } => "sqlite",
        }
    }

    /// Reads the certificates and keys of the URL like a connection does, and checks the directory of a
    /// SQLite file. The file itself may not exist yet.
    ///
    /// # Errors
    /// [`UrlError`] names the parameter and the file.
    pub fn check_files(&self) -> Result<(), UrlError> {
        match self {
            DatabaseUrl::MySql(url) => {
                let checked = [paths::check_socket(url.socket.as_deref()), crate::tls::check(&url.tls)];
                UrlError::all(checked.into_iter().filter_map(Result::err).collect())
            }
            DatabaseUrl::Sqlite { path } => paths::check_sqlite(path),
        }
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DatabaseUrl::MySql(u) => match &u.socket {
                Some(socket) => write!(f, "mysql://{}@{}/{}", u.user, socket.display(), u.database),
                None => {
                    let host = if u.host.contains(':') { format!("[{}]", u.host) } else { u.host.clone() };
                    write!(f, "mysql://{}@{host}:{}", u.user, u.port)?;
                    u.others.iter().try_for_each(|(host, port)| write!(f, ",{host}:{port}"))?;
                    write!(f, "/{}", u.database)
                }
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

fn after_scheme(url: &str) -> &str {
    url.split_once("://").map_or("", |(_, rest)| rest)
}

fn parse_sqlite(rest: &str, more: &str) -> Result<DatabaseUrl, UrlError> {
    // sqlite:///relative.db, sqlite:////absolute.db. sqlite:// and sqlite:///:memory: are in memory.
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    parameters::check_sqlite_uri(query)?;
    parameters::check_sqlite_uri(more)?;
    match path.strip_prefix('/') {
        None if !path.is_empty() => Err(UrlError::SqliteHost),
        None | Some("" | ":memory:") => Err(UrlError::InMemory),
        Some(path) => Ok(DatabaseUrl::Sqlite { path: PathBuf::from(decode(path, "path")?) }),
    }
}

/// The parts of a URL before decoding.
#[derive(Debug, Default, PartialEq, Eq)]
struct UrlParts<'u> {
    scheme: &'u str,
    user: &'u str,
    password: Option<&'u str>,
    host: &'u str,
    port: &'u str,
    database: &'u str,
    query: &'u str,
}

impl<'u> UrlParts<'u> {
    fn split(url: &'u str) -> Result<UrlParts<'u>, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::NoScheme)?;
        if scheme.is_empty() || !scheme.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '+') {
            return Err(UrlError::NoScheme);
        }
        let (user, password, rest) = credentials(rest);
        let (host, rest) = host(rest);
        let (port, rest) = after(rest, ':', &['/', '?']);
        let (database, rest) = after(rest, '/', &['?']);
        let (query, _) = after(rest, '?', &['\n']);
        Ok(UrlParts { scheme, user, password, host, port, database, query })
    }

    fn mysql(&self, driver: &str, more: &str) -> Result<MySqlUrl, UrlError> {
        if self.database.contains('@') {
            return Err(UrlError::Ambiguous);
        }
        let mut url = MySqlUrl {
            user: decode(self.user, "user name")?,
            password: self.password.map(|password| decode(password, "password")).transpose()?,
            database: decode(self.database, "database name")?,
            ..MySqlUrl::default()
        };
        if self.host.contains(',') || self.port.contains(',') {
            let mark = if self.port.is_empty() { "" } else { ":" };
            let all = format!("{}{mark}{}", self.host, self.port);
            let servers = all.split(',').map(server).collect::<Result<Vec<_>, _>>()?;
            let mut servers = servers.into_iter();
            (url.host, url.port) = servers.next().unwrap_or_default();
            url.others = servers.collect();
        } else {
            if !self.host.is_empty() {
                self.host.clone_into(&mut url.host);
            }
            if !self.port.is_empty() {
                url.port = port(self.port)?;
            }
        }
        parameters::apply(&mut url, driver, &[self.query, more], !self.host.is_empty())?;
        if url.user.is_empty() {
            return Err(UrlError::Missing("user name"));
        }
        if url.database.is_empty() {
            return Err(UrlError::Missing("database name"));
        }
        Ok(url)
    }
}

/// Splits off user and password: `(?P<username>[^:/]*)(?::(?P<password>[^@]*))?@`, all of it optional. A
/// password may contain `/`, `?` and `:` without escapes.
fn credentials(text: &str) -> (&str, Option<&str>, &str) {
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (name, behind) = text.split_at(end);
    if let Some((password, rest)) = behind.strip_prefix(':').and_then(|text| text.split_once('@')) {
        // SQLAlchemy would now parse a host with an @. No host has one, so the @ belongs to the password.
        let authority = rest.find(['/', '?']).map_or(rest, |end| &rest[..end]);
        let further = authority.rfind('@').map_or(0, |at| at + 1);
        return (name, Some(&behind[1..=password.len() + further]), &rest[further..]);
    }
    match name.rfind('@') {
        Some(at) => (&text[..at], None, &text[at + 1..]),
        None => ("", None, text),
    }
}

/// Splits off the host: `\[(?P<ipv6host>[^/\?]+)\]|(?P<ipv4host>[^/:\?]+)`.
fn host(text: &str) -> (&str, &str) {
    let authority = text.find(['/', '?']).map_or(text, |end| &text[..end]);
    if let Some(end) = authority.rfind(']').filter(|end| text.starts_with('[') && *end > 1) {
        return (&text[1..end], &text[end + 1..]);
    }
    text.split_at(text.find(['/', ':', '?']).unwrap_or(text.len()))
}

/// Splits off the part from `mark` up to one of `ends`, without the mark.
fn after<'u>(text: &'u str, mark: char, ends: &[char]) -> (&'u str, &'u str) {
    match text.strip_prefix(mark) {
        Some(part) => part.split_at(part.find(ends).unwrap_or(part.len())),
        None => ("", text),
    }
}

/// Parses one server of a list, `host` or `host:port`. An IPv6 address cannot be in a list.
fn server(text: &str) -> Result<(String, u16), UrlError> {
    let (host, number) = text.split_once(':').map_or((text, None), |(host, number)| (host, Some(number)));
    if host.is_empty() {
        return Err(UrlError::Missing("host name between commas"));
    }
    Ok((host.to_owned(), number.map_or(Ok(3306), port)?))
}

fn port(text: &str) -> Result<u16, UrlError> {
    text.trim().parse().ok().filter(|port| *port > 0).ok_or(UrlError::Port)
}

fn decode(text: &str, what: &'static str) -> Result<String, UrlError> {
    percent_decode_str(text).decode_utf8().map(|t| t.into_owned()).map_err(|_| UrlError::Encoding(what))
}

#[cfg(test)]
mod tests;
