//! Trusts of jobs. The jobs of a central client run in the scheduler of the service's user. This user needs a trust of the
//! job's owner, which lets it act in the owner's project. Keystone stores the trust, and a row in `user_credentials`
//! connects it with its job.
//!
//! A transaction cannot ask Keystone, because it may run again, and Keystone must not be asked about a job that is
//! refused. So the transaction ends with [`JobWriteError::TrustNeeded`] if the job needs a trust, [`with_trust`] gets the
//! trust, and the transaction runs again. If it fails then, a trust that was created for it is deleted.
//!
//! All jobs of a user in a project share one trust, which is deleted with the last of them. Several processes share the
//! database, and no lock covers both Keystone and the database. Therefore both sides check again after their change: the
//! process that stored a trust checks that it still exists, and the process that deleted one checks that no job uses it.
//!
//! Calls to Keystone end at the deadline of the request, as statements do. They are in the crate `keystone-auth`, and the
//! statements in `freezer_store::query::user_credentials`.

use std::time::Duration;

use freezer_store::model::StoredTrust;
use freezer_store::query::{clients, user_credentials};
use freezer_store::{Db, StoreError, TxError, transaction};
use futures_util::future::BoxFuture;
use keystone_auth::{AuthError, KeystoneClient, Secret};

use super::Change;
use crate::error::Error;

/// The settings of trusts, and the connection to Keystone that creates them.
pub struct Trusts {
    /// Connection to Keystone, logged in as the user that receives the trusts.
    pub keystone: KeystoneClient,
    /// `[centralized_scheduler] enabled`: whether jobs get trusts at all.
    pub enabled: bool,
    /// `[centralized_scheduler] enforce_trusts`: whether the jobs of ordinary clients get trusts as well.
    pub enforced: bool,
    /// `[centralized_scheduler] trusts_delegated_roles`. If this is empty, a trust has all roles of the owner's token.
    pub roles: Vec<String>,
}

/// The caller's token, with which trusts are created and deleted.
#[derive(Clone, Copy)]
pub struct Delegation<'a> {
    /// The settings, and the connection to Keystone.
    pub trusts: &'a Trusts,
    /// The caller's token.
    pub token: &'a Secret,
    /// The roles of that token, as Keystone names them.
    pub roles: &'a [String],
}

/// The reason why a transaction did not write a job.
#[derive(Debug)]
pub enum JobWriteError {
    /// The job needs a trust. The transaction must run again with one.
    TrustNeeded,
    /// The job cannot be written.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for JobWriteError {
    fn from(error: E) -> JobWriteError {
        JobWriteError::Failed(error.into())
    }
}

impl TxError for JobWriteError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            JobWriteError::Failed(error) => error.store_error(),
            JobWriteError::TrustNeeded => None,
        }
    }
}

/// Runs a transaction that writes a job, and gives it a trust if the job needs one.
///
/// `write` runs one transaction. It runs a second time if the first run ended with [`JobWriteError::TrustNeeded`].
///
/// # Errors
/// Those of `write`; [`Error::TrustRefused`], [`Error::KeystoneUnavailable`] and [`Error::Unauthenticated`] if Keystone
/// does not create the trust.
pub async fn with_trust<'a, T>(
    change: Change<'a>,
    write: impl for<'t> Fn(&'t JobTrust<'a>) -> BoxFuture<'t, Result<T, JobWriteError>>,
) -> Result<T, Error> {
    let mut trust = JobTrust { change, granted: None };
    let mut result = write(&trust).await;
    if let (Err(JobWriteError::TrustNeeded), Some(delegation)) = (&result, change.delegation) {
        trust.granted = Some(grant(&change, delegation).await?);
        result = write(&trust).await;
    }
    if let (Some(delegation), Some(granted)) = (change.delegation, &trust.granted) {
        match result {
            Ok(_) => renew_if_deleted(&change, delegation, granted).await,
            Err(_) if granted.is_new => delete_unused(&change, delegation, &granted.credentials).await,
            Err(_) => {}
        }
    }
    result.map_err(|error| match error {
        JobWriteError::Failed(error) => error,
        JobWriteError::TrustNeeded => Error::Internal("a job needs a trust after it got one".to_owned()),
    })
}

/// The trust for a job that a transaction writes.
pub struct JobTrust<'a> {
    change: Change<'a>,
    /// The trust, if an earlier run of the transaction needed one.
    granted: Option<Granted>,
}

struct Granted {
    /// Id of the row in `user_credentials`.
    row_id: String,
    credentials: StoredTrust,
    /// Whether the trust was created for this job, and did not exist before.
    is_new: bool,
}

impl JobTrust<'_> {
    /// Stores the trust of a job that the transaction has written, if the job needs a trust and has none.
    ///
    /// # Errors
    /// [`JobWriteError::TrustNeeded`] if no trust was granted yet.
    pub async fn attach(&self, db: &mut Db, job_id: &str, client_id: &str) -> Result<(), JobWriteError> {
        let Change { delegation: Some(delegation), now, .. } = self.change else { return Ok(()) };
        let Trusts { enabled, enforced, .. } = *delegation.trusts;
        if !enabled {
            return Ok(());
        }
        if !enforced {
            let client = clients::get(db, &self.change.scope(), client_id).await?;
            if !client.is_some_and(|client| client.is_central) {
                return Ok(());
            }
        }
        if user_credentials::get(db, job_id).await?.is_some() {
            return Ok(());
        }
        let Granted { row_id, credentials, .. } = self.granted.as_ref().ok_or(JobWriteError::TrustNeeded)?;
        user_credentials::create(db, row_id, job_id, credentials, now).await?;
        Ok(())
    }
}

async fn grant(change: &Change<'_>, delegation: Delegation<'_>) -> Result<Granted, Error> {
    let found = delegation.find_or_create(change).await.map_err(refuse)?;
    let credentials = StoredTrust { trust_id: found.trust.id, trustor_user_id: found.trust.trustor_user_id };
    Ok(Granted { row_id: change.ids.document(), credentials, is_new: found.is_new })
}

/// Replaces a trust that another process deleted while the job was stored.
async fn renew_if_deleted(change: &Change<'_>, delegation: Delegation<'_>, granted: &Granted) {
    let trust_id = granted.credentials.trust_id.as_str();
    let (token, keystone) = (delegation.token.expose(), delegation.keystone(change));
    match keystone.list_trusts(token, change.user_id, change.project_id).await {
        Ok(trusts) if trusts.iter().all(|trust| trust.id != trust_id) => {
            renew(change, delegation, trust_id).await;
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(%error, trust_id, "cannot check whether the trust still exists"),
    }
}

/// Deletes the trust of a job that was deleted, unless another job uses it.
///
/// The job is already deleted, so a failure is logged and is no error, as in the Python service. The next job of the same
/// user and project finds a trust that was not deleted.
pub async fn release(change: &Change<'_>, credentials: &StoredTrust) {
    let Some(delegation) = change.delegation else { return };
    delete_unused(change, delegation, credentials).await;
    // only the trustor can create another trust
    if credentials.trustor_user_id == change.user_id && in_use(change, &credentials.trust_id).await {
        renew(change, delegation, &credentials.trust_id).await;
    }
}

impl Delegation<'_> {
    /// Returns the connection to Keystone for calls until the deadline of the request.
    fn keystone(&self, change: &Change<'_>) -> KeystoneClient {
        self.trusts.keystone.within(change.store.deadline().within(Duration::MAX))
    }

    async fn find_or_create(&self, change: &Change<'_>) -> Result<keystone_auth::FoundTrust, AuthError> {
        let configured = &self.trusts.roles;
        let roles = if configured.is_empty() { self.roles } else { configured };
        // without impersonation: the scheduler keeps the identity of the service's user, and acts in the owner's project
        let token = self.token.expose();
        let keystone = self.keystone(change);
        keystone.find_or_create_trust(token, change.user_id, change.project_id, roles, false).await
    }
}

/// Deletes a trust at Keystone unless a job uses it. A failure is logged.
async fn delete_unused(change: &Change<'_>, delegation: Delegation<'_>, credentials: &StoredTrust) {
    let trust_id = credentials.trust_id.as_str();
    if in_use(change, trust_id).await {
        return;
    }
    let keystone = delegation.keystone(change);
    let mut done = keystone.delete_trust(delegation.token.expose(), trust_id).await;
    if done.as_ref().is_err_and(AuthError::is_forbidden) {
        // the job belonged to another user of the project
        done = keystone.delete_trust_as_service(trust_id).await;
    }
    if let Err(error) = done {
        tracing::warn!(%error, trust_id, "a trust that no job uses was not deleted");
    }
}

/// Returns whether a live job uses a trust. True if the database does not answer.
async fn in_use(change: &Change<'_>, trust_id: &str) -> bool {
    // a transaction, because another node of a cluster may not have the latest job yet
    let used: Result<bool, StoreError> =
        transaction!(change.store, "trusts.in_use", |db| user_credentials::trust_in_use(db, trust_id).await);
    used.unwrap_or_else(|error| {
        tracing::warn!(%error, trust_id, "cannot check whether a job uses the trust, so it is not deleted");
        true
    })
}

/// Replaces a deleted trust in all jobs that use it.
async fn renew(change: &Change<'_>, delegation: Delegation<'_>, trust_id: &str) {
    let found = match delegation.find_or_create(change).await {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, trust_id, "jobs still name a trust that was deleted");
            return;
        }
    };
    let new = found.trust.id.as_str();
    let done: Result<(), StoreError> = transaction!(change.store, "trusts.renew", |db| {
        user_credentials::replace_trust(db, trust_id, new, change.now).await
    });
    if let Err(error) = done {
        tracing::error!(%error, trust_id, "jobs still name a trust that was deleted");
    }
}

fn refuse(error: AuthError) -> Error {
    match error {
        AuthError::Missing | AuthError::Invalid(_) => Error::Unauthenticated(error.to_string()),
        AuthError::Unavailable { .. } => Error::KeystoneUnavailable(error.to_string()),
        AuthError::Refused { .. } => Error::TrustRefused(error.to_string()),
    }
}
