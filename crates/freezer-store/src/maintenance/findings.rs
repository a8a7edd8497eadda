//! What a check asks, what it finds, and what it answers. The checks themselves are `check.rs` and `documents.rs`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Verdict, number};
use crate::error::StoreError;
use crate::exec::Db;

/// How many examples a check gives.
pub(super) const EXAMPLES: usize = 20;

/// What a check found. The names of the fields are the keys of `db check --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Name for programs; never changes.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// The result.
    pub verdict: Verdict,
    /// What was found.
    pub details: String,
    /// How many things were found.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<String>,
    /// What to do; none where nothing is to be done.
    pub advice: Option<&'static str>,
}

/// What a check looks for.
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What is found, in front of the number.
    pub(super) found: &'static str,
    pub(super) advice: &'static str,
}

/// What has been found so far.
#[derive(Default)]
pub(super) struct Findings {
    count: u64,
    examples: Vec<String>,
    /// Why something could not be looked at.
    unchecked: Option<String>,
}

impl Findings {
    /// Findings of a check that cannot be carried out.
    pub(super) fn unchecked(why: String) -> Findings {
        Findings { unchecked: Some(why), ..Findings::default() }
    }

    /// Notes that a part of the check cannot be carried out.
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

    /// Counts the rows of a query and takes the first as examples. The query selects `N` texts and has no order.
    pub(super) async fn take<const N: usize>(
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
        let rows = db.raw_select(&format!("{sql} ORDER BY 1 LIMIT {room}")).await?;
        let doing = db.doing();
        for row in &rows {
            let mut texts = [const { String::new() }; N];
            for (at, text) in texts.iter_mut().enumerate() {
                *text = row.string(at).map_err(|error| StoreError::from_driver(doing, error))?;
            }
            self.examples.push(example(texts));
        }
        Ok(())
    }

    /// A warning if anything was found, or could not be looked at.
    pub(super) fn answer(self, question: &Question) -> Check {
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
        Check { name, title, verdict, details, count: self.count, examples: self.examples, advice }
    }
}

/// What to do about a check that could not be carried out.
const CHECK_AGAIN: &str = "upgrade with: freezer-manage db sync, and check again";

/// Which columns there are.
pub(super) struct Present {
    pub(super) columns: BTreeSet<(String, String)>,
    /// Collation of `clients` (MySQL).
    pub(super) clients: String,
}

impl Present {
    /// Why links do not tell which actions a job has, if they do not: as long as the old column is there, it does.
    pub(super) fn lacks_links(&self) -> Option<String> {
        if self.has("jobs", &["job_actions"]) {
            return Some("the actions of jobs are still in the column jobs.job_actions".to_owned());
        }
        let lacks = |table, columns: &[&str]| self.lacks(table, columns);
        lacks("job_actions", &["id", "job_id", "action_id", "deleted"])
            .or_else(|| lacks("jobs", &["id", "project_id", "deleted"]))
            .or_else(|| lacks("actions", &["id", "project_id", "deleted"]))
    }

    pub(super) fn has(&self, table: &str, columns: &[&str]) -> bool {
        self.lacks(table, columns).is_none()
    }

    /// What of a table is missing, as the reason why it cannot be checked.
    pub(super) fn lacks(&self, table: &str, columns: &[&str]) -> Option<String> {
        if !self.columns.iter().any(|(found, _)| found == table) {
            return Some(format!("there is no table {table} yet"));
        }
        let is_missing = |column: &&&str| !self.columns.contains(&(table.to_owned(), (**column).to_owned()));
        let missing: Vec<&str> = columns.iter().filter(is_missing).copied().collect();
        (!missing.is_empty()).then(|| format!("{table} has no column {} yet", missing.join(", ")))
    }
}
