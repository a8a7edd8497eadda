//! Databases for tests: a SQLite file, or a database on the MariaDB server of `FREEZER_TEST_MYSQL_URL` or the MySQL
//! server of `FREEZER_TEST_MYSQL9_URL`. Each is created for one test and removed at its end.
//!
//! This is the only module in these tests that runs SQL itself, and only to create, corrupt and drop databases. Tests
//! read the stored rows through the service.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use freezer_store::{DatabaseUrl, MySqlUrl};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

/// The MariaDB server for tests: `mysql://user:password@host:port`, with a user that may create databases.
const MARIADB_URL: &str = "FREEZER_TEST_MYSQL_URL";
/// A second server: Oracle's MySQL.
const MYSQL_URL: &str = "FREEZER_TEST_MYSQL9_URL";

/// The database engine of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    /// The server of `FREEZER_TEST_MYSQL_URL`, which should be MariaDB.
    MariaDb,
    /// Oracle's MySQL. Only the tests of the schema run on it, because all others behave the same on both servers.
    MySql,
}

impl Engine {
    /// Returns the variable with the address of the server. `None` for a file.
    pub fn variable(self) -> Option<&'static str> {
        match self {
            Engine::Sqlite => None,
            Engine::MariaDb => Some(MARIADB_URL),
            Engine::MySql => Some(MYSQL_URL),
        }
    }
}

/// An empty database for one test.
#[derive(Clone)]
pub struct TestDatabase {
    engine: Engine,
    url: DatabaseUrl,
    scratch: PathBuf,
}

impl TestDatabase {
    /// Creates a database. Returns `None` if the variable of the server is not set.
    pub async fn create(engine: Engine, test: &str) -> Option<TestDatabase> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        // Names of databases have at most 64 characters.
        let short: String =
            test.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
        let name = format!("fz_{short}_{}_{count}", std::process::id());
        let scratch = super::scratch_directory().join(&name);
        let url = match engine {
            Engine::Sqlite => DatabaseUrl::Sqlite { path: scratch.with_extension("db") },
            Engine::MariaDb => DatabaseUrl::MySql(MySqlUrl { database: name, ..server(MARIADB_URL)? }),
            Engine::MySql => DatabaseUrl::MySql(MySqlUrl { database: name, ..server(MYSQL_URL)? }),
        };
        Some(TestDatabase { engine, ..TestDatabase::at(url, scratch).await })
    }

    /// Creates a database at this URL.
    pub async fn at(url: DatabaseUrl, scratch: PathBuf) -> TestDatabase {
        if let DatabaseUrl::MySql(url) = &url {
            let name = &url.database;
            on_server(url, &format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4")).await;
            known_everywhere(url).await;
        }
        let engine = match url {
            DatabaseUrl::MySql(_) => Engine::MariaDb,
            DatabaseUrl::Sqlite { .. } => Engine::Sqlite,
        };
        TestDatabase { engine, url, scratch }
    }

    pub fn url(&self) -> DatabaseUrl {
        self.url.clone()
    }

    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Returns a path for files of the test. The caller must add an extension.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Runs statements on a separate connection that does not belong to the service.
    pub async fn run(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.url {
            DatabaseUrl::MySql(url) => {
                let mut connection = connect(url).await;
                sqlx::raw_sql(sql).execute(&mut connection).await.expect("SQL of the test");
                connection.close().await.expect("the server hears the goodbye");
            }
            DatabaseUrl::Sqlite { path } => {
                let mut connection = open(path).await;
                sqlx::raw_sql(sql).execute(&mut connection).await.expect("SQL of the test");
                connection.close().await.expect("the file closes");
            }
        }
    }

    /// Runs statements, and returns the error if the server refuses one of them.
    pub async fn try_run(&self, sql: &str) -> Result<(), String> {
        let DatabaseUrl::MySql(url) = &self.url else { panic!("only servers refuse statements here") };
        let sql = AssertSqlSafe(sql.to_owned());
        let refused = sqlx::raw_sql(sql).execute(&mut connect(url).await).await;
        refused.map(drop).map_err(|error| format!("{error:?}"))
    }

    /// Drops the database of the server and creates it again.
    pub async fn create_again(&self) {
        let DatabaseUrl::MySql(url) = &self.url else { panic!("a file is removed instead") };
        let name = &url.database;
        on_server(url, &format!("DROP DATABASE `{name}`")).await;
        on_server(url, &format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4")).await;
    }

    /// Returns the texts in the first column of a query.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.url {
            DatabaseUrl::MySql(url) => {
                let mut connection = connect(url).await;
                let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await.expect("SQL of the test");
                rows.iter().map(|row| row.get_unchecked(0)).collect()
            }
            DatabaseUrl::Sqlite { path } => {
                let mut connection = open(path).await;
                let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await.expect("SQL of the test");
                rows.iter().map(|row| row.get_unchecked(0)).collect()
            }
        }
    }

    /// Returns the texts in the first column of a query, or `None` if the server refuses it.
    pub async fn try_texts(&self, sql: &str) -> Option<Vec<String>> {
        let DatabaseUrl::MySql(url) = &self.url else { panic!("only servers refuse queries here") };
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connect(url).await).await;
        Some(rows.ok()?.iter().map(|row| row.get_unchecked(0)).collect())
    }

    /// Returns the statement that creates a table (MariaDB, MySQL).
    pub async fn create_table(&self, table: &str) -> String {
        let DatabaseUrl::MySql(url) = &self.url else { panic!("only servers show it") };
        let sql = AssertSqlSafe(format!("SHOW CREATE TABLE `{table}`"));
        let row = sqlx::raw_sql(sql).fetch_one(&mut connect(url).await).await.expect("SQL of the test");
        row.get_unchecked(1)
    }

    /// Returns the integer that a query returns.
    pub async fn number(&self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match &self.url {
            DatabaseUrl::MySql(url) => {
                sqlx::query_scalar(sql).fetch_one(&mut connect(url).await).await.expect("a number")
            }
            DatabaseUrl::Sqlite { path } => {
                sqlx::query_scalar(sql).fetch_one(&mut open(path).await).await.expect("a number")
            }
        }
    }

    pub async fn remove(&self) {
        match &self.url {
            DatabaseUrl::MySql(url) => on_server(url, &format!("DROP DATABASE `{}`", url.database)).await,
            DatabaseUrl::Sqlite { path } => {
                for suffix in ["", "-wal", "-shm"] {
                    let mut file = path.clone().into_os_string();
                    file.push(suffix);
                    let _ = std::fs::remove_file(file);
                }
            }
        }
        let _ = std::fs::remove_file(self.scratch.with_extension("disabled"));
    }
}

/// Blocks writers of `backups` until it is dropped.
pub enum Lock {
    /// The write lock of the file.
    Sqlite(SqliteConnection),
    /// A lock of the table.
    MariaDb(MySqlConnection),
}

impl TestDatabase {
    /// Blocks writers of `backups`, but no readers, on a separate connection.
    pub async fn lock(&self) -> Lock {
        match &self.url {
            DatabaseUrl::MySql(url) => {
                let mut connection = connect(url).await;
                sqlx::raw_sql("LOCK TABLES backups READ").execute(&mut connection).await.expect("a lock");
                Lock::MariaDb(connection)
            }
            DatabaseUrl::Sqlite { path } => {
                let mut connection = open(path).await;
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.expect("a lock");
                Lock::Sqlite(connection)
            }
        }
    }
}

impl Lock {
    /// Releases the lock.
    pub async fn release(self) {
        match self {
            Lock::Sqlite(connection) => connection.close().await.expect("the file closes"),
            Lock::MariaDb(connection) => connection.close().await.expect("the server hears the goodbye"),
        }
    }
}

/// Returns the number of running statements in the database, apart from this one.
pub async fn running(url: &MySqlUrl) -> usize {
    let mut connection = connect(url).await;
    let rows = sqlx::query(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND COMMAND <> 'Sleep' \
         AND ID <> CONNECTION_ID()",
    );
    rows.fetch_all(&mut connection).await.expect("the server tells").len()
}

/// Returns whether a server answers.
pub async fn answers(url: &DatabaseUrl) -> bool {
    match url {
        DatabaseUrl::MySql(url) => options(url).connect().await.is_ok(),
        DatabaseUrl::Sqlite { path } => path.exists(),
    }
}

/// Opens a second writer of a SQLite file.
pub async fn open(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.expect("the file opens")
}

/// Returns the URL of the server in a variable. Its database must be replaced.
fn server(variable: &str) -> Option<MySqlUrl> {
    let url = std::env::var(variable).ok().filter(|url| !url.is_empty())?;
    let (address, query) = url.split_once('?').map_or((url.as_str(), None), |(a, q)| (a, Some(q)));
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    match DatabaseUrl::parse(&format!("{}/mysql{query}", address.trim_end_matches('/'))) {
        Ok(DatabaseUrl::MySql(url)) => Some(url),
        other => panic!("{variable} must be mysql://user:password@host:port, not {other:?}"),
    }
}

/// Opens a separate connection to a database.
pub async fn connect(url: &MySqlUrl) -> MySqlConnection {
    options(url).database(&url.database).connect().await.expect("the server of the tests answers")
}

/// Runs a statement that creates or drops the database of a URL.
async fn on_server(url: &MySqlUrl, sql: &str) {
    let mut connection = options(url).connect().await.expect("the server of the tests answers");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("SQL of the test");
    connection.close().await.expect("the server hears the goodbye");
}

/// Waits until every node of a Galera cluster knows a new database. The address leads to each node in turn.
async fn known_everywhere(url: &MySqlUrl) {
    let mut connection = options(url).connect().await.expect("the server of the tests answers");
    let status =
        sqlx::raw_sql("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_size'").fetch_optional(&mut connection).await;
    let nodes: u32 = match status {
        Ok(Some(row)) => row.get_unchecked::<String, _>(1).parse().unwrap_or(0),
        _ => 0,
    };
    let mut in_a_row = 0;
    for _ in 0..500 {
        if nodes < 2 || in_a_row > 2 * nodes {
            return;
        }
        match options(url).database(&url.database).connect().await {
            Ok(_) => in_a_row += 1,
            Err(_) => {
                in_a_row = 0;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    panic!("{}: not every node knows it", url.database);
}

fn options(url: &MySqlUrl) -> MySqlConnectOptions {
    let mut options = MySqlConnectOptions::new().host(&url.host).port(url.port).username(&url.user);
    if let Some(password) = &url.password {
        options = options.password(password);
    }
    if let Some(socket) = &url.socket {
        options = options.socket(socket);
    }
    options.ssl_mode(sqlx::mysql::MySqlSslMode::Disabled)
}
