//! The layout at head: all tables, keys and indexes. `tables/` declares the columns.
//!
//! Names, types, widths and order are those of freezer-api 19.0.0, which a golden dump in the tests verifies. So
//! both services can use the same tables. Differences are limited to properties that SQLAlchemy does not check:
//! wider texts ([`ColumnKind::Document`] is MEDIUMTEXT, upstream has TEXT), 255 characters for `hostname`
//! (releases before 16.0.0 stored such names), utf8mb4, and the indexes named `fz_*`.

use super::layout::{ForeignKey, IndexInfo};
use crate::dialect::Dialect;
use crate::schema::{ColumnKind, ColumnLayout};
use crate::tables::{
    ActionReports, Actions, Backups, Clients, Column, JobActions, Jobs, Sessions, UserCredentials,
};

/// A secondary index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Name. Those of upstream begin with `ix_`, ours with `fz_`.
    pub name: &'static str,
    /// Columns in order.
    pub columns: &'static [&'static str],
}

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLayout {
    /// Name.
    pub name: &'static str,
    /// Columns in upstream's order.
    pub columns: &'static [ColumnLayout],
    /// The column of the primary key.
    pub key: &'static str,
    /// (column, table whose `id` it refers to).
    pub refers: &'static [(&'static str, &'static str)],
    /// Secondary indexes.
    pub indexes: &'static [Index],
}

/// Reads the list of a project: its live rows in order.
const BY_PROJECT: &[&str] = &["project_id", "deleted", "created_at", "id"];

/// All tables in the order of their creation. A table is created after the tables that it refers to.
pub const TABLES: &[TableLayout] = &[
    TableLayout {
        name: Clients::TABLE,
        columns: Clients::LAYOUT,
        key: "id",
        refers: &[],
        indexes: &[
            Index { name: "fz_clients_project", columns: BY_PROJECT },
            Index { name: "fz_clients_name", columns: &["client_id", "project_id"] },
            Index { name: "fz_clients_central", columns: &["is_central", "deleted"] },
        ],
    },
    TableLayout {
        name: Sessions::TABLE,
        columns: Sessions::LAYOUT,
        key: "id",
        refers: &[],
        indexes: &[Index { name: "fz_sessions_project", columns: BY_PROJECT }],
    },
    TableLayout {
        name: Jobs::TABLE,
        columns: Jobs::LAYOUT,
        key: "id",
        refers: &[],
        indexes: &[
            Index { name: "fz_jobs_project", columns: BY_PROJECT },
            Index {
                name: "fz_jobs_client",
                columns: &["client_id", "project_id", "deleted", "created_at", "id"],
            },
            Index { name: "fz_jobs_live", columns: &["deleted", "created_at", "id"] },
        ],
    },
    TableLayout {
        name: Actions::TABLE,
        columns: Actions::LAYOUT,
        key: "id",
        refers: &[],
        indexes: &[Index { name: "fz_actions_project", columns: BY_PROJECT }],
    },
    TableLayout {
        name: ActionReports::TABLE,
        columns: ActionReports::LAYOUT,
        key: "id",
        refers: &[],
        indexes: &[],
    },
    TableLayout {
        name: Backups::TABLE,
        columns: Backups::LAYOUT,
        key: "id",
        refers: &[],
        // The index of its list is created together with the columns of search terms: `terms.rs`.
        indexes: &[],
    },
    TableLayout {
        name: UserCredentials::TABLE,
        columns: UserCredentials::LAYOUT,
        key: "id",
        refers: &[],
        indexes: &[
            Index { name: "fz_user_credentials_job", columns: &["job_id"] },
            Index { name: "fz_user_credentials_trust", columns: &["trust_id"] },
        ],
    },
    TableLayout {
        name: JobActions::TABLE,
        columns: JobActions::LAYOUT,
        key: "id",
        refers: &[("job_id", "jobs"), ("action_id", "actions")],
        indexes: &[
            Index { name: "ix_job_actions_job_id", columns: &["job_id"] },
            Index { name: "ix_job_actions_action_id", columns: &["action_id"] },
            // These are all columns of a link that a list of jobs needs, so the row itself is not read.
            Index {
                name: "fz_job_actions_job",
                columns: &["job_id", "deleted", "position", "action_id", "id"],
            },
        ],
    },
];

/// Returns a table by its name. All names in this crate are in [`TABLES`].
pub(super) fn table(name: &str) -> &'static TableLayout {
    TABLES.iter().find(|table| table.name == name).unwrap_or(&TABLES[0])
}

impl TableLayout {
    /// Returns a column by its name.
    pub(super) fn column(&self, name: &str) -> &'static ColumnLayout {
        self.columns.iter().find(|column| column.name == name).unwrap_or(&self.columns[0])
    }

    /// Returns the foreign keys of the table, with the names that InnoDB generates.
    pub(super) fn foreign_keys(&self) -> Vec<ForeignKey> {
        let key = |(at, (column, refers)): (usize, &(&str, &str))| ForeignKey {
            name: format!("{}_ibfk_{}", self.name, at + 1),
            column: (*column).to_owned(),
            refers: (*refers).to_owned(),
        };
        self.refers.iter().enumerate().map(key).collect()
    }

    /// Returns the statements that create the table and its indexes if they are missing. Each can run again.
    pub(super) fn create(
        &self,
        dialect: Dialect,
        collation: &str,
        foreign_keys: &[ForeignKey],
    ) -> Vec<String> {
        let quoted = |name: &str| dialect.quote(name);
        let mut parts: Vec<String> = self.columns.iter().map(|column| column.definition(dialect)).collect();
        parts.push(format!("PRIMARY KEY ({})", quoted(self.key)));
        if dialect == Dialect::MySql {
            // One statement creates the table with its indexes, so a crash cannot leave only some of them.
            parts.extend(
                self.indexes.iter().map(|index| {
                    format!("KEY {} ({})", quoted(index.name), dialect.quote_all(index.columns))
                }),
            );
        }
        parts.extend(foreign_keys.iter().map(|key| key.definition(dialect)));
        let mut statements = vec![format!(
            "CREATE TABLE IF NOT EXISTS {} ({}){}",
            quoted(self.name),
            parts.join(", "),
            dialect.table_options(collation)
        )];
        if dialect == Dialect::Sqlite {
            statements.extend(
                self.indexes.iter().map(|index| {
                    dialect.create_index(index.name, self.name, &dialect.quote_all(index.columns))
                }),
            );
        }
        statements
    }
}

impl Index {
    /// Returns the index as the catalogue will describe it.
    pub(super) fn to_info(self) -> IndexInfo {
        IndexInfo {
            name: self.name.to_owned(),
            columns: self.columns.iter().map(|&column| column.to_owned()).collect(),
            ..IndexInfo::default()
        }
    }
}

impl ColumnLayout {
    /// Returns the column with at least this width, because existing columns are never narrowed.
    pub(super) fn at_least(&self, width: Option<u32>) -> ColumnLayout {
        let found = width.and_then(|width| u16::try_from(width).ok()).unwrap_or(0);
        match self.kind {
            ColumnKind::Text(wanted) => ColumnLayout { kind: ColumnKind::Text(wanted.max(found)), ..*self },
            _ => *self,
        }
    }

    /// Returns the definition for CREATE TABLE and ALTER TABLE.
    pub(super) fn definition(&self, dialect: Dialect) -> String {
        self.definition_with(dialect, "")
    }

    /// Like [`ColumnLayout::definition`], with a suffix after the type.
    pub(super) fn definition_with(&self, dialect: Dialect, charset: &str) -> String {
        let mut text = format!("{} {}{charset}", dialect.quote(self.name), dialect.column_type(self.kind));
        // Without NULL, MySQL would give a TIMESTAMP its own default.
        text.push_str(match (self.required, self.kind) {
            (true, _) => " NOT NULL",
            (false, ColumnKind::Timestamp) => " NULL",
            (false, _) => "",
        });
        if let Some(default) = self.default {
            text.push_str(" DEFAULT ");
            text.push_str(default);
        }
        text
    }
}

impl ForeignKey {
    /// Returns the definition for CREATE TABLE and ALTER TABLE.
    pub(super) fn definition(&self, dialect: Dialect) -> String {
        let name = match dialect {
            Dialect::MySql => format!("CONSTRAINT {} ", dialect.quote(&self.name)),
            Dialect::Sqlite => String::new(),
        };
        let (column, refers, id) =
            (dialect.quote(&self.column), dialect.quote(&self.refers), dialect.quote("id"));
        format!("{name}FOREIGN KEY ({column}) REFERENCES {refers} ({id})")
    }
}
