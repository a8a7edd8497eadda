//! Percentiles of latencies and medians of repetitions.

use std::time::Duration;

/// The sorted latencies of a run.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Sorts the latencies.
    pub fn new(mut measured: Vec<Duration>) -> Latencies {
        measured.sort_unstable();
        Latencies(measured)
    }

    /// Returns the number of latencies.
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Returns the latency in milliseconds that `percent` % of the requests did not exceed. This is the nearest rank, so
    /// it is always a measured value. Returns `None` if there are fewer than 100 / (100 − percent) requests, because the
    /// result would be the maximum.
    pub fn percentile(&self, percent: u32) -> Option<f64> {
        let count = self.0.len();
        let rest = 100_u32.saturating_sub(percent) as usize;
        if count == 0 || count * rest < 100 && percent > 50 {
            return None;
        }
        let rank = (count * percent as usize).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().map(millis)
    }

    /// Returns the maximum in milliseconds.
    pub fn max(&self) -> Option<f64> {
        self.0.last().copied().map(millis)
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Returns the middle value, or the mean of the two middle values. Returns `None` if there are no values.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    values.get(middle.checked_sub(1)?).map(|lower| (lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn from_millis(values: impl IntoIterator<Item = u64>) -> Latencies {
        Latencies::new(values.into_iter().map(Duration::from_millis).collect())
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let latencies = from_millis((1..=100).rev());
        assert_eq!(latencies.count(), 100);
        assert_eq!(latencies.percentile(50), Some(50.0));
        assert_eq!(latencies.percentile(90), Some(90.0));
        assert_eq!(latencies.percentile(99), Some(99.0));
        assert_eq!(latencies.max(), Some(100.0));
        // With 101 values, the rank is rounded up.
        assert_eq!(from_millis(1..=101).percentile(50), Some(51.0));
    }

    #[test]
    fn a_percentile_needs_enough_requests() {
        assert_eq!(from_millis(1..=99).percentile(99), None);
        assert_eq!(from_millis(1..=9).percentile(90), None);
        assert_eq!(from_millis(1..=10).percentile(90), Some(9.0));
        assert_eq!(from_millis([7]).percentile(50), Some(7.0));
        assert_eq!(from_millis([]).percentile(50), None);
        assert_eq!(from_millis([]).max(), None);
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0]), Some(2.5));
        assert_eq!(median([5.0, f64::NAN]), Some(5.0));
        assert_eq!(median([]), None);
    }
}
