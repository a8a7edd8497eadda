//! The pauses between two attempts.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// First pause between two attempts. It doubles each time, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Returns the pause after this number of attempts.
pub(crate) fn pause(attempt: u32) -> Duration {
    let base = (FIRST_PAUSE * 2_u32.saturating_pow(attempt.clamp(1, 8) - 1)).min(LONGEST_PAUSE / 2);
    // Jitter of up to one more base, so that conflicting writers do not conflict again.
    let jitter = RandomState::new().hash_one(attempt) % 1_000;
    base + base.mul_f64(jitter as f64 / 1_000.0)
}
