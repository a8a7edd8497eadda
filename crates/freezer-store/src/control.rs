//! Control connections: look at the threads of the server, and kill abandoned statements.
//!
//! They are opened for each use, because they are rare, and beside the pool, whose connections may all be in use. Through a
//! balancer one may reach another server, whose threads have the same numbers: every look compares the server first.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::engine::Opener;
use crate::error::{DriverError, Outage, StoreError};
use crate::mysql::{MySql, Thread};

/// Control connections at the same time, for one pool: those that look, and those that kill.
const LOOKING: usize = 2;
const KILLING: usize = 4;
/// Time for a control connection to open, and for each of its answers.
const LIMIT: Duration = Duration::from_secs(3);
/// How often a balancer is asked for the server of a thread.
const TRIES: u32 = 4;
/// Pauses between two looks whether a killed thread has ended.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Pause between two tries to reach a server that does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// `ER_NO_SUCH_THREAD`
const NO_SUCH_THREAD: u16 = 1094;

/// What a look at a thread found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It runs a statement.
    Running,
    /// It is gone, or waits for a statement.
    Idle,
    /// Other servers answered, or the server refuses connections.
    OutOfReach,
    /// A connection was not opened in time.
    Silent,
    /// The server takes no further connection.
    Unknown,
}

/// Looks at threads and kills them.
pub(crate) struct Control {
    opener: Opener,
    looking: Semaphore,
    killing: Semaphore,
}

impl Control {
    pub(crate) fn new(opener: Opener) -> Control {
        Control { opener, looking: Semaphore::new(LOOKING), killing: Semaphore::new(KILLING) }
    }

    /// Looks whether a thread runs a statement.
    pub(crate) async fn look(&self, thread: &Thread) -> Seen {
        let Ok(_place) = self.looking.acquire().await else { return Seen::Unknown };
        let mut control = match self.reach(thread).await {
            Ok(control) => control,
            Err(seen) => return seen,
        };
        match state(&mut control, thread.id).await {
            Some(State::Running) => Seen::Running,
            Some(State::Idle | State::Gone) => Seen::Idle,
            None => Seen::Silent,
        }
    }

    /// Kills a thread with its statement and its transaction, and returns when it has ended, or cannot be reached, or the limit
    /// is over.
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
                Err(Seen::OutOfReach) => return,
                Err(_) => {}
            }
            drop(place);
            tokio::time::sleep(AGAIN).await;
        }
        tracing::warn!(thread = thread.id, "a statement that nobody waits for may still run at the server");
    }

    /// Opens a connection to the server of a thread.
    async fn reach(&self, thread: &Thread) -> Result<MySql, Seen> {
        for _ in 0..TRIES {
            let begun = Instant::now();
            match self.opener.open_control(LIMIT, thread.place).await {
                Ok(Some(control)) if control.thread().server == thread.server => return Ok(control),
                Ok(Some(_)) => {}
                Err(StoreError::Unavailable { outage: Outage::Refusing, .. }) => return Err(Seen::Unknown),
                Err(_) if begun.elapsed() >= LIMIT => return Err(Seen::Silent),
                Ok(None) | Err(_) => return Err(Seen::OutOfReach),
            }
        }
        Err(Seen::OutOfReach)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Idle,
    Gone,
}

/// What a thread does; none if the server did not answer.
async fn state(control: &mut MySql, id: u32) -> Option<State> {
    let threads = tokio::time::timeout(LIMIT, control.threads()).await.ok()?.ok()?;
    Some(match threads.into_iter().find(|(thread, _)| *thread == u64::from(id)) {
        None => State::Gone,
        Some((_, command)) if command == "Sleep" => State::Idle,
        Some(_) => State::Running,
    })
}

/// Kills a thread and waits for its end. False if that is not known, because the server did not answer.
async fn kill(control: &mut MySql, id: u32, until: Instant) -> bool {
    match tokio::time::timeout(LIMIT, control.raw(&format!("KILL {id}"))).await {
        Ok(Ok(_)) => {}
        Ok(Err(DriverError::Server(answer))) if answer.code == NO_SUCH_THREAD => return true,
        _ => return false,
    }
    let (mut pause, longest) = LOOKS;
    while Instant::now() < until {
        match state(control, id).await {
            Some(State::Gone) => return true,
            Some(_) => tokio::time::sleep(pause).await,
            None => return false,
        }
        pause = (pause * 2).min(longest);
    }
    false
}
