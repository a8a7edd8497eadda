//! Logs requests that end with 503 although the database is available: a time limit has passed, all connections
//! are in use, or too many requests are waiting.
//!
//! A busy service may refuse thousands of requests, so the log has a line for the first one of each kind, and
//! then one line per minute with their number. An error becomes an answer without access to this log, so the answer carries
//! its [`RefusedRequest`] to `middleware.rs`, which adds it to the log. The store logs outages of the database (`outage.rs` there).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freezer_store::{Outage, StoreError};

use crate::error::{Busy, Error};

/// Time between two lines of the same kind.
const MINUTE: Duration = Duration::from_secs(60);

/// A refused request.
#[derive(Debug, Clone)]
pub(super) struct RefusedRequest {
    kind: Kind,
    /// The text for the log.
    reason: String,
}

/// The reason for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A time limit has passed.
    Slow,
    /// No connection became free.
    NoConnection,
    /// Other changes to the same rows did not end.
    Contended,
    /// The account lacks a privilege.
    Denied,
    /// A trigger uses a column that does not exist.
    Trigger,
    /// It is unknown whether a change is stored.
    OutcomeUnknown,
    /// Too many searches are running.
    Searches,
    /// Too many requests are waiting.
    Waiting,
}

/// The refusals of each kind since its last line. A kind without an entry has had no refusal for a minute. Clones share the
/// counts.
#[derive(Clone, Default)]
pub(super) struct RefusalLog(Arc<Mutex<BTreeMap<Kind, Count>>>);

#[derive(Default)]
struct Count {
    requests: u64,
    /// The reason for the last one.
    last: String,
}

impl Kind {
    fn of(error: &Error) -> Option<Kind> {
        match error {
            Error::Store(StoreError::Unavailable { outage, .. }) => match outage {
                Outage::Slow => Some(Kind::Slow),
                Outage::Busy => Some(Kind::NoConnection),
                Outage::Contended => Some(Kind::Contended),
                Outage::Denied => Some(Kind::Denied),
                Outage::Trigger => Some(Kind::Trigger),
                Outage::Away | Outage::Refusing | Outage::Locked | Outage::Full | Outage::Storage => None,
            },
            Error::Store(StoreError::OutcomeUnknown { .. }) => Some(Kind::OutcomeUnknown),
            Error::Busy(Busy::Searches) => Some(Kind::Searches),
            Error::Busy(Busy::Database) => Some(Kind::Waiting),
            _ => None,
        }
    }
}

impl RefusedRequest {
    /// Returns the refusal that an error means. `None` if the error is no refusal, or is logged elsewhere.
    pub(super) fn new(error: &Error) -> Option<RefusedRequest> {
        Kind::of(error).map(|kind| RefusedRequest { kind, reason: error.to_string() })
    }
}

impl RefusalLog {
    /// Logs the reason why a request is answered with 503.
    pub(super) fn add(&self, refusal: &RefusedRequest) {
        if !self.is_first(refusal) {
            return;
        }
        let RefusedRequest { kind, reason } = refusal;
        tracing::warn!(
            "a request was answered with 503 (further ones are counted, with one line per minute): {reason}"
        );
        if tokio::runtime::Handle::try_current().is_ok() {
            tokio::spawn(self.clone().log_further(*kind));
        }
    }

    /// Logs the number of further refusals, until there is none for a minute.
    async fn log_further(self, kind: Kind) {
        loop {
            tokio::time::sleep(MINUTE).await;
            let Some(Count { requests, last }) = self.take(kind) else { return };
            tracing::warn!(
                "further requests answered with 503 in the last minute: {requests}; the last one: {last}"
            );
        }
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Kind, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refusal. Returns whether it must be logged at once, because it is the first of its kind.
    fn is_first(&self, refusal: &RefusedRequest) -> bool {
        let mut counts = self.counts();
        match counts.get_mut(&refusal.kind) {
            Some(count) => {
                count.requests += 1;
                count.last.clone_from(&refusal.reason);
                false
            }
            None => {
                counts.insert(refusal.kind, Count::default());
                true
            }
        }
    }

    /// Returns the refusals since the last call. If there are none, the next one is a first one again.
    fn take(&self, kind: Kind) -> Option<Count> {
        let mut counts = self.counts();
        let count = counts.get_mut(&kind).map(std::mem::take).filter(|count| count.requests > 0);
        if count.is_none() {
            counts.remove(&kind);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(outage: Outage) -> Error {
        StoreError::Unavailable { doing: "jobs.list", outage, reason: "test".to_owned() }.into()
    }

    #[test]
    fn the_first_refusal_of_a_kind_is_logged_and_further_ones_are_counted() {
        let refusals = RefusalLog::default();
        let unknown: Error =
            StoreError::OutcomeUnknown { doing: "backups.create", reason: "test".to_owned() }.into();
        let errors = [
            unavailable(Outage::Slow),
            unavailable(Outage::Busy),
            unavailable(Outage::Contended),
            unavailable(Outage::Denied),
            unknown,
            Busy::Searches.into(),
            Busy::Database.into(),
        ];
        for error in errors {
            let Some(refusal) = RefusedRequest::new(&error) else { panic!("{error}") };
            for _ in 0..2 {
                assert!(refusals.is_first(&refusal), "{error}");
                for number in [3, 5] {
                    for _ in 0..number {
                        assert!(!refusals.clone().is_first(&refusal), "{error}");
                    }
                    let count = refusals.take(refusal.kind).unwrap_or_default();
                    assert_eq!((count.requests, count.last), (number, error.to_string()));
                }
                assert!(refusals.take(refusal.kind).is_none(), "a minute without a refusal");
            }
        }
        assert!(refusals.counts().is_empty() && RefusalLog::default().counts().is_empty());
    }

    #[test]
    fn errors_that_are_logged_elsewhere_are_not_refusals() {
        for outage in [Outage::Away, Outage::Refusing, Outage::Locked, Outage::Full, Outage::Storage] {
            assert!(RefusedRequest::new(&unavailable(outage)).is_none(), "{outage}");
        }
        for busy in [Busy::Connections, Busy::Peer, Busy::Project] {
            assert!(RefusedRequest::new(&busy.into()).is_none(), "{busy}");
        }
    }
}
