//! Reads JSON of a request: a body, or a text that stands for one. The parser limits how deep it is nested.

use serde_json::Value;

use crate::error::Error;

/// Keys by which the parser hands over numbers of any length: an object that has one would be read as the number in it.
const RESERVED: &str = "$serde_json::private::";

/// Reads a value.
///
/// # Errors
/// [`Error::MalformedJson`]; [`Error::BadDocument`] for JSON with a reserved key.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    check(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| Error::MalformedJson(error.to_string()))
}

/// Looks at the keys of JSON. Of other text it may say anything.
fn check(bytes: &[u8]) -> Result<(), Error> {
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) {
        let begin = at + found;
        at = end_of_string(bytes, begin + 1);
        if is_key(&bytes[at..]) && is_reserved(&bytes[begin..at]) {
            return Err(Error::BadDocument(format!("keys that begin with {RESERVED} are reserved")));
        }
    }
    Ok(())
}

/// Where the string ends whose text begins here.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

fn is_key(rest: &[u8]) -> bool {
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// Whether a string in quotation marks begins with the reserved text, in whatever way it is written.
fn is_reserved(quoted: &[u8]) -> bool {
    match memchr::memchr(b'\\', quoted) {
        None => quoted[1..].starts_with(RESERVED.as_bytes()),
        Some(_) => serde_json::from_slice::<String>(quoted).is_ok_and(|key| key.starts_with(RESERVED)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reserved_keys_are_refused_in_every_spelling() {
        for text in [
            r#"{"$serde_json::private::Number": "1"}"#,
            r#"{"a": [{"$serde_json::private::RawValue" : "{}"}]}"#,
            r#"{"\u0024serde_json::private::Number": "1"}"#,
            r#"{"$serde_json\u003a:private::Number": "1"}"#,
            r#"{"$serde\u005Fjson::private::":
               1}"#,
        ] {
            assert!(parse(text.as_bytes()).unwrap_err().to_string().contains("reserved"), "{text}");
        }
        for text in [
            r#"{"a": "$serde_json::private::Number"}"#,
            r#"{"a\\": "$serde_json::private::Number", "b": "\"$serde_json::private::Number\":"}"#,
            r#"{"x$serde_json::private::Number": 1}"#,
        ] {
            assert!(parse(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_left_to_the_parser() {
        for broken in ["\"abc", "\"a\\", "{\"a\"", "]]]", "", "\""] {
            assert!(matches!(parse(broken.as_bytes()), Err(Error::MalformedJson(_))), "{broken}");
        }
        let deep = "[".repeat(128) + &"]".repeat(128);
        assert!(matches!(parse(deep.as_bytes()), Err(Error::MalformedJson(_))));
    }
}
