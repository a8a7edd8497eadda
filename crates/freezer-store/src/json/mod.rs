//! JSON in TEXT columns: writing it, and reading text that other programs wrote.
//!
//! It is written in ASCII with `\uXXXX` escapes, like the Python service does, so every character also fits a
//! table in utf8mb3. It is read leniently for display, because one unreadable row must not fail a whole page,
//! and with it the poll of a scheduler. A change of such a row keeps the readable parts (see
//! [`object_to_change`]). `members.rs` changes an object without parsing it into a tree, `lenient.rs` reads text
//! that is almost JSON, and `memory.rs` estimates the memory of a tree.

pub(crate) mod lenient;
mod members;
mod memory;

pub(crate) use members::{is_empty, replace_values};
pub use memory::{MOST_MEMORY_PER_BYTE, end_of_string, tree_memory};

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::StoreError;
use crate::heavy;

/// The table, column and row of a stored text, for the log and for [`StoreError::Corrupt`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredField<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) id: &'a str,
}

impl StoredField<'_> {
    fn corrupt(&self, reason: impl ToString) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            column: self.column,
            id: self.id.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Returns a value as ASCII JSON text for a column.
pub(crate) fn to_text(value: &impl Serialize) -> String {
    let mut out = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Ascii);
    // Values come from parsed JSON or our own structs, so this cannot fail.
    if value.serialize(&mut serializer).is_err() {
        return "null".to_owned();
    }
    String::from_utf8(out).unwrap_or_else(|_| "null".to_owned())
}

/// Returns the number of bytes of a value in a column.
pub fn stored_size(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    match value.serialize(&mut serde_json::Serializer::with_formatter(&mut counter, Ascii)) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}

/// Returns stored JSON without parsing it into a tree, and `{}` for NULL, "" and JSON null. Values that are
/// not JSON are logged and become null. A text that is not an object is logged and becomes `{}`.
pub(crate) fn raw_object(text: Option<String>, place: StoredField<'_>) -> Box<RawValue> {
    let text = match text {
        Some(text) if !is_blank(&text) => text,
        _ => return empty(),
    };
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(_) => RawValue::from_string(text).unwrap_or_else(|_| empty()),
        Err(error) => {
            serde_json::value::to_raw_value(&parts(&text, error, place)).unwrap_or_else(|_| empty())
        }
    }
}

/// Returns the readable parts of an object that is almost JSON. Values that are not JSON become null. If the
/// object does not end correctly, the result is empty.
fn parts(text: &str, error: impl std::fmt::Display, place: StoredField<'_>) -> Map<String, Value> {
    let StoredField { table, column, id } = place;
    match lenient::value(text) {
        lenient::LenientValue { value: Value::Object(map), is_broken: false, .. } => {
            tracing::warn!(table, column, id, %error, "a row has values that are not JSON; shown as null");
            map
        }
        _ => {
            tracing::error!(table, column, id, %error, "unreadable JSON in a row; shown as {{}}");
            Map::new()
        }
    }
}

/// Returns a stored JSON object with other values for some keys. If the object lacks a key, its value is
/// added at the end, unless it is null. A null or `""` does not hide a value of the object. A text that is not an
/// object is logged and treated as `{}`.
pub(crate) fn raw_object_with(
    text: Option<String>,
    keys: &[(&'static str, Value)],
    place: StoredField<'_>,
) -> Box<RawValue> {
    let text = text.as_deref().filter(|text| !is_blank(text)).unwrap_or("{}");
    members::with_values(text, keys).unwrap_or_else(|| {
        let parts = to_text(&parts(text, "not a JSON object", place));
        members::with_values(&parts, keys).unwrap_or_else(empty)
    })
}

/// Returns a stored JSON object with a value for a key that it may lack. A text that is not an object is
/// logged and treated as `{}`.
pub(crate) fn raw_object_with_default(
    text: Option<String>,
    key: &'static str,
    default: Value,
    place: StoredField<'_>,
) -> Box<RawValue> {
    let has_it = text.as_deref().and_then(|text| members::object_with_key(text, key));
    has_it.unwrap_or_else(|| raw_object_with(text, &[(key, default)], place))
}

/// Removes a key from an object.
pub(crate) fn remove_key(raw: &mut Box<RawValue>, key: &str) {
    if let Some(without) = members::without_key(raw, key) {
        *raw = without;
    }
}

/// Returns stored JSON as a tree, for display. Values that are not JSON are logged and become null. A text
/// that is not an object is logged and becomes `{}`.
pub(crate) fn object(text: Option<&str>, place: StoredField<'_>) -> Map<String, Value> {
    object_strict(text, place).unwrap_or_else(|error| parts(text.unwrap_or_default(), error, place))
}

/// Returns stored JSON as a tree for a change. Values that are not JSON become null. If the text does not end
/// correctly, its readable part is kept. A report of a run is always stored, because the scheduler would
/// repeat it forever otherwise. The log names the row whose text is replaced.
pub(crate) fn object_to_change(text: Option<&str>, place: StoredField<'_>) -> Map<String, Value> {
    object_strict(text, place).unwrap_or_else(|error| {
        let StoredField { table, column, id } = place;
        let lenient::LenientValue { value, is_broken, .. } = lenient::value(text.unwrap_or_default());
        match value {
            Value::Object(map) if !is_broken => {
                tracing::warn!(table, column, id, %error, "a change replaces values that are not JSON with null");
                map
            }
            Value::Object(map) => {
                let keys = map.len();
                tracing::warn!(table, column, id, %error, keys,
                    "a change replaces unreadable JSON; only the keys that could be read are kept");
                map
            }
            _ => {
                tracing::warn!(table, column, id, %error, "a change replaces unreadable JSON; nothing of it could be read");
                Map::new()
            }
        }
    })
}

/// Returns stored JSON as a tree for a change, as [`object_to_change`] does. Other requests are served in the meantime.
pub(crate) async fn tree_to_change(text: Option<String>, place: StoredField<'_>) -> Map<String, Value> {
    let memory = text.as_deref().map_or(0, |text| tree_memory(text.as_bytes()));
    let StoredField { table, column, id } = place;
    let id = id.to_owned();
    let parse = move || object_to_change(text.as_deref(), StoredField { table, column, id: &id });
    heavy::compute(memory, parse).await
}

/// Returns stored JSON as a tree, for checks.
///
/// # Errors
/// [`StoreError::Corrupt`] if the text is not a JSON object.
pub(crate) fn object_strict(
    text: Option<&str>,
    place: StoredField<'_>,
) -> Result<Map<String, Value>, StoreError> {
    match text {
        Some(text) if !is_blank(text) => match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(place.corrupt("not a JSON object")),
            Err(error) => Err(place.corrupt(error)),
        },
        _ => Ok(Map::new()),
    }
}

/// Returns a stored list of texts (a client's capabilities). Other elements are logged and left out.
pub(crate) fn texts(text: Option<&str>, place: StoredField<'_>) -> Vec<String> {
    let Some(text) = text.filter(|text| !is_blank(text)) else { return Vec::new() };
    serde_json::from_str(text).unwrap_or_else(|error| {
        let StoredField { table, column, id } = place;
        tracing::error!(table, column, id, %error, "unreadable JSON in a row; only its texts are shown");
        let elements = lenient::elements(text).map(|elements| elements.list).unwrap_or_default();
        let text = |(_, read): (_, lenient::LenientValue)| match read.value {
            Value::String(text) if !read.is_broken => Some(text),
            _ => None,
        };
        elements.into_iter().filter_map(text).collect()
    })
}

/// Returns whether a text means "no value": the Python service writes `null` (7.0.0), `""` (7.1 and later) or
/// nothing.
fn is_blank(text: &str) -> bool {
    matches!(text.trim(), "" | "null" | "\"\"")
}

fn empty() -> Box<RawValue> {
    serde_json::value::to_raw_value(&Map::new()).unwrap_or_default()
}

/// Compact JSON in which every non-ASCII character is escaped.
struct Ascii;

impl serde_json::ser::Formatter for Ascii {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        if fragment.is_ascii() {
            return writer.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            if character.is_ascii() {
                writer.write_all(&[character as u8])?;
            } else {
                let mut units = [0_u16; 2];
                for unit in character.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const PLACE: StoredField<'static> = StoredField { table: "jobs", column: "schedule", id: "j1" };

    #[test]
    fn text_is_ascii_and_parses_to_the_same_value() {
        let value =
            serde_json::json!({"café": "😀 \u{7f}\n", "n": 12345678901234567890123_f64, "a": [null, true]});
        let text = to_text(&value);
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("\\ud83d\\ude00"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn every_digit_of_a_large_number_is_kept() {
        let text = r#"{"n":123456789012345678901234567890,"f":0.1000000000000000000001}"#;
        assert_eq!(to_text(&serde_json::from_str::<Value>(text).unwrap()), text);
    }

    #[test]
    fn keys_are_replaced_in_place_or_added_at_the_end() {
        let with = |text: &str| {
            let keys = [("mode", Value::from("fs")), ("timeout", 7.into()), ("priority", Value::Null)];
            raw_object_with(Some(text.to_owned()), &keys, PLACE).get().to_owned()
        };
        assert_eq!(
            with(r#"{"a" : 1.50,"mode":"x","b\"":[ ]}"#),
            r#"{"a":1.50,"mode":"fs","b\"":[ ],"timeout":7}"#
        );
        assert_eq!(with(r#"{"priority":2}"#), r#"{"priority":2,"mode":"fs","timeout":7}"#);
        assert_eq!(with(""), r#"{"mode":"fs","timeout":7}"#);
        assert_eq!(with("[1]"), r#"{"mode":"fs","timeout":7}"#);
    }

    #[test]
    fn a_default_is_added_if_the_top_level_lacks_the_key() {
        let with = |text: &str| {
            let raw = raw_object_with_default(Some(text.to_owned()), "event", "".into(), PLACE);
            raw.get().to_owned()
        };
        for has in [
            r#"{"event":"stop"}"#,
            r#"{"a":[1], "event" : null}"#,
            r#"{"a":{},"event":""}"#,
            r#"{"\u0065vent":1}"#,
        ] {
            let tree = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(tree(&with(has)), tree(has));
        }
        for (lacks, expected) in [
            ("{}", r#"{"event":""}"#),
            (r#"{"a":"event"}"#, r#"{"a":"event","event":""}"#),
            (r#"{"a":["event"],"b": ":"}"#, r#"{"a":["event"],"b":":","event":""}"#),
            (r#"{"a":{"event":1}}"#, r#"{"a":{"event":1},"event":""}"#),
            (r#"{"a":"\"event\":"}"#, r#"{"a":"\"event\":","event":""}"#),
            ("[1]", r#"{"event":""}"#),
        ] {
            assert_eq!(with(lacks), expected);
        }
    }

    #[test]
    fn a_key_is_removed_from_an_object() {
        let mut raw = RawValue::from_string(r#"{"a":1, "pid":2,"b":{"pid":3}}"#.to_owned()).unwrap();
        remove_key(&mut raw, "pid");
        assert_eq!(raw.get(), r#"{"a":1,"b":{"pid":3}}"#);
        remove_key(&mut raw, "pid");
        assert_eq!(raw.get(), r#"{"a":1,"b":{"pid":3}}"#);
    }

    #[test]
    fn an_invalid_value_loses_only_itself() {
        let text = r#"{"a": NaN, "b": {"c": [1, -Infinity]}, "d": "\udc80"}"#;
        let shown = serde_json::json!({"a": null, "b": {"c": [1, null]}, "d": null});
        assert_eq!(Value::Object(object(Some(text), PLACE)), shown);
        let read = |raw: Box<RawValue>| serde_json::from_str::<Value>(raw.get()).unwrap();
        assert_eq!(read(raw_object(Some(text.to_owned()), PLACE)), shown);
        let with = read(raw_object_with(Some(text.to_owned()), &[("mode", "fs".into())], PLACE));
        assert_eq!((&with["b"], &with["mode"]), (&shown["b"], &Value::from("fs")));
        assert_eq!(Value::Object(object_to_change(Some(text), PLACE)), shown);
    }

    #[test]
    fn a_change_keeps_the_readable_parts() {
        for (text, expected) in [
            (r#"{"a": 1, "b": 23"#, serde_json::json!({"a": 1, "b": null})),
            (r#"{"a": 1, "b": "cut sho"#, serde_json::json!({"a": 1, "b": null})),
            (r#"{"a": {"b": [1, tru"#, serde_json::json!({"a": {"b": [1, null]}})),
            (r#"{"a": 1, "b"#, serde_json::json!({"a": 1})),
            ("garbage", serde_json::json!({})),
            ("[1]", serde_json::json!({})),
            ("", serde_json::json!({})),
        ] {
            assert_eq!(Value::Object(object_to_change(Some(text), PLACE)), expected, "{text}");
        }
    }

    #[test]
    fn only_texts_of_a_list_are_kept() {
        for (text, expected) in [
            (r#"["fs", NaN, "lvm"]"#, vec!["fs", "lvm"]),
            (r#"["fs", 1, null, "cut sh"#, vec!["fs"]),
            ("garbage", vec![]),
            ("{}", vec![]),
        ] {
            assert_eq!(texts(Some(text), PLACE), expected, "{text}");
        }
    }

    #[test]
    fn unreadable_text_becomes_an_empty_object() {
        assert_eq!(raw_object(Some("{oops".into()), PLACE).get(), "{}");
        assert_eq!(raw_object(Some("null".into()), PLACE).get(), "{}");
        assert_eq!(object(Some("[1]"), PLACE), Map::new());
        let error = object_strict(Some("{oops"), PLACE).unwrap_err();
        assert!(error.to_string().starts_with("jobs.schedule of row j1 is unreadable"), "{error}");
        assert_eq!(object_strict(Some("\"\""), PLACE).unwrap(), Map::new());
    }
}
