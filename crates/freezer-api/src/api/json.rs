//! Parses the JSON of a request: a body, or a string that contains JSON. The parser limits the depth of nested values.

use freezer_store::end_of_string;
use serde_json::Value;

use crate::error::Error;

/// Prefix of the keys with which the parser represents numbers of any length. An object with such a key would be read as a
/// number.
const RESERVED: &str = "$serde_json::private::";

/// Parses a value.
///
/// # Errors
/// [`Error::MalformedJson`]; [`Error::BadDocument`] for JSON with a reserved key.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    check_keys(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| Error::MalformedJson(error.to_string()))
}

/// Refuses reserved keys. The result for text that is not JSON does not matter, because the parser refuses this text.
fn check_keys(bytes: &[u8]) -> Result<(), Error> {
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

fn is_key(rest: &[u8]) -> bool {
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// Returns whether a string in quotation marks begins with the reserved prefix, which may contain escapes.
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
    fn the_parser_refuses_text_that_is_not_json() {
        for broken in ["\"abc", "\"a\\", "{\"a\"", "]]]", "", "\""] {
            assert!(matches!(parse(broken.as_bytes()), Err(Error::MalformedJson(_))), "{broken}");
        }
        let deep = "[".repeat(128) + &"]".repeat(128);
        assert!(matches!(parse(deep.as_bytes()), Err(Error::MalformedJson(_))));
    }
}
