//! Every kind of document by table: bodies that are accepted, and bodies with the exact error.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::limits::{COLUMNS, Kind};
use super::{Document, Invalid, Validators, schema};

/// Built once: that takes longer than all checks together. Also says that threads can share it.
static VALIDATORS: LazyLock<Validators> = LazyLock::new(|| Validators::new().expect("the schemas compile"));

fn accepts(kind: Document, bodies: &[Value]) {
    for body in bodies {
        assert_eq!(VALIDATORS.check(kind, body), Ok(()), "{kind:?} {body}");
    }
}

/// Bodies, each with the field and the text of its error.
fn refuses(kind: Document, bodies: &[(Value, &str, &str)]) {
    for (body, field, message) in bodies {
        let wanted = Invalid { field: (*field).to_owned(), message: (*message).to_owned() };
        assert_eq!(VALIDATORS.check(kind, body), Err(wanted), "{kind:?} {body}");
    }
}

/// The body with this value at the pointer.
fn with(body: &Value, pointer: &str, value: Value) -> Value {
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
        refuses(
            kind,
            &[(json!([1]), "", &text("[1]")), (json!("x"), "", &text("'x'")), (json!(5), "", &text("5"))],
        );
    }
    for kind in [Document::Job, Document::JobPatch, Document::ActionPatch, Document::SessionPatch] {
        let text = "the request body must be a JSON object: None is not of type 'object'";
        refuses(kind, &[(json!(null), "", text)]);
    }
}

#[test]
fn an_empty_body_is_a_missing_one_where_19_0_0_says_so() {
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
fn clients_that_are_accepted() {
    let client = client();
    accepts(
        Document::Client,
        &[
            client.clone(),
            json!({"client_id": "project_node1.example.org"}),
            json!({"client_id": "проект-7_node1"}),
            json!({"client_id": "n", "uuid": "", "colour": {"any": null}, "user_id": 5, "project_id": null}),
            with(&client, "/hostname", json!("h".repeat(255))),
            with(&client, "/description", json!("\u{1f600}".repeat(255))),
            with(&client, "/description", json!("a\0b")),
            with(&client, "/supported_actions", json!(vec!["exec"; 31])),
        ],
    );
}

#[test]
fn clients_that_are_refused() {
    let client = client();
    let id = r"'^(?:([\\w\\-]+)\\_)?([a-zA-Z\\d]|[a-zA-Z\\d][a-zA-Z\\d\\-]{0,61}[a-zA-Z\\d])(\\.([a-zA-Z\\d]|[a-zA-Z\\d][a-zA-Z\\d\\-]{0,61}[a-zA-Z\\d]))*$'";
    let host = r"'([a-zA-Z\\d]|[a-zA-Z\\d][a-zA-Z\\d\\-]{0,61}[a-zA-Z\\d])(\\.([a-zA-Z\\d]|[a-zA-Z\\d][a-zA-Z\\d\\-]{0,61}[a-zA-Z\\d]))*'";
    let long = format!("'{}...", "d".repeat(76));
    refuses(
        Document::Client,
        &[
            (json!({"hostname": "h"}), "client_id", "'client_id' is a required property"),
            (with(&client, "/client_id", json!(5)), "client_id", "client_id: 5 is not of type 'string'"),
            (
                with(&client, "/client_id", json!("a b$")),
                "client_id",
                &format!("client_id: 'a b$' does not match {id}"),
            ),
            (
                with(&client, "/client_id", json!("node1\n")),
                "client_id",
                &format!(r"client_id: 'node1\n' does not match {id}"),
            ),
        ],
    );
    refuses(
        Document::Client,
        &[
            (
                with(&client, "/hostname", json!("")),
                "hostname",
                &format!("hostname: '' does not match {host}"),
            ),
            (with(&client, "/hostname", json!(null)), "hostname", "hostname: None is not of type 'string'"),
            (
                with(&client, "/hostname", json!("d".repeat(256))),
                "hostname",
                &format!("hostname: {long} is too long (256 characters, at most 255)"),
            ),
            (
                with(&client, "/client_id", json!("d_".repeat(127) + "dd")),
                "client_id",
                &format!("client_id: '{} is too long (256 characters, at most 255)", "d_".repeat(38) + "..."),
            ),
            (
                with(&client, "/description", json!("d".repeat(300))),
                "description",
                &format!("description: {long} is too long (300 characters, at most 255)"),
            ),
            (
                with(&client, "/description", json!(null)),
                "description",
                "description: None is not of type 'string'",
            ),
            (
                with(&client, "/uuid", json!("u".repeat(37))),
                "uuid",
                &format!("uuid: '{}' is too long (37 characters, at most 36)", "u".repeat(37)),
            ),
            (
                with(&client, "/supported_actions", json!(["backup", "fly"])),
                "supported_actions[1]",
                "supported_actions[1]: 'fly' is not one of ['backup', 'restore', 'info', 'admin', 'exec']",
            ),
            (
                with(&client, "/supported_engines", json!("tar")),
                "supported_engines",
                "supported_engines: 'tar' is not of type 'array'",
            ),
            (
                with(&client, "/supported_actions", json!(vec!["exec"; 32])),
                "supported_actions",
                "supported_actions: ['exec', 'exec', 'exec', 'exec', 'exec', 'exec', 'exec', 'exec', 'exec', 'exe... \
                 is too long (256 characters as JSON, at most 255); name each value once",
            ),
            (with(&client, "/is_central", json!(1)), "is_central", "is_central: 1 is not of type 'boolean'"),
        ],
    );
}

#[test]
fn jobs_that_are_accepted() {
    let job = job();
    let entry = |value: Value| with(&job, "/job_actions/0", value);
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
        with(&job, "/description", json!(null)),
        with(&job, "/session_id", json!("")),
        with(&job, "/session_id", json!(null)),
        with(&job, "/session_tag", json!(2_147_483_647)),
        with(&job, "/action_defaults", json!({"mode": "fs", "colour": 1})),
        with(&job, "/action_defaults", json!(null)),
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
        let body = with(&job, &format!("/job_schedule/{key}"), value);
        accepts(Document::Job, std::slice::from_ref(&body));
        accepts(Document::JobPatch, std::slice::from_ref(&body));
        accepts(Document::JobReplace, &[body]);
    }
    // Set by the service at creation, so not read.
    accepts(
        Document::Job,
        &[with(&job, "/job_schedule", json!({"time_created": "now", "time_ended": null}))],
    );
}

#[test]
fn keys_the_service_does_not_read_take_any_value() {
    for value in [json!(null), json!(5), json!("a b"), json!({"trust_id": []}), json!("x".repeat(300))] {
        for key in ["user_id", "project_id", "user_credentials", "_version", "session_name"] {
            let add = |body: Value| with(&body, &format!("/{key}"), value.clone());
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
            accepts(kind, &[with(&job(), "/job_id", value.clone())]);
        }
        for kind in [Document::ActionPatch, Document::ActionReplace] {
            accepts(kind, &[with(&action(), "/action_id", value.clone())]);
        }
        for kind in [Document::Session, Document::SessionPatch, Document::SessionReplace] {
            accepts(kind, &[with(&session(), "/session_id", value.clone())]);
        }
        accepts(Document::Backup, &[with(&backup(), "/backup_id", value.clone())]);
    }
}

#[test]
fn ids_of_callers() {
    for (kind, body, key) in [(Document::Job, job(), "job_id"), (Document::Action, action(), "action_id")] {
        let body = |id: Value| with(&body, &format!("/{key}"), id);
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
        refuses(
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
fn jobs_that_are_refused() {
    let job = job();
    let entry = |value: Value| with(&job, "/job_actions/0", value);
    let run = |key: &str, value: Value| with(&job, &format!("/job_actions/0/freezer_action/{key}"), value);
    let bodies = [
        (with(&job, "/job_actions", json!(null)), "job_actions", "job_actions: None is not of type 'array'"),
        (with(&job, "/job_actions", json!("")), "job_actions", "job_actions: '' is not of type 'array'"),
        (
            with(&job, "/job_actions", json!({"a": 1})),
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
            with(&job, "/job_actions/0/max_retries", json!("5")),
            "job_actions[0].max_retries",
            "job_actions[0].max_retries: '5' is not of type 'integer', 'null'",
        ),
        (
            with(&job, "/job_actions/0/max_retries_interval", json!(-2_147_483_649_i64)),
            "job_actions[0].max_retries_interval",
            &format!("job_actions[0].max_retries_interval: -2147483649 {OUT_OF_RANGE}"),
        ),
        (
            with(&job, "/job_actions/0/mandatory", json!(1)),
            "job_actions[0].mandatory",
            "job_actions[0].mandatory: 1 is not of type 'boolean', 'null'",
        ),
        (
            with(&job, "/job_schedule", json!(null)),
            "job_schedule",
            "job_schedule: None is not of type 'object'",
        ),
        (
            with(&job, "/job_schedule", json!({"colour": "red"})),
            "job_schedule.colour",
            "job_schedule: Additional properties are not allowed ('colour' was unexpected)",
        ),
        (
            with(&job, "/job_schedule", json!({"schedule_interval": "sometimes"})),
            "job_schedule.schedule_interval",
            r"job_schedule.schedule_interval: 'sometimes' does not match '^(continuous|(\\d+ +(weeks|days|hours|minutes|seconds)))$'",
        ),
        (
            with(&job, "/job_schedule", json!({"schedule_year": "2026\n"})),
            "job_schedule.schedule_year",
            r"job_schedule.schedule_year: '2026\n' does not match '^\\d{4}$'",
        ),
        (
            with(&job, "/job_schedule", json!({"schedule_end_date": null})),
            "job_schedule.schedule_end_date",
            "job_schedule.schedule_end_date: None is not of type 'string'",
        ),
        (
            with(&job, "/job_schedule", json!({"event": "dance"})),
            "job_schedule.event",
            "job_schedule.event: 'dance' is not one of ['', 'stop', 'start', 'abort', 'remove']",
        ),
        (
            with(&job, "/job_schedule", json!({"current_pid": 1.0})),
            "job_schedule.current_pid",
            "job_schedule.current_pid: 1.0 is not of type 'integer'",
        ),
        (with(&job, "/client_id", json!(null)), "client_id", "client_id: None is not of type 'string'"),
        (
            with(&job, "/session_id", json!("s".repeat(37))),
            "session_id",
            &format!("session_id: '{}' is too long (37 characters, at most 36)", "s".repeat(37)),
        ),
        (
            with(&job, "/session_tag", json!(null)),
            "session_tag",
            "session_tag: None is not of type 'integer'",
        ),
        (
            with(&job, "/session_tag", json!(true)),
            "session_tag",
            "session_tag: True is not of type 'integer'",
        ),
        (with(&job, "/session_tag", json!("1")), "session_tag", "session_tag: '1' is not of type 'integer'"),
        (
            with(&job, "/session_tag", json!(2_147_483_648_i64)),
            "session_tag",
            &format!("session_tag: 2147483648 {OUT_OF_RANGE}"),
        ),
        (
            with(&job, "/description", json!(5)),
            "description",
            "description: 5 is not of type 'string', 'null'",
        ),
        (
            with(&job, "/colour", json!(1)),
            "colour",
            "Additional properties are not allowed ('colour' was unexpected)",
        ),
        (
            with(&job, "/action_defaults", json!([1])),
            "action_defaults",
            "action_defaults: [1] is not of type 'object', 'null'",
        ),
        (
            with(&job, "/action_defaults", json!({"backup_name": 5})),
            "action_defaults.backup_name",
            "action_defaults.backup_name: 5 is not of type 'string', 'null'",
        ),
    ];
    for kind in [Document::Job, Document::JobPatch, Document::JobReplace] {
        refuses(kind, &bodies);
    }
    let time = with(&job, "/job_schedule", json!({"time_started": ""}));
    let text = "job_schedule.time_started: '' is not of type 'integer'";
    refuses(Document::JobPatch, &[(time.clone(), "job_schedule.time_started", text)]);
    refuses(Document::JobReplace, &[(time, "job_schedule.time_started", text)]);
    for kind in [Document::Job, Document::JobReplace] {
        refuses(
            kind,
            &[
                (json!({}), "job_actions", "'job_actions' is a required property"),
                (json!({"job_actions": []}), "client_id", "'client_id' is a required property"),
            ],
        );
    }
    let defaults = "action_defaults: there are no job_actions in the request to fill in";
    refuses(Document::JobPatch, &[(json!({"action_defaults": {"mode": "fs"}}), "action_defaults", defaults)]);
    accepts(Document::JobPatch, &[json!({"action_defaults": {}}), json!({"description": "p"})]);
}

#[test]
fn actions() {
    let action = action();
    let run = |key: &str, value: Value| with(&action, &format!("/freezer_action/{key}"), value);
    let bodies = [
        action.clone(),
        run("action", json!("zap")),
        run("mode", json!("zap")),
        run("mode", json!(null)),
        run("timeout", json!("60")),
        run("timeout", json!(60.0)),
        run("priority", json!(null)),
        run("backup_name", json!(5)),
        run("container", json!("c".repeat(255))),
        run("mandatory", json!(1)),
        run("colour", json!({"nested": [null]})),
        with(&action, "/max_retries", json!("5")),
        with(&action, "/max_retries_interval", json!(null)),
        with(&action, "/mandatory", json!(true)),
        with(&action, "/mandatory", json!(null)),
        with(&action, "/mode", json!("out of place")),
    ];
    let long = format!("'{}...", "c".repeat(76));
    let refused = [
        (
            with(&action, "/freezer_action", json!(null)),
            "freezer_action",
            "freezer_action: None is not of type 'object'",
        ),
        (
            with(&action, "/freezer_action", json!("x")),
            "freezer_action",
            "freezer_action: 'x' is not of type 'object'",
        ),
        (run("action", json!("")), "freezer_action.action", "freezer_action.action: '' should be non-empty"),
        (
            run("action", json!(null)),
            "freezer_action.action",
            "freezer_action.action: None is not of type 'string'",
        ),
        (
            run("action", json!(5)),
            "freezer_action.action",
            "freezer_action.action: 5 is not of type 'string'",
        ),
        (run("mode", json!([])), "freezer_action.mode", "freezer_action.mode: [] is not of type 'string'"),
        (
            run("container", json!("c".repeat(256))),
            "freezer_action.container",
            &format!("freezer_action.container: {long} is too long (256 characters, at most 255)"),
        ),
        (
            run("timeout", json!(true)),
            "freezer_action.timeout",
            "freezer_action.timeout: True is not of type 'integer'",
        ),
        (
            run("timeout", json!(4_294_967_296_i64)),
            "freezer_action.timeout",
            &format!("freezer_action.timeout: 4294967296 {OUT_OF_RANGE}"),
        ),
        (
            with(&action, "/max_retries", json!("many")),
            "max_retries",
            "max_retries: 'many' is not of type 'integer'",
        ),
        (
            with(&action, "/mandatory", json!("no")),
            "mandatory",
            "mandatory: 'no' is not of type 'boolean', 'null'",
        ),
    ];
    for kind in [Document::Action, Document::ActionPatch, Document::ActionReplace] {
        accepts(kind, &bodies);
        refuses(kind, &refused);
    }
    for kind in [Document::Action, Document::ActionReplace] {
        refuses(
            kind,
            &[
                (json!({"max_retries": 1}), "freezer_action", "'freezer_action' is a required property"),
                (json!({"freezer_action": {}}), "freezer_action.action", "'action' is a required property"),
            ],
        );
    }
    accepts(
        Document::ActionPatch,
        &[
            json!({"colour": "red"}),
            json!({"freezer_action": {}}),
            json!({"freezer_action": {"mode": "mysql"}}),
        ],
    );
}

#[test]
fn sessions() {
    let session = session();
    let bodies = [
        session.clone(),
        with(&session, "/jobs", json!({"j1": {"status": "running", "time_ended": ""}})),
        with(&session, "/jobs", json!([])),
        with(&session, "/jobs", json!(null)),
        with(&session, "/hold_off", json!("60")),
        with(&session, "/hold_off", json!(null)),
        with(&session, "/time_start", json!(-1)),
        with(&session, "/status", json!("running")),
        with(&session, "/result", json!(null)),
        with(&session, "/schedule", json!({})),
    ];
    let refused = [
        (with(&session, "/schedule", json!(null)), "schedule", "schedule: None is not of type 'object'"),
        (
            with(&session, "/schedule", json!({"time_created": null})),
            "schedule.time_created",
            "schedule.time_created: None is not of type 'integer'",
        ),
        (
            with(&session, "/session_tag", json!(1.0)),
            "session_tag",
            "session_tag: 1.0 is not of type 'integer'",
        ),
        (
            with(&session, "/session_tag", json!(true)),
            "session_tag",
            "session_tag: True is not of type 'integer'",
        ),
        (
            with(&session, "/time_started", json!(null)),
            "time_started",
            "time_started: None is not of type 'integer'",
        ),
        (
            with(&session, "/time_ended", json!(9_999_999_999_i64)),
            "time_ended",
            &format!("time_ended: 9999999999 {OUT_OF_RANGE}"),
        ),
        (with(&session, "/hold_off", json!("x")), "hold_off", "hold_off: 'x' is not of type 'integer'"),
        (with(&session, "/hold_off", json!(true)), "hold_off", "hold_off: True is not of type 'integer'"),
        (
            with(&session, "/time_end", json!(1e10)),
            "time_end",
            &format!("time_end: 10000000000.0 {OUT_OF_RANGE}"),
        ),
        (with(&session, "/status", json!(5)), "status", "status: 5 is not of type 'string', 'null'"),
        (with(&session, "/jobs", json!("j1")), "jobs", "jobs: 'j1' is not of type 'object'"),
        (with(&session, "/jobs", json!(["j1"])), "jobs", "jobs: ['j1'] is not of type 'object'"),
        (with(&session, "/jobs", json!({"a/b~c": 5})), "jobs.a/b~c", "jobs.a/b~c: 5 is not of type 'object'"),
        (with(&session, "/jobs", json!({"0": null})), "jobs.0", "jobs.0: None is not of type 'object'"),
    ];
    for kind in [Document::Session, Document::SessionPatch, Document::SessionReplace] {
        accepts(kind, &bodies);
        refuses(kind, &refused);
    }
    accepts(Document::Session, &[json!({"schedule": {}}), with(&session, "/colour", json!(1))]);
    accepts(Document::SessionReplace, &[with(&session, "/colour", json!(1))]);
    refuses(
        Document::SessionPatch,
        &[(
            json!({"colour": 1}),
            "colour",
            "Additional properties are not allowed ('colour' was unexpected)",
        )],
    );
    refuses(
        Document::Session,
        &[(json!({"description": "s"}), "schedule", "'schedule' is a required property")],
    );
    refuses(
        Document::SessionReplace,
        &[
            (json!({"schedule": {}}), "session_tag", "'session_tag' is a required property"),
            (json!({"session_tag": 1}), "schedule", "'schedule' is a required property"),
        ],
    );
}

#[test]
fn backups() {
    let backup = backup();
    accepts(
        Document::Backup,
        &[
            backup.clone(),
            json!({"backup_name": "b", "container": "c", "hostname": "h", "job_id": {"not": "text"}}),
            json!({"backup_name": "b", "status": "creating"}),
            json!({"backup_name": "b", "status": "error", "container": null, "hostname": null}),
            json!({"backup_name": "b", "status": "deleting", "hostname": "h"}),
            with(&backup, "/status", json!("restoring")),
            with(&backup, "/container", json!("c".repeat(5000))),
        ],
    );
    let statuses = "['creating', 'available', 'restoring', 'error', 'deleting', 'deleted']";
    refuses(
        Document::Backup,
        &[
            (json!({"backup_name": "b"}), "container", "'container' is a required property"),
            (json!({"backup_name": "b", "container": "c"}), "hostname", "'hostname' is a required property"),
            (json!({"status": "creating"}), "backup_name", "'backup_name' is a required property"),
            (
                with(&backup, "/container", json!(null)),
                "container",
                "container: None is not of type 'string'",
            ),
            (
                json!({"backup_name": "b", "container": "c", "hostname": null, "status": "deleted"}),
                "hostname",
                "hostname: None is not of type 'string'",
            ),
            (with(&backup, "/hostname", json!("")), "hostname", "hostname: '' should be non-empty"),
            (
                with(&backup, "/backup_name", json!(null)),
                "backup_name",
                "backup_name: None is not of type 'string'",
            ),
            (
                with(&backup, "/status", json!("zap")),
                "status",
                &format!("status: 'zap' is not one of {statuses}"),
            ),
            (with(&backup, "/status", json!(null)), "status", "status: None is not of type 'string'"),
            (
                with(&backup, "/job_id", json!("j".repeat(37))),
                "job_id",
                &format!("job_id: '{}' is too long (37 characters, at most 36)", "j".repeat(37)),
            ),
        ],
    );
    accepts(
        Document::BackupPatch,
        &[
            json!({"status": "restoring"}),
            json!({"backup_metadata": {"x": 1, "job_id": 5}}),
            json!({"container": "new", "cinder_vol_id": "v", "job_id": null}),
        ],
    );
    refuses(
        Document::BackupPatch,
        &[
            (json!({"status": "zap"}), "status", &format!("status: 'zap' is not one of {statuses}")),
            (
                json!({"backup_metadata": null}),
                "backup_metadata",
                "backup_metadata: None is not of type 'object'",
            ),
            (
                json!({"backup_metadata": {"job_id": "j".repeat(40)}}),
                "backup_metadata.job_id",
                &format!(
                    "backup_metadata.job_id: '{}' is too long (40 characters, at most 36)",
                    "j".repeat(40)
                ),
            ),
        ],
    );
}

#[test]
fn the_first_error_of_the_document_is_the_one_reported() {
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
        body = with(&body, pointer, repair);
    }
    assert_eq!(VALIDATORS.check(Document::Job, &body).unwrap_err().field, "colour");
    body.as_object_mut().unwrap().shift_remove("colour");
    assert_eq!(VALIDATORS.check(Document::Job, &body).unwrap_err().field, "client_id");
    let body = with(&body, "/client_id", json!("n"));
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

/// A column that no schema names has no check, and a column named twice in the table has a wrong one.
#[test]
fn every_column_of_the_table_is_checked_by_some_schema() {
    let schemas: String = Document::ALL.map(|kind| schema::of(kind).to_string()).concat();
    for (at, column) in COLUMNS.iter().enumerate() {
        let named = schemas.contains(&format!("\"{}\"", column.name));
        // A trust is made by the service, never by a body.
        assert_eq!(named, !column.name.starts_with("user_credentials."), "{}", column.name);
        assert!(!COLUMNS[..at].iter().any(|other| other.name == column.name), "{} twice", column.name);
        if let Kind::Text(max) | Kind::List(max) = column.kind {
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
