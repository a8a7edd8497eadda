//! [`Planner`] derives the necessary statements from the existing layout.
//!
//! Revisions (`revisions/`) and additions (`additions.rs`) state the conditions that must hold. If a condition
//! does not hold, the planner adds a [`SchemaChange`] and updates its copy of the layout. So the whole plan
//! follows from one inspection of the database, and it can be shown (`db sync --dry-run`). After a crash, a new
//! inspection yields the remaining steps.

mod charsets;
mod columns;
mod constraints;
pub(super) mod derived;
mod indexes;
mod keys;

use super::head::TableLayout;
use super::layout::{Layout, Table};
use super::moves::RowMove;
use super::moves::leftovers::LeftoverColumn;
use crate::dialect::Dialect;

/// A step of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChange {
    /// Upstream's revision that this step belongs to. `None` if it is one of our additions.
    pub revision: Option<&'static str>,
    /// Description for the operator.
    pub what: String,
    /// How it is done.
    pub action: StepAction,
    /// Approximate number of rows that it rewrites.
    pub rows: u64,
    /// Whether the service needs it, although no revision of upstream contains it.
    pub required: bool,
}

/// The action of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepAction {
    /// Runs one statement.
    Sql(String),
    /// Copies a table of SQLite with statements that are one transaction.
    Rebuild(Vec<String>),
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

impl StepAction {
    /// Returns the column whose values a step moves, if it uses `freezer_leftovers`.
    pub(super) fn kept_column(&self) -> Option<LeftoverColumn> {
        match self {
            StepAction::MoveRows(rows) => rows.kept_column(),
            _ => None,
        }
    }
}

/// Plans an upgrade.
pub(super) struct Planner {
    pub(super) dialect: Dialect,
    pub(super) layout: Layout,
    /// Tables whose character set or collation changes.
    pub(super) converted: Vec<String>,
    /// Whether the following steps are required.
    required: bool,
    /// Whether foreign keys were dropped that must be added again.
    keys_dropped: bool,
    steps: Vec<SchemaChange>,
    revision: Option<&'static str>,
}

impl Planner {
    pub(super) fn new(dialect: Dialect, layout: Layout) -> Planner {
        let (converted, steps) = (Vec::new(), Vec::new());
        Planner { dialect, layout, converted, required: false, keys_dropped: false, steps, revision: None }
    }

    /// Sets the revision of the following steps. `None` if they are our additions.
    pub(super) fn set_revision(&mut self, revision: Option<&'static str>) {
        self.revision = revision;
    }

    pub(super) fn into_steps(self) -> Vec<SchemaChange> {
        self.steps
    }

    /// Adds a step. `table` is the table whose rows it reads.
    pub(super) fn push_step(&mut self, what: impl Into<String>, table: &str, action: StepAction) {
        let rows = self.layout.table(table).map_or(0, |table| table.rows);
        let (revision, required) = (self.revision, self.required);
        self.steps.push(SchemaChange { revision, what: what.into(), action, rows, required });
    }

    pub(super) fn push_sql(&mut self, what: impl Into<String>, table: &str, sql: String) {
        self.push_step(what, table, StepAction::Sql(sql));
    }

    pub(super) fn push_alter(&mut self, what: impl Into<String>, table: &str, change: &str) {
        let sql = format!("ALTER TABLE {} {change}", self.dialect.quote(table));
        self.push_sql(what, table, sql);
    }

    /// Ensures that the table exists. If its foreign keys must match columns of `like`, a new table gets the
    /// collation of that table.
    pub(super) fn ensure_table(&mut self, wanted: &TableLayout, like: Option<&str>) {
        if self.layout.table(wanted.name).is_some() {
            return;
        }
        let collation = like
            .and_then(|name| self.layout.table(name))
            .map_or_else(|| self.collation_of_new(wanted.name), |table| table.collation.clone());
        let foreign_keys = self.named_foreign_keys(wanted);
        for statement in wanted.create(self.dialect, &collation, &foreign_keys) {
            self.push_sql(format!("create table {}", wanted.name), wanted.name, statement);
        }
        let table = Table {
            columns: wanted.columns.iter().map(|column| self.to_info(column, &collation)).collect(),
            indexes: wanted.indexes.iter().map(|index| index.to_info()).collect(),
            foreign_keys,
            collation,
            ..Table::default()
        };
        self.layout.tables.insert(wanted.name.to_owned(), table);
    }

    /// Ensures that copies of the table keep its row format, if the server's default is another one. An ALTER that copies
    /// a table without an explicit row format would use the default, which may not allow the indexes of wide texts.
    pub(super) fn ensure_explicit_row_format(&mut self, table: &str) {
        let Some(found) = self.layout.tables.get_mut(table).filter(|found| found.loses_row_format) else {
            return;
        };
        if !found.engine.eq_ignore_ascii_case("innodb") {
            return;
        }
        (found.loses_row_format, found.row_format) = (false, "Dynamic".to_owned());
        let what = format!("keep the rows of {table} as DYNAMIC, which is not the default of the server");
        self.push_alter(what, table, "ROW_FORMAT=DYNAMIC");
    }

    /// Ensures that the table uses InnoDB, which has transactions and foreign keys, and a row format that allows
    /// indexes of more than 767 bytes. NDB tables stay, because NDB has its own transactions and its clusters
    /// depend on it.
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
}
