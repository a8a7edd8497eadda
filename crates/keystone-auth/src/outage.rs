//! [`KeystoneOutage`] tracks an outage of Keystone, so that the log has one line for its start, one per minute with
//! the number of failed calls, and one for its end. `transport` decides whether a call has failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use repeated_events::{EventCount, RepeatedEvents};

/// Whether Keystone answers, according to the last calls.
#[derive(Default)]
pub(crate) struct KeystoneOutage {
    is_on: AtomicBool,
    state: Mutex<Option<OutageState>>,
    /// The end of the last outage.
    ended: Mutex<Option<Instant>>,
    /// The failed calls of the present outage.
    failures: RepeatedEvents,
}

struct OutageState {
    began: Instant,
    requests: u64,
}

impl KeystoneOutage {
    /// Records that a call that started at this time failed. Returns true if this starts an outage. A call that hung at
    /// the end of the last outage does not start another one.
    pub(crate) fn begins(&self, started: Instant) -> bool {
        if self.is_on() || self.ended().is_some_and(|ended| started < ended) {
            return false;
        }
        let mut state = self.lock();
        let begins = state.is_none();
        state.get_or_insert_with(|| OutageState { began: Instant::now(), requests: 0 });
        self.is_on.store(true, Ordering::Relaxed);
        begins
    }

    /// Counts a failed call for one line per minute. Returns true if it is the first one for a minute.
    pub(crate) fn repeats(&self, reason: &str) -> bool {
        self.failures.add(1, reason, |EventCount { events, last }| {
            tracing::warn!(
                "Keystone is still not available; failed calls in the last minute: {events}; the last one: {last}"
            );
        })
    }

    /// Returns whether an outage is in progress.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Counts a request that could not be served because of the outage.
    pub(crate) fn affects_request(&self) {
        if let Some(state) = self.lock().as_mut() {
            state.requests += 1;
        }
    }

    /// Records that Keystone answered. If this ends an outage, returns its duration and the number of
    /// affected requests.
    pub(crate) fn ends(&self) -> Option<(Duration, u64)> {
        if !self.is_on() {
            return None;
        }
        let OutageState { began, requests } = self.lock().take()?;
        *self.ended() = Some(Instant::now());
        self.failures.end();
        self.is_on.store(false, Ordering::Relaxed);
        Some((began.elapsed(), requests))
    }

    fn ended(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<OutageState>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn an_outage_begins_once_and_ends_once() {
        let before = Instant::now();
        let outage = KeystoneOutage::default();
        outage.affects_request();
        assert!(outage.ends().is_none());
        for _ in 0..2 {
            assert!(outage.begins(Instant::now()));
            assert!(!outage.begins(Instant::now()) && outage.is_on());
            outage.affects_request();
            outage.affects_request();
            let (_, requests) = outage.ends().unwrap();
            assert_eq!(requests, 2);
            assert!(outage.ends().is_none() && !outage.is_on());
        }
        assert!(!outage.begins(before), "a call that started before the end");
        assert!(!outage.is_on() && outage.ends().is_none());
    }
}
