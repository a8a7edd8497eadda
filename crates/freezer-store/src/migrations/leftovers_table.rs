//! The columns of `freezer_leftovers`. A table that was converted or narrowed by hand must take every value again
//! before an upgrade moves values into it.

use super::head::ColumnLayout;
use super::moves::leftovers::TABLE;
use super::planner::Planner;
use crate::schema::ColumnKind;

const fn column(name: &'static str, kind: ColumnKind, required: bool) -> ColumnLayout {
    ColumnLayout { name, kind, required, default: None }
}

const COLUMNS: [ColumnLayout; 4] = [
    column("table_name", ColumnKind::Text(32), true),
    column("row_id", ColumnKind::Text(255), true),
    column("column_name", ColumnKind::Text(32), true),
    column("value", ColumnKind::Document, false),
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
