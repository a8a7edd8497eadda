//! Terms: the content of a document in so few bytes that they fit an index.
//!
//! Each pair of a key and its value, at any depth of the document, is a term of three bytes. Terms are stored
//! beside the document, and a search for a pair skips documents without its term. Two pairs may share a term,
//! so the matcher still checks the documents (`matcher.rs`). Equal values ([`same`](super::same)) have equal
//! terms.
//!
//! Terms are stored, so their computation must never change, and a test has examples. `migrations/terms.rs`
//! has the columns and the index, and `query/narrow.rs` the conditions. See `docs/adr/0004-search-terms.md`.

use serde_json::{Map, Value};

use super::times;

/// Maximum size of a document's terms in bytes. If a document has more, its terms are not stored, and its
/// text is searched.
pub(crate) const WIDTH: usize = 640;

/// The term of a pair of a key and a value: three bytes.
pub(crate) type Term = [u8; 3];

/// The terms, the time and the checksum of a document, as stored beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredTerms {
    /// The terms, or `None` if there are too many.
    pub(crate) terms: Option<Vec<u8>>,
    /// The time (`times.rs`).
    pub(crate) time: i64,
    /// [`crc`] of the text.
    pub(crate) crc: u32,
}

/// Computes the stored terms of a document with this text.
pub(crate) fn stored(document: &Map<String, Value>, text: &str) -> StoredTerms {
    StoredTerms { terms: of_document(document), time: times::of_metadata(document), crc: crc(text) }
}

/// Returns the terms of a document in order, without duplicates. Returns `None` if there are too many.
pub(crate) fn of_document(document: &Map<String, Value>) -> Option<Vec<u8>> {
    let mut terms = Vec::with_capacity(document.len());
    collect(document, &mut terms);
    terms.sort_unstable();
    terms.dedup();
    (terms.len() * size_of::<Term>() <= WIDTH).then(|| terms.concat())
}

fn collect(document: &Map<String, Value>, terms: &mut Vec<Term>) {
    for (key, value) in document {
        terms.push(term(key, value));
        collect_inside(value, terms);
    }
}

fn collect_inside(value: &Value, terms: &mut Vec<Term>) {
    match value {
        Value::Object(map) => collect(map, terms),
        Value::Array(items) => items.iter().for_each(|item| collect_inside(item, terms)),
        _ => {}
    }
}

/// Returns the term of a pair: its [`hash`] folded to 24 bits.
pub(crate) fn term(key: &str, value: &Value) -> Term {
    let hash = hash(key, value);
    let folded = hash ^ (hash >> 24) ^ (hash >> 48);
    let [.., a, b, c] = folded.to_be_bytes();
    [a, b, c]
}

/// Returns 64 bits of FNV-1a over the key, a byte that no key contains, the type of the value and the value.
/// All objects and lists have the same hash, because equal ones have many spellings.
pub(crate) fn hash(key: &str, value: &Value) -> u64 {
    let hash = Fnv::new().update(key.as_bytes()).update(b"\xff");
    let hash = match value {
        Value::Null => hash.update(b"0"),
        Value::Bool(flag) => number(hash, f64::from(u8::from(*flag))),
        Value::Number(found) => match found.as_f64() {
            Some(float) => number(hash, float),
            // Numbers too large for a float have the same hash, because their spelling is not ours.
            None => hash.update(b"N"),
        },
        Value::String(text) => hash.update(b"s").update(text.as_bytes()),
        Value::Array(_) | Value::Object(_) => hash.update(b"{"),
    };
    hash.0
}

/// Hashes a number as a float, because 1, 1.0 and true are equal. Different numbers beyond 2^53 may share a
/// term.
fn number(hash: Fnv, number: f64) -> Fnv {
    // 0.0 and -0.0 are equal but have different bits.
    let number = if number == 0.0 { 0.0 } else { number };
    hash.update(b"n").update(&number.to_bits().to_be_bytes())
}

/// FNV-1a of 64 bits.
#[derive(Clone, Copy)]
struct Fnv(u64);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn update(self, bytes: &[u8]) -> Fnv {
        Fnv(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
    }
}

/// Returns the checksum of a document's text, which detects outdated terms. It equals `CRC32` of MySQL.
pub(crate) fn crc(text: &str) -> u32 {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    CRC.checksum(text.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::search::{Search, same};
    use proptest::prelude::*;
    use serde_json::json;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_computation_of_stored_terms_does_not_change() {
        for (key, value, expected) in [
            ("backup_name", json!("etc"), "82ba2b"),
            ("", json!(""), "a08f68"),
            ("ключ", json!("значение \u{1f319}"), "9350fb"),
            ("level", json!(0), "190205"),
            ("level", json!(1), "bb3f51"),
            ("ratio", json!(1.5), "ead613"),
            ("size", serde_json::from_str("1e999").unwrap(), "2acbc9"),
            ("note", json!(null), "d56b9f"),
            ("tags", json!([]), "272e6b"),
        ] {
            assert_eq!(hex(&term(key, &value)), expected, "{key} {value}");
        }
        assert_eq!(crc("{\"backup_name\":\"etc\"}"), 0xabf5_1857);
    }

    #[test]
    fn equal_values_have_equal_terms() {
        for (a, b) in [
            (json!(1), json!(1.0)),
            (json!(1), json!(true)),
            (json!(0), json!(false)),
            (json!(0), json!(-0.0)),
            (json!(100), serde_json::from_str("1e2").unwrap()),
            (json!({"a": 1}), json!([])),
        ] {
            assert_eq!(term("k", &a), term("k", &b), "{a} {b}");
        }
        for (a, b) in [(json!("1"), json!(1)), (json!(null), json!("")), (json!(null), json!(0))] {
            assert_ne!(term("k", &a), term("k", &b), "{a} {b}");
        }
        assert_ne!(term("a", &json!("bs")), term("ab", &json!("s")));
    }

    #[test]
    fn a_document_with_too_many_pairs_has_no_terms() {
        let numbered = |count: usize| (0..count).map(|n| (format!("k{n}"), json!(n))).collect::<Map<_, _>>();
        assert_eq!(of_document(&numbered(200)).unwrap().len(), 600);
        assert_eq!(of_document(&numbered(230)), None);
        assert_eq!(of_document(&Map::new()), Some(Vec::new()));
    }

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            (-2..3_i64).prop_map(Value::from),
            Just(json!(9_007_199_254_740_993_u64)),
            prop_oneof![Just(1.0), Just(-0.0), Just(0.5), Just(1e300)].prop_map(Value::from),
            prop_oneof![Just("1e999"), Just("1E999"), Just("100"), Just("1e2"), Just("36893488147419103232")]
                .prop_map(|text| serde_json::from_str(text).unwrap()),
            "[a1é\"\\\\ ]{0,2}".prop_map(Value::from),
        ]
    }

    fn tree() -> impl Strategy<Value = Value> {
        leaf().prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                proptest::collection::vec(("[ab]", inner), 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_document_has_the_terms_of_all_its_pairs(
            members in proptest::collection::vec(("[ab]", tree()), 0..4), key in "[ab]", value in tree(),
        ) {
            let document: Map<String, Value> = members.into_iter().collect();
            let terms = of_document(&document).unwrap();
            let search = Search { matches: vec![(key.clone(), value.clone())], ..Search::default() };
            if search.accepts(&Value::Object(document), &[]) {
                prop_assert!(terms.chunks(3).any(|found| found == term(&key, &value)));
            }
        }

        #[test]
        fn equal_values_have_equal_terms_in_any_tree(a in tree(), b in tree()) {
            if same(&a, &b) {
                prop_assert_eq!(term("k", &a), term("k", &b));
            }
        }
    }
}
