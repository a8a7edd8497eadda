//! Runs SQL text on a SQLite file. The text comes from `seed/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// The time limit for a lock that the service holds.
const BUSY: Duration = Duration::from_secs(30);

/// The SQL text failed.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}; is it a database at the newest layout?", path = path.display())]
pub struct SqliteError {
    path: PathBuf,
    source: sqlx::Error,
}

/// Returns the file of `sqlite:////PATH`. As in SQLAlchemy, the fourth slash is that of an absolute path.
pub fn path_of_url(url: &str) -> Option<&Path> {
    url.strip_prefix("sqlite:///").map(Path::new)
}

/// Runs SQL text on an existing file.
pub async fn execute(path: &Path, sql: String) -> Result<(), SqliteError> {
    let failed = |source| SqliteError { path: path.to_owned(), source };
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    // This program has generated the text from a data set.
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}
