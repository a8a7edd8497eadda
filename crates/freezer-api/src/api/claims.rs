//! Claims of `Idempotency-Key`s: a request claims its key, and gives it up if it has no answer to store.
//!
//! If the request was refused, its key is released. If it failed with a 5xx, its outcome can be unknown: the claim stays, and
//! the next request with the key takes it over.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freezer_store::query::idempotency::{self, Claim, Keyed};
use freezer_store::{Deadline, Outage, Store, StoreError, single};
use tracing::Instrument;

/// Milliseconds between the attempts to claim a key while the first request with this key is carried out. After the last attempt
/// the answer is a 409. They start again when another request has claimed the key, because the one before was refused.
const CLAIM_PAUSES: [u64; 7] = [20, 50, 100, 200, 400, 800, 1_600];
/// Seconds before each attempt to release the key of a refused request.
const RELEASE_PAUSES: [u64; 5] = [0, 1, 4, 15, 60];
/// Seconds before each attempt to free a key. With the default `request_timeout`, the claim has expired after the last attempt.
const FREE_PAUSES: [u64; 11] = [0, 1, 2, 3, 5, 10, 15, 20, 25, 30, 30];
/// Time limit of an attempt to release or to free a key.
const LIMIT: Duration = Duration::from_secs(5);

/// Claims the key. If another request with it is being carried out, waits for a moment, and longer, until the deadline of the
/// store, as long as one request after the other is refused. Takes the key of an abandoned claim. None: there is no table for
/// keys.
pub(super) async fn claim(
    abandoned: &AbandonedClaims,
    store: &Store,
    keyed: &Keyed,
) -> Result<Option<Claim>, StoreError> {
    let mut pauses = CLAIM_PAUSES.into_iter();
    let mut holder = None;
    loop {
        let claim = single!(store, "idempotency.claim", |db| idempotency::claim(db, keyed).await)?;
        let Some(Claim::UnderWay { attempt }) = &claim else { return Ok(claim) };
        if let Some(attempt) = attempt.as_ref().filter(|attempt| abandoned.contains(attempt))
            && free(store, &keyed.id, attempt).await? > 0
        {
            abandoned.attempts().remove(attempt);
        }
        if attempt.is_none() || *attempt != holder {
            pauses = CLAIM_PAUSES.into_iter();
            holder.clone_from(attempt);
        }
        let Some(pause) = pauses.next().map(Duration::from_millis) else { return Ok(claim) };
        if store.deadline().within(pause) < pause {
            return Ok(claim);
        }
        tokio::time::sleep(pause).await;
    }
}

/// Returns the error of a failed claim as that of a request that has changed nothing.
pub(super) fn nothing_done(error: StoreError) -> StoreError {
    match error {
        StoreError::OutcomeUnknown { doing, reason } => {
            StoreError::Unavailable { doing, outage: Outage::Away, reason }
        }
        other => other,
    }
}

/// Releases the key of a refused request, so the caller can correct the request. Retries if the database is not available.
pub(super) async fn release(store: Store, keyed: Keyed) {
    for pause in RELEASE_PAUSES {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let store = store.until(Deadline::after(LIMIT));
        let released: Result<u64, StoreError> =
            single!(store, "idempotency.release", |db| idempotency::release(db, &keyed).await);
        if released.is_ok() {
            return;
        }
    }
}

/// The attempts whose outcome is unknown, or whose claims have failed but may still be stored. They have ended, so the next request
/// with the key takes it over.
#[derive(Debug, Clone, Default)]
pub struct AbandonedClaims(Arc<Mutex<HashSet<String>>>);

impl AbandonedClaims {
    fn attempts(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of these attempts.
    pub fn count(&self) -> usize {
        self.attempts().len()
    }

    fn contains(&self, attempt: &str) -> bool {
        self.attempts().contains(attempt)
    }

    /// Frees the key of an attempt. A failed claim can be stored later, when the database reads the statement from a connection that
    /// the service has already closed. Therefore a task repeats this until it finds the claim, or until the claim has expired.
    pub(super) fn free(&self, store: Store, keyed: &Keyed) {
        let (abandoned, id, attempt) = (self.clone(), keyed.id.clone(), keyed.attempt.clone());
        abandoned.attempts().insert(attempt.clone());
        let work = async move {
            for pause in FREE_PAUSES {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                let store = store.until(Deadline::after(LIMIT));
                if !abandoned.contains(&attempt) || matches!(free(&store, &id, &attempt).await, Ok(1..)) {
                    break;
                }
            }
            abandoned.attempts().remove(&attempt);
        };
        tokio::spawn(work.in_current_span());
    }
}

async fn free(store: &Store, id: &str, attempt: &str) -> Result<u64, StoreError> {
    single!(store, "idempotency.free", |db| idempotency::free(db, id, attempt).await)
}
