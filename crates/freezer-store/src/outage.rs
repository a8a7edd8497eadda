//! Tracks an outage of the database, so that the log has one line for its start and one for its end. `tx.rs`
//! decides which errors are failures.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Class, Outage, StoreError};
use crate::url::DatabaseUrl;

/// Whether the database answers, according to the last statements.
#[derive(Debug, Default)]
pub(crate) struct OutageLog {
    is_on: AtomicBool,
    state: Mutex<Option<OutageRecord>>,
}

#[derive(Debug)]
struct OutageRecord {
    began: Instant,
    requests: u64,
    /// The last time that a change failed because the database could not store anything. In this state the
    /// database still answers reads, so they do not end the outage.
    last_refusal: Option<Instant>,
}

/// How long changes must succeed before an outage of the storage has ended. On a full disk, small changes may
/// succeed between failures.
const STEADY: Duration = Duration::from_secs(3);

/// The answer of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// It answered a read.
    Read,
    /// It stored a change.
    Stored,
}

impl OutageLog {
    /// Records a failure. `affects` means that it is the first failure of a read or write, and `changes` that
    /// it is a write.
    pub(crate) fn failed(&self, database: &DatabaseUrl, error: &StoreError, affects: bool, changes: bool) {
        if !matches!(error, StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. }) {
            return;
        }
        let mut state = self.lock();
        if state.is_none() {
            tracing::error!(
                "the database {database} is not available (the end of this outage will be logged): {error}"
            );
        }
        let now = Instant::now();
        let state = state.get_or_insert(OutageRecord { began: now, requests: 0, last_refusal: None });
        state.requests += u64::from(affects);
        if changes && matches!(error.class(), Class::Outage(Outage::Storage | Outage::Full)) {
            state.last_refusal = Some(now);
        }
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// Records that the database has answered.
    pub(crate) fn answered(&self, database: &DatabaseUrl, answered: Answered) {
        // The usual case needs no lock.
        if !self.is_on.load(Ordering::Relaxed) {
            return;
        }
        if let Some(OutageRecord { began, requests, .. }) = self.end(answered, Instant::now()) {
            let seconds = began.elapsed().as_secs_f64();
            tracing::warn!(
                "the database {database} is available again after {seconds:.1} s; affected reads and writes: {requests}"
            );
        }
    }

    /// Ends the outage if this answer shows that it is over.
    fn end(&self, answered: Answered, now: Instant) -> Option<OutageRecord> {
        let mut state = self.lock();
        if let Some(refused) = state.as_ref()?.last_refusal
            && (answered == Answered::Read || now.duration_since(refused) < STEADY)
        {
            return None;
        }
        self.is_on.store(false, Ordering::Relaxed);
        state.take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<OutageRecord>> {
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
        // An unreadable file.
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
