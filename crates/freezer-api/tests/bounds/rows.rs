//! Rows that cannot be read, or that a parser can misinterpret. No request for them may return a 500.

use http::Method;
use serde_json::{Value, json};

use crate::support::documents::{backup, job};
use crate::support::{Engine, TestApp, on_both_engines};

on_both_engines![no_stored_text_causes_an_error];

/// Texts that a column of JSON may contain.
fn texts() -> Vec<String> {
    let nested = |depth: usize| format!("{{\"a\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", "{\"a\": ".repeat(depth), "}".repeat(depth));
    let mut texts: Vec<String> = [
        r#"{"$serde_json::private::Number": "12"}"#,
        r#"{"a": {"$serde_json::private::Number": "not a number"}}"#,
        r#"{"a": [{"$serde_json::private::RawValue": "{broken"}]}"#,
        r#"{"a": {"\u0024serde_json::private::Number": {"b": 1}}}"#,
        r#"{"a": 1e999999, "b": 123456789012345678901234567890.5e-77}"#,
        r#"{"a": "\ud800", "b": "\udc80x"}"#,
        r#"{"a": NaN, "b": -Infinity}"#,
        r#"{"a": "cut"#,
        r#"[{"a": 1}]"#,
        "\u{0}",
        "{]",
    ]
    .map(str::to_owned)
    .into();
    texts.extend([128, 10_000].map(nested));
    texts.extend([128, 1_000].map(objects));
    texts
}

async fn no_stored_text_causes_an_error(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "c1").await;
    let backup_id = member.add_backup("p1", backup("b")).await;
    let job_id = member.add_job("p1", job("c1")).await;
    let session_id = member.add_session("p1", json!({"description": "s", "schedule": {}})).await;
    member.put(&format!("/v2/p1/sessions/{session_id}/jobs/{job_id}")).await.expect(204);
    let action_id = member.job(&job_id).await["job_actions"][0]["action_id"].as_str().unwrap().to_owned();
    for text in texts() {
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let literal = match app.database().engine() {
            Engine::Sqlite => format!("CAST(x'{hex}' AS TEXT)"),
            Engine::MariaDb | Engine::MySql => format!("CONVERT(x'{hex}' USING utf8mb4)"),
        };
        let store = format!(
            "UPDATE backups SET backup_metadata = {literal}; UPDATE jobs SET schedule = {literal}; \
             UPDATE actions SET backup_metadata = {literal}; UPDATE sessions SET schedule = {literal}, job = {literal}"
        );
        app.database().run(&store).await;
        let shown: String = text.chars().take(60).collect();
        let ask = async |method: Method, path: String, body: Option<Value>| {
            let answer = member.ask(method, &format!("/v2/p1/{path}"), body).await;
            assert!(answer.status.as_u16() < 500, "{shown}: {answer}");
        };
        for list in ["backups", "jobs", "actions", "sessions", "clients"] {
            for search in [
                None,
                Some(json!({"match_not": [{"a": [[]]}]})),
                Some(json!({"match": [{"_all": "text"}, {"mode": "fs"}, {"a": {"a": {}}}]})),
                Some(json!({"match": [{"current_pid": 5}]})),
            ] {
                ask(Method::GET, format!("{list}?with_count=true"), search).await;
            }
        }
        for (path, patch) in [
            (format!("backups/{backup_id}"), json!({"backup_metadata": {"c": 1}})),
            (format!("actions/{action_id}"), json!({"freezer_action": {"c": 1}})),
            (format!("jobs/{job_id}"), json!({"job_schedule": {"status": "running"}})),
            (format!("sessions/{session_id}"), json!({"jobs": {"j": {"status": "running"}}})),
        ] {
            ask(Method::GET, path.clone(), None).await;
            ask(Method::PATCH, path, Some(patch)).await;
        }
        app.database().run(&store).await;
        ask(Method::POST, format!("jobs/{job_id}/event"), Some(json!({"event": "stop"}))).await;
        let start = json!({"start": {"job_id": job_id, "current_tag": 0}});
        ask(Method::POST, format!("sessions/{session_id}/action"), Some(start)).await;
        app.database().run(&store).await;
        ask(Method::PUT, format!("sessions/{session_id}/jobs/{job_id}"), None).await;
        app.store().sync().await.expect("a sync takes any text");
    }
}
