//! The text of an error: its field, and words and values in the format of Python's jsonschema, which clients
//! and their users know.
//!
//! This file also chooses one error if a body has several: the first in the order of the document. For one
//! value, a wrong type comes first. Unexpected and missing keys of an object come after the errors inside it,
//! as in the Python service.
//!
//! `schema`, `keywords` and `rules` define the errors.

use std::collections::HashMap;
use std::fmt::Write;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::Invalid;

/// Maximum number of characters of a value or key in a message.
const SHOWN: usize = 80;
/// Maximum number of unexpected keys in a message.
const NAMED: usize = 10;

/// Returns the first error in the order of the document, in the form for the client.
pub(super) fn first(body: &Value, errors: &[ValidationError<'_>], schema: &Value) -> Invalid {
    let mut places: HashMap<&str, Vec<&ValidationError<'_>>> = HashMap::new();
    for error in errors {
        places.entry(error.instance_path().as_str()).or_default().push(error);
    }
    let mut search = FirstError { places, pointer: String::new() };
    match search.visit(body, "") {
        Some((error, path)) => invalid(error, &path, schema),
        None => at("", &not_of_type(body, &["object"])),
    }
}

/// Searches the body for the first place with an error.
struct FirstError<'e, 'b> {
    places: HashMap<&'e str, Vec<&'e ValidationError<'b>>>,
    pointer: String,
}

impl<'e, 'b> FirstError<'e, 'b> {
    fn visit(&mut self, value: &Value, path: &str) -> Option<(&'e ValidationError<'b>, String)> {
        let here = self.places.get(self.pointer.as_str());
        let here = here.and_then(|errors| errors.iter().copied().min_by_key(|error| rank(error.kind())));
        if let Some(error) = here.filter(|error| rank(error.kind()) < AFTER_CHILDREN) {
            return Some((error, path.to_owned()));
        }
        let inside = match value {
            Value::Object(map) => map.iter().find_map(|(key, child)| {
                self.step(&key.replace('~', "~0").replace('/', "~1"), child, &member(path, key))
            }),
            Value::Array(list) => list
                .iter()
                .enumerate()
                .find_map(|(at, child)| self.step(&at.to_string(), child, &format!("{path}[{at}]"))),
            _ => None,
        };
        inside.or_else(|| here.map(|error| (error, path.to_owned())))
    }

    fn step(&mut self, key: &str, child: &Value, path: &str) -> Option<(&'e ValidationError<'b>, String)> {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(key);
        let found = self.visit(child, path);
        self.pointer.truncate(length);
        found
    }
}

const AFTER_CHILDREN: u8 = 8;

fn rank(kind: &Kind) -> u8 {
    match kind {
        Kind::Type { .. } => 0,
        Kind::Enum { .. } => 1,
        Kind::Pattern { .. } => 2,
        Kind::AdditionalProperties { .. } => AFTER_CHILDREN,
        Kind::Required { .. } => AFTER_CHILDREN + 1,
        _ => 3,
    }
}

fn invalid(error: &ValidationError<'_>, path: &str, schema: &Value) -> Invalid {
    let value = error.instance();
    let keyword = error.schema_path().as_str();
    let in_schema = |pointer: &str| schema.pointer(pointer).unwrap_or(&Value::Null);
    // If the rule of a keyword is unreadable for clients, the schema contains a readable one.
    let shown = || {
        let beside = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
        schema.pointer(&format!("{beside}/shown")).unwrap_or_else(|| in_schema(keyword))
    };
    let text = match error.kind() {
        Kind::Required { property: Value::String(key) } => return required(path, key),
        Kind::AdditionalProperties { unexpected } => return additional(path, unexpected),
        Kind::Custom { message, .. } => message.clone(),
        Kind::Type { .. } => match in_schema(keyword) {
            Value::Array(types) => {
                not_of_type(value, &types.iter().filter_map(Value::as_str).collect::<Vec<_>>())
            }
            single => not_of_type(value, &[single.as_str().unwrap_or_default()]),
        },
        Kind::Enum { .. } => format!("{} is not one of {}", repr(value), whole(shown())),
        Kind::Pattern { .. } => format!("{} does not match {}", repr(value), whole(shown())),
        Kind::MinLength { .. } => format!("{} should be non-empty", repr(value)),
        Kind::Minimum { limit } => format!("{} is less than the minimum of {limit}", repr(value)),
        Kind::Maximum { limit } => format!("{} is greater than the maximum of {limit}", repr(value)),
        other => format!("{} does not satisfy {}", repr(value), other.keyword()),
    };
    at(path, &text)
}

/// Returns an error at a field, or at the whole body if the path is empty.
pub(super) fn at(path: &str, text: &str) -> Invalid {
    let message = if path.is_empty() {
        format!("the request body must be a JSON object: {text}")
    } else {
        format!("{path}: {text}")
    };
    Invalid { field: path.to_owned(), message }
}

/// Returns an error for a missing key of the object at the path.
pub(super) fn required(path: &str, key: &str) -> Invalid {
    Invalid { field: member(path, key), message: format!("'{key}' is a required property") }
}

fn additional(path: &str, unexpected: &[String]) -> Invalid {
    let mut keys: Vec<&str> = unexpected.iter().map(String::as_str).collect();
    keys.sort_unstable();
    let mut named = keys.iter().take(NAMED).map(|key| quoted(key)).collect::<Vec<_>>().join(", ");
    if keys.len() > NAMED {
        let _ = write!(named, " and {} more", keys.len() - NAMED);
    }
    let verb = if keys.len() == 1 { "was" } else { "were" };
    let text = format!("Additional properties are not allowed ({named} {verb} unexpected)");
    let message = if path.is_empty() { text } else { format!("{path}: {text}") };
    Invalid { field: member(path, keys.first().copied().unwrap_or_default()), message }
}

/// Returns `path.key`, with a very long key shortened.
pub(super) fn member(path: &str, key: &str) -> String {
    let mut shown: String = key.chars().take(SHOWN).collect();
    if shown.len() < key.len() {
        shown.push_str("...");
    }
    if path.is_empty() { shown } else { format!("{path}.{shown}") }
}

/// Returns `5 is not of type 'string'`.
pub(super) fn not_of_type(value: &Value, types: &[&str]) -> String {
    let types: Vec<String> = types.iter().map(|name| format!("'{name}'")).collect();
    format!("{} is not of type {}", repr(value), types.join(", "))
}

/// Returns the value as Python prints it, shortened to [`SHOWN`] characters.
pub(super) fn repr(value: &Value) -> String {
    let mut out = PythonWriter { text: String::new(), room: SHOWN + 1 };
    let _ = out.value(value);
    if out.room > 0 {
        return out.text;
    }
    let mut short: String = out.text.chars().take(SHOWN - 3).collect();
    short.push_str("...");
    short
}

/// Returns the whole value as Python prints it: for our own patterns and word lists, and if 19.0.0 prints all
/// of it.
pub(crate) fn whole(value: &Value) -> String {
    let mut out = PythonWriter { text: String::new(), room: usize::MAX };
    let _ = out.value(value);
    out.text
}

fn quoted(key: &str) -> String {
    repr(&Value::String(key.to_owned()))
}

/// Writes Python literals. It stops with an error at its limit, because a value may be as large as the body.
struct PythonWriter {
    text: String,
    room: usize,
}

impl Write for PythonWriter {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        text.chars().try_for_each(|c| self.write_char(c))
    }

    fn write_char(&mut self, c: char) -> std::fmt::Result {
        self.room = self.room.checked_sub(1).ok_or(std::fmt::Error)?;
        self.text.push(c);
        Ok(())
    }
}

impl PythonWriter {
    fn value(&mut self, value: &Value) -> std::fmt::Result {
        match value {
            Value::Null => self.write_str("None"),
            Value::Bool(true) => self.write_str("True"),
            Value::Bool(false) => self.write_str("False"),
            Value::Number(number) => self.write_str(&number.to_string()),
            Value::String(text) => self.string(text),
            Value::Array(list) => {
                self.write_char('[')?;
                for (at, item) in list.iter().enumerate() {
                    self.write_str(if at == 0 { "" } else { ", " })?;
                    self.value(item)?;
                }
                self.write_char(']')
            }
            Value::Object(map) => {
                self.write_char('{')?;
                for (at, (key, item)) in map.iter().enumerate() {
                    self.write_str(if at == 0 { "" } else { ", " })?;
                    self.string(key)?;
                    self.write_str(": ")?;
                    self.value(item)?;
                }
                self.write_char('}')
            }
        }
    }

    fn string(&mut self, text: &str) -> std::fmt::Result {
        let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
        self.write_char(quote)?;
        for c in text.chars() {
            match c {
                '\\' => self.write_str("\\\\")?,
                '\n' => self.write_str("\\n")?,
                '\r' => self.write_str("\\r")?,
                '\t' => self.write_str("\\t")?,
                c if c == quote => write!(self, "\\{c}")?,
                c if c.is_control() => write!(self, "\\x{:02x}", u32::from(c))?,
                c => self.write_char(c)?,
            }
        }
        self.write_char(quote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_printed_like_in_python() {
        for (value, text) in [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(-5), "-5"),
            (json!(1.5), "1.5"),
            (json!("it's"), "\"it's\""),
            (json!("\"it's\""), "'\"it\\'s\"'"),
            (json!("a\\b\n\t\r\0\u{7f}é"), "'a\\\\b\\n\\t\\r\\x00\\x7fé'"),
            (json!([1, "a", {"k": null}]), "[1, 'a', {'k': None}]"),
        ] {
            assert_eq!(repr(&value), text);
        }
    }

    #[test]
    fn long_values_are_cut_at_eighty_characters() {
        assert_eq!(repr(&json!("é".repeat(78))), format!("'{}'", "é".repeat(78)));
        assert_eq!(repr(&json!("é".repeat(79))), format!("'{}...", "é".repeat(76)));
        let nested = json!([["x".repeat(1000)], ["y".repeat(1000)]]);
        assert_eq!(repr(&nested).chars().count(), 80);
    }

    #[test]
    fn unexpected_keys_are_sorted_and_limited() {
        let keys: Vec<String> = (0..12).rev().map(|n| format!("k{n:02}")).collect();
        let error = additional("job_schedule", &keys);
        assert_eq!(error.field, "job_schedule.k00");
        assert_eq!(
            error.message,
            "job_schedule: Additional properties are not allowed ('k00', 'k01', 'k02', 'k03', 'k04', \
             'k05', 'k06', 'k07', 'k08', 'k09' and 2 more were unexpected)"
        );
    }
}
