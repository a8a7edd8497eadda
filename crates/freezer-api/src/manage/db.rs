//! `freezer-manage db`: the tables.

use std::io::Write;

use freezer_store::migrations::{HEAD, State, Synced};
use freezer_store::{Store, StoreError};

/// What went wrong, in words for the operator. The exit code is 1 for each.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The terminal.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// Nothing is wrong with the command, but the tables are not there.
    #[error("the database {0} has no tables yet; create them with: freezer-manage db sync")]
    NoTables(String),
}

/// Brings the tables to head and says what it did.
///
/// # Errors
/// [`DbError`]
pub async fn sync(store: &Store, out: &mut impl Write) -> Result<(), DbError> {
    let database = store.database();
    match store.sync().await? {
        Synced::Created => writeln!(out, "{database}: created all tables at revision {HEAD}")?,
        Synced::AlreadyCurrent => writeln!(out, "{database}: at revision {HEAD}, nothing to do")?,
    }
    Ok(())
}

/// Prints the revision.
///
/// # Errors
/// [`DbError`]; an empty database is one, so that scripts can tell.
pub async fn version(store: &Store, out: &mut impl Write) -> Result<(), DbError> {
    match store.schema_state().await? {
        State::At(revision) => writeln!(out, "{revision}")?,
        State::Unversioned(_) => writeln!(out, "unversioned")?,
        State::Empty | State::Begun => return Err(DbError::NoTables(store.database().to_string())),
    }
    Ok(())
}

/// Prints the database, its revision and the rows of each table.
///
/// # Errors
/// [`DbError`]
pub async fn show(store: &Store, out: &mut impl Write) -> Result<(), DbError> {
    writeln!(out, "database: {}", store.database())?;
    match store.schema_state().await? {
        State::Empty | State::Begun => return Err(DbError::NoTables(store.database().to_string())),
        State::At(revision) if revision == HEAD => writeln!(out, "revision: {revision} (head)")?,
        State::At(revision) => writeln!(out, "revision: {revision} (head is {HEAD})")?,
        State::Unversioned(_) => writeln!(out, "revision: none (head is {HEAD})")?,
    }
    writeln!(out, "{:<18} {:>12} {:>12}", "table", "live rows", "deleted")?;
    for table in store.table_counts().await? {
        writeln!(out, "{:<18} {:>12} {:>12}", table.name, table.live, table.deleted)?;
    }
    Ok(())
}
