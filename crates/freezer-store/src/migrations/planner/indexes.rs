//! Plans the indexes that must exist, and those that must not.
//!
//! If an index has one of our names but another definition (of an earlier release, or created by hand), it is
//! recreated.

use super::Planner;
use crate::dialect::Dialect;
use crate::migrations::head::{Index, TableLayout};
use crate::migrations::layout::IndexInfo;

impl Planner {
    /// Ensures that the index exists as in the layout at head.
    pub(in crate::migrations) fn ensure_index(&mut self, table: &'static str, wanted: &Index) {
        let Some(of) = self.layout.tables.get_mut(table) else { return };
        let made = wanted.to_info();
        let found = of.index(wanted.name);
        if found == Some(&made) {
            return;
        }
        let is_wrong = found.is_some();
        of.indexes.retain(|index| index.name != wanted.name);
        of.indexes.push(made);
        let columns = self.dialect.quote_all(wanted.columns);
        if !is_wrong {
            let sql = self.dialect.create_index(wanted.name, table, &columns);
            return self.push_sql(format!("add the index {}", wanted.name), table, sql);
        }
        let name = self.dialect.quote(wanted.name);
        let what = format!("recreate the index {}, because its definition differs", wanted.name);
        match self.dialect {
            // This is one statement, because a foreign key may need the index.
            Dialect::MySql => {
                self.push_alter(what, table, &format!("DROP INDEX {name}, ADD INDEX {name} ({columns})"));
            }
            Dialect::Sqlite => {
                self.push_sql(what.clone(), table, format!("DROP INDEX {name}"));
                self.push_sql(what, table, self.dialect.create_index(wanted.name, table, &columns));
            }
        }
    }

    /// Ensures that this partial index exists (SQLite). It contains the rows that match `condition`.
    pub(in crate::migrations) fn ensure_partial_index(
        &mut self,
        table: &'static str,
        wanted: &Index,
        condition: &str,
    ) {
        let Some(of) = self.layout.tables.get_mut(table) else { return };
        let made = IndexInfo { condition: condition.to_owned(), ..wanted.to_info() };
        let found = of.index(wanted.name);
        if found == Some(&made) {
            return;
        }
        let is_wrong = found.is_some();
        of.indexes.retain(|index| index.name != wanted.name);
        of.indexes.push(made);
        if is_wrong {
            let what = format!("drop the index {}, because its definition differs", wanted.name);
            self.push_sql(what, table, format!("DROP INDEX {}", self.dialect.quote(wanted.name)));
        }
        let columns = self.dialect.quote_all(wanted.columns);
        let sql = self.dialect.create_index(wanted.name, table, &columns);
        self.push_sql(format!("add the index {}", wanted.name), table, format!("{sql} WHERE {condition}"));
    }

    /// Drops the indexes that a server created for foreign keys and that the layout at head does not have. Such
    /// an index has the name of its only column. If a foreign key still needs one, an index at head replaces it
    /// by now.
    pub(in crate::migrations) fn ensure_no_foreign_key_indexes(&mut self, wanted: &TableLayout) {
        let Some(of) = self.layout.tables.get_mut(wanted.name) else { return };
        let is_made_for_a_key = |index: &IndexInfo| {
            index.columns == [index.name.as_str()] && !index.unique && index.condition.is_empty()
        };
        let (drop, keep): (Vec<_>, Vec<_>) =
            std::mem::take(&mut of.indexes).into_iter().partition(is_made_for_a_key);
        of.indexes = keep;
        for index in drop {
            let name = self.dialect.quote(&index.name);
            let what = format!("drop the index {} of {}", index.name, wanted.name);
            match self.dialect {
                Dialect::MySql => self.push_alter(what, wanted.name, &format!("DROP INDEX {name}")),
                Dialect::Sqlite => self.push_sql(what, wanted.name, format!("DROP INDEX {name}")),
            }
        }
    }
}
