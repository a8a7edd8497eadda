//! Control connections: checking the threads of the server, killing abandoned statements, and ending statements
//! whose remaining rows are not needed.
//!
//! They are rare, so each use opens one, outside the pool, whose connections may all be in use. A balancer
//! may lead to another server that uses the same thread ids, so every check compares the server first.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::class::Outage;
use crate::engine::Opener;
use crate::error::{DriverError, StoreError};
use crate::mysql::{MySql, Thread};

/// Control connections of a pool at the same time: for checks, and for kills.
const MAX_CONTROLS: usize = 2;
const KILLING: usize = 4;
/// Time limit for opening a control connection, and for each of its answers.
const LIMIT: Duration = Duration::from_secs(3);
/// Number of connections through a balancer to reach the server of a thread.
const TRIES: u32 = 4;
/// Pauses between two checks whether a killed thread has ended.
const CHECK_PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Pause between two attempts to reach a silent server.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// `ER_NO_SUCH_THREAD`
const NO_SUCH_THREAD: u16 = 1094;

/// The result of a check of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ThreadStatus {
    /// The thread runs a statement.
    Running,
    /// The thread has ended, or waits for a statement.
    Idle,
    /// Other servers answered, or the server refuses connections.
    OutOfReach,
    /// No connection was opened in time.
    Silent,
    /// The server accepts no further connection.
    Unknown,
}

/// Checks threads and kills them.
pub(crate) struct Control {
    opener: Opener,
    looking: Semaphore,
    killing: Semaphore,
}

impl Control {
    pub(crate) fn new(opener: Opener) -> Control {
        Control { opener, looking: Semaphore::new(MAX_CONTROLS), killing: Semaphore::new(KILLING) }
    }

    /// Returns whether a thread runs a statement.
    pub(crate) async fn check(&self, thread: &Thread) -> ThreadStatus {
        let Ok(_place) = self.looking.acquire().await else { return ThreadStatus::Unknown };
        let mut control = match self.reach(thread).await {
            Ok(control) => control,
            Err(seen) => return seen,
        };
        match state(&mut control, thread.id).await {
            Some(ThreadState::Running) => ThreadStatus::Running,
            Some(ThreadState::Idle | ThreadState::Gone) => ThreadStatus::Idle,
            None => ThreadStatus::Silent,
        }
    }

    /// Kills a thread with its statement and its transaction. Returns when it has ended, cannot be reached,
    /// or the limit is over.
    pub(crate) async fn kill(&self, thread: &Thread, limit: Duration) {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            let Ok(place) = self.killing.acquire().await else { return };
            match self.reach(thread).await {
                Ok(mut control) => {
                    if kill(&mut control, thread.id, until).await {
                        return;
                    }
                }
                Err(ThreadStatus::OutOfReach) => return,
                Err(_) => {}
            }
            drop(place);
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        tracing::warn!(thread = thread.id, "an abandoned statement may still run at the server");
    }

    /// Ends the statement that a thread runs, whose result is no longer wanted. The connection stays. If the server cannot be
    /// reached, the statement goes on.
    pub(crate) async fn stop(&self, thread: &Thread) {
        let Ok(_place) = self.killing.acquire().await else { return };
        let Ok(mut control) = self.reach(thread).await else { return };
        let sql = format!("KILL QUERY {}", thread.id);
        if !matches!(tokio::time::timeout(LIMIT, control.raw(&sql)).await, Ok(Ok(_))) {
            tracing::debug!(thread = thread.id, "a statement was not ended early");
        }
    }

    /// Opens a connection to the server of a thread.
    async fn reach(&self, thread: &Thread) -> Result<MySql, ThreadStatus> {
        for _ in 0..TRIES {
            let begun = Instant::now();
            match self.opener.open_control(LIMIT, thread.place).await {
                Ok(Some(control)) if control.thread().server == thread.server => return Ok(control),
                Ok(Some(_)) => {}
                Err(StoreError::Unavailable { outage: Outage::Refusing, .. }) => {
                    return Err(ThreadStatus::Unknown);
                }
                Err(_) if begun.elapsed() >= LIMIT => return Err(ThreadStatus::Silent),
                Ok(None) | Err(_) => return Err(ThreadStatus::OutOfReach),
            }
        }
        Err(ThreadStatus::OutOfReach)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ThreadState {
    Running,
    Idle,
    Gone,
}

/// Returns the state of a thread, or `None` if the server did not answer.
async fn state(control: &mut MySql, id: u32) -> Option<ThreadState> {
    let threads = tokio::time::timeout(LIMIT, control.threads()).await.ok()?.ok()?;
    Some(match threads.into_iter().find(|(thread, _)| *thread == u64::from(id)) {
        None => ThreadState::Gone,
        Some((_, command)) if command == "Sleep" => ThreadState::Idle,
        Some(_) => ThreadState::Running,
    })
}

/// Kills a thread and waits for its end. Returns false if the end is unknown, because the server did not
/// answer.
async fn kill(control: &mut MySql, id: u32, until: Instant) -> bool {
    match tokio::time::timeout(LIMIT, control.raw(&format!("KILL {id}"))).await {
        Ok(Ok(_)) => {}
        Ok(Err(DriverError::Server(answer))) if answer.code == NO_SUCH_THREAD => return true,
        _ => return false,
    }
    let (mut pause, longest) = CHECK_PAUSES;
    while Instant::now() < until {
        match state(control, id).await {
            Some(ThreadState::Gone) => return true,
            Some(_) => tokio::time::sleep(pause).await,
            None => return false,
        }
        pause = (pause * 2).min(longest);
    }
    false
}
