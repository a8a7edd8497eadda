//! Detects repeated requests: the identity of backups, and the table of `Idempotency-Key`s.
//!
//! `backups.fz_identity` is a hash of the values that identify a backup (`query/backups`). It is unique, so the
//! statement that stores a backup detects a repetition without another statement, across all processes. Rows of
//! the Python service and rows that are older than this column have none.

use super::head::Index;
use super::layout::{ColumnInfo, IndexInfo};
use super::planner::Planner;
use crate::dialect::Dialect;
use crate::schema::ColumnKind;

/// Name of the table of keys.
pub(crate) const TABLE: &str = "freezer_idempotency";
/// Columns of the table of keys.
pub(super) const COLUMNS: [&str; 7] = ["id", "request", "began", "attempt", "status", "answer", "document"];

const INDEX_OF_KEYS: &str = "fz_idempotency_began";
pub(super) const IDENTITY: &str = "fz_identity";
const INDEX: &str = "fz_backups_identity";

/// Gives up repeated identities, which can be stored while the unique index is missing.
const CLEAR_REPEATED: &str = "UPDATE backups SET fz_identity = NULL WHERE fz_identity IS NOT NULL AND id NOT IN \
     (SELECT kept FROM (SELECT MIN(id) AS kept FROM backups WHERE fz_identity IS NOT NULL GROUP BY fz_identity) AS firsts)";

/// Returns the unique index of backups.
pub(super) fn index() -> IndexInfo {
    let columns = vec![IDENTITY.to_owned()];
    IndexInfo { name: INDEX.to_owned(), columns, unique: true, condition: String::new() }
}

impl Planner {
    /// Ensures that backups have a unique identity column.
    pub(super) fn ensure_backup_identity(&mut self) {
        let wanted = index();
        self.ensure_no_copies("backups", &wanted);
        let Some(backups) = self.layout.tables.get_mut("backups") else { return };
        let has_column = backups.column(IDENTITY).is_some();
        let found = backups.index(INDEX).cloned();
        let is_wrong = found.as_ref().is_some_and(|found| *found != wanted);
        if has_column && found.is_some() && !is_wrong {
            return;
        }
        let declared = match self.dialect {
            Dialect::MySql => "VARBINARY(16)",
            Dialect::Sqlite => "BLOB",
        };
        if !has_column {
            backups.columns.push(ColumnInfo {
                name: IDENTITY.to_owned(),
                data_type: declared.split('(').next().unwrap_or_default().to_lowercase(),
                nullable: true,
                ..ColumnInfo::default()
            });
        }
        backups.indexes.retain(|index| index.name != INDEX);
        backups.indexes.push(wanted);
        let what = "add an identity to backups that detects repeated reports";
        if has_column {
            let what = "clear identities that several backups have";
            self.push_sql(what, "backups", CLEAR_REPEATED.to_owned());
        }
        // These are two statements, because a server that adds a column instantly would copy the table for both.
        if !has_column {
            self.push_alter(what, "backups", &format!("ADD COLUMN {IDENTITY} {declared}"));
        }
        match self.dialect {
            Dialect::MySql => {
                let drop = if is_wrong { format!("DROP INDEX {INDEX}, ") } else { String::new() };
                self.push_alter(what, "backups", &format!("{drop}ADD UNIQUE INDEX {INDEX} ({IDENTITY})"));
            }
            Dialect::Sqlite => {
                if is_wrong {
                    self.push_sql(what, "backups", format!("DROP INDEX {INDEX}"));
                }
                self.push_sql(
                    what,
                    "backups",
                    format!("CREATE UNIQUE INDEX {INDEX} ON backups ({IDENTITY})"),
                );
            }
        }
    }

    /// Ensures that the table of keys exists, with its index.
    pub(super) fn ensure_key_table(&mut self) {
        if self.layout.table(TABLE).is_some() {
            return self.ensure_index(TABLE, &Index { name: INDEX_OF_KEYS, columns: &["began"] });
        }
        let (hash, document) =
            (self.dialect.column_type(ColumnKind::Text(64)), self.dialect.column_type(ColumnKind::Document));
        let options = self.dialect.table_options(self.dialect.new_collation());
        let index = match self.dialect {
            Dialect::MySql => format!(", KEY {INDEX_OF_KEYS} (began)"),
            Dialect::Sqlite => String::new(),
        };
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {TABLE} (id {hash} NOT NULL, request {hash} NOT NULL, began BIGINT NOT NULL, \
             attempt {hash} NOT NULL, status INTEGER, answer {document}, document {hash}, PRIMARY KEY (id){index}){options}"
        );
        let what = "create a table for the keys of repeated requests";
        self.push_sql(what, TABLE, create);
        if self.dialect == Dialect::Sqlite {
            let index = self.dialect.create_index(INDEX_OF_KEYS, TABLE, "began");
            self.push_sql(what, TABLE, index);
        }
        self.layout.tables.insert(TABLE.to_owned(), Default::default());
    }
}
