//! Queries on `backups`: the catalogue.

use sea_query::{Expr, ExprTrait, LockType, Query, SelectStatement};
use sea_query_sqlx::SqlxValues;

use super::listing::{self, Listed, Listing, Page, Parts};
use super::narrow::{self, Shape, Source};
use super::{Table, Values, table, unreadable};
use crate::clock::Timestamp;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, Place};
use crate::model::{Backup, NewBackup};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::{Search, terms};
use crate::statement::{Argument, Fixed, argument};
use crate::tables::Backups;

const TABLE: Table<Backups> = table!("backups", Backups);

/// Columns behind (created_at, id), in the order in which [`read`] takes them.
const COLUMNS: [Backups; 4] = [Backups::ProjectId, Backups::UserId, Backups::Status, Backups::BackupMetadata];

/// What is stored beside the metadata, where the table has it: every statement that writes the metadata writes these.
const TERMS: [Backups; 2] = [Backups::FzSearchTerms, Backups::FzSearchCrc];

/// Where a backup's keys are.
const SHAPE: Shape<Backups> = Shape {
    sources: &sources(Source::AsItIs(Backups::BackupMetadata)),
    opaque: &["backup_metadata"],
    identity: &["backup_id", "project_id", "user_id"],
};

/// The same of tables that have search terms.
const SHAPE_WITH_TERMS: Shape<Backups> =
    Shape { sources: &sources(Source::WithTerms(Backups::BackupMetadata, Dialect::searched_terms)), ..SHAPE };

const fn sources(metadata: Source<Backups>) -> [Source<Backups>; 5] {
    [
        Source::Blank("backup_id", Backups::Id),
        Source::Blank("project_id", Backups::ProjectId),
        Source::Blank("user_id", Backups::UserId),
        Source::Blank("status", Backups::Status),
        metadata,
    ]
}

/// One backup of the scope.
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn get(db: &mut Db, scope: &Scope, backup_id: &str) -> Result<Option<Backup>, StoreError> {
    let mut select = live(db, scope);
    select.and_where(Expr::col(Backups::Id).eq(backup_id));
    let row = db.select_one(&select).await?;
    row.map(|row| read(db.doing(), &row)).transpose()
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
    let at = unreadable(db.doing());
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
    page: &Page,
) -> Result<Listed<Backup>, StoreError> {
    let select = live(db, scope);
    let mut narrowed = select.clone();
    let by_terms = !search.matches.is_empty() && db.has_terms().await?;
    let shape = if by_terms { &SHAPE_WITH_TERMS } else { &SHAPE };
    narrow::narrow::<_, Backups>(db.dialect(), &mut narrowed, search, shape, None);
    if by_terms && !search.matches.iter().any(|(key, _)| key == "backup_id") {
        db.dialect().read_along(&mut narrowed, "fz_backups_project");
    }
    let listing = Listing {
        select,
        narrowed: vec![narrowed],
        first: None,
        created_at: Backups::CreatedAt,
        id: Backups::Id,
        search,
        shape,
        missing: None,
        page,
    };
    let doing = db.doing();
    let parts = Parts { read: |row: &Row| read(doing, row), complete: listing::nothing_missing };
    listing::list(db, listing, parts).await
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
    static INSERT: Fixed = Fixed::new(|dialect| insert(dialect, &[]));
    static INSERT_WITH_TERMS: Fixed = Fixed::new(|dialect| insert(dialect, &TERMS));
    let (stamp, metadata) = (db.dialect().datetime(now), json::to_text(&new.metadata));
    let mut arguments = vec![
        backup_id.into(),
        project_id.into(),
        stamp.as_str().into(),
        user_id.into(),
        Argument::Text(new.job_id()),
        new.status.as_str().into(),
        metadata.as_str().into(),
    ];
    let stored = db.has_terms().await?.then(|| terms::stored(&new.metadata, &metadata));
    let statement = match &stored {
        Some(stored) => {
            arguments.push(Argument::Bytes(stored.terms.as_deref()));
            arguments.push(Argument::Number(stored.crc.into()));
            &INSERT_WITH_TERMS
        }
        None => &INSERT,
    };
    match db.execute(&statement.with(arguments)).await {
        Ok(_) => Ok(()),
        // a first run stored it, or the id is one of a deleted row
        Err(error) if error.is_duplicate() => {
            let mut values = described(new, stored.is_some());
            values.push((Backups::UserId, user_id.into()));
            TABLE.insert(db, backup_id, project_id, values, now, true).await
        }
        Err(error) => Err(error),
    }
}

/// Arguments in the order of the columns; those that not all tables have come last.
fn insert(dialect: Dialect, more: &[Backups]) -> (String, SqlxValues) {
    let columns = [
        Backups::Id,
        Backups::ProjectId,
        Backups::CreatedAt,
        Backups::UserId,
        Backups::JobId,
        Backups::Status,
        Backups::BackupMetadata,
    ];
    let mut row: Values<Backups> =
        columns.iter().chain(more).copied().enumerate().map(|(at, column)| (column, argument(at))).collect();
    row.push((Backups::Deleted, false.into()));
    let mut insert = Query::insert();
    insert.into_table(Backups::Table).columns(row.iter().map(|(column, _)| *column));
    insert.values_panic(row.into_iter().map(|(_, value)| value));
    dialect.build(&insert)
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
    let values = described(new, db.has_terms().await?);
    TABLE.update(db, scope, backup_id, values, now).await
}

/// Deletes a backup from the catalogue; false where the scope has none.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn delete(db: &mut Db, scope: &Scope, backup_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    TABLE.delete(db, scope, backup_id, now).await
}

/// Columns that every table has, with what a backup says; and its terms, where the table has those.
fn described(new: &NewBackup, has_terms: bool) -> Values<Backups> {
    let metadata = json::to_text(&new.metadata);
    let mut values = vec![
        (Backups::JobId, Expr::value(new.job_id().map(str::to_owned))),
        (Backups::Status, new.status.as_str().into()),
    ];
    if has_terms {
        let stored = terms::stored(&new.metadata, &metadata);
        let [terms, crc] = TERMS;
        values.extend([(terms, Expr::value(stored.terms)), (crc, stored.crc.into())]);
    }
    values.push((Backups::BackupMetadata, metadata.into()));
    values
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

fn read(doing: &'static str, row: &Row) -> Result<Backup, StoreError> {
    let at = unreadable(doing);
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
