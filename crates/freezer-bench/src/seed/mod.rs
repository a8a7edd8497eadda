//! `seed` and `clean`: fill a project of a database at the head layout of the tables, and empty it. The rows are in
//! `tables.rs`; here is where they go.

mod dialect;
mod tables;

use std::io::{self, Write};

use crate::dataset::Dataset;
use crate::mariadb::{Database, DatabaseError};
use crate::sqlite::{self, SqliteError};
use dialect::Dialect;
use tables::Rows;

/// Why nothing was seeded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// MariaDB.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] SqliteError),
    /// The text could not be made.
    #[error("writing SQL: {0}")]
    Text(#[from] io::Error),
}

/// Arguments of `seed`.
#[derive(Debug, clap::Args)]
pub struct SeedArguments {
    /// The database, at the newest layout: mysql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:////PATH
    #[arg(long, value_name = "URL")]
    pub database: String,
    #[command(flatten)]
    pub data: Dataset,
}

/// Removes what an earlier seed or run left in the project, fills it, and says what is there.
///
/// # Errors
/// [`SeedError`]
pub async fn execute(database: &str, data: &Dataset) -> Result<String, SeedError> {
    run(database, data, Work::Fill).await?;
    Ok(format!(
        "project {} has {} clients, {} jobs with one action each, {} sessions, {} backups",
        data.project,
        data.clients,
        data.jobs,
        data.session_count(),
        data.backups
    ))
}

/// Arguments of `clean`.
#[derive(Debug, clap::Args)]
pub struct CleanArguments {
    /// The database: mysql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:////PATH
    #[arg(long, value_name = "URL")]
    pub database: String,
    /// The project that was seeded.
    #[arg(long)]
    pub project: String,
}

/// Removes what seeds and runs left in a project.
///
/// # Errors
/// [`SeedError`]
pub async fn remove(arguments: &CleanArguments) -> Result<(), SeedError> {
    run(&arguments.database, &Dataset::empty(&arguments.project), Work::Clean).await
}

/// Removes the backups that runs have posted into a project, so that the next finds as many rows as the last.
///
/// # Errors
/// [`SeedError`]
pub async fn remove_posted(database: &str, data: &Dataset) -> Result<(), SeedError> {
    run(database, data, Work::CleanPosted).await
}

/// What is done to a project.
#[derive(Debug, Clone, Copy)]
enum Work {
    Fill,
    Clean,
    CleanPosted,
}

impl Work {
    fn write(self, data: &Dataset, dialect: Dialect, sql: &mut dyn Write) -> io::Result<()> {
        let rows = Rows { data, dialect };
        match self {
            Work::Fill => rows.write(sql),
            Work::Clean => rows.clean(sql),
            Work::CleanPosted => rows.clean_posted(sql),
        }
    }
}

async fn run(database: &str, data: &Dataset, work: Work) -> Result<(), SeedError> {
    if let Some(path) = sqlite::path_of_url(database) {
        let mut text = Vec::new();
        work.write(data, Dialect::Sqlite, &mut text)?;
        return Ok(sqlite::execute(path, String::from_utf8_lossy(&text).into_owned()).await?);
    }
    let (database, data) = (Database::of_url(database)?, data.clone());
    // off the one thread, so that two databases can be filled at the same time
    let filled =
        tokio::task::spawn_blocking(move || database.execute(|sql| work.write(&data, Dialect::MySql, sql)));
    filled.await.map_err(io::Error::from)??;
    Ok(())
}
