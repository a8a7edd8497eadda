//! Plans the primary keys that tables must have.

use super::{Planner, StepAction};
use crate::dialect::Dialect;
use crate::migrations::keys::{self, WrongKey};
use crate::migrations::layout::{IndexInfo, Table};
use crate::schema::ColumnLayout;

/// The primary key that MySQL 8.0.30 and later add to tables without one, if `sql_generate_invisible_primary_key` is set.
const GENERATED_KEY: &str = "my_row_id";

impl Planner {
    /// Restores primary keys. The rows must allow them.
    pub(in crate::migrations) fn ensure_primary_keys(&mut self, wrong: &[WrongKey]) {
        for key in wrong.iter().filter(|key| !key.is_derived()) {
            // Other row formats and engines limit the length of keys.
            self.ensure_storage(key.table);
            let Some(table) = self.layout.tables.get_mut(key.table) else { continue };
            let what = format!("restore the primary key ({}) of {}", key.wanted.join(", "), key.table);
            let before = table.clone();
            table.primary_key = key.wanted.iter().map(|&column| column.to_owned()).collect();
            table.columns.retain(|column| !is_generated_key(&before, &column.name));
            for column in table.columns.iter_mut().filter(|column| key.wanted.contains(&column.name.as_str()))
            {
                column.nullable = false;
            }
            self.required = true;
            match self.dialect {
                Dialect::MySql => self.push_alter(what, key.table, &change(key, &before)),
                Dialect::Sqlite => {
                    self.push_step(what, key.table, StepAction::Rebuild(rebuild(key, &before)))
                }
            }
            self.required = false;
        }
    }

    /// Drops unique indexes that have the same rows and columns as one of ours.
    pub(in crate::migrations) fn ensure_no_copies(&mut self, table: &'static str, of: &IndexInfo) {
        let Some(found) = self.layout.tables.get_mut(table) else { return };
        let copies = keys::copies(found, of);
        found.indexes.retain(|index| !copies.contains(&index.name));
        for copy in copies {
            let name = self.dialect.quote(&copy);
            let what = format!("drop the unique index {copy} of {table}, because {} is the same", of.name);
            match self.dialect {
                Dialect::MySql => self.push_alter(what, table, &format!("DROP INDEX {name}")),
                Dialect::Sqlite => self.push_sql(what, table, format!("DROP INDEX {name}")),
            }
        }
    }
}

fn is_generated_key(table: &Table, column: &str) -> bool {
    column == GENERATED_KEY && table.primary_key == [GENERATED_KEY]
}

/// The change of a table of MySQL or MariaDB. It is one statement, because foreign keys may need the present key.
fn change(key: &WrongKey, table: &Table) -> String {
    let dialect = Dialect::MySql;
    let mut changes = Vec::new();
    if !key.found.is_empty() {
        changes.push("DROP PRIMARY KEY".to_owned());
    }
    for column in table.columns.iter().filter(|column| column.auto_increment) {
        let name = dialect.quote(&column.name);
        if is_generated_key(table, &column.name) {
            changes.push(format!("DROP COLUMN {name}"));
        } else if key.found.contains(&column.name) {
            // Such a column must be the first one of an index.
            changes.push(format!("ADD UNIQUE KEY ({name})"));
        }
    }
    for column in key.layout().iter().map(|layout| layout.column(key.wanted[0])) {
        let is_long = |data_type: &str| data_type.ends_with("text") || data_type.ends_with("blob");
        if table.column(column.name).is_some_and(|found| is_long(&found.data_type)) {
            changes.push(format!("MODIFY COLUMN {}", column.definition(dialect)));
        }
    }
    changes.push(format!("ADD PRIMARY KEY ({})", dialect.quote_all(key.wanted)));
    changes.join(", ")
}

/// The statements that copy a table of SQLite into one with the right key. Columns of the layout at head get their
/// types again, because `CREATE TABLE … AS SELECT` loses them.
fn rebuild(key: &WrongKey, table: &Table) -> Vec<String> {
    let dialect = Dialect::Sqlite;
    let quote = |name: &str| dialect.quote(name);
    let mut parts: Vec<String> = Vec::new();
    for column in &table.columns {
        let known = key.layout().and_then(|layout| {
            layout.columns.iter().find(|known| known.name.eq_ignore_ascii_case(&column.name))
        });
        let is_in_key = key.wanted.iter().any(|name| name.eq_ignore_ascii_case(&column.name));
        parts.push(match known {
            Some(known) => {
                let required = known.required && !key.with_nulls.contains(&known.name);
                ColumnLayout { required, ..*known }.definition(dialect)
            }
            None if is_in_key && column.nullable => {
                format!("{} {} NOT NULL", quote(&column.name), column.declared)
            }
            None => format!("{} {}", quote(&column.name), column.declared),
        });
    }
    parts.push(format!("PRIMARY KEY ({})", dialect.quote_all(key.wanted)));
    let foreign_keys = key.layout().map(|layout| layout.foreign_keys()).unwrap_or_default();
    parts.extend(foreign_keys.iter().map(|foreign_key| foreign_key.definition(dialect)));
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let columns = dialect.quote_all(&columns);
    let (name, copy) = (quote(key.table), quote(&format!("fz_copy_of_{}", key.table)));
    let mut statements = vec![
        format!("CREATE TABLE {copy} AS SELECT * FROM {name}"),
        format!("DROP TABLE {name}"),
        format!("CREATE TABLE {name} ({})", parts.join(", ")),
        format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {copy}"),
        format!("DROP TABLE {copy}"),
    ];
    statements.extend(table.statements.iter().cloned());
    statements
}
