//! Removes rows that were deleted long ago: `db purge`.
//!
//! The service only marks rows as deleted. This command removes them in batches of one transaction each,
//! along the primary key. It can be interrupted at any time and run again, and it does not block a running
//! service. Rows stay as long as other rows refer to them, so tables are processed in the order of
//! [`PURGED_TABLES`].

use std::collections::HashSet;
use std::time::Duration;

use sea_query::{Alias, Condition, Expr, ExprTrait, Order, Query};

use crate::additions::Indexes;
use crate::clock::Timestamp;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::query::{action_terms, idempotency};
use crate::{Store, read, single, transaction};

/// The tables, those that refer to others first.
pub const PURGED_TABLES: [&str; 8] = [
    "job_actions",
    "user_credentials",
    "action_reports",
    "jobs",
    "actions",
    "sessions",
    "clients",
    "backups",
];

/// The table of keys of repeated requests. It is purged too, but its rows are kept for a day, independent of
/// `before`.
const KEYS: &str = crate::migrations::KEYS;

/// Returns the columns that contain ids of a table: (table, column).
fn referrers(table: &str) -> &'static [(&'static str, &'static str)] {
    match table {
        "jobs" => &[("job_actions", "job_id"), ("user_credentials", "job_id")],
        // A report has the id of its action.
        "actions" => &[("job_actions", "action_id"), ("action_reports", "id")],
        _ => &[],
    }
}

/// The rows to remove, and how to remove them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// Rows deleted before this time are removed. If a row has no time of deletion, its last change counts,
    /// otherwise its creation. A row without any time stays.
    pub before: Timestamp,
    /// The present time.
    pub now: Timestamp,
    /// The tables of [`PURGED_TABLES`] to purge. Empty: all.
    pub tables: Vec<String>,
    /// Maximum number of rows in a transaction.
    pub batch: u64,
    /// Pause between two transactions, for replicas and other users.
    pub pause: Duration,
    /// Only count the rows.
    pub dry_run: bool,
}

/// The progress for a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// The table.
    pub table: &'static str,
    /// Rows removed.
    pub removed: u64,
    /// Old rows that stay, because another row still refers to them.
    pub kept: u64,
}

impl Store {
    /// Removes rows that were deleted long ago. Calls `progress` after each batch. Returns the result for
    /// each table.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the tables do not have the layout of this release. After an error, removed
    /// rows stay removed, and the next run continues.
    pub async fn purge(
        &self,
        purge: &Purge,
        mut progress: impl FnMut(Purged),
    ) -> Result<Vec<Purged>, StoreError> {
        self.check_schema().await?;
        let store = self.patient();
        let mut all = Vec::new();
        for table in PURGED_TABLES.into_iter().filter(|table| purge.includes(table)) {
            let mut done = Purged { table, removed: 0, kept: 0 };
            let mut after = None;
            loop {
                // Outside the transaction, because this may read many live rows.
                let select = purge.candidates(store.dialect(), table, after.as_deref());
                let ids = read!(store, "purge.candidates", |db| db.read::<String>(&select).await)?;
                let Some(last) = ids.last().cloned() else { break };
                let removed = if purge.dry_run {
                    read!(store, "purge.count", |db| purge.count(db, table, &ids).await)?
                } else {
                    // In a transaction, although only one statement changes rows, because the count must be
                    // right.
                    transaction!(store, "purge.batch", |db| purge.batch(db, table, &ids).await)?
                };
                let found = ids.len() as u64;
                done.removed += removed;
                done.kept += found.saturating_sub(removed);
                after = Some(last);
                progress(done);
                if found < purge.batch {
                    break;
                }
                if !purge.pause.is_zero() {
                    tokio::time::sleep(purge.pause).await;
                }
            }
            all.push(done);
        }
        if purge.tables.is_empty() {
            all.extend(store.purge_keys(purge, &mut progress).await?);
        }
        Ok(all)
    }

    /// Removes the keys of repeated requests whose answers have expired.
    async fn purge_keys(
        &self,
        purge: &Purge,
        progress: &mut impl FnMut(Purged),
    ) -> Result<Option<Purged>, StoreError> {
        let has_keys: Result<bool, StoreError> =
            read!(self, "purge.keys", |db| db.has_indexes(Indexes::Keys).await);
        if !has_keys? {
            return Ok(None);
        }
        let mut done = Purged { table: KEYS, removed: 0, kept: 0 };
        let mut after: Option<String> = None;
        let before = purge.now.0.saturating_sub(idempotency::KEPT_FOR);
        loop {
            let ids = read!(self, "purge.keys", |db| {
                idempotency::expired(db, before, after.as_deref(), purge.batch).await
            })?;
            let Some(last) = ids.last().cloned() else { return Ok(Some(done)) };
            done.removed += match purge.dry_run {
                true => ids.len() as u64,
                false => single!(self, "purge.keys", |db| idempotency::remove(db, &ids, before).await)?,
            };
            after = Some(last);
            progress(done);
            if !purge.pause.is_zero() {
                tokio::time::sleep(purge.pause).await;
            }
        }
    }
}

impl Purge {
    fn includes(&self, table: &str) -> bool {
        self.tables.is_empty() || self.tables.iter().any(|wanted| wanted == table)
    }

    /// Returns the condition for rows that were deleted long enough ago.
    fn is_old(&self, dialect: Dialect) -> Condition {
        let limit = dialect.datetime(self.before);
        let time = |name: &'static str| Expr::col(Alias::new(name));
        let before = |name| time(name).lt(limit.as_str());
        let undated = |name| time(name).is_null();
        Condition::all().add(Expr::col(Alias::new("deleted")).eq(true)).add(
            Condition::any()
                .add(before("deleted_at"))
                .add(Condition::all().add(undated("deleted_at")).add(before("updated_at")))
                .add(
                    Condition::all()
                        .add(undated("deleted_at"))
                        .add(undated("updated_at"))
                        .add(before("created_at")),
                ),
        )
    }

    /// Selects the next ids that are old enough.
    fn candidates(&self, dialect: Dialect, table: &str, after: Option<&str>) -> sea_query::SelectStatement {
        let id = || Alias::new("id");
        let mut select = Query::select();
        select.column(id()).from(Alias::new(table)).cond_where(self.is_old(dialect));
        select.order_by(id(), Order::Asc).limit(self.batch);
        if let Some(after) = after {
            select.and_where(Expr::col(id()).gt(after));
        }
        select
    }

    /// Removes those of `ids` without references.
    async fn batch(&self, db: &mut Db, table: &'static str, ids: &[String]) -> Result<u64, StoreError> {
        let mut free = ids.to_vec();
        for (from, column) in referrers(table) {
            free = unreferenced(db, free, |ids| references(from, column, ids)).await?;
        }
        if free.is_empty() {
            return Ok(0);
        }
        let free: Vec<&str> = free.iter().map(String::as_str).collect();
        if table == "actions" && db.has_action_terms().await? {
            action_terms::remove(db, &free).await?;
        }
        let mut delete = Query::delete();
        delete
            .from_table(Alias::new(table))
            .and_where(Expr::col(Alias::new("id")).is_in(free))
            // Checked again, because the row may have been restored since its id was read.
            .cond_where(self.is_old(db.dialect()));
        db.execute(&delete).await
    }

    /// Returns how many of `ids` [`Purge::batch`] would remove after the preceding tables.
    async fn count(&self, db: &mut Db, table: &'static str, ids: &[String]) -> Result<u64, StoreError> {
        let (mut free, dialect) = (ids.to_vec(), db.dialect());
        for (from, column) in referrers(table) {
            let staying = |ids: &[String]| {
                let mut stays = references(from, column, ids);
                if self.includes(from) {
                    let mut goes = references(from, column, ids);
                    goes.clear_selects().column(Alias::new("id")).cond_where(self.is_old(dialect));
                    stays.and_where(Expr::col(Alias::new("id")).not_in_subquery(goes));
                }
                stays
            };
            free = unreferenced(db, free, staying).await?;
        }
        Ok(free.len() as u64)
    }
}

/// Returns those of `ids` for which `referring` selects no row. The database compares them, because it also regards ids as equal
/// that differ in case, in accents or in spaces at the end, depending on the collation of the referring column.
async fn unreferenced(
    db: &mut Db,
    ids: Vec<String>,
    referring: impl Fn(&[String]) -> sea_query::SelectStatement,
) -> Result<Vec<String>, StoreError> {
    let referred: HashSet<String> = db.read::<String>(&referring(&ids)).await?.into_iter().collect();
    let exact = ids.iter().filter(|id| referred.contains(*id)).count();
    let others = ids.into_iter().filter(|id| !referred.contains(id));
    if exact == referred.len() {
        return Ok(others.collect());
    }
    // This is rare: a reference differs from its id, so each of the other ids is looked up.
    let mut free = Vec::new();
    for id in others {
        if db.read::<String>(referring(std::slice::from_ref(&id)).limit(1)).await?.is_empty() {
            free.push(id);
        }
    }
    Ok(free)
}

/// Selects `column` of the rows that contain one of `ids` in it. This is not a join, because tables of
/// different releases can have collations that MySQL does not compare.
fn references(table: &str, column: &str, ids: &[String]) -> sea_query::SelectStatement {
    let column = || Alias::new(column);
    let mut select = Query::select();
    select
        .column(column())
        .from(Alias::new(table))
        .and_where(Expr::col(column()).is_in(ids.iter().map(String::as_str)));
    select
}
