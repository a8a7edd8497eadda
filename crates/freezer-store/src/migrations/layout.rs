//! [`Layout`]: what tables a database really has, as `inspect.rs` finds them and `planner.rs` changes them in thought.

use std::collections::{BTreeMap, BTreeSet};

/// Tables of a database, by name. Other programs' tables are in it too, and are never touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The tables.
    pub tables: BTreeMap<String, Table>,
    /// Names of views.
    pub views: BTreeSet<String>,
}

/// One table as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Columns in their order.
    pub columns: Vec<ColumnInfo>,
    /// Its indexes, the primary key's left out.
    pub indexes: Vec<IndexInfo>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Names of its CHECK constraints.
    pub checks: Vec<String>,
    /// Its triggers, name and statement (SQLite), none elsewhere.
    pub triggers: Vec<(String, String)>,
    /// Default collation (MySQL), "" elsewhere.
    pub collation: String,
    /// Its storage engine, as `InnoDB` (MySQL), "" elsewhere.
    pub engine: String,
    /// How its rows are stored, as `Dynamic` or `Compact` (MySQL), "" elsewhere.
    pub row_format: String,
    /// About how many rows (the server's estimate; exact on SQLite).
    pub rows: u64,
}

/// One column as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Name.
    pub name: String,
    /// Type in lower case, without its width: `varchar`, `text`, `tinyint`, …
    pub data_type: String,
    /// Width of a VARCHAR, in characters.
    pub width: Option<u32>,
    /// NULL is allowed.
    pub nullable: bool,
    /// It has a DEFAULT other than NULL.
    pub has_default: bool,
    /// Collation (MySQL), "" elsewhere and for what is not text.
    pub collation: String,
    /// Expression of a generated column (MySQL), "" elsewhere.
    pub generated: String,
}

/// One index as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexInfo {
    /// Name.
    pub name: String,
    /// Columns in order.
    pub columns: Vec<String>,
    /// No two rows may have the same values.
    pub unique: bool,
    /// The condition of an index of some rows only (SQLite), "" elsewhere.
    pub condition: String,
}

/// One foreign key as it is.
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
    /// A table, if it is there.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// Whether a table is there and has a column.
    pub fn has_column(&self, table: &str, column: &str) -> bool {
        self.table(table).is_some_and(|table| table.column(column).is_some())
    }
}

impl ColumnInfo {
    /// Its character set, such as `utf8mb4`: what the collation begins with.
    pub fn charset(&self) -> &str {
        self.collation.split('_').next().unwrap_or_default()
    }
}

impl Table {
    /// A column, if it is there.
    pub fn column(&self, name: &str) -> Option<&ColumnInfo> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// An index, if it is there.
    pub fn index(&self, name: &str) -> Option<&IndexInfo> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// The character set that a new column gets, such as `utf8mb4`: what the collation begins with.
    pub fn charset(&self) -> &str {
        self.collation.split('_').next().unwrap_or_default()
    }

    /// Whether every text in it is utf8mb4.
    pub fn is_utf8mb4(&self) -> bool {
        self.charset() == "utf8mb4"
            && self.columns.iter().all(|column| matches!(column.charset(), "" | "utf8mb4"))
    }
}
