//! [`ReadProgress`]: whether the rows of a statement arrive.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long to wait for the answer if the server reports that the statement has ended.
const ANSWER_TIME: Duration = Duration::from_millis(250);
/// How often to wait for the answer if the service wakes too late from the wait.
const LATE_WAITS: u32 = 4;

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

    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Returns whether the reader has made progress since it had read this number of rows, or is not waiting
    /// for the connection.
    pub(crate) fn is_made_since(&self, rows: u64) -> bool {
        self.is_paused.load(Ordering::Relaxed) || self.rows() != rows
    }

    /// Waits for rows or the end of a statement that does not run at the server. Returns whether nothing came.
    ///
    /// The caller must poll the statement before this future. Then the socket was read and found empty when
    /// this future is ready. If it is ready too late, the machine lacks CPU time, and a proxy on it may have
    /// had none either.
    pub(crate) async fn is_missing_since(&self, rows: u64) -> bool {
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
