//! SQLite files: runs SQL text on one. Nothing here knows Freezer's tables; what is written is in `seed/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// Waits for a service that writes.
const BUSY: Duration = Duration::from_secs(30);

/// The file could not be filled.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}; is it a database at the newest layout?", path = path.display())]
pub struct SqliteError {
    path: PathBuf,
    source: sqlx::Error,
}

/// The file that `sqlite:////PATH` names (SQLAlchemy's way: a fourth slash for an absolute path).
pub fn path_of_url(url: &str) -> Option<&Path> {
    url.strip_prefix("sqlite:///").map(Path::new)
}

/// Runs SQL text on a file that exists.
///
/// # Errors
/// [`SqliteError`]
pub async fn execute(path: &Path, sql: String) -> Result<(), SqliteError> {
    let failed = |source| SqliteError { path: path.to_owned(), source };
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    // the text is made of what a data set holds, by this program
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}
