//! [`Deadline`]: until when the work for a request may go on. Nothing here waits by itself.

use std::time::Duration;

use tokio::time::Instant;

/// The time at which a request gives up waiting for its answer, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline: work is tried a few times and fails fast.
    pub const NONE: Deadline = Deadline(None);

    /// The deadline of a request that arrives now. A time that is too long to count is none.
    pub fn after(limit: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(limit))
    }

    /// The later one. No deadline is later than any.
    pub fn latest(self, other: Deadline) -> Deadline {
        Deadline(self.0.zip(other.0).map(|(one, other)| one.max(other)))
    }

    /// Returns whether there is a deadline.
    pub fn is_set(self) -> bool {
        self.0.is_some()
    }

    /// Returns whether it has passed.
    pub fn is_over(self) -> bool {
        self.0.is_some_and(|at| at <= Instant::now())
    }

    /// The time until the deadline, `limit` at most.
    pub fn within(self, limit: Duration) -> Duration {
        self.0.map_or(limit, |at| at.saturating_duration_since(Instant::now()).min(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_work_has_the_latest_deadline() {
        let (soon, late) = (Deadline::after(Duration::from_secs(1)), Deadline::after(Duration::from_secs(9)));
        assert_eq!(soon.latest(late), late);
        assert_eq!(late.latest(soon), late);
        assert_eq!(soon.latest(Deadline::NONE), Deadline::NONE);
    }

    #[test]
    fn a_time_too_long_to_count_is_no_deadline() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NONE);
        assert_eq!(Deadline::NONE.within(Duration::from_secs(3)), Duration::from_secs(3));
        assert!(Deadline::after(Duration::ZERO).is_over());
    }
}
