//! Queries on `backups`: the catalogue. Lists of it are `list.rs`.

mod list;

pub use list::list;

use sea_query::{Expr, ExprTrait, LockType, Query, SelectStatement};
use sea_query_sqlx::SqlxValues;

use super::listing;
use super::{Table, Values, table, unreadable};
use crate::clock::Timestamp;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, Place};
use crate::model::{Backup, NewBackup};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::terms;
use crate::statement::{Argument, Fixed, argument};
use crate::tables::Backups;

const TABLE: Table<Backups> = table!("backups", Backups);

/// Columns behind (created_at, id), in the order in which [`read`] takes them.
const COLUMNS: [Backups; 4] = [Backups::ProjectId, Backups::UserId, Backups::Status, Backups::BackupMetadata];

/// What is stored beside the metadata, where the table has it: every statement that writes the metadata writes these.
const TERMS: [Backups; 4] =
    [Backups::FzSearchTerms, Backups::FzSearchCrc, Backups::FzTime, Backups::FzTimeCrc];

/// One backup of the scope.
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn get(db: &mut Db, scope: &Scope, backup_id: &str) -> Result<Option<Backup>, StoreError> {
    let mut select = live(scope);
    select.and_where(Expr::col(Backups::Id).eq(backup_id));
    let row = db.select_one(&select).await?;
    row.map(|mut row| read(db.doing(), &mut row)).transpose()
}

/// State and metadata of one backup of the scope, locked until the transaction ends, with the id of the
/// user who recorded it.
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    backup_id: &str,
) -> Result<Option<NewBackup>, StoreError> {
    let mut select = live(scope);
    select.and_where(Expr::col(Backups::Id).eq(backup_id)).lock(LockType::Update);
    let Some(row) = db.select_one(&select).await? else { return Ok(None) };
    let at = unreadable(db.doing());
    let text = row.text(5).map_err(&at)?;
    let place = Place { table: "backups", column: "backup_metadata", id: backup_id };
    Ok(Some(NewBackup {
        status: row.string(4).map_err(&at)?,
        metadata: json::object_to_change(text.as_deref(), place),
    }))
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
pub const STORED_AT_ONCE: usize = 16;

/// Stores new backups, [`STORED_AT_ONCE`] at most: one statement, all or nothing, safe to run again because the ids are
/// the server's own.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn create(db: &mut Db, records: &[Record]) -> Result<(), StoreError> {
    let with_terms = db.has_terms().await?;
    let (inserts, width) = match with_terms {
        true => (&INSERTS_WITH_TERMS, WRITTEN.len() + TERMS.len()),
        false => (&INSERTS, WRITTEN.len()),
    };
    let texts: Vec<(String, String)> = records
        .iter()
        .map(|record| (db.dialect().datetime(record.now), json::to_text(&record.new.metadata)))
        .collect();
    let terms: Vec<_> = match with_terms {
        true => {
            texts.iter().zip(records).map(|((_, text), r)| terms::stored(&r.new.metadata, text)).collect()
        }
        false => Vec::new(),
    };
    let mut arguments = Vec::with_capacity(records.len() * width);
    for (at, (record, (stamp, metadata))) in records.iter().zip(&texts).enumerate() {
        arguments.extend([
            Argument::from(record.backup_id.as_str()),
            record.project_id.as_str().into(),
            stamp.as_str().into(),
            record.user_id.as_str().into(),
            Argument::Text(record.new.job_id()),
            record.new.status.as_str().into(),
            metadata.as_str().into(),
        ]);
        if let Some(stored) = terms.get(at) {
            let crc = Argument::Number(stored.crc.into());
            arguments.extend([
                Argument::Bytes(stored.terms.as_deref()),
                crc,
                Argument::Signed(stored.time),
                crc,
            ]);
        }
    }
    let number = records.len().checked_sub(1);
    let Some(statement) = number.and_then(|number| inserts.get(number)) else { return Ok(()) };
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

/// A statement for each number of rows.
macro_rules! inserts {
    ($columns:expr; $($rows:literal)*) => {
        [$(Fixed::new(|dialect| insert(dialect, $rows, $columns))),*]
    };
}
static INSERTS: [Fixed; STORED_AT_ONCE] = inserts!(&[]; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
static INSERTS_WITH_TERMS: [Fixed; STORED_AT_ONCE] = inserts!(&TERMS; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);

/// `more`: columns that not all tables have.
fn insert(dialect: Dialect, rows: usize, more: &[Backups]) -> (String, SqlxValues) {
    let columns: Vec<Backups> = WRITTEN.iter().chain(more).copied().collect();
    let mut insert = Query::insert();
    insert.into_table(Backups::Table).columns(columns.iter().copied().chain([Backups::Deleted]));
    for row in 0..rows {
        let arguments = (0..columns.len()).map(|column| argument(row * columns.len() + column));
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
        let [terms, crc, time, time_crc] = TERMS;
        values.extend([
            (terms, Expr::value(stored.terms)),
            (crc, stored.crc.into()),
            (time, stored.time.into()),
            (time_crc, stored.crc.into()),
        ]);
    }
    values.push((Backups::BackupMetadata, metadata.into()));
    values
}

impl listing::Document for Backup {}

fn live(scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    select
        .column(Backups::CreatedAt)
        .column(Backups::Id)
        .columns(COLUMNS)
        .from(Backups::Table)
        .and_where(Expr::col(Backups::Deleted).eq(false))
        .cond_where(scope.holds(Backups::ProjectId));
    select
}

fn read(doing: &'static str, row: &mut Row) -> Result<Backup, StoreError> {
    let at = unreadable(doing);
    let backup_id = row.take_string(listing::ID).map_err(&at)?;
    let metadata = row.take_text(5).map_err(&at)?;
    let place = Place { table: "backups", column: "backup_metadata", id: &backup_id };
    Ok(Backup {
        project_id: row.take_string(2).map_err(&at)?,
        user_id: row.take_string(3).map_err(&at)?,
        status: row.take_string(4).map_err(&at)?,
        backup_metadata: json::raw_object(metadata, place),
        backup_id,
    })
}
