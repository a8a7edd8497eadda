//! Keeps track of an outage of the database, so that the log has one line when it begins and one when it ends. What counts as
//! a failure is decided by `tx.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::error::StoreError;
use crate::url::DatabaseUrl;

/// Whether the database answers, as the last statements showed it.
#[derive(Debug, Default)]
pub(crate) struct OutageLog {
    is_on: AtomicBool,
    state: Mutex<Option<State>>,
}

#[derive(Debug)]
struct State {
    began: Instant,
    requests: u64,
}

impl OutageLog {
    /// Notes a failure. `affects`: it is the first one of a read or write.
    pub(crate) fn failed(&self, database: &DatabaseUrl, error: &StoreError, affects: bool) {
        if !matches!(error, StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. }) {
            return;
        }
        let mut state = self.lock();
        if state.is_none() {
            tracing::error!(
                "the database {database} is not available; the next line about it says when it is again: {error}"
            );
        }
        let state = state.get_or_insert_with(|| State { began: Instant::now(), requests: 0 });
        state.requests += u64::from(affects);
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// Notes that the database has answered.
    pub(crate) fn answered(&self, database: &DatabaseUrl) {
        // the usual case costs no lock
        if !self.is_on.load(Ordering::Relaxed) {
            return;
        }
        let ended = self.lock().take();
        self.is_on.store(false, Ordering::Relaxed);
        if let Some(State { began, requests }) = ended {
            let seconds = began.elapsed().as_secs_f64();
            tracing::warn!(
                "the database {database} is available again after {seconds:.1} s; reads and writes affected: {requests}"
            );
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
