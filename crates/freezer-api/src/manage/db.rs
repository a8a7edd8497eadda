//! `freezer-manage db`: the tables.

use std::io::Write;

use freezer_store::migrations::{Action, HEAD, State, SyncOptions, Synced, Wishes};
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

/// Brings the tables to head and says what it does.
///
/// # Errors
/// [`DbError`]
pub async fn sync(store: &Store, options: &SyncOptions, out: &mut impl Write) -> Result<(), DbError> {
    let database = store.database();
    let mut said = 0;
    let done = store
        .sync_with(options, |at| {
            // one line for each step, and one for each batch of the long ones
            if at.step != said || at.rows.is_some() {
                said = at.step;
                let rows = at.rows.map(|rows| format!(": {rows} rows")).unwrap_or_default();
                let _ = writeln!(out, "[{}/{}] {}{rows}", at.step, at.steps, at.what);
            }
        })
        .await?;
    match done {
        Synced::Created => writeln!(out, "{database}: created all tables at revision {HEAD}")?,
        Synced::AlreadyCurrent => writeln!(out, "{database}: at revision {HEAD}, nothing to do")?,
        Synced::Upgraded { left_out } => {
            writeln!(out, "{database}: at revision {HEAD}")?;
            for (what, why) in left_out {
                writeln!(out, "left out: {what}: {why}")?;
            }
        }
    }
    Ok(())
}

/// Prints what [`sync`] would do, as SQL with the number of rows that each statement goes through, and changes nothing.
///
/// # Errors
/// [`DbError`]
pub async fn dry_run(store: &Store, wishes: Wishes, out: &mut impl Write) -> Result<(), DbError> {
    let plan = store.plan(wishes).await?;
    writeln!(out, "-- database: {}", store.database())?;
    match &plan.state {
        State::Empty => writeln!(out, "-- empty; all tables are created")?,
        State::At(revision) => writeln!(out, "-- alembic_version says {revision}; head is {HEAD}")?,
        State::Unversioned(_) => writeln!(out, "-- no revision in alembic_version; head is {HEAD}")?,
    }
    if plan.steps.is_empty() && !plan.stamps {
        writeln!(out, "-- nothing to do")?;
    }
    for step in &plan.steps {
        let whose = step.revision.unwrap_or("addition");
        writeln!(out, "-- {whose}: {} (about {} rows)", step.what, step.rows)?;
        match &step.action {
            Action::Sql(sql) => writeln!(out, "{sql};")?,
            Action::MoveJobActions | Action::MoveUserNames => {
                writeln!(out, "-- in batches, each a transaction")?
            }
        }
    }
    if plan.stamps {
        writeln!(out, "-- upstream's head is reached:\nDELETE FROM alembic_version;")?;
        writeln!(out, "INSERT INTO alembic_version (version_num) VALUES ('{HEAD}');")?;
    }
    for (what, why) in &plan.left_out {
        writeln!(out, "-- left out: {what}: {why}")?;
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
        State::Empty => return Err(DbError::NoTables(store.database().to_string())),
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
        State::Empty => return Err(DbError::NoTables(store.database().to_string())),
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
