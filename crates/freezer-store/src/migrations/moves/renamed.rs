//! Handles columns that exist under two names. The value of the new column is used, because later releases read
//! it. If the value of the old column differs, it is kept in `freezer_leftovers`.

use sea_query::{Alias, Expr, ExprTrait, Order, Query};

use super::leftovers::{Kept, LeftoverColumn};
use super::{BATCH, BatchResult, Unmoved};
use crate::error::StoreError;
use crate::exec::Db;

/// A column with its two names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenamedColumn {
    /// The table.
    pub table: &'static str,
    /// The old name.
    pub old: &'static str,
    /// The name at head.
    pub new: &'static str,
}

/// Columns whose name changed.
pub(in crate::migrations) const RENAMED: [RenamedColumn; 2] = [
    RenamedColumn { table: "actions", old: "mode", new: "actionmode" },
    RenamedColumn { table: "actions", old: "src_file", new: "path_to_backup" },
];

/// A row whose old value differs from the new one: id, old and new value.
type Differing = (String, String, Option<String>);

/// Keeps the differing values of one batch after the row `after`.
pub(in crate::migrations) async fn batch(
    db: &mut Db,
    of: RenamedColumn,
    after: Option<&str>,
) -> Result<Option<BatchResult>, StoreError> {
    let Some((last, rows, differing)) = read(db, of, after).await? else { return Ok(None) };
    let mut done = BatchResult::new(last, rows);
    let column = LeftoverColumn { table: of.table, column: of.old };
    for (id, old, _) in &differing {
        column.set(db, id, Some(old)).await?;
        done.kept += Kept::ONE;
    }
    Ok(Some(done))
}

/// Finds the rows of one batch whose old value is nowhere else.
pub(super) async fn unmoved(
    db: &mut Db,
    of: RenamedColumn,
    after: Option<&str>,
    unmoved: &mut Unmoved,
) -> Result<Option<String>, StoreError> {
    let Some((last, _, differing)) = read(db, of, after).await? else { return Ok(None) };
    let column = LeftoverColumn { table: of.table, column: of.old };
    let kept = column.of(db, differing.iter().map(|(id, ..)| id.as_str())).await?;
    for (id, old, new) in &differing {
        if new.is_none() || kept.get(id) != Some(old) {
            unmoved.add(id);
        }
    }
    Ok(Some(last))
}

/// Returns the rows of one batch whose old value a sync will keep.
pub(in crate::migrations) async fn differing(
    db: &mut Db,
    of: RenamedColumn,
    after: Option<&str>,
) -> Result<Option<(String, Vec<String>)>, StoreError> {
    let Some((last, _, differing)) = read(db, of, after).await? else { return Ok(None) };
    // If the new column is empty, the old value is moved there.
    let ids = differing.into_iter().filter(|(.., new)| new.is_some()).map(|(id, ..)| id).collect();
    Ok(Some((last, ids)))
}

async fn read(
    db: &mut Db,
    of: RenamedColumn,
    after: Option<&str>,
) -> Result<Option<(String, u64, Vec<Differing>)>, StoreError> {
    let (id, old, new) = (|| Alias::new("id"), || Alias::new(of.old), || Alias::new(of.new));
    let mut select = Query::select();
    select
        .columns([id(), old(), new()])
        .from(Alias::new(of.table))
        .and_where(Expr::col(old()).is_not_null())
        .and_where(Expr::col(old()).ne(""))
        .order_by(id(), Order::Asc)
        .limit(BATCH);
    if let Some(after) = after {
        select.and_where(Expr::col(id()).gt(after));
    }
    let rows = db.read::<(String, String, Option<String>)>(&select).await?;
    let (mut last, mut differing) = (None, Vec::new());
    let count = rows.len() as u64;
    for (id, old, new) in rows {
        last = Some(id.clone());
        if new.as_deref() != Some(&old) {
            differing.push((id, old, new));
        }
    }
    Ok(last.map(|last| (last, count, differing)))
}
