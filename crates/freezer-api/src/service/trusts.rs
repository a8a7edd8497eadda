//! Trusts: with a job of a central client its owner lets the service's user act for them in their project, because that
//! user's scheduler, not one of the owner's, runs the job. Keystone keeps the trust, the job's row in
//! `user_credentials` names it.
//!
//! Where this sits: between validation and the store. A transaction cannot ask Keystone, because it may run again, and
//! Keystone must not be asked about a job that will be refused. So the transaction finds out that a trust is needed and
//! undoes itself ([`Stop::TrustNeeded`]); [`Pending::finish`] then gets the trust, and the transaction runs with it.
//! When it fails for good, a trust made for it is removed again.
//!
//! One trust serves all jobs of a user in a project, and ends with the last of them. Several processes share the
//! database, and nothing locks a trust at Keystone while rows change, so both sides look again after their change: who
//! stored a trust, whether Keystone still has it; who deleted one, whether a job has come to use it.
//!
//! Calls to Keystone are the crate `keystone-auth`, statements are `freezer_store::query::user_credentials`.

use std::ops::ControlFlow;

use freezer_store::model::UserCredentials;
use freezer_store::query::{clients, user_credentials};
use freezer_store::{Db, StoreError, TxError, transaction};
use keystone_auth::{AuthError, KeystoneClient, Secret};

use super::Change;
use crate::error::Error;

/// Which jobs get trusts, and how they are made.
pub struct Trusts {
    /// Connection to Keystone, logged in as the user whom jobs are entrusted to.
    pub keystone: KeystoneClient,
    /// `[centralized_scheduler] enabled`: whether jobs get trusts at all.
    pub enabled: bool,
    /// `[centralized_scheduler] enforce_trusts`: whether those of ordinary clients do, too.
    pub enforced: bool,
    /// `[centralized_scheduler] trusts_delegated_roles`; none: every role of the owner's token.
    pub roles: Vec<String>,
}

/// The caller's means to make a trust and to end one.
#[derive(Clone, Copy)]
pub struct Delegation<'a> {
    /// Which jobs get trusts.
    pub trusts: &'a Trusts,
    /// The caller's token.
    pub token: &'a Secret,
    /// The roles of that token, as Keystone names them.
    pub roles: &'a [String],
}

/// Why a transaction that writes a job ends without having stored it.
#[derive(Debug)]
pub enum Stop {
    /// The job needs a trust; with one, the transaction is to run again.
    TrustNeeded,
    /// For good.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

impl TxError for Stop {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Stop::Failed(error) => error.store_error(),
            Stop::TrustNeeded => None,
        }
    }
}

/// The trust of a job that is being written.
pub struct Pending<'a> {
    change: Change<'a>,
    given: Option<Given>,
}

struct Given {
    /// Of the row in `user_credentials`.
    row_id: String,
    credentials: UserCredentials,
    /// Made for this job, not found.
    is_new: bool,
}

impl<'a> Pending<'a> {
    /// Before the first run of the transaction.
    pub fn new(change: Change<'a>) -> Pending<'a> {
        Pending { change, given: None }
    }

    /// In the transaction, once the job is there: stores its trust where it needs one and has none.
    ///
    /// # Errors
    /// [`Stop::TrustNeeded`] where there is no trust yet to be stored.
    pub async fn attach(&self, db: &mut Db, job_id: &str, client_id: &str) -> Result<(), Stop> {
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
        let Given { row_id, credentials, .. } = self.given.as_ref().ok_or(Stop::TrustNeeded)?;
        user_credentials::create(db, row_id, job_id, credentials, now).await?;
        Ok(())
    }

    /// After the transaction: `Continue` where it is to run again, with a trust; else what came of it.
    pub async fn finish<T>(&mut self, result: Result<T, Stop>) -> ControlFlow<Result<T, Error>> {
        match (result, self.change.delegation) {
            (Err(Stop::TrustNeeded), Some(delegation)) if self.given.is_none() => {
                match self.give(delegation).await {
                    Ok(given) => self.given = Some(given),
                    Err(error) => return ControlFlow::Break(Err(error)),
                }
                ControlFlow::Continue(())
            }
            (Err(Stop::TrustNeeded), _) => {
                ControlFlow::Break(Err(Error::Internal("a job asked for a second trust".to_owned())))
            }
            (Err(Stop::Failed(error)), delegation) => {
                if let (Some(delegation), Some(given)) = (delegation, &self.given)
                    && given.is_new
                {
                    remove_unused(&self.change, delegation, &given.credentials).await;
                }
                ControlFlow::Break(Err(error))
            }
            (Ok(stored), delegation) => {
                if let (Some(delegation), Some(given)) = (delegation, &self.given) {
                    self.look_again(delegation, given).await;
                }
                ControlFlow::Break(Ok(stored))
            }
        }
    }

    async fn give(&self, delegation: Delegation<'_>) -> Result<Given, Error> {
        let Change { user_id, project_id, .. } = self.change;
        let found = delegation.find_or_create(user_id, project_id).await.map_err(refuse)?;
        let credentials =
            UserCredentials { trust_id: found.trust.id, trustor_user_id: found.trust.trustor_user_id };
        Ok(Given { row_id: self.change.ids.document(), credentials, is_new: found.is_new })
    }

    /// The job is stored: has somebody who knew nothing of it deleted its trust meanwhile?
    async fn look_again(&self, delegation: Delegation<'_>, given: &Given) {
        let Change { user_id, project_id, .. } = self.change;
        let trust_id = given.credentials.trust_id.as_str();
        let keystone = &delegation.trusts.keystone;
        match keystone.list_trusts(delegation.token.expose(), user_id, project_id).await {
            Ok(trusts) if trusts.iter().all(|trust| trust.id != trust_id) => {
                renew(&self.change, delegation, trust_id).await;
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, trust_id, "not known whether the trust is still there"),
        }
    }
}

/// After a job was deleted: ends its trust where no other job uses it.
///
/// The job is gone whatever Keystone says, so a failure is logged and no error, as in the Python service. A trust that
/// stays is found again by the next job of its user and project.
pub async fn release(change: &Change<'_>, credentials: &UserCredentials) {
    let Some(delegation) = change.delegation else { return };
    remove_unused(change, delegation, credentials).await;
    // only its own user can give another
    if credentials.trustor_user_id == change.user_id && in_use(change, &credentials.trust_id).await {
        renew(change, delegation, &credentials.trust_id).await;
    }
}

impl Delegation<'_> {
    async fn find_or_create(
        &self,
        user_id: &str,
        project_id: &str,
    ) -> Result<keystone_auth::Found, AuthError> {
        let configured = &self.trusts.roles;
        let roles = if configured.is_empty() { self.roles } else { configured };
        // without impersonation: the scheduler is seen as the service's user, acting in the owner's project
        let token = self.token.expose();
        self.trusts.keystone.find_or_create_trust(token, user_id, project_id, roles, false).await
    }
}

/// Deletes a trust at Keystone unless a job uses it; what fails is logged.
async fn remove_unused(change: &Change<'_>, delegation: Delegation<'_>, credentials: &UserCredentials) {
    let trust_id = credentials.trust_id.as_str();
    if in_use(change, trust_id).await {
        return;
    }
    let keystone = &delegation.trusts.keystone;
    let mut done = keystone.delete_trust(delegation.token.expose(), trust_id).await;
    if done.as_ref().is_err_and(AuthError::is_forbidden) {
        // the job was another user's of the project
        done = keystone.delete_trust_as_service(trust_id).await;
    }
    if let Err(error) = done {
        tracing::warn!(%error, trust_id, "a trust that no job uses was not deleted");
    }
}

/// Whether a live job uses a trust; true where the database does not say.
async fn in_use(change: &Change<'_>, trust_id: &str) -> bool {
    // a transaction for its connection: a replica may not know the latest job yet
    let used: Result<bool, StoreError> =
        transaction!(change.store, "trusts.in_use", |db| user_credentials::trust_in_use(db, trust_id).await);
    used.unwrap_or_else(|error| {
        tracing::warn!(%error, trust_id, "not known whether a job uses the trust, which stays");
        true
    })
}

/// Gives the jobs that name a trust which is gone another one.
async fn renew(change: &Change<'_>, delegation: Delegation<'_>, trust_id: &str) {
    let found = match delegation.find_or_create(change.user_id, change.project_id).await {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, trust_id, "jobs are left with a trust that is gone");
            return;
        }
    };
    let new = found.trust.id.as_str();
    let done: Result<(), StoreError> = transaction!(change.store, "trusts.renew", |db| {
        user_credentials::replace_trust(db, trust_id, new, change.now).await
    });
    if let Err(error) = done {
        tracing::error!(%error, trust_id, "jobs are left with a trust that is gone");
    }
}

fn refuse(error: AuthError) -> Error {
    match error {
        AuthError::Missing | AuthError::Invalid(_) => Error::Unauthenticated(error.to_string()),
        AuthError::Unavailable { .. } => Error::KeystoneUnavailable(error.to_string()),
        AuthError::Refused { .. } => Error::TrustRefused(error.to_string()),
    }
}
