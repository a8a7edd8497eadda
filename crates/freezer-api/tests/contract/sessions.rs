//! Sessions: their documents, and the jobs that belong to them.

use serde_json::json;

use crate::support::documents::{job, with};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    create_and_show,
    invalid_sessions_are_rejected,
    jobs_of_a_new_session_are_not_read,
    a_patch_keeps_keys_that_it_does_not_contain,
    an_invalid_patch_is_400,
    a_replacement_creates_or_overwrites,
    a_job_joins_and_leaves,
    leaving_can_be_repeated,
    a_missing_job_or_session_is_404,
    deleting_a_session_keeps_a_job_in_another_session,
    delete,
    a_deleted_id_can_be_used_again,
];

async fn create_and_show(app: TestApp) {
    let member = app.member();
    app.show(member.get("/v2/p1/sessions").await.expect(200));
    let answer = member.post("/v2/p1/sessions", json!({"schedule": {}})).await.expect(201);
    let session_id = app.show(answer).text("session_id");
    app.show(member.get(&format!("/v2/p1/sessions/{session_id}")).await.expect(200));
    let whole = json!({
        "session_id": "mine", "description": "all nodes", "hold_off": 60, "session_tag": 5,
        "status": "running", "result": "fail",
        "time_start": 1, "time_end": 2, "time_started": 3, "time_ended": 4,
        "schedule": {"schedule_interval": "1 days", "time_created": 9, "event": "start"},
        "jobs": {"j": {"status": "running"}}, "unknown_key": 1,
    });
    app.remark("the server chooses the id, and a new session is active and has no jobs");
    app.show(member.post("/v2/p1/sessions", whole).await.expect(201));
    app.show(member.get("/v2/p1/sessions").await.expect(200));
    app.show(member.get("/v2/p1/sessions/mine").await.expect(404));
}

async fn invalid_sessions_are_rejected(app: TestApp) {
    let member = app.member();
    for body in [
        json!({}),
        json!({"description": "x"}),
        json!({"schedule": null}),
        json!({"schedule": []}),
        json!({"schedule": {"unknown_key": 1}}),
        json!({"schedule": {"schedule_interval": "often"}}),
        json!({"schedule": {}, "hold_off": "long"}),
        json!({"schedule": {}, "hold_off": 2_147_483_648_i64}),
        json!({"schedule": {}, "session_tag": null}),
        json!({"schedule": {}, "session_tag": "1"}),
        json!({"schedule": {}, "description": 5}),
    ] {
        app.show(member.post("/v2/p1/sessions", body).await.expect(400));
    }
    assert_eq!(member.get("/v2/p1/sessions").await.json(), json!({"sessions": []}));
}

async fn jobs_of_a_new_session_are_not_read(app: TestApp) {
    let member = app.member();
    for jobs in [json!([{"job_id": "j"}]), json!({"j": 5}), json!("j")] {
        let body = json!({"schedule": {}, "jobs": jobs});
        let session_id = member.add_session("p1", body).await;
        assert_eq!(member.session(&session_id).await["jobs"], json!(null), "{jobs}");
        let replace = json!({"schedule": {}, "session_tag": 0, "jobs": jobs});
        app.show(member.post(&format!("/v2/p1/sessions/{session_id}"), replace).await.expect(400));
    }
}

async fn a_patch_keeps_keys_that_it_does_not_contain(app: TestApp) {
    let member = app.member();
    let body =
        json!({"description": "all nodes", "hold_off": 60, "schedule": {"schedule_interval": "1 days"}});
    let session_id = member.add_session("p1", body).await;
    let path = format!("/v2/p1/sessions/{session_id}");
    app.show(
        member.patch(&path, json!({"description": null, "jobs": {"a": {"status": "x"}}})).await.expect(200),
    );
    app.show(member.get(&path).await.expect(200));
    app.remark("jobs are merged by their ids, the schedule is replaced");
    let patch = json!({"jobs": {"b": {}}, "schedule": {"schedule_hour": "3"}, "status": "running"});
    app.show(member.patch(&path, patch).await.expect(200));
    app.show(member.get(&path).await.expect(200));
    let before = member.session(&session_id).await;
    app.show(member.patch(&path, json!({})).await.expect(200));
    assert_eq!(member.session(&session_id).await, before);
}

async fn an_invalid_patch_is_400(app: TestApp) {
    let member = app.member();
    let session_id = member.add_session("p1", json!({"schedule": {}})).await;
    let path = format!("/v2/p1/sessions/{session_id}");
    let before = member.session(&session_id).await;
    for patch in [
        json!([]),
        json!({"unknown_key": 1}),
        json!({"schedule": null}),
        json!({"schedule": {"schedule_hour": 3}}),
        json!({"hold_off": [1]}),
        json!({"time_started": "now"}),
        json!({"jobs": [1]}),
    ] {
        app.show(member.patch(&path, patch).await.expect(400));
    }
    assert_eq!(member.session(&session_id).await, before);
    app.show(member.patch("/v2/p1/sessions/unknown", json!({"description": "x"})).await.expect(404));
}

async fn a_replacement_creates_or_overwrites(app: TestApp) {
    let member = app.member();
    let body = json!({
        "session_tag": 2, "schedule": {"schedule_hour": "3"}, "description": "first", "hold_off": 5,
        "jobs": {"a": {"status": "running"}},
    });
    app.show(member.post("/v2/p1/sessions/mine", body).await.expect(201));
    app.show(member.get("/v2/p1/sessions/mine").await.expect(200));
    let colleague = app.as_user("u2", "p1", "member");
    let second = json!({"session_tag": 3, "schedule": {}});
    app.show(colleague.post("/v2/p1/sessions/mine", second).await.expect(201));
    app.show(member.get("/v2/p1/sessions/mine").await.expect(200));
    app.show(member.post("/v2/p1/sessions/mine", json!({"schedule": {}})).await.expect(400));
    app.show(member.post("/v2/p1/sessions/mine", json!({"session_tag": 1})).await.expect(400));
    app.show(member.post("/v2/p1/sessions/mine", json!({})).await.expect(400));
}

async fn a_job_joins_and_leaves(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let schedule = json!({"schedule_hour": "3", "status": "completed", "result": "success"});
    let job_id = member.add_job("p1", with(job("node-1"), json!({"job_schedule": schedule}))).await;
    let body = json!({"schedule": {"schedule_interval": "2 days"}, "session_tag": 4});
    let session_id = member.add_session("p1", body).await;
    let path = format!("/v2/p1/sessions/{session_id}/jobs/{job_id}");
    app.show(member.put(&path).await.expect(204));
    app.show(member.get(&format!("/v2/p1/sessions/{session_id}")).await.expect(200));
    app.show(member.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200));
    app.show(member.delete(&path).await.expect(204));
    app.show(member.get(&format!("/v2/p1/sessions/{session_id}")).await.expect(200));
    app.show(member.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200));
}

async fn leaving_can_be_repeated(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let session_id = member.add_session("p1", json!({"schedule": {}})).await;
    let path = format!("/v2/p1/sessions/{session_id}/jobs/{job_id}");
    member.put(&path).await.expect(204);
    member.put(&path).await.expect(204);
    member.delete(&path).await.expect(204);
    let (session, job) = (member.session(&session_id).await, member.job(&job_id).await);
    member.delete(&path).await.expect(204);
    assert_eq!((member.session(&session_id).await, member.job(&job_id).await), (session, job));
    // The event that the job got when it left the session must not stop it when it joins again.
    assert_eq!(member.job(&job_id).await["job_schedule"]["event"], "stop");
    member.put(&path).await.expect(204);
    assert_eq!(member.job(&job_id).await["job_schedule"]["event"], "");
    // The job is deleted. The command repeats the request until it gets a 204.
    member.put(&path).await.expect(204);
    member.delete(&format!("/v2/p1/jobs/{job_id}")).await.expect(204);
    member.delete(&path).await.expect(204);
    assert_eq!(member.session(&session_id).await["jobs"], json!({}));
}

async fn a_missing_job_or_session_is_404(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let session_id = member.add_session("p1", json!({"schedule": {}})).await;
    app.show(member.put(&format!("/v2/p1/sessions/{session_id}/jobs/unknown")).await.expect(404));
    app.show(member.put(&format!("/v2/p1/sessions/unknown/jobs/{job_id}")).await.expect(404));
    app.show(member.delete(&format!("/v2/p1/sessions/unknown/jobs/{job_id}")).await.expect(404));
    assert_eq!(member.job(&job_id).await["session_id"], "");
}

async fn deleting_a_session_keeps_a_job_in_another_session(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let first = member.add_session("p1", json!({"schedule": {}})).await;
    let second = member.add_session("p1", json!({"schedule": {}})).await;
    for session in [&first, &second] {
        member.put(&format!("/v2/p1/sessions/{session}/jobs/{job_id}")).await.expect(204);
    }
    member.delete(&format!("/v2/p1/sessions/{first}/jobs/{job_id}")).await.expect(204);
    assert_eq!(member.session(&first).await["jobs"], json!({}));
    let job = member.job(&job_id).await;
    assert_eq!((&job["session_id"], &job["job_schedule"]["event"]), (&json!(second), &json!("")));
}

async fn delete(app: TestApp) {
    let member = app.member();
    let session_id = member.add_session("p1", json!({"schedule": {}})).await;
    let path = format!("/v2/p1/sessions/{session_id}");
    app.show(member.delete(&path).await.expect(204));
    app.show(member.get(&path).await.expect(404));
    app.show(member.get("/v2/p1/sessions").await.expect(200));
    app.show(member.delete(&path).await.expect(204));
    app.show(member.delete("/v2/p1/sessions/never-there").await.expect(204));
}

async fn a_deleted_id_can_be_used_again(app: TestApp) {
    let member = app.member();
    let first = json!({"session_tag": 9, "schedule": {}, "description": "first life", "hold_off": 1});
    member.post("/v2/p1/sessions/s", first).await.expect(201);
    member.delete("/v2/p1/sessions/s").await.expect(204);
    app.advance(60);
    let colleague = app.as_user("u2", "p1", "member");
    app.show(
        colleague.post("/v2/p1/sessions/s", json!({"session_tag": 0, "schedule": {}})).await.expect(201),
    );
    app.remark("nothing of the deleted document is left");
    app.show(member.get("/v2/p1/sessions/s").await.expect(200));
}
