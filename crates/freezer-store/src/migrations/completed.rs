//! What the server computes from the schedule of a job, and the indexes that hold it: whether the job is certainly completed,
//! so that a poll passes over it, and whether its schedule may have keys beside the usual ones, so that a search by another
//! key looks at it (`query/action_terms.rs`).
//!
//! The server computes both from the text, whichever service wrote it, so nothing has to be filled and nothing can be out of
//! date. If it cannot tell, the job counts as not completed (`Dialect::certainly_completed`) and its schedule as unusual
//! (`Dialect::has_usual_schedule`). SQLite has partial indexes instead of the columns.

use std::borrow::Cow;

use super::derived::DerivedColumn;
use super::head::Index;
use super::planner::Planner;
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
    /// Jobs have the indexes of polls and of unusual schedules.
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
                let what = "give jobs columns and indexes for polls and searches";
                self.ensure_derived_columns(what, "jobs", &columns, &[INDEX, UNUSUAL]);
            }
            Dialect::Sqlite => {
                self.ensure_partial_index("jobs", &INDEX_ON_SQLITE, &self.dialect.not_completed());
                self.ensure_partial_index("jobs", &UNUSUAL_ON_SQLITE, &self.dialect.is_unusual());
            }
        }
    }
}
