//! [`Planner`]: from the layout that is there to the statements that are needed.
//!
//! Revisions (`revisions/`) and additions (`additions.rs`) say what must hold; the planner looks whether it does, and
//! if not writes down a [`SchemaChange`] and changes its own picture of the layout. So one look at the database gives the whole
//! plan, which can be shown (`db sync --dry-run`), and after a crash a new look gives what is left.

use super::head::{ColumnKind, ColumnLayout, Index, TableLayout};
use super::layout::{ColumnInfo, ForeignKey, Layout, Table};
use super::moves::RowMove;
use super::moves::renamed::RenamedColumn;
use crate::dialect::Dialect;

/// One step of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChange {
    /// Upstream's revision that it belongs to; none: an addition of ours.
    pub revision: Option<&'static str>,
    /// What it does, for the operator.
    pub what: String,
    /// How.
    pub action: StepAction,
    /// Rows of the table that it rewrites, about.
    pub rows: u64,
}

/// How a step is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepAction {
    /// One statement.
    Sql(String),
    /// Goes through rows in batches.
    MoveRows(RowMove),
    /// Drops the column if all its values are in their new place.
    DropColumn {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
}

/// Plans an upgrade.
pub(super) struct Planner {
    pub(super) dialect: Dialect,
    pub(super) layout: Layout,
    /// Tables whose texts get another character set or collation.
    pub(super) converted: Vec<String>,
    steps: Vec<SchemaChange>,
    revision: Option<&'static str>,
}

impl Planner {
    pub(super) fn new(dialect: Dialect, layout: Layout) -> Planner {
        Planner { dialect, layout, converted: Vec::new(), steps: Vec::new(), revision: None }
    }

    /// From here on, steps belong to this revision (none: to our additions).
    pub(super) fn set_revision(&mut self, revision: Option<&'static str>) {
        self.revision = revision;
    }

    pub(super) fn into_steps(self) -> Vec<SchemaChange> {
        self.steps
    }

    /// Writes down a step; `table` is the one whose rows it goes through.
    pub(super) fn push_step(&mut self, what: impl Into<String>, table: &str, action: StepAction) {
        let rows = self.layout.table(table).map_or(0, |table| table.rows);
        self.steps.push(SchemaChange { revision: self.revision, what: what.into(), action, rows });
    }

    pub(super) fn push_sql(&mut self, what: impl Into<String>, table: &str, sql: String) {
        self.push_step(what, table, StepAction::Sql(sql));
    }

    pub(super) fn push_alter(&mut self, what: impl Into<String>, table: &str, change: &str) {
        let sql = format!("ALTER TABLE {} {change}", self.dialect.quote(table));
        self.push_sql(what, table, sql);
    }

    /// The table is there. A new one takes the collation of `like`, where its foreign keys must fit columns of another.
    pub(super) fn ensure_table(&mut self, wanted: &TableLayout, like: Option<&str>) {
        if self.layout.table(wanted.name).is_some() {
            return;
        }
        let collation = like
            .and_then(|name| self.layout.table(name))
            .map_or_else(|| self.collation_of_new(wanted.name), |table| table.collation.clone());
        for statement in wanted.create(self.dialect, &collation) {
            self.push_sql(format!("create table {}", wanted.name), wanted.name, statement);
        }
        let table = Table {
            columns: wanted.columns.iter().map(|column| self.to_info(column, &collation)).collect(),
            indexes: wanted.indexes.iter().map(Index::to_info).collect(),
            foreign_keys: wanted.foreign_keys(),
            collation,
            ..Table::default()
        };
        self.layout.tables.insert(wanted.name.to_owned(), table);
    }

    /// The column is there.
    pub(super) fn ensure_column(&mut self, table: &'static str, column: &ColumnLayout) {
        if self.layout.has_column(table, column.name) {
            return;
        }
        let definition = column.definition(self.dialect);
        self.push_alter(format!("add {table}.{}", column.name), table, &format!("ADD COLUMN {definition}"));
        self.note_column(table, column);
    }

    /// The column is there, and the rows that were there before it have a value in it (a SQL literal).
    ///
    /// It is made and filled under another name, and renamed last: after a crash, a column under its own name is
    /// known to be filled.
    pub(super) fn ensure_filled_column(&mut self, table: &'static str, column: &ColumnLayout, value: &str) {
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
            // CHANGE: known to every server, MySQL before 8 and MariaDB before 10.5 included
            Dialect::MySql => format!("CHANGE COLUMN {q_old} {}", column.definition(self.dialect)),
            Dialect::Sqlite => format!("RENAME COLUMN {q_old} TO {q_new}"),
        };
        self.push_alter(format!("rename {table}.{old} to {}", column.name), table, &change);
    }

    /// The column has its new name. If both are there, the old one's values fill the gaps of the new one first, and those
    /// that differ are kept in `freezer_leftovers`.
    pub(super) fn ensure_renamed_column(
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

    /// The column is not there. It is dropped only if `moves/guard.rs` finds all its values elsewhere.
    pub(super) fn ensure_no_column(&mut self, table: &'static str, column: &'static str) {
        if !self.layout.has_column(table, column) {
            return;
        }
        self.push_step(format!("drop {table}.{column}"), table, StepAction::DropColumn { table, column });
        if let Some(table) = self.layout.tables.get_mut(table) {
            table.columns.retain(|found| found.name != column);
        }
    }

    /// The column takes what the wanted one takes: as wide, and NULL where that allows it. Never narrowed. SQLite holds
    /// nobody to a declared width, so there is nothing to do.
    pub(super) fn ensure_column_width(&mut self, table: &'static str, wanted: &ColumnLayout) {
        if self.dialect == Dialect::Sqlite {
            return;
        }
        let Some(found) = self.layout.table(table).and_then(|t| t.column(wanted.name)) else { return };
        let wide_enough = match wanted.kind {
            ColumnKind::Text(width) => found.width.is_none_or(|found| found >= u32::from(width)),
            ColumnKind::Document => matches!(found.data_type.as_str(), "mediumtext" | "longtext"),
            _ => true,
        };
        if wide_enough && (found.nullable || wanted.required) {
            return;
        }
        let charset = match (&wanted.kind, self.layout.table(table)) {
            // now, because the conversion of the table would make a LONGTEXT of a MEDIUMTEXT in another character set
            (ColumnKind::Document, Some(of)) if of.charset() != "utf8mb4" => {
                format!(" CHARACTER SET utf8mb4 COLLATE {}", self.dialect.new_collation())
            }
            // a column may have another collation than its table: it keeps it
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

    /// The table has no CHECK constraints, which SQLAlchemy 1.3 added for booleans and later ones do not.
    pub(super) fn ensure_no_checks(&mut self, table: &'static str) {
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

    /// The table has no foreign keys but those that the layout at head has: others contradict the data (a job's
    /// `client_id` holds a name, not a `clients.id`). SQLite does not enforce them here, and cannot drop them.
    pub(super) fn ensure_no_other_foreign_keys(&mut self, wanted: &TableLayout) {
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

    /// The table has no foreign keys for now: columns that are part of one cannot be converted.
    pub(super) fn drop_foreign_keys(&mut self, table: &'static str) {
        let keys = self.layout.tables.get_mut(table).map(|table| std::mem::take(&mut table.foreign_keys));
        for key in keys.unwrap_or_default() {
            let quoted = self.dialect.quote(&key.name);
            let what = format!("drop the foreign key of {table}.{}", key.column);
            self.push_alter(what, table, &format!("DROP FOREIGN KEY {quoted}"));
        }
    }

    /// The table has the foreign keys that it has at head. SQLite cannot add one, nor ever drops one.
    pub(super) fn ensure_foreign_keys(&mut self, wanted: &TableLayout) {
        let Some(table) = self.layout.table(wanted.name).filter(|_| self.dialect == Dialect::MySql) else {
            return;
        };
        let there = table.foreign_keys.clone();
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
    }

    /// The table is in InnoDB, which has transactions and foreign keys, and its rows are in a format that allows indexes of
    /// more than 767 bytes. NDB has transactions of its own, and its clusters depend on it.
    pub(super) fn ensure_storage(&mut self, table: &str) {
        let Some(found) = self.layout.tables.get_mut(table) else { return };
        if !matches!(found.engine.to_lowercase().as_str(), "" | "innodb" | "ndbcluster" | "ndb") {
            let what = format!("move {table} from {} to InnoDB", found.engine);
            (found.engine, found.row_format) = ("InnoDB".to_owned(), "Dynamic".to_owned());
            self.push_alter(what, table, "ENGINE=InnoDB ROW_FORMAT=DYNAMIC");
            return;
        }
        if matches!(found.row_format.to_lowercase().as_str(), "compact" | "redundant") {
            found.row_format = "Dynamic".to_owned();
            self.push_alter(format!("store the rows of {table} as DYNAMIC"), table, "ROW_FORMAT=DYNAMIC");
        }
    }

    /// The column is NOT NULL and has its default, as at head; a NULL in it becomes that. SQLite cannot change a column.
    pub(super) fn ensure_default(&mut self, table: &'static str, wanted: &ColumnLayout) {
        let Some(default) = wanted.default.filter(|_| self.dialect == Dialect::MySql) else { return };
        let Some(found) = self.column_mut(table, wanted.name) else { return };
        if found.has_default && !found.nullable {
            return;
        }
        let was_nullable = found.nullable;
        (found.has_default, found.nullable) = (true, false);
        let (q_table, column) = (self.dialect.quote(table), self.dialect.quote(wanted.name));
        let what = format!("give {table}.{} its default", wanted.name);
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

    /// What the catalogue would say of a column that we make.
    fn to_info(&self, column: &ColumnLayout, collation: &str) -> ColumnInfo {
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
            generated: String::new(),
        }
    }
}
