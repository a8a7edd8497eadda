//! Named reads and writes: [`Store::read`], [`Store::single`] and [`Store::write`].
//!
//! The only place that begins, commits, rolls back and runs again. A body may run several
//! times, so it does no HTTP and has no effect but its statements; everything it needs (ids, time) comes in
//! from outside and is the same in every run. Oslo.db's settings for retrying are the model
//! (`db_max_retries`, doubling interval); five tries, because a request waits for the answer.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::Store;
use crate::error::{Class, StoreError};
use crate::exec::Db;

/// How often a body is run at most when it meets other writers.
const MAX_ATTEMPTS: u32 = 5;
/// How often at most when the connection breaks: a stale idle connection costs one, a restart the next.
const MAX_RECONNECTS: u32 = 2;
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Each statement by itself, from a connection for reading.
    Read,
    /// One changing statement by itself: no BEGIN, no COMMIT.
    Single,
    /// All or nothing.
    Transaction,
}

impl Store {
    /// Runs queries that change nothing. `name` is `<noun>.<verb>`, for logs and errors.
    ///
    /// # Errors
    /// What the body returns; [`StoreError::Unavailable`] when the database is not there.
    pub async fn read<T, E: TxError>(
        &self,
        name: &'static str,
        body: impl AsyncFn(&mut Db) -> Result<T, E>,
    ) -> Result<T, E> {
        self.attempts(name, Mode::Read, body).await
    }

    /// Runs a body that changes rows with exactly one statement, which commits by itself.
    ///
    /// The statement must be safe to run twice: after a broken connection nobody knows whether the first
    /// run was stored.
    ///
    /// # Errors
    /// What the body returns; [`StoreError::Unavailable`] when the database is not there.
    pub async fn single<T, E: TxError>(
        &self,
        name: &'static str,
        body: impl AsyncFn(&mut Db) -> Result<T, E>,
    ) -> Result<T, E> {
        self.attempts(name, Mode::Single, body).await
    }

    /// Runs a body as one transaction: committed when it returns `Ok`, undone when it returns `Err`.
    ///
    /// # Errors
    /// What the body returns; [`StoreError::OutcomeUnknown`] when the connection broke during COMMIT.
    pub async fn write<T, E: TxError>(
        &self,
        name: &'static str,
        body: impl AsyncFn(&mut Db) -> Result<T, E>,
    ) -> Result<T, E> {
        self.attempts(name, Mode::Transaction, body).await
    }

    async fn attempts<T, E: TxError>(
        &self,
        name: &'static str,
        mode: Mode,
        body: impl AsyncFn(&mut Db) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut attempt = 1;
        let mut reconnects = 0;
        loop {
            let pool = if mode == Mode::Read { &self.readers } else { &self.writers };
            let mut db = Db::new(pool.lease(name).await?, name, attempt);
            let result = run_once(&mut db, mode, &body).await;
            let class = match &result {
                Ok(_) => Class::Other,
                Err(error) => error.store_error().map_or(Class::Other, StoreError::class),
            };
            if class == Class::Disconnected {
                db.into_lease().broken();
            } else if db.is_settled() {
                db.into_lease().give_back();
            }
            let again = match class {
                Class::Contended => attempt < MAX_ATTEMPTS,
                Class::Disconnected => {
                    reconnects += 1;
                    reconnects <= MAX_RECONNECTS
                }
                _ => false,
            };
            if !again {
                return result.map_err(give_up);
            }
            tracing::debug!(name, attempt, "transaction runs again");
            tokio::time::sleep(pause(attempt)).await;
            attempt += 1;
        }
    }
}

async fn run_once<T, E: TxError>(
    db: &mut Db,
    mode: Mode,
    body: &impl AsyncFn(&mut Db) -> Result<T, E>,
) -> Result<T, E> {
    if mode != Mode::Transaction {
        return body(db).await;
    }
    db.raw(db.dialect().begin()).await?;
    let result = body(db).await;
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
    match error.store_error() {
        Some(StoreError::Backend { doing, source }) if error_is_contended(&error) => {
            let reason = format!("still contended after {MAX_ATTEMPTS} tries: {source}");
            E::from(StoreError::Unavailable { doing, reason })
        }
        _ => error,
    }
}

fn error_is_contended<E: TxError>(error: &E) -> bool {
    error.store_error().is_some_and(|e| e.class() == Class::Contended)
}

fn pause(attempt: u32) -> Duration {
    let base = FIRST_PAUSE * 2_u32.saturating_pow(attempt.min(8) - 1);
    // Jitter of up to one more base, so that writers that met do not meet again.
    let jitter = RandomState::new().hash_one(attempt) % 1_000;
    base + base.mul_f64(jitter as f64 / 1_000.0)
}
