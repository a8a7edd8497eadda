//! Finds primary keys and unique indexes that differ from those at head, as after a repair with `CREATE TABLE … AS
//! SELECT`. Without them, rows are stored twice.
//!
//! A primary key can only be restored if the rows have different values in its columns. This is checked before anything
//! is changed.

use std::fmt;

use super::head::{TABLES, TableLayout};
use super::layout::{IndexInfo, Layout, Table, normalized};
use super::moves::leftovers;
use super::{action_terms, live_clients, lock, repeats};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::schema::{Obstacle, SchemaError};

/// Primary keys of the tables outside the layout at head. The flag tells whether the service needs the key.
const HELPERS: [(&str, &[&str], bool); 5] = [
    (action_terms::TABLE, &["term", "project_id", "action_id"], true),
    (repeats::TABLE, &["id"], true),
    (leftovers::TABLE, &["table_name", "row_id", "column_name"], false),
    (lock::TABLE, &["id"], false),
    ("alembic_version", &["version_num"], false),
];

/// How many groups of rows an error names for each table.
const SHOWN: usize = 5;
/// Maximum number of characters of a group in an error.
const GROUP_WIDTH: usize = 200;

/// A table whose primary key is missing or has other columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongKey {
    /// The table.
    pub table: &'static str,
    /// The columns of its present primary key. Empty if it has none.
    pub found: Vec<String>,
    /// The columns that the primary key must have.
    pub wanted: &'static [&'static str],
    /// Whether the service depends on this key.
    pub is_needed: bool,
    /// Required columns that contain NULL (SQLite).
    pub(super) with_nulls: Vec<&'static str>,
}

impl fmt::Display for WrongKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, wanted) = (self.table, self.wanted.join(", "));
        match self.found.as_slice() {
            [] => write!(f, "the table {table} has no primary key ({wanted})"),
            found => {
                write!(f, "the primary key of the table {table} is ({}), not ({wanted})", found.join(", "))
            }
        }
    }
}

impl WrongKey {
    /// The layout of the table, if it is one of those at head.
    pub(super) fn layout(&self) -> Option<&'static TableLayout> {
        TABLES.iter().find(|table| table.name == self.table)
    }

    /// Whether the table is made of other tables. Then it is created again instead.
    pub(super) fn is_derived(&self) -> bool {
        self.table == action_terms::TABLE
    }
}

/// Describes keys.
pub(super) fn describe(keys: &[WrongKey]) -> String {
    keys.iter().map(WrongKey::to_string).collect::<Vec<_>>().join("; ")
}

/// Finds the primary keys that are missing or wrong.
pub(super) fn wrong(layout: &Layout) -> Vec<WrongKey> {
    let tables = TABLES.iter().map(|table| (table.name, std::slice::from_ref(&table.key), true));
    let all = tables.chain(HELPERS);
    all.filter_map(|(name, wanted, is_needed)| {
        let found = &layout.table(name)?.primary_key;
        let is_right = found.len() == wanted.len()
            && found.iter().zip(wanted).all(|(found, wanted)| found.eq_ignore_ascii_case(wanted));
        let found = found.clone();
        (!is_right).then_some(WrongKey { table: name, found, wanted, is_needed, with_nulls: Vec::new() })
    })
    .collect()
}

/// Refuses tables whose rows do not allow their primary key.
///
/// # Errors
/// [`Obstacle::UnusableKeys`], with tables and ids.
pub(super) async fn check_rows(
    db: &mut Db,
    layout: &Layout,
    keys: &mut [WrongKey],
    database: &str,
) -> Result<(), StoreError> {
    let mut found = Vec::new();
    for key in keys.iter_mut().filter(|key| !key.is_derived()) {
        if let Some(rows) = unusable_rows(db, key).await? {
            found.push(format!("{} ({}): {rows}", key.table, key.wanted.join(", ")));
        }
        if db.dialect() == Dialect::Sqlite {
            key.with_nulls = with_nulls(db, layout, key).await?;
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let (database, found) = (database.to_owned(), found.join("; "));
    Err(SchemaError::Obstacle(Obstacle::UnusableKeys { database, found }).into())
}

/// Returns the existing columns with NULL that should be NOT NULL.
async fn with_nulls(db: &mut Db, layout: &Layout, key: &WrongKey) -> Result<Vec<&'static str>, StoreError> {
    let columns = key.layout().map_or(&[][..], |layout| layout.columns);
    let mut found = Vec::new();
    for name in columns.iter().filter(|column| column.required).map(|column| column.name) {
        let sql = format!("SELECT 1 FROM {} WHERE {name} IS NULL LIMIT 1", key.table);
        if layout.has_column(key.table, name) && !db.raw_select(&sql).await?.is_empty() {
            found.push(name);
        }
    }
    Ok(found)
}

/// Describes the rows that prevent the key: groups of rows with equal values, and rows with NULL.
async fn unusable_rows(db: &mut Db, key: &WrongKey) -> Result<Option<String>, StoreError> {
    let dialect = db.dialect();
    let table = dialect.quote(key.table);
    let columns: Vec<String> = key.wanted.iter().map(|column| dialect.quote(column)).collect();
    let any = |is: &str| columns.iter().map(|c| format!("{c} {is}")).collect::<Vec<_>>();
    let group = match (dialect, columns.as_slice()) {
        (Dialect::MySql, [column]) => format!("GROUP_CONCAT({column} SEPARATOR ', ')"),
        (Dialect::MySql, columns) => {
            format!("GROUP_CONCAT(CONCAT_WS('/', {}) SEPARATOR ', ')", columns.join(", "))
        }
        (Dialect::Sqlite, columns) => format!("GROUP_CONCAT({}, ', ')", columns.join(" || '/' || ")),
    };
    let sql = format!(
        "SELECT CAST({group} AS CHAR) FROM {table} WHERE {} GROUP BY {} HAVING COUNT(*) > 1 ORDER BY 1 LIMIT {}",
        any("IS NOT NULL").join(" AND "),
        columns.join(", "),
        SHOWN + 1
    );
    let rows: Vec<String> = db.raw_read(&sql).await?;
    let mut found: Vec<String> = Vec::new();
    for text in rows.iter().take(SHOWN) {
        let mut shown: String = text.chars().take(GROUP_WIDTH).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        found.push(format!("the rows {shown} have the same key"));
    }
    if rows.len() > SHOWN {
        found.push("and more".to_owned());
    }
    let sql = format!("SELECT CAST(COUNT(*) AS CHAR) FROM {table} WHERE {}", any("IS NULL").join(" OR "));
    let empty = db.raw_read::<String>(&sql).await?.into_iter().next().unwrap_or_default();
    if empty != "0" {
        found.push(format!("rows with NULL: {empty}"));
    }
    Ok((!found.is_empty()).then(|| found.join(", ")))
}

/// A unique index of ours, and whether this table had it.
struct UniqueIndex {
    table: &'static str,
    index: IndexInfo,
    is_right: bool,
    /// Whether a sync of ours has changed this table before.
    was_there: bool,
}

fn unique_indexes(layout: &Layout, dialect: Dialect) -> Vec<UniqueIndex> {
    let has_ours = |table: &Table, but: &str| {
        table.indexes.iter().any(|index| index.name.starts_with("fz_") && index.name != but)
    };
    let mut found = Vec::new();
    if let Some(clients) = layout.table("clients") {
        let index = live_clients::index(dialect);
        let was_there = has_ours(clients, &index.name) || clients.column(live_clients::COLUMN).is_some();
        let is_right = live_clients::is_right(clients, dialect);
        found.push(UniqueIndex { table: "clients", index, is_right, was_there });
    }
    if let Some(backups) = layout.table("backups") {
        let index = repeats::index();
        let is_right = backups.index(&index.name) == Some(&index);
        let was_there = backups.column(repeats::IDENTITY).is_some();
        found.push(UniqueIndex { table: "backups", index, is_right, was_there });
    }
    found
}

/// Describes unique indexes that earlier syncs added, and that are missing, wrong, or exist twice. If
/// `names_are_equal`, the index on client names is not expected.
pub(super) fn wrong_unique_indexes(layout: &Layout, dialect: Dialect, names_are_equal: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for UniqueIndex { table: name, index, is_right, was_there } in unique_indexes(layout, dialect) {
        let Some(table) = layout.table(name) else { continue };
        let is_expected = was_there && !(names_are_equal && index.name == live_clients::INDEX);
        if !is_right && is_expected {
            let is = if table.index(&index.name).is_some() { "has another definition" } else { "is missing" };
            wrong.push(format!("the unique index {} of the table {name} {is}", index.name));
        }
        for copy in copies(table, &index) {
            let ours = &index.name;
            wrong.push(format!("the unique index {copy} of the table {name} is a second one like {ours}"));
        }
    }
    wrong
}

/// Returns the names of other unique indexes with the same rows and columns.
pub(super) fn copies(table: &Table, of: &IndexInfo) -> Vec<String> {
    let is_copy = |index: &&IndexInfo| {
        index.unique
            && index.name != of.name
            && index.columns == of.columns
            && normalized(&index.condition) == normalized(&of.condition)
    };
    table.indexes.iter().filter(is_copy).map(|index| index.name.clone()).collect()
}
