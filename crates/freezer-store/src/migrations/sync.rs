//! `db sync`: plans and runs an upgrade under the lock.

use std::time::Duration;

use super::options::{Progress, SyncOptions, Synced, Wishes};
use super::plan::SyncPlan;
use super::{collations, keys, lock, run};
use crate::Store;
use crate::error::StoreError;
use crate::schema::{Obstacle, SchemaError};

impl Store {
    /// Upgrades the tables to head with default options, for `--dev` and for tests.
    ///
    /// # Errors
    /// Those of [`Store::sync_with`].
    pub async fn sync(&self) -> Result<Synced, StoreError> {
        let (wishes, wait) = (Wishes::default(), Duration::from_secs(90));
        self.sync_with(&SyncOptions { wishes, wait, holder: lock::holder() }, |_| {}).await
    }

    /// Upgrades the tables from any layout to head. It can run again, also after a crash at any statement. Only one
    /// sync runs at a time.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the database cannot be upgraded, or another sync does not end.
    pub async fn sync_with(
        &self,
        options: &SyncOptions,
        mut progress: impl FnMut(Progress<'_>),
    ) -> Result<Synced, StoreError> {
        let store = self.for_schema();
        // A table cannot be inspected while another sync changes it, so this is checked first.
        if lock::held_by(&store, &options.holder).await?.is_none()
            && let Some(done) = nothing_to_do(&store.plan_of(options.wishes, true).await?)
        {
            return Ok(done);
        }
        let upgrade = async {
            // Another sync may have upgraded the tables in the meantime.
            let plan = store.plan_of(options.wishes, true).await?;
            match nothing_to_do(&plan) {
                Some(done) => Ok(done),
                None => {
                    let done = run::run(&store, plan, &mut progress).await?;
                    store.check_synced(&done).await?;
                    Ok(done)
                }
            }
        };
        store.under_sync_lock(&options.holder, options.wait, upgrade).await
    }

    /// Checks the result of a sync: the service must be able to work with the tables.
    async fn check_synced(&self, done: &Synced) -> Result<(), StoreError> {
        let plan = self.plan_of(Wishes { create_missing_tables: true, ..Wishes::default() }, false).await?;
        let database = self.database().to_string();
        let left_out: &[(String, String)] = match done {
            Synced::Upgraded { left_out } => left_out,
            _ => &[],
        };
        let reasons = left_out.iter().map(|(what, why)| format!("; left out: {what}: {why}")).collect();
        let steps = plan.steps.iter().filter(|step| step.revision.is_some());
        let mut steps: Vec<String> = steps.map(|step| step.what.clone()).collect();
        if !plan.wrong_keys.is_empty() {
            steps.push(keys::describe(&plan.wrong_keys));
        }
        if !steps.is_empty() {
            let steps = steps.join(", ");
            return Err(SchemaError::Obstacle(Obstacle::StillIncomplete { database, steps, reasons }).into());
        }
        if !plan.mixed.is_empty() {
            let columns = collations::describe(&plan.mixed);
            return Err(SchemaError::Obstacle(Obstacle::StillMixed { database, columns, reasons }).into());
        }
        Ok(())
    }

    /// Runs `body` while no sync can run. The lock is released even if `body` fails.
    pub(crate) async fn under_sync_lock<T>(
        &self,
        holder: &str,
        wait: Duration,
        body: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let lock = lock::acquire(self, holder, wait).await?;
        let done = body.await;
        lock.release().await?;
        done
    }
}

fn nothing_to_do(plan: &SyncPlan) -> Option<Synced> {
    (plan.steps.is_empty() && !plan.stamps).then(|| match plan.left_out.is_empty() {
        true => Synced::AlreadyCurrent,
        false => Synced::Upgraded { left_out: plan.left_out.clone() },
    })
}
