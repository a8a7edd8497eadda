//! Queries on `backups`: the catalogue.

use sea_query::{Expr, ExprTrait, LockType, Query, SelectStatement};

use super::listing::{self, Listing, Page};
use super::{Table, Values, table, unreadable};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, Place};
use crate::model::{Backup, NewBackup};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::tables::Backups;

const TABLE: Table<Backups> = table!("backups", Backups);

/// Columns behind (created_at, id), in the order in which [`read`] takes them.
const COLUMNS: [Backups; 4] = [Backups::ProjectId, Backups::UserId, Backups::Status, Backups::BackupMetadata];

/// One backup of the scope.
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn get(db: &mut Db, scope: &Scope, backup_id: &str) -> Result<Option<Backup>, StoreError> {
    let mut select = live(db, scope);
    select.and_where(Expr::col(Backups::Id).eq(backup_id));
    let row = db.select_one(&select).await?;
    row.map(|row| read(db, &row)).transpose()
}

/// State and metadata of one backup of the scope, locked until the transaction ends, with the id of the
/// user who recorded it.
///
/// # Errors
/// [`StoreError::Corrupt`] where its metadata cannot be read, and so not be changed.
pub async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    backup_id: &str,
) -> Result<Option<NewBackup>, StoreError> {
    let mut select = live(db, scope);
    select.and_where(Expr::col(Backups::Id).eq(backup_id)).lock(LockType::Update);
    let Some(row) = db.select_one(&select).await? else { return Ok(None) };
    let at = unreadable(db);
    let text = row.text(5).map_err(&at)?;
    let place = Place { table: "backups", column: "backup_metadata", id: backup_id };
    Ok(Some(NewBackup {
        status: row.string(4).map_err(&at)?,
        metadata: json::object_strict(text.as_deref(), place)?,
    }))
}

/// Backups of the scope.
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn list(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: Page,
) -> Result<Vec<Backup>, StoreError> {
    let mut select = live(db, scope);
    if let Some(id) = search.required_text("backup_id") {
        select.and_where(Expr::col(Backups::Id).eq(id));
    }
    let listing = Listing {
        select,
        created_at: Backups::CreatedAt,
        id: Backups::Id,
        search,
        identity: &["backup_id", "project_id", "user_id"],
        page,
    };
    listing::list(db, listing, async |db, rows| rows.iter().map(|row| read(db, row)).collect()).await
}

/// Stores a new backup: one statement, safe to run again because the id is the server's own.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn create(
    db: &mut Db,
    project_id: &str,
    user_id: &str,
    backup_id: &str,
    new: &NewBackup,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut values = described(new);
    values.push((Backups::UserId, user_id.into()));
    TABLE.insert(db, backup_id, project_id, values, now, true).await
}

/// Writes state and metadata over a backup; false where the scope has none.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn update(
    db: &mut Db,
    scope: &Scope,
    backup_id: &str,
    new: &NewBackup,
    now: Timestamp,
) -> Result<bool, StoreError> {
    TABLE.update(db, scope, backup_id, described(new), now).await
}

/// Deletes a backup from the catalogue; false where the scope has none.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn delete(db: &mut Db, scope: &Scope, backup_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    TABLE.delete(db, scope, backup_id, now).await
}

fn described(new: &NewBackup) -> Values<Backups> {
    vec![
        (Backups::JobId, Expr::value(new.job_id().map(str::to_owned))),
        (Backups::Status, new.status.as_str().into()),
        (Backups::BackupMetadata, json::to_text(&new.metadata).into()),
    ]
}

fn live(db: &Db, scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    select
        .expr(db.dialect().datetime_text(Backups::CreatedAt))
        .column(Backups::Id)
        .columns(COLUMNS)
        .from(Backups::Table)
        .and_where(Expr::col(Backups::Deleted).eq(false))
        .cond_where(scope.holds(Backups::ProjectId));
    select
}

fn read(db: &Db, row: &Row) -> Result<Backup, StoreError> {
    let at = unreadable(db);
    let backup_id = row.string(listing::ID).map_err(&at)?;
    let metadata = row.text(5).map_err(&at)?;
    let place = Place { table: "backups", column: "backup_metadata", id: &backup_id };
    Ok(Backup {
        project_id: row.string(2).map_err(&at)?,
        user_id: row.string(3).map_err(&at)?,
        status: row.string(4).map_err(&at)?,
        backup_metadata: json::raw_object(metadata, place),
        backup_id,
    })
}
