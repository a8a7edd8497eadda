//! Moves `backups.user_name` into the metadata of the backup, under the same name.

use sea_query::{Expr, ExprTrait, Iden, Order, Query};
use serde_json::{Map, Value};

use super::leftovers::{Kept, LeftoverColumn};
use super::{BATCH, BatchResult, Unmoved};
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;

/// The table of older releases, with the column that is dropped.
#[derive(Iden, Clone, Copy)]
#[iden = "backups"]
enum BackupsWithUserName {
    Table,
    Id,
    UserName,
    BackupMetadata,
}

/// The leftovers of names that the metadata cannot take.
pub(in crate::migrations) const COLUMN: LeftoverColumn =
    LeftoverColumn { table: "backups", column: "user_name" };

/// A backup with its user name and metadata.
struct NamedBackup {
    id: String,
    name: String,
    metadata: Option<String>,
}

/// The destination of a name.
enum NameDestination {
    /// The metadata already contain it.
    There,
    /// It is added to the metadata, with this result.
    Metadata(Map<String, Value>),
    /// The metadata cannot take it.
    Leftovers,
}

/// Moves one batch after the row `after`.
pub(in crate::migrations) async fn batch(
    db: &mut Db,
    after: Option<&str>,
) -> Result<Option<BatchResult>, StoreError> {
    let rows = read(db, after).await?;
    let Some(last) = rows.last().map(|row| row.id.clone()) else { return Ok(None) };
    let there = COLUMN.of(db, rows.iter().map(|row| row.id.as_str())).await?;
    let mut done = BatchResult::new(last, rows.len() as u64);
    for row in &rows {
        let wanted = match destination(row) {
            NameDestination::There => None,
            NameDestination::Metadata(metadata) => {
                let mut update = Query::update();
                update
                    .table(BackupsWithUserName::Table)
                    .value(BackupsWithUserName::BackupMetadata, json::to_text(&metadata))
                    .and_where(Expr::col(BackupsWithUserName::Id).eq(row.id.as_str()));
                db.execute(&update).await?;
                None
            }
            NameDestination::Leftovers => {
                done.kept += Kept::ONE;
                Some(row.name.as_str())
            }
        };
        if there.get(&row.id).map(String::as_str) != wanted {
            COLUMN.set(db, &row.id, wanted).await?;
        }
    }
    Ok(Some(done))
}

/// Finds the rows of one batch whose name is nowhere else.
pub(super) async fn unmoved(
    db: &mut Db,
    after: Option<&str>,
    unmoved: &mut Unmoved,
) -> Result<Option<String>, StoreError> {
    let rows = read(db, after).await?;
    let kept = COLUMN.of(db, rows.iter().map(|row| row.id.as_str())).await?;
    for row in &rows {
        if !matches!(destination(row), NameDestination::There) && kept.get(&row.id) != Some(&row.name) {
            unmoved.add(&row.id);
        }
    }
    Ok(rows.last().map(|row| row.id.clone()))
}

/// Returns the rows of one batch whose name the metadata cannot take.
pub(in crate::migrations) async fn unmovable(
    db: &mut Db,
    after: Option<&str>,
) -> Result<Option<(String, Vec<String>)>, StoreError> {
    let rows = read(db, after).await?;
    let Some(last) = rows.last().map(|row| row.id.clone()) else { return Ok(None) };
    let ids = rows
        .into_iter()
        .filter(|row| matches!(destination(row), NameDestination::Leftovers))
        .map(|row| row.id);
    Ok(Some((last, ids.collect())))
}

async fn read(db: &mut Db, after: Option<&str>) -> Result<Vec<NamedBackup>, StoreError> {
    let mut select = Query::select();
    select
        .columns([
            BackupsWithUserName::Id,
            BackupsWithUserName::UserName,
            BackupsWithUserName::BackupMetadata,
        ])
        .from(BackupsWithUserName::Table)
        .and_where(Expr::col(BackupsWithUserName::UserName).is_not_null())
        .and_where(Expr::col(BackupsWithUserName::UserName).ne(""))
        .order_by(BackupsWithUserName::Id, Order::Asc)
        .limit(BATCH);
    if let Some(after) = after {
        select.and_where(Expr::col(BackupsWithUserName::Id).gt(after));
    }
    let rows = db.read::<(String, String, Option<String>)>(&select).await?;
    Ok(rows.into_iter().map(|(id, name, metadata)| NamedBackup { id, name, metadata }).collect())
}

fn destination(row: &NamedBackup) -> NameDestination {
    let place = json::StoredField { table: "backups", column: "backup_metadata", id: &row.id };
    let Ok(mut metadata) = json::object_strict(row.metadata.as_deref(), place) else {
        return NameDestination::Leftovers;
    };
    match metadata.get("user_name") {
        Some(Value::String(there)) if *there == row.name => NameDestination::There,
        Some(there) if !there.is_null() => NameDestination::Leftovers,
        _ => {
            metadata.insert("user_name".to_owned(), row.name.as_str().into());
            NameDestination::Metadata(metadata)
        }
    }
}
