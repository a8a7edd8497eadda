//! Finds, replaces and removes the members of an object in JSON text, without parsing it into a tree.
//!
//! The values of the members stay text. They are copied as they are.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Returns an object if it has a key at its top level. Returns `None` for other objects, other values, and
/// invalid JSON.
pub(super) fn object_with_key(text: &str, key: &str) -> Option<Box<RawValue>> {
    let members = members(text)?;
    let has = members.iter().any(|(other, _)| other == key);
    if has { Object { members, keys: &[] }.to_raw() } else { None }
}

/// Replaces values of an object. If the object lacks a key, its value is added at the end, unless it is null. An
/// empty value ([`is_empty`]) does not hide a value of the object. Returns `None` if the text is not a JSON object.
pub(super) fn with_values(text: &str, keys: &[(&'static str, Value)]) -> Option<Box<RawValue>> {
    Object { members: members(text)?, keys }.to_raw()
}

/// Changes the tree of an object as [`with_values`] changes its text.
pub(crate) fn replace_values(object: &mut Map<String, Value>, keys: &[(&'static str, Value)]) {
    for (key, value) in keys {
        let stored = object.get(*key);
        let is_hidden = is_empty(value) && stored.is_some_and(|stored| !stored.is_null());
        if !is_hidden && (stored.is_some() || !value.is_null()) {
            object.insert((*key).to_owned(), value.clone());
        }
    }
}

/// Returns whether a value is null or `""`, as that of a column that could not store the value.
pub(crate) fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// Removes a key from an object. Returns `None` if there is no such key or the value is not an object.
pub(super) fn without_key(raw: &RawValue, key: &str) -> Option<Box<RawValue>> {
    let mut members = members(raw.get())?;
    let all = members.len();
    members.retain(|(other, _)| other != key);
    if members.len() < all { Object { members, keys: &[] }.to_raw() } else { None }
}

/// Returns the keys of an object with the texts of their values. Returns `None` for other values.
fn members(text: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found: Self::Value = Vec::with_capacity(24);
            while let Some((ObjectKey(key), value)) = map.next_entry::<ObjectKey<'de>, &'de RawValue>()? {
                found.push((key, value));
            }
            Ok(found)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = deserializer.deserialize_map(Members).ok()?;
    deserializer.end().ok().map(|()| found)
}

/// A key, borrowed if it has no escapes.
#[derive(Deserialize)]
struct ObjectKey<'a>(#[serde(borrow)] Cow<'a, str>);

/// An object to write: the members of another object, and new values for some keys.
struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    keys: &'a [(&'static str, Value)],
}

impl Object<'_> {
    /// Writes the object. Texts and JSON can always be written, so the result is never `None`.
    fn to_raw(&self) -> Option<Box<RawValue>> {
        serde_json::value::to_raw_value(self).ok()
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (key, value) in &self.members {
            let new = self.keys.iter().find(|(other, _)| other == key);
            match new.filter(|(_, new)| !is_empty(new) || value.get() == "null") {
                Some((key, value)) => object.serialize_entry(key, value)?,
                None => object.serialize_entry(key, value)?,
            }
        }
        for (key, value) in self.keys.iter().filter(|(_, value)| !value.is_null()) {
            if !self.members.iter().any(|(other, _)| other == key) {
                object.serialize_entry(key, value)?;
            }
        }
        object.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn values_are_replaced_in_place_or_added_at_the_end() {
        let keys = [("mode", json!("fs")), ("timeout", json!(7)), ("priority", json!(null))];
        for (text, expected) in [
            (r#"{"a" : 1.50,"mode":"x" , "b":[ ]}"#, r#"{"a":1.50,"mode":"fs","b":[ ],"timeout":7}"#),
            (r#"{"a" : 1.50,"mode":"x","b\"":[ ]}"#, r#"{"a":1.50,"mode":"fs","b\"":[ ],"timeout":7}"#),
            (r#"{"priority" : 3 ,"mode":["x", {"mode": 1}]}"#, r#"{"priority":3,"mode":"fs","timeout":7}"#),
            (r#"{"priority":3,"b\"":1}"#, r#"{"priority":3,"b\"":1,"mode":"fs","timeout":7}"#),
            (r#"{"in":{"mode":1,"t":"}"}}"#, r#"{"in":{"mode":1,"t":"}"},"mode":"fs","timeout":7}"#),
            (r#"{"mode":1,"mode":2,"timeout":null}"#, r#"{"mode":"fs","mode":"fs","timeout":7}"#),
            ("{}", r#"{"mode":"fs","timeout":7}"#),
            ("{ }", r#"{"mode":"fs","timeout":7}"#),
        ] {
            assert_eq!(with_values(text, &keys).unwrap().get(), expected);
        }
        let same = r#"{"priority": null, "timeout": 7, "mode": "fs"}"#;
        assert_eq!(with_values(same, &keys).unwrap().get(), same.replace(": ", ":").replace(", ", ","));
        for none in ["[1]", r#""\"""#, "1"] {
            assert!(with_values(none, &keys).is_none(), "{none}");
        }
    }

    #[test]
    fn an_empty_value_does_not_hide_a_value() {
        let keys = [("mode", json!(null)), ("action", json!("")), ("container", json!(null))];
        for (text, expected) in [
            (r#"{"mode":"fs","action":"backup"}"#, r#"{"mode":"fs","action":"backup"}"#),
            (r#"{"mode":[1],"action":{"a":1}}"#, r#"{"mode":[1],"action":{"a":1}}"#),
            (r#"{"mode":null,"action":null}"#, r#"{"mode":null,"action":""}"#),
            (r#"{"mode":""}"#, r#"{"mode":"","action":""}"#),
            ("{}", r#"{"action":""}"#),
        ] {
            assert_eq!(with_values(text, &keys).unwrap().get(), expected);
            let mut tree: Map<String, Value> = serde_json::from_str(text).unwrap();
            replace_values(&mut tree, &keys);
            assert_eq!(serde_json::to_string(&tree).unwrap(), expected);
        }
    }

    #[test]
    fn a_key_is_removed() {
        let text = raw(r#"{"a":1, "pid":2,"b":{"pid":3}}"#);
        let taken = without_key(&text, "pid").unwrap();
        assert_eq!(taken.get(), r#"{"a":1,"b":{"pid":3}}"#);
        assert!(without_key(&taken, "pid").is_none());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            Just(json!(-1.5e3)),
            Just(json!(true)),
            Just(json!("a")),
            r#"[ab"{}\[\],:é \\]{0,5}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((r#"[ab"é]{0,2}"#, inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Changes the text of an object as its tree is changed.
        #[test]
        fn changing_text_equals_changing_a_tree(
            members in prop::collection::vec((r#"[ab"é]{0,2}"#, value()), 0..5),
            first in value(),
            second in value(),
        ) {
            let object: Map<String, Value> = members.into_iter().collect();
            let keys = [("a", first), ("ba", second)];
            let mut expected = object.clone();
            replace_values(&mut expected, &keys);
            let mut spaced = Vec::new();
            let pretty = serde_json::ser::PrettyFormatter::with_indent(b" \t");
            object.serialize(&mut serde_json::Serializer::with_formatter(&mut spaced, pretty)).unwrap();
            for text in [serde_json::to_string(&object).unwrap(), String::from_utf8(spaced).unwrap()] {
                prop_assert_eq!(object_with_key(&text, "a").is_some(), object.contains_key("a"));
                let written = with_values(&text, &keys).unwrap();
                let read: Map<String, Value> = serde_json::from_str(written.get()).unwrap();
                prop_assert_eq!(read.iter().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>(), "{}", text);
            }
        }
    }
}
