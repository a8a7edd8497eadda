//! `freezer-manage db`: making, upgrading, showing and removing the tables. Checks are `check.rs`, rows that go are
//! `purge.rs`, what upgrades found no place for is `leftovers.rs`.

use std::io::{BufRead, Write};
use std::time::Duration;

use freezer_store::maintenance::Overview;
use freezer_store::migrations::{
    Action, HEAD, Kept, REVISIONS, State, SyncOptions, Synced, Unmovable, Wishes,
};
use freezer_store::{DatabaseUrl, Store, StoreError};

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
    /// A command of 19.0.0 without a meaning for SQL.
    #[error(
        "db update-settings changed the settings of an Elasticsearch index; this service stores in SQL only, \
         whose tables are made and upgraded with: freezer-manage db sync"
    )]
    NoSettings,
    /// Nobody is there to say that the tables are to go.
    #[error(
        "there is no terminal to ask at whether the tables of {0} are to be removed; nothing was removed; to remove them without being asked: freezer-manage db remove --yes"
    )]
    NoTerminal(String),
    /// The operator did not mean it.
    #[error("that is not the name of the database, {0:?}; nothing was removed")]
    NotConfirmed(String),
}

/// Accepts a revision that `db sync` reaches: the newest one, by its id or as `head`.
///
/// # Errors
/// Explains that there is no way to another revision.
pub fn revision(text: &str) -> Result<String, String> {
    match text {
        HEAD | "head" | "heads" => Ok(text.to_owned()),
        _ => Err(format!("db sync always upgrades to the newest revision, {HEAD}; leave the revision out")),
    }
}

/// Brings the tables to head and says what it does.
///
/// # Errors
/// [`DbError`]
pub async fn sync(store: &Store, options: &SyncOptions, out: &mut impl Write) -> Result<(), DbError> {
    let database = store.database();
    let (mut said, mut kept) = (0, Kept::default());
    let done = store
        .sync_with(options, |at| {
            kept = at.kept;
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
            let Kept { values, rows } = kept;
            writeln!(
                out,
                "kept in freezer_leftovers, because the tables have no place for them: {values} values of {rows} rows; \
                 see them with: freezer-manage db leftovers"
            )?;
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
            Action::DropColumn { table, column } => {
                writeln!(out, "-- only if every value is found in its new place")?;
                writeln!(out, "ALTER TABLE {table} DROP COLUMN {column};")?;
            }
            Action::MoveJobActions
            | Action::MoveUserNames
            | Action::FillPaths(_)
            | Action::FillTerms
            | Action::FillActionTerms
            | Action::KeepReplaced(_) => writeln!(out, "-- in batches, each a transaction")?,
        }
    }
    if plan.stamps {
        writeln!(out, "-- upstream's head is reached:\nDELETE FROM alembic_version;")?;
        writeln!(out, "INSERT INTO alembic_version (version_num) VALUES ('{HEAD}');")?;
    }
    for (what, why) in &plan.left_out {
        writeln!(out, "-- left out: {what}: {why}")?;
    }
    let Unmovable { values, rows, examples } = store.unmovable().await?;
    if plan.steps.iter().any(|step| step.revision.is_some()) || values > 0 {
        writeln!(
            out,
            "-- cannot be moved, and will be kept in freezer_leftovers: {values} values of {rows} rows"
        )?;
    }
    for example in &examples {
        writeln!(out, "--   {example}")?;
    }
    if rows > examples.len() as u64 {
        writeln!(out, "--   and {} more rows", rows - examples.len() as u64)?;
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

/// Prints upstream's revisions in order and marks the database's; `Err` says why it is not known.
///
/// # Errors
/// Where the output cannot be written: a database that is not there is only noted.
pub async fn history(store: Result<&Store, String>, out: &mut impl Write) -> Result<(), DbError> {
    let state = match store {
        Ok(store) => store.schema_state().await.map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    let current = match &state {
        Ok(State::At(revision)) => Some(revision.as_str()),
        _ => None,
    };
    writeln!(out, "  {:<14} {:<8} change", "revision", "since")?;
    for revision in REVISIONS {
        let mark = if current == Some(revision.id) { '*' } else { ' ' };
        writeln!(out, "{mark} {:<14} {:<8} {}", revision.id, revision.since, revision.change)?;
    }
    match state {
        Ok(State::At(found)) if REVISIONS.iter().any(|revision| revision.id == found) => {
            writeln!(out, "* the database")?;
        }
        Ok(State::At(found)) => writeln!(out, "the database is at {found}, which is not one of these")?,
        Ok(State::Empty) => writeln!(out, "the database has no tables yet")?,
        Ok(State::Unversioned(_)) => writeln!(out, "the database has tables, and no revision")?,
        Err(why) => writeln!(out, "the revision of the database is not known: {why}")?,
    }
    Ok(())
}

/// Prints the database, its revision, the rows of each table, and what they take on disk.
///
/// # Errors
/// [`DbError`]
pub async fn show(store: &Store, as_json: bool, out: &mut impl Write) -> Result<(), DbError> {
    let overview = store.overview().await?;
    if overview.tables.is_empty() && overview.revision.is_none() {
        return Err(DbError::NoTables(overview.database));
    }
    if as_json {
        let text = serde_json::to_string_pretty(&overview).map_err(std::io::Error::from)?;
        writeln!(out, "{text}")?;
        return Ok(());
    }
    let Overview { database, engine, server_version, revision, head, bytes, tables } = overview;
    writeln!(out, "database: {database}")?;
    match revision {
        Some(revision) if revision == head => writeln!(out, "revision: {revision} (head)")?,
        Some(revision) => writeln!(out, "revision: {revision} (head is {head})")?,
        None => writeln!(out, "revision: none (head is {head})")?,
    }
    writeln!(out, "{:<18} {:>12} {:>12}", "table", "live rows", "deleted")?;
    for table in &tables {
        writeln!(out, "{:<18} {:>12} {:>12}", table.name, table.live_rows, table.deleted_rows)?;
    }
    writeln!(out, "\nserver: {engine} {server_version}")?;
    writeln!(out, "bytes on disk: {bytes}")?;
    for table in &tables {
        if let (Some(bytes), Some(charset)) = (table.bytes, &table.charset) {
            writeln!(out, "{:<18} {bytes:>12} {charset:>12}", table.name)?;
        }
    }
    Ok(())
}

/// How the operator says that he means it.
pub enum Confirmation<'a> {
    /// He has (`--yes`).
    Given,
    /// He types the name of the database.
    Ask(&'a mut dyn BufRead),
    /// Nobody is there to be asked.
    Nobody,
}

/// Drops the tables with everything in them.
///
/// # Errors
/// [`DbError`]; without a confirmation nothing is dropped.
pub async fn remove(
    store: &Store,
    confirmation: Confirmation<'_>,
    holder: &str,
    out: &mut impl Write,
) -> Result<(), DbError> {
    let database = store.database().to_string();
    let tables = store.removable().await?;
    if tables.is_empty() {
        writeln!(out, "{database}: there are no tables, nothing to do")?;
        return Ok(());
    }
    match confirmation {
        Confirmation::Given => {}
        Confirmation::Nobody => return Err(DbError::NoTerminal(database)),
        Confirmation::Ask(input) => {
            let name = name(store.database());
            writeln!(
                out,
                "{database}: these tables will be dropped with everything in them: {}",
                tables.join(", ")
            )?;
            write!(out, "Type the name of the database ({name}) to go on: ")?;
            out.flush()?;
            let mut line = String::new();
            input.read_line(&mut line)?;
            if line.trim() != name {
                return Err(DbError::NotConfirmed(name));
            }
        }
    }
    let removed = store.remove(holder, Duration::ZERO).await?;
    writeln!(out, "{database}: removed {}", removed.join(", "))?;
    Ok(())
}

/// What the operator calls the database: its name at the server, or the file's.
fn name(url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::MySql(url) => url.database.clone(),
        DatabaseUrl::Sqlite { path } => {
            path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
        }
    }
}
