//! [`StoreObserver`] receives the events of named reads and writes, for example to count them. [`PoolStatus`] and
//! [`OutageStatus`] are the present state of a store, which can be read at any time.
//!
//! The store does not know who observes it. `tx.rs` reports everything that has a name.

use std::time::{Duration, Instant};

use crate::Store;
use crate::class::{Class, Outage};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;

/// Receives the events of the named reads and writes of a store. Its functions run in the task of the request, so they must be
/// fast. Names are those of [`read!`](crate::read), [`single!`](crate::single) and
/// [`transaction!`](crate::transaction). Kinds of errors are those of [`StoreError::kind`].
pub trait StoreObserver: Send + Sync {
    /// A read or write got a connection after this time.
    fn connected(&self, waited: Duration);

    /// A read or write has ended after this time, with all its runs. `error`: the kind of its error, or [`CANCELLED`].
    /// Errors that do not come from the store are not reported.
    fn ended(&self, name: &'static str, duration: Duration, error: Option<&'static str>);

    /// A read or write runs again because of this kind of error.
    fn runs_again(&self, name: &'static str, error: &'static str);

    /// A running statement was ended.
    fn killed(&self, name: &'static str, why: Killed);
}

/// The kind of a read or write whose caller did not wait for its end.
pub const CANCELLED: &str = "cancelled";

/// The reason why a running statement was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Killed {
    /// Its time limit or the deadline of its request has passed.
    TimeLimit,
    /// Its request was cancelled, for example because the client disconnected.
    Cancelled,
    /// Its connection was lost or silent.
    ConnectionLost,
}

/// Reports one read or write to the observer of its store, if there is one.
pub(crate) struct RunReport<'s> {
    name: &'static str,
    /// The observer and the time of the start. `None` after the end.
    observed: Option<(&'s dyn StoreObserver, Instant)>,
}

impl<'s> RunReport<'s> {
    pub(crate) fn begin(observer: Option<&'s dyn StoreObserver>, name: &'static str) -> RunReport<'s> {
        RunReport { name, observed: observer.map(|observer| (observer, Instant::now())) }
    }

    /// Reports a connection, for which the run has waited since this time.
    pub(crate) fn connected(&self, since: Instant) {
        if let Some((observer, _)) = self.observed {
            observer.connected(since.elapsed());
        }
    }

    pub(crate) fn runs_again(&self, error: &StoreError) {
        if let Some((observer, _)) = self.observed {
            observer.runs_again(self.name, error.kind());
        }
    }

    /// Reports a statement that was ended because of an error of this class.
    pub(crate) fn killed(&self, class: Class) {
        let is_of_limit = class == Class::Outage(Outage::Slow);
        self.note_killed(if is_of_limit { Killed::TimeLimit } else { Killed::ConnectionLost });
    }

    fn note_killed(&self, why: Killed) {
        if let Some((observer, _)) = self.observed {
            observer.killed(self.name, why);
        }
    }

    /// Reports the end.
    pub(crate) fn end(&mut self, error: Option<&'static str>) {
        if let Some((observer, began)) = self.observed.take() {
            observer.ended(self.name, began.elapsed(), error);
        }
    }

    /// Reports the end of a run that was dropped before it ended. `db`: its connection, on which a statement may run.
    pub(crate) fn cancel(&mut self, db: Option<&Db>) {
        if db.is_some_and(|db| !db.is_settled()) {
            self.note_killed(Killed::Cancelled);
        }
        self.end(Some(CANCELLED));
    }
}

/// The connections of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// `all`; on SQLite `read` and `write`.
    pub name: &'static str,
    /// Connections in use, including those that are being opened.
    pub in_use: usize,
    /// Open connections that are not in use.
    pub idle: usize,
    /// Reads and writes that wait for a connection.
    pub waiting: usize,
    /// Maximum number of connections in use.
    pub limit: usize,
}

/// Whether the database is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutageStatus {
    /// Whether an outage is in progress.
    pub is_on: bool,
    /// Number of outages so far, including the present one.
    pub count: u64,
}

impl Store {
    /// Returns the state of each pool.
    pub fn pools(&self) -> Vec<PoolStatus> {
        match self.dialect() {
            Dialect::MySql => vec![self.readers.status("all")],
            Dialect::Sqlite => vec![self.readers.status("read"), self.writers.status("write")],
        }
    }

    /// Returns the number of changes that wait for another change of the same row. They have no connection.
    pub fn waiting_for_rows(&self) -> usize {
        self.row_turns.usage().waiting
    }

    /// Returns whether the database is available, according to the last statements.
    pub fn outage(&self) -> OutageStatus {
        self.outage.as_ref().map(|outage| outage.status()).unwrap_or_default()
    }
}

impl StoreError {
    /// Returns a word for the kind of the error. There are about twenty.
    pub fn kind(&self) -> &'static str {
        match self {
            StoreError::Duplicate { .. } => "duplicate",
            StoreError::UnknownMarker { .. } => "unknown_marker",
            StoreError::TooLarge { .. } | StoreError::TreeTooLarge { .. } => "too_large",
            StoreError::Unstorable { .. } => "unstorable",
            StoreError::Refused { .. } => "refused",
            StoreError::Setting { .. } | StoreError::Url(_) => "setting",
            StoreError::OutcomeUnknown { .. } => "outcome_unknown",
            StoreError::Corrupt { .. } => "corrupt",
            StoreError::Schema(_) => "schema",
            StoreError::Unavailable { outage, .. } => outage.kind(),
            StoreError::Backend { .. } => match self.class() {
                Class::Outage(outage) => outage.kind(),
                Class::Duplicate => "duplicate",
                Class::Unstorable(_) => "unstorable",
                Class::Replaced => "replaced",
                Class::Other => "other",
            },
        }
    }
}

impl Outage {
    fn kind(self) -> &'static str {
        match self {
            Outage::Contended => "contended",
            Outage::Locked => "locked",
            Outage::Refusing => "refusing",
            Outage::Away => "away",
            Outage::Full => "full",
            Outage::Storage => "storage",
            Outage::Slow => "slow",
            Outage::Denied => "denied",
            Outage::Trigger => "trigger",
            Outage::Busy => "busy",
        }
    }
}
