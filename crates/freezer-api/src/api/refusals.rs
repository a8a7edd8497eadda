//! Logs requests that end with 503 although the database is available: a time limit has passed, all connections
//! are in use, or too many requests are waiting.
//!
//! A busy service may refuse thousands of requests, so the log has a line for the first one of each kind, and
//! then one line per minute with their number. The store logs outages of the database (`outage.rs` there).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freezer_store::{Outage, StoreError};

use crate::error::{Busy, Error};

/// Time between two lines of the same kind.
const MINUTE: Duration = Duration::from_secs(60);

/// The refusals of this process.
static REFUSALS: RefusalLog = RefusalLog(Mutex::new(BTreeMap::new()));

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
    /// It is unknown whether a change is stored.
    OutcomeUnknown,
    /// Too many searches are running.
    Searches,
    /// Too many requests are waiting.
    Waiting,
}

/// The refusals of each kind since its last line. A kind without an entry has had no refusal for a minute.
struct RefusalLog(Mutex<BTreeMap<Kind, Count>>);

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
                Outage::Away | Outage::Refusing | Outage::Locked | Outage::Full | Outage::Storage => None,
            },
            Error::Store(StoreError::OutcomeUnknown { .. }) => Some(Kind::OutcomeUnknown),
            Error::Busy(Busy::Searches) => Some(Kind::Searches),
            Error::Busy(Busy::Database) => Some(Kind::Waiting),
            _ => None,
        }
    }
}

impl RefusalLog {
    fn counts(&self) -> MutexGuard<'_, BTreeMap<Kind, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refusal. Returns whether it must be logged at once, because it is the first of its kind.
    fn is_first(&self, kind: Kind, error: &Error) -> bool {
        let mut counts = self.counts();
        match counts.get_mut(&kind) {
            Some(count) => {
                count.requests += 1;
                count.last = error.to_string();
                false
            }
            None => {
                counts.insert(kind, Count::default());
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

/// Logs the reason why a request is answered with 503, unless the reason is logged elsewhere.
pub(super) fn log(error: &Error) {
    let Some(kind) = Kind::of(error) else { return };
    if !REFUSALS.is_first(kind, error) {
        return;
    }
    tracing::warn!(
        "a request was answered with 503 (further ones are counted, with one line per minute): {error}"
    );
    if tokio::runtime::Handle::try_current().is_ok() {
        tokio::spawn(log_further(kind));
    }
}

/// Logs the number of further refusals, until there is none for a minute.
async fn log_further(kind: Kind) {
    loop {
        tokio::time::sleep(MINUTE).await;
        let Some(Count { requests, last }) = REFUSALS.take(kind) else { return };
        tracing::warn!(
            "further requests answered with 503 in the last minute: {requests}; the last one: {last}"
        );
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
        let refusals = RefusalLog(Mutex::default());
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
            let Some(kind) = Kind::of(&error) else { panic!("{error}") };
            for _ in 0..2 {
                assert!(refusals.is_first(kind, &error), "{error}");
                for number in [3, 5] {
                    for _ in 0..number {
                        assert!(!refusals.is_first(kind, &error), "{error}");
                    }
                    let count = refusals.take(kind).unwrap_or_default();
                    assert_eq!((count.requests, count.last), (number, error.to_string()));
                }
                assert!(refusals.take(kind).is_none(), "a minute without a refusal");
            }
        }
    }

    #[test]
    fn errors_that_are_logged_elsewhere_are_not_refusals() {
        for outage in [Outage::Away, Outage::Refusing, Outage::Locked, Outage::Full, Outage::Storage] {
            assert_eq!(Kind::of(&unavailable(outage)), None, "{outage}");
        }
        for busy in [Busy::Connections, Busy::Peer, Busy::Project] {
            assert_eq!(Kind::of(&busy.into()), None, "{busy}");
        }
    }
}
