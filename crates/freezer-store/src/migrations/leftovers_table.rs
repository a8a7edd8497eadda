//! The columns of `freezer_leftovers`. A table that was converted or narrowed by hand, or that an earlier release created,
//! must take every value again before an upgrade moves values into it.

use super::moves::leftovers::{ROW_ID_BYTES, TABLE, row_id_type};
use super::planner::Planner;
use crate::dialect::Dialect;
use crate::schema::{ColumnKind, ColumnLayout};

const COLUMNS: [ColumnLayout; 3] = [
    ColumnLayout::required("table_name", ColumnKind::Text(32)),
    ColumnLayout::required("column_name", ColumnKind::Text(32)),
    ColumnLayout::optional("value", ColumnKind::Document),
];

const ROW_ID: &str = "row_id";

impl Planner {
    /// Ensures that the table can store every value, if it exists.
    pub(super) fn ensure_leftovers_columns(&mut self) {
        self.ensure_storage(TABLE);
        self.ensure_utf8mb4(TABLE);
        for column in &COLUMNS {
            self.ensure_column_width(TABLE, column);
        }
        self.ensure_exact_row_ids();
    }

    /// Ensures that all different ids are different in `row_id`. The texts are utf8mb4 at this point, so their bytes are
    /// those that statements compare them with.
    fn ensure_exact_row_ids(&mut self) {
        let column = self.layout.tables.get_mut(TABLE).and_then(|table| {
            table.columns.iter_mut().find(|column| column.name.eq_ignore_ascii_case(ROW_ID))
        });
        let Some(column) = column.filter(|_| self.dialect == Dialect::MySql) else { return };
        if column.data_type == "varbinary" && column.width.is_none_or(|width| width >= ROW_ID_BYTES) {
            return;
        }
        (column.data_type, column.width) = ("varbinary".to_owned(), Some(ROW_ID_BYTES));
        column.collation.clear();
        let change = format!("MODIFY COLUMN {ROW_ID} {} NOT NULL", row_id_type(self.dialect));
        self.push_alter(format!("distinguish all ids in {TABLE}.{ROW_ID}"), TABLE, &change);
    }
}
