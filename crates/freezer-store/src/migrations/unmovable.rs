//! Counts the values that an upgrade cannot move. It will keep them in `freezer_leftovers`.

use std::collections::{HashMap, HashSet};

use super::moves::job_actions::{self, Unresolved};
use super::moves::renamed::{RENAMED, RenamedColumn};
use super::moves::{self, user_names};
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
            self.unmovable_entries(&mut found).await?;
        }
        if has("backups", &["user_name", "backup_metadata"]) {
            self.unmovable_rows("backups.user_name", None, &mut found).await?;
        }
        for of in RENAMED.into_iter().filter(|of| has(of.table, &[of.old, of.new])) {
            self.unmovable_rows(&format!("{}.{}", of.table, of.old), Some(of), &mut found).await?;
        }
        Ok(found)
    }

    async fn unmovable_entries(&self, found: &mut Unmovable) -> Result<(), StoreError> {
        let mut values: Vec<(String, u64)> = Vec::new();
        let mut unresolved = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let batch: Result<_, StoreError> =
                read!(self, "unmovable.jobs", |db| job_actions::unmovable(db, after.as_deref()).await);
            let Some(batch) = batch? else { break };
            values.extend(batch.jobs);
            unresolved.extend(batch.unresolved);
            after = Some(batch.last);
        }
        for Unresolved { job_id, .. } in self.without_definer(unresolved).await? {
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
    async fn without_definer(&self, unresolved: Vec<Unresolved>) -> Result<Vec<Unresolved>, StoreError> {
        let ids: HashSet<String> = unresolved.iter().map(|of| of.action_id.clone()).collect();
        let mut projects: HashMap<String, String> = HashMap::new();
        let mut after: Option<String> = None;
        while !ids.is_empty() {
            let batch: Result<_, StoreError> =
                read!(self, "unmovable.jobs", |db| job_actions::definers(db, &ids, after.as_deref()).await);
            let Some((last, defined)) = batch? else { break };
            for (id, project) in defined {
                projects.entry(id).or_insert(project);
            }
            after = Some(last);
        }
        let is_defined = |of: &Unresolved| projects.get(&of.action_id) == Some(&of.project_id);
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
