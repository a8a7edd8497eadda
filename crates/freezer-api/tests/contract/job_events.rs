//! Events of a job: start, stop and abort.

use serde_json::{Value, json};

use crate::support::documents::{freezer_action, job, with};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    a_start_removes_the_result_of_the_last_run,
    stop_and_abort_do_not_change_other_keys,
    a_repeated_event_changes_nothing,
    an_event_of_a_missing_job_is_404,
    unknown_events_are_400,
    a_start_needs_a_client_with_the_required_capabilities,
    stop_and_abort_need_no_client,
    a_start_does_not_check_engine_name,
];

async fn job_that_ran(app: &TestApp) -> String {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let schedule = json!({"status": "completed", "result": "fail", "schedule_interval": "1 days"});
    member.add_job("p1", with(job("node-1"), json!({"job_schedule": schedule}))).await
}

async fn a_start_removes_the_result_of_the_last_run(app: TestApp) {
    let member = app.member();
    let job_id = job_that_ran(&app).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    app.show(member.post(&format!("{path}/event"), json!({"start": null})).await.expect(202));
    app.show(member.get(&path).await.expect(200));
}

async fn stop_and_abort_do_not_change_other_keys(app: TestApp) {
    let member = app.member();
    let job_id = job_that_ran(&app).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    for event in ["stop", "abort"] {
        app.show(member.post(&format!("{path}/event"), json!({event: {"any": "thing"}})).await.expect(202));
        let shown = member.job(&job_id).await["job_schedule"].clone();
        assert_eq!((&shown["event"], &shown["status"]), (&json!(event), &json!("completed")));
        assert_eq!((&shown["result"], &shown["schedule_interval"]), (&json!("fail"), &json!("1 days")));
    }
}

async fn a_repeated_event_changes_nothing(app: TestApp) {
    let member = app.member();
    let job_id = job_that_ran(&app).await;
    let path = format!("/v2/p1/jobs/{job_id}");
    for event in ["start", "stop", "abort"] {
        member.post(&format!("{path}/event"), json!({event: 1})).await.expect(202);
        let patch = json!({"job_schedule": {"status": "running"}});
        member.patch(&path, patch).await.expect(200);
        let before = member.job(&job_id).await;
        app.show(member.post(&format!("{path}/event"), json!({event: 1})).await.expect(202));
        assert_eq!(member.job(&job_id).await, before);
    }
}

async fn an_event_of_a_missing_job_is_404(app: TestApp) {
    let member = app.member();
    app.show(member.post("/v2/p1/jobs/unknown/event", json!({"start": 1})).await.expect(404));
    let job_id = job_that_ran(&app).await;
    member.delete(&format!("/v2/p1/jobs/{job_id}")).await.expect(204);
    member.post(&format!("/v2/p1/jobs/{job_id}/event"), json!({"stop": 1})).await.expect(404);
}

async fn unknown_events_are_400(app: TestApp) {
    let member = app.member();
    let job_id = job_that_ran(&app).await;
    let before = member.job(&job_id).await;
    for body in [json!({}), json!([]), json!(null), json!("start"), json!({"run": 1}), json!({"": 1})] {
        let path = format!("/v2/p1/jobs/{job_id}/event");
        app.show(member.post(&path, body).await.expect(400));
    }
    assert_eq!(member.job(&job_id).await, before);
    let first: Value = json!({"stop": 1, "start": 1});
    app.remark("if there are several, the first one is used");
    app.show(member.post(&format!("/v2/p1/jobs/{job_id}/event"), first).await.expect(202));
    assert_eq!(member.job(&job_id).await["job_schedule"]["event"], "stop");
}

/// Stores a job of two actions on a client, and then reduces the capabilities of the client.
async fn job_of_a_limited_client(app: &TestApp) -> String {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let actions =
        [json!({"action": "backup"}), with(freezer_action(), json!({"storage": "s3", "mode": "mysql"}))];
    let entries: Vec<Value> = actions.iter().map(|action| json!({"freezer_action": action})).collect();
    let job_id = member.add_job("p1", with(job("node-1"), json!({"job_actions": entries}))).await;
    let limited = json!({"client_id": "node-1", "supported_actions": ["restore"], "supported_modes": ["fs"]});
    member.post("/v2/p1/clients", limited).await.expect(201);
    job_id
}

async fn a_start_needs_a_client_with_the_required_capabilities(app: TestApp) {
    let member = app.member();
    let job_id = job_of_a_limited_client(&app).await;
    let event = format!("/v2/p1/jobs/{job_id}/event");
    let before = member.job(&job_id).await;
    app.remark("the first action of the job, then its second one");
    app.show(member.post(&event, json!({"start": null})).await.expect(422));
    let more = json!({"client_id": "node-1", "supported_modes": ["fs"]});
    member.post("/v2/p1/clients", more).await.expect(201);
    app.show(member.post(&event, json!({"start": null})).await.expect(422));
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    app.show(member.post(&event, json!({"start": null})).await.expect(422));
    assert_eq!(member.job(&job_id).await, before);
    member.add_client("p1", "node-1").await;
    member.post(&event, json!({"start": null})).await.expect(202);
    app.remark("a repeated event is not stored again");
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    app.show(member.post(&event, json!({"start": null})).await.expect(202));
}

async fn stop_and_abort_need_no_client(app: TestApp) {
    let member = app.member();
    let job_id = job_of_a_limited_client(&app).await;
    let event = format!("/v2/p1/jobs/{job_id}/event");
    member.post(&event, json!({"stop": null})).await.expect(202);
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    member.post(&event, json!({"abort": null})).await.expect(202);
    assert_eq!(member.job(&job_id).await["job_schedule"]["event"], "abort");
}

async fn a_start_does_not_check_engine_name(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let action = with(freezer_action(), json!({"engine_name": "rsync"}));
    let body = with(job("node-1"), json!({"job_actions": [{"freezer_action": action}]}));
    let job_id = member.add_job("p1", body).await;
    let limited = json!({"client_id": "node-1", "supported_engines": ["tar"]});
    member.post("/v2/p1/clients", limited).await.expect(201);
    member.post(&format!("/v2/p1/jobs/{job_id}/event"), json!({"start": null})).await.expect(202);
}
