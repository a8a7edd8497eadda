//! [`StoreError`]: what can go wrong in the store, and how a driver's error becomes it.
//!
//! A driver error is classified once (`codes.rs`), and becomes a [`StoreError`] here, together with what we were doing. No
//! HTTP: which status an error becomes is the service's business (`api/response.rs` there). Retrying lives in `tx.rs`.

use std::fmt;
use std::sync::Arc;

pub(crate) use crate::codes::Class;
use crate::codes::{of_server, of_sqlite};

/// What went wrong. `Display` is the text for the log; the service chooses what a client reads. Cloned where one statement
/// was for several requests.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The id (primary key) is taken by a row that the caller's project may not reuse.
    #[error("{table}: the id {id} is already in use")]
    Duplicate {
        /// Table whose primary key was hit.
        table: &'static str,
        /// The id that is taken.
        id: String,
    },
    /// A page is to begin behind a document that is not there.
    #[error("the marker {id} is not the id of a document of this list")]
    UnknownMarker {
        /// The id that was given.
        id: String,
    },
    /// A value does not fit its column in *this* database (a narrower or older layout than ours).
    #[error("{doing}: column {column}: {reason}")]
    Unstorable {
        /// Name of the transaction or query.
        doing: &'static str,
        /// Column as the database names it; `?` where it did not say.
        column: String,
        /// Why it does not fit.
        reason: Unstorable,
    },
    /// The database does not do its work now. Trying again later is the right answer.
    #[error("{doing}: {outage}: {reason}")]
    Unavailable {
        /// Name of the transaction or query.
        doing: &'static str,
        /// What kind of outage it is.
        outage: Outage,
        /// What was seen.
        reason: String,
    },
    /// The server is there and does not let us in: waiting does not help, the operator must do something.
    #[error("the database {database} does not let us in: {reason}; {advice}")]
    Refused {
        /// User, server and database, without the password.
        database: String,
        /// The server's words.
        reason: String,
        /// What to do.
        advice: &'static str,
        /// The database does not exist.
        is_absent: bool,
    },
    /// The answer to a change was lost, and the database did not come back before the deadline: the change may or may not be
    /// stored.
    #[error("{doing}: the answer of the database was lost; the outcome is unknown: {reason}")]
    OutcomeUnknown {
        /// Name of the transaction.
        doing: &'static str,
        /// What was seen.
        reason: String,
    },
    /// A stored value cannot be read as what the column must hold.
    #[error("{table}.{column} of row {id} is unreadable: {reason}")]
    Corrupt {
        /// Table of the row.
        table: &'static str,
        /// Column that cannot be read.
        column: &'static str,
        /// Primary key of the row.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tables are not in a state this release serves, or cannot be upgraded by it.
    #[error("{0}")]
    Schema(#[from] crate::migrations::SchemaError),
    /// The `[database] connection` URL cannot be used.
    #[error("[database] connection: {0}")]
    Url(#[from] crate::url::UrlError),
    /// Any other answer of the database: a defect of ours or of the installation.
    #[error("{doing}: {source}")]
    Backend {
        /// Name of the transaction or query.
        doing: &'static str,
        /// The driver's error.
        #[source]
        source: Arc<DriverError>,
    },
}

/// Why the database does not do its work now, and whether another run may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// The server undid the change on its own account: run again.
    Contended,
    /// Another process holds the lock of the SQLite file: run again on the same connection.
    Locked,
    /// The server answered that it does not serve now, and stored nothing: run again on another connection.
    Refusing,
    /// The connection or the server is gone: run again on another connection. A change may have been stored.
    Away,
    /// No space, read-only or damaged files: only an operator can help.
    Storage,
    /// A statement took longer than it may.
    Slow,
    /// The account lacks a privilege: only an operator can help.
    Denied,
    /// No connection became free in time.
    Busy,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outage::Contended => "other changes to the same rows did not end",
            Outage::Locked => "another process holds the lock of the database file",
            Outage::Refusing | Outage::Away => "the database is not available",
            Outage::Storage => {
                "the database cannot store or read its files; check the free space, the permissions and the log of the \
                 database"
            }
            Outage::Slow => "the statement took too long",
            Outage::Denied => {
                "the account of [database] connection lacks a privilege; grant it all privileges on the database"
            }
            Outage::Busy => "no connection became free; see max_pool_size and max_overflow",
        })
    }
}

/// What a driver says.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// A MySQL or MariaDB server answered with an error.
    #[error(transparent)]
    Server(mysql_async::ServerError),
    /// A connection to MySQL or MariaDB broke, or could not be made.
    #[error(transparent)]
    MySql(mysql_async::Error),
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
    /// A column of a result holds something else than was expected.
    #[error("column {at} of the result: {reason}")]
    Column {
        /// Its position, from 0.
        at: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A value that a statement cannot be given.
    #[error("a statement cannot take {0}")]
    Value(String),
}

impl From<mysql_async::Error> for DriverError {
    fn from(error: mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(answer) => DriverError::Server(answer),
            other => DriverError::MySql(other),
        }
    }
}

impl DriverError {
    /// True where the database answered with an error, and so is in step with us; a broken wire is not.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(self, DriverError::Server(_) | DriverError::Sqlite(sqlx::Error::Database(_)))
    }
}

/// Why a value does not fit a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unstorable {
    /// Longer than the column is wide.
    TooLong,
    /// A character that the column's character set (utf8mb3) does not have.
    CharacterSet,
    /// A number outside the column's range, or not a number at all.
    OutOfRange,
}

impl fmt::Display for Unstorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unstorable::TooLong => "the value is longer than the column",
            Unstorable::CharacterSet => {
                "the value has a character (such as an emoji) that the column's character set cannot hold"
            }
            Unstorable::OutOfRange => "the value is outside the column's range",
        })
    }
}

/// What a driver's error means.
pub(crate) fn classify(error: &DriverError) -> Class {
    use mysql_async::DriverError::PacketTooLarge;
    match error {
        DriverError::Server(answer) => of_server(answer.code),
        DriverError::MySql(mysql_async::Error::Driver(PacketTooLarge)) => {
            Class::Unstorable(Unstorable::TooLong)
        }
        DriverError::MySql(_) => Class::Outage(Outage::Away),
        DriverError::Sqlite(error) => classify_sqlite(error),
        DriverError::Column { .. } | DriverError::Value(_) => Class::Other,
    }
}

fn classify_sqlite(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => Class::Outage(Outage::Away),
        sqlx::Error::Database(answer) => match answer.code().and_then(|code| code.parse().ok()) {
            // SQLite has one code for all errors in statements
            Some(1) if lacks_something(answer.message()) => Class::Replaced,
            Some(code) => of_sqlite(code),
            None => Class::Other,
        },
        _ => Class::Other,
    }
}

/// Whether SQLite says that the database lacks what a statement names.
fn lacks_something(message: &str) -> bool {
    ["no such table", "no such column", "no such index", "has no column named"]
        .iter()
        .any(|words| message.contains(words))
}

/// Whether the server has no database of this name, or does not say so to this user.
pub(crate) fn is_absent(error: &DriverError) -> bool {
    matches!(error, DriverError::Server(answer) if matches!(answer.code, 1044 | 1049))
}

/// What an operator must do if the server, or we, refused the connection; none if waiting may help.
pub(crate) fn refusal(error: &DriverError) -> Option<&'static str> {
    match error {
        DriverError::Server(answer) => match answer.code {
            // access denied: by password, for the way of logging in, or because the account requires TLS; the password has
            // expired; the account is locked
            1045 | 1698 | 1820 | 1862 | 3118 | 4151 => Some(
                "check user and password in [database] connection, from which hosts the user may come, and whether the \
                 account requires TLS (ssl_* parameters) or a client certificate (ssl_cert, ssl_key)",
            ),
            // access denied to the database; also if it does not exist and the user may not know
            1044 => Some("grant the user of [database] connection all privileges on it, or check its name"),
            1130 => Some("allow the user of [database] connection to come from this host"),
            1049 => Some("there is no such database: create it, or check its name in [database] connection"),
            // require_secure_transport of MySQL; MariaDB answers 1045
            3159 => {
                Some("the server requires TLS: remove ssl_disabled or ssl_mode from [database] connection")
            }
            _ => None,
        },
        DriverError::MySql(mysql_async::Error::Driver(
            mysql_async::DriverError::NoClientSslFlagFromServer,
        )) => Some(
            "parameters of [database] connection require TLS: enable it in the server, or remove the ssl_* parameters",
        ),
        DriverError::MySql(mysql_async::Error::Io(error)) => tls_failure(error).map(|(_, advice)| advice),
        _ => None,
    }
}

/// What rustls says of a handshake that failed.
fn tls_failure(error: &mysql_async::IoError) -> Option<(String, &'static str)> {
    let rustls = match error {
        mysql_async::IoError::Tls(mysql_async::TlsError::Tls(error)) => error,
        mysql_async::IoError::Io(error) => error.get_ref()?.downcast_ref::<rustls::Error>()?,
        mysql_async::IoError::Tls(_) => {
            let reason = "[database] connection names a host that TLS cannot verify".to_owned();
            return Some((reason, "use a host name or an address"));
        }
    };
    Some(crate::tls::of_handshake(rustls))
}

/// Why a connection could not be made, in words for an operator.
pub(crate) fn reason(error: &DriverError) -> String {
    if let DriverError::MySql(mysql_async::Error::Io(io)) = error
        && let Some((reason, _)) = tls_failure(io)
    {
        return reason;
    }
    // the driver says it once for itself and once for the system
    error.to_string().trim_start_matches("Input/output error: ").to_owned()
}

impl StoreError {
    /// Gives a driver error its meaning, with what we were doing.
    pub(crate) fn from_driver(doing: &'static str, error: DriverError) -> StoreError {
        match classify(&error) {
            Class::Outage(outage) => StoreError::Unavailable { doing, outage, reason: error.to_string() },
            Class::Unstorable(reason) => {
                let column = column_in(&error.to_string()).unwrap_or("?").to_owned();
                // 1366 is also "not a number": only a column that holds text has a character set.
                let reason = match reason {
                    Unstorable::CharacterSet if error.to_string().contains("integer") => {
                        Unstorable::OutOfRange
                    }
                    other => other,
                };
                StoreError::Unstorable { doing, column, reason }
            }
            _ => StoreError::Backend { doing, source: Arc::new(error) },
        }
    }

    /// What the error means for the body that met it.
    pub(crate) fn class(&self) -> Class {
        match self {
            StoreError::Backend { source, .. } => classify(source),
            StoreError::Unavailable { outage, .. } => Class::Outage(*outage),
            _ => Class::Other,
        }
    }

    /// Whether the database lacks what the service needs: it is being restored, or was replaced by another one.
    pub fn is_replaced(&self) -> bool {
        match self {
            // while connecting: there is no SQLite file, or no database
            StoreError::Schema(_) | StoreError::Refused { is_absent: true, .. } => true,
            _ => self.class() == Class::Replaced,
        }
    }

    /// True where a unique key of the table was hit.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.class() == Class::Duplicate
    }
}

/// The column that a MySQL message names: "… for column `db`.`table`.`name` at row 1" (MariaDB)
/// or "… for column 'name' at row 1" (MySQL).
fn column_in(message: &str) -> Option<&str> {
    let rest = message.split_once("for column ")?.1;
    let rest = rest.split_once(" at row").map_or(rest, |(name, _)| name);
    rest.rsplit('.').next().map(|name| name.trim_matches(['`', '\'', '"']))
}

#[cfg(test)]
mod tests {
    use super::column_in;

    #[test]
    fn the_column_is_read_from_both_servers_messages() {
        let maria = "1406 (22001): Data too long for column `f`.`jobs`.`description` at row 1";
        assert_eq!(column_in(maria), Some("description"));
        assert_eq!(column_in("Data too long for column 'hostname' at row 1"), Some("hostname"));
        assert_eq!(column_in("something else"), None);
    }
}
