//! The clock of this crate: its type and the system clock. The clock is injected, so that a test can make a
//! token expire.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the present time in whole seconds since 1970-01-01 UTC.
pub type UnixClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Returns the system clock. A time before 1970 reads as 0.
#[must_use]
pub fn system_clock() -> UnixClock {
    Arc::new(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "the only place of this crate that reads the system clock"
        )]
        let now = SystemTime::now();
        now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    })
}
