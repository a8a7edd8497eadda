//! [`Matcher`]: matches a search against many documents.
//!
//! A list may have to read many rows to fill its page, so a document is not converted to a tree. The matcher
//! receives a whole document ([`Matcher::document`]) or its members ([`Matcher::text`] and others, which need
//! not be serialised first). It skips values without a condition, and does not parse values that cannot
//! contain a wanted key. A document can be matched before all of it was read (a job without its actions).
//! Then the result may be [`MatchResult::Undecided`]. `mod.rs` defines the meaning of a search, and
//! `query/narrow.rs` the rows that the database skips.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use memchr::memmem;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Search, number, same};

/// The result of a search for a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MatchResult {
    /// The document does not match.
    No,
    /// The document matches.
    Yes,
    /// The result depends on the missing part.
    Undecided(PartialMatch),
}

/// The conditions that hold for the present part of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PartialMatch {
    /// For each of the search's `matches`, whether it was found.
    matched: Vec<bool>,
    /// For each of the search's `texts`, whether it was found.
    contained: Vec<bool>,
    in_time: bool,
}

/// A pair of a search.
struct Pair<'s> {
    value: &'s Value,
    /// Its index in the search's `matches`. `None`: it is one of `match_not`.
    wanted: Option<usize>,
}

/// Maximum number of pairs that are searched as byte patterns in every value. With more pairs, each key of a
/// value is looked up instead.
const MAX_PATTERNS: usize = 4;

/// Maximum nesting of objects and lists. No document of the API is nested deeper.
const DEPTH: usize = 256;

/// A search that is prepared for many documents of the same type.
pub(crate) struct Matcher<'s> {
    search: &'s Search,
    /// Keys that count only at the top level (see [`Search::accepts`]).
    identity: &'static [&'static str],
    texts: Vec<String>,
    texts_not: Vec<String>,
    /// The pairs of each key.
    keys: HashMap<&'s str, Vec<Pair<'s>>>,
    /// The byte patterns of all pairs. Empty if looking up keys is faster.
    patterns: Vec<PairPattern>,
    /// Nesting depth of the current value.
    depth: usize,
    /// The result for the current document.
    found: PartialMatch,
    refused: bool,
    /// Buffer for values as JSON text.
    buffer: Vec<u8>,
}

/// The place of a value in a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// At the top level.
    Top,
    /// Directly inside the top-level `backup_metadata`.
    Metadata,
    /// Anywhere else.
    Deeper,
}

/// A key, and a value that is a text, with quotation marks as in a document without escapes. Other values
/// have several spellings.
struct PairPattern {
    key: memmem::Finder<'static>,
    value: Option<memmem::Finder<'static>>,
}

impl PairPattern {
    fn new((key, value): &(String, Value)) -> PairPattern {
        let quoted = |text: &str| memmem::Finder::new(&format!("\"{text}\"")).into_owned();
        PairPattern { key: quoted(key), value: value.as_str().map(quoted) }
    }

    fn is_in(&self, text: &[u8]) -> bool {
        // The value first, because most documents contain the key.
        self.value.as_ref().is_none_or(|value| value.find(text).is_some()) && self.key.find(text).is_some()
    }
}

impl<'s> Matcher<'s> {
    /// Prepares a search. `identity` contains the keys that count only at the top level.
    pub(crate) fn new(search: &'s Search, identity: &'static [&'static str]) -> Matcher<'s> {
        let lowercase = |texts: &[String]| texts.iter().map(|text| text.to_lowercase()).collect::<Vec<_>>();
        Matcher {
            search,
            identity,
            texts: lowercase(&search.texts),
            texts_not: lowercase(&search.texts_not),
            keys: keys(search),
            patterns: match search.matches.len() + search.match_not.len() {
                0..=MAX_PATTERNS => {
                    search.matches.iter().chain(&search.match_not).map(PairPattern::new).collect()
                }
                _ => Vec::new(),
            },
            depth: 0,
            found: PartialMatch::default(),
            refused: false,
            buffer: Vec::new(),
        }
    }

    /// Returns whether a document matches. `show` passes the whole document.
    pub(crate) fn accepts(&mut self, show: impl FnOnce(&mut Self)) -> bool {
        self.start();
        show(self);
        self.is_match()
    }

    /// Matches a part of a document, which `show` passes. It must contain all keys of `identity`.
    pub(crate) fn match_part(&mut self, show: impl FnOnce(&mut Self)) -> MatchResult {
        self.start();
        show(self);
        let identity_fails =
            self.search.matches.iter().zip(&self.found.matched).any(|((key, _), matched)| {
                // The missing part contains no key of `identity`.
                !matched && self.identity.contains(&key.as_str())
            });
        if self.refused || identity_fails {
            return MatchResult::No;
        }
        let may_be_refused = !self.texts_not.is_empty()
            || self.search.match_not.iter().any(|(key, _)| !self.identity.contains(&key.as_str()));
        match self.is_match() && !may_be_refused {
            true => MatchResult::Yes,
            false => MatchResult::Undecided(self.found.clone()),
        }
    }

    /// Returns whether a document matches, given the result of its first part. `show` passes the other part.
    pub(crate) fn accepts_with(&mut self, found: PartialMatch, show: impl FnOnce(&mut Self)) -> bool {
        self.found = found;
        self.refused = false;
        show(self);
        self.is_match()
    }

    /// Passes a whole document. A document that cannot be serialised does not match.
    pub(crate) fn document(&mut self, document: &impl Serialize) {
        if self.with_text(document, |matcher, text| matcher.walk(text, Level::Top)).is_none() {
            self.refused = true;
        }
    }

    /// Passes a text or null.
    pub(crate) fn text<'t>(&mut self, key: &str, value: impl Into<Option<&'t str>>, level: Level) {
        if self.asks(key, level) || self.asks_for_texts() {
            self.value(key, &value.into(), level);
        }
    }

    /// Passes a number, a boolean or null.
    pub(crate) fn scalar(&mut self, key: &str, value: &impl Serialize, level: Level) {
        if self.asks(key, level) {
            self.value(key, value, level);
        }
    }

    /// Passes a value that is stored as JSON.
    pub(crate) fn json(&mut self, key: &str, value: &RawValue, level: Level) {
        self.member(key, value.get(), level);
    }

    /// Passes a list. `inside` passes an item, if no condition needs the whole list.
    pub(crate) fn list<T: Serialize>(
        &mut self,
        key: &str,
        items: &[T],
        level: Level,
        mut inside: impl FnMut(&mut Self, &T),
    ) {
        match self.asks(key, level) {
            true => self.value(key, &items, level),
            false => items.iter().for_each(|item| inside(self, item)),
        }
    }

    /// Passes any value.
    pub(crate) fn value(&mut self, key: &str, value: &impl Serialize, level: Level) {
        if self.with_text(value, |matcher, text| matcher.member(key, text, level)).is_none() {
            self.refused = true;
        }
    }

    /// Calls `then` with a value as JSON text, if it can be serialised.
    fn with_text(&mut self, value: &impl Serialize, then: impl FnOnce(&mut Self, &str)) -> Option<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        serde_json::to_writer(&mut buffer, value).ok()?;
        then(self, std::str::from_utf8(&buffer).ok()?);
        self.buffer = buffer;
        Some(())
    }

    fn start(&mut self) {
        self.found.matched.clear();
        self.found.matched.resize(self.search.matches.len(), false);
        self.found.contained.clear();
        self.found.contained.resize(self.texts.len(), false);
        self.found.in_time = self.search.time_after.is_none() && self.search.time_before.is_none();
        self.refused = false;
    }

    fn is_match(&self) -> bool {
        let PartialMatch { matched, contained, in_time } = &self.found;
        !self.refused && *in_time && matched.iter().chain(contained).all(|found| *found)
    }

    /// Matches everything in a JSON text.
    fn walk(&mut self, text: &str, level: Level) {
        let first = text.as_bytes().first();
        if first == Some(&b'"') {
            self.string(text);
        }
        let is_container = matches!(first, Some(b'{' | b'['));
        let matters = level == Level::Top || self.may_matter(text, level);
        if self.refused || !is_container || !matters || self.depth >= DEPTH {
            return;
        }
        self.depth += 1;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let walk = MatchVisitor { matcher: self, level };
        // The text comes from a serialiser or was checked when it was read, so it is readable.
        let _ = match first {
            Some(b'{') => deserializer.deserialize_map(walk),
            _ => deserializer.deserialize_seq(walk),
        };
        self.depth -= 1;
    }

    /// Returns false if no condition can concern the text. With an escape in the text, keys and texts have
    /// several spellings.
    fn may_matter(&self, text: &str, level: Level) -> bool {
        let wants_time = level == Level::Metadata && !self.found.in_time;
        wants_time
            || self.asks_for_texts()
            || memchr::memchr(b'\\', text.as_bytes()).is_some()
            || self.keys.len() > self.patterns.len()
            || self.patterns.iter().any(|pattern| pattern.is_in(text.as_bytes()))
    }

    fn asks_for_texts(&self) -> bool {
        !self.texts.is_empty() || !self.texts_not.is_empty()
    }

    /// Returns whether a condition concerns this key at this level.
    fn asks(&self, key: &str, level: Level) -> bool {
        (level == Level::Top || !self.identity.contains(&key)) && self.keys.contains_key(key)
    }

    fn member(&mut self, key: &str, value: &str, level: Level) {
        self.compare(key, value, level);
        let inside = match level {
            Level::Top if key == "backup_metadata" => Level::Metadata,
            _ => Level::Deeper,
        };
        self.walk(value, inside);
    }

    fn compare(&mut self, key: &str, value: &str, level: Level) {
        let counts = level == Level::Top || !self.identity.contains(&key);
        if let Some(pairs) = self.keys.get(key).filter(|_| counts) {
            let Ok(found) = serde_json::from_str::<Value>(value) else { return };
            for pair in pairs.iter().filter(|pair| same(&found, pair.value)) {
                match pair.wanted {
                    Some(position) => self.found.matched[position] = true,
                    None => self.refused = true,
                }
            }
        }
        if level == Level::Metadata && key == "time_stamp" && !self.found.in_time {
            self.found.in_time = serde_json::from_str::<Value>(value)
                .ok()
                .as_ref()
                .and_then(number)
                .is_some_and(|stamp| self.search.bounds(stamp));
        }
    }

    fn string(&mut self, quoted: &str) {
        if !self.asks_for_texts() {
            return;
        }
        let Ok(JsonText(text)) = serde_json::from_str(quoted) else { return };
        let lowercase = text.to_lowercase();
        self.refused |= self.texts_not.iter().any(|wanted| lowercase.contains(wanted));
        for (found, wanted) in self.found.contained.iter_mut().zip(&self.texts) {
            *found |= lowercase.contains(wanted);
        }
    }
}

/// Returns the pairs of a search by their keys.
fn keys(search: &Search) -> HashMap<&str, Vec<Pair<'_>>> {
    let mut keys: HashMap<&str, Vec<Pair<'_>>> = HashMap::new();
    let wanted = search.matches.iter().enumerate().map(|(position, pair)| (pair, Some(position)));
    for ((key, value), wanted) in wanted.chain(search.match_not.iter().map(|pair| (pair, None))) {
        keys.entry(key).or_default().push(Pair { value, wanted });
    }
    keys
}

/// A JSON string, borrowed if it has no escapes.
#[derive(Deserialize)]
struct JsonText<'a>(#[serde(borrow)] Cow<'a, str>);

/// Visits an object or a list.
struct MatchVisitor<'j, 's> {
    matcher: &'j mut Matcher<'s>,
    level: Level,
}

impl<'de> Visitor<'de> for MatchVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let MatchVisitor { matcher, level } = self;
        while let Some((JsonText(key), value)) = map.next_entry::<JsonText<'de>, &'de RawValue>()? {
            matcher.member(&key, value.get(), level);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            self.matcher.walk(item.get(), Level::Deeper);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const IDENTITY: &[&str] = &["id"];

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(json!(null)),
            Just(json!(true)),
            Just(json!(1)),
            Just(json!(1.0)),
            Just(json!("1")),
            Just(json!(100)),
            Just(json!("é\"\\ \u{1f319}")),
            "[abÄ ]{0,3}".prop_map(Value::from),
        ]
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("id".to_owned()),
            Just("a".to_owned()),
            Just("ab".to_owned()),
            Just("é".to_owned()),
            Just("time_stamp".to_owned()),
            Just("backup_metadata".to_owned()),
            Just("more".to_owned()),
        ]
    }

    fn tree() -> impl Strategy<Value = Value> {
        leaf().prop_recursive(3, 24, 4, |inner| {
            prop_oneof![proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array), object(inner),]
        })
    }

    fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        proptest::collection::vec((key(), inner), 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    fn search() -> impl Strategy<Value = Search> {
        let pairs = || proptest::collection::vec((key(), prop_oneof![4 => leaf(), 1 => tree()]), 0..3);
        let texts = || proptest::collection::vec("[aÄé1]{1,2}", 0..2);
        let time = || proptest::option::weighted(0.2, prop_oneof![Just(1.0), Just(50.0), Just(100.0)]);
        (pairs(), pairs(), texts(), texts(), time(), time()).prop_map(
            |(matches, match_not, texts, texts_not, time_after, time_before)| Search {
                matches,
                match_not,
                texts,
                texts_not,
                time_after,
                time_before,
            },
        )
    }

    /// Passes a member according to its type.
    fn show(matcher: &mut Matcher<'_>, key: &str, value: &Value) {
        match value {
            Value::String(text) => matcher.text(key, text.as_str(), Level::Top),
            Value::Null | Value::Bool(_) | Value::Number(_) => matcher.scalar(key, value, Level::Top),
            Value::Array(items) => matcher.list(key, items, Level::Top, |matcher, item| {
                matcher.walk(&item.to_string(), Level::Deeper);
            }),
            Value::Object(_) => {
                let raw = RawValue::from_string(value.to_string()).unwrap();
                matcher.json(key, &raw, Level::Top);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_matcher_agrees_with_the_search(document in object(tree()), search in search()) {
            let wanted = search.accepts(&document, IDENTITY);
            for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap(),
                         crate::json::to_text(&document)] {
                let accepted = Matcher::new(&search, IDENTITY).accepts(|matcher| matcher.walk(&text, Level::Top));
                prop_assert_eq!(accepted, wanted, "{} in {}", text, document);
            }
            let accepted = Matcher::new(&search, IDENTITY).accepts(|matcher| matcher.document(&document));
            prop_assert_eq!(accepted, wanted, "{}", document);
            let accepted = Matcher::new(&search, IDENTITY).accepts(|matcher| {
                for (key, value) in document.as_object().unwrap() {
                    show(matcher, key, value);
                }
            });
            prop_assert_eq!(accepted, wanted, "{} by members", document);
        }

        #[test]
        fn a_document_in_two_parts_matches_like_the_whole(
            document in object(tree()),
            part in object(tree()).prop_filter("no identity", |part| part.get("id").is_none()),
            search in search(),
        ) {
            let mut document = document;
            document["more"] = json!([part]);
            let wanted = search.accepts(&document, IDENTITY);
            let more = document.as_object_mut().unwrap().remove("more").unwrap();
            let mut matcher = Matcher::new(&search, IDENTITY);
            match matcher.match_part(|matcher| matcher.document(&document)) {
                MatchResult::Yes => prop_assert!(wanted),
                MatchResult::No => prop_assert!(!wanted),
                MatchResult::Undecided(found) => {
                    prop_assert_eq!(matcher.accepts_with(found, |matcher| show(matcher, "more", &more)), wanted);
                }
            }
        }
    }

    #[test]
    fn a_poll_is_undecided_without_the_actions() {
        let pair = |key: &str, value: &str| (key.to_owned(), Value::from(value));
        let search = Search {
            matches: vec![pair("id", "n")],
            match_not: vec![pair("status", "completed")],
            ..Search::default()
        };
        let mut matcher = Matcher::new(&search, IDENTITY);
        let open = |matcher: &mut Matcher<'_>, text: &str| {
            matcher.match_part(|matcher| matcher.walk(text, Level::Top))
        };
        let rest = |matcher: &mut Matcher<'_>, found: PartialMatch, status: &str| {
            let more = json!([{"freezer_action": {"status": status}}]);
            matcher.accepts_with(found, |matcher| show(matcher, "more", &more))
        };
        let MatchResult::Undecided(found) = open(&mut matcher, r#"{"id":"n","s":{"status":"running"}}"#)
        else {
            panic!("the actions may refuse it");
        };
        assert!(rest(&mut matcher, found.clone(), "running"));
        assert!(!rest(&mut matcher, found, "completed"));
        assert_eq!(open(&mut matcher, r#"{"id":"n","s":{"status":"completed"}}"#), MatchResult::No);
        assert_eq!(open(&mut matcher, r#"{"id":"x","s":{"id":"n"}}"#), MatchResult::No);
        let found = Search { match_not: Vec::new(), ..search };
        assert_eq!(open(&mut Matcher::new(&found, IDENTITY), r#"{"id":"n"}"#), MatchResult::Yes);
    }
}
