//! [`RepeatedEvents`]: summarizes events that repeat many times. The first one is logged at once, and then one line per minute
//! has the number of further ones.
//!
//! The caller writes the lines, so each line has the logger and the level of its module.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Time between two lines.
const MINUTE: Duration = Duration::from_secs(60);

/// Counts events of one kind. Clones share the count.
#[derive(Debug, Clone)]
pub struct RepeatedEvents {
    period: Duration,
    state: Arc<Mutex<EventState>>,
}

#[derive(Debug, Default)]
struct EventState {
    /// The events since the last line. `None`: there was none for a minute.
    count: Option<EventCount>,
    /// Number of series so far. A task that counts an earlier series ends.
    series: u64,
}

/// The events since the last line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventCount {
    /// Their number.
    pub events: u64,
    /// The reason for the last one.
    pub last: String,
}

impl Default for RepeatedEvents {
    fn default() -> RepeatedEvents {
        RepeatedEvents { period: MINUTE, state: Arc::default() }
    }
}

impl RepeatedEvents {
    /// Counts events with another time between two lines, for tests.
    #[must_use]
    pub fn every(period: Duration) -> RepeatedEvents {
        RepeatedEvents { period, ..RepeatedEvents::default() }
    }

    /// Counts this number of events. Returns true for the first one of a series, which must be logged at once. Further ones are
    /// counted, and `log` is called once per minute with their number, until there is none for a minute.
    pub fn add(&self, events: u64, reason: &str, log: impl Fn(&EventCount) + Send + 'static) -> bool {
        let series = {
            let mut state = self.state();
            if let Some(count) = &mut state.count {
                count.events += events;
                reason.clone_into(&mut count.last);
                return false;
            }
            state.count = Some(EventCount::default());
            state.series += 1;
            state.series
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.clone().log_further(series, log));
        }
        true
    }

    /// Ends the series. Its further events are not logged any more.
    pub fn end(&self) {
        self.state().count = None;
    }

    async fn log_further(self, series: u64, log: impl Fn(&EventCount)) {
        loop {
            tokio::time::sleep(self.period).await;
            match self.take(series) {
                Some(count) => log(&count),
                None => return,
            }
        }
    }

    /// Returns the events since the last call. If there are none, the series ends.
    fn take(&self, series: u64) -> Option<EventCount> {
        let mut state = self.state();
        if state.series != series {
            return None;
        }
        let count = state.count.replace(EventCount::default()).filter(|count| count.events > 0);
        if count.is_none() {
            state.count = None;
        }
        count
    }

    fn state(&self) -> MutexGuard<'_, EventState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_of_a_series_is_told_apart_and_further_ones_are_counted() {
        let repeated = RepeatedEvents::default();
        for series in 1..=2 {
            assert!(repeated.add(1, "first", |_| ()));
            for number in [3, 5] {
                for event in 1..=number {
                    assert!(!repeated.clone().add(2, &format!("event {event}"), |_| ()));
                }
                let expected = EventCount { events: number * 2, last: format!("event {number}") };
                assert_eq!(repeated.take(series), Some(expected));
            }
            assert_eq!(repeated.take(series), None, "a minute without an event");
        }
        assert!(repeated.add(1, "first", |_| ()) && !repeated.add(1, "second", |_| ()));
        repeated.end();
        assert_eq!(repeated.take(3), None, "the series has ended");
        assert!(repeated.add(1, "first", |_| ()));
        assert_eq!(repeated.take(3), None, "the task of an earlier series ends");
    }

    #[test]
    fn a_line_has_the_number_of_each_period() {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else {
            panic!("no runtime")
        };
        let lines: Arc<Mutex<Vec<EventCount>>> = Arc::default();
        runtime.block_on(async {
            let repeated = RepeatedEvents::every(Duration::from_millis(50));
            for event in 0..4 {
                let lines = lines.clone();
                let log = move |count: &EventCount| {
                    lines.lock().unwrap_or_else(PoisonError::into_inner).push(count.clone());
                };
                assert_eq!(repeated.add(1, &event.to_string(), log), event == 0);
            }
            for _ in 0..200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if repeated.state().count.is_none() {
                    break;
                }
            }
        });
        let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*lines, [EventCount { events: 3, last: "3".to_owned() }]);
    }
}
