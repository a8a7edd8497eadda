//! The part of a start that needs no other server: reading certificate and policy files, and checking the
//! address and the log file. `freezer-api` builds the service with it, and `freezer-manage config check`
//! finds errors that would prevent the start. Every reason not to start must therefore be here or in
//! [`Settings::load`].

use std::fmt;
use std::sync::Arc;

use freezer_store::Store;
use freezer_store::maintenance::Verdict;
use keystone_auth::{KeystoneClient, check_tls_files};
use oslo_policy::{Enforcer, HttpCheck};
use tokio::runtime::Handle;

use super::open_files;
use crate::app::App;
use crate::auth::Authenticator;
use crate::clock::{Clock, Ids};
use crate::config::{Finding, KEYSTONE, OptionOrigins, Settings, TRUSTEE};
use crate::readiness::{Readiness, Wait};
use crate::service::Queues;
use crate::service::trusts::Trusts;
use crate::validate::Validators;
use crate::{logging, policy, server};

/// A reason why the service does not start with its configuration.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// An error in certificates and keys for the database.
    #[error("[database] connection: {0}")]
    Database(#[from] freezer_store::UrlError),
    /// An error in the policy files.
    #[error(transparent)]
    Policy(#[from] oslo_policy::Error),
    /// An error in the settings for the servers of policy rules.
    #[error(transparent)]
    RemotePolicy(#[from] oslo_policy::HttpCheckError),
    /// An error in the settings for Keystone.
    #[error("{KEYSTONE} {0}")]
    Keystone(#[source] keystone_auth::SettingsError),
    /// An error in the login of the trustee of jobs.
    #[error("{TRUSTEE}: {0}")]
    Trustee(#[source] keystone_auth::SettingsError),
    /// An error in the address.
    #[error(transparent)]
    Listen(#[from] server::ListenError),
    /// An error in the log file.
    #[error(transparent)]
    Log(std::io::Error),
    /// A defect in a schema of ours.
    #[error(transparent)]
    Validators(#[from] crate::validate::BuildError),
}

/// All errors of a configuration, one in each line, with the origins of their options.
#[derive(Debug)]
pub struct Refusals(Vec<Refusal>, OptionOrigins);

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, refusal) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{}", self.1.prefixed(refusal.to_string()))?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusals {}

/// Builds the service. It must be called on the runtime that serves.
pub fn app(settings: &Settings, store: Store) -> Result<App, Refusals> {
    let mut refusals = Vec::new();
    let mut keep = |refusal: Refusal| refusals.push(refusal);
    let files = settings.database.url.check_files().map_err(|error| keep(error.into())).ok();
    let identity = identity(settings).map_err(&mut keep).ok();
    let enforcer = enforcer(settings).map_err(&mut keep).ok();
    let validators = Validators::new().map_err(|error| keep(error.into())).ok();
    let (Some(()), Some((authenticator, trusts)), Some(enforcer), Some(validators)) =
        (files, identity, enforcer, validators)
    else {
        return Err(Refusals(refusals, settings.origins.clone()));
    };
    Ok(App {
        queues: Queues::new(&store, settings.http.queue_limits()),
        store,
        readiness: Readiness::waiting(Wait::Database),
        enforcer,
        validators,
        authenticator,
        trusts,
        clock: Clock::system(),
        ids: Ids::system(),
        http: settings.http.clone(),
    })
}

/// Returns every reason why the service would not start. Only the address of `bind_host` is resolved by
/// another server, and nothing is written.
pub async fn refusals(settings: &Settings) -> Vec<Refusal> {
    let mut found = match app(settings, settings.database.store(false)) {
        Ok(_) => Vec::new(),
        Err(Refusals(refusals, _)) => refusals,
    };
    found.extend(server::check(&settings.listen, settings.auth_strategy).await.err().map(Refusal::from));
    found.extend(logging::check(&settings.log).err().map(Refusal::Log));
    found
}

/// Returns mistakes that do not prevent the start: unusable files that only HTTPS would need, servers that are
/// not verified, and more connections than open files allow.
pub fn warnings(settings: &Settings) -> Vec<Finding> {
    let mut found = open_files::warnings(settings);
    let unverified =
        |message| Finding { verdict: Verdict::Warning, kind: "unverified", place: None, message };
    if !settings.remote_policy.verify_server && has_https_check(settings) {
        found.push(unverified(
            "[oslo_policy] remote_ssl_verify_server_crt = false: a policy rule has an https: check, and the certificate of \
             its server is not verified, so another server can answer in its place; set it to true"
                .to_owned(),
        ));
    }
    for (group, login) in settings.logins() {
        if login.insecure {
            found.push(unverified(format!(
                "{group} insecure = true: Keystone's certificate is not verified, so another server can read tokens and \
                 the service's password; set cafile to the authorities of Keystone instead"
            )));
        }
        if login.auth_url.trim().to_lowercase().starts_with("https:") {
            continue;
        }
        if let Err(error) = check_tls_files(login) {
            let message = format!("{group} {error}; it is not read, because Keystone is called without TLS");
            found.push(Finding { verdict: Verdict::Warning, kind: "unusable_file", place: None, message });
        }
    }
    found.into_iter().map(|finding| settings.origins.locate(finding)).collect()
}

/// Returns whether a policy rule has an `https:` check. Unreadable policy files are reported elsewhere.
fn has_https_check(settings: &Settings) -> bool {
    Enforcer::new(policy::all(), settings.policy.clone()).is_ok_and(|enforcer| enforcer.has_https_check())
}

/// Builds the enforcer with the HTTP client for rules that another server evaluates.
fn enforcer(settings: &Settings) -> Result<Enforcer, Refusal> {
    let remote = Arc::new(HttpCheck::new(&settings.remote_policy, Handle::current())?);
    let rules = oslo_policy::Options { remote: Some(remote.clone()), ..settings.policy.clone() };
    let enforcer = Enforcer::new(policy::all(), rules)?;
    if enforcer.has_https_check() {
        remote.prepare_https()?;
    }
    Ok(enforcer)
}

/// Builds authentication and trusts. They share one connection to Keystone, unless `[centralized_scheduler]
/// auth_section` contains a separate login.
fn identity(settings: &Settings) -> Result<(Authenticator, Option<Trusts>), Refusal> {
    let Some(keystone) = &settings.keystone else {
        return Ok((Authenticator::NoAuth(settings.noauth_hosts.clone()), None));
    };
    let client = client(keystone).map_err(Refusal::Keystone)?;
    let trusts = match &settings.central {
        None => None,
        Some(central) => Some(Trusts {
            keystone: match &central.trustee {
                None => client.clone(),
                Some(trustee) => self::client(trustee).map_err(Refusal::Trustee)?,
            },
            enabled: central.enabled,
            enforced: central.enforce_trusts,
            roles: central.delegated_roles.clone(),
        }),
    };
    Ok((Authenticator::Keystone(Box::new(client)), trusts))
}

/// Creates a client of Keystone with the system clock.
pub(super) fn client(
    settings: &keystone_auth::Settings,
) -> Result<KeystoneClient, keystone_auth::SettingsError> {
    let clock = Clock::system();
    KeystoneClient::new(settings, Arc::new(move || clock.now().0))
}
