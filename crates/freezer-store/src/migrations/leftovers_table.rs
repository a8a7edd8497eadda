//! The columns of `freezer_leftovers`. A table that was converted or narrowed by hand must take every value again
//! before an upgrade moves values into it.

use super::moves::leftovers::TABLE;
use super::planner::Planner;
use crate::schema::{ColumnKind, ColumnLayout};

const COLUMNS: [ColumnLayout; 4] = [
    ColumnLayout::required("table_name", ColumnKind::Text(32)),
    ColumnLayout::required("row_id", ColumnKind::Text(255)),
    ColumnLayout::required("column_name", ColumnKind::Text(32)),
    ColumnLayout::optional("value", ColumnKind::Document),
];

impl Planner {
    /// Ensures that the table can store every value, if it exists.
    pub(super) fn ensure_leftovers_columns(&mut self) {
        self.ensure_storage(TABLE);
        self.ensure_utf8mb4(TABLE);
        for column in &COLUMNS {
            self.ensure_column_width(TABLE, column);
        }
    }
}
