//! Reloads changed files in the running service: policy and certificates automatically, and logging, too, at SIGHUP.
//!
//! These files are checked once per second, not at every request as in oslo.policy. A check costs a `stat`
//! for each file and reading each directory, independent of the load, and no request waits for a file system.
//! All rules are replaced at once, so each request uses one set of rules.

use std::sync::Arc;
use std::time::Duration;

use oslo_config::Sources;
use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::config::Settings;
use crate::logging::Logging;
use crate::server::ServerTls;
use crate::systemd::Notify;

/// Time between two checks of the policy files and certificates.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The data for reloading.
pub struct Reload {
    logging: Logging,
    /// The sources of the configuration. `None`: there are none.
    sources: Option<Sources>,
}

impl Reload {
    /// Creates a reloader for the logging of the process with the sources of its settings.
    pub fn new(logging: Logging, sources: Option<Sources>) -> Reload {
        Reload { logging, sources }
    }

    /// Reloads changes as long as it is polled.
    pub async fn watch(
        self,
        mut hangups: Signal,
        started_with: Settings,
        app: Arc<App>,
        tls: Option<Arc<ServerTls>>,
        notify: Notify,
    ) {
        let reload = Arc::new((self, started_with));
        let mut looks = tokio::time::interval(CHECK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let tls = tls.clone();
            let hung_up = tokio::select! {
                _ = looks.tick() => false,
                received = hangups.recv() => {
                    if received.is_none() {
                        return;
                    }
                    notify.reloading();
                    tracing::info!("SIGHUP: reading configuration, policy, certificates and log files again");
                    let reload = reload.clone();
                    // Files can be slow, and a pipe is awaited for some seconds.
                    let done = tokio::task::spawn_blocking(move || reload.0.hang_up(&reload.1)).await;
                    app.metrics.configuration_reloads().add(done.unwrap_or(false), app.clock.now().0);
                    true
                }
            };
            let of_check = app.clone();
            let check = move || {
                reload_policy(&of_check);
                match tls {
                    Some(tls) if hung_up => tls.reload(),
                    Some(tls) => tls.reload_if_changed(),
                    None => {}
                }
            };
            let _ = tokio::task::spawn_blocking(check).await;
            if hung_up {
                notify.ready();
            }
        }
    }

    /// Applies the logging settings of the present configuration. If they are not valid, the former settings
    /// stay in force and the log file is opened again, because log rotation is the most frequent reason for a
    /// SIGHUP. Returns whether the configuration could be loaded.
    fn hang_up(&self, started_with: &Settings) -> bool {
        if let Some(path) = self.sources.as_ref().and_then(Sources::read_once) {
            tracing::error!(
                "the configuration was not reloaded, the former one stays in force: {} is a pipe, which was read at the start and \
                 cannot be read again; restart the service to change the configuration, or start it with a file",
                path.display()
            );
            if let Err(error) = self.logging.reopen() {
                tracing::error!(
                    "the log file was not opened again: {}",
                    started_with.origins.prefixed(error.to_string())
                );
            }
            return false;
        }
        let settings = self.sources.as_ref().map(Settings::load);
        let done = match &settings {
            Some(Ok(settings)) => self.logging.reload(&settings.log),
            Some(Err(error)) => {
                tracing::error!("the configuration was not reloaded, the former one stays in force: {error}");
                self.logging.reopen()
            }
            None => self.logging.reopen(),
        };
        let is_done = done.is_ok() && !matches!(settings, Some(Err(_)));
        if let Err(error) = done {
            let error = error.to_string();
            let error = match &settings {
                Some(Ok(settings)) => settings.origins.prefixed(error),
                _ => error,
            };
            tracing::error!("the logging was not changed: {error}");
        }
        if let Some(Ok(settings)) = &settings {
            for remark in &settings.log.remarks {
                tracing::warn!("{}", settings.origins.prefixed(remark.clone()));
            }
            let differences = started_with.differences(settings);
            if !differences.is_empty() {
                let sections = differences.join("; ");
                tracing::warn!(
                    "these changes of the configuration take effect at the next start: {sections}"
                );
            }
        }
        is_done
    }
}

/// Loads changed policy files. An error is logged once for each change of the files.
fn reload_policy(app: &App) {
    let reloads = app.metrics.policy_reloads();
    match app.enforcer.reload_if_changed() {
        Ok(true) => reloads.add(true, app.clock.now().0),
        Ok(false) => reloads.set_successful(app.enforcer.reload_error().is_none()),
        Err(_) => reloads.add(false, app.clock.now().0),
    }
}
