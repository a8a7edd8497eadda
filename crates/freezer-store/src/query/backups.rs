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
use crate::search::Search;
use crate::statement::{Argument, Fixed, argument};
use crate::tables::Backups;

const TABLE: Table<Backups> = table!("backups", Backups);

/// Columns behind (created_at, id), in the order in which [`read`] takes them.
const COLUMNS: [Backups; 4] = [Backups::ProjectId, Backups::UserId, Backups::Status, Backups::BackupMetadata];

/// Where a backup's keys are.
const SHAPE: Shape<Backups> = Shape {
    sources: &[
        Source::Blank("backup_id", Backups::Id),
        Source::Blank("project_id", Backups::ProjectId),
        Source::Blank("user_id", Backups::UserId),
        Source::Blank("status", Backups::Status),
        Source::AsItIs(Backups::BackupMetadata),
    ],
    opaque: &["backup_metadata"],
    identity: &["backup_id", "project_id", "user_id"],
};

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
    narrow::narrow::<_, Backups>(db.dialect(), &mut narrowed, search, &SHAPE, None);
    let listing = Listing {
        select,
        narrowed: vec![narrowed],
        first: None,
        created_at: Backups::CreatedAt,
        id: Backups::Id,
        search,
        shape: &SHAPE,
        page,
    };
    let doing = db.doing();
    let parts = Parts { read: |row: &Row| read(doing, row), complete: listing::nothing_missing };
    listing::list(db, listing, parts).await
}

/// A backup that is to be stored: whose, by whom, when.
#[derive(Debug, Clone)]
pub struct Record {
    /// Primary key, made for this record.
    pub backup_id: String,
    /// Owner.
    pub project_id: String,
    /// Who records it.
    pub user_id: String,
    /// State and metadata.
    pub new: NewBackup,
    /// When.
    pub now: Timestamp,
}

/// Records that one statement stores at most: each number of them is a statement of its own.
pub const STORED_AT_ONCE: usize = 8;

/// Stores new backups, [`STORED_AT_ONCE`] at most: one statement, all or nothing, safe to run again because the ids are
/// the server's own.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn create(db: &mut Db, records: &[Record]) -> Result<(), StoreError> {
    static INSERTS: [Fixed; STORED_AT_ONCE] = [
        Fixed::new(insert::<1>),
        Fixed::new(insert::<2>),
        Fixed::new(insert::<3>),
        Fixed::new(insert::<4>),
        Fixed::new(insert::<5>),
        Fixed::new(insert::<6>),
        Fixed::new(insert::<7>),
        Fixed::new(insert::<8>),
    ];
    let texts: Vec<(String, String)> = records
        .iter()
        .map(|record| (db.dialect().datetime(record.now), json::to_text(&record.new.metadata)))
        .collect();
    let mut arguments = Vec::with_capacity(records.len() * WRITTEN.len());
    for (record, (stamp, metadata)) in records.iter().zip(&texts) {
        arguments.extend([
            Argument::from(record.backup_id.as_str()),
            record.project_id.as_str().into(),
            stamp.as_str().into(),
            record.user_id.as_str().into(),
            Argument::Text(record.new.job_id()),
            record.new.status.as_str().into(),
            metadata.as_str().into(),
        ]);
    }
    let number = records.len().checked_sub(1);
    let Some(statement) = number.and_then(|number| INSERTS.get(number)) else { return Ok(()) };
    match db.execute(&statement.with(arguments)).await {
        Ok(_) => Ok(()),
        // the first run stored them, and its answer was lost
        Err(error) if error.is_duplicate() && db.attempt() > 1 => Ok(()),
        Err(error) => Err(error),
    }
}

/// The columns that a new row is given, in the order of its arguments.
const WRITTEN: [Backups; 7] = [
    Backups::Id,
    Backups::ProjectId,
    Backups::CreatedAt,
    Backups::UserId,
    Backups::JobId,
    Backups::Status,
    Backups::BackupMetadata,
];

fn insert<const N: usize>(dialect: Dialect) -> (String, SqlxValues) {
    let mut insert = Query::insert();
    insert.into_table(Backups::Table).columns(WRITTEN.into_iter().chain([Backups::Deleted]));
    for row in 0..N {
        let arguments = (0..WRITTEN.len()).map(|column| argument(row * WRITTEN.len() + column));
        insert.values_panic(arguments.chain([false.into()]));
    }
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

impl listing::Document for Backup {}

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
