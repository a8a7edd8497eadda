//! Reads and compares whole databases: every table, row and value as text.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use freezer_store::DatabaseUrl;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Row};

use crate::support::Engine;
use crate::support::database::{self, TestDatabase};

/// Values of a row by column. `None`: NULL. Binary values are in hexadecimal.
pub type Values = BTreeMap<String, Option<String>>;

/// Rows by their primary key.
pub type Rows = BTreeMap<String, Values>;

/// Tables by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dump(pub BTreeMap<String, Rows>);

impl Dump {
    /// Reads everything in a database.
    pub async fn read(database: &TestDatabase) -> Dump {
        match database.url() {
            DatabaseUrl::MySql(url) => mysql(&mut database::connect(&url).await).await,
            DatabaseUrl::Sqlite { path } => sqlite(&path).await,
        }
    }

    /// Describes the first value that differs from another dump.
    pub fn difference(&self, other: &Dump) -> Option<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        for name in names {
            let (Some(ours), Some(theirs)) = (self.0.get(name), other.0.get(name)) else {
                return Some(format!("only one has the table {name}"));
            };
            let ids: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            for id in ids {
                let (a, b) = (ours.get(id), theirs.get(id));
                if a != b {
                    return Some(format!("{name} {id}:\n{a:?}\n{b:?}"));
                }
            }
        }
        None
    }

    /// Returns the rows of a table. A missing table has none.
    pub fn table(&self, name: &str) -> Rows {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

/// Returns a dump in the style of `mysqldump`: it drops each table before it creates it.
pub fn dropping(engine: Engine, dump: &str) -> String {
    let tables = dump.lines().filter_map(|line| line.strip_prefix("CREATE TABLE "));
    let mut sql = match engine {
        Engine::Sqlite => "PRAGMA foreign_keys = OFF;\n".to_owned(),
        _ => "SET foreign_key_checks = 0;\n".to_owned(),
    };
    for table in tables {
        let name = table.split_whitespace().next().unwrap();
        sql.push_str(&format!("DROP TABLE IF EXISTS {name};\n"));
    }
    sql + dump
}

async fn mysql(connection: &mut MySqlConnection) -> Dump {
    let mut dump = Dump::default();
    let tables = sqlx::raw_sql("SHOW TABLES").fetch_all(&mut *connection).await.unwrap();
    for table in tables {
        let table: String = table.get_unchecked(0);
        let sql = format!("SHOW COLUMNS FROM `{table}`");
        let columns = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut *connection).await.unwrap();
        let columns: Vec<String> = columns.iter().map(|row| row.get_unchecked(0)).collect();
        let as_text = |name: &String| match name.as_str() {
            "log" | "fz_search_terms" | "fz_search_index" | "fz_terms" => format!("HEX(`{name}`)"),
            _ => format!("CAST(`{name}` AS CHAR CHARACTER SET utf8mb4)"),
        };
        let list: Vec<String> = columns.iter().map(as_text).collect();
        let sql = format!("SELECT {} FROM `{table}`", list.join(", "));
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut *connection).await.unwrap();
        let mut found = Rows::new();
        for row in rows {
            let values: Values =
                columns.iter().enumerate().map(|(at, name)| (name.clone(), row.get_unchecked(at))).collect();
            found.insert(key(&values), values);
        }
        dump.0.insert(table, found);
    }
    dump
}

async fn sqlite(path: &Path) -> Dump {
    let mut connection = database::open(path).await;
    let mut dump = Dump::default();
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    for table in sqlx::raw_sql(sql).fetch_all(&mut connection).await.unwrap() {
        let table: String = table.get_unchecked(0);
        let sql = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        let columns: Vec<String> = columns.iter().map(|row| row.get_unchecked(0)).collect();
        let list: Vec<String> = columns
            .iter()
            .map(|name| match name.as_str() {
                "log" | "fz_search_terms" | "fz_terms" => format!("hex(\"{name}\")"),
                // The Python service stores JSON as BLOBs in TEXT columns here.
                _ => format!("CAST(\"{name}\" AS TEXT)"),
            })
            .collect();
        let sql = format!("SELECT {} FROM \"{table}\"", list.join(", "));
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        let mut found = Rows::new();
        for row in rows {
            let values: Values =
                columns.iter().enumerate().map(|(at, name)| (name.clone(), row.get_unchecked(at))).collect();
            found.insert(key(&values), values);
        }
        dump.0.insert(table, found);
    }
    dump
}

fn key(values: &Values) -> String {
    if let (Some(Some(term)), Some(Some(action))) = (values.get("term"), values.get("action_id")) {
        return format!("{term} {action}");
    }
    let first =
        ["id", "version_num", "repository_id", "row_id"].iter().find_map(|name| values.get(*name)?.clone());
    let more = ["column_name"].iter().find_map(|name| values.get(*name)?.clone()).unwrap_or_default();
    format!("{}{more}", first.unwrap_or_default())
}
