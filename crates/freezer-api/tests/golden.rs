//! Replays recorded requests to freezer-api 19.0.0 and compares the answers.
//!
//! `golden/pairs-19.0.0.jsonl` was recorded with that release on MariaDB, without Keystone. Each difference must match
//! an entry of `golden/differences.json`, whose ids are rows of `docs/compatibility.md`. The test fails for an unlisted
//! difference, and also for an entry that no pair needs. The pairs depend on each other: ids in recorded answers are
//! mapped to the ids of this service as they appear.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value};
use support::{Answer, Engine, TestApp};

const PAIRS: &str = include_str!("golden/pairs-19.0.0.jsonl");
const DIFFERENCES: &str = include_str!("golden/differences.json");
const COMPATIBILITY: &str = include_str!("../../../docs/compatibility.md");

/// A recorded request with its answer.
#[derive(Deserialize)]
struct Pair {
    label: String,
    method: String,
    path: String,
    project: String,
    roles: String,
    /// Headers that replace the default ones. If the value is null, the header is not sent.
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    #[serde(default)]
    body: Option<Value>,
    /// A body that is not JSON, in Latin-1.
    #[serde(default)]
    raw: Option<String>,
    /// The status. 0: the connection was closed.
    status: u16,
    #[serde(rename = "type")]
    content_type: Option<String>,
    answer: Value,
}

/// An intended difference.
#[derive(Deserialize)]
struct Decided {
    /// The row in docs/compatibility.md.
    id: String,
    /// Labels of the pairs. `*` stands for any text.
    pairs: Vec<String>,
    /// The differences. `*` stands for any text.
    what: Vec<String>,
}

async fn replay(app: TestApp) {
    let decided: Vec<Decided> = serde_json::from_str(DIFFERENCES).expect("golden/differences.json");
    let mut used = BTreeSet::new();
    let mut unknown = Vec::new();
    let mut ids = HashMap::from([("127.0.0.1:19091".to_owned(), "freezer.localhost:9090".to_owned())]);
    for line in PAIRS.lines() {
        let pair: Pair = serde_json::from_str(line).expect("a recorded pair");
        let answer = send(&app, &pair, &ids).await;
        learn(&pair.answer, &body_of(&answer), &mut ids);
        for difference in differences(&pair, &answer, &ids) {
            let entry = decided.iter().position(|entry| {
                entry.pairs.iter().any(|glob| matches(glob, &pair.label))
                    && entry.what.iter().any(|glob| matches(glob, &difference))
            });
            match entry {
                Some(position) => drop(used.insert(position)),
                None => unknown.push(format!("{}: {difference}", pair.label)),
            }
        }
    }
    let unused: Vec<_> =
        decided.iter().enumerate().filter(|(at, _)| !used.contains(at)).map(|(_, entry)| &entry.id).collect();
    assert!(unknown.is_empty(), "{} differences are not decided:\n{}", unknown.len(), unknown.join("\n"));
    assert!(unused.is_empty(), "these entries match no difference: {unused:?}");
}

#[test]
fn recorded_answers_match_or_are_intended_differences_on_sqlite() {
    support::run(Engine::Sqlite, "golden::replay::sqlite", replay);
}

#[test]
fn recorded_answers_match_or_are_intended_differences_on_mariadb() {
    support::run(Engine::MariaDb, "golden::replay::mariadb", replay);
}

#[test]
fn every_intended_difference_is_documented() {
    let decided: Vec<Decided> = serde_json::from_str(DIFFERENCES).expect("golden/differences.json");
    for Decided { id, .. } in decided {
        assert!(COMPATIBILITY.contains(&format!("| `{id}` |")), "docs/compatibility.md has no row {id}");
    }
}

async fn send(app: &TestApp, pair: &Pair, ids: &HashMap<String, String>) -> Answer {
    let mut headers: BTreeMap<&str, Option<&str>> =
        BTreeMap::from([("content-type", Some("application/json")), ("accept", Some("application/json"))]);
    headers.extend(pair.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
    let headers: Vec<_> = headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let body = match (&pair.raw, &pair.body) {
        (Some(raw), _) => raw.chars().map(|c| c as u8).collect(),
        (None, Some(body)) => translate(&body.to_string(), ids).into_bytes(),
        (None, None) => Vec::new(),
    };
    let method = pair.method.parse().expect("a method");
    let caller = app.as_user("u1", &pair.project, &pair.roles);
    caller.raw(method, &translate(&pair.path, ids), &headers, body).await
}

/// Returns a body in the format of the recording: null if there is none.
fn body_of(answer: &Answer) -> Value {
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

fn translate(text: &str, ids: &HashMap<String, String>) -> String {
    ids.iter().fold(text.to_owned(), |text, (recorded, ours)| text.replace(recorded, ours))
}

/// Stores the pairs of ids that both services have created for the same resource.
fn learn(recorded: &Value, ours: &Value, ids: &mut HashMap<String, String>) {
    let (Value::Object(recorded), Value::Object(ours)) = (recorded, ours) else { return };
    for (key, value) in recorded {
        let Some(our_value) = ours.get(key) else { continue };
        match (key.as_str(), value, our_value) {
            (
                "job_id" | "action_id" | "session_id" | "backup_id" | "uuid",
                Value::String(a),
                Value::String(b),
            ) if a.len() == 32 && a != b => {
                ids.insert(a.clone(), b.clone());
            }
            ("job_actions", Value::Array(a), Value::Array(b)) => {
                a.iter().zip(b).for_each(|(a, b)| learn(a, b, ids));
            }
            ("client", a, b) => learn(a, b, ids),
            _ => {}
        }
    }
}

fn differences(pair: &Pair, ours: &Answer, ids: &HashMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    if pair.status != ours.status.as_u16() {
        found.push(format!("status {} -> {}", pair.status, ours.status.as_u16()));
        return found;
    }
    let our_type = ours.header("content-type");
    if pair.content_type.as_deref() != our_type {
        found.push(format!("type {:?} -> {our_type:?}", pair.content_type.as_deref().unwrap_or("none")));
    }
    let recorded: Value = serde_json::from_str(&translate(&pair.answer.to_string(), ids)).unwrap();
    let mut bodies = Vec::new();
    compare("", &recorded, &body_of(ours), &mut bodies);
    // The description of an error is not the description of a job.
    let of_error = if pair.status >= 400 { "error: " } else { "" };
    found.extend(bodies.into_iter().map(|difference| format!("{of_error}{difference}")));
    found
}

fn compare(path: &str, recorded: &Value, ours: &Value, found: &mut Vec<String>) {
    match (recorded, ours) {
        (Value::Object(a), Value::Object(b)) => compare_objects(path, a, b, found),
        (Value::Array(a), Value::Array(b)) if path.is_empty() || !path.contains('.') && is_list(path) => {
            // If the order differs, a page may have other documents, but it must have the same number and the same
            // shape of documents.
            if a.len() != b.len() {
                found.push(format!("{path}: {} -> {} documents", a.len(), b.len()));
            }
            let keys = |list: &[Value]| -> BTreeSet<String> {
                list.iter().filter_map(Value::as_object).flat_map(Map::keys).cloned().collect()
            };
            for key in keys(a).symmetric_difference(&keys(b)).filter(|_| !a.is_empty() && !b.is_empty()) {
                found.push(format!("{path}[]: only one has {key}"));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).for_each(|(a, b)| compare(&format!("{path}[]"), a, b, found));
        }
        // These are the times of the two runs.
        (Value::Number(a), Value::Number(b)) if a.as_f64() > Some(1e9) && b.as_f64() > Some(1e9) => {}
        (a, b) if a == b => {}
        (a, b) => found.push(format!("changed {path}: {a} -> {b}")),
    }
}

fn is_list(path: &str) -> bool {
    matches!(path, "jobs" | "clients" | "actions" | "sessions" | "backups")
}

fn compare_objects(path: &str, a: &Map<String, Value>, b: &Map<String, Value>, found: &mut Vec<String>) {
    let inner = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, value) in a {
        match b.get(key) {
            Some(ours) => compare(&inner(key), value, ours, found),
            None if value.is_null() => found.push(format!("removed {}: null", inner(key))),
            None => found.push(format!("removed {}", inner(key))),
        }
    }
    for key in b.keys().filter(|key| !a.contains_key(*key)) {
        found.push(format!("added {}", inner(key)));
    }
}

/// Returns whether a text matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        last = Some(part);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    last.map_or(rest.is_empty(), |part| part.is_empty() || text.ends_with(part))
}
