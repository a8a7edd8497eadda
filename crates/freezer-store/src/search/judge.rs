//! [`Judge`]: a search put to the text of one document after another.
//!
//! A list may have to look at many rows to fill its page, so a document is not made into a tree: its text is walked
//! once, values that no condition names are passed over unread, and what cannot hold a wanted key is not even walked. A
//! document may be judged before all of it was read (a job without its actions); then the verdict may be
//! [`Verdict::Open`]. What a search means is `mod.rs`; which rows the database passes over is `query/narrow.rs`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Search, number, same};

/// What a search says of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not wanted.
    Refused,
    /// Wanted.
    Accepted,
    /// It depends on the part that is missing.
    Open,
}

/// A search made ready to judge many documents of one kind.
pub(crate) struct Judge<'s> {
    search: &'s Search,
    /// Keys that count only at the top (see [`Search::accepts`]).
    identity: &'static [&'static str],
    texts: Vec<String>,
    texts_not: Vec<String>,
    /// What was found of `matches` and of `texts` in the document at hand.
    matched: Vec<bool>,
    contained: Vec<bool>,
    in_time: bool,
    refused: bool,
}

/// Where in a document a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    /// Right inside the `backup_metadata` of the top.
    Metadata,
    Deeper,
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
            matched: Vec::new(),
            contained: Vec::new(),
            in_time: false,
            refused: false,
        }
    }

    /// Judges a whole document, given as JSON text.
    pub(crate) fn verdict(&mut self, document: &str) -> Verdict {
        self.look_at(document, None);
        if self.refused || !self.has_all() { Verdict::Refused } else { Verdict::Accepted }
    }

    /// Judges a document in which the value of `missing`, a key at its top, is not known yet.
    pub(crate) fn verdict_without(&mut self, document: &str, missing: &str) -> Verdict {
        self.look_at(document, Some(missing));
        let identity_fails = self.search.matches.iter().zip(&self.matched).any(|((key, _), matched)| {
            // an identity is never in the missing part
            !matched && self.identity.contains(&key.as_str())
        });
        if self.refused || identity_fails {
            return Verdict::Refused;
        }
        let may_be_refused = !self.texts_not.is_empty()
            || self.search.match_not.iter().any(|(key, _)| !self.identity.contains(&key.as_str()));
        if self.has_all() && !may_be_refused { Verdict::Accepted } else { Verdict::Open }
    }

    fn look_at(&mut self, document: &str, missing: Option<&str>) {
        let Judge { search, .. } = *self;
        self.matched.clear();
        self.matched.resize(search.matches.len(), false);
        self.contained.clear();
        self.contained.resize(self.texts.len(), false);
        self.in_time = search.time_after.is_none() && search.time_before.is_none();
        self.refused = false;
        self.walk(document, Level::Top, missing);
    }

    fn has_all(&self) -> bool {
        self.in_time && self.matched.iter().all(|found| *found) && self.contained.iter().all(|found| *found)
    }

    fn walk(&mut self, text: &str, level: Level, missing: Option<&str>) {
        if self.refused || !(level == Level::Top || self.may_matter(text, level)) {
            return;
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        // the text was made by a serialiser or checked when it was read: it cannot be unreadable
        let _ = match text.as_bytes().first() {
            Some(b'{') => deserializer.deserialize_map(Walk { judge: self, level, missing }),
            Some(b'[') => deserializer.deserialize_seq(Walk { judge: self, level, missing }),
            Some(b'"') => {
                self.text(text);
                Ok(())
            }
            _ => Ok(()),
        };
    }

    /// False where the text holds nothing that any condition asks for. With an escape in it, a key may be written in
    /// many ways.
    fn may_matter(&self, text: &str, level: Level) -> bool {
        let wants_time = level == Level::Metadata && !self.in_time;
        wants_time
            || !self.texts.is_empty()
            || !self.texts_not.is_empty()
            || text.contains('\\')
            || self.pairs().any(|(key, _)| holds_key(text, key))
    }

    fn pairs(&self) -> impl Iterator<Item = &(String, Value)> {
        self.search.matches.iter().chain(&self.search.match_not)
    }

    fn member(&mut self, key: &str, value: &str, level: Level) {
        let counts = |named: &str| named == key && (level == Level::Top || !self.identity.contains(&named));
        if self.pairs().any(|(named, _)| counts(named)) {
            let Ok(found) = serde_json::from_str::<Value>(value) else { return };
            self.refused |=
                self.search.match_not.iter().any(|(named, wanted)| counts(named) && same(&found, wanted));
            for (position, (named, wanted)) in self.search.matches.iter().enumerate() {
                if counts(named) && same(&found, wanted) {
                    self.matched[position] = true;
                }
            }
        }
        if level == Level::Metadata && key == "time_stamp" && !self.in_time {
            self.in_time = serde_json::from_str::<Value>(value)
                .ok()
                .as_ref()
                .and_then(number)
                .is_some_and(|stamp| self.search.bounds(stamp));
        }
    }

    fn text(&mut self, quoted: &str) {
        if self.texts.is_empty() && self.texts_not.is_empty() {
            return;
        }
        let Ok(Text(text)) = serde_json::from_str(quoted) else { return };
        let lowercase = text.to_lowercase();
        self.refused |= self.texts_not.iter().any(|wanted| lowercase.contains(wanted));
        for (found, wanted) in self.contained.iter_mut().zip(&self.texts) {
            *found |= lowercase.contains(wanted);
        }
    }
}

/// Whether a text without escapes holds a key.
fn holds_key(text: &str, key: &str) -> bool {
    text.match_indices(key).any(|(at, _)| {
        let bytes = text.as_bytes();
        at > 0 && bytes.get(at - 1) == Some(&b'"') && bytes.get(at + key.len()) == Some(&b'"')
    })
}

/// A JSON string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Walks one object or list.
struct Walk<'j, 's, 'm> {
    judge: &'j mut Judge<'s>,
    level: Level,
    missing: Option<&'m str>,
}

impl<'de> Visitor<'de> for Walk<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Walk { judge, level, missing } = self;
        while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            if missing == Some(&*key) {
                continue;
            }
            judge.member(&key, value.get(), level);
            let inside = match level {
                Level::Top if key == "backup_metadata" => Level::Metadata,
                _ => Level::Deeper,
            };
            judge.walk(value.get(), inside, None);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<&'de RawValue>()? {
            self.judge.walk(item.get(), Level::Deeper, None);
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_judge_says_what_the_search_means(document in object(tree()), search in search()) {
            let wanted = search.accepts(&document, IDENTITY);
            for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap(),
                         crate::json::to_text(&document)] {
                let verdict = Judge::new(&search, IDENTITY).verdict(&text);
                prop_assert_eq!(verdict == Verdict::Accepted, wanted, "{} in {}", text, document);
            }
        }

        #[test]
        fn a_document_judged_without_a_part_is_judged_rightly_or_not_at_all(
            document in object(tree()),
            part in object(tree()).prop_filter("no identity", |part| part.get("id").is_none()),
            search in search(),
        ) {
            let mut document = document;
            document["more"] = json!([part]);
            let wanted = search.accepts(&document, IDENTITY);
            document["more"] = json!([]);
            match Judge::new(&search, IDENTITY).verdict_without(&document.to_string(), "more") {
                Verdict::Accepted => prop_assert!(wanted),
                Verdict::Refused => prop_assert!(!wanted),
                Verdict::Open => {}
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
        let mut without = |text: &str| judge.verdict_without(text, "more");
        assert_eq!(without(r#"{"id":"n","s":{"status":"running"},"more":[]}"#), Verdict::Open);
        assert_eq!(without(r#"{"id":"n","s":{"status":"completed"},"more":[]}"#), Verdict::Refused);
        assert_eq!(without(r#"{"id":"x","s":{"id":"n"},"more":[]}"#), Verdict::Refused);
        let found = Search { match_not: Vec::new(), ..search };
        let mut judge = Judge::new(&found, IDENTITY);
        assert_eq!(judge.verdict_without(r#"{"id":"n","more":[]}"#, "more"), Verdict::Accepted);
    }
}
