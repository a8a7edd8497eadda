//! Search terms and times of backups: the columns, and the indexes that searches read.
//!
//! `search/terms.rs` defines the terms, `search/times.rs` the times, and `moves/terms.rs` fills the columns. The
//! Python service writes metadata but not terms and times. So each of them has a checksum, which tells whether
//! it still belongs to the metadata. On MySQL the server compares it in generated columns, which are NULL if it
//! differs. SQLite has no checksums, so triggers clear outdated values.
//!
//! The time has its own checksum, because an older release may only write the checksum of the terms.

use std::borrow::Cow;

use super::head::Index;
use super::moves::RowMove;
use super::planner::derived::DerivedColumn;
use super::planner::{Planner, StepAction};
use crate::dialect::Dialect;

/// The columns on MySQL. Their types contain `WIDTH` of `search/terms.rs`.
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

/// The first index serves lists of a project, and searches by `status`, by a key of the metadata or by time. The
/// second serves searches for times that few backups have.
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

/// The triggers of SQLite. If this service changes metadata, it also writes the checksum. The checksum only
/// stays the same if the metadata does, or by a rare chance, which only costs the terms.
const TRIGGER: &str = "CREATE TRIGGER fz_backups_search AFTER UPDATE OF backup_metadata ON backups \
     WHEN NEW.fz_search_crc IS OLD.fz_search_crc AND NEW.backup_metadata IS NOT OLD.backup_metadata \
     BEGIN UPDATE backups SET fz_search_terms = NULL, fz_search_crc = NULL WHERE id = NEW.id; END";
const TRIGGER_OF_TIMES: &str = "CREATE TRIGGER fz_backups_times AFTER UPDATE OF backup_metadata ON backups \
     WHEN NEW.fz_time_crc IS OLD.fz_time_crc AND NEW.backup_metadata IS NOT OLD.backup_metadata \
     BEGIN UPDATE backups SET fz_time = NULL, fz_time_crc = NULL WHERE id = NEW.id; END";

impl Planner {
    /// Ensures that backups have the columns of their terms and times, their checksums, and the indexes.
    /// `missing` tells whether some rows have no terms or times yet.
    pub(super) fn ensure_backup_terms(&mut self, missing: bool) {
        if self.layout.table("backups").is_none() {
            return;
        }
        match self.dialect {
            Dialect::MySql => {
                let what = "add columns and indexes for search terms and times to backups";
                self.ensure_derived_columns(what, "backups", &COLUMNS, &INDEXES);
            }
            Dialect::Sqlite => self.ensure_terms_on_sqlite(),
        }
        if missing {
            self.push_step(
                "fill the search terms and times of backups",
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
        let what = "add a trigger that clears outdated terms";
        self.ensure_trigger("backups", "fz_backups_search", TRIGGER, what);
        let what = "add a trigger that clears outdated times";
        self.ensure_trigger("backups", "fz_backups_times", TRIGGER_OF_TIMES, what);
        for index in &INDEXES_ON_SQLITE {
            self.ensure_index("backups", index);
        }
    }
}
