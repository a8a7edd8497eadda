//! Times: the time of a backup as a number that an index can sort.
//!
//! The time of a backup is the `time_stamp` of its metadata. A search can limit it (`Search::time_after`). It
//! is read as a float, whose bits are stored as a whole number with the same order ([`key`]), so the database
//! decides exactly like [`Search`](super::Search). Times are stored, so their computation must never change.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::{Search, number};

/// The stored value of a backup without a time. It is less than every time.
pub(crate) const NONE: i64 = i64::MIN;

/// Returns the stored time of a backup's metadata.
pub(crate) fn of_metadata(metadata: &Map<String, Value>) -> i64 {
    metadata.get("time_stamp").and_then(number).map_or(NONE, key)
}

/// Converts a float to a whole number with the same order. NaN has no time.
fn key(time: f64) -> i64 {
    if time.is_nan() {
        return NONE;
    }
    // 0.0 and -0.0 are equal but have different bits.
    let bits = if time == 0.0 { 0 } else { time.to_bits().cast_signed() };
    // For negative floats, larger bits mean smaller numbers.
    bits ^ ((bits >> 63) & i64::MAX)
}

/// Returns the range of stored times of a search. Returns `None` if it accepts all backups, including those
/// without a time.
pub(crate) fn range(search: &Search) -> Option<RangeInclusive<i64>> {
    let Search { time_after: after, time_before: before, .. } = search;
    (after.is_some() || before.is_some())
        .then(|| key(after.unwrap_or(f64::NEG_INFINITY))..=key(before.unwrap_or(f64::INFINITY)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn stored(time_stamp: &Value) -> i64 {
        of_metadata(json!({"time_stamp": time_stamp}).as_object().unwrap())
    }

    fn stamps() -> Vec<Value> {
        let huge = ["1e999", "-1e999", "123456789012345678901234567890", "-0.0"];
        let written = huge.iter().map(|text| serde_json::from_str(text).unwrap());
        let texts = [
            "1",
            " 1795341600 ",
            "1.5",
            "-7",
            "inf",
            "-inf",
            "nan",
            "1e400",
            "",
            "now",
            "0x10",
            "1_000",
            "+3",
        ];
        let others =
            [json!(null), json!(true), json!([1]), json!({"time_stamp": 1}), json!(0), json!(1), json!(1.0)];
        let numbers = [
            1_795_341_600.0,
            1_795_341_600.25,
            -1.0,
            -2.5,
            1e300,
            -1e300,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
        ];
        let exact =
            [json!(9_007_199_254_740_993_u64), json!(u64::MAX), json!(i64::MIN), json!(1_795_341_601)];
        written
            .chain(texts.map(Value::from))
            .chain(others)
            .chain(numbers.map(Value::from))
            .chain(exact)
            .collect()
    }

    #[test]
    fn the_computation_of_stored_times_does_not_change() {
        for (stamp, expected) in [
            (json!(0), 0),
            (json!(-0.0), 0),
            (json!(1), 0x3ff0_0000_0000_0000),
            (json!("1.0"), 0x3ff0_0000_0000_0000),
            (json!(1_795_341_600), 0x41da_c0af_4800_0000),
            (json!(-1), -0x3ff0_0000_0000_0001),
            (json!("inf"), 0x7ff0_0000_0000_0000),
            (json!("nan"), NONE),
            (json!(null), NONE),
        ] {
            assert_eq!(stored(&stamp), expected, "{stamp}: {:#x}", stored(&stamp));
        }
        assert_eq!(of_metadata(&Map::new()), NONE);
    }

    #[test]
    fn a_range_contains_the_times_that_a_search_accepts() {
        let bounds =
            stamps().iter().filter_map(number).filter(|time| time.is_finite()).map(Some).collect::<Vec<_>>();
        let bounds = || bounds.iter().copied().chain([None]);
        for stamp in stamps() {
            let document = json!({"backup_metadata": {"time_stamp": stamp}});
            for time_after in bounds() {
                for time_before in bounds() {
                    let search = Search { time_after, time_before, ..Search::default() };
                    let within = range(&search).is_none_or(|range| range.contains(&stored(&stamp)));
                    assert_eq!(within, search.accepts(&document, &[]), "{stamp} in {search:?}");
                }
            }
        }
    }
}
