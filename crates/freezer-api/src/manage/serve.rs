//! `freezer-api`: builds the [`App`] from settings and serves it.

use std::sync::Arc;

use freezer_store::{Store, StoreError};
use keystone_auth::KeystoneClient;
use oslo_policy::{Enforcer, HttpCheck};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::auth::Authentication;
use crate::clock::{Clock, Ids};
use crate::config::{DEV_DATABASE, DatabaseSettings, Listen, Settings};
use crate::reload::Reload;
use crate::service::Queues;
use crate::service::trusts::Trusts;
use crate::systemd::Notify;
use crate::validate::Validators;
use crate::{policy, server};

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be reached, or its tables cannot be served.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rules.
    #[error(transparent)]
    Policy(#[from] oslo_policy::Error),
    /// The settings for servers that rules name.
    #[error(transparent)]
    RemotePolicy(#[from] oslo_policy::HttpCheckError),
    /// The settings for Keystone.
    #[error("[keystone_authtoken]: {0}")]
    Keystone(#[from] keystone_auth::SettingsError),
    /// The settings for the user whom jobs are entrusted to.
    #[error("the group that [centralized_scheduler] auth_section names: {0}")]
    Trustee(#[source] keystone_auth::SettingsError),
    /// The address.
    #[error(transparent)]
    Listen(#[from] server::ListenError),
    /// A defect: a schema of ours.
    #[error(transparent)]
    Validators(#[from] crate::validate::BuildError),
    /// The system.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
    /// A defect: not a start that failed, but a service that ended.
    #[error("the server ended unexpectedly: {0}")]
    Panicked(tokio::task::JoinError),
}

/// What `--dev` prints: where the service is, and what to try.
pub fn dev_hints(settings: &Settings) -> String {
    let Listen { host, port, .. } = &settings.listen;
    let base = format!("http://{host}:{port}");
    let database = &settings.database.url;
    format!(
        "freezer-api for a first look: no authentication, {database}, {base}\n\
         \n\
         Try, in another terminal (any text will do for the project, here demo):\n\
         \n\
         \x20 curl {base}/\n\
         \x20 curl -X POST {base}/v2/demo/clients -d '{{\"client_id\": \"node-1\", \"hostname\": \"node-1\"}}'\n\
         \x20 curl -X POST {base}/v2/demo/jobs -d '{{\"client_id\": \"node-1\", \"job_schedule\": \
         {{\"schedule_interval\": \"1 days\"}}, \"job_actions\": [{{\"freezer_action\": {{\"action\": \"backup\", \
         \"mode\": \"fs\", \"path_to_backup\": \"/etc\", \"container\": \"/var/backups\", \
         \"backup_name\": \"etc\"}}}}]}}'\n\
         \x20 curl {base}/v2/demo/jobs\n\
         \n\
         Ctrl-C stops it. Remove {DEV_DATABASE} to begin anew.\n"
    )
}

/// What a process has around its service.
#[derive(Default)]
pub struct Surroundings {
    /// Takes up what changes while it runs; none: nothing does.
    pub reload: Option<Reload>,
    /// The service manager.
    pub notify: Notify,
}

/// Builds the app, listens and serves until SIGTERM or SIGINT. `ready` is called once the address is bound.
///
/// # Errors
/// [`StartError`]; the text says what to do.
pub async fn run(
    settings: Settings,
    store: Store,
    Surroundings { reload, notify }: Surroundings,
    ready: impl FnOnce(&Settings),
) -> Result<(), StartError> {
    for remark in &settings.remarks {
        tracing::warn!("{remark}");
    }
    server::raise_file_limit();
    // before anything that takes time: a SIGHUP that nobody waits for ends the process
    let hangups = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    wait_for_database(&settings.database, &store).await?;
    let app = Arc::new(app(&settings, store)?);
    let listener = server::listen(&settings.listen, settings.auth_strategy).await?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    if let Some(reload) = reload {
        tokio::spawn(reload.watch(hangups, settings.clone(), app.enforcer.clone()));
    }
    ready(&settings);
    let Listen { host, port, .. } = &settings.listen;
    tracing::info!("listening on {host}:{port}");
    notify.ready();
    let stop = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping");
        notify.stopping();
    };
    // On a worker, not on the main thread: whoever accepts a connection then also serves it, and wakes nobody for it.
    tokio::spawn(server::serve(listener, app, stop)).await.map_err(StartError::Panicked)
}

/// The parts of the service. Called on the runtime that serves.
fn app(settings: &Settings, store: Store) -> Result<App, StartError> {
    let (authentication, trusts) = identity(settings)?;
    let remote = HttpCheck::new(&settings.remote_policy, Handle::current())?;
    let rules = oslo_policy::Options { remote: Some(Arc::new(remote)), ..settings.policy.clone() };
    Ok(App {
        store,
        enforcer: Enforcer::new(policy::all(), rules)?,
        validators: Validators::new()?,
        authentication,
        trusts,
        queues: Queues::new(settings.http.max_body),
        clock: Clock::system(),
        ids: Ids::system(),
        http: settings.http.clone(),
    })
}

/// How callers are known, and how their jobs are entrusted to central schedulers. One connection to Keystone does both
/// unless `[centralized_scheduler] auth_section` names a login of its own.
fn identity(settings: &Settings) -> Result<(Authentication, Option<Trusts>), StartError> {
    let Some(keystone) = &settings.keystone else { return Ok((Authentication::NoAuth, None)) };
    let clock = Clock::system();
    let seconds: keystone_auth::Clock = Arc::new(move || clock.now().0);
    let client = KeystoneClient::new(keystone, Arc::clone(&seconds))?;
    let trusts = match &settings.central {
        None => None,
        Some(central) => Some(Trusts {
            keystone: match &central.trustee {
                None => client.clone(),
                Some(trustee) => KeystoneClient::new(trustee, seconds).map_err(StartError::Trustee)?,
            },
            enabled: central.enabled,
            enforced: central.enforce_trusts,
            roles: central.delegated_roles.clone(),
        }),
    };
    Ok((Authentication::Keystone(Box::new(client)), trusts))
}

/// Waits for a database that is not up yet (`[database] max_retries`, `retry_interval`), and refuses one whose
/// tables cannot be served.
async fn wait_for_database(settings: &DatabaseSettings, store: &Store) -> Result<(), StartError> {
    let mut tries = 0;
    loop {
        match store.check_schema().await {
            Err(error @ StoreError::Unavailable { .. })
                if settings.start_retries.is_none_or(|max| tries < max) =>
            {
                tries += 1;
                let pause = settings.start_retry_interval;
                tracing::warn!(%error, "trying again in {pause:?}");
                tokio::time::sleep(pause).await;
            }
            other => return Ok(other?),
        }
    }
}
