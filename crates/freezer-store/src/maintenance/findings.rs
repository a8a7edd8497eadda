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
}

impl Findings {
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

    /// A warning where anything was found.
    pub(super) fn answer(self, question: &Question) -> Check {
        let Question { name, title, found, advice } = *question;
        let nothing = self.count == 0;
        Check {
            name,
            title,
            verdict: if nothing { Verdict::Success } else { Verdict::Warning },
            details: if nothing { "nothing found".to_owned() } else { format!("{found}: {}", self.count) },
            count: self.count,
            examples: self.examples,
            advice: (!nothing).then_some(advice),
        }
    }
}

/// Which columns there are.
pub(super) struct Present {
    pub(super) columns: BTreeSet<(String, String)>,
    /// Collation of `clients` (MySQL).
    pub(super) clients: String,
}

impl Present {
    /// Whether links tell which actions a job has: as long as the old column is there, it does.
    pub(super) fn has_links(&self) -> bool {
        self.has("job_actions", &["id", "job_id", "action_id", "deleted"])
            && !self.has("jobs", &["job_actions"])
    }

    pub(super) fn has(&self, table: &str, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.columns.contains(&(table.to_owned(), (*column).to_owned())))
    }
}
