//! What the running service takes up from files that change: policy by itself, policy and logging at SIGHUP.
//!
//! Policy files are looked at once a second, not at every request as oslo.policy does: a look costs a `stat` for each file
//! and the reading of each directory, whatever the load, and no request waits for a file system. Rules are swapped as a
//! whole; a request is decided by one set of them.

use std::time::Duration;

use oslo_config::Sources;
use oslo_policy::Enforcer;
use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;

use crate::config::Settings;
use crate::logging::Logging;

/// Time between two looks at the policy files.
const LOOK: Duration = Duration::from_secs(1);

/// What is needed to take up changes.
pub struct Reload {
    logging: Logging,
    /// Where the configuration came from; none: from nowhere.
    sources: Option<Sources>,
}

impl Reload {
    /// With the logging of the process and the sources of its settings.
    pub fn new(logging: Logging, sources: Option<Sources>) -> Reload {
        Reload { logging, sources }
    }

    /// Takes up changes as long as it is polled.
    pub async fn watch(self, mut hangups: Signal, started_with: Settings, enforcer: Enforcer) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                received = hangups.recv() => {
                    if received.is_none() {
                        return;
                    }
                    tracing::info!("SIGHUP: reading configuration, policy and log files again");
                    self.hang_up(&started_with);
                }
            }
            let enforcer = enforcer.clone();
            // an error is logged there, once for each change of the files
            let _ = tokio::task::spawn_blocking(move || enforcer.reload_if_changed()).await;
        }
    }

    /// Logging as the configuration has it now. Where it cannot be used, the former one goes on, with its file opened
    /// again: that is what a SIGHUP most often is about.
    fn hang_up(&self, started_with: &Settings) {
        let settings = self.sources.as_ref().map(Settings::load);
        let done = match &settings {
            Some(Ok(settings)) => self.logging.reload(&settings.log),
            Some(Err(error)) => {
                tracing::error!("configuration not read again, the former one stays in force: {error}");
                self.logging.reopen()
            }
            None => self.logging.reopen(),
        };
        if let Err(error) = done {
            let error = error.to_string();
            let error = match &settings {
                Some(Ok(settings)) => settings.places.prefixed(error),
                _ => error,
            };
            tracing::error!("logging stays as it was: {error}");
        }
        if let Some(Ok(settings)) = &settings {
            for remark in &settings.log.remarks {
                tracing::warn!("{}", settings.places.prefixed(remark.clone()));
            }
            let differences = started_with.differences(settings);
            if !differences.is_empty() {
                let sections = differences.join("; ");
                tracing::warn!(
                    "these changes of the configuration take effect at the next start: {sections}"
                );
            }
        }
    }
}
