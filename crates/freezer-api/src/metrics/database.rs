//! Metrics of the named reads and writes of the store.

use std::time::Duration;

use freezer_store::{Killed, StoreObserver};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Histograms, LabelledCounters, SECONDS, times};

/// Counts what the store reports.
#[derive(Debug)]
pub struct DatabaseMetrics {
    seconds: Histograms<1>,
    errors: LabelledCounters<2>,
    retries: LabelledCounters<2>,
    killed: LabelledCounters<2>,
    connection_wait: Histogram,
}

impl DatabaseMetrics {
    pub(super) fn registered(registry: &mut Registry) -> DatabaseMetrics {
        let metrics = DatabaseMetrics {
            seconds: times(),
            errors: LabelledCounters::default(),
            retries: LabelledCounters::default(),
            killed: LabelledCounters::default(),
            connection_wait: Histogram::new(SECONDS),
        };
        registry.register_with_unit(
            "database_operation_duration",
            "Time of a named read or write, with all waiting and retries",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register(
            "database_operation_errors",
            "Named reads and writes that ended with an error of the database, by kind",
            metrics.errors.clone(),
        );
        registry.register(
            "database_operation_retries",
            "Repeated runs of named reads and writes, by the kind of the error before",
            metrics.retries.clone(),
        );
        registry.register(
            "database_killed_statements",
            "Running statements that were ended, by reason",
            metrics.killed.clone(),
        );
        registry.register_with_unit(
            "database_connection_wait",
            "Time until a read or write had a connection",
            Unit::Seconds,
            metrics.connection_wait.clone(),
        );
        metrics
    }
}

impl StoreObserver for DatabaseMetrics {
    fn connected(&self, waited: Duration) {
        self.connection_wait.observe(waited.as_secs_f64());
    }

    fn ended(&self, name: &'static str, duration: Duration, error: Option<&'static str>) {
        self.seconds.get_or_create(&[("operation", name)]).observe(duration.as_secs_f64());
        if let Some(kind) = error {
            self.errors.get_or_create(&[("operation", name), ("kind", kind)]).inc();
        }
    }

    fn runs_again(&self, name: &'static str, error: &'static str) {
        self.retries.get_or_create(&[("operation", name), ("kind", error)]).inc();
    }

    fn killed(&self, name: &'static str, why: Killed) {
        let reason = match why {
            Killed::TimeLimit => "time_limit",
            Killed::Cancelled => "cancelled",
            Killed::ConnectionLost => "connection_lost",
        };
        self.killed.get_or_create(&[("operation", name), ("reason", reason)]).inc();
    }
}
