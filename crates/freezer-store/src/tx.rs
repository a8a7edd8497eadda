//! Named reads and writes: [`read!`](crate::read), [`single!`](crate::single) and
//! [`transaction!`](crate::transaction).
//!
//! [`Run`] is the only place that begins, commits, rolls back and runs again; the macros put a body into its
//! loop. They are macros because a body borrows what is around it: as an `async` closure it would not be `Send`
//! ("not general enough", rust-lang/rust issue 110338), as a boxed future it would have to own everything. A body may run several
//! times, so it does no HTTP and has no effect but its statements; everything it needs (ids, time) comes in
//! from outside and is the same in every run. Oslo.db's settings for retrying are the model
//! (`db_max_retries`, doubling interval); five tries, because a request waits for the answer.

use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::time::Duration;

use crate::Store;
use crate::error::{Class, StoreError, classify};
use crate::exec::Db;

/// How often a body is run at most when it meets other writers.
const MAX_ATTEMPTS: u32 = 5;
/// How often at most when the connection breaks: a stale idle connection costs one, a restart the next.
const MAX_RECONNECTS: u32 = 2;
/// How often at most when the database was replaced: the second run names no additions, so it fails for another reason.
const MAX_REPLACED: u32 = 1;
/// First pause between two runs; doubles each time, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Errors that a transaction's body may return: the store's own, or a richer type that wraps them.
pub trait TxError: From<StoreError> + Send {
    /// The store's error inside, if this is one: it decides whether the body is run again.
    fn store_error(&self) -> Option<&StoreError>;
}

impl TxError for StoreError {
    fn store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}

/// How the statements of a body hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each statement by itself, from a connection for reading.
    Read,
    /// One changing statement by itself: no BEGIN, no COMMIT.
    Single,
    /// All or nothing.
    Transaction,
}

/// Runs queries that change nothing: `read!(store, "<noun>.<verb>", |db| …)`.
///
/// Gives what the body gives, or the store's error ([`StoreError::Unavailable`] when the database is not
/// there).
#[macro_export]
macro_rules! read {
    ($store:expr, $name:expr, |$db:ident| $body:expr) => {
        $crate::run!($store, $name, $crate::Mode::Read, |$db| $body)
    };
}

/// Runs a body that changes rows with exactly one statement, which commits by itself:
/// `single!(store, "<noun>.<verb>", |db| …)`.
///
/// The statement must be safe to run twice: after a broken connection nobody knows whether the first
/// run was stored.
#[macro_export]
macro_rules! single {
    ($store:expr, $name:expr, |$db:ident| $body:expr) => {
        $crate::run!($store, $name, $crate::Mode::Single, |$db| $body)
    };
}

/// Runs a body as one transaction, committed when it gives `Ok` and undone when it gives `Err`:
/// `transaction!(store, "<noun>.<verb>", |db| …)`.
///
/// Gives what the body gives, or the store's error ([`StoreError::OutcomeUnknown`] when the connection broke
/// during COMMIT).
#[macro_export]
macro_rules! transaction {
    ($store:expr, $name:expr, |$db:ident| $body:expr) => {
        $crate::run!($store, $name, $crate::Mode::Transaction, |$db| $body)
    };
}

/// The loop of [`read!`](crate::read), [`single!`](crate::single) and [`transaction!`](crate::transaction).
#[doc(hidden)]
#[macro_export]
macro_rules! run {
    ($store:expr, $name:expr, $mode:expr, |$db:ident| $body:expr) => {{
        let mut run = $store.run($name, $mode);
        loop {
            let $db = match run.start().await {
                Ok(db) => db,
                Err(error) => break Err(error.into()),
            };
            let result = async { $body }.await;
            if let ::std::ops::ControlFlow::Break(result) = run.finish(result).await {
                break result;
            }
        }
    }};
}

/// One named read or write, over all its attempts.
pub struct Run<'s> {
    store: &'s Store,
    name: &'static str,
    mode: Mode,
    attempt: u32,
    reconnects: u32,
    replaced: u32,
    /// An outage of the database affects it.
    affected: bool,
    db: Option<Db>,
}

impl Store {
    /// What the macros begin with.
    #[doc(hidden)]
    pub fn run(&self, name: &'static str, mode: Mode) -> Run<'_> {
        Run { store: self, name, mode, attempt: 1, reconnects: 0, replaced: 0, affected: false, db: None }
    }
}

impl Run<'_> {
    /// Takes a connection, and begins where this is a transaction.
    #[doc(hidden)]
    pub async fn start(&mut self) -> Result<&mut Db, StoreError> {
        let pool = if self.mode == Mode::Read { &self.store.readers } else { &self.store.writers };
        loop {
            let lease = pool.lease(self.name).await;
            if let Err(error) = &lease {
                self.note_outage(error);
            }
            let lease = lease.inspect_err(|error| {
                if error.is_replaced() {
                    self.store.replaced(error);
                    self.store.lost.tell();
                }
            })?;
            let mut db = Db::new(lease, self.name, self.attempt);
            if self.mode == Mode::Transaction
                && let Err(error) = db.raw(db.dialect().begin()).await
            {
                // an idle connection that the server closed long ago is found out here
                let again = self.runs_again(error.class());
                settle(db, error.class());
                if !again {
                    if error.class() == Class::Disconnected {
                        self.note_outage(&error);
                    }
                    return Err(give_up(error));
                }
                tokio::time::sleep(pause(self.attempt)).await;
                self.attempt += 1;
                continue;
            }
            return Ok(self.db.insert(db));
        }
    }

    /// Ends an attempt: commits or rolls back, and says whether there is to be another.
    #[doc(hidden)]
    pub async fn finish<T, E: TxError>(&mut self, result: Result<T, E>) -> ControlFlow<Result<T, E>> {
        let Some(mut db) = self.db.take() else { return ControlFlow::Break(result) };
        let result = match self.mode {
            Mode::Transaction => end(&mut db, result).await,
            Mode::Read | Mode::Single => result,
        };
        let class = match &result {
            Ok(_) => Class::Other,
            Err(error) => error.store_error().map_or(Class::Other, StoreError::class),
        };
        settle(db, class);
        if class == Class::Replaced
            && let Err(error) = &result
            && let Some(error) = error.store_error()
        {
            self.store.replaced(error);
        }
        if !self.runs_again(class) {
            match &result {
                Ok(_) => self.note_answer(),
                Err(error) if class == Class::Disconnected => {
                    error.store_error().into_iter().for_each(|error| self.note_outage(error));
                }
                Err(_) => {}
            }
            if class == Class::Replaced {
                self.store.lost.tell();
            }
            return ControlFlow::Break(result.map_err(give_up));
        }
        tracing::debug!(name = self.name, attempt = self.attempt, "transaction runs again");
        tokio::time::sleep(pause(self.attempt)).await;
        self.attempt += 1;
        ControlFlow::Continue(())
    }

    /// Notes that the database is not available to this read or write.
    fn note_outage(&mut self, error: &StoreError) {
        if let Some(outage) = &self.store.outage {
            outage.failed(&self.store.database, error, !std::mem::replace(&mut self.affected, true));
        }
    }

    /// Notes that the database has answered.
    fn note_answer(&self) {
        if let Some(outage) = &self.store.outage {
            outage.answered(&self.store.database);
        }
    }

    fn runs_again(&mut self, class: Class) -> bool {
        match class {
            Class::Contended => self.attempt < MAX_ATTEMPTS,
            Class::Disconnected => {
                self.reconnects += 1;
                self.reconnects <= MAX_RECONNECTS
            }
            Class::Replaced => {
                self.replaced += 1;
                self.replaced <= MAX_REPLACED
            }
            _ => false,
        }
    }
}

/// Gives a connection back, or closes it where it is broken or something is still under way on it.
fn settle(db: Db, class: Class) {
    if matches!(class, Class::Disconnected | Class::Replaced) {
        db.into_lease().broken();
    } else if db.is_settled() {
        db.into_lease().give_back();
    }
}

async fn end<T, E: TxError>(db: &mut Db, result: Result<T, E>) -> Result<T, E> {
    match &result {
        Ok(_) => commit(db).await?,
        // A rollback that fails leaves the statement in flight, so the connection is closed.
        Err(_) if db.is_settled() => {
            let _ = db.raw("ROLLBACK").await;
        }
        Err(_) => {}
    }
    result
}

async fn commit(db: &mut Db) -> Result<(), StoreError> {
    match db.raw("COMMIT").await {
        Ok(_) => Ok(()),
        Err(StoreError::Unavailable { doing, reason }) => Err(StoreError::OutcomeUnknown { doing, reason }),
        Err(other) => Err(other),
    }
}

/// After the last try: contention that does not end is a database that cannot serve us now.
fn give_up<E: TxError>(error: E) -> E {
    let Some(StoreError::Backend { doing, source }) = error.store_error() else { return error };
    let reason = match classify(source) {
        Class::Contended => format!("still contended after {MAX_ATTEMPTS} tries: {source}"),
        Class::Locked => format!("another process holds the lock of the file: {source}"),
        _ => return error,
    };
    tracing::warn!("{doing}: {reason}");
    E::from(StoreError::Unavailable { doing, reason })
}

fn pause(attempt: u32) -> Duration {
    let base = FIRST_PAUSE * 2_u32.saturating_pow(attempt.min(8) - 1);
    // Jitter of up to one more base, so that writers that met do not meet again.
    let jitter = RandomState::new().hash_one(attempt) % 1_000;
    base + base.mul_f64(jitter as f64 / 1_000.0)
}
