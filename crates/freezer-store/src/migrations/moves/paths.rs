//! Fills `actions.path_to_backup` with the path that only the document has.
//!
//! Agents of the 7.x releases already sent `path_to_backup`, but the column was called `src_file` and only took
//! that key. So the path stayed in the document, which those releases returned. Later releases return the
//! column, so the action would lose its path in the Python service. If a path is too long for the column, or has
//! characters that it cannot store, it stays in the document, which this service shows.

use sea_query::{Alias, Expr, ExprTrait, Order, Query};
use serde_json::{Map, Value};

use super::BATCH;
use super::column_charsets::ColumnCharsets;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::lenient;
use crate::tables::Actions;

/// The two names of the column.
pub(in crate::migrations) const COLUMNS: [&str; 2] = ["src_file", "path_to_backup"];

/// Width of the column in characters.
const WIDTH: usize = 255;

/// The id of an action, and its path.
type ActionPath = (String, String);

/// A batch: its last row, its number of rows, and the paths that are missing in the column.
struct PathBatch {
    last: String,
    rows: u64,
    missing: Vec<ActionPath>,
}

/// Returns the value of a definition's path. The older key is used if the newer one is missing.
pub(super) fn value_of(definition: &Map<String, Value>) -> Option<&Value> {
    definition.get("path_to_backup").or_else(|| definition.get("src_file"))
}

fn of(definition: &Map<String, Value>) -> Option<String> {
    let path = value_of(definition)?.as_str()?;
    (!path.is_empty() && path.chars().count() <= WIDTH).then(|| path.to_owned())
}

/// Returns whether the path of an action is only in its document, although the column can store it. If
/// `is_utf8mb4`, the table will be converted, so the column can store any path.
pub(in crate::migrations) async fn are_missing(
    db: &mut Db,
    column: &'static str,
    is_utf8mb4: bool,
) -> Result<bool, StoreError> {
    let held = if is_utf8mb4 { ColumnCharsets::default() } else { ColumnCharsets::of(db, "actions").await? };
    let mut after = None;
    while let Some(batch) = read(db, column, &held, after.as_deref()).await? {
        if !batch.missing.is_empty() {
            return Ok(true);
        }
        after = Some(batch.last);
    }
    Ok(false)
}

/// Fills one batch after the row `after`. Returns the last row of the batch and the number of rows.
pub(in crate::migrations) async fn batch(
    db: &mut Db,
    column: &'static str,
    after: Option<&str>,
) -> Result<Option<(String, u64)>, StoreError> {
    let held = ColumnCharsets::of(db, "actions").await?;
    let Some(batch) = read(db, column, &held, after).await? else { return Ok(None) };
    for (id, path) in batch.missing {
        let mut update = Query::update();
        update.table(Actions::Table).value(Alias::new(column), path).and_where(Expr::col(Actions::Id).eq(id));
        db.execute(&update).await?;
    }
    Ok(Some((batch.last, batch.rows)))
}

async fn read(
    db: &mut Db,
    column: &'static str,
    held: &ColumnCharsets,
    after: Option<&str>,
) -> Result<Option<PathBatch>, StoreError> {
    let mut select = Query::select();
    select
        .columns([Actions::Id, Actions::BackupMetadata])
        .from(Actions::Table)
        .and_where(Expr::col(Alias::new(column)).is_null())
        .order_by(Actions::Id, Order::Asc)
        .limit(BATCH);
    if let Some(after) = after {
        select.and_where(Expr::col(Actions::Id).gt(after));
    }
    let rows = db.read::<(String, Option<String>)>(&select).await?;
    let mut missing = Vec::new();
    let mut last = None;
    let count = rows.len() as u64;
    for (id, text) in rows {
        let read = lenient::value(text.as_deref().unwrap_or_default());
        let path = read.value.as_object().filter(|_| !read.is_broken).and_then(of);
        if let Some(path) = path.filter(|path| held.can_hold(column, path)) {
            missing.push((id.clone(), path));
        }
        last = Some(id);
    }
    Ok(last.map(|last| PathBatch { last, rows: count, missing }))
}
