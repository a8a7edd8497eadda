//! Rows whose JSON columns contain invalid JSON, because of Python services or manual changes. The service must show
//! these rows and be able to change them.

use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::exchange::Caller;
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    a_job_with_a_broken_schedule_reports_its_run,
    a_session_with_broken_texts_still_works,
    an_action_with_a_broken_definition_can_be_changed,
    a_backup_with_broken_metadata_can_be_changed,
    a_client_with_broken_capabilities_registers_again,
];

/// Stored texts, and the value from which a change starts. They contain no backslashes, because the engines read these
/// differently in SQL.
fn texts() -> Vec<(&'static str, Value)> {
    vec![
        (r#"{"x": 1, "event": NaN}"#, json!({"x": 1, "event": null})),
        (r#"{"status": "scheduled", "x": Infinity}"#, json!({"status": "scheduled", "x": null})),
        (r#"{"status": NaN, "x": {"y": [1, -Infinity]}}"#, json!({"x": {"y": [1, null]}})),
        (r#"{"x": undefined, "y": 2,}"#, json!({"x": null, "y": 2})),
        (r#"{"x": 1, "y": "cut sho"#, json!({"x": 1, "y": null})),
        (r#"{"x": 1, "y": 12"#, json!({"x": 1, "y": null})),
        ("garbage", json!({})),
        ("[1, 2]", json!({})),
        ("\"text\"", json!({})),
        ("NaN", json!({})),
        ("{", json!({})),
    ]
}

/// Returns whether an object contains all members of another one, except for the keys that a test changes.
fn keeps(found: &Value, expected: &Value, but: &[&str]) -> bool {
    let members = expected.as_object().unwrap().iter();
    members.filter(|(key, _)| !but.contains(&key.as_str())).all(|(key, value)| found.get(key) == Some(value))
}

async fn set(app: &TestApp, table: &str, column: &str, text: &str) {
    app.database().run(&format!("UPDATE {table} SET {column} = '{text}'")).await;
}

async fn a_job_with_a_broken_schedule_reports_its_run(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let id = member.add_job("p1", job("node-1")).await;
    let path = format!("/v2/p1/jobs/{id}");
    let done = json!({"job_schedule": {"status": "completed", "result": "success", "time_ended": 7}});
    for (text, readable) in texts() {
        let broken = async || set(&app, "jobs", "schedule", text).await;
        broken().await;
        let read = member.job(&id).await;
        assert_eq!(member.get("/v2/p1/jobs").await.expect(200).json()["jobs"][0], read, "{text}");
        member.patch(&path, read.clone()).await.expect(200);

        broken().await;
        member.patch(&path, done.clone()).await.expect(200);
        let schedule = member.job(&id).await["job_schedule"].clone();
        assert!(keeps(&schedule, &readable, &["status", "event"]), "{text}: {schedule}");
        assert_eq!(
            (&schedule["status"], &schedule["time_ended"]),
            (&json!("completed"), &json!(7)),
            "{text}"
        );

        broken().await;
        member.patch(&path, json!({"description": "x"})).await.expect(200);
        for event in ["start", "stop", "abort"] {
            broken().await;
            member.post(&format!("{path}/event"), json!({(event): null})).await.expect(202);
        }
        broken().await;
        let replaced = with(job("node-1"), json!({"job_id": id}));
        member.post(&path, replaced).await.expect(201);
        let schedule = member.job(&id).await["job_schedule"].clone();
        assert_eq!(schedule["schedule_interval"], json!("1 days"), "{text}");
    }
    set(&app, "jobs", "schedule", "garbage").await;
    member.delete(&path).await.expect(204);
}

async fn a_session_with_broken_texts_still_works(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let mut documents = vec![];
    for text in texts().into_iter().map(|(text, _)| text) {
        documents.extend([("schedule", text.to_owned()), ("job", text.to_owned())]);
    }
    for state in ["NaN", "{\"status\": NaN, \"client_id\": \"node-1\"}", "{\"status\": \"run"] {
        documents.push(("job", format!("{{\"JOB\": {state}}}")));
    }
    for (column, text) in documents {
        let session_id = member.add_session("p1", json!({"schedule": {}})).await;
        let job_id = member.add_job("p1", job("node-1")).await;
        let path = format!("/v2/p1/sessions/{session_id}");
        let in_session = format!("{path}/jobs/{job_id}");
        member.put(&in_session).await.expect(204);
        let text = text.replace("JOB", &job_id);
        let broken = async || {
            let sql = format!("UPDATE sessions SET {column} = '{text}' WHERE id = '{session_id}'");
            app.database().run(&sql).await;
        };
        broken().await;
        member.session(&session_id).await;
        member.get("/v2/p1/sessions").await.expect(200);
        // The node reports its start and its end.
        for action in [
            json!({"start": {"job_id": job_id, "current_tag": 0}}),
            json!({"end": {"job_id": job_id, "result": "success"}}),
        ] {
            broken().await;
            // If no entry can be read, the service does not know which jobs belong to the session.
            let is_known = column == "schedule" || text.contains(&job_id);
            let status = if is_known { 202 } else { 400 };
            member.post(&format!("{path}/action"), action).await.expect(status);
        }
        broken().await;
        member.patch(&path, json!({"description": "x"})).await.expect(200);
        broken().await;
        let other = member.add_job("p1", job("node-1")).await;
        member.put(&format!("{path}/jobs/{other}")).await.expect(204);
        let jobs = member.session(&session_id).await["jobs"].clone();
        assert!(jobs.get(&other).is_some(), "{column} {text}: {jobs}");
        broken().await;
        member.put(&in_session).await.expect(204);
        broken().await;
        member.delete(&in_session).await.expect(204);
        broken().await;
        member.delete(&path).await.expect(204);
    }
}

async fn an_action_with_a_broken_definition_can_be_changed(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let id = member.add_action("p1", freezer_action()).await;
    let path = format!("/v2/p1/actions/{id}");
    let entries = json!({"job_actions": [{"action_id": id}]});
    let job_id = member.add_job("p1", with(job("node-1"), entries)).await;
    let job_path = format!("/v2/p1/jobs/{job_id}");
    for (text, readable) in texts() {
        let broken = async || set(&app, "actions", "backup_metadata", text).await;
        broken().await;
        let read = member.get(&path).await.expect(200).json();
        assert_eq!(read["freezer_action"]["path_to_backup"], json!("/etc"), "{text}");
        member.patch(&path, read).await.expect(200);

        broken().await;
        member.patch(&path, json!({"freezer_action": {"more": 1}, "max_retries": 2})).await.expect(200);
        let action = member.get(&path).await.json()["freezer_action"].clone();
        assert!(keeps(&action, &readable, &[]), "{text}: {action}");
        assert_eq!((&action["more"], &action["action"]), (&json!(1), &json!("backup")), "{text}");

        broken().await;
        member.patch(&path, json!({"mandatory": true})).await.expect(200);
        broken().await;
        // Agents report the whole job together with their changes.
        let read = member.job(&job_id).await;
        member.patch(&job_path, with(read, json!({"description": text}))).await.expect(200);
        broken().await;
        let replaced = json!({"freezer_action": freezer_action(), "action_id": id});
        member.post(&path, replaced).await.expect(201);
        assert_eq!(member.get(&path).await.json()["freezer_action"], freezer_action(), "{text}");
    }
}

async fn a_backup_with_broken_metadata_can_be_changed(app: TestApp) {
    let member = app.member();
    let id = member.add_backup("p1", backup("etc")).await;
    let path = format!("/v2/p1/backups/{id}");
    for (text, readable) in texts() {
        set(&app, "backups", "backup_metadata", text).await;
        member.get(&path).await.expect(200);
        member.get("/v2/p1/backups").await.expect(200);
        member.patch(&path, json!({"backup_name": "other"})).await.expect(200);
        let metadata = member.get(&path).await.json()["backup_metadata"].clone();
        assert!(keeps(&metadata, &readable, &["status"]), "{text}: {metadata}");
        assert_eq!(metadata["backup_name"], json!("other"), "{text}");
        let found = member.search("/v2/p1/backups", json!({"match": [{"backup_name": "other"}]})).await;
        assert_eq!(found.each("backups", "/backup_id"), std::slice::from_ref(&id), "{text}");
    }
    set(&app, "backups", "backup_metadata", "garbage").await;
    member.delete(&path).await.expect(204);
}

async fn a_client_with_broken_capabilities_registers_again(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for (text, expected) in [
        (r#"["backup", NaN]"#, json!(["backup"])),
        (r#"["backup", "rest"#, json!(["backup"])),
        ("NaN", json!([])),
        ("garbage", json!([])),
        ("{}", json!([])),
    ] {
        for column in ["supported_actions", "supported_modes", "supported_storages", "supported_engines"] {
            set(&app, "clients", column, text).await;
        }
        let shown = |document: Value| document["client"]["supported_actions"].clone();
        assert_eq!(shown(member.get("/v2/p1/clients/node-1").await.expect(200).json()), expected, "{text}");
        member.get("/v2/p1/clients").await.expect(200);
        register(&member, json!({})).await;
        register(&member, json!({"supported_actions": ["backup", "restore"]})).await;
        let again = shown(member.get("/v2/p1/clients/node-1").await.json());
        assert_eq!(again, json!(["backup", "restore"]), "{text}");
    }
}

/// Registers the node again. Any status is accepted, except for 5xx.
async fn register(member: &Caller, more: Value) {
    let body = with(json!({"client_id": "node-1", "hostname": "node-1"}), more);
    member.post("/v2/p1/clients", body).await.expect(201);
}
