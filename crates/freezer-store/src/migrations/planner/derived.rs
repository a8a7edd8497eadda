//! Adds columns with values that are derived from the texts of a row, and the indexes on them.
//!
//! `terms.rs` (backups), `completed.rs` (jobs) and `action_terms.rs` (actions) define these columns.

use std::borrow::Cow;

use super::Planner;
use crate::migrations::head::Index;
use crate::migrations::layout::{ColumnInfo, normalized};

/// A column of MySQL or MariaDB.
pub(in crate::migrations) struct DerivedColumn {
    pub(in crate::migrations) name: &'static str,
    /// The declared type.
    pub(in crate::migrations) declared: &'static str,
    /// The expression of a generated column, or "" for a stored one.
    pub(in crate::migrations) generated: Cow<'static, str>,
    /// Whether servers rewrite the expression so much that it cannot be compared. Such a column is identified by
    /// its name, so a changed expression needs a new name.
    pub(in crate::migrations) rewritten: bool,
}

impl DerivedColumn {
    fn is(&self, found: &ColumnInfo) -> bool {
        match self.rewritten {
            true => !found.generated.is_empty(),
            false => normalized(&found.generated) == normalized(&self.generated),
        }
    }

    fn definition(&self) -> String {
        let DerivedColumn { name, declared, generated, .. } = self;
        match generated.is_empty() {
            true => format!("{name} {declared}"),
            // STORED, because MariaDB does not evaluate conditions on virtual columns while it reads an index.
            false => format!("{name} {declared} GENERATED ALWAYS AS ({generated}) STORED"),
        }
    }

    fn to_info(&self) -> ColumnInfo {
        let data_type = self.declared.split(['(', ' ']).next().unwrap_or_default().to_lowercase();
        ColumnInfo {
            name: self.name.to_owned(),
            data_type,
            nullable: true,
            generated: self.generated.clone().into_owned(),
            ..ColumnInfo::default()
        }
    }
}

impl Planner {
    /// Ensures that the columns and the indexes exist with these definitions. All changes are one statement,
    /// because adding a stored column rewrites the table.
    pub(in crate::migrations) fn ensure_derived_columns(
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

    /// Ensures that the table has this trigger (SQLite).
    pub(in crate::migrations) fn ensure_trigger(
        &mut self,
        table: &'static str,
        name: &str,
        definition: &str,
        what: &str,
    ) {
        let Some(of) = self.layout.table(table) else { return };
        let found = of.triggers.iter().find(|(found, _)| found == name).map(|(_, sql)| sql.clone());
        if found.as_deref() == Some(definition) {
            return;
        }
        if found.is_some() {
            let what = format!("drop the trigger {name} of {table}, because its definition differs");
            self.push_sql(what, table, format!("DROP TRIGGER {name}"));
        }
        self.push_sql(what, table, definition.to_owned());
    }
}
