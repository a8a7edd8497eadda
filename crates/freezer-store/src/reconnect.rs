//! [`Reconnector`] opens connections during an outage: one attempt at a time, with increasing pauses.
//!
//! Otherwise each request would try by itself, and a recovering server would receive all attempts at once.
//! Waiting requests hold a permit of the pool, so they can also use a connection that was returned to it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

use crate::backoff::pause;
use crate::class::{Class, Outage};
use crate::deadline::Deadline;
use crate::error::StoreError;

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The state of recent attempts to open a connection.
#[derive(Default)]
pub(crate) struct Reconnector {
    attempt: Mutex<()>,
    failures: AtomicU32,
    last: Lock<Option<StoreError>>,
    returned: Notify,
}

/// The result of waiting for a connection.
pub(crate) enum Reconnected<T> {
    /// A connection was opened.
    Opened(T),
    /// A connection was returned to the pool, or the server accepts connections again.
    CheckPool,
}

impl Reconnector {
    /// Records that a connection was returned to the pool.
    pub(crate) fn returned(&self) {
        if self.is_failing() {
            self.returned.notify_one();
        }
    }

    /// Returns whether the last attempt to open a connection failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures.load(Ordering::Relaxed) > 0
    }

    /// Opens a connection. While the server refuses connections, waits for its turn and retries until the
    /// deadline. Without a deadline, makes one attempt at once.
    pub(crate) async fn open<T, F>(
        &self,
        deadline: Deadline,
        open: impl Fn() -> F,
    ) -> Result<Reconnected<T>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if !self.is_failing() || !deadline.is_set() {
            match self.try_once(&open).await {
                Err(error) if deadline.is_set() && may_recover(&error) => {}
                result => return result.map(Reconnected::Opened),
            }
        }
        let waiting = async {
            let _attempt = self.attempt.lock().await;
            loop {
                let failures = self.failures.load(Ordering::Relaxed);
                if failures == 0 {
                    return Ok(Reconnected::CheckPool);
                }
                tokio::time::sleep(pause(failures).min(LONGEST_PAUSE)).await;
                match self.try_once(&open).await {
                    Err(error) if may_recover(&error) => {}
                    result => return result.map(Reconnected::Opened),
                }
            }
        };
        tokio::select! {
            passed = waiting => passed,
            () = self.returned.notified() => Ok(Reconnected::CheckPool),
            () = tokio::time::sleep(deadline.within(Duration::MAX)) => Err(self.refused()),
        }
    }

    async fn try_once<T, F>(&self, open: &impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let result = open().await;
        match &result {
            Ok(_) => self.failures.store(0, Ordering::Relaxed),
            Err(error) if may_recover(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
            }
            Err(_) => {}
        }
        result
    }

    /// Returns the reason why no connection was opened before the deadline.
    fn refused(&self) -> StoreError {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last.unwrap_or_else(|| StoreError::Unavailable {
            doing: "connect",
            outage: Outage::Away,
            reason: "the deadline of the request has passed".to_owned(),
        })
    }
}

/// Returns whether the server may accept a connection later without a change of the configuration.
fn may_recover(error: &StoreError) -> bool {
    matches!(error.class(), Class::Outage(Outage::Refusing | Outage::Away | Outage::Locked))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use super::*;

    fn refused() -> StoreError {
        StoreError::Unavailable { doing: "connect", outage: Outage::Away, reason: "refused".to_owned() }
    }

    #[tokio::test]
    async fn waiting_callers_make_one_attempt_at_a_time() {
        let reconnector = Arc::new(Reconnector::default());
        let (tries, open) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let deadline = Deadline::after(Duration::from_secs(30));
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (reconnector, tries, open) = (reconnector.clone(), tries.clone(), open.clone());
            waiting.spawn(async move {
                reconnector
                    .open(deadline, || async {
                        tries.fetch_add(1, Ordering::Relaxed);
                        if open.load(Ordering::Relaxed) == 0 { Err(refused()) } else { Ok(()) }
                    })
                    .await
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        // At first up to 50 attempts at once, then one at a time with increasing pauses.
        let so_far = tries.load(Ordering::Relaxed);
        assert!((3..70).contains(&so_far), "{so_far}");
        open.store(1, Ordering::Relaxed);
        tokio::time::timeout(Duration::from_secs(20), async {
            while let Some(passed) = waiting.join_next().await {
                assert!(passed.unwrap().is_ok());
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn the_last_error_is_returned_at_the_deadline_or_at_once_without_a_deadline() {
        let reconnector = Reconnector::default();
        let begun = tokio::time::Instant::now();
        let open = || async { Err::<(), _>(refused()) };
        assert!(reconnector.open(Deadline::NONE, open).await.is_err());
        assert!(begun.elapsed() < Duration::from_millis(500));
        let Err(error) = reconnector.open(Deadline::after(Duration::from_secs(1)), open).await else {
            panic!()
        };
        assert!(error.to_string().contains("refused"), "{error}");
        assert!(begun.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_refused_login_is_not_retried() {
        let reconnector = Reconnector::default();
        let begun = tokio::time::Instant::now();
        let open = || async {
            Err::<(), _>(StoreError::Refused {
                database: "d".to_owned(),
                reason: "1045".to_owned(),
                advice: "check",
                is_absent: false,
            })
        };
        assert!(reconnector.open(Deadline::after(Duration::from_secs(60)), open).await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_returned_connection_is_used() {
        let reconnector = Arc::new(Reconnector::default());
        let open = || async { Err::<(), _>(refused()) };
        let other = reconnector.clone();
        let waiting =
            tokio::spawn(async move { other.open(Deadline::after(Duration::from_secs(60)), open).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        reconnector.returned();
        assert!(matches!(waiting.await.unwrap(), Ok(Reconnected::CheckPool)));
    }
}
