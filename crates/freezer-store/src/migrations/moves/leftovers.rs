//! `freezer_leftovers`: values of the old layout that have no place in the new one, such as a text that is not
//! the JSON it should be. Nothing reads the table; it is there so that no value is lost. Made only when needed.

use sea_query::{Iden, Query};

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;

/// Name of the table.
pub(crate) const TABLE: &str = "freezer_leftovers";

#[derive(Iden, Clone, Copy)]
enum FreezerLeftovers {
    Table,
    TableName,
    RowId,
    ColumnName,
    Value,
}

/// Makes the table where it is missing.
pub(in crate::migrations) fn create(dialect: Dialect) -> String {
    let document = dialect.column_type(crate::migrations::Kind::Document);
    format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (table_name VARCHAR(32) NOT NULL, row_id VARCHAR(255) NOT NULL, \
         column_name VARCHAR(32) NOT NULL, value {document}, PRIMARY KEY (table_name, row_id, column_name)){}",
        dialect.table_options(dialect.new_collation())
    )
}

/// Keeps a value; one that is there stays, because it is the same one of an earlier run.
pub(in crate::migrations) async fn keep(
    db: &mut Db,
    table: &str,
    id: &str,
    column: &str,
    value: &str,
) -> Result<(), StoreError> {
    let mut insert = Query::insert();
    insert
        .into_table(FreezerLeftovers::Table)
        .columns([
            FreezerLeftovers::TableName,
            FreezerLeftovers::RowId,
            FreezerLeftovers::ColumnName,
            FreezerLeftovers::Value,
        ])
        .values_panic([table.into(), id.into(), column.into(), value.into()]);
    match db.execute(&insert).await {
        Err(error) if error.is_duplicate() => Ok(()),
        other => other.map(|_| ()),
    }
}
