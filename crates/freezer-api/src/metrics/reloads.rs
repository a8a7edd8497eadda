//! Metrics of reloads: of the policy files and of the configuration.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::LabelledCounters;

/// Counts the reloads of one kind. The start counts as the first successful one.
#[derive(Debug)]
pub struct Reloads {
    reloads: LabelledCounters<1>,
    is_successful: Gauge,
    succeeded: Gauge,
}

impl Reloads {
    /// Adds the metrics to a registry. `what`: the name of the reloaded files in the help.
    pub(super) fn registered(registry: &mut Registry, name: &str, what: &str) -> Reloads {
        let metrics = Reloads {
            reloads: LabelledCounters::default(),
            is_successful: Gauge::default(),
            succeeded: Gauge::default(),
        };
        registry.register(
            format!("{name}_reloads"),
            format!("Reloads of the {what}, by result"),
            metrics.reloads.clone(),
        );
        registry.register(
            format!("{name}_last_reload_successful"),
            format!("Whether the present {what} could be loaded (1) or not (0)"),
            metrics.is_successful.clone(),
        );
        registry.register_with_unit(
            format!("{name}_last_reload_success_timestamp"),
            format!("Time of the last successful load of the {what}"),
            Unit::Seconds,
            metrics.succeeded.clone(),
        );
        for is_successful in [true, false] {
            metrics.reloads.get_or_create_owned(&result(is_successful));
        }
        metrics.is_successful.set(1);
        metrics
    }

    /// Records the first load, at the start. `now`: seconds since 1970.
    pub fn start(&self, now: i64) {
        self.succeeded.set(now);
    }

    /// Counts a reload.
    pub fn add(&self, is_successful: bool, now: i64) {
        self.reloads.get_or_create(&result(is_successful)).inc();
        self.set_successful(is_successful);
        if is_successful {
            self.succeeded.set(now);
        }
    }

    /// Records whether the present files can be loaded.
    pub fn set_successful(&self, is_successful: bool) {
        self.is_successful.set(i64::from(is_successful));
    }
}

fn result(is_successful: bool) -> [(&'static str, &'static str); 1] {
    [("result", if is_successful { "ok" } else { "failed" })]
}
