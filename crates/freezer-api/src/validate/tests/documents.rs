//! Tests of the types that validation returns.

use serde_json::{Map, Value, json};

use super::{Invalid, VALIDATORS, action, backup, client, job, session, with_value};
use crate::validate::Document;
use crate::validate::documents::action::{columns, mandatory};

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

/// Calls the function of [`VALIDATORS`] for this kind.
fn read(kind: Document, body: Value) -> Result<(), Invalid> {
    match kind {
        Document::Client => VALIDATORS.client(body).map(drop),
        Document::Job => VALIDATORS.job(body).map(drop),
        Document::JobPatch => VALIDATORS.job_patch(&body).map(drop),
        Document::JobReplace => VALIDATORS.job_replace(body).map(drop),
        Document::Action => VALIDATORS.action(body).map(drop),
        Document::ActionPatch => VALIDATORS.action_patch(body).map(drop),
        Document::ActionReplace => VALIDATORS.action_replace(body).map(drop),
        Document::Session => VALIDATORS.session(body).map(drop),
        Document::SessionPatch => VALIDATORS.session_patch(body).map(drop),
        Document::SessionReplace => VALIDATORS.session_replace(body).map(drop),
        Document::Backup => VALIDATORS.backup(body).map(drop),
        Document::BackupPatch => VALIDATORS.backup_patch(body).map(drop),
    }
}

/// The bodies give different results for any two kinds, so a function with the rules of another kind fails.
#[test]
fn every_document_is_read_by_the_rules_of_its_kind() {
    let bodies = [
        json!({}),
        json!([1]),
        client(),
        job(),
        with_value(&job(), "/job_id", json!("a b")),
        action(),
        with_value(&action(), "/action_id", json!("a b")),
        session(),
        json!({"schedule": {}}),
        backup(),
        json!({"backup_name": 5}),
    ];
    let results = Document::ALL.map(|kind| {
        bodies.clone().map(|body| {
            let result = read(kind, body.clone());
            assert_eq!(result, VALIDATORS.check(kind, &body), "{kind:?} {body}");
            result
        })
    });
    for (at, kind) in Document::ALL.iter().enumerate() {
        let same = Document::ALL.iter().zip(&results).filter(|(_, other)| **other == results[at]);
        assert_eq!(same.map(|(kind, _)| kind).collect::<Vec<_>>(), [kind]);
    }
}

#[test]
fn values_are_converted_to_the_types_of_their_columns() {
    let body =
        json!({"schedule": {}, "hold_off": "60", "time_start": 1.5, "time_end": " -1 ", "session_tag": 7});
    let document = VALIDATORS.session(body).unwrap();
    let numbers = (document.hold_off, document.time_start, document.time_end, document.session_tag);
    assert_eq!(numbers, (Some(60), Some(2), Some(-1), Some(7)));
    let definition = json!({"action": "exec", "mode": true, "log_file": 5, "timeout": "5.5", "priority": 1.0,
                            "container": null, "mandatory": 1, "command": [1]});
    let body = json!({"max_retries": "3", "max_retries_interval": null, "freezer_action": definition});
    let document = VALIDATORS.action(body).unwrap();
    assert_eq!((document.max_retries, document.max_retries_interval), (Some(3), None));
    let freezer_action = document.freezer_action.unwrap();
    assert_eq!(freezer_action, map(definition), "the open part keeps the values that were sent");
    let columns = columns(&freezer_action);
    assert_eq!((columns.action.as_str(), columns.mode.as_deref()), ("exec", Some("1")));
    assert_eq!((columns.log_file.as_deref(), columns.container), (Some("5"), None));
    assert_eq!((columns.timeout, columns.priority), (Some(6), Some(1)));
    assert_eq!((document.mandatory, mandatory(&freezer_action)), (None, Some(true)));
}

#[test]
fn absent_null_and_value_are_distinguished() {
    for (value, expected) in [
        (None, None),
        (Some(json!(null)), Some(None)),
        (Some(json!("")), Some(Some(String::new()))),
        (Some(json!("x")), Some(Some("x".to_owned()))),
    ] {
        let body =
            |key: &str| Value::Object(value.iter().map(|value| (key.to_owned(), value.clone())).collect());
        for key in ["description", "status", "result"] {
            let document = VALIDATORS.session_patch(body(key)).unwrap();
            let texts = [
                ("description", document.description),
                ("status", document.status),
                ("result", document.result),
            ];
            for (name, text) in texts {
                assert_eq!(text, expected.clone().filter(|_| name == key), "{name} of {key}: {value:?}");
            }
        }
        let description = body("description");
        assert_eq!(VALIDATORS.job_patch(&description).unwrap().changes.description, expected);
        // Null and "" both mean that the job leaves its session.
        let session_id = body("session_id");
        let read = VALIDATORS.job_patch(&session_id).unwrap().changes.session_id;
        assert_eq!(read, expected.clone().map(Option::unwrap_or_default), "{value:?}");
        // Null and "" both mean that the caller chooses no id.
        let id = expected.flatten().filter(|id| !id.is_empty());
        let chosen = |document: Value, key: &str| match &value {
            Some(value) => with_value(&document, &format!("/{key}"), value.clone()),
            None => document,
        };
        assert_eq!(VALIDATORS.job(chosen(job(), "job_id")).unwrap().job_id, id);
        assert_eq!(VALIDATORS.action(chosen(action(), "action_id")).unwrap().action_id, id);
        let entry = json!({"freezer_action": {"action": "exec"}});
        let body = with_value(&job(), "/job_actions/0", chosen(entry, "action_id"));
        assert_eq!(VALIDATORS.job(body).unwrap().actions.unwrap()[0].action_id, id);
    }
    for (uuid, expected) in [(json!(""), None), (json!("u"), Some("u"))] {
        let document = VALIDATORS.client(json!({"client_id": "n", "uuid": uuid})).unwrap();
        assert_eq!(document.uuid.as_deref(), expected);
        assert_eq!((document.is_central, document.supported_actions), (false, None));
    }
    let body =
        json!({"client_id": "n", "is_central": true, "supported_modes": [], "supported_engines": ["tar"]});
    let document = VALIDATORS.client(body).unwrap();
    assert!(document.is_central);
    assert_eq!(document.supported_modes, Some(Vec::new()));
    assert_eq!(document.supported_engines, Some(vec!["tar".to_owned()]));
}

#[test]
fn empty_containers_of_the_other_type_are_read() {
    for (list, expected) in [(json!({}), 0), (json!([]), 0), (json!([{"action_id": "a"}]), 1)] {
        let body = json!({"client_id": "n", "job_actions": list});
        assert_eq!(VALIDATORS.job_patch(&body).unwrap().changes.actions.unwrap().len(), expected);
        assert_eq!(VALIDATORS.job(body).unwrap().actions.unwrap().len(), expected);
    }
    assert_eq!(VALIDATORS.job_patch(&json!({})).unwrap().changes.actions, None);
    for (jobs, expected) in [
        (json!([]), None),
        (json!(null), None),
        (json!({}), Some(json!({}))),
        (json!({"j": {"status": ""}}), Some(json!({"j": {"status": ""}}))),
    ] {
        let document = VALIDATORS.session_patch(json!({"jobs": jobs})).unwrap();
        assert_eq!(document.jobs, expected.map(map), "{jobs}");
    }
}

#[test]
fn metadata_of_backups_are_whole_and_in_the_order_of_the_body() {
    let text = |metadata: &Map<String, Value>| serde_json::to_string(metadata).unwrap();
    let body =
        json!({"status": "error", "z": [1], "backup_name": "b", "user_id": null, "a": {"b": 1.0}, "m": "é"});
    let document = VALIDATORS.backup(body).unwrap();
    assert_eq!(document.status.as_deref(), Some("error"));
    assert_eq!(
        text(&document.metadata),
        r#"{"z":[1],"backup_name":"b","user_id":null,"a":{"b":1.0},"m":"é"}"#
    );
    let body = json!({"user_id": "u", "z": 1, "backup_id": "x", "status": "deleted", "project_id": null, "a": 1,
                      "backup_metadata": {"n": 2, "z": null, "status": "kept"}, "m": 3});
    let document = VALIDATORS.backup_patch(body).unwrap();
    assert_eq!(document.status.as_deref(), Some("deleted"));
    assert_eq!(text(&document.metadata), r#"{"z":null,"a":1,"m":3,"n":2,"status":"kept"}"#);
    assert_eq!(VALIDATORS.backup_patch(json!({"a": 1})).unwrap().status, None);
}

#[test]
fn a_patch_of_a_job_keeps_the_body_and_reads_only_its_changes() {
    let invalid = json!({"action_id": "a1", "freezer_action": {"action": "backup", "mode": "old"}});
    let shown = json!({"job_id": "j1", "client_id": "not valid", "description": "d", "session_tag": null,
                       "job_schedule": {"status": "", "schedule_month": 5}, "job_actions": [invalid]});
    let mut sent = shown.clone();
    sent["job_schedule"]["status"] = json!("running");
    sent["job_actions"] = json!([invalid, {"freezer_action": {"action": "exec"}}]);
    sent["project_id"] = json!("p");
    let refused = VALIDATORS.job_patch(&sent).unwrap_err();
    assert_eq!(refused.field, "client_id");
    let (sent_map, shown) = (map(sent), map(shown));
    let patch = VALIDATORS.job_changes(&sent_map, &shown).unwrap();
    assert_eq!(patch.sent, &sent_map);
    let changes = patch.changes;
    assert_eq!(changes.schedule, Some(map(json!({"status": "running"}))));
    assert_eq!((changes.client_id, changes.description, changes.session_tag), (None, None, None));
    let ids: Vec<_> = changes.actions.unwrap().into_iter().map(|action| action.action_id).collect();
    assert_eq!(ids, [Some("a1".to_owned()), None]);
    // A changed value must be valid, and its error is that of the whole body.
    for (key, value) in [("client_id", json!("also not valid")), ("description", json!(5))] {
        let mut sent = sent_map.clone();
        sent.insert(key.to_owned(), value);
        assert_eq!(VALIDATORS.job_changes(&sent, &shown).unwrap_err().field, key);
    }
    let refused = VALIDATORS.job_patch(&Value::Object(sent_map.clone())).unwrap_err();
    assert_eq!(VALIDATORS.job_changes(&sent_map, &Map::new()).unwrap_err(), refused);
}
