//! `db sync`: plans and runs an upgrade under the lock.

use std::time::Duration;

use super::options::{Progress, SyncOptions, Synced, Wishes};
use super::plan::SyncPlan;
use super::{lock, run};
use crate::Store;
use crate::error::StoreError;

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
                None => run::run(&store, plan, &mut progress).await,
            }
        };
        store.under_sync_lock(&options.holder, options.wait, upgrade).await
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
