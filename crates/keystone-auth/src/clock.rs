//! The clock that this crate reads. Lives here: its type and the machine's own. It is passed in, so that a test can
//! make a token expire; nothing else in the crate asks the machine for the time of day.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the present time as whole seconds since 1970-01-01 UTC.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's clock. A time before 1970 reads as 0.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        #[expect(clippy::disallowed_methods, reason = "the one place of this crate that asks the machine")]
        let now = SystemTime::now();
        now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    })
}
