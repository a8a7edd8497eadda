//! Columns that say in few bytes what a row's text says, and the indexes that hold them: how a plan adds them.
//!
//! Which columns these are is `terms.rs` (backups), `completed.rs` (jobs) and `action_terms.rs` (actions).

use std::borrow::Cow;

use super::head::Index;
use super::indexes::plain;
use super::layout::ColumnInfo;
use super::planner::Planner;

/// A column of MySQL or MariaDB.
pub(super) struct DerivedColumn {
    pub(super) name: &'static str,
    /// Its type as it is declared.
    pub(super) declared: &'static str,
    /// The expression of a generated column, else "".
    pub(super) generated: Cow<'static, str>,
    /// The servers rewrite the expression too much to compare it. The name stands for it: another expression is another
    /// column.
    pub(super) rewritten: bool,
}

impl DerivedColumn {
    fn is(&self, found: &ColumnInfo) -> bool {
        match self.rewritten {
            true => !found.generated.is_empty(),
            false => plain(&found.generated) == plain(&self.generated),
        }
    }

    fn definition(&self) -> String {
        let DerivedColumn { name, declared, generated, .. } = self;
        match generated.is_empty() {
            true => format!("{name} {declared}"),
            // STORED: MariaDB evaluates no condition on a virtual column while it reads an index
            false => format!("{name} {declared} GENERATED ALWAYS AS ({generated}) STORED"),
        }
    }

    fn to_info(&self) -> ColumnInfo {
        let data_type = self.declared.split(['(', ' ']).next().unwrap_or_default().to_lowercase();
        ColumnInfo {
            name: self.name.to_owned(),
            data_type,
            width: None,
            nullable: true,
            has_default: false,
            collation: String::new(),
            generated: self.generated.clone().into_owned(),
        }
    }
}

impl Planner {
    /// The table has the columns, and the indexes as they are defined. All changes are one statement, because a stored
    /// column rewrites the table.
    pub(super) fn ensure_derived_columns(
        &mut self,
        what: &str,
        table: &'static str,
        columns: &[DerivedColumn],
        indexes: &[Index],
    ) {
        let Some(of) = self.layout.tables.get_mut(table) else { return };
        let mut changes = Vec::new();
        for column in columns {
            match of.column(column.name) {
                Some(found) if column.is(found) => continue,
                Some(_) => changes.push(format!("DROP COLUMN {}", column.name)),
                None => {}
            }
            of.columns.retain(|found| found.name != column.name);
            changes.push(format!("ADD COLUMN {}", column.definition()));
            of.columns.push(column.to_info());
        }
        if changes.is_empty() {
            return indexes.iter().for_each(|index| self.ensure_index(table, index));
        }
        for index in indexes {
            if of.index(index.name).is_some() {
                changes.push(format!("DROP INDEX {}", index.name));
            }
            of.indexes.retain(|found| found.name != index.name);
            of.indexes.push(index.to_info());
            changes.push(format!("ADD INDEX {} ({})", index.name, index.columns.join(", ")));
        }
        self.push_alter(what, table, &changes.join(", "));
    }

    /// The table has the trigger with this definition (SQLite).
    pub(super) fn ensure_trigger(&mut self, table: &'static str, name: &str, definition: &str, what: &str) {
        let Some(of) = self.layout.table(table) else { return };
        let found = of.triggers.iter().find(|(found, _)| found == name).map(|(_, sql)| sql.clone());
        if found.as_deref() == Some(definition) {
            return;
        }
        if found.is_some() {
            let what = format!("drop the trigger {name} of {table}, which has another definition");
            self.push_sql(what, table, format!("DROP TRIGGER {name}"));
        }
        self.push_sql(what, table, definition.to_owned());
    }
}
