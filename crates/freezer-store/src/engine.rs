//! Opens connections: from a [`DatabaseUrl`] to a [`Connection`] with the settings that the store
//! relies on. Keeping connections is `pool.rs`; running statements is `exec.rs`.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use tokio_rustls::TlsConnector;

use crate::dialect::Dialect;
use crate::error::{DriverError, StoreError, is_absent, reason, refusal};
use crate::migrations::SchemaError;
use crate::mysql::MySql;
use crate::tls::{Tls, TlsOptions};
use crate::url::{DatabaseUrl, MySqlUrl};

/// One open connection to either engine.
pub(crate) enum Connection {
    /// MySQL, MariaDB, Galera. Boxed: it is large and moves between pool and user.
    MySql(Box<MySql>),
    /// SQLite, on a thread of the driver's own.
    Sqlite(Box<SqliteConnection>),
}

/// Settings of each connection, from `[database]`.
#[derive(Debug, Clone)]
pub struct ConnectSettings {
    /// `mysql_sql_mode`: TRADITIONAL refuses what does not fit instead of cutting it off.
    pub mysql_sql_mode: Option<String>,
    /// `mysql_wsrep_sync_wait`: 1 makes a Galera node wait until it has seen earlier writes.
    pub mysql_wsrep_sync_wait: Option<u32>,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// Whether MySQL checks foreign keys: off while tables are converted that refer to each other.
    pub foreign_key_checks: bool,
}

impl Default for ConnectSettings {
    fn default() -> Self {
        ConnectSettings {
            mysql_sql_mode: Some("TRADITIONAL".to_owned()),
            mysql_wsrep_sync_wait: None,
            connect_timeout: Duration::from_secs(10),
            foreign_key_checks: true,
        }
    }
}

/// Where a joined table is small enough to be read whole, servers collect rows of the tables before it in a buffer, which
/// spoils their order: a list that could end at its limit is then read whole, and sorted. Both kinds of server know
/// this setting under names of their own, and pass over the other's comment.
const NO_JOIN_BUFFERS: &str =
    "/*M!100000 , join_cache_level = 0 */ /*!50700 , optimizer_switch = 'block_nested_loop=off' */";

/// Variables that a server may have set for interactive clients. With them it refuses changes of many rows, and cuts off the
/// rows of a query. The number is the server's own default; `DEFAULT` would mean the global value.
const NO_LIMITS: &str = "sql_safe_updates = 0, sql_select_limit = 18446744073709551615";

/// How SQLite waits for another process (`freezer-manage` beside a running service).
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What an opener needs: parsed once, used for every connection.
#[derive(Clone)]
pub(crate) struct Opener {
    url: DatabaseUrl,
    settings: ConnectSettings,
    tls: Arc<Tls>,
    create_sqlite: bool,
}

impl Opener {
    /// `create_sqlite`: make the SQLite file where it is missing (only `db sync` and `--dev` do).
    pub(crate) fn new(url: DatabaseUrl, settings: ConnectSettings, create_sqlite: bool) -> Opener {
        let tls = match &url {
            DatabaseUrl::MySql(url) => TlsOptions::clone(&url.tls),
            DatabaseUrl::Sqlite { .. } => TlsOptions::default(),
        };
        Opener { url, settings, tls: Arc::new(Tls::new(tls)), create_sqlite }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.url {
            DatabaseUrl::MySql(_) => Dialect::MySql,
            DatabaseUrl::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    /// Device and inode of the SQLite file: another file may be put in its place. None if there is no file.
    pub(crate) fn file(&self) -> Option<(u64, u64)> {
        match &self.url {
            DatabaseUrl::MySql(_) => None,
            DatabaseUrl::Sqlite { path } => path.metadata().ok().map(|found| (found.dev(), found.ino())),
        }
    }

    /// Opens one connection within the connect timeout.
    pub(crate) async fn open(&self) -> Result<Connection, StoreError> {
        if let DatabaseUrl::Sqlite { path } = &self.url
            && !self.create_sqlite
            && path.try_exists().is_ok_and(|there| !there)
        {
            // waiting does not help: a missing file is an empty database, not one that is down
            return Err(SchemaError::Empty { database: self.url.to_string() }.into());
        }
        let tls = match &self.url {
            DatabaseUrl::MySql(_) => self.tls.connector().await?,
            DatabaseUrl::Sqlite { .. } => None,
        };
        let opening = async {
            match &self.url {
                DatabaseUrl::MySql(url) => self.open_mysql(url, tls).await,
                DatabaseUrl::Sqlite { path } => self.open_sqlite(path).await,
            }
        };
        let unavailable = |reason| StoreError::Unavailable { doing: "connect", reason };
        match tokio::time::timeout(self.settings.connect_timeout, opening).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => {
                self.tls.forget();
                let reason = reason(&error);
                Err(match refusal(&error) {
                    Some(advice) => StoreError::Refused {
                        database: self.url.to_string(),
                        reason,
                        advice,
                        is_absent: is_absent(&error),
                    },
                    None => unavailable(format!("{}: {reason}", self.url)),
                })
            }
            Err(_) => Err(unavailable(format!(
                "{}: no answer within {:?}",
                self.url, self.settings.connect_timeout
            ))),
        }
    }

    async fn open_mysql(
        &self,
        url: &MySqlUrl,
        tls: Option<(TlsConnector, bool)>,
    ) -> Result<Connection, DriverError> {
        let mut connection = MySql::open(url, tls).await?;
        let mut settings = vec![format!("time_zone = '+00:00', {NO_LIMITS}")];
        if let Some(mode) = &self.settings.mysql_sql_mode {
            settings.push(format!("sql_mode = '{}'", mode.replace('\'', "")));
        }
        if let Some(wait) = self.settings.mysql_wsrep_sync_wait {
            settings.push(format!("wsrep_sync_wait = {wait}"));
        }
        if !self.settings.foreign_key_checks {
            settings.push("foreign_key_checks = 0".to_owned());
        }
        connection.raw(&format!("SET {}, NAMES utf8mb4{NO_JOIN_BUFFERS}", settings.join(", "))).await?;
        Ok(Connection::MySql(Box::new(connection)))
    }

    async fn open_sqlite(&self, path: &Path) -> Result<Connection, DriverError> {
        if self.create_sqlite {
            // SQLite would make it readable for everyone; its other files get the mode of this one
            let _ = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
        }
        let connection = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(self.create_sqlite)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: an acknowledged change survives a power cut, as on MySQL with its defaults
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(SQLITE_BUSY_TIMEOUT)
            // The Python service runs without enforcement (a job's client_id holds no clients.id).
            .foreign_keys(false)
            .disable_statement_logging()
            .connect()
            .await?;
        Ok(Connection::Sqlite(Box::new(connection)))
    }
}
