//! `freezer-manage db`: creates, upgrades, shows and removes the tables. Checks are in `check.rs`, the
//! removal of deleted rows in `purge.rs`, and values that upgrades could not move in `leftovers.rs`.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Duration;

use freezer_store::maintenance::{Defects, Overview};
use freezer_store::migrations::{
    HEAD, Kept, REVISIONS, State, StepAction, SyncOptions, Synced, Unmovable, Wishes,
};
use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Store, StoreError};

/// An error with a text for the operator. The exit code is 1 for each.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// An error of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An error of the terminal.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// The tables do not exist.
    #[error("the database {0} has no tables yet; create them with: freezer-manage db sync")]
    NoTables(String),
    /// A command of 19.0.0 that has no meaning for SQL.
    #[error(
        "db update-settings changed the settings of an Elasticsearch index; this service stores in SQL only, \
         whose tables are made and upgraded with: freezer-manage db sync"
    )]
    NoSettings,
    /// The command needs a confirmation, but standard input is not a terminal.
    #[error(
        "there is no terminal to ask whether the tables of {0} should be removed; nothing was removed; to remove them without a confirmation: freezer-manage db remove --yes"
    )]
    NoTerminal(String),
    /// Other programs refer to the tables.
    #[error(
        "other tables or views refer to the tables of {database}: {references}. Nothing was removed. Drop them first, or run: \
         freezer-manage db remove --ignore-references"
    )]
    Referenced {
        /// The database, without its password.
        database: String,
        /// Tables and views.
        references: String,
    },
    /// The operator did not confirm the removal.
    #[error("that is not the name of the database, {0:?}; nothing was removed")]
    NotConfirmed(String),
}

/// Accepts a revision that `db sync` can reach: the newest one, by its id or as `head`.
///
/// # Errors
/// An explanation that no other revision can be reached.
pub fn revision(text: &str) -> Result<String, String> {
    match text {
        HEAD | "head" | "heads" => Ok(text.to_owned()),
        _ => Err(format!("db sync always upgrades to the newest revision, {HEAD}; leave the revision out")),
    }
}

/// Upgrades the tables to head and prints the steps.
pub async fn sync(store: &Store, options: &SyncOptions, out: &mut impl Write) -> Result<(), DbError> {
    let database = store.database();
    let (mut said, mut kept) = (0, None);
    let done = store
        .sync_with(options, |at| {
            kept = Some(at.kept);
            // One line for each step, and one for each batch of long steps.
            if at.step != said || at.rows.is_some() {
                said = at.step;
                let rows = at.rows.map(|rows| format!(": {rows} rows")).unwrap_or_default();
                let _ = writeln!(out, "[{}/{}] {}{rows}", at.step, at.steps, at.what);
            }
        })
        .await?;
    match done {
        Synced::Created => writeln!(out, "{database}: created all tables at revision {HEAD}")?,
        Synced::AlreadyCurrent => {
            let kept = match store.kept().await? {
                Kept { rows: 0, .. } => String::new(),
                kept => format!("; {}", describe_kept(kept)),
            };
            writeln!(out, "{database}: at revision {HEAD}, nothing to do{kept}{}", defects(store, 0).await?)?;
        }
        Synced::Upgraded { left_out } => {
            for (what, why) in &left_out {
                writeln!(out, "left out: {what}: {why}")?;
            }
            let kept = match kept {
                Some(kept) => kept,
                None => store.kept().await?,
            };
            let kept = if kept.rows > 0 { format!("\n{}", describe_kept(kept)) } else { String::new() };
            writeln!(out, "{database}: at revision {HEAD}{kept}{}", defects(store, left_out.len()).await?)?;
        }
    }
    Ok(())
}

fn describe_kept(Kept { values, rows }: Kept) -> String {
    format!(
        "kept in freezer_leftovers, because they could not be moved: {values} values of {rows} rows; see them with: \
         freezer-manage db leftovers"
    )
}

/// Describes additions that were left out, client names that prevent one, links of jobs to missing actions, as after a
/// restore of `actions` alone, and jobs without actions. Empty if there are none.
async fn defects(store: &Store, left_out: usize) -> Result<String, DbError> {
    let Defects { links, without_actions, equal_clients } = store.defects().await?;
    let counts = [
        ("additions left out", left_out as u64),
        ("client names that are registered more than once", equal_clients),
        ("links without a live job or a live action", links),
        ("live jobs without actions", without_actions),
    ];
    let found = counts.into_iter().filter(|(_, count)| *count > 0);
    let found: String = found.map(|(what, count)| format!("; {what}: {count}")).collect();
    Ok(if found.is_empty() { found } else { format!("{found}; see them with: freezer-manage db check") })
}

/// Returns whether this is a file of SQLite that `db sync` would create.
fn is_missing_file(database: &DatabaseUrl) -> bool {
    let DatabaseUrl::Sqlite { path } = database else { return false };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    path.try_exists().is_ok_and(|exists| !exists) && folder.is_none_or(Path::is_dir)
}

/// Returns an empty database in memory.
fn empty_store() -> Store {
    let database = DatabaseUrl::Sqlite { path: ":memory:".into() };
    Store::new_or_create(database, ConnectSettings::default(), PoolSettings::default())
}

/// Prints the steps of [`sync`] as SQL, with the number of rows that each statement reads. Changes nothing.
pub async fn dry_run(store: &Store, wishes: Wishes, out: &mut impl Write) -> Result<(), DbError> {
    let database = store.database();
    let empty = is_missing_file(database).then(empty_store);
    let store = empty.as_ref().unwrap_or(store);
    let plan = store.plan(wishes).await?;
    writeln!(out, "-- database: {database}")?;
    match &plan.state {
        State::Empty => writeln!(out, "-- empty; all tables are created")?,
        State::At(revision) => writeln!(out, "-- alembic_version says {revision}; head is {HEAD}")?,
        State::Unversioned(_) => writeln!(out, "-- no revision in alembic_version; head is {HEAD}")?,
    }
    if plan.steps.is_empty() && !plan.stamps {
        writeln!(out, "-- nothing to do")?;
    }
    for key in &plan.wrong_keys {
        writeln!(out, "-- {key}")?;
    }
    for index in &plan.wrong_unique_indexes {
        writeln!(out, "-- {index}")?;
    }
    for mixed in &plan.mixed {
        writeln!(out, "-- columns that statements compare have different collations: {mixed}")?;
    }
    for step in &plan.steps {
        let whose = step.revision.unwrap_or("addition");
        writeln!(out, "-- {whose}: {} (about {} rows)", step.what, step.rows)?;
        match &step.action {
            StepAction::Sql(sql) => writeln!(out, "{sql};")?,
            StepAction::Rebuild(statements) => {
                writeln!(out, "-- in one transaction")?;
                for sql in statements {
                    writeln!(out, "{sql};")?;
                }
            }
            StepAction::DropColumn { table, column } => {
                writeln!(out, "-- only if every value is found in its new place")?;
                writeln!(out, "ALTER TABLE {table} DROP COLUMN {column};")?;
            }
            StepAction::MoveRows(_) => writeln!(out, "-- in batches, each a transaction")?,
        }
    }
    if plan.stamps {
        writeln!(out, "-- upstream's head is reached:\nDELETE FROM alembic_version;")?;
        writeln!(out, "INSERT INTO alembic_version (version_num) VALUES ('{HEAD}');")?;
    }
    for (what, why) in &plan.left_out {
        writeln!(out, "-- left out: {what}: {why}")?;
    }
    for view in &plan.dependents.views {
        writeln!(out, "-- cannot be read afterwards, because the column is dropped: {view}")?;
    }
    for trigger in &plan.dependents.broken {
        writeln!(out, "-- the server rejects new rows, because the column does not exist: {trigger}")?;
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
/// [`DbError::NoTables`] for an empty database, so that scripts can detect it.
pub async fn version(store: &Store, out: &mut impl Write) -> Result<(), DbError> {
    match store.schema_state().await? {
        State::At(revision) => writeln!(out, "{revision}")?,
        State::Unversioned(_) => writeln!(out, "unversioned")?,
        State::Empty => return Err(DbError::NoTables(store.database().to_string())),
    }
    Ok(())
}

/// Prints upstream's revisions in order and marks the revision of the database. `Err` contains the reason why
/// it is unknown.
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
        Err(why) => writeln!(out, "the revision of the database is unknown: {why}")?,
    }
    Ok(())
}

/// Prints the database, its revision, the number of rows of each table, and their size on disk.
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

/// How the operator confirms a removal.
pub enum Confirmation<'a> {
    /// The operator confirmed it with `--yes`.
    Given,
    /// The operator must type the name of the database.
    Ask(&'a mut dyn BufRead),
    /// Standard input is not a terminal, so the command cannot ask.
    Impossible,
}

/// Drops the tables with all rows. Drops nothing without a confirmation, or if other tables or views refer to the tables,
/// unless `ignore_references` is true.
pub async fn remove(
    store: &Store,
    confirmation: Confirmation<'_>,
    ignore_references: bool,
    holder: &str,
    out: &mut impl Write,
) -> Result<(), DbError> {
    let database = store.database().to_string();
    let tables = store.removable().await?;
    if tables.is_empty() {
        writeln!(out, "{database}: there are no tables, nothing to do")?;
        return Ok(());
    }
    let references = if ignore_references { Vec::new() } else { store.references().await? };
    if !references.is_empty() {
        return Err(DbError::Referenced { database, references: references.join("; ") });
    }
    match confirmation {
        Confirmation::Given => {}
        Confirmation::Impossible => return Err(DbError::NoTerminal(database)),
        Confirmation::Ask(input) => {
            let name = name(store.database());
            writeln!(
                out,
                "{database}: these tables will be dropped with everything in them: {}",
                tables.join(", ")
            )?;
            write!(out, "Type the name of the database ({name}) to continue: ")?;
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

/// Returns the name of the database at the server, or the name of the file.
fn name(url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::MySql(url) => url.database.clone(),
        DatabaseUrl::Sqlite { path } => {
            path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
        }
    }
}
