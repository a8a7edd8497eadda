//! Refuses a database in use that lacks some of its tables. This happens if a restore was interrupted: the client
//! stops at the first error, for example at a foreign key to a table with another character set. Creating the
//! missing tables empty would hide the loss.

use super::head::TABLES;
use super::layout::Layout;
use super::state::State;
use crate::error::StoreError;
use crate::exec::Db;
use crate::schema::{HEAD, Obstacle, SchemaError};

/// Tables that layouts with the column `jobs.job_actions` may lack.
const LATER: [&str; 2] = ["user_credentials", "job_actions"];

/// Refuses the database if it is at head or has rows, and tables are missing. A database without any of the
/// tables is not refused, because nothing was loaded into it.
///
/// # Errors
/// [`Obstacle::MissingTables`].
pub(super) async fn refuse(
    db: &mut Db,
    layout: &Layout,
    state: &State,
    database: &str,
) -> Result<(), StoreError> {
    let is_head = *state == State::At(HEAD.to_owned());
    let missing = missing(layout, is_head);
    if missing.is_empty() || TABLES.iter().all(|table| layout.table(table.name).is_none()) {
        return Ok(());
    }
    // An interrupted creation of all tables leaves tables without rows and without a revision.
    if !is_head && !has_rows(db, layout).await? {
        return Ok(());
    }
    let tables = match missing.as_slice() {
        [table] => format!("the table {table} is"),
        tables => format!("the tables {} are", tables.join(", ")),
    };
    let database = database.to_owned();
    Err(SchemaError::Obstacle(Obstacle::MissingTables { database, tables }).into())
}

fn missing(layout: &Layout, is_head: bool) -> Vec<&'static str> {
    let is_old = match layout.table("jobs") {
        Some(_) => layout.has_column("jobs", "job_actions"),
        None => !is_head,
    };
    let names = TABLES.iter().map(|table| table.name);
    names.filter(|name| layout.table(name).is_none() && !(is_old && LATER.contains(name))).collect()
}

/// Reads the tables, because the row counts of the catalogue are estimates.
async fn has_rows(db: &mut Db, layout: &Layout) -> Result<bool, StoreError> {
    for table in TABLES.iter().filter(|table| layout.table(table.name).is_some()) {
        let sql = format!("SELECT 1 FROM {} LIMIT 1", db.dialect().quote(table.name));
        if !db.raw_select(&sql).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
