//! Reads and compares the layouts of whole databases: every table, column, key and option, as the server shows them.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::path::Path;

use freezer_store::DatabaseUrl;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Row};

use crate::support::Engine;
use crate::support::database::{self, TestDatabase};

/// Tables on one side that are not part of the layout: one of the releases before 16.0.0, which freezer-api never
/// drops, and one that a sync creates if values have no other place.
const BESIDE: [&str; 2] = ["migrate_version", "freezer_leftovers"];

/// The parts of each table, one line for each part.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tables(pub BTreeMap<String, Vec<String>>);

impl Tables {
    /// Reads all tables of a database.
    pub async fn read(database: &TestDatabase) -> Tables {
        let mut tables = match database.url() {
            DatabaseUrl::MySql(url) => mysql(&mut database::connect(&url).await).await,
            DatabaseUrl::Sqlite { path } => sqlite(&path).await,
        };
        tables.retain(|name, _| !BESIDE.contains(&name.as_str()));
        // alembic's table: one ASCII word, in the character set that the database had when it was created. freezer-api
        // owns this table.
        for line in tables.get_mut("alembic_version").into_iter().flatten() {
            let table = line.split(" DEFAULT CHARSET").next().unwrap_or_default();
            *line = table.replace(" COLLATE utf8mb4_general_ci", "");
        }
        Tables(tables)
    }

    /// Returns the tables without the lines that contain one of the texts.
    pub fn without(mut self, texts: &[&str]) -> Tables {
        for lines in self.0.values_mut() {
            lines.retain(|line| !texts.iter().any(|text| line.contains(text)));
        }
        self
    }

    /// Returns the tables without differences that an upgrade of SQLite cannot remove. SQLite cannot widen a column,
    /// add a default or add NOT NULL. It does not enforce widths, and all statements of both services set the values of
    /// such columns.
    pub fn into_what_can_be(mut self, database: &TestDatabase) -> Tables {
        if database.engine() == Engine::Sqlite {
            for line in self.0.values_mut().flatten() {
                let column = line.split([',', '(']).next().unwrap_or_default();
                if line.contains("VARCHAR(") && !line.contains("KEY") {
                    *line = format!("{column}{}", line.split_once(')').map_or("", |(_, rest)| rest));
                }
                *line = line.replace(" DEFAULT 'available'", "").replace(" NOT NULL DEFAULT 0", "");
                if line.starts_with("session_id ") {
                    *line = line.replace(" NOT NULL", "");
                }
            }
            // create_all of the models creates these keys, but SQLite does not enforce them.
            for (table, columns) in
                [("jobs", ["client_id", "session_id"]), ("user_credentials", ["job_id"; 2])]
            {
                let lines = self.0.entry(table.to_owned()).or_default();
                lines.retain(|line| !columns.iter().any(|c| line.starts_with(&format!("FOREIGN KEY ({c})"))));
            }
        }
        self
    }

    /// Returns the tables without the additions of this service (docs/database.md): indexes, wider texts and hostnames,
    /// the character set, search terms.
    pub fn into_upstream(self) -> Tables {
        let mut tables = self.without(&["fz_"]).0;
        tables.retain(|name, _| !name.starts_with("freezer_") && !name.starts_with("fz_"));
        for line in tables.values_mut().flatten() {
            *line = line
                .replace("mediumtext", "text")
                .replace("`hostname` varchar(255)", "`hostname` varchar(128)")
                .replace("hostname VARCHAR(255)", "hostname VARCHAR(128)");
            for ours in
                [" COLLATE utf8mb4_general_ci", " COLLATE=utf8mb4_general_ci", " DEFAULT CHARSET=utf8mb4"]
            {
                *line = line.replace(ours, "");
            }
            for theirs in [" COLLATE=utf8mb3_general_ci", " DEFAULT CHARSET=utf8mb3"] {
                *line = line.replace(theirs, "");
            }
        }
        Tables(tables)
    }

    /// Describes the first difference from other tables.
    pub fn difference(&self, other: &Tables) -> Option<String> {
        let names = |tables: &Tables| tables.0.keys().cloned().collect::<Vec<_>>();
        if names(self) != names(other) {
            return Some(format!("{:?} and {:?}", names(self), names(other)));
        }
        let differences: Vec<String> = self
            .0
            .iter()
            .filter_map(|(name, lines)| {
                let theirs = &other.0[name];
                let only = |a: &[String], b: &[String]| {
                    a.iter().filter(|line| !b.contains(line)).cloned().collect::<Vec<_>>().join("\n")
                };
                (lines != theirs)
                    .then(|| format!("{name}:\n{}\nand\n{}", only(lines, theirs), only(theirs, lines)))
            })
            .collect();
        (!differences.is_empty()).then(|| differences.join("\n\n"))
    }
}

/// Returns the sorted lines of SHOW CREATE TABLE. The order of columns and keys depends on the order of the revisions,
/// and all statements of both services name their columns.
async fn mysql(connection: &mut MySqlConnection) -> BTreeMap<String, Vec<String>> {
    let mut tables = BTreeMap::new();
    for table in sqlx::raw_sql("SHOW TABLES").fetch_all(&mut *connection).await.unwrap() {
        let name: String = table.get_unchecked(0);
        let sql = AssertSqlSafe(format!("SHOW CREATE TABLE `{name}`"));
        let shown: String = sqlx::raw_sql(sql).fetch_one(&mut *connection).await.unwrap().get_unchecked(1);
        let mut lines: Vec<String> =
            shown.lines().skip(1).map(|line| line.trim().trim_end_matches(',').to_owned()).collect();
        for line in &mut lines {
            // MySQL shows the character set if a statement set it. The collation has the same information.
            *line = line.replace(" CHARACTER SET utf8mb4 COLLATE", " COLLATE");
            // The row format is only shown if a statement set it. Tables of other programs have the server's default.
            *line = line.replace(" ROW_FORMAT=DYNAMIC", "");
        }
        lines.sort();
        tables.insert(name, lines);
    }
    tables
}

/// Reads the catalogue, because the text of CREATE TABLE is never normalized.
async fn sqlite(path: &Path) -> BTreeMap<String, Vec<String>> {
    let mut connection = database::open(path).await;
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut tables = BTreeMap::new();
    for table in sqlx::raw_sql(sql).fetch_all(&mut connection).await.unwrap() {
        let name: String = table.get_unchecked(0);
        let parts = format!(
            "SELECT name || ' ' || type || iif(\"notnull\", ' NOT NULL', '') || iif(pk, ' PRIMARY KEY', '') \
             || coalesce(' DEFAULT ' || dflt_value, '') FROM pragma_table_info('{name}') \
             UNION ALL \
             SELECT iif(i.\"unique\", 'UNIQUE ', '') || 'KEY ' || i.name || ' (' \
             || (SELECT group_concat(name) FROM pragma_index_info(i.name)) || ')' \
             || iif(instr(m.sql, ' WHERE '), substr(m.sql, instr(m.sql, ' WHERE ')), '') \
             FROM pragma_index_list('{name}') i JOIN sqlite_master m ON m.name = i.name \
             WHERE i.origin = 'c' \
             UNION ALL \
             SELECT 'FOREIGN KEY (' || \"from\" || ') REFERENCES ' || \"table\" || ' (' || \"to\" || ')' \
             FROM pragma_foreign_key_list('{name}') \
             UNION ALL \
             SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{name}' ORDER BY 1"
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(parts)).fetch_all(&mut connection).await.unwrap();
        tables.insert(name, rows.iter().map(|row| row.get_unchecked(0)).collect());
    }
    tables
}
