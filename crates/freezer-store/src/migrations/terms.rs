//! Search terms and times of backups: the columns that hold them, and the indexes that searches read.
//!
//! What terms are is `search/terms.rs`, what a time is `search/times.rs`, filling them in `moves/terms.rs`. The Python service
//! writes metadata and leaves terms and time as they were, so a checksum beside each tells whether it is still that of the
//! metadata. The server compares it: on MySQL with generated columns, which are NULL where it is not right. SQLite has no
//! checksums; there, triggers empty what is out of date.
//!
//! The time has a checksum of its own, because a release that knows terms alone writes theirs.

use std::borrow::Cow;

use super::derived::DerivedColumn;
use super::head::Index;
use super::moves::RowMove;
use super::planner::{Planner, StepAction};
use crate::dialect::Dialect;

/// What MySQL gets. `WIDTH` of `search/terms.rs` is in the types.
const COLUMNS: [DerivedColumn; 6] = [
    stored("fz_search_terms", "VARBINARY(640)"),
    stored("fz_search_crc", "INT UNSIGNED"),
    generated(
        "fz_search_index",
        "VARBINARY(640)",
        "CASE WHEN CRC32(backup_metadata) <=> fz_search_crc THEN fz_search_terms END",
    ),
    stored("fz_time", "BIGINT"),
    stored("fz_time_crc", "INT UNSIGNED"),
    generated("fz_time_index", "BIGINT", "CASE WHEN CRC32(backup_metadata) <=> fz_time_crc THEN fz_time END"),
];

const fn stored(name: &'static str, declared: &'static str) -> DerivedColumn {
    generated(name, declared, "")
}

const fn generated(name: &'static str, declared: &'static str, generated: &'static str) -> DerivedColumn {
    DerivedColumn { name, declared, generated: Cow::Borrowed(generated), rewritten: false }
}

/// How a list of a project is read, and what a search by `status`, by a key of the metadata or by time asks of it; and how a
/// search is read whose times few backups have.
const INDEXES: [Index; 2] = [
    Index {
        name: "fz_backups_project",
        columns: &["project_id", "deleted", "created_at", "id", "status", "fz_search_index", "fz_time_index"],
    },
    Index {
        name: "fz_backups_time",
        columns: &["project_id", "deleted", "fz_time_index", "created_at", "id"],
    },
];
const INDEXES_ON_SQLITE: [Index; 2] = [
    Index {
        name: "fz_backups_project",
        columns: &["project_id", "deleted", "created_at", "id", "status", "fz_search_terms", "fz_time"],
    },
    Index { name: "fz_backups_time", columns: &["project_id", "deleted", "fz_time", "created_at", "id"] },
];

/// The triggers of SQLite. A change of ours writes a checksum with the metadata; it is the old one only where the metadata is,
/// or by a chance that costs no more than the terms.
const TRIGGER: &str = "CREATE TRIGGER fz_backups_search AFTER UPDATE OF backup_metadata ON backups \
     WHEN NEW.fz_search_crc IS OLD.fz_search_crc AND NEW.backup_metadata IS NOT OLD.backup_metadata \
     BEGIN UPDATE backups SET fz_search_terms = NULL, fz_search_crc = NULL WHERE id = NEW.id; END";
const TRIGGER_OF_TIMES: &str = "CREATE TRIGGER fz_backups_times AFTER UPDATE OF backup_metadata ON backups \
     WHEN NEW.fz_time_crc IS OLD.fz_time_crc AND NEW.backup_metadata IS NOT OLD.backup_metadata \
     BEGIN UPDATE backups SET fz_time = NULL, fz_time_crc = NULL WHERE id = NEW.id; END";

impl Planner {
    /// Backups have columns for their terms and times, what tells whether these are out of date, and the indexes;
    /// `missing` says that there are rows whose terms or times were never made.
    pub(super) fn ensure_backup_terms(&mut self, missing: bool) {
        if self.layout.table("backups").is_none() {
            return;
        }
        match self.dialect {
            Dialect::MySql => {
                let what = "give backups columns and indexes for search terms and times";
                self.ensure_derived_columns(what, "backups", &COLUMNS, &INDEXES);
            }
            Dialect::Sqlite => self.ensure_terms_on_sqlite(),
        }
        if missing {
            self.push_step(
                "make the search terms and times of backups",
                "backups",
                StepAction::MoveRows(RowMove::BackupTerms),
            );
        }
    }

    fn ensure_terms_on_sqlite(&mut self) {
        for (name, declared) in [
            ("fz_search_terms", "BLOB"),
            ("fz_search_crc", "INTEGER"),
            ("fz_time", "INTEGER"),
            ("fz_time_crc", "INTEGER"),
        ] {
            if !self.layout.has_column("backups", name) {
                let change = format!("ADD COLUMN {name} {declared}");
                self.push_alter(format!("add backups.{name}"), "backups", &change);
            }
        }
        let what = "add a trigger that drops terms out of date";
        self.ensure_trigger("backups", "fz_backups_search", TRIGGER, what);
        let what = "add a trigger that drops times out of date";
        self.ensure_trigger("backups", "fz_backups_times", TRIGGER_OF_TIMES, what);
        for index in &INDEXES_ON_SQLITE {
            self.ensure_index("backups", index);
        }
    }
}
