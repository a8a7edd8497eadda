//! Queries on `backups`: the catalogue. `list.rs` has its lists.

mod list;

pub use list::list;

use sea_query::{Expr, ExprTrait, LockType, Query};
use sea_query_sqlx::SqlxValues;

use super::listing;
use super::within::{check_tree, read_within};
use super::{TableColumns, Values, table_columns};
use crate::additions::Indexes;
use crate::clock::Timestamp;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::model::{Backup, NewBackup};
use crate::scope::Scope;
use crate::search::terms;
use crate::statement::{Argument, Fixed, argument};
use crate::tables::{Backups, Column, StoredBackup};

const TABLE: TableColumns<Backups> = table_columns!(Backups);

/// The columns whose size is unlimited.
const TEXTS: &[Backups] = &[Backups::BackupMetadata];

/// The columns that are computed from the metadata, if the table has them. Every statement that writes the
/// metadata must write them.
const TERMS: [Backups; 4] =
    [Backups::FzSearchTerms, Backups::FzSearchCrc, Backups::FzTime, Backups::FzTimeCrc];

const TERMS_AND_IDENTITY: [Backups; 5] = {
    let [terms, crc, time, time_crc] = TERMS;
    [terms, crc, time, time_crc, Backups::FzIdentity]
};

/// Returns a backup of the scope.
pub async fn get(db: &mut Db, scope: &Scope, backup_id: &str) -> Result<Option<Backup>, StoreError> {
    let mut select = TABLE.live::<StoredBackup>(TABLE.in_scope(scope));
    select.and_where(Expr::col(Backups::Id).eq(backup_id));
    let stored = read_within::<StoredBackup, _>(db, &select, ("backup", backup_id), TEXTS).await?;
    Ok(stored.map(Backup::from))
}

/// Returns state and metadata of a backup of the scope with the id of the user that recorded it. The row is
/// locked until the transaction ends.
pub async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    backup_id: &str,
) -> Result<Option<NewBackup>, StoreError> {
    let mut select = TABLE.live::<StoredBackup>(TABLE.in_scope(scope));
    select.and_where(Expr::col(Backups::Id).eq(backup_id)).lock(LockType::Update);
    let stored = read_within::<StoredBackup, _>(db, &select, ("backup", backup_id), TEXTS).await?;
    let Some(row) = stored else { return Ok(None) };
    check_tree(db.doing(), db.tree_limit(), ("backup", backup_id), &[row.metadata.as_deref()])?;
    let place = Backups::BackupMetadata.of_row(&row.backup_id);
    Ok(Some(NewBackup { status: row.status, metadata: json::tree_to_change(row.metadata, place).await }))
}

/// A backup to store.
#[derive(Debug, Clone)]
pub struct Record {
    /// Primary key, created for this record.
    pub backup_id: String,
    /// Owner.
    pub project_id: String,
    /// The user that records it.
    pub user_id: String,
    /// State and metadata.
    pub new: NewBackup,
    /// The time of the request.
    pub now: Timestamp,
    /// Identifies the backup if it is reported again. `None`: it cannot be reported again.
    pub identity: Option<Identity>,
}

/// Detects a backup that is reported again.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Hash of the identifying properties, 16 bytes.
    pub hash: Vec<u8>,
    /// Age limit of a stored backup with the same identity, in seconds.
    pub window: i64,
}

/// Maximum number of records of one statement. Each number of records is a separate statement.
pub const STORED_AT_ONCE: usize = 16;

/// Stores up to [`STORED_AT_ONCE`] new backups and returns their ids. This is one statement, which stores all
/// or none. It is safe to run again, because the server created the ids. If a single backup was stored
/// already, its stored id is returned.
///
/// # Errors
/// The error is a duplicate if one of several backups was stored already.
pub async fn create(db: &mut Db, records: &[Record]) -> Result<Vec<String>, StoreError> {
    let ids = || records.iter().map(|record| record.backup_id.clone()).collect();
    for _ in 0..REPEATS {
        match insert_all(db, records).await {
            Ok(()) => return Ok(ids()),
            Err(error) if error.is_duplicate() => {
                if are_stored(db, records).await? {
                    // An earlier run stored them, or an earlier attempt of the request, and its answer was lost.
                    return Ok(ids());
                }
                let [record] = records else { return Err(error) };
                let Some(identity) = &record.identity else { return Err(error) };
                if let Some(stored) = repeated(db, record, identity).await? {
                    return Ok(vec![stored]);
                }
            }
            Err(error) => return Err(error),
        }
    }
    let Some(record) = records.first() else { return Ok(Vec::new()) };
    Err(StoreError::Duplicate { table: "backups", id: record.backup_id.clone() })
}

/// Maximum number of attempts if backups with the same identity appear and disappear.
const REPEATS: u32 = 3;

/// Returns whether the rows of all records exist.
async fn are_stored(db: &mut Db, records: &[Record]) -> Result<bool, StoreError> {
    let ids = records.iter().map(|record| record.backup_id.as_str());
    let mut select = Query::select();
    select.column(Backups::Id).from(Backups::Table).and_where(Expr::col(Backups::Id).is_in(ids));
    Ok(db.select(&select).await?.len() == records.len())
}

/// Returns the id of a live backup with this identity inside the record's time window. Removes the identity
/// of an older or deleted one.
async fn repeated(db: &mut Db, record: &Record, identity: &Identity) -> Result<Option<String>, StoreError> {
    let since = db.dialect().datetime(Timestamp(record.now.0.saturating_sub(identity.window)));
    let is_same = || Expr::col(Backups::FzIdentity).eq(identity.hash.clone());
    let mut select = Query::select();
    select
        .column(Backups::Id)
        .expr(Expr::col(Backups::Deleted).eq(false).and(Expr::col(Backups::CreatedAt).gte(since)))
        .from(Backups::Table)
        .and_where(is_same());
    let Some((stored, counts)) = db.read_one::<(String, bool)>(&select).await? else { return Ok(None) };
    if counts || stored == record.backup_id {
        return Ok(Some(stored));
    }
    let mut update = Query::update();
    update
        .table(Backups::Table)
        .value(Backups::FzIdentity, Option::<Vec<u8>>::None)
        .and_where(Expr::col(Backups::Id).eq(stored))
        .and_where(is_same());
    db.execute(&update).await?;
    Ok(None)
}

async fn insert_all(db: &mut Db, records: &[Record]) -> Result<(), StoreError> {
    let with_terms = db.has_terms().await?;
    let with_identity = with_terms && db.has_indexes(Indexes::Identity).await?;
    let (inserts, width) = match (with_terms, with_identity) {
        (true, true) => (&INSERTS_WITH_IDENTITY, WRITTEN.len() + TERMS.len() + 1),
        (true, false) => (&INSERTS_WITH_TERMS, WRITTEN.len() + TERMS.len()),
        (false, _) => (&INSERTS, WRITTEN.len()),
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
        if with_identity {
            arguments
                .push(Argument::Bytes(record.identity.as_ref().map(|identity| identity.hash.as_slice())));
        }
    }
    let number = records.len().checked_sub(1);
    let Some(statement) = number.and_then(|number| inserts.get(number)) else { return Ok(()) };
    db.execute(&statement.with(arguments)).await.map(|_| ())
}

/// The columns of a new row, in the order of its arguments.
const WRITTEN: [Backups; 7] = [
    Backups::Id,
    Backups::ProjectId,
    Backups::CreatedAt,
    Backups::UserId,
    Backups::JobId,
    Backups::Status,
    Backups::BackupMetadata,
];

/// Returns a statement for each number of rows.
macro_rules! inserts {
    ($columns:expr; $($rows:literal)*) => {
        [$(Fixed::new(|dialect| insert(dialect, $rows, $columns))),*]
    };
}
static INSERTS: [Fixed; STORED_AT_ONCE] = inserts!(&[]; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
static INSERTS_WITH_TERMS: [Fixed; STORED_AT_ONCE] = inserts!(&TERMS; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
static INSERTS_WITH_IDENTITY: [Fixed; STORED_AT_ONCE] =
    inserts!(&TERMS_AND_IDENTITY; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);

/// Builds the statement. `more` are columns that not all tables have.
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

/// Replaces state and metadata of a backup. Returns false if the scope has no such backup.
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

/// Removes the identity of a backup whose document was changed, so that a repeated report of the original is
/// stored.
pub async fn forget_identity(db: &mut Db, scope: &Scope, backup_id: &str) -> Result<(), StoreError> {
    if !db.has_indexes(Indexes::Identity).await? {
        return Ok(());
    }
    let mut update = Query::update();
    update
        .table(Backups::Table)
        .value(Backups::FzIdentity, Option::<Vec<u8>>::None)
        .cond_where(TABLE.row_in(scope, backup_id, false));
    db.execute(&update).await.map(|_| ())
}

/// Deletes a backup from the catalogue. Returns false if the scope has no such backup.
pub async fn delete(db: &mut Db, scope: &Scope, backup_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    TABLE.delete(db, scope, backup_id, now).await
}

/// Returns the columns of a backup, and its terms if the table has them.
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

impl listing::ListedDocument for Backup {
    fn size(&self) -> usize {
        listing::KEYS + self.backup_metadata.get().len()
    }
}

impl From<StoredBackup> for Backup {
    fn from(row: StoredBackup) -> Backup {
        let place = Backups::BackupMetadata.of_row(&row.backup_id);
        Backup {
            backup_metadata: json::raw_object(row.metadata, place),
            project_id: row.project_id,
            user_id: row.user_id,
            status: row.status,
            backup_id: row.backup_id,
        }
    }
}
