//! The part of a start that needs no other server: reading certificate and policy files, and checking the
//! address and the log file. `freezer-api` builds the service with it, and `freezer-manage config check`
//! finds errors that would prevent the start. Every reason not to start must therefore be here or in
//! [`Settings::load`].

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use freezer_store::Store;
use freezer_store::maintenance::Verdict;
use keystone_auth::{KeystoneClient, UnixClock};
use oslo_policy::{Enforcer, HttpCheck};
use tokio::runtime::Handle;

use super::{authorities, logins, open_files};
use crate::api::idempotency::AbandonedClaims;
use crate::app::App;
use crate::auth::Authenticator;
use crate::clock::{Clock, Ids};
use crate::config::{Finding, LoginGroups, OptionOrigins, Settings};
use crate::metrics::Metrics;
use crate::probes::Probes;
use crate::readiness::{Readiness, Wait};
use crate::server::ServerTls;
use crate::service::Queues;
use crate::service::trusts::Trusts;
use crate::validate::Validators;
use crate::{logging, policy, server};

/// A reason why the service does not start with its configuration.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// An error in certificates and keys for the database.
    #[error("{option}: {error}")]
    Database {
        /// `[group] name` of the option.
        option: &'static str,
        /// The error.
        error: freezer_store::UrlError,
    },
    /// A policy file or directory cannot be read.
    #[error("[oslo_policy] {option}: cannot read {}: {source}", path.display())]
    PolicyPath {
        /// The option that names it.
        option: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// An error in the policy files.
    #[error(transparent)]
    Policy(oslo_policy::Error),
    /// An error in the settings for the servers of policy rules.
    #[error(transparent)]
    RemotePolicy(#[from] oslo_policy::HttpCheckError),
    /// An error in a login at Keystone.
    #[error("{}", logins::described(*groups, error))]
    Login {
        /// The groups of the login.
        groups: LoginGroups,
        /// The error.
        error: keystone_auth::SettingsError,
    },
    /// Servers must be verified, but there are no certificate authorities.
    #[error("{0}")]
    Authorities(String),
    /// An error in the files of `[ssl]`.
    #[error(transparent)]
    Ssl(#[from] server::TlsFileError),
    /// An error in the address.
    #[error(transparent)]
    Listen(#[from] server::ListenError),
    /// An error in the address of the metrics.
    #[error(transparent)]
    Metrics(#[from] server::MetricsListenError),
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

impl Refusals {
    /// Returns the errors.
    pub fn as_slice(&self) -> &[Refusal] {
        &self.0
    }
}

/// The service, and TLS of its port.
pub struct PreparedService {
    /// The service.
    pub app: App,
    /// TLS of TCP connections. `None`: they are not encrypted.
    pub tls: Option<ServerTls>,
}

/// Builds the service. It must be called on the runtime that serves.
pub fn prepare(settings: &Settings, store: Store) -> Result<PreparedService, Refusals> {
    let mut refusals = Vec::new();
    let mut keep = |refusal: Refusal| refusals.push(refusal);
    let files = check_files(settings).map_err(&mut keep).ok();
    let metrics = Metrics::default();
    let store = store.observed_by(metrics.of_store());
    let identity = identity(settings, &metrics).map_err(|errors| errors.into_iter().for_each(&mut keep)).ok();
    let enforcer = enforcer(settings).map_err(&mut keep).ok();
    let validators = Validators::new().map_err(|error| keep(error.into())).ok();
    let tls = tls(settings).map_err(|error| keep(error.into())).ok();
    let (Some(()), Some((authenticator, trusts)), Some(enforcer), Some(validators), Some(tls)) =
        (files, identity, enforcer, validators, tls)
    else {
        return Err(Refusals(authorities::merged(refusals, settings), settings.origins.clone()));
    };
    let app = App {
        queues: Queues::new(&store, settings.http.queue_limits(), &metrics),
        store,
        readiness: Readiness::waiting(Wait::Database),
        enforcer,
        validators,
        authenticator,
        trusts,
        abandoned: AbandonedClaims::default(),
        probes: Probes::default(),
        clock: Clock::system(),
        ids: Ids::system(),
        http: settings.http.clone(),
        metrics,
    };
    Ok(PreparedService { app, tls: tls.map(|(tls, _)| tls) })
}

/// Reads the files of `[ssl]`. Returns warnings about them, too.
fn tls(settings: &Settings) -> Result<Option<(ServerTls, Vec<String>)>, server::TlsFileError> {
    settings.ssl.as_ref().map(ServerTls::new).transpose()
}

/// Checks the files of the database's address.
fn check_files(settings: &Settings) -> Result<(), Refusal> {
    let database = &settings.database;
    let blamed = |error: freezer_store::UrlError| Refusal::Database {
        option: database.option_of(error.parameter()),
        error,
    };
    database.url.check_files().map_err(blamed)
}

/// Returns every reason why the service would not start. Only the address of `bind_host` is resolved by
/// another server, and nothing is written.
pub async fn refusals(settings: &Settings) -> Vec<Refusal> {
    let mut found = match prepare(settings, settings.database.store(false)) {
        Ok(_) => Vec::new(),
        Err(Refusals(refusals, _)) => refusals,
    };
    let of_addresses = server::check(&settings.listen, settings.auth_strategy).await;
    found.extend(of_addresses.into_iter().map(Refusal::from));
    if let Some(metrics) = &settings.metrics {
        found.extend(server::check_metrics(&metrics.listen).await.err().map(Refusal::from));
    }
    found.extend(logging::check(&settings.log).err().map(Refusal::Log));
    found
}

/// Returns mistakes that do not prevent the start: unusable files that only HTTPS would need, servers that are
/// not verified, logins that cannot succeed, expired certificates, and more connections than open files allow. `refusals` are the reasons why the
/// service does not start; their subject is not repeated.
pub fn warnings(settings: &Settings, refusals: &[Refusal]) -> Vec<Finding> {
    let mut found = open_files::warnings(settings);
    if !settings.remote_policy.verify_server && has_https_check(settings) {
        found.push(logins::unverified(
            "[oslo_policy] remote_ssl_verify_server_crt = false: a policy rule has an https: check, and the certificate of \
             its server is not verified, so another server can answer in its place; set it to true"
                .to_owned(),
        ));
    }
    found.extend(logins::warnings(settings));
    let of_certificates = tls(settings).ok().flatten().map(|(_, warnings)| warnings).unwrap_or_default();
    found.extend(of_certificates.into_iter().map(|message| Finding {
        verdict: Verdict::Warning,
        kind: "certificate",
        place: None,
        message,
    }));
    if !refusals.iter().any(|refusal| matches!(refusal, Refusal::Authorities(_))) {
        found.extend(settings.authorities.unusable.iter().cloned());
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
    let enforcer = Enforcer::new(policy::all(), rules).map_err(|error| match error {
        oslo_policy::Error::Read { path, source } => {
            let is_file = settings.policy.policy_file.as_ref() == Some(&path);
            let option = if is_file { "policy_file" } else { "policy_dirs" };
            Refusal::PolicyPath { option, path, source }
        }
        error => Refusal::Policy(error),
    })?;
    if enforcer.has_https_check() {
        remote.prepare_https()?;
    }
    Ok(enforcer)
}

/// Builds authentication and trusts. They share one connection to Keystone, unless `[centralized_scheduler]
/// auth_section` contains a separate login.
fn identity(settings: &Settings, metrics: &Metrics) -> Result<(Authenticator, Option<Trusts>), Vec<Refusal>> {
    let Some(keystone) = &settings.keystone else {
        return Ok((Authenticator::NoAuth(settings.noauth_hosts.clone()), None));
    };
    let login = |groups, login| {
        KeystoneClient::observed(login, seconds(), metrics.of_keystone())
            .map_err(|error| Refusal::Login { groups, error })
    };
    let trustee = settings
        .central
        .as_ref()
        .and_then(|central| central.trustee.as_ref().map(|trustee| login(central.trustee_groups, trustee)));
    // Both logins are checked, so that the errors of both are reported.
    let (client, trustee) = match (login(settings.keystone_groups, keystone), trustee.transpose()) {
        (Ok(client), Ok(trustee)) => (client, trustee),
        (own, trustee) => return Err([own.err(), trustee.err()].into_iter().flatten().collect()),
    };
    let trusts = settings.central.as_ref().map(|central| Trusts {
        keystone: trustee.unwrap_or_else(|| client.clone()),
        enabled: central.enabled,
        enforced: central.enforce_trusts,
        roles: central.delegated_roles.clone(),
    });
    Ok((Authenticator::Keystone(Box::new(client)), trusts))
}

/// Creates a client of Keystone with the system clock.
pub(super) fn client(
    settings: &keystone_auth::Settings,
) -> Result<KeystoneClient, keystone_auth::SettingsError> {
    KeystoneClient::new(settings, seconds())
}

/// Returns the system clock in the form that a client of Keystone needs.
fn seconds() -> UnixClock {
    let clock = Clock::system();
    Arc::new(move || clock.now().0)
}
