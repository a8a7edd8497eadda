//! Search terms of backups: the columns that hold them, and the index of a project's list, which has them too.
//!
//! What terms are is `search/terms.rs`, filling them in `moves/terms.rs`. The Python service writes metadata and leaves the
//! terms as they were, so a checksum beside them tells whether they are still those of the metadata. The server compares
//! it: on MySQL with a generated column, which is NULL where it is not right. STORED, because MariaDB does not look at a
//! virtual column while it reads an index. SQLite has no checksums; there, a trigger empties what is out of date.

use super::head::Index;
use super::indexes::plain;
use super::layout::ColumnInfo;
use super::planner::{Action, Planner};
use crate::dialect::Dialect;
use crate::search::terms::WIDTH;

/// How a list of a project is read, and what a search by `status` or by a key of the metadata asks of it.
const INDEX: [Index; 2] = [
    Index {
        name: "fz_backups_project",
        columns: &["project_id", "deleted", "created_at", "id", "status", "fz_search_index"],
    },
    Index {
        name: "fz_backups_project",
        columns: &["project_id", "deleted", "created_at", "id", "status", "fz_search_terms"],
    },
];

/// Where the generated column takes its value from.
const GENERATED: &str = "CASE WHEN CRC32(backup_metadata) <=> fz_search_crc THEN fz_search_terms END";

/// The trigger of SQLite. A change of ours writes a checksum with the metadata; it is the old one only where the metadata is,
/// or by a chance that costs no more than the terms.
const TRIGGER: &str = "CREATE TRIGGER fz_backups_search AFTER UPDATE OF backup_metadata ON backups \
     WHEN NEW.fz_search_crc IS OLD.fz_search_crc AND NEW.backup_metadata IS NOT OLD.backup_metadata \
     BEGIN UPDATE backups SET fz_search_terms = NULL, fz_search_crc = NULL WHERE id = NEW.id; END";

impl Planner {
    /// Backups have columns for their terms, what tells whether these are out of date, and the index; `missing` says
    /// that there are rows whose terms were never made.
    pub(super) fn backups_have_terms(&mut self, missing: bool) {
        if self.layout.table("backups").is_none() {
            return;
        }
        match self.dialect {
            Dialect::MySql => self.terms_on_mysql(),
            Dialect::Sqlite => self.terms_on_sqlite(),
        }
        if missing {
            self.step("make the search terms of backups", "backups", Action::FillTerms);
        }
    }

    /// All at once: a table is rewritten for a stored column.
    fn terms_on_mysql(&mut self) {
        let Some(backups) = self.layout.tables.get_mut("backups") else { return };
        let mut changes = Vec::new();
        let mut added = |name: &str, data_type: &str, declared: &str, generated: &str| {
            let found = backups.column(name);
            if found.is_some_and(|found| plain(&found.generated) == plain(generated)) {
                return;
            }
            if found.is_some() {
                changes.push(format!("DROP COLUMN {name}"));
                backups.columns.retain(|column| column.name != name);
            }
            changes.push(format!("ADD COLUMN {name} {declared}"));
            backups.columns.push(ColumnInfo {
                name: name.to_owned(),
                data_type: data_type.to_owned(),
                width: None,
                nullable: true,
                has_default: false,
                charset: String::new(),
                generated: generated.to_owned(),
            });
        };
        added("fz_search_terms", "varbinary", &format!("VARBINARY({WIDTH})"), "");
        added("fz_search_crc", "int", "INT UNSIGNED", "");
        let declared = format!("VARBINARY({WIDTH}) GENERATED ALWAYS AS ({GENERATED}) STORED");
        added("fz_search_index", "varbinary", &declared, GENERATED);
        let [index, _] = &INDEX;
        if changes.is_empty() {
            return self.index_exists("backups", index);
        }
        if backups.index(index.name).is_some() {
            changes.push(format!("DROP INDEX {}", index.name));
        }
        backups.indexes.retain(|found| found.name != index.name);
        backups.indexes.push(index.as_made());
        changes.push(format!("ADD INDEX {} ({})", index.name, index.columns.join(", ")));
        self.alter("give backups columns and an index for search terms", "backups", &changes.join(", "));
    }

    fn terms_on_sqlite(&mut self) {
        for (name, declared) in [("fz_search_terms", "BLOB"), ("fz_search_crc", "INTEGER")] {
            if !self.layout.has_column("backups", name) {
                let change = format!("ADD COLUMN {name} {declared}");
                self.alter(format!("add backups.{name}"), "backups", &change);
            }
        }
        let found = self.layout.table("backups").map(|backups| backups.triggers.clone()).unwrap_or_default();
        let found = found.iter().find(|(name, _)| name == "fz_backups_search").map(|(_, sql)| sql.as_str());
        if found != Some(TRIGGER) {
            if found.is_some() {
                let what = "drop the trigger of backups, which has another definition";
                self.sql(what, "backups", "DROP TRIGGER fz_backups_search".to_owned());
            }
            self.sql("add a trigger that drops terms out of date", "backups", TRIGGER.to_owned());
        }
        let [_, index] = &INDEX;
        self.index_exists("backups", index);
    }
}
