//! Keeps track of an outage of the database, so that the log has one line when it begins and one when it ends. What counts as
//! a failure is decided by `tx.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Class, Outage, StoreError};
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
    /// The last time that a change could not be stored, if the database answered that it cannot store anything. It still
    /// answers reads then, which therefore do not end the outage.
    last_refusal: Option<Instant>,
}

/// How long changes must have been stored again before an outage of the storage has ended: on a full disk, small ones may
/// succeed between those that fail.
const STEADY: Duration = Duration::from_secs(3);

/// What the database has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// It answered, and stored nothing.
    Read,
    /// It stored a change.
    Stored,
}

impl OutageLog {
    /// Notes a failure. `affects`: it is the first one of a read or write. `changes`: it is one of a write.
    pub(crate) fn failed(&self, database: &DatabaseUrl, error: &StoreError, affects: bool, changes: bool) {
        if !matches!(error, StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. }) {
            return;
        }
        let mut state = self.lock();
        if state.is_none() {
            tracing::error!(
                "the database {database} is not available; the next line about it says when it is again: {error}"
            );
        }
        let now = Instant::now();
        let state = state.get_or_insert(State { began: now, requests: 0, last_refusal: None });
        state.requests += u64::from(affects);
        if changes && matches!(error.class(), Class::Outage(Outage::Storage | Outage::Full)) {
            state.last_refusal = Some(now);
        }
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// Notes that the database has answered.
    pub(crate) fn answered(&self, database: &DatabaseUrl, answered: Answered) {
        // the usual case costs no lock
        if !self.is_on.load(Ordering::Relaxed) {
            return;
        }
        if let Some(State { began, requests, .. }) = self.end(answered, Instant::now()) {
            let seconds = began.elapsed().as_secs_f64();
            tracing::warn!(
                "the database {database} is available again after {seconds:.1} s; reads and writes affected: {requests}"
            );
        }
    }

    /// Ends the outage, if this answer does.
    fn end(&self, answered: Answered, now: Instant) -> Option<State> {
        let mut state = self.lock();
        if let Some(refused) = state.as_ref()?.last_refusal
            && (answered == Answered::Read || now.duration_since(refused) < STEADY)
        {
            return None;
        }
        self.is_on.store(false, Ordering::Relaxed);
        state.take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn error(outage: Outage) -> StoreError {
        StoreError::Unavailable { doing: "test", outage, reason: "test".to_owned() }
    }

    fn log(failures: &[(Outage, bool)]) -> OutageLog {
        let log = OutageLog::default();
        let database = DatabaseUrl::parse("sqlite:////x").unwrap();
        for (outage, changes) in failures {
            log.failed(&database, &error(*outage), true, *changes);
        }
        log
    }

    #[test]
    fn an_outage_ends_with_the_first_answer() {
        for outage in [Outage::Away, Outage::Refusing, Outage::Locked] {
            for answered in [Answered::Read, Answered::Stored] {
                let log = log(&[(outage, true), (outage, false)]);
                assert_eq!(log.end(answered, Instant::now()).unwrap().requests, 2);
                assert!(log.end(answered, Instant::now()).is_none());
            }
        }
        // a file that cannot be read
        let log = log(&[(Outage::Storage, false)]);
        assert!(log.end(Answered::Read, Instant::now()).is_some());
    }

    #[test]
    fn a_full_or_read_only_disk_is_one_outage_until_changes_are_stored_again() {
        for failures in [
            &[(Outage::Full, true)][..],
            &[(Outage::Storage, true)],
            &[(Outage::Away, false), (Outage::Full, true)],
            &[(Outage::Full, true), (Outage::Away, false)],
        ] {
            let log = log(failures);
            let later = Instant::now() + STEADY;
            assert!(log.end(Answered::Read, later).is_none(), "{failures:?}");
            assert!(
                log.end(Answered::Stored, Instant::now()).is_none(),
                "{failures:?}: small changes may be stored"
            );
            assert_eq!(log.end(Answered::Stored, later).unwrap().requests, failures.len() as u64);
        }
    }
}
