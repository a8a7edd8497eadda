//! Terms of actions: the content of an action as numbers, which are keys of a table.
//!
//! Each pair of a key and a value that an action shows inside a job is a term of 64 bits, unless a search for
//! jobs compares the key only with the job itself. A row of `fz_action_terms` says that an action has a term.
//! Two pairs may share a term, so the matcher still checks every job that is found (`matcher.rs`).
//!
//! Terms are stored, so their computation must never change. `migrations/action_terms.rs` describes the
//! tables, and `query/action_terms.rs` reads and writes them. See `docs/adr/0014-terms-of-actions.md`.
//! written in `query/action_terms.rs`. The reasons are in `docs/adr/0014-terms-of-actions.md`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::terms;
use crate::model::{Action, ActionDefinition};

/// The term of a pair of a key and a value.
pub(crate) type ActionTerm = i64;

/// The term of an action whose pairs are unknown, because there are too many or they are unreadable. Every
/// search finds it.
pub(crate) const UNKNOWN: ActionTerm = 0;

/// The term of the row that says that the table is complete: it has no project and no action. `db sync` adds it, so it is gone if
/// the table was emptied or made again.
pub(crate) const MARK: ActionTerm = -1;

/// Bits of a term that [`weight`] uses.
pub(crate) const MASK: u32 = 0x7fff_ffff;

/// Maximum number of an action's terms.
const MAX_TERMS: usize = 80;

/// Keys that a search for jobs compares only with the job itself.
pub(crate) const JOB_KEYS: &[&str] = &["client_id", "job_id", "session_id", "project_id", "user_id"];

/// The keys of a job's schedule in the API. The server checks schedules for other keys
/// (`Dialect::has_usual_schedule`) with an expression that is stored with the tables, so this list must never
/// change.
pub(crate) const SCHEDULE_KEYS: [&str; 19] = [
    "time_created",
    "time_started",
    "time_ended",
    "event",
    "status",
    "result",
    "schedule_date",
    "schedule_interval",
    "schedule_start_date",
    "schedule_end_date",
    "schedule_year",
    "schedule_month",
    "schedule_day",
    "schedule_week",
    "schedule_day_of_week",
    "schedule_hour",
    "schedule_minute",
    "schedule_second",
    "current_pid",
];

/// Returns the term of a pair.
pub(crate) fn term(key: &str, value: &Value) -> ActionTerm {
    terms::hash(key, value).cast_signed()
}

/// Returns the terms of an action in the form that a job shows.
pub(crate) fn of_action(action: &Action) -> BTreeSet<ActionTerm> {
    let mut found = Collector { terms: BTreeSet::new(), unknown: false, depth: 0 };
    let Action { action_id, max_retries, max_retries_interval, mandatory, freezer_action, .. } = action;
    found.add("action_id", &action_id.as_str().into());
    for (key, number) in [("max_retries", max_retries), ("max_retries_interval", max_retries_interval)] {
        if let Some(number) = number {
            found.add(key, &(*number).into());
        }
    }
    found.add("mandatory", &(*mandatory).into());
    found.add("freezer_action", &Value::Array(Vec::new()));
    found.walk(freezer_action.get());
    if found.unknown { unknown() } else { found.terms }
}

/// Returns the terms of an action whose pairs are unknown.
pub(crate) fn unknown() -> BTreeSet<ActionTerm> {
    BTreeSet::from([UNKNOWN])
}

/// Returns terms in their stored form.
pub(crate) fn to_bytes(terms: &BTreeSet<ActionTerm>) -> Vec<u8> {
    terms.iter().flat_map(|term| term.to_be_bytes()).collect()
}

/// Returns terms from their stored form.
pub(crate) fn from_bytes(bytes: &[u8]) -> BTreeSet<ActionTerm> {
    bytes.as_chunks().0.iter().map(|bytes| ActionTerm::from_be_bytes(*bytes)).collect()
}

/// Returns the number by which rows of an action are summed (`migrations/term_sums.rs`), as `Dialect::crc_of_ids` does.
pub(crate) fn number(project_id: &str, action_id: &str) -> u32 {
    terms::crc(&[project_id, action_id].join(SEPARATOR))
}

/// Returns the factor of a term in sums.
pub(crate) fn weight(term: ActionTerm) -> u32 {
    (term & i64::from(MASK)) as u32 + 1
}

/// Returns the checksum of a row of `actions`, as [`crc`], from the texts of its columns.
pub(crate) fn crc_of_columns(columns: Vec<Option<String>>) -> u32 {
    let columns: Vec<String> =
        columns.into_iter().map(|column| column.unwrap_or_else(|| NULL.to_owned())).collect();
    terms::crc(&columns.join(SEPARATOR))
}

/// Returns the checksum of a row of `actions`. MySQL computes the same value (`Dialect::crc_of_action`) if
/// the row's texts are stored in UTF-8. `text` is the stored definition.
pub(crate) fn crc(action_id: &str, project_id: &str, new: &ActionDefinition, text: &str) -> u32 {
    let columns = &new.columns;
    let text_of = |value: &Option<String>| value.clone().unwrap_or_else(|| NULL.to_owned());
    let number_of = |value: Option<i64>| value.map_or_else(|| NULL.to_owned(), |number| number.to_string());
    let parts = [
        action_id.to_owned(),
        project_id.to_owned(),
        columns.action.clone(),
        text_of(&columns.mode),
        text_of(&columns.path_to_backup),
        text_of(&columns.backup_name),
        text_of(&columns.container),
        text_of(&columns.log_file),
        number_of(columns.timeout),
        number_of(columns.priority),
        number_of(Some(new.max_retries)),
        number_of(Some(new.max_retries_interval)),
        number_of(Some(new.mandatory.into())),
        text.to_owned(),
    ];
    terms::crc(&parts.join(SEPARATOR))
}

/// Stands for NULL, and separates columns, in the text of [`crc`].
const NULL: &str = "\u{18}";
const SEPARATOR: &str = "\u{1f}";

/// Collects the pairs of JSON text like a matcher reads them.
struct Collector {
    terms: BTreeSet<ActionTerm>,
    unknown: bool,
    /// Nesting depth of the current value.
    depth: usize,
}

/// Maximum nesting of objects and lists.
const DEPTH: usize = 120;

impl Collector {
    fn add(&mut self, key: &str, value: &Value) {
        if !JOB_KEYS.contains(&key) {
            self.terms.insert(term(key, value));
            self.unknown |= self.terms.len() > MAX_TERMS;
        }
    }

    fn member(&mut self, key: &str, value: &str) {
        match value.as_bytes().first() {
            // All objects and lists have the same term.
            Some(b'{' | b'[') => self.add(key, &Value::Array(Vec::new())),
            _ => match serde_json::from_str(value) {
                Ok(value) => self.add(key, &value),
                Err(_) => self.unknown = true,
            },
        }
        self.walk(value);
    }

    fn walk(&mut self, text: &str) {
        self.unknown |= self.depth >= DEPTH;
        if self.unknown {
            return;
        }
        self.depth += 1;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let walked = match text.as_bytes().first() {
            Some(b'{') => deserializer.deserialize_map(&mut *self),
            Some(b'[') => deserializer.deserialize_seq(&mut *self),
            _ => Ok(()),
        };
        self.depth -= 1;
        self.unknown |= walked.is_err();
    }
}

/// A key, borrowed if it has no escapes.
#[derive(Deserialize)]
struct JsonKey<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for &mut Collector {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((JsonKey(key), value)) = map.next_entry::<JsonKey<'de>, &'de RawValue>()? {
            self.member(&key, value.get());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            self.walk(item.get());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn action(text: &str) -> Action {
        Action {
            project_id: "p1".to_owned(),
            action_id: "a1".to_owned(),
            user_id: "u1".to_owned(),
            max_retries: Some(5),
            max_retries_interval: None,
            mandatory: true,
            freezer_action: RawValue::from_string(text.to_owned()).unwrap(),
            timeout: None,
        }
    }

    #[test]
    fn an_action_has_the_terms_of_all_searchable_pairs() {
        let text = r#"{"mode": "fs", "n": 1, "n": 2, "list": [{"deep": null}, [{"x": 1.0}]], "caf\u00e9": "\u263a",
                       "client_id": "node", "project_id": "p9"}"#;
        let found = of_action(&action(text));
        for (key, value) in [
            ("mode", json!("fs")),
            ("n", json!(1)),
            ("n", json!(2.0)),
            ("list", json!([])),
            ("list", json!({"any": 1})),
            ("deep", json!(null)),
            ("x", json!(true)),
            ("café", json!("☺")),
            ("action_id", json!("a1")),
            ("max_retries", json!(5)),
            ("mandatory", json!(1)),
            ("freezer_action", json!({})),
        ] {
            assert!(found.contains(&term(key, &value)), "{key} {value}");
        }
        assert_eq!(found.len(), 11, "1 and 2 are equal to 1.0 and 2.0; keys of jobs do not count");
        assert_eq!(from_bytes(&to_bytes(&found)), found);
    }

    #[test]
    fn too_many_pairs_are_unknown() {
        let text = |count: usize| {
            let members = (0..count).map(|n| (format!("k{n}"), json!(n)));
            Value::Object(members.collect()).to_string()
        };
        assert_eq!(of_action(&action(&text(76))).len(), 80);
        assert_eq!(of_action(&action(&text(77))), unknown());
    }

    #[test]
    fn the_computation_of_stored_terms_does_not_change() {
        for (key, value, expected) in [
            ("mode", json!("mysql"), 4_410_646_728_262_213_210_i64),
            ("timeout", json!(60), -4_208_284_361_478_735_665),
            ("note", json!(null), 1_110_233_231_770_409_218),
            ("tags", json!([]), 5_059_265_037_608_802_114),
        ] {
            assert_eq!(term(key, &value), expected, "{key} {value}");
        }
    }
}
