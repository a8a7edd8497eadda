//! Changes of jobs: patches, replacements and deletions.

use serde_json::{Value, json};

use crate::support::documents::{freezer_action, job, with};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    a_patch_merges_the_schedule,
    a_patch_of_the_times_replaces_all_times_of_the_schedule,
    a_patch_without_a_schedule_keeps_it,
    a_patch_of_actions_replaces_the_list,
    a_patch_to_an_unknown_client_is_422,
    an_invalid_patch_is_400,
    a_rejected_change_stores_nothing,
    a_replacement_creates_or_overwrites,
    delete,
    a_deleted_id_can_be_used_again,
];

async fn a_patch_merges_the_schedule(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let schedule = json!({"schedule_day": "*", "schedule_hour": "3", "event": "start"});
    let job_id = member.add_job("p1", with(job("node-1"), json!({"job_schedule": schedule}))).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    let patch =
        json!({"job_schedule": {"status": "running", "time_started": 1_795_341_700, "current_pid": 77}});
    app.show(member.patch(&path, patch).await.expect(200));
    app.show(member.get(&path).await.expect(200));
}

async fn a_patch_of_the_times_replaces_all_times_of_the_schedule(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let schedule = json!({"schedule_day": "*", "schedule_hour": "3", "status": "scheduled"});
    let job_id = member.add_job("p1", with(job("node-1"), json!({"job_schedule": schedule}))).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    member.patch(&path, json!({"job_schedule": {"schedule_interval": "5 minutes"}})).await.expect(200);
    app.show(member.get(&path).await.expect(200));
}

async fn a_patch_without_a_schedule_keeps_it(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let before = member.job(&job_id).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    member.patch(&path, json!({"description": "weekly"})).await.expect(200);
    let mut after = member.job(&job_id).await;
    assert_eq!(after["description"], "weekly");
    after["description"] = before["description"].clone();
    assert_eq!(after, before);
    app.remark("an empty patch changes nothing");
    app.show(member.patch(&path, json!({})).await.expect(200));
    assert_eq!(
        member.job(&job_id).await,
        after
            .clone()
            .as_object_mut()
            .map(|job| {
                job["description"] = json!("weekly");
                Value::Object(job.clone())
            })
            .unwrap()
    );
}

async fn a_patch_of_actions_replaces_the_list(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let entries = json!([{"freezer_action": freezer_action()}, {"freezer_action": freezer_action()}]);
    let job_id = member.add_job("p1", with(job("node-1"), json!({"job_actions": entries}))).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    let second = member.job(&job_id).await["job_actions"][1]["action_id"].as_str().unwrap().to_owned();
    let patch = json!({"job_actions": [
        {"freezer_action": {"action": "exec", "command": "/bin/true"}}, {"action_id": second},
    ]});
    app.show(member.patch(&path, patch).await.expect(200));
    app.show(member.get(&path).await.expect(200));
    for none in [json!([]), json!({})] {
        member.patch(&path, json!({"job_actions": none})).await.expect(200);
        assert_eq!(member.job(&job_id).await["job_actions"], json!([]));
    }
    app.remark("the actions still exist for other jobs");
    assert_eq!(member.get("/v2/p1/actions").await.each("actions", "/action_id").len(), 3);
}

async fn a_patch_to_an_unknown_client_is_422(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    member.add_client("p1", "node-2").await;
    let limited = json!({"client_id": "limited", "supported_actions": ["exec"]});
    member.post("/v2/p1/clients", limited).await.expect(201);
    let job_id = member.add_job("p1", job("node-1")).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    let before = member.job(&job_id).await;
    app.show(member.patch(&path, json!({"client_id": "unknown"})).await.expect(422));
    app.remark("a known client without the capability");
    app.show(member.patch(&path, json!({"client_id": "limited"})).await.expect(422));
    assert_eq!(member.job(&job_id).await, before);
    member.patch(&path, json!({"client_id": "node-2"})).await.expect(200);
    assert_eq!(member.job(&job_id).await["client_id"], "node-2");
}

async fn an_invalid_patch_is_400(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    let before = member.job(&job_id).await;
    for patch in [
        json!([]),
        json!({"unknown_key": 1}),
        json!({"client_id": null}),
        json!({"job_schedule": null}),
        json!({"job_schedule": {"time_started": "now"}}),
        json!({"job_schedule": {"time_started": null}}),
        json!({"job_actions": null}),
        json!({"session_tag": 1.5}),
    ] {
        app.show(member.patch(&path, patch).await.expect(400));
    }
    assert_eq!(member.job(&job_id).await, before);
    app.show(member.patch("/v2/p1/jobs/unknown", json!({"description": "x"})).await.expect(404));
}

async fn a_rejected_change_stores_nothing(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let jobs = member.get("/v2/p1/jobs").await.json();
    let actions = member.get("/v2/p1/actions").await.json();
    // The first entry is valid, the second is not.
    let entries = json!([{"freezer_action": freezer_action()}, {"action_id": "unknown"}]);
    let body = with(job("node-1"), json!({"job_actions": entries}));
    member.post("/v2/p1/jobs", body.clone()).await.expect(422);
    member.post(&format!("/v2/p1/jobs/{job_id}"), body.clone()).await.expect(422);
    member.post("/v2/p1/jobs/new", body.clone()).await.expect(422);
    let patch = json!({"description": "changed", "job_actions": body["job_actions"]});
    member.patch(&format!("/v2/p1/jobs/{job_id}"), patch).await.expect(422);
    assert_eq!(member.get("/v2/p1/jobs").await.json(), jobs);
    assert_eq!(member.get("/v2/p1/actions").await.json(), actions);
}

async fn a_replacement_creates_or_overwrites(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    app.show(member.post("/v2/p1/jobs/mine", job("node-1")).await.expect(201));
    app.show(member.get("/v2/p1/jobs/mine").await.expect(200));
    app.advance(60);
    let body = json!({
        "client_id": "node-1", "job_schedule": {"schedule_interval": "2 hours", "time_created": 5},
        "job_actions": [{"freezer_action": {"action": "exec", "command": "/bin/true"}}],
    });
    let colleague = app.as_user("u2", "p1", "member");
    app.show(colleague.post("/v2/p1/jobs/mine", body).await.expect(201));
    app.remark("everything is replaced except for its creator");
    app.show(member.get("/v2/p1/jobs/mine").await.expect(200));
    app.show(member.post("/v2/p1/jobs/mine", job("unknown")).await.expect(422));
    app.show(member.post("/v2/p1/jobs/mine", json!({"client_id": "node-1"})).await.expect(400));
}

async fn delete(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    app.show(member.delete(&path).await.expect(204));
    app.show(member.get(&path).await.expect(404));
    app.show(member.get("/v2/p1/jobs").await.expect(200));
    app.show(member.delete(&path).await.expect(204));
    app.show(member.delete("/v2/p1/jobs/never-there").await.expect(204));
    app.show(member.patch(&path, json!({"description": "x"})).await.expect(404));
    assert_eq!(member.get("/v2/p1/actions").await.each("actions", "/action_id").len(), 1, "actions stay");
}

async fn a_deleted_id_can_be_used_again(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let first = with(job("node-1"), json!({"job_id": "j", "session_tag": 9, "description": "first life"}));
    member.post("/v2/p1/jobs", first).await.expect(201);
    member.delete("/v2/p1/jobs/j").await.expect(204);
    app.advance(60);
    let colleague = app.as_user("u2", "p1", "member");
    let second = json!({"job_id": "j", "client_id": "node-1", "job_actions": []});
    app.show(colleague.post("/v2/p1/jobs", second.clone()).await.expect(201));
    app.remark("nothing of the deleted document is left");
    app.show(member.get("/v2/p1/jobs/j").await.expect(200));
    app.show(member.post("/v2/p1/jobs", second.clone()).await.expect(409));
    member.delete("/v2/p1/jobs/j").await.expect(204);
    member.post("/v2/p1/jobs/j", second).await.expect(201);
    member.get("/v2/p1/jobs/j").await.expect(200);
}
