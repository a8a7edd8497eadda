//! The unique index on the names of the live clients of a project, and the rows that prevent it.
//!
//! The collation of the table determines which names are equal. A sync can convert the table first, so the names are
//! compared in the planned collation.

use std::collections::BTreeSet;
use std::fmt;

use super::collations::charset;
use super::layout::{ColumnInfo, IndexInfo, Layout, Table, normalized};
use super::options::Wishes;
use super::planner::Planner;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;

/// The unique index on the names of live clients.
pub(super) const INDEX: &str = "fz_clients_live";

/// The generated column in [`INDEX`] on MySQL.
pub(super) const COLUMN: &str = "fz_live_client_id";

/// Central clients are excluded. They are identified by name and host, so one project may have several with the
/// same name.
const LIVE: &str = "deleted = 0 AND is_central = 0";

fn live_client_id() -> String {
    format!("CASE WHEN {LIVE} THEN client_id END")
}

/// Returns the index as the catalogue should describe it.
pub(super) fn index(dialect: Dialect) -> IndexInfo {
    let (columns, condition) = match dialect {
        Dialect::MySql => (["project_id", COLUMN], ""),
        Dialect::Sqlite => (["project_id", "client_id"], LIVE),
    };
    let columns = columns.map(str::to_owned).to_vec();
    IndexInfo { name: INDEX.to_owned(), columns, unique: true, condition: condition.to_owned() }
}

/// Returns whether the table has the index, with the generated column on MySQL.
pub(super) fn is_right(clients: &Table, dialect: Dialect) -> bool {
    let wanted = index(dialect);
    let index_is_right = clients.index(INDEX).is_some_and(|found| {
        found.unique
            && found.columns == wanted.columns
            && normalized(&found.condition) == normalized(&wanted.condition)
    });
    let is_generated = |column: &ColumnInfo| normalized(&column.generated) == normalized(&live_client_id());
    index_is_right && (dialect == Dialect::Sqlite || clients.column(COLUMN).is_some_and(is_generated))
}

/// Maximum number of rows that a message names for a group.
const SHOWN: usize = 5;

/// Live clients of a project whose names are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EqualClients {
    /// Their project.
    pub project_id: String,
    /// Their names, which can differ in case, for example.
    pub names: Vec<String>,
    /// The ids of their rows.
    pub ids: Vec<String>,
    /// Number of rows.
    pub rows: u64,
}

impl fmt::Display for EqualClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut seen = BTreeSet::new();
        let names: Vec<&str> =
            self.names.iter().map(String::as_str).filter(|name| seen.insert(*name)).take(SHOWN).collect();
        let ids: Vec<&str> = self.ids.iter().map(String::as_str).take(SHOWN).collect();
        let more = if self.rows > ids.len() as u64 { ", …" } else { "" };
        let (names, ids, rows) = (names.join(", "), ids.join(", "), self.rows);
        write!(f, "{names} in project {}: {rows} times (rows {ids}{more})", self.project_id)
    }
}

/// Returns the layout of the tables after the planned conversions of character sets.
pub(super) fn converted(dialect: Dialect, layout: &Layout, wishes: Wishes) -> Layout {
    let mut planner = Planner::new(dialect, layout.clone());
    planner.ensure_linked_collations(wishes);
    planner.layout
}

/// Finds the live clients of a project whose names are equal in the collation of `planned`. Central clients may be.
pub(crate) async fn equal_clients(
    db: &mut Db,
    layout: &Layout,
    planned: &Layout,
) -> Result<Vec<EqualClients>, StoreError> {
    let (Some(clients), Some(planned)) = (layout.table("clients"), planned.table("clients")) else {
        return Ok(Vec::new());
    };
    let has = |name: &str| clients.column(name).is_some();
    if !["id", "client_id", "project_id", "deleted"].into_iter().all(has) {
        return Ok(Vec::new());
    }
    let compared = |name: &str| match (clients.column(name), planned.column(name)) {
        (Some(found), Some(planned))
            if found.collation != planned.collation && !planned.collation.is_empty() =>
        {
            let collation = &planned.collation;
            format!("CONVERT({name} USING {}) COLLATE {collation}", charset(collation))
        }
        _ => name.to_owned(),
    };
    let (client, project) = (compared("client_id"), compared("project_id"));
    let ordinary = if has("is_central") { "AND is_central = 0" } else { "" };
    let list = |column: &str| match db.dialect() {
        Dialect::MySql => format!("GROUP_CONCAT({column} ORDER BY client_id, id SEPARATOR '{SEPARATOR}')"),
        Dialect::Sqlite => format!("GROUP_CONCAT({column}, '{SEPARATOR}')"),
    };
    let sql = format!(
        "SELECT MIN(project_id), {}, {}, CAST(COUNT(*) AS CHAR) \
         FROM (SELECT id, client_id, project_id, {client} AS client_key, {project} AS project_key FROM clients \
         WHERE deleted = 0 AND project_id IS NOT NULL {ordinary} ORDER BY client_id, id) AS live \
         GROUP BY project_key, client_key HAVING COUNT(*) > 1 ORDER BY 1, 2",
        list("client_id"),
        list("id"),
    );
    let split = |text: String| text.split(SEPARATOR).map(str::to_owned).collect();
    let rows = db.raw_read::<[String; 4]>(&sql).await?;
    let equal = rows.into_iter().map(|[project_id, names, ids, rows]| EqualClients {
        project_id,
        names: split(names),
        ids: split(ids),
        rows: rows.parse().unwrap_or(0),
    });
    Ok(equal.collect())
}

/// Separates the values of a group.
const SEPARATOR: char = '\u{1f}';

impl Planner {
    /// Ensures that the names of live clients are unique within a project. The rows must already satisfy this.
    pub(super) fn ensure_unique_live_clients(&mut self) {
        let wanted = index(self.dialect);
        self.ensure_no_copies("clients", &wanted);
        let Some(clients) = self.layout.table("clients") else { return };
        if is_right(clients, self.dialect) {
            return;
        }
        let found = clients.index(INDEX);
        let column = clients.column(COLUMN);
        let what = match found {
            Some(_) => "recreate unique index on live client names, because its definition differs",
            None => "add unique index on live client names",
        };
        let index = self.dialect.quote(INDEX);
        let columns: Vec<&str> = wanted.columns.iter().map(String::as_str).collect();
        let columns = self.dialect.quote_all(&columns);
        match self.dialect {
            // The unique index contains a generated column, which is NULL for all other rows. SQLAlchemy names
            // its columns, so it neither reads nor writes this one.
            Dialect::MySql => {
                let name = self.dialect.quote(COLUMN);
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
