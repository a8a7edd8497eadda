//! Tests of sessions.

use serde_json::json;

use super::{OUT_OF_RANGE, accepts, rejects, session, with_value};
use crate::validate::Document;

#[test]
fn sessions() {
    let session = session();
    let bodies = [
        session.clone(),
        with_value(&session, "/jobs", json!({"j1": {"status": "running", "time_ended": ""}})),
        with_value(&session, "/jobs", json!([])),
        with_value(&session, "/jobs", json!(null)),
        with_value(&session, "/hold_off", json!("60")),
        with_value(&session, "/hold_off", json!(null)),
        with_value(&session, "/time_start", json!(-1)),
        with_value(&session, "/status", json!("running")),
        with_value(&session, "/result", json!(null)),
        with_value(&session, "/schedule", json!({})),
    ];
    let refused = [
        (
            with_value(&session, "/schedule", json!(null)),
            "schedule",
            "schedule: None is not of type 'object'",
        ),
        (
            with_value(&session, "/schedule", json!({"time_created": null})),
            "schedule.time_created",
            "schedule.time_created: None is not of type 'integer'",
        ),
        (
            with_value(&session, "/session_tag", json!(1.0)),
            "session_tag",
            "session_tag: 1.0 is not of type 'integer'",
        ),
        (
            with_value(&session, "/session_tag", json!(true)),
            "session_tag",
            "session_tag: True is not of type 'integer'",
        ),
        (
            with_value(&session, "/time_started", json!(null)),
            "time_started",
            "time_started: None is not of type 'integer'",
        ),
        (
            with_value(&session, "/time_ended", json!(9_999_999_999_i64)),
            "time_ended",
            &format!("time_ended: 9999999999 {OUT_OF_RANGE}"),
        ),
        (with_value(&session, "/hold_off", json!("x")), "hold_off", "hold_off: 'x' is not of type 'integer'"),
        (
            with_value(&session, "/hold_off", json!(true)),
            "hold_off",
            "hold_off: True is not of type 'integer'",
        ),
        (
            with_value(&session, "/time_end", json!(1e10)),
            "time_end",
            &format!("time_end: 10000000000.0 {OUT_OF_RANGE}"),
        ),
        (with_value(&session, "/status", json!(5)), "status", "status: 5 is not of type 'string', 'null'"),
    ];
    for kind in [Document::Session, Document::SessionPatch, Document::SessionReplace] {
        accepts(kind, &bodies);
        rejects(kind, &refused);
    }
    // The jobs of a new session are not read.
    let jobs = [
        (with_value(&session, "/jobs", json!("j1")), "jobs", "jobs: 'j1' is not of type 'object'"),
        (with_value(&session, "/jobs", json!(["j1"])), "jobs", "jobs: ['j1'] is not of type 'object'"),
        (
            with_value(&session, "/jobs", json!({"a/b~c": 5})),
            "jobs.a/b~c",
            "jobs.a/b~c: 5 is not of type 'object'",
        ),
        (with_value(&session, "/jobs", json!({"0": null})), "jobs.0", "jobs.0: None is not of type 'object'"),
    ];
    accepts(Document::Session, &jobs.clone().map(|(body, ..)| body));
    for kind in [Document::SessionPatch, Document::SessionReplace] {
        rejects(kind, &jobs);
    }
    accepts(Document::Session, &[json!({"schedule": {}}), with_value(&session, "/colour", json!(1))]);
    accepts(Document::SessionReplace, &[with_value(&session, "/colour", json!(1))]);
    rejects(
        Document::SessionPatch,
        &[(
            json!({"colour": 1}),
            "colour",
            "Additional properties are not allowed ('colour' was unexpected)",
        )],
    );
    rejects(
        Document::Session,
        &[(json!({"description": "s"}), "schedule", "'schedule' is a required property")],
    );
    rejects(
        Document::SessionReplace,
        &[
            (json!({"schedule": {}}), "session_tag", "'session_tag' is a required property"),
            (json!({"session_tag": 1}), "schedule", "'schedule' is a required property"),
        ],
    );
}
