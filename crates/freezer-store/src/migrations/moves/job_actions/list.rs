//! Parses the text in `jobs.job_actions` into entries, and determines the action of each entry. This file does
//! not use the database.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::columns::do_not_fit;
use crate::json::lenient;

/// Default number of retries. Schedulers up to 18.0.0 read it from the entry, not from the action.
const MAX_RETRIES: i64 = 0;
/// Default seconds between retries, for the same reason.
const MAX_RETRIES_INTERVAL: i64 = 60;

/// Width of `actions.user_id`.
const USER_ID_WIDTH: usize = 64;

/// The parsed text of a job.
pub(super) enum ActionList {
    /// NULL, which no release writes. It contains no information about actions.
    Unsaid,
    /// Text that is not a list.
    Unreadable,
    /// Entries in order. `is_whole` tells whether they are the whole text.
    Entries { entries: Vec<ListEntry>, is_whole: bool },
}

/// An element of the list.
pub(super) struct ListEntry {
    /// Its original text.
    raw: String,
    /// Its members. `None` if it is not a complete object.
    members: Option<Map<String, Value>>,
    is_json: bool,
}

/// The content of an entry.
#[derive(Debug, PartialEq)]
pub(super) enum EntryContent<'a> {
    /// A reference to a stored action, with the options of the entry.
    Reference { id: &'a str, options: EntryOptions },
    /// The definition of an action.
    Definition(Definition<'a>),
    /// No action that can run.
    Nothing,
}

/// Options of an entry that override those of the action: retries, and the handling of earlier failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct EntryOptions {
    pub(super) max_retries: Option<i64>,
    pub(super) max_retries_interval: Option<i64>,
    pub(super) mandatory: Option<bool>,
}

/// The complete definition of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Definition<'a> {
    pub(super) freezer_action: Cow<'a, Map<String, Value>>,
    pub(super) max_retries: i64,
    pub(super) max_retries_interval: i64,
    pub(super) mandatory: bool,
}

impl ActionList {
    pub(super) fn read(text: Option<&str>) -> ActionList {
        let Some(text) = text else { return ActionList::Unsaid };
        // Releases store these texts for "no actions".
        if matches!(text.trim(), "" | "null" | "\"\"" | "[]" | "{}") {
            return ActionList::Entries { entries: Vec::new(), is_whole: true };
        }
        let Some(elements) = lenient::elements(text) else { return ActionList::Unreadable };
        let entry = |(place, read): (std::ops::Range<usize>, lenient::LenientValue)| ListEntry {
            raw: text.get(place).unwrap_or_default().to_owned(),
            members: match read.value {
                // Only a part of a broken object may have been parsed.
                Value::Object(members) if !read.is_broken => Some(members),
                _ => None,
            },
            is_json: read.is_json,
        };
        let is_whole = elements.is_whole;
        ActionList::Entries { entries: elements.list.into_iter().map(entry).collect(), is_whole }
    }

    pub(super) fn entries(&self) -> &[ListEntry] {
        match self {
            ActionList::Entries { entries, .. } => entries,
            _ => &[],
        }
    }

    /// Returns the part of the text that goes to `freezer_leftovers`, and its number of values. `is_used` tells
    /// whether an entry becomes a link. If the text cannot be split into entries, this is the whole text as one
    /// value. If no entry is used, it is the whole text, too. Otherwise it is a list of the entries that are not used, or not completely represented
    /// by a link.
    pub(super) fn leftover(
        &self,
        text: Option<&str>,
        mut is_used: impl FnMut(usize) -> bool,
    ) -> Option<(String, u64)> {
        let text = text.unwrap_or_default();
        let ActionList::Entries { entries, is_whole } = self else {
            return matches!(self, ActionList::Unreadable).then(|| (text.to_owned(), 1));
        };
        let kept: Vec<&str> = entries
            .iter()
            .enumerate()
            .filter(|(at, entry)| !is_used(*at) || entry.loses_something())
            // An empty text between two commas is not a value.
            .filter(|(_, entry)| !entry.raw.is_empty())
            .map(|(_, entry)| entry.raw.as_str())
            .collect();
        let values = kept.len() as u64;
        if !is_whole {
            return Some((text.to_owned(), 1));
        }
        let value =
            if kept.len() == entries.len() { text.to_owned() } else { format!("[{}]", kept.join(", ")) };
        (values > 0).then_some((value, values))
    }
}

/// Returns the number of values in a text that [`ActionList::leftover`] has returned.
pub(in crate::migrations) fn kept_values(text: &str) -> u64 {
    match ActionList::read(Some(text)) {
        ActionList::Entries { entries, is_whole: true } => {
            entries.iter().filter(|entry| !entry.raw.is_empty()).count() as u64
        }
        _ => 1,
    }
}

impl ListEntry {
    fn member(&self, key: &str) -> Option<&Value> {
        self.members.as_ref()?.get(key)
    }

    /// Returns the action id of this entry.
    pub(super) fn given_id(&self) -> Option<&str> {
        self.member("action_id").and_then(Value::as_str).filter(|id| !id.is_empty())
    }

    /// Returns the owner of the new action, if this entry has one and the column can store it.
    pub(super) fn user_id(&self) -> Option<&str> {
        let user_id = self.member("user_id").and_then(Value::as_str);
        user_id.filter(|id| {
            (1..=USER_ID_WIDTH).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        })
    }

    /// Returns whether this entry names an action to run. Otherwise it can neither be stored nor run.
    pub(super) fn names_an_action(&self) -> bool {
        let action = self.member("freezer_action").and_then(|definition| definition.get("action"));
        action.and_then(Value::as_str).is_some_and(|action| !action.is_empty())
    }

    /// Returns the content of this entry. If it does not name an action to run, it refers to the action with its
    /// id, as in freezer-api 19.0.0.
    pub(super) fn content(&self) -> EntryContent<'_> {
        let options = EntryOptions {
            max_retries: self.member("max_retries").and_then(number),
            max_retries_interval: self.member("max_retries_interval").and_then(number),
            mandatory: self.member("mandatory").filter(|value| !value.is_null()).map(is_true),
        };
        match (self.member("freezer_action"), self.given_id()) {
            (Some(Value::Object(definition)), _) if self.names_an_action() => {
                EntryContent::Definition(Definition {
                    freezer_action: Cow::Borrowed(definition),
                    max_retries: options.max_retries.unwrap_or(MAX_RETRIES),
                    max_retries_interval: options.max_retries_interval.unwrap_or(MAX_RETRIES_INTERVAL),
                    // All releases read it here when they store an action.
                    mandatory: options
                        .mandatory
                        .unwrap_or_else(|| definition.get("mandatory").is_some_and(is_true)),
                })
            }
            (_, Some(id)) => EntryContent::Reference { id, options },
            _ => EntryContent::Nothing,
        }
    }

    /// Returns whether a link to an action cannot represent this entry completely: if it is not valid JSON, has
    /// invalid numbers or users, an incomplete definition, or values that do not fit their columns.
    pub(super) fn loses_something(&self) -> bool {
        let odd = |key| {
            let value = self.member(key).filter(|value| !value.is_null());
            value.is_some_and(|value| number(value).map(Value::from).as_ref() != Some(value))
        };
        let is_part = match self.member("freezer_action") {
            Some(Value::Object(definition)) => match self.names_an_action() {
                true => do_not_fit(definition),
                false => definition.values().any(|value| !value.is_null()),
            },
            Some(other) => is_true(other),
            None => false,
        };
        let odd_user = self.member("user_id").is_some_and(is_true) && self.user_id().is_none();
        !self.is_json || odd_user || odd("max_retries") || odd("max_retries_interval") || is_part
    }
}

impl Definition<'_> {
    /// Applies the options of an entry.
    pub(super) fn with(self, options: EntryOptions) -> Self {
        Definition {
            max_retries: options.max_retries.unwrap_or(self.max_retries),
            max_retries_interval: options.max_retries_interval.unwrap_or(self.max_retries_interval),
            mandatory: options.mandatory.unwrap_or(self.mandatory),
            ..self
        }
    }
}

/// Returns the nearest integer that the column can store.
fn number(value: &Value) -> Option<i64> {
    let number = match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let number = number.as_f64()?;
            number.is_finite().then_some(number as i64)
        })?,
        Value::String(text) => text.trim().parse().ok()?,
        Value::Bool(flag) => i64::from(*flag),
        _ => return None,
    };
    Some(number.clamp(i32::MIN.into(), i32::MAX.into()))
}

/// Returns whether a value is true in Python, as in schedulers.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn entry(value: Value) -> ListEntry {
        let text = json!([value]).to_string();
        let ActionList::Entries { mut entries, .. } = ActionList::read(Some(&text)) else { panic!("{text}") };
        entries.remove(0)
    }

    #[test]
    fn an_entry_asks_for_an_action_or_defines_one() {
        let nothing = EntryOptions::default();
        for reference in [
            json!({"action_id": "x"}),
            json!({"action_id": "x", "freezer_action": {}}),
            json!({"action_id": "x", "freezer_action": null, "mandatory": null, "max_retries": null}),
            json!({"action_id": "x", "freezer_action": {"action": null}}),
            json!({"action_id": "x", "freezer_action": {"action": ""}}),
            json!({"action_id": "x", "freezer_action": {"mode": "fs"}}),
            json!({"action_id": "x", "freezer_action": "text"}),
        ] {
            assert_eq!(
                entry(reference.clone()).content(),
                EntryContent::Reference { id: "x", options: nothing },
                "{reference}"
            );
        }
        for none in [
            json!({}),
            json!("text"),
            json!(null),
            json!({"action_id": ""}),
            json!({"action_id": 5}),
            json!({"freezer_action": {"action": 5}}),
            json!({"freezer_action": {"mode": "fs"}}),
        ] {
            assert_eq!(entry(none.clone()).content(), EntryContent::Nothing, "{none}");
        }
        let entry =
            entry(json!({"freezer_action": {"action": "exec"}, "mandatory": true, "max_retries": "3"}));
        let EntryContent::Definition(definition) = entry.content() else { panic!("it defines one") };
        assert_eq!(definition.freezer_action.into_owned(), *json!({"action": "exec"}).as_object().unwrap());
        assert!(definition.mandatory);
        assert_eq!((definition.max_retries, definition.max_retries_interval), (3, 60));
    }

    #[test]
    fn mandatory_is_read_beside_the_definition_and_then_in_it() {
        for (beside, inside, expected) in [
            (r#""mandatory": true, "#, r#""mandatory": false"#, true),
            (r#""mandatory": false, "#, r#""mandatory": true"#, false),
            (r#""mandatory": null, "#, r#""mandatory": true"#, true),
            ("", r#""mandatory": true"#, true),
            ("", r#""mandatory": 1"#, true),
            ("", r#""mandatory": "no""#, true),
            ("", r#""mandatory": 0"#, false),
            ("", r#""mandatory": null"#, false),
            ("", r#""x": 1"#, false),
        ] {
            let text = format!(r#"[{{{beside}"freezer_action": {{"action": "exec", {inside}}}}}]"#);
            let list = ActionList::read(Some(&text));
            let EntryContent::Definition(definition) = list.entries()[0].content() else { panic!("{text}") };
            assert_eq!(definition.mandatory, expected, "{text}");
        }
        // tries are read beside the definition only, by schedulers and by the API
        let list = ActionList::read(Some(
            r#"[{"freezer_action": {"action": "exec", "max_retries": 9, "max_retries_interval": 7}}]"#,
        ));
        let EntryContent::Definition(definition) = list.entries()[0].content() else {
            panic!("it defines one")
        };
        assert_eq!((definition.max_retries, definition.max_retries_interval), (0, 60));
    }

    #[test]
    fn an_entry_may_give_the_user_of_its_action() {
        let long = "u".repeat(65);
        for (user, expected, is_odd) in [
            (json!("U2"), Some("U2"), false),
            (json!(""), None, false),
            (json!(null), None, false),
            (json!(5), None, true),
            (json!("\u{2603}"), None, true),
            (json!(long), None, true),
        ] {
            let entry = entry(json!({"user_id": user, "freezer_action": {"action": "exec"}}));
            assert_eq!((entry.user_id(), entry.loses_something()), (expected, is_odd), "{user}");
        }
    }

    #[test]
    fn numbers_and_flags_mean_what_they_meant_to_schedulers() {
        for (value, expected) in [
            (json!(3), Some(3)),
            (json!("7"), Some(7)),
            (json!(2.0), Some(2)),
            (json!(true), Some(1)),
            (json!(99_999_999_999_i64), Some(i64::from(i32::MAX))),
            (json!("many"), None),
            (json!([]), None),
        ] {
            assert_eq!(number(&value), expected, "{value}");
        }
        for (value, expected) in
            [(json!(1), true), (json!(0), false), (json!("no"), true), (json!(""), false), (json!([]), false)]
        {
            assert_eq!(is_true(&value), expected, "{value}");
        }
    }

    #[test]
    fn only_what_is_of_no_use_is_left_over() {
        let left = |text: &str, used: &[usize]| {
            ActionList::read(Some(text)).leftover(Some(text), |at| used.contains(&at))
        };
        let some = |value: &str, values: u64| Some((value.to_owned(), values));
        assert_eq!(left(r#"[{"action_id": "a"}, "text", null]"#, &[0]), some(r#"["text", null]"#, 2));
        assert_eq!(left(r#"["text", {}]"#, &[]), some(r#"["text", {}]"#, 2));
        assert_eq!(left(r#"[{"action_id": "a"}]"#, &[0]), None);
        // values that a link does not have
        for lost in [
            r#"{"action_id": "a", "freezer_action": {"mode": "fs"}}"#,
            r#"{"action_id": "a", "freezer_action": ["x"]}"#,
            r#"{"action_id": "a", "max_retries": "many"}"#,
            r#"{"action_id": "a", "max_retries": 99999999999}"#,
            r#"{"action_id": "a", "max_retries_interval": 1.5}"#,
        ] {
            let text = format!(r#"[{{"action_id": "b"}}, {lost}]"#);
            assert_eq!(left(&text, &[0, 1]), some(&format!("[{lost}]"), 1), "{lost}");
        }
        // of values that are not JSON, the entry is kept
        let text =
            r#"[{"action_id": "a", "freezer_action": {"action": "exec", "x": NaN}}, {"action_id": "b"}]"#;
        let odd = r#"[{"action_id": "a", "freezer_action": {"action": "exec", "x": NaN}}]"#;
        assert_eq!(left(text, &[0, 1]), some(odd, 1));
        assert_eq!(left(r#"[{"action_id": "a"}, NaN, {"action_id": "b"}]"#, &[0, 2]), some("[NaN]", 1));
        assert_eq!(left(r#"[{"action_id": "a"},, {"action_id": "b"},]"#, &[0, 2]), None);
        let broken = r#"{"action_id": "a", "x": 1 "y": 2}"#;
        let text = format!(r#"[{broken}, {{"action_id": "b"}}]"#);
        assert_eq!(left(&text, &[1]), some(&format!("[{broken}]"), 1));
        // a list without an end is kept whole, and one with something behind it
        let text = r#"[{"action_id": "a"}] {"action_id": "b"}"#;
        assert_eq!(left(text, &[0]), some(text, 1));
        let text =
            r#"[{"action_id": "a"}, {"action_id": "b", "freezer_action": {"action": "exec", "path": "/va"#;
        assert_eq!(left(text, &[0]), some(text, 1));
        assert_eq!(ActionList::read(Some(text)).entries()[1].content(), EntryContent::Nothing);
        for text in [r#"{"action_id": "a"}"#, r#""[]""#, "5", "nonsense"] {
            assert_eq!(left(text, &[]), some(text, 1), "{text}");
        }
        for text in ["", "null", "\"\"", "[]", "{}", " "] {
            assert_eq!(left(text, &[]), None, "{text:?}");
        }
        assert_eq!(ActionList::read(None).leftover(None, |_| false), None);
    }
}
