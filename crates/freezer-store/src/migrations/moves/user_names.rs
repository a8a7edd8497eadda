//! `backups.user_name` goes into the backup's metadata, under the same name.

use sea_query::{Expr, ExprTrait, Iden, Order, Query};

use super::{BATCH, leftovers};
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, Place};

/// The table as it was, with the column that goes.
#[derive(Iden, Clone, Copy)]
enum Backups {
    Table,
    Id,
    UserName,
    BackupMetadata,
}

/// Moves one batch behind the row `after`; gives the last row of it, and how many it had.
pub(in crate::migrations) async fn batch(
    db: &mut Db,
    after: Option<&str>,
) -> Result<Option<(String, u64)>, StoreError> {
    let mut select = Query::select();
    select
        .columns([Backups::Id, Backups::UserName, Backups::BackupMetadata])
        .from(Backups::Table)
        .and_where(Expr::col(Backups::UserName).is_not_null())
        .and_where(Expr::col(Backups::UserName).ne(""))
        .order_by(Backups::Id, Order::Asc)
        .limit(BATCH);
    if let Some(after) = after {
        select.and_where(Expr::col(Backups::Id).gt(after));
    }
    let rows = db.select(&select).await?;
    let at = |error| StoreError::from_driver("schema.move_user_names", error);
    let mut last = None;
    for row in &rows {
        let id = row.string(0).map_err(at)?;
        let name = row.string(1).map_err(at)?;
        let text = row.text(2).map_err(at)?;
        move_one(db, &id, &name, text.as_deref()).await?;
        last = Some(id);
    }
    Ok(last.map(|id| (id, rows.len() as u64)))
}

async fn move_one(db: &mut Db, id: &str, name: &str, text: Option<&str>) -> Result<(), StoreError> {
    let place = Place { table: "backups", column: "backup_metadata", id };
    let Ok(mut metadata) = json::object_strict(text, place) else {
        return leftovers::keep(db, "backups", id, "user_name", name).await;
    };
    match metadata.get("user_name").and_then(serde_json::Value::as_str) {
        Some(there) if there == name => return Ok(()),
        Some(_) => return leftovers::keep(db, "backups", id, "user_name", name).await,
        None => drop(metadata.insert("user_name".to_owned(), name.into())),
    }
    let mut update = Query::update();
    update
        .table(Backups::Table)
        .value(Backups::BackupMetadata, json::to_text(&metadata))
        .and_where(Expr::col(Backups::Id).eq(id));
    db.execute(&update).await.map(|_| ())
}
