//! Jobs that are certainly completed, in an index that a poll reads along: it passes over them without looking at any.
//!
//! The server computes it from the text of the schedule, whichever service wrote it, so nothing has to be filled and nothing can be out of
//! date. What it cannot tell counts as not completed (`Dialect::certainly_completed`). SQLite has a partial index instead of
//! the column.

use super::derived::Derived;
use super::head::Index;
use super::planner::Planner;
use crate::dialect::Dialect;

const INDEX: Index = Index {
    name: "fz_jobs_poll",
    columns: &["client_id", "deleted", "fz_completed", "project_id", "created_at", "id"],
};

const INDEX_ON_SQLITE: Index =
    Index { name: "fz_jobs_poll", columns: &["client_id", "deleted", "project_id", "created_at", "id"] };

impl Planner {
    /// Jobs have the index of a poll.
    pub(super) fn jobs_have_polls(&mut self) {
        match self.dialect {
            Dialect::MySql => {
                let column = Derived {
                    name: "fz_completed",
                    declared: "TINYINT(1)",
                    generated: self.dialect.certainly_completed(),
                    rewritten: true,
                };
                let what = "give jobs a column and an index for the polls of schedulers";
                self.has_derived(what, "jobs", &[column], &[INDEX]);
            }
            Dialect::Sqlite => {
                self.partial_index_exists("jobs", &INDEX_ON_SQLITE, &self.dialect.not_completed());
            }
        }
    }
}
