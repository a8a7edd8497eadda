//! Generated columns and indexes of jobs. They tell whether a job is certainly completed, so that polls can skip
//! it. They also tell whether a schedule may have unusual keys, so that searches by such a key must read it
//! (`query/action_terms.rs`).
//!
//! The database computes both from the text, for rows of both services. So these values are never missing or
//! outdated. If it cannot decide, the job counts as not completed (`Dialect::certainly_completed`) and its
//! schedule as unusual (`Dialect::has_usual_schedule`). On SQLite, partial indexes replace these columns.

use std::borrow::Cow;

use super::head::Index;
use super::planner::Planner;
use super::planner::derived::DerivedColumn;
use crate::dialect::Dialect;

const INDEX: Index = Index {
    name: "fz_jobs_poll",
    columns: &["client_id", "deleted", "fz_completed", "project_id", "created_at", "id"],
};

const INDEX_ON_SQLITE: Index =
    Index { name: "fz_jobs_poll", columns: &["client_id", "deleted", "project_id", "created_at", "id"] };

const UNUSUAL: Index = Index { name: "fz_jobs_unusual", columns: &["fz_unusual", "project_id", "deleted"] };

const UNUSUAL_ON_SQLITE: Index = Index { name: "fz_jobs_unusual", columns: &["project_id", "deleted"] };

impl Planner {
    /// Ensures that jobs have the indexes of polls and of unusual schedules.
    pub(super) fn ensure_job_indexes(&mut self) {
        match self.dialect {
            Dialect::MySql => {
                let flag = |name, generated| DerivedColumn {
                    name,
                    declared: "TINYINT(1)",
                    generated,
                    rewritten: true,
                };
                let unusual = format!("CASE WHEN {} THEN 0 ELSE 1 END", self.dialect.has_usual_schedule());
                let columns = [
                    flag("fz_completed", Cow::Borrowed(self.dialect.certainly_completed())),
                    flag("fz_unusual", Cow::Owned(unusual)),
                ];
                let what = "add columns and indexes for polls and searches to jobs";
                self.ensure_derived_columns(what, "jobs", &columns, &[INDEX, UNUSUAL]);
            }
            Dialect::Sqlite => {
                self.ensure_partial_index("jobs", &INDEX_ON_SQLITE, &self.dialect.not_completed());
                self.ensure_partial_index("jobs", &UNUSUAL_ON_SQLITE, &self.dialect.is_unusual());
            }
        }
    }
}
