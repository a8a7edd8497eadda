//! Whole documents that are sent back, as the web UI and the command do. The document of a GET must be accepted, but
//! keys that the caller may not change are ignored.

use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    a_patch_accepts_the_document_of_a_get,
    a_replacement_accepts_the_document_of_a_get,
    the_document_of_a_get_can_be_cloned,
    a_patch_cannot_move_a_document_to_another_project,
    the_creator_stays,
];

/// Stores a document of each kind. Returns the documents with their paths.
async fn one_of_each(app: &TestApp) -> Vec<(String, Value)> {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let timed = with(freezer_action(), json!({"timeout": 5, "storage": "local"}));
    let action = member.add_action("p1", timed.clone()).await;
    let schedule = json!({"schedule_interval": "1 days", "status": "scheduled", "current_pid": 5});
    let entries = json!([{"action_id": action}, {"freezer_action": timed, "mandatory": true}]);
    let job = member
        .add_job("p1", with(job("node-1"), json!({"job_schedule": schedule, "job_actions": entries})))
        .await;
    let session = member.add_session("p1", json!({"schedule": {"schedule_hour": "3"}})).await;
    member.put(&format!("/v2/p1/sessions/{session}/jobs/{job}")).await.expect(204);
    let backup = member.add_backup("p1", backup("etc")).await;
    let mut found = Vec::new();
    for (list, id) in [("actions", action), ("jobs", job), ("sessions", session), ("backups", backup)] {
        let path = format!("/v2/p1/{list}/{id}");
        let document = member.get(&path).await.expect(200).json();
        found.push((path, document));
    }
    found
}

async fn a_patch_accepts_the_document_of_a_get(app: TestApp) {
    let member = app.member();
    for (path, document) in one_of_each(&app).await {
        member.patch(&path, document.clone()).await.expect(200);
        assert_eq!(member.get(&path).await.json(), document);
    }
}

async fn a_replacement_accepts_the_document_of_a_get(app: TestApp) {
    let member = app.member();
    for (path, document) in one_of_each(&app).await {
        if path.contains("/backups/") {
            continue; // This document cannot be replaced.
        }
        member.post(&path, document.clone()).await.expect(201);
        assert_eq!(member.get(&path).await.json(), document);
    }
}

async fn the_document_of_a_get_can_be_cloned(app: TestApp) {
    let member = app.member();
    for (path, document) in one_of_each(&app).await {
        let (list, id) = path.strip_prefix("/v2/p1/").unwrap().split_once('/').unwrap();
        let id_key = format!("{}_id", list.trim_end_matches('s'));
        if list == "backups" {
            continue; // The body of a new document only contains the metadata.
        }
        // The web UI clones a document by sending it without its id.
        let mut copy = document.clone();
        copy.as_object_mut().unwrap().shift_remove(&id_key);
        let new_id = member.post(&format!("/v2/p1/{list}"), copy).await.expect(201).text(&id_key);
        assert_ne!(new_id, id);
        let mut shown = member.get(&format!("/v2/p1/{list}/{new_id}")).await.json();
        let mut expected = document.clone();
        expected[&id_key] = json!(new_id);
        // A new session has no jobs.
        for both in [&mut shown, &mut expected] {
            both.as_object_mut().unwrap().shift_remove("jobs");
        }
        assert_eq!(shown, expected);
    }
}

async fn a_patch_cannot_move_a_document_to_another_project(app: TestApp) {
    let member = app.member();
    let ids = json!({
        "project_id": "p2", "user_id": "u2",
        "job_id": "x", "session_id": "", "action_id": "x", "backup_id": "x",
    });
    for (path, document) in one_of_each(&app).await {
        // Only the keys of this kind of document are compared.
        let known = |key: &String| document.as_object().unwrap().contains_key(key);
        let patch = ids.as_object().unwrap().iter().filter(|(key, _)| known(key));
        let mut patch: Value =
            patch.map(|(key, value)| (key.clone(), value.clone())).collect::<serde_json::Map<_, _>>().into();
        if path.contains("/jobs/") {
            patch["session_id"] = document["session_id"].clone();
        }
        member.patch(&path, patch.clone()).await.expect(200);
        assert_eq!(member.get(&path).await.json(), document, "PATCH {path}");
        let other = app.as_user("u2", "p2", "admin");
        let list = path.split('/').nth(3).unwrap();
        assert_eq!(other.get(&format!("/v2/p2/{list}?all_projects=False")).await.json(), json!({list: []}));
        if !path.contains("/backups/") {
            let whole = with(document.clone(), patch);
            member.post(&path, whole).await.expect(201);
            assert_eq!(member.get(&path).await.json(), document, "POST {path}");
            assert_eq!(
                other.get(&format!("/v2/p2/{list}?all_projects=False")).await.json(),
                json!({list: []})
            );
        }
    }
}

async fn the_creator_stays(app: TestApp) {
    let colleague = app.as_user("u2", "p1", "member");
    for (path, document) in one_of_each(&app).await {
        colleague.patch(&path, document.clone()).await.expect(200);
        assert_eq!(colleague.get(&path).await.json()["user_id"], "u1", "PATCH {path}");
        if !path.contains("/backups/") {
            colleague.post(&path, document).await.expect(201);
            assert_eq!(colleague.get(&path).await.json()["user_id"], "u1", "POST {path}");
        }
        if path.contains("/jobs/") {
            colleague.post(&format!("{path}/event"), json!({"start": 1})).await.expect(202);
            assert_eq!(colleague.get(&path).await.json()["user_id"], "u1", "event of {path}");
        }
    }
}
