//! [`Layout`] describes the existing tables of a database. `inspect.rs` reads it, and the planner updates it
//! with each planned change.

use std::collections::{BTreeMap, BTreeSet};

/// The tables of a database by name. This includes tables of other programs, which are never changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The tables.
    pub tables: BTreeMap<String, Table>,
    /// Names of views.
    pub views: BTreeSet<String>,
}

/// An existing table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Columns in their order.
    pub columns: Vec<ColumnInfo>,
    /// Columns of the primary key in order. A column of which only a prefix counts has its length: `id(20)`.
    pub primary_key: Vec<String>,
    /// Indexes, without the primary key.
    pub indexes: Vec<IndexInfo>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// CHECK constraints of the table with their names and [`normalized`] conditions. Those of columns are not included.
    pub checks: Vec<(String, String)>,
    /// Triggers with name and statement (SQLite). Empty on other engines.
    pub triggers: Vec<(String, String)>,
    /// The statements that created its indexes and triggers (SQLite). Empty on other engines.
    pub statements: Vec<String>,
    /// Default collation (MySQL), "" elsewhere.
    pub collation: String,
    /// Storage engine, such as `InnoDB` (MySQL). "" on other engines.
    pub engine: String,
    /// Row format, such as `Dynamic` or `Compact` (MySQL). "" on other engines.
    pub row_format: String,
    /// Whether the next copy of the table gets a row format that is too small for our indexes: the default of the server
    /// (MySQL).
    pub loses_row_format: bool,
    /// Foreign keys of other tables that refer to this one, except for those of our tables (MySQL).
    pub referred_by: Vec<String>,
    /// Approximate number of rows (an estimate of the server, but exact on SQLite).
    pub rows: u64,
}

/// An existing column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Name, in lower case.
    pub name: String,
    /// Type in lower case, without its width: `varchar`, `text`, `tinyint`, …
    pub data_type: String,
    /// Width of a VARCHAR in characters, or of a VARBINARY in bytes.
    pub width: Option<u32>,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Whether it has a DEFAULT other than NULL.
    pub has_default: bool,
    /// Collation (MySQL). "" on other engines and for columns that are not text.
    pub collation: String,
    /// Expression of a generated column (MySQL), "" elsewhere.
    pub generated: String,
    /// Whether the database numbers new rows in this column.
    pub auto_increment: bool,
    /// The declaration without the name (SQLite). "" on other engines.
    pub declared: String,
}

/// An existing index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexInfo {
    /// Name.
    pub name: String,
    /// Columns in order. A column of which only a prefix counts has its length: `id(20)`.
    pub columns: Vec<String>,
    /// Whether it is unique.
    pub unique: bool,
    /// Condition of a partial index (SQLite). "" if there is none.
    pub condition: String,
}

/// An existing foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Name of the constraint.
    pub name: String,
    /// Column.
    pub column: String,
    /// Table that it refers to.
    pub refers: String,
}

impl Layout {
    /// Returns a table if it exists.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// Returns whether a table exists and has this column.
    pub fn has_column(&self, table: &str, column: &str) -> bool {
        self.table(table).is_some_and(|table| table.column(column).is_some())
    }
}

impl ColumnInfo {
    /// Returns the character set, such as `utf8mb4`. It is the prefix of the collation.
    pub fn charset(&self) -> &str {
        self.collation.split('_').next().unwrap_or_default()
    }
}

impl Table {
    /// Returns a column if it exists.
    pub fn column(&self, name: &str) -> Option<&ColumnInfo> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// Returns an index if it exists.
    pub fn index(&self, name: &str) -> Option<&IndexInfo> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// Returns the character set of new columns, such as `utf8mb4`. It is the prefix of the collation.
    pub fn charset(&self) -> &str {
        self.collation.split('_').next().unwrap_or_default()
    }

    /// Returns whether all text columns are utf8mb4.
    pub fn is_utf8mb4(&self) -> bool {
        self.charset() == "utf8mb4"
            && self.columns.iter().all(|column| matches!(column.charset(), "" | "utf8mb4"))
    }
}

/// Normalizes an expression: removes quotes and parentheses, which servers add, and converts it to lower case.
pub(super) fn normalized(expression: &str) -> String {
    expression.chars().filter(|c| !"`\"() ".contains(*c)).collect::<String>().to_lowercase()
}
