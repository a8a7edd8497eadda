//! `seed` and `clean`: fill a project of a database with the current layout, and empty it. The rows are in
//! `tables.rs`. This file sends them to the database.

mod dialect;
mod tables;

use std::io::{self, Write};

use crate::dataset::Dataset;
use crate::mariadb::{Database, DatabaseError};
use crate::sqlite::{self, SqliteError};
use dialect::SeedDialect;
use tables::Rows;

/// Why a seed failed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// MariaDB failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// SQLite failed.
    #[error(transparent)]
    Sqlite(#[from] SqliteError),
    /// The text could not be written.
    #[error("writing SQL: {0}")]
    Text(#[from] io::Error),
}

/// Arguments of `seed`.
#[derive(Debug, clap::Args)]
pub struct SeedArguments {
    /// Database with the current layout: mysql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:////PATH
    #[arg(long, value_name = "URL")]
    pub database: String,
    #[command(flatten)]
    pub data: Dataset,
}

/// Removes the rows of earlier seeds and runs from the project and fills it. Returns a description of its content.
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
    /// Database: mysql://USER:PASSWORD@HOST:PORT/DATABASE or sqlite:////PATH
    #[arg(long, value_name = "URL")]
    pub database: String,
    /// Project of the seed.
    #[arg(long)]
    pub project: String,
}

/// Removes the rows of seeds and runs from a project.
pub async fn remove(arguments: &CleanArguments) -> Result<(), SeedError> {
    run(&arguments.database, &Dataset::empty(&arguments.project), Work::Clean).await
}

/// Removes the backups that a run has posted to a project, so the next run finds the same number of rows.
pub async fn remove_posted(database: &str, data: &Dataset) -> Result<(), SeedError> {
    run(database, data, Work::CleanPosted).await
}

/// A change of a project.
#[derive(Debug, Clone, Copy)]
enum Work {
    Fill,
    Clean,
    CleanPosted,
}

impl Work {
    fn write(self, data: &Dataset, dialect: SeedDialect, sql: &mut dyn Write) -> io::Result<()> {
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
        work.write(data, SeedDialect::Sqlite, &mut text)?;
        return Ok(sqlite::execute(path, String::from_utf8_lossy(&text).into_owned()).await?);
    }
    let (database, data) = (Database::from_url(database)?, data.clone());
    // On another thread, so two databases can be filled at the same time.
    let filled = tokio::task::spawn_blocking(move || {
        database.execute(|sql| work.write(&data, SeedDialect::MySql, sql))
    });
    filled.await.map_err(io::Error::from)??;
    Ok(())
}
