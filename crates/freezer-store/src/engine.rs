//! Opens connections: from a [`DatabaseUrl`] to a [`DbConnection`] with the variables of `connect_settings.rs`.
//! `pool` keeps connections, `exec.rs` runs statements.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _};
use tokio_rustls::TlsConnector;

use crate::class::{Class, Outage};
use crate::connect_settings::ConnectSettings;
use crate::deadline::Deadline;
use crate::dialect::Dialect;
use crate::error::{DriverError, StoreError, classify, is_absent, is_final_answer, reason, refusal};
use crate::mysql::{MySql, Thread};
use crate::progress::ReadProgress;
use crate::schema::SchemaError;
use crate::tls::{Tls, TlsOptions};
use crate::url::{DatabaseUrl, MySqlUrl, check_sqlite_file};

/// An open connection to one of the engines.
pub(crate) enum DbConnection {
    /// MySQL, MariaDB or Galera. Boxed, because it is large and moves often.
    MySql(Box<MySql>),
    /// SQLite, in a thread of the driver.
    Sqlite(Box<SqliteFile>),
}

/// A connection to a SQLite file whose statements can be interrupted.
pub(crate) struct SqliteFile {
    /// The driver's connection.
    pub connection: SqliteConnection,
    interrupted: Arc<AtomicBool>,
}

/// Instructions of SQLite's virtual machine between two checks for an interruption: some milliseconds.
const SQLITE_LOOK_AFTER: i32 = 100_000;

/// A statement that runs.
pub(crate) struct Watched {
    /// The thread at the server.
    pub thread: Thread,
    /// The progress of its connection.
    pub progress: Arc<ReadProgress>,
}

impl DbConnection {
    /// Returns the thread of the connection at the server. `None` for a file.
    pub(crate) fn thread(&self) -> Option<Thread> {
        match self {
            DbConnection::MySql(connection) => Some(connection.thread()),
            DbConnection::Sqlite(_) => None,
        }
    }

    /// Returns the values for `watch.rs`. `None` for a file.
    pub(crate) fn watched(&self) -> Option<Watched> {
        match self {
            DbConnection::MySql(connection) => {
                Some(Watched { thread: connection.thread(), progress: connection.progress() })
            }
            DbConnection::Sqlite(_) => None,
        }
    }

    /// Returns whether the connection answers within a short time.
    pub(crate) async fn answers(&mut self) -> bool {
        match self {
            DbConnection::MySql(connection) => {
                tokio::time::timeout(PROBE, connection.ping()).await.is_ok_and(|answer| answer.is_ok())
            }
            DbConnection::Sqlite(_) => true,
        }
    }

    /// Closes a connection on which a statement is running. For a file, returns when the statement has ended.
    /// At a server, the thread must be killed (`control.rs`).
    pub(crate) async fn abandon(self) {
        match self {
            DbConnection::MySql(connection) => connection.abandon(),
            DbConnection::Sqlite(file) => {
                file.interrupted.store(true, Ordering::Relaxed);
                // The driver answers when its thread has finished the statement.
                let _ = file.connection.close().await;
            }
        }
    }
}

/// How long a statement waits while another process locks the SQLite file. Then `tx.rs` runs it again until
/// its deadline, because a waiting statement cannot be interrupted.
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Time limit for the answer of a connection that may be broken.
const PROBE: Duration = Duration::from_secs(2);

/// The parsed settings for opening connections.
#[derive(Clone)]
pub(crate) struct Opener {
    url: DatabaseUrl,
    settings: ConnectSettings,
    statement_timeout: Duration,
    tls: Arc<Tls>,
    create_sqlite: bool,
    /// The index of the current server in the list of the URL.
    place: Arc<AtomicUsize>,
}

impl Opener {
    /// Creates an opener. `create_sqlite`: create a missing SQLite file (only for `db sync` and `--dev`).
    /// `statement_timeout`: limit of each statement at the server; [`NO_STATEMENT_LIMIT`] or more means no
    /// limit.
    pub(crate) fn new(
        url: DatabaseUrl,
        settings: ConnectSettings,
        statement_timeout: Duration,
        create_sqlite: bool,
    ) -> Opener {
        let tls = match &url {
            DatabaseUrl::MySql(url) => TlsOptions::clone(&url.tls),
            DatabaseUrl::Sqlite { .. } => TlsOptions::default(),
        };
        Opener {
            url,
            settings,
            statement_timeout,
            tls: Arc::new(Tls::new(tls)),
            create_sqlite,
            place: Arc::default(),
        }
    }

    pub(crate) fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.url {
            DatabaseUrl::MySql(_) => Dialect::MySql,
            DatabaseUrl::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    /// Returns device and inode of the SQLite file, which can be replaced by another file. `None` if there is
    /// no file.
    pub(crate) fn file(&self) -> Option<(u64, u64)> {
        match &self.url {
            DatabaseUrl::MySql(_) => None,
            DatabaseUrl::Sqlite { path } => path.metadata().ok().map(|found| (found.dev(), found.ino())),
        }
    }

    /// Opens a connection within the connect timeout and before the deadline.
    pub(crate) async fn open(&self, deadline: Deadline) -> Result<DbConnection, StoreError> {
        if let DatabaseUrl::Sqlite { path } = &self.url {
            check_sqlite_file(path)?;
            let is_file = path != Path::new(IN_MEMORY);
            if is_file && !self.create_sqlite && path.try_exists().is_ok_and(|there| !there) {
                // Waiting does not help: a missing file means an empty database, not an outage.
                return Err(SchemaError::Empty { database: self.url.to_string() }.into());
            }
        }
        let mut tries = self.servers();
        loop {
            let place = self.place.load(Ordering::Relaxed);
            let opened = self.within(deadline.within(self.settings.connect_timeout), async {
                match &self.url {
                    DatabaseUrl::MySql(url) => {
                        let tls = self.connector().await?;
                        Ok(DbConnection::MySql(Box::new(self.open_mysql(url, place, tls).await?)))
                    }
                    DatabaseUrl::Sqlite { path } => self.open_sqlite(path).await,
                }
            });
            tries -= 1;
            match opened.await {
                Err(StoreError::Unavailable { .. }) if tries > 0 && !deadline.is_over() => self.leave(place),
                result => return result,
            }
        }
    }

    /// Returns the number of servers in the URL.
    fn servers(&self) -> usize {
        match &self.url {
            DatabaseUrl::MySql(url) if url.socket.is_none() => 1 + url.others.len(),
            _ => 1,
        }
    }

    /// Skips an unusable server. New connections go to the next one.
    pub(crate) fn leave(&self, place: usize) {
        let next = (place + 1) % self.servers();
        let _ = self.place.compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Opens a control connection to a server of the list, within a limit. `None` for a file.
    pub(crate) async fn open_control(
        &self,
        limit: Duration,
        place: usize,
    ) -> Result<Option<MySql>, StoreError> {
        let DatabaseUrl::MySql(url) = &self.url else { return Ok(None) };
        self.within(limit, async {
            let mut control = MySql::open(url, place, self.connector().await?).await?;
            control.identify().await?;
            Ok(Some(control))
        })
        .await
    }

    async fn connector(&self) -> Result<Option<(TlsConnector, bool)>, Opening> {
        self.tls.connector().await.map_err(|error| Opening::Configuration(error.into()))
    }

    async fn within<T>(
        &self,
        limit: Duration,
        opening: impl Future<Output = Result<T, Opening>>,
    ) -> Result<T, StoreError> {
        let unavailable = |outage, reason| StoreError::Unavailable { doing: "connect", outage, reason };
        match tokio::time::timeout(limit, opening).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(Opening::Configuration(error))) => Err(error),
            Ok(Err(Opening::Driver(error))) => {
                self.tls.forget();
                let reason = reason(&error);
                let outage = match classify(&error) {
                    Class::Outage(outage) => outage,
                    _ => Outage::Refusing,
                };
                Err(match refusal(&error) {
                    Some(advice) => StoreError::Refused {
                        database: self.url.to_string(),
                        reason,
                        advice,
                        is_absent: is_absent(&error),
                    },
                    None => unavailable(outage, format!("{}: {reason}", self.url)),
                })
            }
            Err(_) => Err(unavailable(Outage::Away, format!("{}: no answer within {limit:?}", self.url))),
        }
    }

    async fn open_mysql(
        &self,
        url: &MySqlUrl,
        place: usize,
        tls: Option<(TlsConnector, bool)>,
    ) -> Result<MySql, Opening> {
        let mut connection = MySql::open(url, place, tls).await?;
        let (is_cluster, modes) = connection.identify().await?;
        if let Some(error) = self.settings.unusable_mode(&self.url, &modes) {
            return Err(Opening::Configuration(error));
        }
        let sql = self.settings.statement(is_cluster, self.statement_timeout);
        match connection.raw(&sql).await {
            Ok(_) => Ok(connection),
            Err(error) if is_final_answer(&error) => {
                Err(Opening::Configuration(self.settings.rejected(&self.url, &error)))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn open_sqlite(&self, path: &Path) -> Result<DbConnection, Opening> {
        if self.create_sqlite && path != Path::new(IN_MEMORY) {
            // SQLite would create it with read permission for other users. SQLite's other files get the mode
            // of this file.
            let _ = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
        }
        let mut connection = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(self.create_sqlite)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: an acknowledged change survives a power failure, as on MySQL with its defaults.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(SQLITE_BUSY_TIMEOUT)
            // The Python service runs without enforcement (a job's client_id contains no clients.id).
            .foreign_keys(false)
            .disable_statement_logging()
            .connect()
            .await
            .map_err(DriverError::from)?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let look = interrupted.clone();
        connection
            .lock_handle()
            .await
            .map_err(DriverError::from)?
            .set_progress_handler(SQLITE_LOOK_AFTER, move || !look.load(Ordering::Relaxed));
        Ok(DbConnection::Sqlite(Box::new(SqliteFile { connection, interrupted })))
    }
}

/// The path of a database in memory. Each connection has its own, and it begins empty.
const IN_MEMORY: &str = ":memory:";

/// The reason why a connection was not opened.
enum Opening {
    /// The configuration is unusable: a file, or a setting that the server rejects.
    Configuration(StoreError),
    /// An error of the driver.
    Driver(DriverError),
}

impl From<DriverError> for Opening {
    fn from(error: DriverError) -> Self {
        Opening::Driver(error)
    }
}
