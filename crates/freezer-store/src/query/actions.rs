//! Queries on `actions`: definitions, with their report rows and their places in jobs.

use sea_query::{Expr, ExprTrait, LockType, Query, SelectStatement};
use serde_json::Value;

use super::listing::{self, Listing, Page};
use super::{Table, Values, action_reports, table, unreadable};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, Place};
use crate::model::{Action, ActionDefinition};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::tables::{Actions, JobActions};

const TABLE: Table<Actions> = table!("actions", Actions);

/// Columns behind (created_at, id), in the order in which [`read`] takes them.
pub(super) const COLUMNS: [Actions; 14] = [
    Actions::ProjectId,
    Actions::UserId,
    Actions::MaxRetries,
    Actions::MaxRetriesInterval,
    Actions::Mandatory,
    Actions::BackupMetadata,
    Actions::BackupName,
    Actions::Action,
    Actions::Actionmode,
    Actions::Container,
    Actions::Timeout,
    Actions::Priority,
    Actions::PathToBackup,
    Actions::LogFile,
];

/// One action of the scope.
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn get(db: &mut Db, scope: &Scope, action_id: &str) -> Result<Option<Action>, StoreError> {
    let mut select = live(db, scope);
    select.and_where(Expr::col(Actions::Id).eq(action_id));
    let row = db.select_one(&select).await?;
    row.map(|row| read(db, &row, 0)).transpose()
}

/// One action of the scope, locked until the transaction ends.
///
/// # Errors
/// [`StoreError::Corrupt`] where its stored definition cannot be read, and so not be changed.
pub async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    action_id: &str,
) -> Result<Option<Action>, StoreError> {
    let mut select = live(db, scope);
    select.and_where(Expr::col(Actions::Id).eq(action_id)).lock(LockType::Update);
    let Some(row) = db.select_one(&select).await? else { return Ok(None) };
    let text = row.text(7).map_err(unreadable(db))?;
    json::object_strict(
        text.as_deref(),
        Place { table: "actions", column: "backup_metadata", id: action_id },
    )?;
    read(db, &row, 0).map(Some)
}

/// Those of the given actions that the scope has.
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn get_many(db: &mut Db, scope: &Scope, ids: Vec<String>) -> Result<Vec<Action>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = live(db, scope);
    select.and_where(Expr::col(Actions::Id).is_in(listing::padded(ids)));
    let rows = db.select(&select).await?;
    rows.iter().map(|row| read(db, row, 0)).collect()
}

/// Actions of the scope.
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn list(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: Page,
) -> Result<Vec<Action>, StoreError> {
    let mut select = live(db, scope);
    if let Some(id) = search.required_text("action_id") {
        select.and_where(Expr::col(Actions::Id).eq(id));
    }
    let listing = Listing {
        select,
        created_at: Actions::CreatedAt,
        id: Actions::Id,
        search,
        identity: &["action_id", "project_id", "user_id"],
        page,
    };
    listing::list(db, listing, async |db, rows| rows.iter().map(|row| read(db, row, 0)).collect()).await
}

/// Stores a new action and its report row.
///
/// # Errors
/// [`StoreError::Duplicate`] where the id is taken.
pub async fn create(
    db: &mut Db,
    project_id: &str,
    user_id: &str,
    action_id: &str,
    new: &ActionDefinition,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut values = defined(new);
    values.push((Actions::UserId, user_id.into()));
    TABLE.insert(db, action_id, project_id, values, now, false).await?;
    action_reports::create(db, project_id, user_id, action_id, now).await
}

/// Writes a whole definition over an action; false where the scope has none.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn update(
    db: &mut Db,
    scope: &Scope,
    action_id: &str,
    new: &ActionDefinition,
    now: Timestamp,
) -> Result<bool, StoreError> {
    TABLE.update(db, scope, action_id, defined(new), now).await
}

/// Deletes an action with its report and takes it out of the jobs that use it; false where the scope
/// has none.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn delete(db: &mut Db, scope: &Scope, action_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    if !TABLE.delete(db, scope, action_id, now).await? {
        return Ok(false);
    }
    let stamp = db.dialect().datetime(now);
    let mut unlink = Query::update();
    unlink
        .table(JobActions::Table)
        .value(JobActions::Deleted, true)
        .value(JobActions::DeletedAt, stamp)
        .and_where(Expr::col(JobActions::ActionId).eq(action_id))
        .and_where(Expr::col(JobActions::Deleted).eq(false));
    db.execute(&unlink).await?;
    action_reports::delete(db, scope, action_id, now).await?;
    Ok(true)
}

fn defined(new: &ActionDefinition) -> Values<Actions> {
    let columns = &new.columns;
    vec![
        (Actions::Action, columns.action.as_str().into()),
        (Actions::Actionmode, Expr::value(columns.mode.clone())),
        (Actions::PathToBackup, Expr::value(columns.path_to_backup.clone())),
        (Actions::BackupName, Expr::value(columns.backup_name.clone())),
        (Actions::Container, Expr::value(columns.container.clone())),
        (Actions::LogFile, Expr::value(columns.log_file.clone())),
        (Actions::Timeout, Expr::value(columns.timeout)),
        (Actions::Priority, Expr::value(columns.priority)),
        (Actions::MaxRetries, new.max_retries.into()),
        (Actions::MaxRetriesInterval, new.max_retries_interval.into()),
        (Actions::Mandatory, new.mandatory.into()),
        (Actions::BackupMetadata, json::to_text(&new.freezer_action).into()),
    ]
}

fn live(db: &Db, scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    select
        .expr(db.dialect().datetime_text(Actions::CreatedAt))
        .column(Actions::Id)
        .columns(COLUMNS)
        .from(Actions::Table)
        .and_where(Expr::col(Actions::Deleted).eq(false))
        .cond_where(scope.holds(Actions::ProjectId));
    select
}

/// Reads an action whose (created_at, id, [`COLUMNS`]) begin at position `from`.
pub(super) fn read(db: &Db, row: &Row, from: usize) -> Result<Action, StoreError> {
    let at = unreadable(db);
    let action_id = row.string(from + 1).map_err(&at)?;
    let text = |position: usize| -> Result<Value, StoreError> {
        Ok(row.text(from + position).map_err(&at)?.map_or(Value::Null, Value::String))
    };
    let int = |position: usize| -> Result<Value, StoreError> {
        Ok(row.int(from + position).map_err(&at)?.map_or(Value::Null, Value::from))
    };
    let metadata = row.text(from + 7).map_err(&at)?;
    let place = Place { table: "actions", column: "backup_metadata", id: &action_id };
    let mut freezer_action = json::object(metadata.as_deref(), place);
    for (key, value) in [
        ("backup_name", text(8)?),
        ("action", text(9)?),
        ("mode", text(10)?),
        ("container", text(11)?),
        ("timeout", int(12)?),
        ("priority", int(13)?),
        ("path_to_backup", text(14)?),
        ("log_file", text(15)?),
    ] {
        freezer_action.insert(key.to_owned(), value);
    }
    Ok(Action {
        project_id: row.string(from + 2).map_err(&at)?,
        user_id: row.string(from + 3).map_err(&at)?,
        max_retries: row.int(from + 4).map_err(&at)?,
        max_retries_interval: row.int(from + 5).map_err(&at)?,
        mandatory: row.flag(from + 6).map_err(&at)?,
        action_id,
        freezer_action,
    })
}
