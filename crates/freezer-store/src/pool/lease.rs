//! [`Lease`]: a connection that is lent by the pool, and its return.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Age, LONGEST_KILL, Parked, Permit, Pool, close_spare};
use crate::dialect::Dialect;
use crate::engine::DbConnection;
use crate::explain::Plans;
use crate::mysql::Thread;

/// A lent connection. If it is dropped without [`Lease::give_back`], the connection is closed.
pub(crate) struct Lease {
    pub(super) connection: Option<DbConnection>,
    pub(super) opened: Instant,
    pub(super) age: Age,
    /// Whether a statement is running. Stays true if its future is dropped before the answer.
    pub(super) in_flight: bool,
    pub(super) pool: Pool,
    pub(super) permit: Option<Permit>,
    /// Whether the request had to wait for the connection.
    pub(super) has_waited: bool,
}

impl Lease {
    pub(crate) fn dialect(&self) -> Dialect {
        self.pool.dialect()
    }

    pub(crate) fn statement_timeout(&self) -> Duration {
        self.pool.0.settings.statement_timeout
    }

    /// Returns the recorded plans of statements.
    pub(crate) fn plans(&self) -> &Plans {
        self.pool.plans()
    }

    /// Returns the epoch of the database. It is higher if the database was replaced.
    pub(crate) fn epoch(&self) -> u64 {
        self.age.epoch
    }

    /// Returns the connection to run a statement, and counts it.
    pub(crate) fn connection(&mut self) -> Option<&mut DbConnection> {
        self.pool.0.statements.fetch_add(1, Ordering::Relaxed);
        self.in_flight = true;
        self.connection.as_mut()
    }

    /// Records that the statement was answered completely.
    pub(crate) fn answered(&mut self) {
        self.in_flight = false;
    }

    /// Returns whether all statements were answered completely.
    pub(crate) fn is_settled(&self) -> bool {
        !self.in_flight
    }

    /// Returns whether the request had to wait for the connection.
    pub(crate) fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Returns the pool of the connection.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Returns the thread of the connection at the server. `None` for a file.
    pub(crate) fn thread(&self) -> Option<Thread> {
        self.connection.as_ref()?.thread()
    }

    /// Returns a connection to the pool. All its statements must have been answered. No I/O.
    pub(crate) fn give_back(mut self) {
        let Some(connection) = self.connection.take() else { return };
        let inner = &self.pool.0;
        let (opened, age) = (self.opened, self.age);
        let mut idle = inner.idle();
        idle.connections.push_back(Parked { connection, opened, returned: Instant::now(), age });
        if idle.connections.len() > inner.settings.max_idle && !idle.closing {
            idle.closing = true;
            tokio::spawn(close_spare(Arc::downgrade(inner), inner.settings.keep_spare));
        }
        drop(idle);
        inner.reconnector.returned();
    }

    /// Closes a broken connection. Idle connections of the same time are pinged before use.
    pub(crate) fn broken(self) {
        if let Some(thread) = self.thread() {
            self.pool.0.opener.leave(thread.place);
        }
        let mut age = self.pool.0.age();
        if *age == self.age {
            age.generation += 1;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !self.in_flight {
            // When the server notices the end of the connection, it ends the transaction.
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (pool, permit) = (self.pool.clone(), self.permit.take());
        runtime.spawn(async move {
            let thread = connection.thread();
            connection.abandon().await;
            if let Some(thread) = thread {
                let limit = pool.0.settings.statement_timeout.min(LONGEST_KILL);
                pool.control().kill(&thread, limit).await;
            }
            drop(permit);
        });
    }
}
