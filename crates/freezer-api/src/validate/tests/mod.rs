//! Tests of all kinds of documents, one file for each noun: bodies that are accepted, and bodies with the
//! exact error. This file has the tests of all kinds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod actions;
mod backups;
mod clients;
mod documents;
mod jobs;
mod sessions;

use std::sync::LazyLock;

use freezer_store::migrations::{ColumnKind, TABLES};
use serde_json::{Value, json};

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

/// Columns that never store a value of a request: the service fills them in.
const NOT_IN_REQUESTS: [&str; 3] = ["project_id", "user_id", "deleted"];

/// A column that no schema uses has no check. TEXT columns (schedules, metadata) have no limit of their own.
#[test]
fn every_column_with_limits_is_used_by_a_schema() {
    let schemas: String = Document::ALL.map(|kind| schema::of_kind(kind).to_string()).concat();
    let tables = ["clients", "actions", "jobs", "sessions", "backups"];
    for table in TABLES.iter().filter(|table| tables.contains(&table.name)) {
        for column in table.columns {
            let has_limits = matches!(column.kind, ColumnKind::Text(_) | ColumnKind::Int | ColumnKind::Bool);
            let name = format!("{}.{}", table.name, column.name);
            let is_used = schemas.contains(&format!("\"{name}\""));
            let is_exempt = NOT_IN_REQUESTS.contains(&column.name)
                // The ids of these are created by the service, and the schemas contain all values of the other two.
                || ["clients.id", "sessions.id", "backups.id", "clients.is_central", "backups.status"]
                    .contains(&name.as_str());
            assert_eq!(is_used, has_limits && !is_exempt, "{name}");
        }
    }
}

#[test]
fn an_unknown_column_does_not_compile() {
    for (schema, reason) in [
        (json!({"column": "jobs.colour"}), "\"jobs.colour\" is not a column of the tables"),
        (json!({"column": "jobs"}), "\"jobs\" is not a column of the tables"),
        (json!({"column": "jobs.schedule"}), "\"jobs.schedule\" cannot have limits"),
        (json!({"list_column": "jobs.session_tag"}), "\"jobs.session_tag\" is not a text column"),
        (json!({"text_column": "jobs.session_tag"}), "\"jobs.session_tag\" is not a text column"),
    ] {
        let error = jsonschema::options()
            .with_keyword("column", super::keywords::column)
            .with_keyword("text_column", super::keywords::text_column)
            .with_keyword("list_column", super::keywords::list_column)
            .build(&schema)
            .err();
        assert!(error.unwrap().to_string().contains(reason), "{schema}");
    }
}
