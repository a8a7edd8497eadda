//! [`Deadline`]: the time limit of a request's work. This file does not wait.

use std::time::Duration;

use tokio::time::Instant;

/// The time at which a request stops waiting for its result, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// No deadline: work is tried a few times and fails fast.
    pub const NONE: Deadline = Deadline(None);

    /// Returns the deadline of a request that arrives now. If the limit is too long to represent, there is no
    /// deadline.
    pub fn after(limit: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(limit))
    }

    /// Returns the later deadline. No deadline counts as the latest.
    pub fn latest(self, other: Deadline) -> Deadline {
        Deadline(self.0.zip(other.0).map(|(one, other)| one.max(other)))
    }

    /// Returns a deadline that is later by this time.
    #[must_use]
    pub fn later(self, by: Duration) -> Deadline {
        Deadline(self.0.and_then(|at| at.checked_add(by)))
    }

    /// Returns whether there is a deadline.
    pub fn is_set(self) -> bool {
        self.0.is_some()
    }

    /// Returns whether it has passed.
    pub fn is_over(self) -> bool {
        self.0.is_some_and(|at| at <= Instant::now())
    }

    /// Returns the time until the deadline, at most `limit`.
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
    fn a_deadline_can_be_moved() {
        let soon = Deadline::after(Duration::from_secs(1));
        assert_eq!(soon.later(Duration::from_secs(8)).latest(soon), soon.later(Duration::from_secs(8)));
        assert!(soon.later(Duration::from_secs(8)).within(Duration::MAX) > Duration::from_secs(8));
        assert_eq!(soon.later(Duration::MAX), Deadline::NONE);
        assert_eq!(Deadline::NONE.later(Duration::from_secs(8)), Deadline::NONE);
    }

    #[test]
    fn a_limit_too_long_to_represent_is_no_deadline() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NONE);
        assert_eq!(Deadline::NONE.within(Duration::from_secs(3)), Duration::from_secs(3));
        assert!(Deadline::after(Duration::ZERO).is_over());
    }
}
