//! Tests of jobs that are accepted, and of errors in others.

use serde_json::{Value, json};

use super::{OUT_OF_RANGE, accepts, action, backup, client, job, rejects, session, with_value};
use crate::validate::Document;

#[test]
fn jobs_that_are_accepted() {
    let job = job();
    let entry = |value: Value| with_value(&job, "/job_actions/0", value);
    let bodies = [
        job.clone(),
        json!({"client_id": "n", "job_actions": []}),
        json!({"client_id": "n", "job_actions": {}}),
        entry(json!({"action_id": "a1"})),
        entry(json!({"action_id": "no such id", "freezer_action": {}})),
        entry(json!({"action_id": null, "freezer_action": {"action": "exec", "command": {"any": [1]}}})),
        entry(
            json!({"freezer_action": {"action": "exec"}, "max_retries": null, "mandatory": null, "colour": 1}),
        ),
        entry(
            json!({"freezer_action": {"action": "exec", "mode": null, "timeout": "5", "priority": 1.0, "log_file": 5}}),
        ),
        with_value(&job, "/description", json!(null)),
        with_value(&job, "/session_id", json!("")),
        with_value(&job, "/session_id", json!(null)),
        with_value(&job, "/session_tag", json!(2_147_483_647)),
        with_value(&job, "/action_defaults", json!({"mode": "fs", "colour": 1})),
        with_value(&job, "/action_defaults", json!(null)),
        json!({"client_id": "n", "action_defaults": {"action": "backup"}, "job_actions": [
            {"freezer_action": {}}, {"freezer_action": {"action": null}}, {"action_id": "a1"}]}),
    ];
    accepts(Document::Job, &bodies);
    accepts(Document::JobReplace, &bodies);
    accepts(Document::JobPatch, &bodies);
    for (key, value) in [
        ("schedule_interval", json!("continuous")),
        ("schedule_interval", json!("15  minutes")),
        ("schedule_interval", json!("\u{661}\u{662} days")),
        ("schedule_date", json!("2026-02-28T23:59:59.5+05:30")),
        ("schedule_start_date", json!("-12026-12-31T00:00:00Z")),
        ("schedule_end_date", json!("2026-12-31T00:00:00")),
        ("schedule_year", json!("2026")),
        ("schedule_month", json!("any text")),
        ("event", json!("")),
        ("status", json!("removed")),
        ("result", json!("aborted")),
        ("current_pid", json!(i64::MAX)),
        ("time_started", json!(-1)),
    ] {
        let body = with_value(&job, &format!("/job_schedule/{key}"), value);
        accepts(Document::Job, std::slice::from_ref(&body));
        accepts(Document::JobPatch, std::slice::from_ref(&body));
        accepts(Document::JobReplace, &[body]);
    }
    // The service sets these at creation, so they are not read.
    accepts(
        Document::Job,
        &[with_value(&job, "/job_schedule", json!({"time_created": "now", "time_ended": null}))],
    );
}

#[test]
fn unread_keys_accept_any_value() {
    for value in [json!(null), json!(5), json!("a b"), json!({"trust_id": []}), json!("x".repeat(300))] {
        for key in ["user_id", "project_id", "user_credentials", "_version", "session_name"] {
            let add = |body: Value| with_value(&body, &format!("/{key}"), value.clone());
            accepts(Document::Client, &[add(client())]);
            for kind in [Document::Job, Document::JobPatch, Document::JobReplace] {
                accepts(kind, &[add(job())]);
            }
            for kind in [Document::Action, Document::ActionPatch, Document::ActionReplace] {
                accepts(kind, &[add(action())]);
            }
            for kind in [Document::Session, Document::SessionPatch, Document::SessionReplace] {
                accepts(kind, &[add(session())]);
            }
            accepts(Document::Backup, &[add(backup())]);
            accepts(Document::BackupPatch, &[add(backup())]);
        }
        for kind in [Document::JobPatch, Document::JobReplace] {
            accepts(kind, &[with_value(&job(), "/job_id", value.clone())]);
        }
        for kind in [Document::ActionPatch, Document::ActionReplace] {
            accepts(kind, &[with_value(&action(), "/action_id", value.clone())]);
        }
        for kind in [Document::Session, Document::SessionPatch, Document::SessionReplace] {
            accepts(kind, &[with_value(&session(), "/session_id", value.clone())]);
        }
        accepts(Document::Backup, &[with_value(&backup(), "/backup_id", value.clone())]);
    }
}

#[test]
fn jobs_that_are_rejected() {
    let job = job();
    let entry = |value: Value| with_value(&job, "/job_actions/0", value);
    let run =
        |key: &str, value: Value| with_value(&job, &format!("/job_actions/0/freezer_action/{key}"), value);
    let bodies = [
        (
            with_value(&job, "/job_actions", json!(null)),
            "job_actions",
            "job_actions: None is not of type 'array'",
        ),
        (
            with_value(&job, "/job_actions", json!("")),
            "job_actions",
            "job_actions: '' is not of type 'array'",
        ),
        (
            with_value(&job, "/job_actions", json!({"a": 1})),
            "job_actions",
            "job_actions: {'a': 1} is not of type 'array'",
        ),
        (entry(json!(1)), "job_actions[0]", "job_actions[0]: 1 is not of type 'object'"),
        (
            entry(json!({"max_retries": 1})),
            "job_actions[0].freezer_action",
            "'freezer_action' is a required property",
        ),
        (
            entry(json!({"action_id": "", "max_retries": 1})),
            "job_actions[0].freezer_action",
            "'freezer_action' is a required property",
        ),
        (
            entry(json!({"action_id": 5})),
            "job_actions[0].action_id",
            "job_actions[0].action_id: 5 is not of type 'string', 'null'",
        ),
        (
            entry(json!({"freezer_action": null})),
            "job_actions[0].freezer_action",
            "job_actions[0].freezer_action: None is not of type 'object'",
        ),
        (
            entry(json!({"action_id": "a", "freezer_action": []})),
            "job_actions[0].freezer_action",
            "job_actions[0].freezer_action: [] is not of type 'object'",
        ),
        (
            entry(json!({"freezer_action": {"mode": "fs"}})),
            "job_actions[0].freezer_action.action",
            "'action' is a required property",
        ),
        (
            run("action", json!(null)),
            "job_actions[0].freezer_action.action",
            "job_actions[0].freezer_action.action: None is not of type 'string'",
        ),
        (
            run("action", json!("zap")),
            "job_actions[0].freezer_action.action",
            "job_actions[0].freezer_action.action: 'zap' is not one of ['backup', 'restore', 'info', 'admin', 'exec']",
        ),
        (
            run("mode", json!("zap")),
            "job_actions[0].freezer_action.mode",
            "job_actions[0].freezer_action.mode: 'zap' is not one of ['fs', 'mongo', 'mysql', 'sqlserver', \
             'cinder', 'glance', 'cindernative', 'nova', None]",
        ),
        (
            run("cindernative_freezer_only", json!(1)),
            "job_actions[0].freezer_action.cindernative_freezer_only",
            "job_actions[0].freezer_action.cindernative_freezer_only: 1 is not of type 'boolean', 'null'",
        ),
        (
            run("container", json!(5)),
            "job_actions[0].freezer_action.container",
            "job_actions[0].freezer_action.container: 5 is not of type 'string', 'null'",
        ),
        (
            run("timeout", json!("soon")),
            "job_actions[0].freezer_action.timeout",
            "job_actions[0].freezer_action.timeout: 'soon' is not of type 'integer'",
        ),
        (
            run("priority", json!(true)),
            "job_actions[0].freezer_action.priority",
            "job_actions[0].freezer_action.priority: True is not of type 'integer'",
        ),
        (
            run("log_file", json!(["a"])),
            "job_actions[0].freezer_action.log_file",
            "job_actions[0].freezer_action.log_file: ['a'] is not of type 'string'",
        ),
        (
            run("mandatory", json!("yes")),
            "job_actions[0].freezer_action.mandatory",
            "job_actions[0].freezer_action.mandatory: 'yes' is not of type 'boolean'",
        ),
        (
            with_value(&job, "/job_actions/0/max_retries", json!("5")),
            "job_actions[0].max_retries",
            "job_actions[0].max_retries: '5' is not of type 'integer', 'null'",
        ),
        (
            with_value(&job, "/job_actions/0/max_retries_interval", json!(-2_147_483_649_i64)),
            "job_actions[0].max_retries_interval",
            &format!("job_actions[0].max_retries_interval: -2147483649 {OUT_OF_RANGE}"),
        ),
        (
            with_value(&job, "/job_actions/0/mandatory", json!(1)),
            "job_actions[0].mandatory",
            "job_actions[0].mandatory: 1 is not of type 'boolean', 'null'",
        ),
        (
            with_value(&job, "/job_schedule", json!(null)),
            "job_schedule",
            "job_schedule: None is not of type 'object'",
        ),
        (
            with_value(&job, "/job_schedule", json!({"colour": "red"})),
            "job_schedule.colour",
            "job_schedule: Additional properties are not allowed ('colour' was unexpected)",
        ),
        (
            with_value(&job, "/job_schedule", json!({"schedule_interval": "sometimes"})),
            "job_schedule.schedule_interval",
            r"job_schedule.schedule_interval: 'sometimes' does not match '^(continuous|(\\d+ +(weeks|days|hours|minutes|seconds)))$'",
        ),
        (
            with_value(&job, "/job_schedule", json!({"schedule_year": "2026\n"})),
            "job_schedule.schedule_year",
            r"job_schedule.schedule_year: '2026\n' does not match '^\\d{4}$'",
        ),
        (
            with_value(&job, "/job_schedule", json!({"schedule_end_date": null})),
            "job_schedule.schedule_end_date",
            "job_schedule.schedule_end_date: None is not of type 'string'",
        ),
        (
            with_value(&job, "/job_schedule", json!({"event": "dance"})),
            "job_schedule.event",
            "job_schedule.event: 'dance' is not one of ['', 'stop', 'start', 'abort', 'remove']",
        ),
        (
            with_value(&job, "/job_schedule", json!({"current_pid": 1.0})),
            "job_schedule.current_pid",
            "job_schedule.current_pid: 1.0 is not of type 'integer'",
        ),
        (with_value(&job, "/client_id", json!(null)), "client_id", "client_id: None is not of type 'string'"),
        (
            with_value(&job, "/session_id", json!("s".repeat(37))),
            "session_id",
            &format!("session_id: '{}' is too long (37 characters, at most 36)", "s".repeat(37)),
        ),
        (
            with_value(&job, "/session_tag", json!(null)),
            "session_tag",
            "session_tag: None is not of type 'integer'",
        ),
        (
            with_value(&job, "/session_tag", json!(true)),
            "session_tag",
            "session_tag: True is not of type 'integer'",
        ),
        (
            with_value(&job, "/session_tag", json!("1")),
            "session_tag",
            "session_tag: '1' is not of type 'integer'",
        ),
        (
            with_value(&job, "/session_tag", json!(2_147_483_648_i64)),
            "session_tag",
            &format!("session_tag: 2147483648 {OUT_OF_RANGE}"),
        ),
        (
            with_value(&job, "/description", json!(5)),
            "description",
            "description: 5 is not of type 'string', 'null'",
        ),
        (
            with_value(&job, "/colour", json!(1)),
            "colour",
            "Additional properties are not allowed ('colour' was unexpected)",
        ),
        (
            with_value(&job, "/action_defaults", json!([1])),
            "action_defaults",
            "action_defaults: [1] is not of type 'object', 'null'",
        ),
        (
            with_value(&job, "/action_defaults", json!({"backup_name": 5})),
            "action_defaults.backup_name",
            "action_defaults.backup_name: 5 is not of type 'string', 'null'",
        ),
    ];
    for kind in [Document::Job, Document::JobPatch, Document::JobReplace] {
        rejects(kind, &bodies);
    }
    let time = with_value(&job, "/job_schedule", json!({"time_started": ""}));
    let text = "job_schedule.time_started: '' is not of type 'integer'";
    rejects(Document::JobPatch, &[(time.clone(), "job_schedule.time_started", text)]);
    rejects(Document::JobReplace, &[(time, "job_schedule.time_started", text)]);
    for kind in [Document::Job, Document::JobReplace] {
        rejects(
            kind,
            &[
                (json!({}), "job_actions", "'job_actions' is a required property"),
                (json!({"job_actions": []}), "client_id", "'client_id' is a required property"),
            ],
        );
    }
    let defaults = "action_defaults: there are no job_actions in the request to fill in";
    rejects(Document::JobPatch, &[(json!({"action_defaults": {"mode": "fs"}}), "action_defaults", defaults)]);
    accepts(Document::JobPatch, &[json!({"action_defaults": {}}), json!({"description": "p"})]);
}
