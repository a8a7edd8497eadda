//! JSON in TEXT columns: how it is written, and how what others wrote is read.
//!
//! Written in ASCII with `\uXXXX` escapes, as the Python service does, so that every character fits
//! also where a table is still in utf8mb3. Read leniently for display: one unreadable row
//! must not take a whole page, and with it a scheduler's poll, away; but never rewritten from a guess
//! (see [`object_strict`]).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::StoreError;

/// Where a stored text stands: for the log and for [`StoreError::Corrupt`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) id: &'a str,
}

impl Place<'_> {
    fn corrupt(&self, reason: impl ToString) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            column: self.column,
            id: self.id.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// A value as ASCII JSON text for a column.
pub(crate) fn to_text(value: &impl Serialize) -> String {
    let mut out = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Ascii);
    // Values come from parsed JSON or our own structs: neither can fail, and an empty object is never
    // written in their place because the text would not parse as one.
    if value.serialize(&mut serializer).is_err() {
        return "null".to_owned();
    }
    String::from_utf8(out).unwrap_or_else(|_| "null".to_owned())
}

/// Stored JSON as it is, without parsing it into a tree; `{}` for NULL, "" and JSON null.
/// Unreadable text is logged and shown as `{}`.
pub(crate) fn raw_object(text: Option<String>, place: Place<'_>) -> Box<RawValue> {
    let text = match text {
        Some(text) if !is_blank(&text) => text,
        _ => return empty(),
    };
    RawValue::from_string(text).unwrap_or_else(|error| {
        tracing::error!(table = place.table, column = place.column, id = place.id, %error,
            "unreadable JSON in a row; shown as {{}}");
        empty()
    })
}

/// Stored JSON, an object, with some of its keys given other values: in their places, or at the end where the object
/// lacks them. What is not an object is logged and shown as if it were `{}`.
pub(crate) fn raw_object_with(
    text: Option<String>,
    keys: &[(&'static str, Value)],
    place: Place<'_>,
) -> Box<RawValue> {
    let text = text.as_deref().filter(|text| !is_blank(text)).unwrap_or("{}");
    let members = members(text).unwrap_or_else(|| {
        tracing::error!(
            table = place.table,
            column = place.column,
            id = place.id,
            "not a JSON object; shown as {{}}"
        );
        Vec::new()
    });
    let mut out = Object::with_capacity(text.len() + 128);
    for member in &members {
        match keys.iter().find(|(key, _)| *key == member.0) {
            Some((key, value)) => out.add(key, value),
            None => out.add_member(member),
        }
    }
    for (key, value) in keys {
        if !members.iter().any(|(other, _)| other == key) {
            out.add(key, value);
        }
    }
    out.end()
}

/// Stored JSON, an object, with a value for a key that it lacks; else as it is. What is not an object is logged and
/// shown as if it were `{}`.
pub(crate) fn raw_object_with_default(
    text: Option<String>,
    key: &'static str,
    default: Value,
    place: Place<'_>,
) -> Box<RawValue> {
    let raw = raw_object(text, place);
    match members(raw.get()) {
        Some(members) if members.iter().any(|(other, _)| other == key) => raw,
        Some(members) => {
            let mut out = Object::with_capacity(raw.get().len() + 32);
            members.iter().for_each(|member| out.add_member(member));
            out.add(key, &default);
            out.end()
        }
        None => raw_object_with(Some(raw.get().to_owned()), &[(key, default)], place),
    }
}

/// Takes a key out of an object.
pub(crate) fn remove_key(raw: &mut Box<RawValue>, key: &str) {
    let Some(members) = members(raw.get()) else { return };
    if members.iter().any(|(other, _)| other == key) {
        let mut out = Object::with_capacity(raw.get().len());
        members.iter().filter(|(other, _)| other != key).for_each(|member| out.add_member(member));
        *raw = out.end();
    }
}

/// The keys of an object with the text of their values; none where it is no object.
fn members(text: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found: Self::Value = Vec::with_capacity(24);
            while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                found.push((key, value));
            }
            Ok(found)
        }
    }
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = deserializer.deserialize_map(Members).ok()?;
    deserializer.end().ok().map(|()| found)
}

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// An object that is being written.
struct Object(Vec<u8>);

impl Object {
    fn with_capacity(bytes: usize) -> Object {
        let mut text = Vec::with_capacity(bytes);
        text.push(b'{');
        Object(text)
    }

    fn add(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        let begin = self.0.len();
        if begin > 1 {
            self.0.push(b',');
        }
        let written = serde_json::to_writer(&mut self.0, key).and_then(|()| {
            self.0.push(b':');
            serde_json::to_writer(&mut self.0, value)
        });
        // texts and stored JSON can always be written; half a member would spoil the whole object
        if written.is_err() {
            self.0.truncate(begin);
        }
    }

    /// Adds a member of another object as it stands there.
    fn add_member(&mut self, (key, value): &(Cow<'_, str>, &RawValue)) {
        // a key that was not borrowed has characters that must be escaped again
        let Cow::Borrowed(key) = key else { return self.add(key, value) };
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
        self.0.extend_from_slice(value.get().as_bytes());
    }

    fn end(mut self) -> Box<RawValue> {
        self.0.push(b'}');
        String::from_utf8(self.0).ok().and_then(|text| RawValue::from_string(text).ok()).unwrap_or_else(empty)
    }
}

/// Stored JSON as an object tree, for display: what is not an object is logged and shown as `{}`.
pub(crate) fn object(text: Option<&str>, place: Place<'_>) -> Map<String, Value> {
    object_strict(text, place).unwrap_or_else(|error| {
        tracing::error!(%error, "unreadable JSON in a row; shown as {{}}");
        Map::new()
    })
}

/// Stored JSON as an object tree, to be changed and written back.
///
/// # Errors
/// [`StoreError::Corrupt`] where the text is not a JSON object: writing a guess over it would lose it.
pub(crate) fn object_strict(text: Option<&str>, place: Place<'_>) -> Result<Map<String, Value>, StoreError> {
    match text {
        Some(text) if !is_blank(text) => match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(place.corrupt("not a JSON object")),
            Err(error) => Err(place.corrupt(error)),
        },
        _ => Ok(Map::new()),
    }
}

/// A stored list of texts (a client's capabilities), leniently.
pub(crate) fn texts(text: Option<&str>, place: Place<'_>) -> Vec<String> {
    let Some(text) = text.filter(|text| !is_blank(text)) else { return Vec::new() };
    serde_json::from_str(text).unwrap_or_else(|error| {
        tracing::error!(table = place.table, column = place.column, id = place.id, %error,
            "unreadable JSON in a row; shown as []");
        Vec::new()
    })
}

/// The Python service writes `null` (7.0.0), `""` (7.1 and later) or nothing for "no value".
fn is_blank(text: &str) -> bool {
    matches!(text.trim(), "" | "null" | "\"\"")
}

fn empty() -> Box<RawValue> {
    serde_json::value::to_raw_value(&Map::new()).unwrap_or_default()
}

/// Compact JSON with every character above ASCII escaped.
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

    const PLACE: Place<'static> = Place { table: "jobs", column: "schedule", id: "j1" };

    #[test]
    fn text_is_ascii_and_reads_back_as_the_same_value() {
        let value =
            serde_json::json!({"café": "😀 \u{7f}\n", "n": 12345678901234567890123_f64, "a": [null, true]});
        let text = to_text(&value);
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("\\ud83d\\ude00"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_number_too_large_for_a_machine_word_is_kept_digit_by_digit() {
        let text = r#"{"n":123456789012345678901234567890,"f":0.1000000000000000000001}"#;
        assert_eq!(to_text(&serde_json::from_str::<Value>(text).unwrap()), text);
    }

    #[test]
    fn unreadable_text_is_shown_as_empty_but_never_taken_for_a_value_to_write_back() {
        assert_eq!(raw_object(Some("{oops".into()), PLACE).get(), "{}");
        assert_eq!(raw_object(Some("null".into()), PLACE).get(), "{}");
        assert_eq!(object(Some("[1]"), PLACE), Map::new());
        let error = object_strict(Some("{oops"), PLACE).unwrap_err();
        assert!(error.to_string().starts_with("jobs.schedule of row j1 is unreadable"), "{error}");
        assert_eq!(object_strict(Some("\"\""), PLACE).unwrap(), Map::new());
    }
}
