//! Tracks an outage of the database, so that the log has one line for its start, one per minute with the number of failures,
//! and one for its end. `tx.rs` decides which errors are failures.
//!
//! During a shutdown or a restart, some connections still answer between failures. Therefore an outage ends
//! only after a time without failures. Its duration ends with the first answer of this time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use repeated_events::{EventCount, RepeatedEvents};

use crate::class::{Class, Outage};
use crate::error::StoreError;
use crate::observer::OutageStatus;
use crate::url::DatabaseUrl;

/// Whether the database answers, according to the last statements.
#[derive(Debug, Default)]
pub(crate) struct OutageLog {
    is_on: AtomicBool,
    /// Number of outages so far.
    count: AtomicU64,
    state: Mutex<Option<OutageRecord>>,
    /// The failures of the present outage.
    failures: RepeatedEvents,
}

#[derive(Debug)]
struct OutageRecord {
    began: Instant,
    requests: u64,
    /// Whether a change failed because the database could not store anything. In this state the database
    /// still answers reads, so only a stored change shows that it works again.
    refuses_changes: bool,
    /// The first answer since the last failure.
    recovered: Option<Instant>,
    /// Whether a task waits for the end of the outage.
    is_awaited: bool,
}

/// How long the database must answer without a failure before an outage has ended.
const STEADY: Duration = Duration::from_secs(1);
/// The same for an outage of the storage. On a full disk, small changes may succeed between failures.
const STEADY_STORAGE: Duration = Duration::from_secs(3);

/// The answer of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// It answered a read.
    Read,
    /// It stored a change.
    Stored,
}

/// The state of an outage whose end is awaited.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// It may end after this time.
    After(Duration),
    /// It has ended, after this duration and with this number of affected requests.
    Ended(Duration, u64),
    /// The database has failed again, or the outage has ended already.
    NotExpected,
}

impl OutageRecord {
    fn new(now: Instant) -> OutageRecord {
        OutageRecord { began: now, requests: 0, refuses_changes: false, recovered: None, is_awaited: false }
    }
}

impl OutageLog {
    /// Records a failure. `affected` is the number of requests for which it is the first failure, and
    /// `changes` means that they write.
    pub(crate) fn failed(&self, database: &DatabaseUrl, error: &StoreError, affected: u64, changes: bool) {
        if !matches!(error, StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. }) {
            return;
        }
        let mut state = self.lock();
        if state.is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                "the database {database} is not available (the end of this outage will be logged): {error}"
            );
        }
        self.count_failures(database, error, affected, state.is_none());
        let state = state.get_or_insert_with(|| OutageRecord::new(Instant::now()));
        state.requests += affected;
        state.recovered = None;
        state.refuses_changes |=
            changes && matches!(error.class(), Class::Outage(Outage::Storage | Outage::Full));
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// Returns the present state.
    pub(crate) fn status(&self) -> OutageStatus {
        OutageStatus { is_on: self.is_on.load(Ordering::Relaxed), count: self.count.load(Ordering::Relaxed) }
    }

    /// Counts failures of an outage for one line per minute. `begins`: the line about its start has been written.
    fn count_failures(&self, database: &DatabaseUrl, error: &StoreError, affected: u64, begins: bool) {
        let address = database.clone();
        let is_first = self.failures.add(affected, &error.to_string(), move |EventCount { events, last }| {
            tracing::warn!(
                "the database {address} is still not available; failed reads and writes in the last minute: {events}; the last \
                 one: {last}"
            );
        });
        if is_first && !begins {
            tracing::warn!("the database {database} is still not available: {error}");
        }
    }

    /// Records that this number of requests waited for a connection since this time. Returns whether the
    /// outage affects them.
    pub(crate) fn delayed(&self, requests: u64, since: Instant) -> bool {
        if !self.is_on.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.lock();
        let Some(state) = state.as_mut() else { return false };
        let is_affected = state.recovered.is_none_or(|recovered| since < recovered);
        state.requests += if is_affected { requests } else { 0 };
        is_affected
    }

    /// Records that the database has answered.
    pub(crate) fn answered(self: &Arc<Self>, database: &DatabaseUrl, answered: Answered) {
        // The usual case needs no lock.
        if self.is_on.load(Ordering::Relaxed) && self.recovers(answered, Instant::now()) {
            tokio::spawn(self.clone().log_end(database.clone()));
        }
    }

    /// Records an answer. Returns whether the end of the outage must be awaited from now on.
    fn recovers(&self, answered: Answered, now: Instant) -> bool {
        let mut state = self.lock();
        let Some(state) = state.as_mut() else { return false };
        if state.refuses_changes && answered == Answered::Read {
            return false;
        }
        state.recovered.get_or_insert(now);
        !std::mem::replace(&mut state.is_awaited, true)
    }

    /// Waits for the end of the outage and logs it. Returns without a line if the database fails again.
    async fn log_end(self: Arc<Self>, database: DatabaseUrl) {
        loop {
            match self.ending(Instant::now()) {
                Ending::After(pause) => tokio::time::sleep(pause).await,
                Ending::Ended(duration, requests) => {
                    let seconds = duration.as_secs_f64();
                    tracing::warn!(
                        "the database {database} is available again after {seconds:.1} s; affected reads and writes: \
                         {requests}"
                    );
                    return;
                }
                Ending::NotExpected => return,
            }
        }
    }

    /// Ends the outage if the database has answered for long enough.
    fn ending(&self, now: Instant) -> Ending {
        let mut state = self.lock();
        let Some(OutageRecord { began, requests, refuses_changes, recovered, is_awaited }) = state.as_mut()
        else {
            return Ending::NotExpected;
        };
        let Some(recovered) = *recovered else {
            *is_awaited = false;
            return Ending::NotExpected;
        };
        let steady = if *refuses_changes { STEADY_STORAGE } else { STEADY };
        let left = steady.saturating_sub(now.saturating_duration_since(recovered));
        if !left.is_zero() {
            return Ending::After(left);
        }
        let ended = Ending::Ended(recovered.saturating_duration_since(*began), *requests);
        self.is_on.store(false, Ordering::Relaxed);
        self.failures.end();
        *state = None;
        ended
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<OutageRecord>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn fail(log: &OutageLog, outage: Outage, changes: bool) {
        let error = StoreError::Unavailable { doing: "test", outage, reason: "test".to_owned() };
        log.failed(&DatabaseUrl::parse("sqlite:////x").unwrap(), &error, 1, changes);
    }

    fn log(failures: &[(Outage, bool)]) -> OutageLog {
        let log = OutageLog::default();
        for (outage, changes) in failures {
            fail(&log, *outage, *changes);
        }
        log
    }

    fn ended(ending: Ending) -> (Duration, u64) {
        match ending {
            Ending::Ended(duration, requests) => (duration, requests),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_outage_ends_after_a_time_without_failures() {
        for outage in [Outage::Away, Outage::Refusing, Outage::Locked] {
            for answered in [Answered::Read, Answered::Stored] {
                let log = log(&[(outage, true), (outage, false)]);
                let first = Instant::now() + Duration::from_secs(5);
                assert!(log.recovers(answered, first));
                assert!(!log.recovers(answered, first + STEADY / 2), "one task waits for the end");
                assert_eq!(log.ending(first + STEADY / 2), Ending::After(STEADY / 2));
                let (duration, requests) = ended(log.ending(first + STEADY));
                assert_eq!(requests, 2);
                assert_eq!(duration.as_secs(), 5);
                assert_eq!(log.ending(first + STEADY * 2), Ending::NotExpected);
                assert!(!log.recovers(answered, first));
            }
        }
        // An unreadable file.
        let log = log(&[(Outage::Storage, false)]);
        let first = Instant::now();
        assert!(log.recovers(Answered::Read, first));
        assert_eq!(ended(log.ending(first + STEADY)).1, 1);
    }

    #[test]
    fn answers_between_failures_do_not_end_an_outage() {
        let log = log(&[(Outage::Away, false)]);
        let begun = Instant::now();
        for at in 0..4 {
            let at = begun + STEADY * 2 * at;
            assert!(log.recovers(Answered::Read, at));
            fail(&log, Outage::Away, false);
            assert_eq!(log.ending(at + STEADY * 2), Ending::NotExpected);
        }
        // A failure and an answer while the end is awaited: it is awaited from this answer.
        let last = begun + STEADY * 9;
        assert!(log.recovers(Answered::Read, last));
        fail(&log, Outage::Away, false);
        assert!(!log.recovers(Answered::Read, last + STEADY / 2));
        assert_eq!(log.ending(last + STEADY), Ending::After(STEADY / 2));
        let (duration, requests) = ended(log.ending(last + STEADY * 2));
        assert_eq!(requests, 6);
        assert!(duration >= STEADY * 9, "{duration:?}");
    }

    #[test]
    fn requests_that_waited_in_the_outage_are_affected() {
        let idle = OutageLog::default();
        assert!(!idle.delayed(1, Instant::now()), "no outage");
        let log = log(&[(Outage::Away, false)]);
        let before = Instant::now();
        assert!(log.delayed(3, before));
        assert!(log.recovers(Answered::Read, before + STEADY));
        assert!(log.delayed(1, before), "it began to wait before the database answered");
        assert!(!log.delayed(7, before + STEADY * 3 / 2), "it waited for another reason");
        assert_eq!(ended(log.ending(before + STEADY * 2)).1, 5);
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
            let later = Instant::now() + Duration::from_secs(60);
            assert!(!log.recovers(Answered::Read, later), "{failures:?}");
            assert_eq!(log.ending(later + STEADY_STORAGE), Ending::NotExpected, "{failures:?}");
            // Small changes may be stored.
            assert!(log.recovers(Answered::Stored, later), "{failures:?}");
            fail(&log, Outage::Full, true);
            assert_eq!(log.ending(later + STEADY_STORAGE), Ending::NotExpected, "{failures:?}");
            assert!(log.recovers(Answered::Stored, later), "{failures:?}");
            assert_eq!(log.ending(later + STEADY), Ending::After(STEADY_STORAGE - STEADY));
            let (duration, requests) = ended(log.ending(later + STEADY_STORAGE));
            assert_eq!(requests, failures.len() as u64 + 1);
            assert_eq!(duration.as_secs(), 60);
        }
    }

    #[tokio::test]
    async fn the_end_is_awaited_without_further_answers() {
        let log = Arc::new(log(&[(Outage::Away, false)]));
        let database = DatabaseUrl::parse("sqlite:////x").unwrap();
        log.answered(&database, Answered::Read);
        assert!(log.is_on.load(Ordering::Relaxed));
        for _ in 0..500 {
            if !log.is_on.load(Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the outage does not end");
    }
}
