//! Decides when a statement is given up: at the deadline of its request, at its limit, or if its connection
//! is silent.
//!
//! A connection can be silent although its socket is open, for example if a firewall dropped it, a proxy
//! holds it, or the server is paused. Therefore a long statement is checked at the server. If it runs there,
//! the service continues to wait. If the server has ended the statement, its rows may still wait in the socket
//! for a service that lacks CPU time. Therefore a statement whose rows are being read is never silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::control::ThreadStatus;
use crate::deadline::Deadline;
use crate::error::Outage;
use crate::mysql::Thread;
use crate::pool::Pool;

/// Time until a running statement is checked at the server, and between two checks.
const CHECK_AFTER: Duration = Duration::from_secs(3);
/// How long to wait for a statement whose server cannot be reached, because a balancer leads to other
/// servers.
const OUT_OF_REACH: Duration = Duration::from_secs(8);
/// How long to wait for the answer if the server reports that the statement has ended.
const ANSWER_TIME: Duration = Duration::from_millis(250);
/// How often to wait for the answer if the service wakes too late from the wait.
const LATE_WAITS: u32 = 4;
/// Time for the server to report by itself that a statement reached its limit.
const GRACE: Duration = Duration::from_secs(2);

/// The progress of the statements of a connection.
#[derive(Debug, Default)]
pub(crate) struct ReadProgress {
    /// Number of rows that were read.
    rows: AtomicU64,
    /// Whether the reader waits for something other than the connection.
    is_paused: AtomicBool,
}

impl ReadProgress {
    /// Records that a row was read.
    pub(crate) fn row(&self) {
        self.rows.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs work during which no row is read.
    pub(crate) async fn paused<T>(&self, work: impl Future<Output = T>) -> T {
        self.is_paused.store(true, Ordering::Relaxed);
        let done = work.await;
        self.row();
        self.is_paused.store(false, Ordering::Relaxed);
        done
    }

    fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Returns whether the reader has made progress since it had read this number of rows, or is not waiting
    /// for the connection.
    fn is_made_since(&self, rows: u64) -> bool {
        self.is_paused.load(Ordering::Relaxed) || self.rows() != rows
    }

    /// Waits for rows or the end of a statement that does not run at the server. Returns whether nothing came.
    ///
    /// The caller must poll the statement before this future. Then the socket was read and found empty when
    /// this future is ready. If it is ready too late, the machine lacks CPU time, and a proxy on it may have
    /// had none either.
    async fn is_missing_since(&self, rows: u64) -> bool {
        for _ in 0..LATE_WAITS {
            let begun = Instant::now();
            tokio::time::sleep(ANSWER_TIME).await;
            if self.is_made_since(rows) {
                return false;
            }
            if begun.elapsed() < ANSWER_TIME * 2 {
                return true;
            }
        }
        true
    }
}

/// A statement that runs.
pub(crate) struct Watched {
    /// The thread at the server.
    pub thread: Thread,
    /// The progress of its connection.
    pub progress: Arc<ReadProgress>,
}

/// Waits until a statement that starts now must be given up, and returns the reason. The caller must poll the
/// statement first. A statement on a file is not `watched`.
pub(crate) async fn given_up(
    pool: &Pool,
    watched: Option<&Watched>,
    limit: Duration,
    deadline: Deadline,
) -> (Outage, String) {
    let begun = Instant::now();
    loop {
        let rows = watched.map_or(0, |watched| watched.progress.rows());
        let left = deadline.within(limit.saturating_add(GRACE).saturating_sub(begun.elapsed()));
        tokio::time::sleep(left.min(CHECK_AFTER)).await;
        if deadline.is_over() {
            return (Outage::Slow, "the deadline of the request has passed (request_timeout)".to_owned());
        }
        if begun.elapsed() >= limit.saturating_add(GRACE) {
            return (Outage::Slow, format!("longer than {limit:?} (statement_timeout)"));
        }
        let Some(Watched { thread, progress }) = watched else { continue };
        if progress.is_made_since(rows) {
            continue;
        }
        let left = deadline.within(limit.saturating_add(GRACE).saturating_sub(begun.elapsed()));
        let check = tokio::time::timeout(left, pool.control().check(thread)).await;
        let why = match check.unwrap_or(ThreadStatus::Unknown) {
            ThreadStatus::Running | ThreadStatus::Unknown => continue,
            ThreadStatus::OutOfReach if begun.elapsed() < OUT_OF_REACH => continue,
            ThreadStatus::OutOfReach => "its server is out of reach",
            ThreadStatus::Silent => "its server does not answer",
            ThreadStatus::Idle => "its server has ended the statement",
        };
        if progress.is_missing_since(rows).await {
            return (Outage::Away, format!("the connection is silent: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether an answer is missing that a reader waits for while `meanwhile` runs.
    async fn is_missing(progress: &ReadProgress, meanwhile: impl Future<Output = ()>) -> bool {
        let rows = progress.rows();
        let (is_missing, ()) = tokio::join!(progress.is_missing_since(rows), meanwhile);
        is_missing
    }

    #[tokio::test]
    async fn an_answer_is_missing_only_if_no_row_is_read() {
        let progress = ReadProgress::default();
        assert!(is_missing(&progress, async {}).await);
        assert!(!is_missing(&progress, async { progress.row() }).await);
        assert!(is_missing(&progress, async {}).await, "rows of earlier statements do not count");
        let kill = tokio::time::sleep(ANSWER_TIME * 3);
        assert!(!is_missing(&progress, progress.paused(kill)).await);
        assert!(is_missing(&progress, async {}).await);
    }

    #[tokio::test]
    async fn a_late_service_waits_longer() {
        let progress = ReadProgress::default();
        // The thread has no time for anything, and the row comes as soon as it has.
        let busy = async {
            tokio::task::yield_now().await;
            std::thread::sleep(ANSWER_TIME * 3);
            tokio::time::sleep(ANSWER_TIME / 4).await;
            progress.row();
        };
        assert!(!is_missing(&progress, busy).await);
    }
}
