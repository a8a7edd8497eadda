//! Plans the columns that must exist, with their names, types and defaults.

use super::{Planner, StepAction};
use crate::dialect::Dialect;
use crate::migrations::layout::ColumnInfo;
use crate::migrations::moves::RowMove;
use crate::migrations::moves::renamed::RenamedColumn;
use crate::schema::{ColumnKind, ColumnLayout};

impl Planner {
    /// Ensures that the column exists.
    pub(in crate::migrations) fn ensure_column(&mut self, table: &'static str, column: &ColumnLayout) {
        if self.layout.has_column(table, column.name) {
            return;
        }
        let definition = column.definition(self.dialect);
        self.push_alter(format!("add {table}.{}", column.name), table, &format!("ADD COLUMN {definition}"));
        self.note_column(table, column);
    }

    /// Ensures that the column exists, and that existing rows have a value in it (a SQL literal).
    ///
    /// The column is created and filled under another name, and renamed at the end. So after a crash, a column
    /// with its final name is certainly filled.
    pub(in crate::migrations) fn ensure_filled_column(
        &mut self,
        table: &'static str,
        column: &ColumnLayout,
        value: &str,
    ) {
        if self.layout.has_column(table, column.name) {
            return;
        }
        let unfilled = format!("fz_new_{}", column.name);
        let quoted = self.dialect.quote(&unfilled);
        if !self.layout.has_column(table, &unfilled) {
            let declared = self.dialect.column_type(column.kind);
            self.push_alter(
                format!("add {table}.{}", column.name),
                table,
                &format!("ADD COLUMN {quoted} {declared}"),
            );
        }
        let q_table = self.dialect.quote(table);
        let fill = format!("UPDATE {q_table} SET {quoted} = {value} WHERE {quoted} IS NULL");
        self.push_sql(format!("fill {table}.{}", column.name), table, fill);
        self.rename(table, &unfilled, column);
        self.note_column(table, column);
    }

    fn note_column(&mut self, table: &str, column: &ColumnLayout) {
        let collation = self.layout.table(table).map(|t| t.collation.clone()).unwrap_or_default();
        let made = self.to_info(column, &collation);
        if let Some(table) = self.layout.tables.get_mut(table) {
            table.columns.push(made);
        }
    }

    fn rename(&mut self, table: &str, old: &str, column: &ColumnLayout) {
        let (q_old, q_new) = (self.dialect.quote(old), self.dialect.quote(column.name));
        let change = match self.dialect {
            // All servers support CHANGE, including MySQL before 8 and MariaDB before 10.5.
            Dialect::MySql => format!("CHANGE COLUMN {q_old} {}", column.definition(self.dialect)),
            Dialect::Sqlite => format!("RENAME COLUMN {q_old} TO {q_new}"),
        };
        self.push_alter(format!("rename {table}.{old} to {}", column.name), table, &change);
    }

    /// Ensures that the column has its new name. If both columns exist, values of the old one fill gaps in the
    /// new one first, and values that differ are kept in `freezer_leftovers`.
    pub(in crate::migrations) fn ensure_renamed_column(
        &mut self,
        table: &'static str,
        old: &'static str,
        column: &ColumnLayout,
    ) {
        if !self.layout.has_column(table, old) {
            return;
        }
        let (q_old, q_new) = (self.dialect.quote(old), self.dialect.quote(column.name));
        if self.layout.has_column(table, column.name) {
            let q_table = self.dialect.quote(table);
            let copy = format!(
                "UPDATE {q_table} SET {q_new} = {q_old} WHERE {q_new} IS NULL AND {q_old} IS NOT NULL"
            );
            self.push_sql(format!("copy {table}.{old} into {}", column.name), table, copy);
            let what = format!("keep the values of {table}.{old} that {} does not have", column.name);
            self.push_step(
                what,
                table,
                StepAction::MoveRows(RowMove::KeepReplaced(RenamedColumn { table, old, new: column.name })),
            );
            self.ensure_no_column(table, old);
            return;
        }
        self.rename(table, old, column);
        if let Some(found) = self.column_mut(table, old) {
            found.name = column.name.to_owned();
        }
    }

    /// Ensures that the column does not exist. It is only dropped if `moves/guard.rs` finds all its values
    /// elsewhere.
    pub(in crate::migrations) fn ensure_no_column(&mut self, table: &'static str, column: &'static str) {
        if !self.layout.has_column(table, column) {
            return;
        }
        self.push_step(format!("drop {table}.{column}"), table, StepAction::DropColumn { table, column });
        if let Some(table) = self.layout.tables.get_mut(table) {
            table.columns.retain(|found| found.name != column);
        }
    }

    /// Ensures that the column is at least as wide as the wanted one, and allows NULL if that does. It is never
    /// narrowed. SQLite does not enforce widths, so it needs no change.
    pub(in crate::migrations) fn ensure_column_width(&mut self, table: &'static str, wanted: &ColumnLayout) {
        if self.dialect == Dialect::Sqlite {
            return;
        }
        let Some(found) = self.layout.table(table).and_then(|t| t.column(wanted.name)) else { return };
        let wide_enough = match wanted.kind {
            ColumnKind::Text(width) => {
                found.data_type == "varbinary" || found.width.is_none_or(|found| found >= u32::from(width))
            }
            ColumnKind::Document => matches!(found.data_type.as_str(), "mediumtext" | "longtext"),
            _ => true,
        };
        if wide_enough && (found.nullable || wanted.required) {
            return;
        }
        let charset = match (&wanted.kind, self.layout.table(table)) {
            // This happens now, because converting the table would turn a MEDIUMTEXT in another character set
            // into a LONGTEXT.
            (ColumnKind::Document, Some(of)) if of.charset() != "utf8mb4" => {
                format!(" CHARACTER SET utf8mb4 COLLATE {}", self.dialect.new_collation())
            }
            // If a column has another collation than its table, it keeps this collation.
            (ColumnKind::Text(_), Some(of))
                if found.collation != of.collation && !found.collation.is_empty() =>
            {
                format!(" CHARACTER SET {} COLLATE {}", found.charset(), found.collation)
            }
            _ => String::new(),
        };
        let wanted = &wanted.at_least(found.width);
        let definition = wanted.definition_with(self.dialect, &charset);
        self.push_alter(
            format!("widen {table}.{}", wanted.name),
            table,
            &format!("MODIFY COLUMN {definition}"),
        );
        let found = self.layout.table(table).and_then(|t| t.column(wanted.name));
        let collation = found.map(|found| found.collation.clone()).unwrap_or_default();
        let made = self.to_info(wanted, &collation);
        if let Some(found) = self.column_mut(table, wanted.name) {
            *found = made;
        }
    }

    /// Ensures that the column is NOT NULL and has its default, as at head. NULL values become the default.
    /// SQLite cannot change a column.
    pub(in crate::migrations) fn ensure_default(&mut self, table: &'static str, wanted: &ColumnLayout) {
        let Some(default) = wanted.default.filter(|_| self.dialect == Dialect::MySql) else { return };
        let Some(found) = self.column_mut(table, wanted.name) else { return };
        if found.has_default && !found.nullable {
            return;
        }
        let was_nullable = found.nullable;
        (found.has_default, found.nullable) = (true, false);
        let (q_table, column) = (self.dialect.quote(table), self.dialect.quote(wanted.name));
        let what = format!("set the default of {table}.{}", wanted.name);
        if was_nullable {
            let fill = format!("UPDATE {q_table} SET {column} = {default} WHERE {column} IS NULL");
            self.push_sql(what.clone(), table, fill);
            let definition = wanted.definition(self.dialect);
            self.push_alter(what, table, &format!("MODIFY COLUMN {definition}"));
        } else {
            self.push_alter(what, table, &format!("ALTER COLUMN {column} SET DEFAULT {default}"));
        }
    }

    fn column_mut(&mut self, table: &str, name: &str) -> Option<&mut ColumnInfo> {
        self.layout.tables.get_mut(table)?.columns.iter_mut().find(|column| column.name == name)
    }

    /// Returns a new column as the catalogue will describe it.
    pub(super) fn to_info(&self, column: &ColumnLayout, collation: &str) -> ColumnInfo {
        let declared = self.dialect.column_type(column.kind).to_lowercase();
        let data_type = declared.split('(').next().unwrap_or_default().to_owned();
        let is_text = matches!(column.kind, ColumnKind::Text(_) | ColumnKind::Document);
        ColumnInfo {
            name: column.name.to_owned(),
            width: if let ColumnKind::Text(width) = column.kind { Some(width.into()) } else { None },
            data_type,
            nullable: !column.required,
            has_default: column.default.is_some(),
            collation: if is_text { collation.to_owned() } else { String::new() },
            ..ColumnInfo::default()
        }
    }
}
