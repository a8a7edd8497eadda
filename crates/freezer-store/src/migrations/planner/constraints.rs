//! Plans the CHECK constraints and foreign keys that must exist, and those that must not.

use super::Planner;
use crate::dialect::Dialect;
use crate::migrations::head::TableLayout;
use crate::migrations::layout::ForeignKey;
use crate::schema::ColumnKind;

impl Planner {
    /// Ensures that the table has no CHECK constraints of SQLAlchemy. Version 1.3 added them for booleans, later versions
    /// do not. All other checks belong to the operator and stay.
    pub(in crate::migrations) fn ensure_no_checks(&mut self, wanted: &TableLayout) {
        let table = wanted.name;
        let Some(found) = self.layout.tables.get_mut(table) else { return };
        let booleans = || wanted.columns.iter().filter(|column| column.kind == ColumnKind::Bool);
        let is_of_sqlalchemy =
            |condition: &str| booleans().any(|column| condition == format!("{}in0,1", column.name));
        let (drop, keep): (Vec<_>, Vec<_>) = std::mem::take(&mut found.checks)
            .into_iter()
            .partition(|(_, condition)| is_of_sqlalchemy(condition));
        found.checks = keep;
        for (check, _) in drop {
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

    /// Returns the foreign keys of the table with names that no other table uses, because names are unique in a database.
    pub(super) fn named_foreign_keys(&self, wanted: &TableLayout) -> Vec<ForeignKey> {
        let others = self.layout.tables.iter().filter(|(name, _)| name.as_str() != wanted.name);
        let mut taken: Vec<String> = others
            .flat_map(|(_, table)| table.foreign_keys.iter().map(|key| key.name.to_lowercase()))
            .collect();
        let mut keys = wanted.foreign_keys();
        for key in &mut keys {
            let mut number = 0;
            while taken.contains(&key.name.to_lowercase()) {
                number += 1;
                key.name = format!("fz_{}_{}_{number}", wanted.name, key.column);
            }
            taken.push(key.name.to_lowercase());
        }
        keys
    }

    /// Ensures that the table has its foreign keys at head. SQLite cannot add a foreign key, and never drops
    /// one.
    pub(in crate::migrations) fn ensure_foreign_keys(&mut self, wanted: &TableLayout) {
        let Some(table) = self.layout.table(wanted.name).filter(|_| self.dialect == Dialect::MySql) else {
            return;
        };
        let there = table.foreign_keys.clone();
        self.required = self.keys_dropped;
        for key in self.named_foreign_keys(wanted) {
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
