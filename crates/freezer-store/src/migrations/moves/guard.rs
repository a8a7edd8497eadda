//! Finds the rows whose value in a column is nowhere else, before this column is dropped. Every column that an
//! upgrade drops must pass this check. If this file does not know a column, it must not contain any values.

use sea_query::{Alias, Expr, ExprTrait, Order, Query};

use super::renamed::RENAMED;
use super::{Unmoved, job_actions, renamed, user_names};
use crate::error::StoreError;
use crate::exec::Db;
use crate::{Store, read};

/// Finds rows whose value in a column is in no other place.
pub(in crate::migrations) async fn unmoved(
    store: &Store,
    table: &'static str,
    column: &'static str,
) -> Result<Unmoved, StoreError> {
    let mut found = Unmoved::default();
    let mut after: Option<String> = None;
    loop {
        let looked: Result<(Option<String>, Unmoved), StoreError> = read!(store, "schema.guard", |db| {
            let mut found = Unmoved::default();
            let last = batch(db, table, column, after.as_deref(), &mut found).await?;
            Ok((last, found))
        });
        let (last, some) = looked?;
        found.join(some);
        if last.is_none() {
            return Ok(found);
        }
        after = last;
    }
}

async fn batch(
    db: &mut Db,
    table: &'static str,
    column: &'static str,
    after: Option<&str>,
    found: &mut Unmoved,
) -> Result<Option<String>, StoreError> {
    if let Some(of) = RENAMED.into_iter().find(|of| (of.table, of.old) == (table, column)) {
        return renamed::unmoved(db, of, after, found).await;
    }
    match (table, column) {
        ("jobs", "job_actions") => job_actions::unmoved(db, after, found).await,
        ("backups", "user_name") => user_names::unmoved(db, after, found).await,
        _ => values(db, table, column, after, found).await,
    }
}

/// Finds the rows that have a value in the column.
async fn values(
    db: &mut Db,
    table: &str,
    column: &str,
    after: Option<&str>,
    found: &mut Unmoved,
) -> Result<Option<String>, StoreError> {
    let id = || Alias::new("id");
    let mut select = Query::select();
    select
        .column(id())
        .from(Alias::new(table))
        .and_where(Expr::col(Alias::new(column)).is_not_null())
        .order_by(id(), Order::Asc)
        .limit(super::BATCH);
    if let Some(after) = after {
        select.and_where(Expr::col(id()).gt(after));
    }
    let ids = db.read::<String>(&select).await?;
    for id in &ids {
        found.add(id);
    }
    Ok(ids.last().cloned())
}
