//! Keeps track of an outage of Keystone, so that the log has one line when it begins and one when it ends. Lives here:
//! [`Outage`]. Whether a call has failed is decided by `transport`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether Keystone answers, as the last calls showed it.
#[derive(Default)]
pub(crate) struct Outage {
    is_on: AtomicBool,
    state: Mutex<Option<State>>,
}

struct State {
    began: Instant,
    requests: u64,
}

impl Outage {
    /// Notes that Keystone gave no usable answer. True if it did until now: then the outage begins.
    pub(crate) fn begins(&self) -> bool {
        if self.is_on() {
            return false;
        }
        let mut state = self.lock();
        let begins = state.is_none();
        state.get_or_insert_with(|| State { began: Instant::now(), requests: 0 });
        self.is_on.store(true, Ordering::Relaxed);
        begins
    }

    /// Whether an outage has begun and not ended.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Counts a request that could not be served because of the outage.
    pub(crate) fn affects_request(&self) {
        if let Some(state) = self.lock().as_mut() {
            state.requests += 1;
        }
    }

    /// Notes that Keystone answers. If this ends an outage, returns how long it was, and how many requests it affected.
    pub(crate) fn ends(&self) -> Option<(Duration, u64)> {
        if !self.is_on() {
            return None;
        }
        let State { began, requests } = self.lock().take()?;
        self.is_on.store(false, Ordering::Relaxed);
        Some((began.elapsed(), requests))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn an_outage_begins_once_and_ends_once() {
        let outage = Outage::default();
        outage.affects_request();
        assert!(outage.ends().is_none());
        for _ in 0..2 {
            assert!(outage.begins());
            assert!(!outage.begins() && outage.is_on());
            outage.affects_request();
            outage.affects_request();
            let (_, requests) = outage.ends().unwrap();
            assert_eq!(requests, 2);
            assert!(outage.ends().is_none() && !outage.is_on());
        }
    }
}
