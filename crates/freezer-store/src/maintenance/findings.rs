//! The description, findings and result of a check. The checks are in `check.rs` and `documents.rs`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Verdict, number};
use crate::error::StoreError;
use crate::exec::Db;
use crate::migrations::Mixed;
use crate::migrations::layout::Layout;

/// Maximum number of examples of a check.
pub(super) const EXAMPLES: usize = 20;

/// The result of a check. The names of the fields are the keys of `db check --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// Name for programs. It never changes.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// The result.
    pub verdict: Verdict,
    /// A description of the findings.
    pub details: String,
    /// Number of findings.
    pub count: u64,
    /// The first findings.
    pub examples: Vec<String>,
    /// Advice for the operator, if there is anything to do.
    pub advice: Option<&'static str>,
}

/// The description of a check.
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// The description of the findings, before their number.
    pub(super) found: &'static str,
    pub(super) advice: &'static str,
}

/// The findings so far.
#[derive(Default)]
pub(super) struct Findings {
    count: u64,
    examples: Vec<String>,
    /// The reason why a part could not be checked.
    unchecked: Option<String>,
}

impl Findings {
    /// Returns findings of a check that cannot run.
    pub(super) fn unchecked(why: String) -> Findings {
        Findings { unchecked: Some(why), ..Findings::default() }
    }

    /// Records that a part of the check cannot run.
    pub(super) fn skip(&mut self, why: String) {
        self.unchecked = Some(match self.unchecked.take() {
            Some(before) => format!("{before}; {why}"),
            None => why,
        });
    }

    pub(super) fn add(&mut self, example: String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example);
        }
    }

    /// Notes so many findings, which one text describes.
    pub(super) fn add_all(&mut self, count: u64, description: String) {
        self.count += count;
        self.examples.push(description);
    }

    /// How many things were found.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Counts the rows of a query and keeps the first as examples. The query selects `N` texts and has no
    /// order.
    pub(super) async fn add_rows<const N: usize>(
        &mut self,
        db: &mut Db,
        sql: &str,
        example: impl Fn([String; N]) -> String,
    ) -> Result<(), StoreError> {
        let count = number(db, &format!("SELECT CAST(COUNT(*) AS CHAR) FROM ({sql}) AS found")).await?;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.count += count;
        if count == 0 || room == 0 {
            return Ok(());
        }
        let rows = db.raw_read::<[String; N]>(&format!("{sql} ORDER BY 1 LIMIT {room}")).await?;
        self.examples.extend(rows.into_iter().map(example));
        Ok(())
    }

    /// Returns the result: a warning if there are findings, or if something could not be checked.
    pub(super) fn into_check(self, question: &Question) -> CheckResult {
        let Question { name, title, found, advice } = *question;
        let nothing = self.count == 0;
        let details = if nothing { "nothing found".to_owned() } else { format!("{found}: {}", self.count) };
        let (details, advice) = match (self.unchecked, nothing) {
            (None, true) => (details, None),
            (None, false) => (details, Some(advice)),
            (Some(why), true) => (format!("not checked: {why}"), Some(CHECK_AGAIN)),
            (Some(why), false) => (format!("{details}; not checked: {why}"), Some(advice)),
        };
        let verdict = if advice.is_none() { Verdict::Success } else { Verdict::Warning };
        CheckResult { name, title, verdict, details, count: self.count, examples: self.examples, advice }
    }
}

/// Advice for a check that could not run.
const CHECK_AGAIN: &str = "upgrade with: freezer-manage db sync, and check again";

/// The existing tables and columns.
pub(super) struct Present {
    pub(super) columns: BTreeSet<(String, String)>,
    /// Collation of `clients` (MySQL).
    pub(super) clients: String,
    /// Why columns of jobs, actions and links cannot be compared, if they cannot.
    pub(super) mixed: Option<String>,
}

impl Present {
    /// Collects the names of a layout.
    pub(super) fn new(there: &Layout, mixed: &[Mixed]) -> Present {
        let mut columns = BTreeSet::new();
        for (name, table) in &there.tables {
            columns.extend(table.columns.iter().map(|column| (name.clone(), column.name.clone())));
        }
        let clients = there.table("clients").map(|table| table.collation.clone()).unwrap_or_default();
        let refused = mixed.iter().any(Mixed::is_refused);
        let mixed = refused.then(|| "the server cannot compare columns of these tables".to_owned());
        Present { columns, clients, mixed }
    }

    /// Returns the reason why links do not contain the actions of jobs, if so: as long as the old column
    /// exists, it contains them.
    pub(super) fn lacks_links(&self) -> Option<String> {
        if self.has("jobs", &["job_actions"]) {
            return Some("the actions of jobs are still in the column jobs.job_actions".to_owned());
        }
        if self.mixed.is_some() {
            return self.mixed.clone();
        }
        let lacks = |table, columns: &[&str]| self.lacks(table, columns);
        lacks("job_actions", &["id", "job_id", "action_id", "deleted"])
            .or_else(|| lacks("jobs", &["id", "project_id", "deleted"]))
            .or_else(|| lacks("actions", &["id", "project_id", "deleted"]))
    }

    pub(super) fn has(&self, table: &str, columns: &[&str]) -> bool {
        self.lacks(table, columns).is_none()
    }

    /// Returns the missing table or columns, as the reason why the table cannot be checked.
    pub(super) fn lacks(&self, table: &str, columns: &[&str]) -> Option<String> {
        if !self.columns.iter().any(|(found, _)| found == table) {
            return Some(format!("there is no table {table} yet"));
        }
        let is_missing = |column: &&&str| !self.columns.contains(&(table.to_owned(), (**column).to_owned()));
        let missing: Vec<&str> = columns.iter().filter(is_missing).copied().collect();
        (!missing.is_empty()).then(|| format!("{table} has no column {} yet", missing.join(", ")))
    }
}
