//! The pool keeps open connections and limits their number.
//!
//! It replaces sqlx's pool, which pings the server at every release and so adds a round trip to each
//! statement. A connection only returns to this pool if its user confirms that all statements were answered
//! ([`Lease::give_back`]). If a lease is dropped while a statement is running, the thread is killed at the
//! server, and the permit becomes free when the statement has ended. After a connection broke, idle ones are
//! pinged before they are used.
//!
//! A returned connection above the number to keep is spare and stays for some seconds. Under load the number
//! in use changes all the time, and a new connection must log in, set its variables and prepare every
//! statement again. `exec.rs` and `tx.rs` run statements, and `reconnect.rs` opens connections during an
//! outage.

mod lease;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::class::Outage;
use crate::control::Control;
use crate::deadline::Deadline;
use crate::dialect::Dialect;
use crate::engine::{DbConnection, Opener};
use crate::error::StoreError;
use crate::explain::Plans;
use crate::observer::PoolStatus;
use crate::outage::OutageLog;
use crate::reconnect::{Reconnected, Reconnector};
use crate::scope::Scope;
use crate::slots::{ProjectSlots, Slot, WaitCount};

pub(crate) use lease::Lease;

/// Size and time limits of a pool, from `[database]`.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Number of idle connections that stay open (`max_pool_size`).
    pub max_idle: usize,
    /// How long additional idle connections stay open after their last use.
    pub keep_spare: Duration,
    /// Connections in use at the same time (`max_pool_size` + `max_overflow`).
    pub max_open: usize,
    /// How long a request waits for a connection (`pool_timeout`) before it fails.
    pub timeout: Duration,
    /// A connection older than this is not used again (`connection_recycle_time`), because firewalls and
    /// `wait_timeout` close old connections silently.
    pub recycle: Duration,
    /// Time limit of a statement (`statement_timeout`). The server ends the statement, otherwise it is
    /// killed.
    pub statement_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        PoolSettings {
            max_idle: 5,
            keep_spare: Duration::from_secs(10),
            max_open: 55,
            timeout: Duration::from_secs(30),
            recycle: Duration::from_secs(3600),
            statement_timeout: Duration::from_secs(30),
        }
    }
}

struct Parked {
    connection: DbConnection,
    opened: Instant,
    returned: Instant,
    age: Age,
}

/// The state of the database when a connection was lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Age {
    /// Increases if the database was replaced. Older connections are not used again.
    epoch: u64,
    /// Increases if a broken connection was found. Older connections are pinged before use.
    generation: u64,
}

/// The idle connections.
#[derive(Default)]
struct Idle {
    /// The connection that was used last is at the back.
    connections: VecDeque<Parked>,
    /// Whether a task is running that closes spare connections.
    closing: bool,
}

struct PoolInner {
    opener: Opener,
    settings: PoolSettings,
    permits: Arc<Semaphore>,
    /// Reads and writes that wait for a slot or a permit.
    waiters: WaitCount,
    idle: Mutex<Idle>,
    age: Mutex<Age>,
    reconnector: Reconnector,
    control: Control,
    /// The SQLite file of the open connections.
    file: Mutex<Option<(u64, u64)>>,
    statements: AtomicU64,
    plans: Plans,
    outage: Option<Arc<OutageLog>>,
}

/// Longest time to kill a statement. The server usually ends it earlier.
const LONGEST_KILL: Duration = Duration::from_secs(60);

/// A bounded set of connections. Clones share it.
#[derive(Clone)]
pub(crate) struct Pool(Arc<PoolInner>);

/// The right to a connection, with a slot for writing if it writes.
type Permit = (OwnedSemaphorePermit, Option<Slot>);

impl Pool {
    pub(crate) fn new(opener: Opener, settings: PoolSettings, outage: Option<Arc<OutageLog>>) -> Pool {
        let permits = Arc::new(Semaphore::new(settings.max_open.max(1)));
        Pool(Arc::new(PoolInner {
            control: Control::new(opener.clone()),
            opener,
            permits,
            waiters: WaitCount::default(),
            idle: Mutex::default(),
            age: Mutex::new(Age { epoch: 0, generation: 0 }),
            reconnector: Reconnector::default(),
            file: Mutex::default(),
            statements: AtomicU64::new(0),
            plans: Plans::default(),
            outage,
            settings,
        }))
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.0.opener.dialect()
    }

    /// Returns the number of statements sent so far, including BEGIN and COMMIT.
    pub(crate) fn statements(&self) -> u64 {
        self.0.statements.load(Ordering::Relaxed)
    }

    /// Returns the recorded plans of statements.
    pub(crate) fn plans(&self) -> &Plans {
        &self.0.plans
    }

    /// Discards all idle connections, because the database was replaced.
    pub(crate) fn forget(&self) {
        self.0.age().epoch += 1;
    }

    /// Returns the control connections of the server.
    pub(crate) fn control(&self) -> &Control {
        &self.0.control
    }

    /// Returns the maximum number of connections in use.
    pub(crate) fn max_open(&self) -> usize {
        self.0.settings.max_open.max(1)
    }

    /// Returns the present state. `name`: the name of the pool.
    pub(crate) fn status(&self, name: &'static str) -> PoolStatus {
        let (limit, free) = (self.max_open(), self.0.permits.available_permits());
        let (idle, waiting) = (self.0.idle().connections.len(), self.0.waiters.get());
        PoolStatus { name, in_use: limit.saturating_sub(free), idle, waiting, limit }
    }

    /// Waits for a permit, then takes an idle connection or opens one.
    pub(crate) async fn lease(&self, doing: &'static str, deadline: Deadline) -> Result<Lease, StoreError> {
        self.lease_with(doing, deadline, None).await
    }

    /// Like [`Pool::lease`], but first waits for a slot of the project for writing. Requests that wait for a
    /// slot have no connection.
    pub(crate) async fn lease_to_write(
        &self,
        doing: &'static str,
        deadline: Deadline,
        (slots, project): (&ProjectSlots, &Scope),
    ) -> Result<Lease, StoreError> {
        let patience = deadline.within(self.0.settings.timeout);
        let waiting = self.0.waiters.enter();
        let slot = slots.take(project, 1, patience).await.map_err(|_| busy(doing, patience))?;
        drop(waiting);
        self.lease_with(doing, deadline, Some(slot)).await
    }

    async fn lease_with(
        &self,
        doing: &'static str,
        deadline: Deadline,
        slot: Option<Slot>,
    ) -> Result<Lease, StoreError> {
        let patience = deadline.within(self.0.settings.timeout);
        let has_waited = AtomicBool::new(self.0.permits.available_permits() == 0);
        let waiting = self.0.waiters.enter();
        let permit = match tokio::time::timeout(patience, self.0.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => (permit, slot),
            _ => return Err(busy(doing, patience)),
        };
        drop(waiting);
        self.notice_another_file();
        let (connection, opened, age) = self.connection(deadline, &has_waited).await?;
        Ok(Lease {
            connection: Some(connection),
            opened,
            age,
            in_flight: false,
            pool: self.clone(),
            permit: Some(permit),
            has_waited: has_waited.into_inner(),
        })
    }

    /// Takes an idle connection or opens one. Sets `has_waited` if the server refuses connections meanwhile.
    async fn connection(
        &self,
        deadline: Deadline,
        has_waited: &AtomicBool,
    ) -> Result<(DbConnection, Instant, Age), StoreError> {
        loop {
            let age = *self.0.age();
            while let Some(mut idle) = self.take_idle(age.epoch) {
                if idle.age == age || idle.connection.answers().await {
                    return Ok((idle.connection, idle.opened, age));
                }
                // Other connections of the same time are probably broken too, and pinging each of them would
                // take long.
                self.0.idle().connections.retain(|parked| parked.age == age);
            }
            has_waited.fetch_or(self.0.reconnector.is_failing(), Ordering::Relaxed);
            match self.0.reconnector.open(deadline, || self.open(deadline, has_waited)).await? {
                Reconnected::Opened(connection) => return Ok((connection, Instant::now(), age)),
                Reconnected::CheckPool => {}
            }
        }
    }

    /// Opens a connection. Sets `has_failed` if this fails.
    async fn open(&self, deadline: Deadline, has_failed: &AtomicBool) -> Result<DbConnection, StoreError> {
        self.0.opener.open(deadline).await.inspect_err(|error| {
            has_failed.store(true, Ordering::Relaxed);
            if let Some(outage) = &self.0.outage {
                // `tx.rs` counts the requests.
                outage.failed(self.0.opener.url(), error, 0, false);
            }
        })
    }

    /// Discards all connections if the SQLite file was replaced. Otherwise they would continue with the old
    /// file, and changes would be lost.
    fn notice_another_file(&self) {
        if self.dialect() == Dialect::MySql {
            return;
        }
        let file = self.0.opener.file();
        let mut known = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != file {
            *known = file;
            self.forget();
        }
    }

    fn take_idle(&self, epoch: u64) -> Option<Parked> {
        let mut idle = self.0.idle();
        // The newest connection comes first. The others reach their age limit and are dropped, so an idle
        // pool shrinks.
        while let Some(candidate) = idle.connections.pop_back() {
            let fresh = candidate.opened.elapsed() < self.0.settings.recycle;
            if fresh && candidate.age.epoch == epoch {
                return Some(candidate);
            }
        }
        None
    }
}

/// Returns the error of a request that waited too long for a connection.
fn busy(doing: &'static str, patience: Duration) -> StoreError {
    let reason = format!("waited for {patience:?} (pool_timeout, request_timeout)");
    StoreError::Unavailable { doing, outage: Outage::Busy, reason }
}

impl PoolInner {
    fn age(&self) -> MutexGuard<'_, Age> {
        self.age.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes and returns spare connections that were unused for long enough. The flag says whether spare
    /// ones remain.
    fn take_spare(&self) -> (Vec<Parked>, bool) {
        let PoolSettings { max_idle, keep_spare, .. } = self.settings;
        let mut idle = self.idle();
        let spare = idle.connections.len().saturating_sub(max_idle);
        let unused = |parked: &&Parked| parked.returned.elapsed() >= keep_spare;
        let old = idle.connections.iter().take(spare).take_while(unused).count();
        idle.closing = old < spare;
        (idle.connections.drain(..old).collect(), idle.closing)
    }
}

/// Closes spare connections at their time, until none remains or the pool is dropped.
async fn close_spare(pool: Weak<PoolInner>, keep_spare: Duration) {
    loop {
        tokio::time::sleep(keep_spare).await;
        let Some(pool) = pool.upgrade() else { return };
        let (spare, more) = pool.take_spare();
        drop(spare);
        if !more {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::connect_settings::ConnectSettings;
    use crate::url::DatabaseUrl;

    fn opener(url: DatabaseUrl) -> Opener {
        Opener::new(url, ConnectSettings::default(), Duration::from_secs(30), true)
    }

    /// Creates a pool that keeps one connection, and spare ones for `keep_spare`.
    fn pool(keep_spare: Duration) -> Pool {
        let settings = PoolSettings { max_idle: 1, keep_spare, ..PoolSettings::default() };
        // Each connection has its own database, whose content does not matter here.
        let url = DatabaseUrl::Sqlite { path: ":memory:".into() };
        Pool::new(opener(url), settings, None)
    }

    /// Uses three connections at the same time.
    async fn use_three(pool: &Pool) {
        let mut leases = Vec::new();
        for _ in 0..3 {
            leases.push(pool.lease("test", Deadline::NONE).await.unwrap());
        }
        leases.into_iter().for_each(Lease::give_back);
    }

    #[tokio::test]
    async fn a_free_connection_is_lent_without_any_time_to_wait() {
        let settings = PoolSettings { max_open: 1, timeout: Duration::ZERO, ..PoolSettings::default() };
        let url = DatabaseUrl::Sqlite { path: ":memory:".into() };
        let pool = Pool::new(opener(url), settings, None);
        for _ in 0..3 {
            let lease = pool.lease("test", Deadline::NONE).await.unwrap();
            assert!(matches!(pool.lease("test", Deadline::NONE).await, Err(StoreError::Unavailable { .. })));
            lease.give_back();
        }
    }

    #[tokio::test]
    async fn recycle_zero_discards_every_connection_and_the_maximum_none() {
        for (recycle, expected) in [(Duration::MAX, 1), (Duration::ZERO, 0)] {
            let settings = PoolSettings { max_idle: 1, recycle, ..PoolSettings::default() };
            let url = DatabaseUrl::Sqlite { path: ":memory:".into() };
            let pool = Pool::new(opener(url), settings, None);
            pool.lease("test", Deadline::NONE).await.unwrap().give_back();
            assert_eq!(pool.take_idle(pool.0.age().epoch).into_iter().count(), expected, "{recycle:?}");
        }
    }

    fn idle(pool: &Pool) -> usize {
        pool.0.idle().connections.len()
    }

    #[tokio::test]
    async fn spare_connections_are_reused() {
        let pool = pool(Duration::from_secs(60));
        use_three(&pool).await;
        assert_eq!(idle(&pool), 3);
        use_three(&pool).await;
        assert_eq!(idle(&pool), 3, "none was opened beside them");
    }

    #[tokio::test]
    async fn spare_connections_are_closed_in_time_each_time() {
        let pool = pool(Duration::from_millis(5));
        for _ in 0..2 {
            use_three(&pool).await;
            for _ in 0..2_000 {
                if idle(&pool) == 1 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(idle(&pool), 1);
            assert!(!pool.0.idle().closing);
        }
    }
}
