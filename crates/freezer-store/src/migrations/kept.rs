//! Reads `freezer_leftovers`, and counts its values. An upgrade may have been interrupted, so the values of its earlier
//! runs count as well.

use sea_query::{Alias, Expr, Order, Query};

use super::moves::job_actions::{self, kept_values};
use super::moves::leftovers::{Kept, LeftoverColumn, TABLE};
use crate::error::StoreError;
use crate::exec::Db;
use crate::key_order;
use crate::{Store, read};

/// Rows of a batch. A value may have 16 MiB.
const BATCH: u64 = 50;

/// The columns of the primary key.
const KEY: [&str; 3] = ["table_name", "row_id", "column_name"];

impl Store {
    /// Counts all values that upgrades kept.
    ///
    /// # Errors
    /// As every query: [`StoreError`].
    pub async fn kept(&self) -> Result<Kept, StoreError> {
        kept_except(&self.patient(), &[]).await
    }
}

/// Counts the kept values of all columns except these.
pub(super) async fn kept_except(store: &Store, except: &[LeftoverColumn]) -> Result<Kept, StoreError> {
    let there = read!(store, "schema.kept", |db| db.tables().await)?;
    if there.table(TABLE).is_none() {
        return Ok(Kept::default());
    }
    let mut kept = Kept::default();
    let mut after: Option<[String; 3]> = None;
    loop {
        let rows: Result<Vec<[String; 4]>, StoreError> =
            read!(store, "schema.kept", |db| batch(db, after.as_ref()).await);
        let rows = rows?;
        for [table, _, column, value] in &rows {
            let is = |of: &LeftoverColumn| of.table == table && of.column == column;
            if !except.iter().any(is) {
                let values = if is(&job_actions::COLUMN) { kept_values(value) } else { 1 };
                kept += Kept { values, rows: 1 };
            }
        }
        let Some([table, row, column, _]) = rows.into_iter().next_back() else { return Ok(kept) };
        after = Some([table, row, column]);
    }
}

/// Returns the next rows after this key: the columns of the key, and the value.
pub(crate) async fn batch(db: &mut Db, after: Option<&[String; 3]>) -> Result<Vec<[String; 4]>, StoreError> {
    let column = |name: &str| Expr::col(Alias::new(name));
    let mut select = Query::select();
    select.columns(KEY.map(Alias::new)).column(Alias::new("value")).from(Alias::new(TABLE)).limit(BATCH);
    for name in KEY {
        select.order_by(Alias::new(name), Order::Asc);
    }
    if let Some(after) = after {
        let key = std::array::from_fn::<_, 3, _>(|at| (column(KEY[at]), Expr::value(after[at].as_str())));
        select.cond_where(key_order::after(db.dialect(), key));
    }
    db.read::<[String; 4]>(&select).await
}
