//! [`Search`]: the conditions of a list, in addition to the scope.
//!
//! [`Search::accepts`] defines the meaning of a search in the simplest form. A list does not call it: the
//! database skips most rows (`query/narrow.rs`), and a matcher checks the text of the others without a tree
//! (`matcher.rs`). Tests compare both with this definition. The service parses a search from a request body.

pub(crate) mod action_terms;
mod matcher;
pub(crate) mod terms;
pub(crate) mod times;

use serde_json::{Map, Value};

pub(crate) use matcher::{Level, MatchResult, Matcher};

/// Conditions on documents. All of them must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Search {
    /// Each key must occur with this value.
    pub matches: Vec<(String, Value)>,
    /// No key may occur with its value.
    pub match_not: Vec<(String, Value)>,
    /// Each text must occur in some string of the document, in either case.
    pub texts: Vec<String>,
    /// No text may occur.
    pub texts_not: Vec<String>,
    /// `backup_metadata.time_stamp` at or after this, seconds since 1970.
    pub time_after: Option<f64>,
    /// `backup_metadata.time_stamp` at or before this, seconds since 1970.
    pub time_before: Option<f64>,
}

impl Search {
    /// Returns whether the search accepts every document.
    pub fn is_empty(&self) -> bool {
        *self == Search::default()
    }

    /// Returns whether the search requires a value of this key.
    pub(crate) fn names(&self, key: &str) -> bool {
        self.matches.iter().any(|(named, _)| named == key)
    }

    /// Returns whether the search accepts the document.
    ///
    /// `identity` contains the keys that identify the document (`client_id`, `job_id`, …). For these keys
    /// only the value at the top level counts. A key with the same name deep in an action must not send a job
    /// to another node, because schedulers do not check this again. All other keys count at any depth.
    ///
    /// Lists use a faster form (see the module), which must agree with this function.
    pub fn accepts(&self, document: &Value, identity: &[&str]) -> bool {
        let has = |(key, value): &(String, Value)| {
            if identity.contains(&key.as_str()) {
                document.get(key).is_some_and(|found| same(found, value))
            } else {
                occurs(document, key, value)
            }
        };
        self.matches.iter().all(has)
            && !self.match_not.iter().any(has)
            && self.texts.iter().all(|text| contains(document, &text.to_lowercase()))
            && !self.texts_not.iter().any(|text| contains(document, &text.to_lowercase()))
            && self.in_time(document)
    }

    fn in_time(&self, document: &Value) -> bool {
        if self.time_after.is_none() && self.time_before.is_none() {
            return true;
        }
        let stamp = document.pointer("/backup_metadata/time_stamp").and_then(number);
        stamp.is_some_and(|stamp| self.bounds(stamp))
    }

    fn bounds(&self, stamp: f64) -> bool {
        self.time_after.is_none_or(|after| stamp >= after)
            && self.time_before.is_none_or(|before| stamp <= before)
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn occurs(document: &Value, key: &str, wanted: &Value) -> bool {
    match document {
        Value::Object(map) => {
            map.get(key).is_some_and(|value| same(value, wanted))
                || map.values().any(|value| occurs(value, key, wanted))
        }
        Value::Array(items) => items.iter().any(|item| occurs(item, key, wanted)),
        _ => false,
    }
}

fn contains(document: &Value, lowercase: &str) -> bool {
    match document {
        Value::String(text) => text.to_lowercase().contains(lowercase),
        Value::Object(map) => map.values().any(|value| contains(value, lowercase)),
        Value::Array(items) => items.iter().any(|item| contains(item, lowercase)),
        _ => false,
    }
}

/// Compares values like the clients of the Python service: `1`, `1.0` and `true` are equal, and the order of
/// keys does not matter.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => same_maps(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Number(_) | Value::Bool(_), Value::Number(_) | Value::Bool(_)) => {
            left == right || same_numbers(left, right)
        }
        _ => left == right,
    }
}

fn same_maps(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
}

fn same_numbers(left: &Value, right: &Value) -> bool {
    let whole = |value: &Value| match value {
        Value::Bool(flag) => Some(i128::from(*flag)),
        other => other.as_number().and_then(serde_json::Number::as_i128),
    };
    match (whole(left), whole(right)) {
        // Exact: as floats, neighbouring numbers beyond 2^53 would be equal.
        (Some(left), Some(right)) => left == right,
        _ => {
            let float =
                |value: &Value| value.as_f64().or_else(|| value.as_bool().map(|b| f64::from(u8::from(b))));
            float(left).is_some() && float(left) == float(right)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matching(key: &str, value: Value) -> Search {
        Search { matches: vec![(key.to_owned(), value)], ..Search::default() }
    }

    #[test]
    fn a_key_counts_at_any_depth() {
        let job = json!({"job_schedule": {"status": "completed"}, "job_actions": [
            {"freezer_action": {"status": "x", "mode": "fs"}}, {"freezer_action": {"mode": "mysql"}}]});
        for (key, value, expected) in [
            ("status", json!("completed"), true),
            ("status", json!("x"), true),
            ("mode", json!("mysql"), true),
            ("mode", json!("nova"), false),
            ("absent", Value::Null, false),
        ] {
            assert_eq!(matching(key, value.clone()).accepts(&job, &[]), expected, "{key} {value}");
            let not = Search { match_not: vec![(key.into(), value.clone())], ..Search::default() };
            assert_eq!(not.accepts(&job, &[]), !expected, "not {key} {value}");
        }
    }

    #[test]
    fn an_identity_key_counts_only_at_the_top_level() {
        let job =
            json!({"client_id": "node-1", "job_actions": [{"freezer_action": {"client_id": "node-2"}}]});
        assert!(matching("client_id", json!("node-1")).accepts(&job, &["client_id"]));
        assert!(!matching("client_id", json!("node-2")).accepts(&job, &["client_id"]));
        assert!(matching("client_id", json!("node-2")).accepts(&job, &[]));
    }

    #[test]
    fn free_text_is_found_in_any_string_ignoring_case() {
        let session = json!({"description": "Nächtlich", "schedule": {"schedule_interval": "5 days"}});
        let text = |text: &str| Search { texts: vec![text.into()], ..Search::default() };
        assert!(text("NÄCHT").accepts(&session, &[]));
        assert!(text("5 DAY").accepts(&session, &[]));
        assert!(!text("description").accepts(&session, &[]), "keys are not searched");
    }

    #[test]
    fn numbers_are_compared_by_value() {
        for (a, b, expected) in [
            (json!(1), json!(1.0), true),
            (json!(true), json!(1), true),
            (json!("1"), json!(1), false),
            (json!([1, {"a": 2}]), json!([1.0, {"a": 2}]), true),
            (json!(0), json!(null), false),
        ] {
            assert_eq!(same(&a, &b), expected, "{a} {b}");
        }
    }

    #[test]
    fn times_limit_the_time_stamp_of_a_backup() {
        let backup = json!({"backup_metadata": {"time_stamp": 100}});
        let between = |after, before| Search { time_after: after, time_before: before, ..Search::default() };
        assert!(between(Some(100.0), Some(100.0)).accepts(&backup, &[]));
        assert!(!between(Some(101.0), None).accepts(&backup, &[]));
        assert!(!between(None, Some(99.0)).accepts(&backup, &[]));
        assert!(!between(Some(0.0), None).accepts(&json!({"backup_metadata": {}}), &[]));
    }
}
