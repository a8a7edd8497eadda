//! Plans the CHECK constraints and foreign keys that must exist, and those that must not.

use super::Planner;
use crate::dialect::Dialect;
use crate::migrations::head::TableLayout;
use crate::migrations::layout::ForeignKey;

impl Planner {
    /// Ensures that the table has no CHECK constraints. SQLAlchemy 1.3 added them for booleans, later versions
    /// do not.
    pub(in crate::migrations) fn ensure_no_checks(&mut self, table: &'static str) {
        let checks = self.layout.tables.get_mut(table).map(|table| std::mem::take(&mut table.checks));
        for check in checks.unwrap_or_default() {
            let quoted = self.dialect.quote(&check);
            self.push_alter(
                format!("drop the check {check} of {table}"),
                table,
                &format!("DROP CONSTRAINT {quoted}"),
            );
        }
    }

    /// Drops all foreign keys that the layout at head does not have, because they contradict the data
    /// (`client_id` of a job contains a name, not a `clients.id`). SQLite does not enforce them here, and cannot
    /// drop them.
    pub(in crate::migrations) fn ensure_no_other_foreign_keys(&mut self, wanted: &TableLayout) {
        if self.dialect == Dialect::Sqlite {
            return;
        }
        let Some(table) = self.layout.tables.get_mut(wanted.name) else { return };
        let known = |key: &ForeignKey| wanted.refers.contains(&(key.column.as_str(), key.refers.as_str()));
        let (keep, drop): (Vec<_>, Vec<_>) =
            std::mem::take(&mut table.foreign_keys).into_iter().partition(|key| known(key));
        table.foreign_keys = keep;
        for key in drop {
            let quoted = self.dialect.quote(&key.name);
            let what = format!("drop the foreign key of {}.{}", wanted.name, key.column);
            self.push_alter(what, wanted.name, &format!("DROP FOREIGN KEY {quoted}"));
        }
    }

    /// Drops the foreign keys of the table for now, because columns in foreign keys cannot be converted.
    pub(super) fn drop_foreign_keys(&mut self, table: &'static str) {
        let keys = self.layout.tables.get_mut(table).map(|table| std::mem::take(&mut table.foreign_keys));
        for key in keys.unwrap_or_default() {
            let quoted = self.dialect.quote(&key.name);
            let what = format!("drop the foreign key of {table}.{}", key.column);
            self.keys_dropped = true;
            self.push_alter(what, table, &format!("DROP FOREIGN KEY {quoted}"));
        }
    }

    /// Ensures that the table has its foreign keys at head. SQLite cannot add a foreign key, and never drops
    /// one.
    pub(in crate::migrations) fn ensure_foreign_keys(&mut self, wanted: &TableLayout) {
        let Some(table) = self.layout.table(wanted.name).filter(|_| self.dialect == Dialect::MySql) else {
            return;
        };
        let there = table.foreign_keys.clone();
        self.required = self.keys_dropped;
        for key in wanted.foreign_keys() {
            if there.iter().any(|found| found.column == key.column && found.refers == key.refers) {
                continue;
            }
            let change = format!("ADD {}", key.definition(self.dialect));
            self.push_alter(
                format!("add the foreign key of {}.{}", wanted.name, key.column),
                wanted.name,
                &change,
            );
            if let Some(table) = self.layout.tables.get_mut(wanted.name) {
                table.foreign_keys.push(key);
            }
        }
        self.required = false;
    }
}
