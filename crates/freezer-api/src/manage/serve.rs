//! `freezer-api`: builds the service from settings (`prepare.rs`), serves it, and waits for the database
//! (`schema_watch.rs`).

use std::sync::Arc;
use std::time::Duration;

use freezer_store::maintenance::Verdict;
use freezer_store::{Store, StoreError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::banner;
use super::open_files;
use super::prepare::{self, PreparedService, Refusals};
use super::schema_watch::SchemaWatch;
use crate::app::App;
use crate::config::{DEV_DATABASE, MetricsSettings, Settings};
use crate::metrics::rows;
use crate::reload::Reload;
use crate::server;
use crate::systemd::Notify;

/// The reason why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be reached, or its tables cannot be served.
    #[error("{0}")]
    Store(String),
    /// An error in the configuration.
    #[error(transparent)]
    Configuration(#[from] Refusals),
    /// An error in the address.
    #[error(transparent)]
    Listen(#[from] server::ListenError),
    /// An error in the address of the metrics.
    #[error(transparent)]
    Metrics(#[from] server::MetricsListenError),
    /// An error of the operating system.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
    /// A defect: the running service ended unexpectedly.
    #[error("the server ended unexpectedly: {0}")]
    Panicked(tokio::task::JoinError),
}

/// Returns the output of `--dev`: the address, and example requests.
pub fn dev_hints(settings: &Settings) -> String {
    let base = format!("http://{}", settings.listen);
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

/// The environment of the service in its process.
#[derive(Default)]
pub struct Surroundings {
    /// Reloads changed files. `None`: nothing is reloaded.
    pub reload: Option<Reload>,
    /// The service manager.
    pub notify: Notify,
}

/// Longest time that connections wait for the first check of the database.
const FIRST_CHECK: Duration = Duration::from_secs(5);

/// Builds the app, listens and serves until SIGTERM or SIGINT. Calls `ready` when the address is bound. While
/// the database or its tables are not ready, requests are answered with 503.
///
/// # Errors
/// [`StartError`], with advice in its text.
pub async fn run(
    mut settings: Settings,
    store: Store,
    Surroundings { reload, notify }: Surroundings,
    ready: impl FnOnce(&Settings),
) -> Result<(), StartError> {
    // Before the first long operation, because a SIGHUP without a handler ends the process.
    let hangups = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    server::raise_file_limit();
    let fitted = open_files::fitted(&settings);
    let prepared = prepare::prepare(&fitted, store);
    let refusals = prepared.as_ref().err().map(Refusals::as_slice).unwrap_or_default();
    let warnings = prepare::warnings(&settings, refusals);
    for finding in settings.remarks.iter().chain(&warnings).filter(|found| found.verdict == Verdict::Warning)
    {
        tracing::warn!("{finding}");
    }
    let PreparedService { app, tls } = prepared?;
    let (app, tls) = (Arc::new(app), tls.map(Arc::new));
    banner::log(&fitted, &app);
    let listeners = server::inherit_or_listen(&settings.listen, settings.auth_strategy, tls.clone()).await?;
    let _metrics = watch_metrics(&settings, &app).await?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let (database, origins) = (settings.database.clone(), settings.origins.clone());
    tokio::spawn(notify.clone().keep_alive());
    notify.starting("Examining the database", FIRST_CHECK);
    let mut watch = SchemaWatch::new(&database, &app.store, app.readiness.clone(), notify.clone());
    // If the tables can be served, the first request is served.
    let located = |error: StoreError| StartError::Store(origins.prefixed(error.to_string()));
    watch.check_first(FIRST_CHECK).await.map_err(located)?;
    if let Some(address) = listeners.local_addr() {
        settings.listen.port = address.port();
    }
    ready(&settings);
    tracing::info!("listening on {}", listeners.names());
    notify.ready();
    // After READY=1, because the end of a reload is another READY=1.
    if let Some(reload) = reload {
        tokio::spawn(reload.watch(hangups, settings.clone(), app.clone(), tls, notify.clone()));
    }
    let longest_stop = app.http.stop.delay + app.http.stop.timeout;
    let stop = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping");
        notify.stopping(longest_stop);
    };
    // On a worker, not on the main thread. Then the thread that accepts a connection also serves it, without
    // waking another one.
    let mut serving = tokio::spawn(server::serve(listeners, app.clone(), stop));
    tokio::select! {
        served = &mut serving => served.map_err(StartError::Panicked),
        Err(error) = watch.watch() => {
            serving.abort();
            Err(located(error))
        }
    }
}

/// Serves the metrics if there is an address for them, and measures rows. The tasks end when the result is dropped.
async fn watch_metrics(settings: &Settings, app: &Arc<App>) -> Result<JoinSet<()>, StartError> {
    let now = app.clock.now().0;
    app.metrics.policy_reloads().start(now);
    app.metrics.configuration_reloads().start(now);
    let mut tasks = JoinSet::new();
    let Some(MetricsSettings { listen, rows_interval }) = &settings.metrics else { return Ok(tasks) };
    let listener = server::listen_for_metrics(listen).await?;
    tracing::info!("metrics: http://{}/metrics", listener.local_addr());
    tasks.spawn(server::serve_metrics(listener, app.clone()));
    if let Some(interval) = rows_interval {
        tasks.spawn(rows::watch(app.clone(), *interval));
    }
    Ok(tasks)
}
