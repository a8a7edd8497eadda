//! Tests of all kinds of documents, one file for each noun: bodies that are accepted, and bodies with the
//! exact error. This file has the tests of all kinds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod actions;
mod backups;
mod clients;
mod jobs;
mod sessions;

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::limits::{COLUMNS, ColumnType};
use super::{Document, Invalid, Validators, schema};

/// Built once, because this takes longer than all checks together. It also proves that threads can share it.
static VALIDATORS: LazyLock<Validators> = LazyLock::new(|| Validators::new().expect("the schemas compile"));

fn accepts(kind: Document, bodies: &[Value]) {
    for body in bodies {
        assert_eq!(VALIDATORS.check(kind, body), Ok(()), "{kind:?} {body}");
    }
}

/// Checks bodies with the field and the text of their errors.
fn rejects(kind: Document, bodies: &[(Value, &str, &str)]) {
    for (body, field, message) in bodies {
        let wanted = Invalid { field: (*field).to_owned(), message: (*message).to_owned() };
        assert_eq!(VALIDATORS.check(kind, body), Err(wanted), "{kind:?} {body}");
    }
}

/// Returns the body with this value at the pointer.
fn with_value(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = body.pointer_mut(parent).expect("the parent exists");
    match parent {
        Value::Array(list) => list[key.parse::<usize>().expect("an index")] = value,
        parent => parent[key] = value,
    }
    body
}

fn client() -> Value {
    json!({"client_id": "node1", "hostname": "node1.example.org", "description": "d", "uuid": "u",
           "supported_actions": ["backup"], "supported_modes": ["fs"], "supported_storages": [],
           "supported_engines": ["tar"], "is_central": false})
}

fn job() -> Value {
    json!({"description": "d", "client_id": "node1", "job_schedule": {}, "job_actions": [
        {"max_retries": 1, "freezer_action": {"action": "backup", "mode": "fs", "backup_name": "b"}}]})
}

fn action() -> Value {
    json!({"max_retries": 3, "freezer_action": {"action": "backup", "mode": "fs", "container": "c"}})
}

fn session() -> Value {
    json!({"description": "s", "hold_off": 60, "schedule": {"schedule_interval": "1 days"}, "session_tag": 0})
}

fn backup() -> Value {
    json!({"container": "c", "hostname": "h", "backup_name": "b", "time_stamp": 1, "status": "available"})
}

const OUT_OF_RANGE: &str = "is not between -2147483648 and 2147483647";

#[test]
fn a_body_must_be_an_object() {
    for kind in Document::ALL {
        let text =
            |shown: &str| format!("the request body must be a JSON object: {shown} is not of type 'object'");
        rejects(
            kind,
            &[(json!([1]), "", &text("[1]")), (json!("x"), "", &text("'x'")), (json!(5), "", &text("5"))],
        );
    }
    for kind in [Document::Job, Document::JobPatch, Document::ActionPatch, Document::SessionPatch] {
        let text = "the request body must be a JSON object: None is not of type 'object'";
        rejects(kind, &[(json!(null), "", text)]);
    }
}

#[test]
fn an_empty_body_is_missing_for_the_same_kinds_as_in_19_0_0() {
    let asked = [
        Document::Client,
        Document::Action,
        Document::Session,
        Document::SessionReplace,
        Document::Backup,
        Document::BackupPatch,
    ];
    for kind in Document::ALL {
        for body in [json!({}), json!(null), json!([]), json!(""), json!(0), json!(false)] {
            let text = VALIDATORS.check(kind, &body).err().map(|error| error.to_string());
            let missing = text.as_deref() == Some("Missing request body");
            assert_eq!(missing, asked.contains(&kind), "{kind:?} {body}");
        }
    }
    for kind in [Document::JobPatch, Document::ActionPatch, Document::SessionPatch] {
        accepts(kind, &[json!({})]);
    }
}

#[test]
fn ids_of_clients() {
    for (kind, body, key) in [(Document::Job, job(), "job_id"), (Document::Action, action(), "action_id")] {
        let body = |id: Value| with_value(&body, &format!("/{key}"), id);
        accepts(
            kind,
            &[
                body(json!(null)),
                body(json!("")),
                body(json!("a-1_ü\u{663}\u{216b}²")),
                body(json!("x".repeat(36))),
            ],
        );
        let mismatch = |shown: &str| format!(r"{key}: {shown} does not match '^[\\w-]+$'");
        rejects(
            kind,
            &[
                (body(json!("a b")), key, &mismatch("'a b'")),
                (body(json!("a/b")), key, &mismatch("'a/b'")),
                (body(json!("a\n")), key, &mismatch(r"'a\n'")),
                (body(json!("\n")), key, &mismatch(r"'\n'")),
                // A combining mark alone is not a word character in Python either.
                (body(json!("e\u{301}")), key, &mismatch("'e\u{301}'")),
                (body(json!(0)), key, &format!("{key}: 0 is not of type 'string', 'null'")),
                (body(json!(false)), key, &format!("{key}: False is not of type 'string', 'null'")),
                (
                    body(json!("x".repeat(37))),
                    key,
                    &format!("{key}: '{}' is too long (37 characters, at most 36)", "x".repeat(37)),
                ),
            ],
        );
    }
}

#[test]
fn the_first_error_of_the_document_is_reported() {
    let body = json!({
        "job_schedule": {"schedule_year": 5, "colour": 1},
        "description": 5, "colour": 1, "job_actions": [{"max_retries": "x"}, 5],
    });
    let peel = [
        ("job_schedule.schedule_year", "/job_schedule/schedule_year", json!("2026")),
        ("job_schedule.colour", "/job_schedule", json!({})),
        ("description", "/description", json!("d")),
        ("job_actions[0].max_retries", "/job_actions/0/max_retries", json!(1)),
        ("job_actions[1]", "/job_actions/1", json!({})),
    ];
    let mut body = body;
    for (field, pointer, repair) in peel {
        assert_eq!(VALIDATORS.check(Document::Job, &body).unwrap_err().field, field, "{body}");
        body = with_value(&body, pointer, repair);
    }
    assert_eq!(VALIDATORS.check(Document::Job, &body).unwrap_err().field, "colour");
    body.as_object_mut().unwrap().shift_remove("colour");
    assert_eq!(VALIDATORS.check(Document::Job, &body).unwrap_err().field, "client_id");
    let body = with_value(&body, "/client_id", json!("n"));
    assert_eq!(VALIDATORS.check(Document::Job, &body).unwrap_err().field, "job_actions[0].freezer_action");
}

#[test]
fn many_errors_and_large_values_give_one_short_text() {
    let jobs: serde_json::Map<String, Value> = (0..5000).map(|n| (format!("j{n}"), json!(n))).collect();
    let error = VALIDATORS.check(Document::SessionPatch, &json!({"jobs": jobs})).unwrap_err();
    assert_eq!(error.message, "jobs.j0: 0 is not of type 'object'");
    let key = "k".repeat(100_000);
    for body in [json!({key.clone(): 1}), json!({"jobs": {key: "v".repeat(100_000)}})] {
        let error = VALIDATORS.check(Document::SessionPatch, &body).unwrap_err();
        assert!(error.message.len() < 300, "{} bytes", error.message.len());
        assert!(error.field.len() < 300, "{} bytes", error.field.len());
    }
}

/// A column that no schema uses has no check, and a column that occurs twice in the table has a wrong one.
#[test]
fn every_column_is_used_by_a_schema() {
    let schemas: String = Document::ALL.map(|kind| schema::of_kind(kind).to_string()).concat();
    for (at, column) in COLUMNS.iter().enumerate() {
        let named = schemas.contains(&format!("\"{}\"", column.name));
        // The service creates trusts; they are never part of a body.
        assert_eq!(named, !column.name.starts_with("user_credentials."), "{}", column.name);
        assert!(!COLUMNS[..at].iter().any(|other| other.name == column.name), "{} twice", column.name);
        if let ColumnType::Text(max) | ColumnType::List(max) = column.kind {
            assert!(matches!(max, 36 | 64 | 255), "{}", column.name);
        }
    }
}

#[test]
fn an_unknown_column_does_not_compile() {
    let error = jsonschema::options()
        .with_keyword("column", super::keywords::column)
        .build(&json!({"column": "jobs.colour"}))
        .err();
    assert!(error.unwrap().to_string().contains("\"jobs.colour\" is not in the table of columns"));
}
