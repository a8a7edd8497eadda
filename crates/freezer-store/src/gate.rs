//! [`Gate`]: how connections are opened while the server refuses them: one at a time, with pauses that grow.
//!
//! Otherwise each request would try by itself, and a server that comes back would meet all of them at once. Those that wait here
//! hold a place in the pool, so they take a connection that comes back as well.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};

use crate::deadline::Deadline;
use crate::error::{Class, Outage, StoreError};
use crate::tx::pause;

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The state of the last tries to open a connection.
#[derive(Default)]
pub(crate) struct Gate {
    turn: Mutex<()>,
    failures: AtomicU32,
    last: Lock<Option<StoreError>>,
    returned: Notify,
}

/// What came of waiting at the gate.
pub(crate) enum Passed<T> {
    /// A connection was opened.
    Opened(T),
    /// A connection came back, or the server accepts connections again.
    LookAgain,
}

impl Gate {
    /// A connection came back.
    pub(crate) fn returned(&self) {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.returned.notify_one();
        }
    }

    /// Opens a connection. While the server refuses them, waits for a turn and tries until the deadline; without a deadline,
    /// tries once at once.
    pub(crate) async fn pass<T, F>(
        &self,
        deadline: Deadline,
        open: impl Fn() -> F,
    ) -> Result<Passed<T>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if self.failures.load(Ordering::Relaxed) == 0 || !deadline.is_set() {
            match self.try_once(&open).await {
                Err(error) if deadline.is_set() && helps_to_wait(&error) => {}
                result => return result.map(Passed::Opened),
            }
        }
        let waiting = async {
            let _turn = self.turn.lock().await;
            loop {
                let failures = self.failures.load(Ordering::Relaxed);
                if failures == 0 {
                    return Ok(Passed::LookAgain);
                }
                tokio::time::sleep(pause(failures).min(LONGEST_PAUSE)).await;
                match self.try_once(&open).await {
                    Err(error) if helps_to_wait(&error) => {}
                    result => return result.map(Passed::Opened),
                }
            }
        };
        tokio::select! {
            passed = waiting => passed,
            () = self.returned.notified() => Ok(Passed::LookAgain),
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
            Err(error) if helps_to_wait(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
            }
            Err(_) => {}
        }
        result
    }

    /// Why no connection was opened before the deadline.
    fn refused(&self) -> StoreError {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last.unwrap_or_else(|| StoreError::Unavailable {
            doing: "connect",
            outage: Outage::Away,
            reason: "the deadline of the request has passed".to_owned(),
        })
    }
}

/// Whether the server may accept a connection later without any change to the configuration.
fn helps_to_wait(error: &StoreError) -> bool {
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
    async fn many_that_wait_try_one_at_a_time() {
        let gate = Arc::new(Gate::default());
        let (tries, open) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let deadline = Deadline::after(Duration::from_secs(30));
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (gate, tries, open) = (gate.clone(), tries.clone(), open.clone());
            waiting.spawn(async move {
                gate.pass(deadline, || async {
                    tries.fetch_add(1, Ordering::Relaxed);
                    if open.load(Ordering::Relaxed) == 0 { Err(refused()) } else { Ok(()) }
                })
                .await
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        // at most 50 at once; then one at a time, with pauses that grow
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
    async fn the_last_refusal_is_told_at_the_deadline_and_without_one_at_once() {
        let gate = Gate::default();
        let begun = tokio::time::Instant::now();
        let open = || async { Err::<(), _>(refused()) };
        assert!(gate.pass(Deadline::NONE, open).await.is_err());
        assert!(begun.elapsed() < Duration::from_millis(500));
        let Err(error) = gate.pass(Deadline::after(Duration::from_secs(1)), open).await else { panic!() };
        assert!(error.to_string().contains("refused"), "{error}");
        assert!(begun.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_refused_login_is_not_waited_for() {
        let gate = Gate::default();
        let begun = tokio::time::Instant::now();
        let open = || async {
            Err::<(), _>(StoreError::Refused {
                database: "d".to_owned(),
                reason: "1045".to_owned(),
                advice: "check",
                is_absent: false,
            })
        };
        assert!(gate.pass(Deadline::after(Duration::from_secs(60)), open).await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_connection_that_comes_back_is_taken() {
        let gate = Arc::new(Gate::default());
        let open = || async { Err::<(), _>(refused()) };
        let other = gate.clone();
        let waiting =
            tokio::spawn(async move { other.pass(Deadline::after(Duration::from_secs(60)), open).await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        gate.returned();
        assert!(matches!(waiting.await.unwrap(), Ok(Passed::LookAgain)));
    }
}
