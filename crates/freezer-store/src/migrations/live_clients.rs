//! The unique index on the names of the live clients of a project.

use super::layout::normalized;
use super::planner::Planner;
use crate::dialect::Dialect;

/// The unique index on the names of live clients.
const UNIQUE_LIVE_CLIENTS: &str = "fz_clients_live";

/// The generated column in [`UNIQUE_LIVE_CLIENTS`] on MySQL.
const LIVE_CLIENT_ID: &str = "fz_live_client_id";

/// Central clients are excluded. They are identified by name and host, so one project may have several with the
/// same name.
const LIVE: &str = "deleted = 0 AND is_central = 0";

fn live_client_id() -> String {
    format!("CASE WHEN {LIVE} THEN client_id END")
}

impl Planner {
    /// Ensures that the names of live clients are unique within a project. The rows must already satisfy this.
    pub(super) fn ensure_unique_live_clients(&mut self) {
        let Some(clients) = self.layout.table("clients") else { return };
        let found = clients.index(UNIQUE_LIVE_CLIENTS);
        let column = clients.column(LIVE_CLIENT_ID);
        let (columns, condition): (&[&str], &str) = match self.dialect {
            Dialect::MySql => (&["project_id", LIVE_CLIENT_ID], ""),
            Dialect::Sqlite => (&["project_id", "client_id"], LIVE),
        };
        let index_is_right = found.is_some_and(|index| {
            index.unique && index.columns == columns && normalized(&index.condition) == normalized(condition)
        });
        let column_is_right = self.dialect == Dialect::Sqlite
            || column.is_some_and(|column| normalized(&column.generated) == normalized(&live_client_id()));
        if index_is_right && column_is_right {
            return;
        }
        let what = match found {
            Some(_) => "recreate unique index on live client names, because its definition differs",
            None => "add unique index on live client names",
        };
        let index = self.dialect.quote(UNIQUE_LIVE_CLIENTS);
        let columns = self.dialect.quote_all(columns);
        match self.dialect {
            // The unique index contains a generated column, which is NULL for all other rows. SQLAlchemy names
            // its columns, so it neither reads nor writes this one.
            Dialect::MySql => {
                let name = self.dialect.quote(LIVE_CLIENT_ID);
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
