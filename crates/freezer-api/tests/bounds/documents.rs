//! Limits of documents: their size and depth, in one request or after several, and ids that belong to other projects.

use freezer_api::clock::client_id_of;
use http::Method;
use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{Caller, TestApp, on_both_engines};

on_both_engines![
    new_documents_are_limited,
    changed_documents_are_limited,
    documents_over_the_limit_may_shrink,
    nesting_of_stored_documents_is_limited,
    reserved_keys_are_rejected_everywhere,
    a_claimed_row_id_does_not_block_a_registration,
];

const LIMIT: usize = 20_000;

async fn limited(app: &TestApp) -> (TestApp, Caller) {
    let app = app.with_http(|http| http.max_document = LIMIT);
    let member = app.member();
    member.add_client("p1", "c1").await;
    (app, member)
}

fn large(bytes: usize) -> String {
    "x".repeat(bytes)
}

async fn new_documents_are_limited(app: TestApp) {
    let (_app, member) = limited(&app).await;
    let action = |more: Value| json!({"freezer_action": with(freezer_action(), more)});
    let small = member.add_action("p1", with(freezer_action(), json!({"x": large(15_000)}))).await;
    // Each character is stored as an escape: six bytes instead of two.
    let wide = "é".repeat(LIMIT / 5);
    for (path, body, field) in [
        ("backups", with(backup("b"), json!({"x": large(LIMIT)})), "backup_metadata"),
        ("backups", with(backup("b"), json!({"x": wide})), "backup_metadata"),
        ("actions", action(json!({"x": large(LIMIT)})), "freezer_action"),
        ("actions/new", action(json!({"x": large(LIMIT)})), "freezer_action"),
        ("jobs", with(job("c1"), json!({"job_schedule": {"schedule_month": large(LIMIT)}})), "job_schedule"),
        (
            "jobs/new",
            with(job("c1"), json!({"job_schedule": {"schedule_month": large(LIMIT)}})),
            "job_schedule",
        ),
        (
            "jobs",
            with(job("c1"), json!({"job_actions": [action(json!({"x": large(LIMIT)}))]})),
            "job_actions[0].freezer_action",
        ),
        (
            "jobs",
            with(job("c1"), json!({"job_actions": vec![action(json!({"x": large(3_000)})); 7]})),
            "job_actions",
        ),
        (
            "jobs",
            with(job("c1"), json!({"job_actions": vec![json!({"action_id": small}); 2]})),
            "job_actions",
        ),
        ("sessions", json!({"schedule": {"schedule_month": large(LIMIT)}}), "schedule"),
        ("sessions/new", json!({"session_tag": 1, "schedule": {"schedule_month": large(LIMIT)}}), "schedule"),
    ] {
        let answer = member.post(&format!("/v2/p1/{path}"), body).await.expect(413);
        let text = answer.description();
        assert!(text.starts_with(&format!("{field}: ")) && text.contains("20000 bytes"), "{path}: {text}");
    }
    // The columns limit the size of a client.
    let client = json!({"client_id": "c2", "hostname": "h", "description": large(LIMIT)});
    member.post("/v2/p1/clients", client).await.expect(400);
    let tiny = _app.with_http(|http| http.max_document = 300);
    let client = json!({"client_id": "c2", "hostname": "h", "description": large(250)});
    let refused = tiny.member().post("/v2/p1/clients", client).await.expect(413);
    assert!(refused.description().starts_with("client: "), "{refused}");
}

/// Sends patches until one is rejected. Returns the number of accepted patches and the error.
async fn patched(member: &Caller, path: &str, patch: impl Fn(usize) -> Value) -> (usize, String) {
    for step in 0..40 {
        let answer = member.patch(path, patch(step)).await;
        match answer.status.as_u16() {
            200 => {}
            _ => return (step, answer.expect(413).description()),
        }
    }
    panic!("{path}: 40 patches were taken")
}

async fn changed_documents_are_limited(app: TestApp) {
    let (_app, member) = limited(&app).await;
    let key = |step: usize| format!("key-{step}");
    let backup_id = member.add_backup("p1", backup("b")).await;
    let action_id = member.add_action("p1", freezer_action()).await;
    let job_id = member.add_job("p1", job("c1")).await;
    let session_id = member.add_session("p1", json!({"description": "s", "schedule": {}})).await;
    let steps = [
        (
            "backup_metadata",
            patched(
                &member,
                &format!("/v2/p1/backups/{backup_id}"),
                |n| json!({"backup_metadata": {key(n): large(3_000)}}),
            )
            .await,
        ),
        (
            "backup_metadata",
            patched(&member, &format!("/v2/p1/backups/{backup_id}"), |n| json!({key(n + 50): large(1_000)}))
                .await,
        ),
        (
            "freezer_action",
            patched(
                &member,
                &format!("/v2/p1/actions/{action_id}"),
                |n| json!({"freezer_action": {key(n): large(3_000)}}),
            )
            .await,
        ),
        (
            "job_schedule",
            patched(
                &member,
                &format!("/v2/p1/jobs/{job_id}"),
                |n| json!({"job_schedule": {"schedule_day": large(3_000 * (n + 1))}}),
            )
            .await,
        ),
        (
            "schedule",
            patched(
                &member,
                &format!("/v2/p1/sessions/{session_id}"),
                |n| json!({"schedule": {"schedule_month": large(3_000 * (n + 1))}}),
            )
            .await,
        ),
        (
            "jobs",
            patched(
                &member,
                &format!("/v2/p1/sessions/{session_id}"),
                |n| json!({"jobs": {key(n): {"note": large(3_000)}}}),
            )
            .await,
        ),
    ];
    for (field, (taken, text)) in steps {
        assert!(taken < 8 && text.starts_with(&format!("{field}: ")), "{field}: {taken}, {text}");
    }
    // The stored documents still exist and can be changed.
    for path in [
        format!("/v2/p1/backups/{backup_id}"),
        format!("/v2/p1/actions/{action_id}"),
        format!("/v2/p1/jobs/{job_id}"),
        format!("/v2/p1/sessions/{session_id}"),
    ] {
        assert!(member.get(&path).await.expect(200).body.len() < 2 * LIMIT, "{path}");
        member.patch(&path, json!({"description": "d"})).await;
    }
    // The session gets many jobs, one after the other.
    let session = member.add_session("p1", json!({"description": "jobs", "schedule": {}})).await;
    let mut added = 0;
    loop {
        let id = format!("job-{added}-{}", "y".repeat(20));
        member.add_job("p1", with(job("c1"), json!({"job_id": id}))).await;
        let answer = member.put(&format!("/v2/p1/sessions/{session}/jobs/{id}")).await;
        if answer.status.as_u16() != 204 {
            assert!(answer.expect(413).description().starts_with("jobs: "));
            break;
        }
        added += 1;
        assert!(added < 250, "{added} jobs");
    }
    assert!(added > 50, "{added} jobs");
}

async fn documents_over_the_limit_may_shrink(app: TestApp) {
    let (limited, member) = limited(&app).await;
    let before = limited.with_http(|http| http.max_document = 1 << 20);
    let metadata = with(backup("b"), json!({"x": large(30_000), "y": large(10_000)}));
    let id = before.member().add_backup("p1", metadata).await;
    let path = format!("/v2/p1/backups/{id}");
    member.patch(&path, json!({"status": "error"})).await.expect(200);
    member.patch(&path, json!({"backup_metadata": {"x": "small"}})).await.expect(200);
    member.patch(&path, json!({"backup_metadata": {"x": large(9_000)}})).await.expect(200);
    member.patch(&path, json!({"backup_metadata": {"x": large(30_000)}})).await.expect(413);
}

async fn nesting_of_stored_documents_is_limited(app: TestApp) {
    let (_app, member) = limited(&app).await;
    let nest = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({"a": inner}));
    let id = member.add_action("p1", with(freezer_action(), json!({"deep": nest(99)}))).await;
    let job_id = member.add_job("p1", with(job("c1"), json!({"job_actions": [{"action_id": id}]}))).await;
    // A scheduler sends the document that it has received.
    let shown = member.job(&job_id).await;
    member.patch(&format!("/v2/p1/jobs/{job_id}"), shown).await.expect(200);
    let action = |depth| json!({"freezer_action": with(freezer_action(), json!({"deep": nest(depth)}))});
    let backup_id = member.add_backup("p1", backup("b")).await;
    let session_id = member.add_session("p1", json!({"description": "s", "schedule": {}})).await;
    for (method, path, body, field) in [
        (Method::POST, "actions".to_owned(), action(100), "freezer_action"),
        (Method::PATCH, format!("actions/{id}"), action(101), "freezer_action"),
        (
            Method::POST,
            "jobs".to_owned(),
            with(job("c1"), json!({"job_actions": [action(100)]})),
            "job_actions[0].freezer_action",
        ),
        (
            Method::POST,
            "backups".to_owned(),
            with(backup("b"), json!({"deep": nest(100)})),
            "backup_metadata",
        ),
        (
            Method::PATCH,
            format!("backups/{backup_id}"),
            json!({"backup_metadata": {"deep": nest(100)}}),
            "backup_metadata",
        ),
        (Method::PATCH, format!("sessions/{session_id}"), json!({"jobs": {"j": nest(100)}}), "jobs"),
    ] {
        let answer = member.ask(method, &format!("/v2/p1/{path}"), Some(body)).await.expect(400);
        assert!(answer.description().starts_with(&format!("{field}: objects and lists")), "{path}: {answer}");
    }
}

async fn reserved_keys_are_rejected_everywhere(app: TestApp) {
    let (_app, member) = limited(&app).await;
    let backup_id = member.add_backup("p1", backup("b")).await;
    let action_id = member.add_action("p1", freezer_action()).await;
    let keys = [
        "$serde_json::private::Number",
        "$serde_json::private::RawValue",
        "\\u0024serde_json::private::Number",
        "$serde_json\\u003A:private::Number",
        "\\u0024\\u0073erde_json::private::anything",
    ];
    for key in keys {
        for value in ["\"1\"", "\"x\"", "5", "{}"] {
            let odd = format!(r#"{{"{key}":{value}}}"#);
            for (method, path, body) in [
                (
                    Method::POST,
                    "backups".to_owned(),
                    format!(r#"{{"backup_name":"b","container":"c","hostname":"h","odd":[{odd}]}}"#),
                ),
                (Method::PATCH, format!("backups/{backup_id}"), format!(r#"{{"backup_metadata":{odd}}}"#)),
                (
                    Method::POST,
                    "actions".to_owned(),
                    format!(r#"{{"freezer_action":{{"action":"backup","odd":{odd}}}}}"#),
                ),
                (
                    Method::PATCH,
                    format!("actions/{action_id}"),
                    format!(r#"{{"freezer_action":{{"odd" : {odd}}}}}"#),
                ),
                (Method::POST, "sessions".to_owned(), format!(r#"{{"schedule":{{}},"jobs":{{"j":{odd}}}}}"#)),
                (Method::GET, "jobs".to_owned(), format!(r#"{{"match":[{odd}]}}"#)),
            ] {
                let answer = member.raw(method, &format!("/v2/p1/{path}"), &[], body).await.expect(400);
                assert!(answer.description().contains("reserved"), "{answer}");
            }
        }
    }
    // This text is a value and not a key.
    let text = json!({"note": "$serde_json::private::Number", "x$serde_json::private::Number": 1});
    member.add_backup("p1", with(backup("c"), text)).await;
}

async fn a_claimed_row_id_does_not_block_a_registration(app: TestApp) {
    let (victim, other) = (app.member(), app.as_user("u2", "p2", "member"));
    for (name, roles) in [("node-1", "member"), ("node-2", "admin")] {
        let claimed = client_id_of("p1", name, None);
        let claim = json!({"client_id": "mine", "hostname": "h", "uuid": claimed});
        let claim = with(claim, json!({"client_id": format!("claims-{name}")}));
        other.post("/v2/p2/clients", claim).await.expect(201);
        let owner = app.as_user("u1", "p1", roles);
        let registration = json!({"client_id": name, "hostname": name});
        owner.post("/v2/p1/clients", registration.clone()).await.expect(201);
        // The client is registered again, changed, deleted and registered once more. There is always one client.
        owner.post("/v2/p1/clients", registration.clone()).await.expect(201);
        owner
            .post("/v2/p1/clients", with(registration.clone(), json!({"description": "d"})))
            .await
            .expect(201);
        let shown = owner.get(&format!("/v2/p1/clients/{name}")).await.expect(200).json();
        assert_eq!(shown["client"]["description"], "d");
        assert_ne!(shown["client"]["uuid"], json!(claimed));
        owner.delete(&format!("/v2/p1/clients/{name}")).await.expect(204);
        owner.post("/v2/p1/clients", registration).await.expect(201);
    }
    assert_eq!(victim.get("/v2/p1/clients").await.json()["clients"].as_array().unwrap().len(), 2);
    assert_eq!(other.get("/v2/p2/clients").await.json()["clients"].as_array().unwrap().len(), 2);
}
