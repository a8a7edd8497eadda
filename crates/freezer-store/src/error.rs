//! [`StoreError`]: the errors of the store, and how a driver's error becomes one.
//!
//! A driver error is classified once (`codes.rs`) and then combined with the name of the operation. The
//! service decides which HTTP status an error becomes (`api/response.rs` there). Retries are in `tx.rs`.

use std::sync::Arc;

use crate::class::{Class, Outage, Unstorable};
use crate::codes::{of_server, of_sqlite};

/// An error of the store. `Display` is the text for the log, and the service chooses the text for the client.
/// The type is `Clone`, because one statement can serve several requests.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The id (primary key) belongs to a row that the caller's project may not reuse.
    #[error("{table}: the id {id} is already in use")]
    Duplicate {
        /// Table of the primary key.
        table: &'static str,
        /// The id that is in use.
        id: String,
    },
    /// A page should start after a document that does not exist.
    #[error("the marker {id} is not the id of a document of this list")]
    UnknownMarker {
        /// The requested id.
        id: String,
    },
    /// A document is larger than the query may read ([`Store::reading_up_to`](crate::Store::reading_up_to)).
    #[error("{doing}: {what} {id} has about {bytes} bytes, more than this query may read")]
    TooLarge {
        /// Name of the transaction or query.
        doing: &'static str,
        /// `job`, `backup`, …
        what: &'static str,
        /// Id of the document.
        id: String,
        /// Its approximate size.
        bytes: u64,
    },
    /// The tree of a document takes more memory than the change may use
    /// ([`Store::building_up_to`](crate::Store::building_up_to)).
    #[error("{doing}: {what} {id} takes about {memory} bytes of memory, more than this change may use")]
    TreeTooLarge {
        /// Name of the transaction or query.
        doing: &'static str,
        /// `job`, `backup`, …
        what: &'static str,
        /// Id of the document.
        id: String,
        /// An estimate of its memory, in bytes.
        memory: u64,
    },
    /// A value does not fit its column in *this* database, whose layout is narrower or older than ours.
    #[error("{doing}: column {column}: {reason}")]
    Unstorable {
        /// Name of the transaction or query.
        doing: &'static str,
        /// The column according to the database; `?` if unknown.
        column: String,
        /// The reason why it does not fit.
        reason: Unstorable,
    },
    /// The database does not work at present. The caller should try again later.
    #[error("{doing}: {outage}: {reason}")]
    Unavailable {
        /// Name of the transaction or query.
        doing: &'static str,
        /// The type of outage.
        outage: Outage,
        /// A description of the failure.
        reason: String,
    },
    /// The server refuses the connection. Only the operator can help.
    #[error("the database {database} refused the connection: {reason}; {advice}")]
    Refused {
        /// User, server and database, without the password.
        database: String,
        /// The message of the server.
        reason: String,
        /// Advice for the operator.
        advice: &'static str,
        /// Whether the database does not exist.
        is_absent: bool,
    },
    /// The server does not accept a setting of every connection, or the service cannot work with it. Only the operator
    /// can help.
    #[error("{setting}: {reason}; {advice}")]
    Setting {
        /// The option and its value, or a description.
        setting: String,
        /// The message of the server, or the reason, with the database.
        reason: String,
        /// Advice for the operator.
        advice: &'static str,
    },
    /// The answer to a change was lost, and the database was not available again before the deadline. The
    /// change may have been stored.
    #[error("{doing}: the answer of the database was lost; the outcome is unknown: {reason}")]
    OutcomeUnknown {
        /// Name of the transaction.
        doing: &'static str,
        /// A description of the failure.
        reason: String,
    },
    /// A stored value is not valid for its column.
    #[error("{table}.{column} of row {id} is unreadable: {reason}")]
    Corrupt {
        /// Table of the row.
        table: &'static str,
        /// Column that cannot be read.
        column: &'static str,
        /// Primary key of the row.
        id: String,
        /// The problem with the value.
        reason: String,
    },
    /// The tables are in a state that this release does not serve or cannot upgrade.
    #[error("{0}")]
    Schema(#[from] crate::schema::SchemaError),
    /// The `[database] connection` URL is not valid.
    #[error("[database] connection: {0}")]
    Url(#[from] crate::url_error::UrlError),
    /// Any other answer of the database. It means a defect of the service or of the installation.
    #[error("{doing}: {source}")]
    Backend {
        /// Name of the transaction or query.
        doing: &'static str,
        /// The driver's error.
        #[source]
        source: Arc<DriverError>,
    },
}

/// An error of a driver.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// A MySQL or MariaDB server answered with an error.
    #[error(transparent)]
    Server(mysql_async::ServerError),
    /// A connection to MySQL or MariaDB broke or could not be opened.
    #[error(transparent)]
    MySql(mysql_async::Error),
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
    /// A column of a result has an unexpected type.
    #[error("column {place} of the result: {reason}")]
    Column {
        /// Its position, starting at 0, with its table and name if they are known.
        place: String,
        /// The problem with it.
        reason: &'static str,
    },
    /// A value that cannot be a parameter of a statement.
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
    /// Returns whether the database answered with an error. Then the connection is still usable.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(self, DriverError::Server(_) | DriverError::Sqlite(sqlx::Error::Database(_)))
    }
}

/// Classifies a driver's error.
pub(crate) fn classify(error: &DriverError) -> Class {
    use mysql_async::DriverError::PacketTooLarge;
    match error {
        // a value that cannot be converted to the character set of the column that it is compared with
        DriverError::Server(answer) if answer.code == 1267 && answer.message.contains(",COERCIBLE)") => {
            Class::Unstorable(Unstorable::CharacterSet)
        }
        DriverError::Server(answer) if answer.code == 1054 && is_in_trigger(&answer.message) => {
            Class::Outage(Outage::Trigger)
        }
        DriverError::Server(answer) => of_server(answer.code),
        DriverError::MySql(mysql_async::Error::Driver(PacketTooLarge)) => {
            Class::Unstorable(Unstorable::PacketTooLarge)
        }
        DriverError::MySql(_) => Class::Outage(Outage::Away),
        DriverError::Sqlite(error) => classify_sqlite(error),
        DriverError::Column { .. } | DriverError::Value(_) => Class::Other,
    }
}

/// Returns whether the missing column of error 1054 is one of a row in a trigger.
fn is_in_trigger(message: &str) -> bool {
    ["'NEW'", "'OLD'"].iter().any(|row| message.trim_end().ends_with(row))
}

fn classify_sqlite(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => Class::Outage(Outage::Away),
        sqlx::Error::Database(answer) => match answer.code().and_then(|code| code.parse().ok()) {
            // SQLite has one code for all errors in statements.
            Some(1) if lacks_something(answer.message()) => Class::Replaced,
            Some(code) => of_sqlite(code),
            None => Class::Other,
        },
        _ => Class::Other,
    }
}

/// Returns whether SQLite reports that a table, column or index of the statement does not exist.
fn lacks_something(message: &str) -> bool {
    ["no such table", "no such column", "no such index", "has no column named"]
        .iter()
        .any(|words| message.contains(words))
}

/// Returns whether the server has no database of this name, or hides it from this user.
pub(crate) fn is_absent(error: &DriverError) -> bool {
    matches!(error, DriverError::Server(answer) if matches!(answer.code, 1044 | 1049))
}

/// Returns whether the database answered, and would give the same answer next time.
pub(crate) fn is_final_answer(error: &DriverError) -> bool {
    let may_change = matches!(classify(error), Class::Outage(outage) if outage != Outage::Denied);
    error.is_answer() && !may_change
}

/// Returns advice for the operator if the server or this service refused the connection. Returns `None` if
/// waiting may help.
pub(crate) fn refusal(error: &DriverError) -> Option<&'static str> {
    match error {
        DriverError::Server(answer) => match answer.code {
            // Access denied because of the password, the authentication method or missing TLS; or the
            // password has expired, or the account is locked.
            1045 | 1698 | 1820 | 1862 | 3118 | 4151 => Some(
                "check user and password in [database] connection, from which hosts the user may come, and whether the \
                 account requires TLS (ssl_* parameters) or a client certificate (ssl_cert, ssl_key)",
            ),
            // Access denied to the database, which may not exist.
            1044 => Some("grant the user of [database] connection all privileges on it, or check its name"),
            // The server and the account disagree about the authentication method, or the server lacks it.
            1251 | 1275 | 1524 => Some(AUTHENTICATION),
            1130 => Some("allow the user of [database] connection to come from this host"),
            1049 => Some("there is no such database: create it, or check its name in [database] connection"),
            // `require_secure_transport` of MySQL. MariaDB answers 1045.
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
        DriverError::MySql(mysql_async::Error::Driver(
            mysql_async::DriverError::UnknownAuthPlugin { .. }
            | mysql_async::DriverError::MysqlOldPasswordDisabled
            | mysql_async::DriverError::CleartextPluginDisabled,
        )) => Some(AUTHENTICATION),
        DriverError::MySql(mysql_async::Error::Io(error)) => tls_failure(error).map(|(_, advice)| advice),
        _ => None,
    }
}

const AUTHENTICATION: &str = "change the authentication method of the user of [database] connection at the server, for example to \
                              caching_sha2_password (MySQL), ed25519 or mysql_native_password (MariaDB)";

/// Returns the reason of a failed TLS handshake, and advice.
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

/// Returns the reason why a connection could not be opened, for the operator.
pub(crate) fn reason(error: &DriverError) -> String {
    if let DriverError::MySql(mysql_async::Error::Io(io)) = error
        && let Some((reason, _)) = tls_failure(io)
    {
        return reason;
    }
    // The text contains this prefix twice, from the driver and from the system.
    error.to_string().trim_start_matches("Input/output error: ").to_owned()
}

impl StoreError {
    /// Classifies a driver error and adds the name of the operation.
    pub(crate) fn from_driver(doing: &'static str, error: DriverError) -> StoreError {
        match classify(&error) {
            Class::Outage(outage) => StoreError::Unavailable { doing, outage, reason: error.to_string() },
            Class::Unstorable(reason) => {
                let column = column_in(&error.to_string()).unwrap_or("?").to_owned();
                // 1366 also means "not a number". Only a text column has a character set.
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

    /// Returns the class of the error, which decides about another run.
    pub(crate) fn class(&self) -> Class {
        match self {
            StoreError::Backend { source, .. } => classify(source),
            StoreError::Unavailable { outage, .. } => Class::Outage(*outage),
            _ => Class::Other,
        }
    }

    /// Returns whether the server cannot compare columns, because their collations differ.
    pub(crate) fn is_of_collations(&self) -> bool {
        match self {
            StoreError::Backend { source, .. } => {
                matches!(&**source, DriverError::Server(answer) if matches!(answer.code, 1253 | 1267 | 1270 | 1271))
            }
            _ => false,
        }
    }

    /// Returns whether the database lacks tables or columns of the service, because it is being restored or
    /// was replaced.
    pub fn is_replaced(&self) -> bool {
        match self {
            // On connecting, the SQLite file or the database does not exist.
            StoreError::Schema(_) | StoreError::Refused { is_absent: true, .. } => true,
            _ => self.class() == Class::Replaced,
        }
    }

    /// Returns whether the error is one of the whole database and not of a statement: it is not available, or it lacks the
    /// tables.
    pub fn is_outage(&self) -> bool {
        matches!(self, StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. })
            || self.is_replaced()
    }

    /// Returns whether a unique key of the table was violated.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.class() == Class::Duplicate
    }
}

/// Returns the column in a message of MySQL ("… for column 'name' at row 1") or MariaDB ("… for column
/// `db`.`table`.`name` at row 1").
fn column_in(message: &str) -> Option<&str> {
    let rest = message.split_once("for column ")?.1;
    let rest = rest.split_once(" at row").map_or(rest, |(name, _)| name);
    rest.rsplit('.').next().map(|name| name.trim_matches(['`', '\'', '"']))
}

#[cfg(test)]
mod tests {
    use super::column_in;

    #[test]
    fn the_column_is_found_in_messages_of_both_servers() {
        let maria = "1406 (22001): Data too long for column `f`.`jobs`.`description` at row 1";
        assert_eq!(column_in(maria), Some("description"));
        assert_eq!(column_in("Data too long for column 'hostname' at row 1"), Some("hostname"));
        assert_eq!(column_in("something else"), None);
    }
}
