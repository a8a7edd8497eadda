//! [`Judge`]: a search put to one document after another.
//!
//! A list may have to look at many rows to fill its page, so a document is not made into a tree. It is shown to the
//! judge whole ([`Judge::document`]) or member by member ([`Judge::text`] and the others, which need not write it as
//! JSON first): values that no condition names are passed over unread, and what cannot hold a wanted key is not even
//! walked. A document may be judged before all of it was read (a job without its actions); then the verdict may be
//! [`Verdict::Open`]. What a search means is `mod.rs`; which rows the database passes over is `query/narrow.rs`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use memchr::memmem;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Search, number, same};

/// What a search says of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not wanted.
    Refused,
    /// Wanted.
    Accepted,
    /// It depends on the part that is missing.
    Open(Found),
}

/// What was found in the part of a document that is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// Of each of the search's `matches`, whether the document has it.
    matched: Vec<bool>,
    /// Of each of the search's `texts`.
    contained: Vec<bool>,
    in_time: bool,
}

/// A pair of a search with a certain key.
struct Pair<'s> {
    value: &'s Value,
    /// Its place among the search's `matches`; none: one of its `match_not`.
    wanted: Option<usize>,
}

/// Pairs whose looks are looked for in every value: of more, each key of a value is looked up instead.
const LOOKED_FOR: usize = 4;

/// Objects and lists within each other that are looked into. No document of the API is nested deeper.
const DEPTH: usize = 256;

/// A search made ready to judge many documents of one kind.
pub(crate) struct Judge<'s> {
    search: &'s Search,
    /// Keys that count only at the top (see [`Search::accepts`]).
    identity: &'static [&'static str],
    texts: Vec<String>,
    texts_not: Vec<String>,
    /// The pairs of each key.
    keys: HashMap<&'s str, Vec<Pair<'s>>>,
    /// What all pairs look like in a document; empty if it takes longer to look for them than to find keys.
    looks: Vec<Look>,
    /// Objects and lists around the value at hand.
    depth: usize,
    /// Of the document at hand.
    found: Found,
    refused: bool,
    /// Room for values as JSON text.
    buffer: Vec<u8>,
}

/// Where in a document a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// At its top.
    Top,
    /// Right inside the `backup_metadata` of the top.
    Metadata,
    /// Anywhere else.
    Deeper,
}

/// A key, and a value that is a text, in the quotation marks that they have in a document without escapes. Any other
/// value may be written in many ways.
struct Look {
    key: memmem::Finder<'static>,
    value: Option<memmem::Finder<'static>>,
}

impl Look {
    fn of((key, value): &(String, Value)) -> Look {
        let quoted = |text: &str| memmem::Finder::new(&format!("\"{text}\"")).into_owned();
        Look { key: quoted(key), value: value.as_str().map(quoted) }
    }

    fn is_in(&self, text: &[u8]) -> bool {
        // the value first, because most documents have the keys that are asked for
        self.value.as_ref().is_none_or(|value| value.find(text).is_some()) && self.key.find(text).is_some()
    }
}

impl<'s> Judge<'s> {
    /// `identity` names the keys that count only at the top.
    pub(crate) fn new(search: &'s Search, identity: &'static [&'static str]) -> Judge<'s> {
        let lowercase = |texts: &[String]| texts.iter().map(|text| text.to_lowercase()).collect::<Vec<_>>();
        Judge {
            search,
            identity,
            texts: lowercase(&search.texts),
            texts_not: lowercase(&search.texts_not),
            keys: keys(search),
            looks: match search.matches.len() + search.match_not.len() {
                0..=LOOKED_FOR => search.matches.iter().chain(&search.match_not).map(Look::of).collect(),
                _ => Vec::new(),
            },
            depth: 0,
            found: Found::default(),
            refused: false,
            buffer: Vec::new(),
        }
    }

    /// Whether a document is wanted, which `show` shows whole.
    pub(crate) fn accepts(&mut self, show: impl FnOnce(&mut Self)) -> bool {
        self.begin();
        show(self);
        self.says_yes()
    }

    /// Judges a document of which `show` shows a part; the keys of an identity are all in this part.
    pub(crate) fn verdict(&mut self, show: impl FnOnce(&mut Self)) -> Verdict {
        self.begin();
        show(self);
        let identity_fails =
            self.search.matches.iter().zip(&self.found.matched).any(|((key, _), matched)| {
                // an identity is never in the missing part
                !matched && self.identity.contains(&key.as_str())
            });
        if self.refused || identity_fails {
            return Verdict::Refused;
        }
        let may_be_refused = !self.texts_not.is_empty()
            || self.search.match_not.iter().any(|(key, _)| !self.identity.contains(&key.as_str()));
        match self.says_yes() && !may_be_refused {
            true => Verdict::Accepted,
            false => Verdict::Open(self.found.clone()),
        }
    }

    /// Whether a document is wanted of which this was found, and of which `show` shows the other part.
    pub(crate) fn accepts_with(&mut self, found: Found, show: impl FnOnce(&mut Self)) -> bool {
        self.found = found;
        self.refused = false;
        show(self);
        self.says_yes()
    }

    /// Shows a whole document. One that cannot be written cannot be judged, so it is refused.
    pub(crate) fn document(&mut self, document: &impl Serialize) {
        if self.with_text(document, |judge, text| judge.walk(text, Level::Top)).is_none() {
            self.refused = true;
        }
    }

    /// Shows a member that is a text, or null.
    pub(crate) fn text<'t>(&mut self, key: &str, value: impl Into<Option<&'t str>>, level: Level) {
        if self.asks(key, level) || self.asks_for_texts() {
            self.value(key, &value.into(), level);
        }
    }

    /// Shows a member that is a number, a truth value, or null.
    pub(crate) fn scalar(&mut self, key: &str, value: &impl Serialize, level: Level) {
        if self.asks(key, level) {
            self.value(key, value, level);
        }
    }

    /// Shows a member that is stored as JSON.
    pub(crate) fn json(&mut self, key: &str, value: &RawValue, level: Level) {
        self.member(key, value.get(), level);
    }

    /// Shows a member that is a list, `inside` each of its items where nobody asks for the whole.
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

    /// Shows any member.
    pub(crate) fn value(&mut self, key: &str, value: &impl Serialize, level: Level) {
        if self.with_text(value, |judge, text| judge.member(key, text, level)).is_none() {
            self.refused = true;
        }
    }

    /// Does something with a value as JSON text, where it can be written.
    fn with_text(&mut self, value: &impl Serialize, then: impl FnOnce(&mut Self, &str)) -> Option<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        serde_json::to_writer(&mut buffer, value).ok()?;
        then(self, std::str::from_utf8(&buffer).ok()?);
        self.buffer = buffer;
        Some(())
    }

    fn begin(&mut self) {
        self.found.matched.clear();
        self.found.matched.resize(self.search.matches.len(), false);
        self.found.contained.clear();
        self.found.contained.resize(self.texts.len(), false);
        self.found.in_time = self.search.time_after.is_none() && self.search.time_before.is_none();
        self.refused = false;
    }

    fn says_yes(&self) -> bool {
        let Found { matched, contained, in_time } = &self.found;
        !self.refused && *in_time && matched.iter().chain(contained).all(|found| *found)
    }

    /// Looks at everything in a text of JSON.
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
        let walk = Walk { judge: self, level };
        // the text was made by a serialiser or checked when it was read: it cannot be unreadable
        let _ = match first {
            Some(b'{') => deserializer.deserialize_map(walk),
            _ => deserializer.deserialize_seq(walk),
        };
        self.depth -= 1;
    }

    /// False where the text holds nothing that any condition asks for. With an escape in it, a key or a text may be written
    /// in many ways.
    fn may_matter(&self, text: &str, level: Level) -> bool {
        let wants_time = level == Level::Metadata && !self.found.in_time;
        wants_time
            || self.asks_for_texts()
            || memchr::memchr(b'\\', text.as_bytes()).is_some()
            || self.keys.len() > self.looks.len()
            || self.looks.iter().any(|look| look.is_in(text.as_bytes()))
    }

    fn asks_for_texts(&self) -> bool {
        !self.texts.is_empty() || !self.texts_not.is_empty()
    }

    /// Whether a condition names this key, where it stands.
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
        let Ok(Text(text)) = serde_json::from_str(quoted) else { return };
        let lowercase = text.to_lowercase();
        self.refused |= self.texts_not.iter().any(|wanted| lowercase.contains(wanted));
        for (found, wanted) in self.found.contained.iter_mut().zip(&self.texts) {
            *found |= lowercase.contains(wanted);
        }
    }
}

/// The pairs of a search by their keys.
fn keys(search: &Search) -> HashMap<&str, Vec<Pair<'_>>> {
    let mut keys: HashMap<&str, Vec<Pair<'_>>> = HashMap::new();
    let wanted = search.matches.iter().enumerate().map(|(position, pair)| (pair, Some(position)));
    for ((key, value), wanted) in wanted.chain(search.match_not.iter().map(|pair| (pair, None))) {
        keys.entry(key).or_default().push(Pair { value, wanted });
    }
    keys
}

/// A JSON string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Walks one object or list.
struct Walk<'j, 's> {
    judge: &'j mut Judge<'s>,
    level: Level,
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Walk { judge, level } = self;
        while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            judge.member(&key, value.get(), level);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            self.judge.walk(item.get(), Level::Deeper);
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

    /// Shows a member in the way of its type.
    fn show(judge: &mut Judge<'_>, key: &str, value: &Value) {
        match value {
            Value::String(text) => judge.text(key, text.as_str(), Level::Top),
            Value::Null | Value::Bool(_) | Value::Number(_) => judge.scalar(key, value, Level::Top),
            Value::Array(items) => judge.list(key, items, Level::Top, |judge, item| {
                judge.walk(&item.to_string(), Level::Deeper);
            }),
            Value::Object(_) => {
                let raw = RawValue::from_string(value.to_string()).unwrap();
                judge.json(key, &raw, Level::Top);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_judge_says_what_the_search_means(document in object(tree()), search in search()) {
            let wanted = search.accepts(&document, IDENTITY);
            for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap(),
                         crate::json::to_text(&document)] {
                let accepted = Judge::new(&search, IDENTITY).accepts(|judge| judge.walk(&text, Level::Top));
                prop_assert_eq!(accepted, wanted, "{} in {}", text, document);
            }
            let accepted = Judge::new(&search, IDENTITY).accepts(|judge| judge.document(&document));
            prop_assert_eq!(accepted, wanted, "{}", document);
            let accepted = Judge::new(&search, IDENTITY).accepts(|judge| {
                for (key, value) in document.as_object().unwrap() {
                    show(judge, key, value);
                }
            });
            prop_assert_eq!(accepted, wanted, "{} by members", document);
        }

        #[test]
        fn a_document_judged_in_two_parts_is_judged_as_the_whole(
            document in object(tree()),
            part in object(tree()).prop_filter("no identity", |part| part.get("id").is_none()),
            search in search(),
        ) {
            let mut document = document;
            document["more"] = json!([part]);
            let wanted = search.accepts(&document, IDENTITY);
            let more = document.as_object_mut().unwrap().remove("more").unwrap();
            let mut judge = Judge::new(&search, IDENTITY);
            match judge.verdict(|judge| judge.document(&document)) {
                Verdict::Accepted => prop_assert!(wanted),
                Verdict::Refused => prop_assert!(!wanted),
                Verdict::Open(found) => {
                    prop_assert_eq!(judge.accepts_with(found, |judge| show(judge, "more", &more)), wanted);
                }
            }
        }
    }

    #[test]
    fn a_poll_is_open_until_the_actions_are_there() {
        let pair = |key: &str, value: &str| (key.to_owned(), Value::from(value));
        let search = Search {
            matches: vec![pair("id", "n")],
            match_not: vec![pair("status", "completed")],
            ..Search::default()
        };
        let mut judge = Judge::new(&search, IDENTITY);
        let open = |judge: &mut Judge<'_>, text: &str| judge.verdict(|judge| judge.walk(text, Level::Top));
        let rest = |judge: &mut Judge<'_>, found: Found, status: &str| {
            let more = json!([{"freezer_action": {"status": status}}]);
            judge.accepts_with(found, |judge| show(judge, "more", &more))
        };
        let Verdict::Open(found) = open(&mut judge, r#"{"id":"n","s":{"status":"running"}}"#) else {
            panic!("the actions may refuse it");
        };
        assert!(rest(&mut judge, found.clone(), "running"));
        assert!(!rest(&mut judge, found, "completed"));
        assert_eq!(open(&mut judge, r#"{"id":"n","s":{"status":"completed"}}"#), Verdict::Refused);
        assert_eq!(open(&mut judge, r#"{"id":"x","s":{"id":"n"}}"#), Verdict::Refused);
        let found = Search { match_not: Vec::new(), ..search };
        assert_eq!(open(&mut Judge::new(&found, IDENTITY), r#"{"id":"n"}"#), Verdict::Accepted);
    }
}
