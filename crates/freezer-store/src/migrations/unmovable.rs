//! Counts the values that an upgrade cannot move. It will keep them in `freezer_leftovers`.

use std::collections::{HashMap, HashSet};

use super::layout::Layout;
use super::live_clients;
use super::moves::job_actions::{self, Definer, EqualIds, Unresolved};
use super::moves::renamed::{RENAMED, RenamedColumn};
use super::moves::{self, user_names};
use super::options::Wishes;
use crate::error::StoreError;
use crate::{Store, read};

/// Number of rows in the list of examples.
const EXAMPLES: usize = 20;

/// Values that an upgrade cannot move.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unmovable {
    /// Number of values. Each entry of a job's list counts.
    pub values: u64,
    /// Number of rows with such values.
    pub rows: u64,
    /// The first of these rows.
    pub examples: Vec<String>,
}

impl Unmovable {
    fn add(&mut self, column: &str, id: &str, values: u64) {
        self.values += values;
        self.rows += 1;
        if self.examples.len() < EXAMPLES {
            let entries = if values == 1 { "value" } else { "values" };
            self.examples.push(format!("{column} of row {id}: {values} {entries}"));
        }
    }
}

impl Store {
    /// Counts the values that an upgrade of these tables will keep in `freezer_leftovers`. Zero if no values
    /// must be moved.
    ///
    /// # Errors
    /// As every query: [`StoreError`].
    pub async fn unmovable(&self) -> Result<Unmovable, StoreError> {
        let layout = read!(self, "unmovable.tables", |db| db.tables().await)?;
        let has =
            |table: &str, columns: &[&str]| columns.iter().all(|column| layout.has_column(table, column));
        let mut found = Unmovable::default();
        if has("jobs", &["job_actions"]) && has("actions", &["id", "project_id", "deleted"]) {
            // The sync converts the table before it moves values.
            let planned = live_clients::converted(self.dialect(), &layout, Wishes::default());
            let collation = |layout: &Layout| {
                let id = layout.table("actions").and_then(|actions| actions.column("id"));
                id.map(|id| id.collation.clone()).unwrap_or_default()
            };
            let equal = EqualIds::after_conversion(&collation(&layout), &collation(&planned));
            self.unmovable_entries(equal, &mut found).await?;
        }
        if has("backups", &["user_name", "backup_metadata"]) {
            self.unmovable_rows("backups.user_name", None, &mut found).await?;
        }
        for of in RENAMED.into_iter().filter(|of| has(of.table, &[of.old, of.new])) {
            self.unmovable_rows(&format!("{}.{}", of.table, of.old), Some(of), &mut found).await?;
        }
        Ok(found)
    }

    async fn unmovable_entries(&self, mut equal: EqualIds, found: &mut Unmovable) -> Result<(), StoreError> {
        let mut values: Vec<(String, u64)> = Vec::new();
        let mut unresolved = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let batch: Result<_, StoreError> = read!(self, "unmovable.jobs", |db| {
                job_actions::unmovable(db, &mut equal, after.as_deref()).await
            });
            let Some(batch) = batch? else { break };
            values.extend(batch.jobs);
            unresolved.extend(batch.unresolved);
            after = Some(batch.last);
        }
        for Unresolved { job_id, .. } in self.without_definer(equal, unresolved).await? {
            match values.iter_mut().find(|(job, _)| *job == job_id) {
                Some((_, values)) => *values += 1,
                None => values.push((job_id, 1)),
            }
        }
        for (job_id, values) in values {
            found.add("jobs.job_actions", &job_id, values);
        }
        Ok(())
    }

    /// Returns the references whose action is not defined by any job of the project.
    async fn without_definer(
        &self,
        mut equal: EqualIds,
        unresolved: Vec<Unresolved>,
    ) -> Result<Vec<Unresolved>, StoreError> {
        let keys: HashSet<String> = unresolved.iter().map(|of| equal.key(&of.action_id)).collect();
        let mut first: HashMap<String, Definer> = HashMap::new();
        let mut after: Option<String> = None;
        while !keys.is_empty() {
            let batch: Result<_, StoreError> = read!(self, "unmovable.jobs", |db| {
                job_actions::definers(db, &mut equal, &keys, after.as_deref()).await
            });
            let Some((last, defined)) = batch? else { break };
            for definer in defined {
                first.entry(equal.key(&definer.action_id)).or_insert(definer);
            }
            after = Some(last);
        }
        let is_defined = |of: &Unresolved| {
            first.get(&equal.key(&of.action_id)).is_some_and(|definer| {
                definer.action_id == of.action_id
                    && definer.project_id == of.project_id
                    && (definer.is_live || !of.is_live)
            })
        };
        Ok(unresolved.into_iter().filter(|of| !is_defined(of)).collect())
    }

    /// Counts user names, or the values of a column that exists under two names.
    async fn unmovable_rows(
        &self,
        column: &str,
        renamed: Option<RenamedColumn>,
        found: &mut Unmovable,
    ) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        loop {
            let batch: Result<_, StoreError> = read!(self, "unmovable.rows", |db| match renamed {
                Some(of) => moves::renamed::differing(db, of, after.as_deref()).await,
                None => user_names::unmovable(db, after.as_deref()).await,
            });
            let Some((last, ids)) = batch? else { return Ok(()) };
            for id in ids {
                found.add(column, &id, 1);
            }
            after = Some(last);
        }
    }
}
