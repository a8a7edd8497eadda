//! [`TimeSlice`]: lets other tasks of a thread run while one processes many rows.

use std::time::{Duration, Instant};

/// How long a task may process rows before other tasks of its thread can run.
const TIME_SLICE: Duration = Duration::from_millis(2);

/// Yields to other tasks of the thread after a [`TIME_SLICE`]. The limit is a time, because rows and searches
/// differ in cost.
pub(crate) struct TimeSlice(Instant);

impl TimeSlice {
    pub(crate) fn start() -> TimeSlice {
        TimeSlice(Instant::now())
    }

    /// Lets other tasks run if the time slice is over.
    pub(crate) async fn yield_if_over(&mut self) {
        if self.0.elapsed() >= TIME_SLICE {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
    }
}
