//! Metrics of the calls to Keystone and of the token cache.

use std::time::Duration;

use keystone_auth::{CallOutcome, KeystoneObserver};
use prometheus_client::registry::{Registry, Unit};

use super::{Histograms, LabelledCounters, times};

/// Counts what the crate `keystone-auth` reports.
#[derive(Debug)]
pub struct KeystoneMetrics {
    seconds: Histograms<2>,
    retries: LabelledCounters<1>,
    lookups: LabelledCounters<1>,
}

impl KeystoneMetrics {
    pub(super) fn registered(registry: &mut Registry) -> KeystoneMetrics {
        let metrics = KeystoneMetrics {
            seconds: times(),
            retries: LabelledCounters::default(),
            lookups: LabelledCounters::default(),
        };
        registry.register_with_unit(
            "keystone_call_duration",
            "Time of a call to Keystone with all its attempts, by result",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register(
            "keystone_call_retries",
            "Attempts after a failed connection to Keystone",
            metrics.retries.clone(),
        );
        registry.register(
            "token_cache_lookups",
            "Tokens that were looked up in the cache, by result",
            metrics.lookups.clone(),
        );
        for is_found in [true, false] {
            metrics.lookups.get_or_create_owned(&found(is_found));
        }
        metrics
    }
}

fn found(is_found: bool) -> [(&'static str, &'static str); 1] {
    [("result", if is_found { "hit" } else { "miss" })]
}

impl KeystoneObserver for KeystoneMetrics {
    fn called(&self, operation: &'static str, outcome: CallOutcome, duration: Duration) {
        let result = match outcome {
            CallOutcome::Success => "success",
            CallOutcome::Refused => "refused",
            CallOutcome::Failed => "failed",
            CallOutcome::NoAnswer => "no_answer",
        };
        let labels = [("operation", operation), ("result", result)];
        self.seconds.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    fn called_again(&self, operation: &'static str) {
        self.retries.get_or_create(&[("operation", operation)]).inc();
    }

    fn looked_up(&self, is_found: bool) {
        self.lookups.get_or_create(&found(is_found)).inc();
    }
}
