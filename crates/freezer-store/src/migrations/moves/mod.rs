//! Moves data during an upgrade in batches. Each batch is one transaction, memory does not grow with the tables,
//! and an interrupted move continues at its last batch.
//!
//! A move can run again at any time and then creates the same rows, because it compares the expected rows with
//! the existing ones. If an earlier upgrade left rows (before a backup of the database was restored), they are
//! corrected like any others.

pub(super) mod action_terms;
pub(super) mod column_charsets;
pub(super) mod guard;
pub(super) mod job_actions;
pub(super) mod leftovers;
pub(super) mod paths;
pub(super) mod renamed;
pub(super) mod surplus_terms;
pub(super) mod terms;
pub(super) mod user_names;

use self::leftovers::{Kept, LeftoverColumn};
use self::renamed::RenamedColumn;
use super::term_sums::Parts;
use crate::error::StoreError;
use crate::exec::Db;

/// Number of rows in one batch.
pub(super) const BATCH: u64 = 500;

/// The result of a batch.
pub(super) struct BatchResult {
    /// Its last row. The next batch begins after it.
    pub(super) last: String,
    /// Number of rows that it read.
    pub(super) rows: u64,
    /// Number of values that went to `freezer_leftovers`.
    pub(super) kept: Kept,
    /// Whether an entry refers to an action that a later row may define.
    pub(super) unresolved: bool,
}

impl BatchResult {
    fn new(last: String, rows: u64) -> BatchResult {
        BatchResult { last, rows, kept: Kept::default(), unresolved: false }
    }
}

/// A change of many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowMove {
    /// Moves `jobs.job_actions` into rows of `job_actions` and of `actions`.
    JobActions,
    /// Fills this column of `actions` with the paths that only the documents have. The column may have its old or its new name.
    Paths(&'static str),
    /// Moves `backups.user_name` into the metadata.
    UserNames,
    /// Adds missing search terms to backups.
    BackupTerms,
    /// Adds missing terms to actions.
    ActionTerms,
    /// Makes the rows of these parts of `fz_action_terms` match the actions.
    RepairActionTerms(Parts),
    /// Keeps the values in `freezer_leftovers` that the column with the new name does not have.
    KeepReplaced(RenamedColumn),
}

impl RowMove {
    /// Returns the column whose values this moves, if it uses `freezer_leftovers`.
    pub(super) fn kept_column(self) -> Option<LeftoverColumn> {
        self.passes().into_iter().find_map(|pass| match pass {
            Pass::StaleLeftovers(column) => Some(column),
            _ => None,
        })
    }

    /// Returns the passes of a move, in order.
    pub(super) fn passes(self) -> Vec<Pass> {
        match self {
            // Links of missing jobs are removed first, because they may have the ids of new links.
            RowMove::JobActions => {
                vec![Pass::OrphanLinks, Pass::JobActions, Pass::StaleLeftovers(job_actions::COLUMN)]
            }
            RowMove::UserNames => vec![Pass::UserNames, Pass::StaleLeftovers(user_names::COLUMN)],
            RowMove::KeepReplaced(renamed) => {
                let column = LeftoverColumn { table: renamed.table, column: renamed.old };
                vec![Pass::Replaced(renamed), Pass::StaleLeftovers(column)]
            }
            RowMove::Paths(column) => vec![Pass::Paths(column)],
            RowMove::BackupTerms => vec![Pass::BackupTerms],
            RowMove::ActionTerms => vec![Pass::ActionTerms(None)],
            // The first pass lists all valid rows, so the second can remove the others.
            RowMove::RepairActionTerms(parts) => {
                vec![Pass::ActionTerms(Some(parts)), Pass::SurplusTerms(parts)]
            }
        }
    }
}

/// One pass through a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    JobActions,
    OrphanLinks,
    UserNames,
    Replaced(RenamedColumn),
    Paths(&'static str),
    BackupTerms,
    /// Actions with outdated terms, or all actions of these parts.
    ActionTerms(Option<Parts>),
    SurplusTerms(Parts),
    StaleLeftovers(LeftoverColumn),
}

impl Pass {
    /// Whether this pass does the work of the move. The others remove rows of an earlier upgrade.
    pub(super) fn is_main(self) -> bool {
        !matches!(self, Pass::OrphanLinks | Pass::StaleLeftovers(_) | Pass::SurplusTerms(_))
    }

    /// Whether this pass uses `freezer_leftovers`.
    pub(super) fn needs_leftovers(self) -> bool {
        !matches!(self, Pass::Paths(_) | Pass::BackupTerms | Pass::ActionTerms(_) | Pass::SurplusTerms(_))
    }

    /// Runs one batch after the row `after`. Returns `None` at the end.
    pub(super) async fn batch(
        self,
        db: &mut Db,
        after: Option<&str>,
    ) -> Result<Option<BatchResult>, StoreError> {
        let plain = |done: Option<(String, u64)>| done.map(|(last, rows)| BatchResult::new(last, rows));
        match self {
            Pass::JobActions => job_actions::batch(db, after).await,
            Pass::UserNames => user_names::batch(db, after).await,
            Pass::Replaced(of) => renamed::batch(db, of, after).await,
            Pass::OrphanLinks => job_actions::remove_orphans(db, after).await.map(plain),
            Pass::Paths(column) => paths::batch(db, column, after).await.map(plain),
            Pass::BackupTerms => terms::batch(db, after).await.map(plain),
            Pass::ActionTerms(parts) => action_terms::batch(db, parts, after).await.map(plain),
            Pass::SurplusTerms(parts) => surplus_terms::batch(db, parts, after).await.map(plain),
            Pass::StaleLeftovers(column) => column.remove_stale(db, after).await.map(plain),
        }
    }
}

/// Number of rows that an error lists.
const NAMED: usize = 10;

/// Rows whose value is not in its new place.
#[derive(Debug, Clone, Default)]
pub(super) struct Unmoved {
    count: u64,
    ids: Vec<String>,
}

impl Unmoved {
    fn add(&mut self, id: &str) {
        self.count += 1;
        if self.ids.len() < NAMED {
            self.ids.push(id.to_owned());
        }
    }

    fn join(&mut self, other: Unmoved) {
        self.count += other.count;
        self.ids.extend(other.ids);
        self.ids.truncate(NAMED);
    }

    /// Describes the number of rows and some of them. `None` if there are none.
    pub(super) fn describe(&self) -> Option<String> {
        let more = if self.count > self.ids.len() as u64 { ", …" } else { "" };
        let rows = if self.count == 1 { "row" } else { "rows" };
        (self.count > 0).then(|| format!("{} {rows}: {}{more}", self.count, self.ids.join(", ")))
    }
}
