//! Logs requests that end with 503 although the database is available: a time limit has passed, all connections
//! are in use, or too many requests are waiting.
//!
//! A busy service may refuse thousands of requests, so the log has a line for the first one of each kind, and
//! then one line per minute with their number. An error becomes an answer without access to this log, so the answer carries
//! its [`RefusedRequest`] to `middleware.rs`, which adds it to the log. The store logs outages of the database (`outage.rs` there).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use freezer_store::{Outage, StoreError};
use repeated_events::{EventCount, RepeatedEvents};

use crate::error::{Busy, Error};

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

/// The refusals of each kind. Clones share the counts.
#[derive(Clone, Default)]
pub(super) struct RefusalLog(Arc<Mutex<BTreeMap<Kind, RepeatedEvents>>>);

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
        let RefusedRequest { kind, reason } = refusal;
        let is_first = self.of(*kind).add(1, reason, |EventCount { events, last }| {
            tracing::warn!(
                "further requests answered with 503 in the last minute: {events}; the last one: {last}"
            );
        });
        if is_first {
            tracing::warn!(
                "a request was answered with 503 (further ones are counted, with one line per minute): {reason}"
            );
        }
    }

    fn of(&self, kind: Kind) -> RepeatedEvents {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(outage: Outage) -> Error {
        StoreError::Unavailable { doing: "jobs.list", outage, reason: "test".to_owned() }.into()
    }

    #[test]
    fn each_kind_of_refusal_is_counted_on_its_own() {
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
            assert!(refusals.of(refusal.kind).add(1, &refusal.reason, |_| ()), "{error}");
            assert!(!refusals.clone().of(refusal.kind).add(1, &refusal.reason, |_| ()), "{error}");
        }
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
