//! Plans conversions of character sets and collations.

use super::Planner;
use crate::dialect::Dialect;
use crate::migrations::collations::{
    IN_KEYS, LARGE_TABLE, LINKED, TargetCollation, charset, has_collation, target,
};
use crate::migrations::layout::Table;
use crate::migrations::options::Wishes;

impl Planner {
    /// Returns the collation of a new table, unless it must match another table.
    pub(super) fn collation_of_new(&self, name: &str) -> String {
        match self.dialect {
            Dialect::MySql if LINKED.contains(&name) => target(&self.layout, Wishes::default()).collation,
            dialect => dialect.new_collation().to_owned(),
        }
    }

    /// Ensures that tables with compared columns have one collation. They become utf8mb4 unless they are large.
    pub(in crate::migrations) fn ensure_linked_collations(&mut self, wishes: Wishes) {
        if self.dialect == Dialect::Sqlite {
            return;
        }
        let TargetCollation { collation, keeps_large } = target(&self.layout, wishes);
        let is_to_change = |name: &str, table: &Table| {
            let stays = keeps_large && table.rows > LARGE_TABLE;
            !has_collation(name, table, &collation)
                || charset(&collation) == "utf8mb4" && !table.is_utf8mb4() && !stays
        };
        let layout = &self.layout;
        let changed: Vec<&str> = LINKED
            .into_iter()
            .filter(|name| layout.table(name).is_some_and(|table| is_to_change(name, table)))
            .collect();
        // Tables of which only some are converted could not be compared.
        self.required = true;
        if changed.iter().any(|name| IN_KEYS.contains(name)) {
            // A column of a foreign key cannot be converted, even if the server does not check foreign keys.
            self.drop_foreign_keys("job_actions");
        }
        for name in changed {
            self.convert_table(name, &collation);
        }
        self.required = false;
    }

    /// Ensures that all texts of the table are utf8mb4.
    pub(in crate::migrations) fn ensure_utf8mb4(&mut self, table: &str) {
        let is_old = self.layout.table(table).is_some_and(|table| !table.is_utf8mb4());
        if self.dialect == Dialect::MySql && is_old {
            self.convert_table(table, Dialect::MySql.new_collation());
        }
    }

    fn convert_table(&mut self, table: &str, collation: &str) {
        let Some(of) = self.layout.tables.get_mut(table) else { return };
        let what = match of.is_utf8mb4() {
            false => format!("convert {table} to {}", charset(collation)),
            true => format!("convert {table} to {collation}, because other tables are compared with it"),
        };
        of.collation = collation.to_owned();
        for column in of.columns.iter_mut().filter(|column| !column.collation.is_empty()) {
            column.collation = collation.to_owned();
        }
        let change = format!("CONVERT TO CHARACTER SET {} COLLATE {collation}", charset(collation));
        self.push_alter(what, table, &change);
        self.converted.push(table.to_owned());
    }
}
