//! [`ValidationLimit`] limits how many tokens are validated at a time. Most permits are open to every token.
//! Some are reserved for tokens that Keystone has accepted before, so that invalid tokens cannot block known
//! callers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use moka::future::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::error::AuthError;

/// The number of permits, of four, that are open to tokens that Keystone has not accepted yet.
const OPEN_OF_FOUR: usize = 3;
/// Length of the queue, for each permit.
const QUEUED_PER_PERMIT: usize = 32;
/// Number of tokens that are remembered as hashes, and for how long.
const REMEMBERED: u64 = 50_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(86_400);

pub(crate) struct ValidationLimit {
    all: Semaphore,
    open: Semaphore,
    accepted: Cache<[u8; 32], ()>,
    queued: AtomicUsize,
    queue_limit: usize,
    operation: &'static str,
}

/// A permit for one validation, which ends when it is dropped.
pub(crate) struct ValidationPermit<'a>(
    #[expect(dead_code, reason = "held")] [Option<SemaphorePermit<'a>>; 2],
);

impl ValidationLimit {
    /// Creates a limit. `permits`: validations at a time, at least 2.
    pub(crate) fn new(permits: usize, operation: &'static str) -> ValidationLimit {
        let permits = permits.clamp(2, Semaphore::MAX_PERMITS);
        let open = (permits.saturating_mul(OPEN_OF_FOUR) / 4).clamp(1, permits - 1);
        ValidationLimit {
            all: Semaphore::new(permits),
            open: Semaphore::new(open),
            accepted: Cache::builder().max_capacity(REMEMBERED).time_to_live(REMEMBERED_FOR).build(),
            queued: AtomicUsize::new(0),
            queue_limit: permits.saturating_mul(QUEUED_PER_PERMIT),
            operation,
        }
    }

    /// Waits for a permit until the deadline of the request.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] if the queue is full or no permit was free in time.
    pub(crate) async fn enter(
        &self,
        token: &str,
        deadline: Instant,
    ) -> Result<ValidationPermit<'_>, AuthError> {
        let busy = |reason: &str| AuthError::Unavailable {
            operation: self.operation,
            reason: format!("too many tokens are being validated: {reason}"),
        };
        let known = self.accepted.contains_key(&hash(token));
        let queue = QueueEntry::join(&self.queued);
        if queue.before >= self.queue_limit {
            return Err(busy("the queue is full"));
        }
        let both = async {
            // The scarcer permit comes first: a caller that waits for it must not hold one of the others.
            let open = if known { None } else { self.open.acquire().await.ok() };
            ValidationPermit([open, self.all.acquire().await.ok()])
        };
        timeout_at(deadline, both).await.map_err(|_| busy("no permit was free in time"))
    }

    /// Remembers a token that Keystone has accepted.
    pub(crate) async fn remember(&self, token: &str) {
        self.accepted.insert(hash(token), ()).await;
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Counts a queued validation until it is dropped.
struct QueueEntry<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl QueueEntry<'_> {
    fn join(count: &AtomicUsize) -> QueueEntry<'_> {
        QueueEntry { count, before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for QueueEntry<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    fn limit(permits: usize) -> ValidationLimit {
        ValidationLimit::new(permits, "test")
    }

    fn after(milliseconds: u64) -> Instant {
        Instant::now() + Duration::from_millis(milliseconds)
    }

    #[tokio::test]
    async fn unknown_tokens_leave_a_permit_for_known_tokens() {
        for permits in [1, 2, 4, 5, 64] {
            let limit = limit(permits);
            limit.remember("known").await;
            let mut held = Vec::new();
            for token in 0..permits.max(2) {
                match limit.enter(&format!("made up {token}"), after(300)).await {
                    Ok(permit) => held.push(permit),
                    Err(_) => break,
                }
            }
            assert_eq!(held.len(), (permits.max(2) * 3 / 4).max(1), "{permits} permits");
            limit.enter("known", after(300)).await.unwrap();
            let refused = limit.enter("made up", after(300)).await;
            assert!(matches!(refused, Err(AuthError::Unavailable { .. })), "it waits for a limited time");
            drop(held);
            limit.enter("made up", after(300)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let limit = std::sync::Arc::new(limit(2));
        let permit = limit.enter("first", after(30_000)).await.unwrap();
        let wait = |at: usize| {
            let limit = limit.clone();
            tokio::spawn(async move { limit.enter(&at.to_string(), after(30_000)).await.map(|_| ()) })
        };
        let queued: Vec<_> = (0..64).map(wait).collect();
        while limit.queued.load(Ordering::Relaxed) < 64 {
            tokio::task::yield_now().await;
        }
        let Err(AuthError::Unavailable { reason, .. }) = limit.enter("last", after(30_000)).await else {
            panic!("a queue without end")
        };
        assert!(reason.contains("queue is full"), "{reason}");
        drop(permit);
        for queued in queued {
            queued.await.unwrap().unwrap();
        }
    }
}
