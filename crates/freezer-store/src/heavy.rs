//! Work on large documents, which takes long enough to delay other requests.

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tracing::Span;

/// Memory of a tree from which on it is built in another thread. Less takes only a few milliseconds.
const LARGE: usize = 8 << 20;

/// Places for large work. Each can take as much memory as a document, before a limit counts it.
static PLACES: Semaphore = Semaphore::const_new(2);

/// Builds, changes or compares a tree that takes this much memory. If it is large, this happens in another thread, so that
/// other requests are served in the meantime.
pub async fn compute<T: Send + 'static>(memory: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if memory < LARGE {
        return work();
    }
    // never closed
    let _place = PLACES.acquire().await.ok();
    let span = Span::current();
    match spawn_blocking(move || span.in_scope(work)).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // the process ends
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_work_does_not_delay_other_tasks() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
        for (memory, is_delayed) in [(LARGE - 1, true), (LARGE, false)] {
            let (send, receive) = std::sync::mpsc::channel();
            let others = async move { send.send(()) };
            let wait = move || receive.recv_timeout(std::time::Duration::from_millis(500)).is_err();
            let (waited, _) = runtime.block_on(async { tokio::join!(compute(memory, wait), others) });
            assert_eq!(waited, is_delayed);
        }
    }
}
