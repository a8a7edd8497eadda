//! The values that upgrades could not move: the rows of `freezer_leftovers`, for `db leftovers`.

use sea_query::{Alias, Condition, Expr, ExprTrait, Order, Query};
use serde::Serialize;

use crate::error::StoreError;
use crate::exec::Db;
use crate::{Store, read};

/// Rows of a batch. A value may have 16 MiB.
const BATCH: u64 = 50;

const TABLE: &str = "freezer_leftovers";

/// A row. The names of the fields are the keys of `db leftovers --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// Table of the value.
    pub table: String,
    /// Primary key of its row.
    pub row: String,
    /// Its column.
    pub column: String,
    /// The value.
    pub value: String,
}

impl Store {
    /// Passes each row to `each`, in the order of tables, rows and columns. There are none if no upgrade kept
    /// a value.
    ///
    /// # Errors
    /// Those of the store and of `each`.
    pub async fn leftovers<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(Leftover) -> Result<(), E>,
    ) -> Result<(), E> {
        let store = self.patient();
        store.schema_state().await?;
        store.refuse_foreign().await?;
        let there: Result<_, StoreError> = read!(store, "leftovers.tables", |db| db.tables().await);
        if there?.table(TABLE).is_none() {
            return Ok(());
        }
        let mut after: Option<Leftover> = None;
        loop {
            let batch: Result<Vec<Leftover>, StoreError> =
                read!(store, "leftovers.list", |db| batch(db, after.as_ref()).await);
            let batch = batch?;
            let Some(last) = batch.last().cloned() else { return Ok(()) };
            batch.into_iter().try_for_each(&mut each)?;
            after = Some(last);
        }
    }
}

/// Returns the rows after `after`.
async fn batch(db: &mut Db, after: Option<&Leftover>) -> Result<Vec<Leftover>, StoreError> {
    let columns = ["table_name", "row_id", "column_name"];
    let mut select = Query::select();
    select.columns(columns.map(Alias::new)).column(Alias::new("value")).from(Alias::new(TABLE)).limit(BATCH);
    for column in columns {
        select.order_by(Alias::new(column), Order::Asc);
    }
    if let Some(Leftover { table, row, column, .. }) = after {
        let place = columns.into_iter().zip([table, row, column]).collect::<Vec<_>>();
        let mut behind = Condition::any();
        for (at, (name, value)) in place.iter().enumerate() {
            let mut condition = Condition::all().add(Expr::col(Alias::new(*name)).gt(value.as_str()));
            for (name, value) in &place[..at] {
                condition = condition.add(Expr::col(Alias::new(*name)).eq(value.as_str()));
            }
            behind = behind.add(condition);
        }
        select.cond_where(behind);
    }
    let rows = db.read::<(String, String, String, String)>(&select).await?;
    let leftover = |(table, row, column, value)| Leftover { table, row, column, value };
    Ok(rows.into_iter().map(leftover).collect())
}
