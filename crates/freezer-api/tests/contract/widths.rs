//! Widths of columns: a text with the width of the column is stored. A longer one is rejected, with the name of the
//! field and its limit.

use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    texts_are_stored_up_to_the_width_of_their_column,
    numbers_are_stored_up_to_the_range_of_their_column,
];

/// A text that is stored in its own column.
struct Field {
    /// The name in error texts.
    name: &'static str,
    /// The path for requests.
    path: &'static str,
    /// Returns a document with the given text.
    document: fn(Value) -> Value,
    /// The place in the answer: the list, and a pointer into its first document.
    shown: (&'static str, &'static str),
    /// The width of the column in characters.
    width: usize,
}

fn client(more: Value) -> Value {
    with(json!({"client_id": "node-1"}), more)
}

fn action(more: Value) -> Value {
    json!({"freezer_action": with(freezer_action(), more)})
}

const TEXTS: [Field; 15] = [
    Field {
        name: "description",
        path: "/v2/p1/clients",
        document: |v| client(json!({"description": v})),
        shown: ("clients", "/client/description"),
        width: 255,
    },
    Field {
        name: "hostname",
        path: "/v2/p1/clients",
        document: |v| client(json!({"hostname": v})),
        shown: ("clients", "/client/hostname"),
        width: 255,
    },
    Field {
        name: "uuid",
        path: "/v2/p1/clients",
        document: |v| client(json!({"uuid": v})),
        shown: ("clients", "/client/uuid"),
        width: 36,
    },
    Field {
        name: "action_id",
        path: "/v2/p1/actions",
        document: |v| with(action(json!({})), json!({"action_id": v})),
        shown: ("actions", "/action_id"),
        width: 36,
    },
    Field {
        name: "freezer_action.action",
        path: "/v2/p1/actions",
        document: |v| action(json!({"action": v})),
        shown: ("actions", "/freezer_action/action"),
        width: 255,
    },
    Field {
        name: "freezer_action.path_to_backup",
        path: "/v2/p1/actions",
        document: |v| action(json!({"path_to_backup": v})),
        shown: ("actions", "/freezer_action/path_to_backup"),
        width: 255,
    },
    Field {
        name: "freezer_action.backup_name",
        path: "/v2/p1/actions",
        document: |v| action(json!({"backup_name": v})),
        shown: ("actions", "/freezer_action/backup_name"),
        width: 255,
    },
    Field {
        name: "freezer_action.container",
        path: "/v2/p1/actions",
        document: |v| action(json!({"container": v})),
        shown: ("actions", "/freezer_action/container"),
        width: 255,
    },
    Field {
        name: "freezer_action.log_file",
        path: "/v2/p1/actions",
        document: |v| action(json!({"log_file": v})),
        shown: ("actions", "/freezer_action/log_file"),
        width: 255,
    },
    Field {
        name: "job_id",
        path: "/v2/p1/jobs",
        document: |v| with(job("node-1"), json!({"job_id": v})),
        shown: ("jobs", "/job_id"),
        width: 36,
    },
    Field {
        name: "description",
        path: "/v2/p1/jobs",
        document: |v| with(job("node-1"), json!({"description": v})),
        shown: ("jobs", "/description"),
        width: 255,
    },
    Field {
        name: "session_id",
        path: "/v2/p1/jobs",
        document: |v| with(job("node-1"), json!({"session_id": v})),
        shown: ("jobs", "/session_id"),
        width: 36,
    },
    Field {
        name: "description",
        path: "/v2/p1/sessions",
        document: |v| json!({"schedule": {}, "description": v}),
        shown: ("sessions", "/description"),
        width: 255,
    },
    Field {
        name: "result",
        path: "/v2/p1/sessions",
        document: |v| json!({"schedule": {}, "result": v}),
        shown: ("sessions", "/result"),
        width: 255,
    },
    Field {
        name: "job_id",
        path: "/v2/p1/backups",
        document: |v| with(backup("b"), json!({"job_id": v})),
        shown: ("backups", "/backup_metadata/job_id"),
        width: 36,
    },
];

/// Deletes the documents of other fields from a list.
async fn emptied(app: &TestApp, list: &str) {
    let member = app.member();
    let id = match list {
        "clients" => "/client/client_id",
        "actions" => "/action_id",
        "jobs" => "/job_id",
        "sessions" => "/session_id",
        _ => "/backup_id",
    };
    for id in member.get(&format!("/v2/p1/{list}")).await.each(list, id) {
        member.delete(&format!("/v2/p1/{list}/{}", escaped(&id))).await.expect(204);
    }
}

fn escaped(id: &str) -> String {
    id.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// An integer that is stored in its own column, with the list and the pointer of its place in the answer.
struct Number(&'static str, &'static str, fn(Value) -> Value, &'static str);

const NUMBERS: [Number; 6] = [
    Number("max_retries", "actions", |v| with(action(json!({})), json!({"max_retries": v})), "/max_retries"),
    Number("freezer_action.timeout", "actions", |v| action(json!({"timeout": v})), "/freezer_action/timeout"),
    Number(
        "freezer_action.priority",
        "actions",
        |v| action(json!({"priority": v})),
        "/freezer_action/priority",
    ),
    Number("session_tag", "jobs", |v| with(job("node-1"), json!({"session_tag": v})), "/session_tag"),
    Number("hold_off", "sessions", |v| json!({"schedule": {}, "hold_off": v}), "/hold_off"),
    Number("session_tag", "sessions", |v| json!({"schedule": {}, "session_tag": v}), "/session_tag"),
];

async fn texts_are_stored_up_to_the_width_of_their_column(app: TestApp) {
    let member = app.member();
    for field in &TEXTS {
        let Field { name, path, document, shown: (list, pointer), width } = field;
        // Widths are numbers of characters and not of bytes.
        let letter = if matches!(*name, "uuid" | "hostname") { "x" } else { "ä" };
        emptied(&app, list).await;
        if *list == "jobs" {
            member.add_client("p1", "node-1").await;
        }
        let widest = letter.repeat(*width);
        member.post(path, document(json!(widest))).await.expect(201);
        let stored = member.get(&format!("/v2/p1/{list}")).await.each(list, pointer);
        assert_eq!(stored, [widest], "{path} {name}");
        emptied(&app, list).await;
        if *list == "jobs" {
            member.add_client("p1", "node-1").await;
        }
        let refused = member.post(path, document(json!(letter.repeat(width + 1)))).await.expect(400);
        let text = refused.description();
        assert!(text.starts_with(&format!("{name}: ")), "{path}: {text}");
        assert!(text.contains(&format!("at most {width}")), "{path}: {text}");
    }
    // A patch has the same limits.
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let patch = json!({"description": "x".repeat(256)});
    app.show(member.patch(&format!("/v2/p1/jobs/{job_id}"), patch).await.expect(400));
}

async fn numbers_are_stored_up_to_the_range_of_their_column(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for Number(name, list, document, pointer) in NUMBERS {
        let path = format!("/v2/p1/{list}");
        for (value, taken) in [
            (json!(i32::MAX), true),
            (json!(i32::MIN), true),
            (json!(i64::from(i32::MAX) + 1), false),
            (json!(i64::from(i32::MIN) - 1), false),
        ] {
            emptied(&app, list).await;
            let answer = member.post(&path, document(value.clone())).await;
            if !taken {
                let text = answer.expect(400).description();
                assert!(text.starts_with(&format!("{name}: ")) && text.contains("2147483647"), "{text}");
                continue;
            }
            answer.expect(201);
            let stored = member.get(&path).await.json();
            assert_eq!(stored[list][0].pointer(pointer), Some(&value), "{list} {name}");
        }
    }
}
