//! Indexes of a plan: those that must be there, by their definition, and those that must not.
//!
//! An index of ours under its own name with another definition (an earlier release's, or one made by hand) is made anew.

use super::additions::UNIQUE_LIVE_CLIENTS;
use super::head::{Index, TableLayout};
use super::layout::IndexInfo;
use super::planner::Planner;
use crate::dialect::Dialect;

impl Index {
    /// What the catalogue would say of it.
    pub(super) fn to_info(&self) -> IndexInfo {
        IndexInfo {
            name: self.name.to_owned(),
            columns: self.columns.iter().map(|&column| column.to_owned()).collect(),
            ..IndexInfo::default()
        }
    }
}

impl Planner {
    /// The index is there, as the layout at head has it.
    pub(super) fn ensure_index(&mut self, table: &'static str, wanted: &Index) {
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
        let what = format!("make the index {} anew, which has another definition", wanted.name);
        match self.dialect {
            // one statement, because a foreign key may need it
            Dialect::MySql => {
                self.push_alter(what, table, &format!("DROP INDEX {name}, ADD INDEX {name} ({columns})"));
            }
            Dialect::Sqlite => {
                self.push_sql(what.clone(), table, format!("DROP INDEX {name}"));
                self.push_sql(what, table, self.dialect.create_index(wanted.name, table, &columns));
            }
        }
    }

    /// The index of some rows only is there (SQLite); `condition` says of which.
    pub(super) fn ensure_partial_index(&mut self, table: &'static str, wanted: &Index, condition: &str) {
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
            let what = format!("drop the index {}, which has another definition", wanted.name);
            self.push_sql(what, table, format!("DROP INDEX {}", self.dialect.quote(wanted.name)));
        }
        let columns = self.dialect.quote_all(wanted.columns);
        let sql = self.dialect.create_index(wanted.name, table, &columns);
        self.push_sql(format!("add the index {}", wanted.name), table, format!("{sql} WHERE {condition}"));
    }

    /// The table has no index that a server made for a foreign key and that the layout at head does not have: it is
    /// named like its only column. One that a key still needs is repeated by one of head's by now.
    pub(super) fn ensure_no_foreign_key_indexes(&mut self, wanted: &TableLayout) {
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

    /// No two live clients of a project have the same name, which must hold already.
    pub(super) fn ensure_unique_live_clients(&mut self) {
        let Some(clients) = self.layout.table("clients") else { return };
        let found = clients.index(UNIQUE_LIVE_CLIENTS);
        let column = clients.column(LIVE_CLIENT_ID);
        let (columns, condition): (&[&str], &str) = match self.dialect {
            Dialect::MySql => (&["project_id", LIVE_CLIENT_ID], ""),
            Dialect::Sqlite => (&["project_id", "client_id"], LIVE),
        };
        let index_is_right = found.is_some_and(|index| {
            index.unique && index.columns == columns && plain(&index.condition) == plain(condition)
        });
        let column_is_right = self.dialect == Dialect::Sqlite
            || column.is_some_and(|column| plain(&column.generated) == plain(&live_client_id()));
        if index_is_right && column_is_right {
            return;
        }
        let what = match found {
            Some(_) => {
                "keep the live clients of a project apart: the index is made anew, it has another definition"
            }
            None => "keep the live clients of a project apart",
        };
        let index = self.dialect.quote(UNIQUE_LIVE_CLIENTS);
        let columns = self.dialect.quote_all(columns);
        match self.dialect {
            // an index of a generated column that is NULL for all other rows (SQLAlchemy names its columns, so it
            // neither reads nor writes this one)
            Dialect::MySql => {
                let name = self.dialect.quote(LIVE_CLIENT_ID);
                let mut changes = Vec::new();
                if found.is_some() {
                    changes.push(format!("DROP INDEX {index}"));
                }
                if column.is_some() {
                    changes.push(format!("DROP COLUMN {name}"));
                }
                let expression = live_client_id();
                changes.push(format!(
                    "ADD COLUMN {name} VARCHAR(255) GENERATED ALWAYS AS ({expression}) VIRTUAL"
                ));
                changes.push(format!("ADD UNIQUE KEY {index} ({columns})"));
                self.push_alter(what, "clients", &changes.join(", "));
            }
            Dialect::Sqlite => {
                if found.is_some() {
                    self.push_sql(what, "clients", format!("DROP INDEX {index}"));
                }
                let sql = format!("CREATE UNIQUE INDEX {index} ON \"clients\" ({columns}) WHERE {LIVE}");
                self.push_sql(what, "clients", sql);
            }
        }
    }
}

/// The generated column under [`UNIQUE_LIVE_CLIENTS`] on MySQL.
const LIVE_CLIENT_ID: &str = "fz_live_client_id";

/// Central clients are left out: they are known by name and host, so one project may have several of a name.
const LIVE: &str = "deleted = 0 AND is_central = 0";

fn live_client_id() -> String {
    format!("CASE WHEN {LIVE} THEN client_id END")
}

/// An expression without what servers add when they show it: quotes, parentheses and their own case.
pub(super) fn plain(expression: &str) -> String {
    expression.chars().filter(|c| !"`\"() ".contains(*c)).collect::<String>().to_lowercase()
}
