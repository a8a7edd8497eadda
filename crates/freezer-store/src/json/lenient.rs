//! Reads text that is almost JSON. Each part that is not JSON becomes null, and the rest is kept.
//!
//! The Python service stores the output of `json.dumps`, which is not always JSON: `NaN`, `Infinity`,
//! `-Infinity`, and escapes of half a surrogate pair (file names that are not UTF-8). Other texts were
//! truncated by narrow columns, or edited by hand. If the brackets or quotes of a text do not match, it is
//! broken, and the result may be only a part.

use std::ops::Range;

use serde_json::{Map, Value};

/// Maximum nesting of objects and lists. Deeper values become null.
const DEPTH: usize = 120;

/// A value, and the quality of its text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LenientValue {
    pub(crate) value: Value,
    /// Whether all of it is JSON.
    pub(crate) is_json: bool,
    /// Whether it does not end correctly.
    pub(crate) is_broken: bool,
}

/// Elements of a list, and whether the list is complete.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Elements {
    /// Each element with the range of its text.
    pub(crate) list: Vec<(Range<usize>, LenientValue)>,
    /// Whether the list has an end without anything after it. Otherwise its last elements may be parts of
    /// something else.
    pub(crate) is_whole: bool,
}

/// Reads a value.
pub(crate) fn value(text: &str) -> LenientValue {
    match serde_json::from_str(text) {
        Ok(value) if !has_infinity(&value) => {
            return LenientValue { value, is_json: true, is_broken: false };
        }
        _ => {}
    }
    let mut reader = LenientReader::new(text);
    let value = reader.value(0);
    reader.space();
    let LenientReader { at, is_json, is_broken, .. } = reader;
    LenientValue { value, is_json: is_json && at == text.len(), is_broken }
}

/// Reads a list element by element. Returns `None` if the text does not begin as a list.
pub(crate) fn elements(text: &str) -> Option<Elements> {
    let mut reader = LenientReader::new(text);
    reader.space();
    reader.skip_mark(b'[').then_some(())?;
    let mut list = Vec::new();
    reader.space();
    let mut goes_on = reader.peek() != Some(b']');
    while goes_on {
        list.push(reader.element());
        goes_on = reader.next_item(b']');
    }
    let has_end = reader.skip_mark(b']');
    reader.space();
    Some(Elements { list, is_whole: has_end && reader.at == text.len() })
}

/// Returns whether a value contains a number such as 1e400. Python reads it as infinity, and writes that as
/// `Infinity`, which is not JSON.
fn has_infinity(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.as_f64().is_none_or(f64::is_infinite) && number.to_string().contains(['.', 'e', 'E'])
        }
        Value::Array(items) => items.iter().any(has_infinity),
        Value::Object(members) => members.values().any(has_infinity),
        _ => false,
    }
}

/// A position in a text.
struct LenientReader<'a> {
    text: &'a str,
    at: usize,
    is_json: bool,
    is_broken: bool,
}

impl<'a> LenientReader<'a> {
    fn new(text: &'a str) -> LenientReader<'a> {
        LenientReader { text, at: 0, is_json: true, is_broken: false }
    }

    /// Reads an element of a list, with any content, up to the next comma or bracket.
    fn element(&mut self) -> (Range<usize>, LenientValue) {
        let start = self.at;
        (self.is_json, self.is_broken) = (true, false);
        let value = self.value(1);
        let is_broken = self.is_broken;
        if is_broken && matches!(self.text.as_bytes().get(start), Some(b'{' | b'[')) {
            self.at = start;
            self.skip_nested();
        }
        self.space();
        while !matches!(self.peek(), None | Some(b',' | b']')) {
            self.is_json = false;
            self.at += 1;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let place = start..start + text.trim_end().len();
        (place, LenientValue { value, is_json: self.is_json && !is_broken, is_broken })
    }

    /// Reads the mark at the end of a value.
    fn end(&mut self, mark: u8) {
        self.is_broken |= !self.skip_mark(mark);
        self.is_json &= !self.is_broken;
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_mark(&mut self, mark: u8) -> bool {
        let found = self.peek() == Some(mark);
        self.at += usize::from(found);
        found
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        self.space();
        match self.peek() {
            Some(b'{' | b'[') if depth >= DEPTH => self.skip_nested(),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map_or(Value::Null, Value::String),
            _ => {
                let word = self.word();
                // If the text ends inside an object or list, its last word may be truncated.
                let is_cut = depth > 0 && self.at == self.text.len();
                self.is_json &= !is_cut;
                if is_cut { Value::Null } else { word }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let mut members = Map::new();
        self.at += 1;
        self.space();
        while !self.skip_mark(b'}') {
            let key = match self.peek() {
                Some(b'"') => self.string(),
                _ => {
                    self.word();
                    self.is_json = false;
                    None
                }
            };
            self.space();
            if self.skip_mark(b':') {
                let value = self.value(depth + 1);
                if let Some(key) = key {
                    members.insert(key, value);
                }
            } else {
                self.is_json = false;
            }
            if !self.next_item(b'}') {
                self.end(b'}');
                break;
            }
        }
        Value::Object(members)
    }

    fn list(&mut self, depth: usize) -> Value {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        while !self.skip_mark(b']') {
            items.push(self.value(depth + 1));
            if !self.next_item(b']') {
                self.end(b']');
                break;
            }
        }
        Value::Array(items)
    }

    /// Skips a value that is nested too deep. It becomes null.
    fn skip_nested(&mut self) -> Value {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => drop(self.string()),
                _ => self.at += 1,
            }
            match byte {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        self.is_json = false;
        Value::Null
    }

    /// Moves to the next item of an object or list that ends with `end`. Returns false if there is none. A
    /// comma before the end is not JSON.
    fn next_item(&mut self, end: u8) -> bool {
        self.space();
        if !self.skip_mark(b',') {
            return false;
        }
        self.space();
        let ends = self.peek() == Some(end);
        self.is_json &= !ends;
        !ends
    }

    /// Reads a number, true, false or null; any other word becomes null.
    fn word(&mut self) -> Value {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.bytes().position(|byte| b" \n\r\t,:[]{}\"".contains(&byte)).unwrap_or(rest.len());
        self.at += length;
        let word = serde_json::from_str(rest.get(..length).unwrap_or_default()).ok();
        word.filter(|word| !has_infinity(word)).unwrap_or_else(|| {
            self.is_json = false;
            Value::Null
        })
    }

    /// Reads a string. Returns `None` if it has escapes that JSON does not define.
    fn string(&mut self) -> Option<String> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let bytes = rest.as_bytes();
        let mut end = 1;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        if end >= bytes.len() {
            self.at = self.text.len();
            (self.is_json, self.is_broken) = (false, true);
            return None;
        }
        self.at += end + 1;
        if let Ok(text) = serde_json::from_str(rest.get(..=end).unwrap_or_default()) {
            return Some(text);
        }
        self.is_json = false;
        // JSON requires escapes for line breaks and similar characters.
        rest.get(1..end).filter(|inside| !inside.contains('\\')).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_number_that_python_reads_as_infinity_becomes_null() {
        for number in ["1e400", "-1E400", "1.5e999", &format!("1{}.0", "0".repeat(400))] {
            for (text, expected) in [
                (number.to_owned(), json!(null)),
                (format!(r#"{{"a": {number}, "b": [{number}, 1]}}"#), json!({"a": null, "b": [null, 1]})),
            ] {
                let read = value(&text);
                assert_eq!((read.value, read.is_json, read.is_broken), (expected, false, false), "{text}");
            }
            let list = elements(&format!("[1, {number}]")).unwrap().list;
            assert_eq!((&list[1].1.value, list[1].1.is_json), (&json!(null), false), "{number}");
        }
        let large = format!(r#"{{"a": 1{}, "b": 1e+308, "c": 1e-400}}"#, "0".repeat(400));
        assert!(value(&large).is_json);
        assert_eq!(value(&large).value.to_string(), large.replace(": ", ":").replace(", ", ","));
    }

    #[test]
    fn invalid_parts_become_null_and_the_rest_is_kept() {
        for (text, expected) in [
            (
                r#"{"a": NaN, "b": [1, -Infinity, Infinity], "c": "x"}"#,
                json!({"a": null, "b": [1, null, null], "c": "x"}),
            ),
            (
                r#"{"a": undefined, "b": .5, "c": 01, "d": 'x', "e": 2}"#,
                json!({"a": null, "b": null, "c": null, "d": null, "e": 2}),
            ),
            (r#"{"a": "NaN, Infinity", "b": NaN}"#, json!({"a": "NaN, Infinity", "b": null})),
            (
                r#"{"a": "\udcff/b", "b": "\x\"", "c": "\ud83d\ude00 \\q"}"#,
                json!({"a": null, "b": null, "c": "😀 \\q"}),
            ),
            (r#"{"a\x": 1, "b": 2}"#, json!({"b": 2})),
            ("{\"a\": \"two\nlines\"}", json!({"a": "two\nlines"})),
            (r#"{"a": 1, b: 2, "c"}"#, json!({"a": 1})),
            (r#"{"a": 1,}"#, json!({"a": 1})),
            (r#"{"a": 1} more"#, json!({"a": 1})),
            ("", json!(null)),
        ] {
            assert_eq!(
                value(text),
                LenientValue { value: expected, is_json: false, is_broken: false },
                "{text}"
            );
        }
        for broken in
            [r#"{"a": {"b": 1, "c": "cut sho"#, r#"{"a": 1, "b": [2, 3"#, r#"{"a": 1 "b": 2}"#, "[1 2]", "{"]
        {
            let read = value(broken);
            assert!(read.is_broken && !read.is_json, "{broken}: {read:?}");
        }
    }

    #[test]
    fn elements_are_read_separately() {
        let text = r#" [{"a": NaN} , "text",null, {"b": 1, "b": 2}] "#;
        let read = elements(text).unwrap();
        let raw: Vec<&str> = read.list.iter().map(|(place, _)| &text[place.clone()]).collect();
        assert_eq!(raw, [r#"{"a": NaN}"#, r#""text""#, "null", r#"{"b": 1, "b": 2}"#]);
        assert_eq!(
            read.list.iter().map(|(_, read)| read.is_json).collect::<Vec<_>>(),
            [false, true, true, true]
        );
        assert!(read.is_whole);
        assert_eq!(read.list[3].1.value, json!({"b": 2}));
        let text = r#"[{"a": 1 "b": [2]}, {"c": 3}, }, é", {"d": 4}]"#;
        let read = elements(text).unwrap();
        let broken: Vec<bool> = read.list.iter().map(|(_, read)| read.is_broken).collect();
        assert_eq!(broken[..2], [true, false]);
        assert_eq!(read.list[1].1.value, json!({"c": 3}));
        for (text, count, is_whole) in [
            ("[]", 0, true),
            ("[ 1 ]", 1, true),
            ("[1,]", 1, true),
            ("[1", 1, false),
            ("[{\"a\": 1}, {\"b\": ", 2, false),
            ("[1] 2", 1, false),
            ("[1,,2]", 3, true),
            ("[NaN, {\"a\": Infinity}]", 2, true),
            ("[{\"a\": 1 \"b\": 2}, 3]", 2, true),
            ("[{\"a\": \"1}, 3]", 1, false),
        ] {
            let read = elements(text).unwrap();
            assert_eq!((read.list.len(), read.is_whole), (count, is_whole), "{text}");
        }
        for text in ["{}", "null", "\"[]\"", ""] {
            assert_eq!(elements(text), None, "{text}");
        }
    }

    #[test]
    fn deep_nesting_becomes_null() {
        let text = format!("{{\"a\": {}NaN{}, \"b\": 1}}", "[".repeat(5_000), "]".repeat(5_000));
        let read = value(&text);
        assert_eq!(read.value["b"], json!(1));
        assert!(!read.is_json);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in r#"[\[\]{}:,"\\ua1NI é-]{0,40}"#) {
            value(&text);
            if let Some(read) = elements(&text) {
                for (place, _) in read.list {
                    prop_assert!(text.get(place).is_some());
                }
            }
        }

        #[test]
        fn json_is_read_unchanged(items in prop::collection::vec(r#"[ab"{}\[\],:é \\]{0,5}"#, 0..5)) {
            let text = serde_json::to_string(&items).unwrap();
            let read = elements(&text).unwrap();
            prop_assert!(read.is_whole && read.list.iter().all(|(_, read)| read.is_json));
            let values: Vec<Value> = read.list.into_iter().map(|(_, read)| read.value).collect();
            prop_assert_eq!(Value::Array(values), json!(items));
        }
    }
}
