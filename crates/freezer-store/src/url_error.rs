//! [`UrlError`]: the reasons why `[database] connection` is not valid, with those of the files that it names.

use std::path::PathBuf;

/// How to write characters that would end a part of the URL.
const ESCAPES: &str =
    "in the user name and the password, write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23 and % as %25";

/// The reason why a URL is not valid. It never contains the URL itself or its password.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// The URL is empty.
    #[error(
        "it is empty; write the database of the service, such as mysql+pymysql://user:password@host/freezer?charset=utf8mb4, \
         or sqlite:////var/lib/freezer/freezer.db for a first run"
    )]
    Empty,
    /// The URL has no scheme.
    #[error("not a URL; expected mysql+pymysql://user:password@host/database or sqlite:///path; {ESCAPES}")]
    NoScheme,
    /// The scheme belongs to an engine that is not supported.
    #[error("the engine {0:?} is not supported; use mysql+pymysql://… (MySQL, MariaDB) or sqlite:///…")]
    Engine(String),
    /// A part is missing.
    #[error("the URL has no {0}; expected mysql+pymysql://user:password@host/database; {ESCAPES}")]
    Missing(&'static str),
    /// The port is not a number from 1 to 65535. It is not shown, because it can be part of an unescaped
    /// password.
    #[error("the port is not a number from 1 to 65535; {ESCAPES}")]
    Port,
    /// The URL has an `@` after the host.
    #[error("the URL has an @ after the host; {ESCAPES}")]
    Ambiguous,
    /// A percent-encoding is not UTF-8 text.
    #[error("the {0} is not valid percent-encoded UTF-8 text; {ESCAPES}")]
    Encoding(&'static str),
    /// The URL means SQLite in memory, for which every connection would have its own database.
    #[error(
        "a SQLite database in memory would be lost when the service stops; name a file: sqlite:///freezer.db"
    )]
    InMemory,
    /// The path cannot be a SQLite file.
    #[error("{}: {reason}", path.display())]
    SqlitePath {
        /// The path.
        path: PathBuf,
        /// The problem with the path.
        reason: String,
    },
    /// A SQLite URL has a host.
    #[error(
        "a SQLite URL has no user, password or host: write sqlite:///relative.db or sqlite:////absolute/path.db"
    )]
    SqliteHost,
    /// A parameter occurs more than once.
    #[error("the parameter {0} is given more than once")]
    Repeated(String),
    /// A parameter has an invalid value.
    #[error("the parameter {name}={value} cannot be used: {reason}")]
    Value {
        /// Its name.
        name: String,
        /// Its value, which is never a secret.
        value: String,
        /// The reason.
        reason: &'static str,
    },
    /// An unknown parameter looks like one for TLS. Ignoring it could weaken the connection.
    #[error("unknown parameter {names} for {driver}; the parameters for TLS are {known}")]
    UnknownTls {
        /// Its name, or the names of all such parameters.
        names: String,
        /// The Python driver in the URL.
        driver: &'static str,
        /// The TLS parameters of this driver.
        known: String,
    },
    /// Several parameters are invalid.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<UrlError>),
    /// Two parameters contradict each other.
    #[error("the parameters {0} and {1} cannot be combined")]
    Contradiction(&'static str, &'static str),
    /// The file of a parameter is unusable.
    #[error("{parameter}={}: {reason}", path.display())]
    File {
        /// The parameter.
        parameter: String,
        /// The file.
        path: PathBuf,
        /// The problem with the file.
        reason: String,
    },
    /// The authorities of the system are unusable.
    #[error("the certificate authorities of the system cannot be used: {0}; name a file with ssl_ca")]
    SystemAuthorities(String),
}

impl UrlError {
    /// Returns the parameter that is wrong, or the first one. `None` if another part of the URL is wrong.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            UrlError::Repeated(name)
            | UrlError::Value { name, .. }
            | UrlError::File { parameter: name, .. } => Some(name),
            UrlError::UnknownTls { names, .. } => names.split(", ").next(),
            UrlError::Several(errors) => errors.iter().find_map(UrlError::parameter),
            _ => None,
        }
    }

    /// Combines all errors into one.
    pub(crate) fn all(mut errors: Vec<UrlError>) -> Result<(), UrlError> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(UrlError::Several(errors)),
        }
    }
}
