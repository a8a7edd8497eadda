//! Terms of actions: the table that a search for jobs reads, and the columns that detect outdated terms.
//!
//! `search/action_terms.rs` defines the terms, and `moves/action_terms.rs` fills the table. The Python service
//! changes actions but not their terms. `fz_terms_crc` is the checksum of the row from which the terms were
//! computed. MySQL compares it with the row in `fz_terms_stale`. SQLite has no checksums, so a trigger clears it
//! instead. An index lists the actions with missing or outdated terms, and a search reads each of these.
//! `fz_terms` lists the terms of an action in the table, so that they can be found and removed by the key of the
//! table.
//!
//! All of this data is derived. Each `db sync` compares the table with the terms that actions list
//! (`term_sums.rs`), and repairs differences. A row without project and action marks the table as complete. If
//! the table was emptied or recreated, this row is missing, and searches read the list in its order instead.

use std::borrow::Cow;

use super::head::Index;
use super::layout::{Layout, Table};
use super::moves::RowMove;
use super::planner::derived::DerivedColumn;
use super::planner::{Planner, StepAction};
pub(super) use super::term_sums::TABLE;
use super::term_sums::{self, PARTS, Parts, SOURCES};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::search::action_terms::MARK;

const STALE: Index =
    Index { name: "fz_actions_stale", columns: &["fz_terms_stale", "project_id", "deleted", "id"] };
const STALE_ON_SQLITE: Index = Index { name: "fz_actions_stale", columns: &["project_id", "deleted", "id"] };

/// Missing and wrong terms of actions, according to the rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ActionTerms {
    /// Some actions have no terms, or outdated ones.
    missing: bool,
    /// The table does not exist, although actions list rows of it.
    lost: bool,
    /// Parts of the table that differ from the rows that actions list.
    wrong: Parts,
    /// The table is marked as complete.
    marked: bool,
}

impl ActionTerms {
    /// Returns the state of a database whose rows are not read: no terms count as missing.
    pub(super) fn unread() -> ActionTerms {
        ActionTerms { marked: true, ..ActionTerms::default() }
    }

    /// Reads the rows.
    pub(super) async fn read(db: &mut Db, layout: &Layout) -> Result<ActionTerms, StoreError> {
        // Actions may be created from the jobs of an older release.
        let are_moved = layout.has_column("jobs", "job_actions");
        let table = layout.table(TABLE).filter(|table| has_key(table) && wrong_columns(layout).is_none());
        let marked = match table {
            Some(_) => any(db, &format!("SELECT 1 FROM {TABLE} WHERE {IS_MARK}")).await?,
            None => false,
        };
        let found = ActionTerms { missing: are_moved, marked, ..ActionTerms::default() };
        let Some(actions) = layout.table("actions") else { return Ok(found) };
        let has = |names: &[&str]| names.iter().all(|name| actions.column(name).is_some());
        if !has(&["id", "deleted"]) {
            return Ok(ActionTerms { missing: false, ..found });
        }
        let knows_staleness = match db.dialect() {
            Dialect::MySql => has(&["fz_terms", "fz_terms_crc", "fz_terms_stale"]),
            Dialect::Sqlite => has(&["fz_terms", "fz_terms_crc"]),
        };
        let stale = if knows_staleness { db.dialect().has_stale_terms() } else { "1 = 1" };
        let missing = are_moved
            || any(db, &format!("SELECT 1 FROM actions WHERE deleted = 0 AND {stale} LIMIT 1")).await?;
        let is_listed = has(&["fz_terms", "fz_terms_crc"]);
        let (mut lost, mut wrong) = (false, Parts::default());
        match table {
            None if is_listed => {
                lost = any(db, "SELECT 1 FROM actions WHERE fz_terms_crc IS NOT NULL LIMIT 1").await?;
            }
            Some(_) if is_listed && has(&SOURCES) => wrong = term_sums::wrong_parts(db).await?,
            // The listed rows belong to actions that were replaced.
            Some(_) if any(db, &format!("SELECT 1 FROM {TABLE} WHERE action_id <> '' LIMIT 1")).await? => {
                wrong = Parts::ALL;
            }
            _ => {}
        }
        Ok(ActionTerms { missing: missing || lost, lost, wrong, marked })
    }
}

/// The condition of the row that marks the table as complete.
const IS_MARK: &str = "term = -1 AND project_id = '' AND action_id = ''";

async fn any(db: &mut Db, sql: &str) -> Result<bool, StoreError> {
    Ok(!db.raw_select(sql).await?.is_empty())
}

/// The columns in the order of the key, with their types.
const COLUMNS: [(&str, &str); 3] = [("term", "bigint"), ("project_id", "varchar"), ("action_id", "varchar")];

/// Returns whether the table has its primary key. It is created again if not.
fn has_key(table: &Table) -> bool {
    table.primary_key == COLUMNS.map(|(name, _)| name)
}

/// Returns how the columns of the table differ from those that [`create`] creates. `None` if it is missing or
/// correct.
pub(super) fn wrong_columns(layout: &Layout) -> Option<String> {
    let table = layout.table(TABLE)?;
    let found: Vec<_> =
        table.columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
    let wanted = COLUMNS.map(|(name, data_type)| format!("{name} {data_type}"));
    (found != wanted).then(|| format!("its columns are ({}), not ({})", found.join(", "), wanted.join(", ")))
}

/// Returns the statement that creates the table, with the collation of the ids that are joined with it.
fn create(dialect: Dialect, collation: &str) -> String {
    let options = match dialect {
        Dialect::MySql => dialect.table_options(collation),
        Dialect::Sqlite => " WITHOUT ROWID".to_owned(),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (term BIGINT NOT NULL, project_id VARCHAR(36) NOT NULL, \
         action_id VARCHAR(36) NOT NULL, PRIMARY KEY (term, project_id, action_id)){options}"
    )
}

impl Planner {
    /// Ensures that actions have terms.
    pub(super) fn ensure_action_terms(&mut self, rows: ActionTerms) {
        let Some(collation) = self.layout.table("actions").map(|table| table.collation.clone()) else {
            return;
        };
        match self.dialect {
            Dialect::MySql => {
                let stale =
                    format!("CASE WHEN {} <=> fz_terms_crc THEN 0 ELSE 1 END", self.dialect.crc_of_action());
                let columns = [
                    stored("fz_terms", "VARBINARY(640)"),
                    stored("fz_terms_crc", "INT UNSIGNED"),
                    DerivedColumn {
                        name: "fz_terms_stale",
                        declared: "TINYINT(1)",
                        generated: Cow::Owned(stale),
                        rewritten: true,
                    },
                ];
                let what = "add columns and an index for terms to actions";
                self.ensure_derived_columns(what, "actions", &columns, &[STALE]);
            }
            Dialect::Sqlite => self.ensure_action_terms_on_sqlite(),
        }
        if self.layout.table(TABLE).is_some_and(|table| !has_key(table)) {
            let what = format!("drop the table {TABLE}, because its primary key is missing or wrong");
            self.push_sql(what, TABLE, format!("DROP TABLE {TABLE}"));
            self.layout.tables.remove(TABLE);
        }
        if rows.lost {
            // This must happen before the table exists, because searches trust the list of an action as soon as
            // it does.
            let clear =
                "UPDATE actions SET fz_terms = NULL, fz_terms_crc = NULL WHERE fz_terms_crc IS NOT NULL";
            self.push_sql(
                format!("clear the terms of actions, because {TABLE} lacks some of them"),
                "actions",
                clear.to_owned(),
            );
        }
        if self.layout.table(TABLE).is_none() {
            self.push_sql(format!("create table {TABLE}"), "actions", create(self.dialect, &collation));
        }
        if !rows.wrong.is_empty() {
            let what = format!(
                "repair the terms of actions: {} of {PARTS} parts of the table {TABLE} have other rows than actions list",
                rows.wrong.len()
            );
            self.push_step(what, "actions", StepAction::MoveRows(RowMove::RepairActionTerms(rows.wrong)));
        }
        if !rows.marked {
            let mark = format!("REPLACE INTO {TABLE} (term, project_id, action_id) VALUES ({MARK}, '', '')");
            self.push_sql(format!("mark the table {TABLE} as complete"), TABLE, mark);
        }
        // A checksum is computed from bytes, which differ between character sets.
        if rows.missing || self.converted.iter().any(|table| table == "actions") {
            self.push_step(
                "fill the terms of actions",
                "actions",
                StepAction::MoveRows(RowMove::ActionTerms),
            );
        }
    }

    fn ensure_action_terms_on_sqlite(&mut self) {
        for (name, declared) in [("fz_terms", "BLOB"), ("fz_terms_crc", "INTEGER")] {
            if !self.layout.has_column("actions", name) {
                self.push_alter(
                    format!("add actions.{name}"),
                    "actions",
                    &format!("ADD COLUMN {name} {declared}"),
                );
            }
        }
        // If this service changes a row, it also writes the checksum.
        let differs = SOURCES.map(|name| format!("NEW.{name} IS NOT OLD.{name}")).join(" OR ");
        let trigger = format!(
            "CREATE TRIGGER fz_actions_terms AFTER UPDATE OF {} ON actions \
             WHEN NEW.fz_terms_crc IS OLD.fz_terms_crc AND ({differs}) \
             BEGIN UPDATE actions SET fz_terms_crc = NULL WHERE id = NEW.id; END",
            SOURCES.join(", ")
        );
        let what = "add a trigger that detects outdated terms of actions";
        self.ensure_trigger("actions", "fz_actions_terms", &trigger, what);
        self.ensure_partial_index("actions", &STALE_ON_SQLITE, self.dialect.has_stale_terms());
    }
}

const fn stored(name: &'static str, declared: &'static str) -> DerivedColumn {
    DerivedColumn { name, declared, generated: Cow::Borrowed(""), rewritten: false }
}
