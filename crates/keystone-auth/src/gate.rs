//! Limits how many tokens are validated at a time. Lives here: [`Gate`]. Most of its places are open to every token, and some
//! are kept for tokens that Keystone has vouched for before: made-up tokens cannot keep known callers out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use moka::future::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::AuthError;

/// Of four places, so many are open to tokens that Keystone has not vouched for yet.
const OPEN_QUARTERS: usize = 3;
/// Validations that wait for a place, for each place.
const WAITING_PER_PLACE: usize = 32;
/// How many tokens are remembered, and for how long: their hashes, not the tokens.
const REMEMBERED: u64 = 50_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(86_400);

pub(crate) struct Gate {
    all: Semaphore,
    open: Semaphore,
    vouched: Cache<[u8; 32], ()>,
    waiting: AtomicUsize,
    most_waiting: usize,
    patience: Duration,
    operation: &'static str,
}

/// A place, until it is dropped.
pub(crate) struct Place<'a>(#[expect(dead_code, reason = "held")] [Option<SemaphorePermit<'a>>; 2]);

impl Gate {
    /// `places`: validations at a time, at least 2; `patience`: how long one waits for its place.
    pub(crate) fn new(places: usize, patience: Duration, operation: &'static str) -> Gate {
        let places = places.clamp(2, Semaphore::MAX_PERMITS);
        let open = (places.saturating_mul(OPEN_QUARTERS) / 4).clamp(1, places - 1);
        Gate {
            all: Semaphore::new(places),
            open: Semaphore::new(open),
            vouched: Cache::builder().max_capacity(REMEMBERED).time_to_live(REMEMBERED_FOR).build(),
            waiting: AtomicUsize::new(0),
            most_waiting: places.saturating_mul(WAITING_PER_PLACE),
            patience,
            operation,
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`AuthError::Unavailable`] if too many wait already, or the place is not free in time.
    pub(crate) async fn enter(&self, token: &str) -> Result<Place<'_>, AuthError> {
        let busy = |reason: &str| AuthError::Unavailable {
            operation: self.operation,
            reason: format!("too many tokens are being validated: {reason}"),
        };
        let known = self.vouched.contains_key(&hash(token));
        let queue = Waiting::join(&self.waiting);
        if queue.before >= self.most_waiting {
            return Err(busy("the queue is full"));
        }
        let both = async {
            // first the scarcer place: whoever waits for it must not hold one of the others
            let open = if known { None } else { self.open.acquire().await.ok() };
            Place([open, self.all.acquire().await.ok()])
        };
        tokio::time::timeout(self.patience, both)
            .await
            .map_err(|_| busy(&format!("no place was free within {:?}", self.patience)))
    }

    /// Remembers that Keystone has vouched for a token.
    pub(crate) async fn remember(&self, token: &str) {
        self.vouched.insert(hash(token), ()).await;
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Counts a validation that waits, until it is dropped.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl Waiting<'_> {
    fn join(count: &AtomicUsize) -> Waiting<'_> {
        Waiting { count, before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    fn gate(places: usize, patience: Duration) -> Gate {
        Gate::new(places, patience, "test")
    }

    #[tokio::test]
    async fn unknown_tokens_leave_a_place_to_known_ones() {
        for places in [1, 2, 4, 5, 64] {
            let gate = gate(places, Duration::from_millis(300));
            gate.remember("known").await;
            let mut held = Vec::new();
            for token in 0..places.max(2) {
                match gate.enter(&format!("made up {token}")).await {
                    Ok(place) => held.push(place),
                    Err(_) => break,
                }
            }
            assert_eq!(held.len(), (places.max(2) * 3 / 4).max(1), "{places} places");
            gate.enter("known").await.unwrap();
            let refused = gate.enter("made up").await;
            assert!(matches!(refused, Err(AuthError::Unavailable { .. })), "it waits for a limited time");
            drop(held);
            gate.enter("made up").await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let gate = std::sync::Arc::new(gate(2, Duration::from_secs(30)));
        let place = gate.enter("first").await.unwrap();
        let wait = |at: usize| {
            let gate = gate.clone();
            tokio::spawn(async move { gate.enter(&at.to_string()).await.map(|_| ()) })
        };
        let waiting: Vec<_> = (0..64).map(wait).collect();
        while gate.waiting.load(Ordering::Relaxed) < 64 {
            tokio::task::yield_now().await;
        }
        let Err(AuthError::Unavailable { reason, .. }) = gate.enter("last").await else {
            panic!("a queue without end")
        };
        assert!(reason.contains("queue is full"), "{reason}");
        drop(place);
        for waiting in waiting {
            waiting.await.unwrap().unwrap();
        }
    }
}
