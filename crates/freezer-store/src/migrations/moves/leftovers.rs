//! `freezer_leftovers` keeps values of the old layout that the new one cannot store, such as text that is not
//! valid JSON. No query of the service reads this table. It only ensures that no value is lost, and it is
//! created when it is needed.
//!
//! While the old column exists, each run replaces its rows here. If a backup of the database was restored after
//! an earlier upgrade, outdated rows are removed.

use std::collections::HashMap;

use sea_query::{Alias, Condition, Expr, ExprTrait, Iden, Order, Query};

use super::BATCH;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::schema::ColumnKind;

/// Name of the leftovers table.
pub(crate) const TABLE: &str = "freezer_leftovers";

#[derive(Iden, Clone, Copy)]
enum FreezerLeftovers {
    Table,
    TableName,
    RowId,
    ColumnName,
    Value,
}

/// Number of values and rows that a batch kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// Values. Each entry of a list counts.
    pub values: u64,
    /// Rows of `freezer_leftovers`.
    pub rows: u64,
}

impl std::ops::AddAssign for Kept {
    fn add_assign(&mut self, other: Kept) {
        self.values += other.values;
        self.rows += other.rows;
    }
}

impl Kept {
    pub(in crate::migrations) const ONE: Kept = Kept { values: 1, rows: 1 };
}

/// A column whose values may be in this table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::migrations) struct LeftoverColumn {
    pub(in crate::migrations) table: &'static str,
    pub(in crate::migrations) column: &'static str,
}

/// Width of `row_id` on MySQL, in bytes: 255 characters of utf8mb4.
pub(in crate::migrations) const ROW_ID_BYTES: u32 = 1020;

/// Returns the type of `row_id`. It must distinguish all ids that any collation distinguishes, also those that differ
/// in case, accents or trailing spaces. So it is bytes on MySQL. SQLite compares texts exactly.
pub(in crate::migrations) fn row_id_type(dialect: Dialect) -> String {
    match dialect {
        Dialect::MySql => format!("VARBINARY({ROW_ID_BYTES})"),
        Dialect::Sqlite => "VARCHAR(255)".to_owned(),
    }
}

/// Returns the statement that creates the table if it is missing.
pub(in crate::migrations) fn create(dialect: Dialect) -> String {
    let (document, row_id) = (dialect.column_type(ColumnKind::Document), row_id_type(dialect));
    format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (table_name VARCHAR(32) NOT NULL, row_id {row_id} NOT NULL, \
         column_name VARCHAR(32) NOT NULL, value {document}, PRIMARY KEY (table_name, row_id, column_name)){}",
        dialect.table_options(dialect.new_collation())
    )
}

impl LeftoverColumn {
    fn rows(self) -> Condition {
        Condition::all()
            .add(Expr::col(FreezerLeftovers::TableName).eq(self.table))
            .add(Expr::col(FreezerLeftovers::ColumnName).eq(self.column))
    }

    /// Returns the kept values by the id of their row.
    pub(in crate::migrations) async fn of(
        self,
        db: &mut Db,
        ids: impl IntoIterator<Item = &str>,
    ) -> Result<HashMap<String, String>, StoreError> {
        let mut select = Query::select();
        select
            .columns([FreezerLeftovers::RowId, FreezerLeftovers::Value])
            .from(FreezerLeftovers::Table)
            .cond_where(self.rows())
            .and_where(Expr::col(FreezerLeftovers::RowId).is_in(ids));
        Ok(db.read::<(String, String)>(&select).await?.into_iter().collect())
    }

    /// Sets the kept value of a row, or removes it if `value` is `None`.
    pub(in crate::migrations) async fn set(
        self,
        db: &mut Db,
        id: &str,
        value: Option<&str>,
    ) -> Result<(), StoreError> {
        self.remove(db, [id]).await?;
        let Some(value) = value else { return Ok(()) };
        let mut insert = Query::insert();
        insert
            .into_table(FreezerLeftovers::Table)
            .columns([
                FreezerLeftovers::TableName,
                FreezerLeftovers::RowId,
                FreezerLeftovers::ColumnName,
                FreezerLeftovers::Value,
            ])
            .values_panic([self.table.into(), id.into(), self.column.into(), value.into()]);
        db.execute(&insert).await.map(|_| ())
    }

    async fn remove(self, db: &mut Db, ids: impl IntoIterator<Item = &str>) -> Result<(), StoreError> {
        let mut delete = Query::delete();
        delete
            .from_table(FreezerLeftovers::Table)
            .cond_where(self.rows())
            .and_where(Expr::col(FreezerLeftovers::RowId).is_in(ids));
        db.execute(&delete).await.map(|_| ())
    }

    /// Removes one batch of outdated values, after the row `after`. Their rows no longer have a value in the old
    /// column, so an earlier upgrade created them. Returns the last row of the batch and the number of rows.
    pub(in crate::migrations) async fn remove_stale(
        self,
        db: &mut Db,
        after: Option<&str>,
    ) -> Result<Option<(String, u64)>, StoreError> {
        let mut select = Query::select();
        select
            .column(FreezerLeftovers::RowId)
            .from(FreezerLeftovers::Table)
            .cond_where(self.rows())
            .order_by(FreezerLeftovers::RowId, Order::Asc)
            .limit(BATCH);
        if let Some(after) = after {
            select.and_where(Expr::col(FreezerLeftovers::RowId).gt(after));
        }
        let ids = db.read::<String>(&select).await?;
        let Some(last) = ids.last().cloned() else { return Ok(None) };
        let mut there = Query::select();
        there
            .column(Alias::new("id"))
            .from(Alias::new(self.table))
            .and_where(Expr::col(Alias::new("id")).is_in(ids.iter().map(String::as_str)))
            .and_where(Expr::col(Alias::new(self.column)).is_not_null())
            .and_where(Expr::col(Alias::new(self.column)).ne(""));
        let there = db.read::<String>(&there).await?;
        let stale: Vec<&str> = ids.iter().filter(|id| !there.contains(id)).map(String::as_str).collect();
        if !stale.is_empty() {
            self.remove(db, stale).await?;
        }
        Ok(Some((last, ids.len() as u64)))
    }
}
