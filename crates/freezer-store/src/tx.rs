//! Named reads and writes: [`read!`](crate::read), [`single!`](crate::single) and
//! [`transaction!`](crate::transaction).
//!
//! Only [`Run`] begins, commits, rolls back and repeats; the macros put a body into its loop. They are macros
//! because a body borrows from its environment. As an `async` closure it would not be `Send` ("not general
//! enough", rust-lang/rust issue 110338), and as a boxed future it would have to own all values. A body may
//! run several times. Therefore it must not use HTTP or have any effect except its statements, and its
//! parameters (ids, time) must be the same in every run. The interval between the runs doubles, as in oslo.db, up to
//! a second. After contention or a lost connection, the body runs again until the deadline. Without a deadline, it runs
//! five times, or twice after a lost connection.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use crate::additions::Additions;
use crate::backoff::pause;
use crate::class::{Class, Outage};
use crate::error::StoreError;
use crate::exec::Db;
use crate::observer::RunReport;
use crate::outage::Answered;
use crate::pool::Lease;
use crate::scope::Scope;
use crate::slots::Slot;
use crate::{RowKey, Store};

/// Maximum number of runs of a body without a deadline if other writers interfere.
const MAX_ATTEMPTS: u32 = 5;
/// Maximum number of repetitions without a deadline after a broken connection. The first connection may be
/// stale, and the next one can fail in a restart.
const MAX_RECONNECTS: u32 = 2;
/// Maximum number of repetitions if files cannot be read or written, because an open connection may use files
/// that were replaced.
const MAX_REOPENS: u32 = 1;
/// Maximum number of repetitions if the database was replaced. The second run names no additions, so it can
/// only fail for another reason.
const MAX_REPLACED: u32 = 1;
/// Errors that a transaction's body may return: [`StoreError`] or a type that wraps it.
pub trait TxError: From<StoreError> + Send {
    /// Returns the wrapped store error, if any. It decides whether the body runs again.
    fn store_error(&self) -> Option<&StoreError>;
}

impl TxError for StoreError {
    fn store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}

/// How the statements of a body form a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Separate statements on a connection for reading.
    Read,
    /// One changing statement without BEGIN and COMMIT.
    Single,
    /// All statements or none.
    Transaction,
}

/// Runs queries that change nothing: `read!(store, "<noun>.<verb>", |db| …)`.
///
/// Returns the result of the body, or the store's error ([`StoreError::Unavailable`] if the database is not
/// available).
#[macro_export]
macro_rules! read {
    ($store:expr, $name:expr, |$db:ident| $body:expr) => {
        $crate::run!($store, $name, $crate::Mode::Read, |$db| $body)
    };
}

/// Runs a body that changes rows with exactly one statement, which commits by itself:
/// `single!(store, "<noun>.<verb>", |db| …)`.
///
/// The statement must be safe to run twice, because after a lost answer it is unknown whether the first run
/// was stored (`query/repeat.rs`).
#[macro_export]
macro_rules! single {
    ($store:expr, $name:expr, |$db:ident| $body:expr) => {
        $crate::run!($store, $name, $crate::Mode::Single, |$db| $body)
    };
}

/// Runs a body as one transaction, which is committed if it returns `Ok` and rolled back if it returns `Err`:
/// `transaction!(store, "<noun>.<verb>", |db| …)`.
///
/// Returns the result of the body, or the store's error. That is [`StoreError::OutcomeUnknown`] if the answer
/// to COMMIT was lost and the database was not available again before the deadline.
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

/// One named read or write with all its attempts.
pub struct Run<'s> {
    store: &'s Store,
    name: &'static str,
    mode: Mode,
    attempt: u32,
    reconnects: u32,
    reopens: u32,
    replaced: u32,
    /// Whether an outage of the database affects it.
    affected: bool,
    /// Whether an earlier run, or an earlier attempt of the request, may have been stored.
    is_repeat: bool,
    /// The connection of the last run. It is kept to hold its position in the queue for the SQLite file.
    kept: Option<Lease>,
    db: Option<Db>,
    /// The turns to change the rows of a change. They are kept in all runs.
    turns: Vec<Slot<RowKey>>,
    report: RunReport<'s>,
}

impl Store {
    /// Starts the loop of the macros.
    #[doc(hidden)]
    pub fn run(&self, name: &'static str, mode: Mode) -> Run<'_> {
        Run {
            store: self,
            name,
            mode,
            attempt: 1,
            reconnects: 0,
            reopens: 0,
            replaced: 0,
            affected: false,
            is_repeat: self.is_repeat,
            kept: None,
            db: None,
            turns: Vec::new(),
            report: RunReport::begin(self.observer.as_deref(), name),
        }
    }
}

impl Run<'_> {
    /// Takes a connection, and begins a transaction if this is one.
    #[doc(hidden)]
    pub async fn start(&mut self) -> Result<&mut Db, StoreError> {
        loop {
            match self.begin().await {
                Ok(db) => return Ok(self.db.insert(db)),
                Err(error) if self.runs_again(&error).await => {}
                Err(error) => {
                    let error = self.give_up(error);
                    self.report.end(Some(error.kind()));
                    return Err(error);
                }
            }
        }
    }

    /// Takes a connection, and begins a transaction if this is one.
    async fn begin(&mut self) -> Result<Db, StoreError> {
        let lease = match self.kept.take() {
            Some(lease) => lease,
            None => self.lease().await?,
        };
        let additions = self.additions();
        additions.notice_epoch(lease.epoch());
        let mut db = Db::new(lease, additions.clone(), self.name, self.store, self.is_repeat);
        if self.mode == Mode::Transaction
            && let Err(error) = db.raw(db.dialect().begin()).await
        {
            // This detects an idle connection that the server closed earlier.
            self.settle(db, error.class());
            return Err(error);
        }
        Ok(db)
    }

    fn additions(&self) -> &Arc<Additions> {
        if self.mode == Mode::Read { &self.store.reader_additions } else { &self.store.writer_additions }
    }

    /// Waits until no other change of the rows runs. While it waits for the turn of one row, it holds no other turn, so a
    /// locked row does not delay changes of the others, and two changes never wait for each other.
    async fn take_turns(&mut self) -> Result<(), StoreError> {
        let store = self.store;
        if self.mode == Mode::Read {
            return Ok(());
        }
        let mut next = 0;
        while self.turns.len() < store.rows.len() {
            self.turns.clear();
            let row = &store.rows[next];
            let patience = store.deadline.within(store.pool.timeout);
            let Ok(turn) = store.row_turns.take(row, 1, patience).await else {
                let (_, table, id) = row;
                let reason = format!("other changes of {id} in {table} took {patience:?}");
                let outage = Outage::Contended;
                return Err(StoreError::Unavailable { doing: self.name, outage, reason });
            };
            self.turns.push(turn);
            for (position, row) in store.rows.iter().enumerate().filter(|(position, _)| *position != next) {
                let Some(turn) = store.row_turns.try_take(row, 1) else {
                    next = position;
                    break;
                };
                self.turns.push(turn);
            }
        }
        Ok(())
    }

    async fn lease(&mut self) -> Result<Lease, StoreError> {
        self.take_turns().await?;
        let store = self.store;
        let since = Instant::now();
        let leased = match self.mode {
            Mode::Read => store.readers.lease(self.name, store.deadline).await,
            Mode::Single | Mode::Transaction => {
                let project = store.project.as_deref().unwrap_or(&Scope::AllProjects);
                let slots = (&store.write_slots, project);
                store.writers.lease_to_write(self.name, store.deadline, slots).await
            }
        };
        if leased.is_ok() {
            self.report.connected(since);
        }
        let has_waited = match &leased {
            Ok(lease) => lease.has_waited(),
            Err(error) => error.class() == Class::Outage(Outage::Busy),
        };
        if let Some(outage) = store.outage.as_ref().filter(|_| has_waited && !self.affected) {
            self.affected = outage.delayed(store.requests, since);
        }
        leased.inspect_err(|error| {
            if error.is_replaced() {
                store.replaced(error);
                store.mismatch.report();
            }
        })
    }

    /// Ends an attempt with a commit or rollback. Returns whether another attempt is needed.
    #[doc(hidden)]
    pub async fn finish<T, E: TxError>(&mut self, result: Result<T, E>) -> ControlFlow<Result<T, E>> {
        let Some(mut db) = self.db.take() else { return ControlFlow::Break(result) };
        let (result, is_ending) = match self.mode {
            Mode::Transaction => db.end(result).await,
            Mode::Read | Mode::Single => (result, self.mode == Mode::Single),
        };
        let Some(error) = result.as_ref().err().and_then(TxError::store_error) else {
            let stored = result.is_ok() && self.mode != Mode::Read && db.has_changed();
            self.settle(db, Class::Other);
            self.note_answer(if stored { Answered::Stored } else { Answered::Read });
            self.report.end(None);
            return ControlFlow::Break(result);
        };
        let error = error.clone();
        self.is_repeat |= is_ending && db.may_have_stored(&error, self.mode);
        self.settle(db, error.class());
        if self.runs_again(&error).await {
            return ControlFlow::Continue(());
        }
        let kind = error.kind();
        let (kind, result) = match error.class() {
            Class::Outage(_) => {
                let error = self.give_up(error);
                (error.kind(), Err(E::from(error)))
            }
            _ => (kind, result),
        };
        self.report.end(Some(kind));
        ControlFlow::Break(result)
    }

    /// Records that the database is not available for this read or write.
    fn note_outage(&mut self, error: &StoreError) {
        let is_one = matches!(
            error.class(),
            Class::Outage(Outage::Away | Outage::Refusing | Outage::Full | Outage::Storage | Outage::Locked)
        );
        if let Some(outage) = self.store.outage.as_ref().filter(|_| is_one) {
            let was_affected = std::mem::replace(&mut self.affected, true);
            let affected = if was_affected { 0 } else { self.store.requests };
            outage.failed(&self.store.database, error, affected, self.mode != Mode::Read);
        }
    }

    /// Records that the database has answered.
    fn note_answer(&self, answered: Answered) {
        if let Some(outage) = &self.store.outage {
            outage.answered(&self.store.database, answered);
        }
    }

    /// Returns whether another run is needed after an error. Waits before it returns true.
    async fn runs_again(&mut self, error: &StoreError) -> bool {
        let has_time = |most: bool| match self.store.deadline.is_set() {
            true => !self.store.deadline.is_over(),
            false => most,
        };
        let again = match error.class() {
            Class::Outage(Outage::Contended | Outage::Locked) => has_time(self.attempt < MAX_ATTEMPTS),
            Class::Outage(Outage::Away | Outage::Refusing) => {
                self.reconnects += 1;
                if self.reconnects > 1 {
                    // A single broken connection is not an outage.
                    self.note_outage(error);
                }
                has_time(self.reconnects <= MAX_RECONNECTS)
            }
            Class::Outage(Outage::Full | Outage::Storage) => {
                self.reopens += 1;
                self.reopens <= MAX_REOPENS
            }
            Class::Replaced => {
                self.store.replaced(error);
                self.replaced += 1;
                if self.replaced > MAX_REPLACED {
                    self.store.mismatch.report();
                }
                self.replaced <= MAX_REPLACED
            }
            _ => false,
        };
        if !again {
            return false;
        }
        tracing::debug!(name = self.name, attempt = self.attempt, %error, "runs again");
        let pause = pause(self.attempt);
        let left = self.store.deadline.within(pause);
        tokio::time::sleep(left).await;
        self.attempt = self.attempt.saturating_add(1);
        // Without time for another run, this error is more useful than the passed deadline.
        let has_time = left == pause;
        if has_time {
            self.report.runs_again(error);
        }
        has_time
    }

    /// Returns a connection to the pool. Closes it if it is broken or a statement is still running.
    fn settle(&mut self, db: Db, class: Class) {
        if db.is_timed_out() || !db.is_settled() {
            self.report.killed(class);
        }
        let (lease, is_settled) = db.into_parts();
        match class {
            Class::Outage(
                Outage::Away | Outage::Refusing | Outage::Full | Outage::Storage | Outage::Denied,
            )
            | Class::Replaced => lease.broken(),
            // Dropping the connection ends the statement.
            _ if !is_settled => {}
            Class::Outage(Outage::Locked) => self.kept = Some(lease),
            _ => lease.give_back(),
        }
    }

    /// Returns the error after the last run.
    fn give_up(&mut self, error: StoreError) -> StoreError {
        self.note_outage(&error);
        if let Some(lease) = self.kept.take() {
            lease.give_back();
        }
        match error {
            StoreError::Unavailable { doing, reason, .. } if self.is_repeat => {
                StoreError::OutcomeUnknown { doing, reason }
            }
            other => other,
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.report.cancel(self.db.as_ref());
    }
}
