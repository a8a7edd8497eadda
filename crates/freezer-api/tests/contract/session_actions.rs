//! The protocol of a session: starts and ends that the schedulers of its nodes report.

use serde_json::{Value, json};

use crate::support::documents::job;
use crate::support::exchange::Caller;
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    a_run_from_start_to_end,
    the_table_of_starts,
    a_tag_that_is_too_high_is_400,
    a_session_is_completed_when_all_its_jobs_are,
    a_run_fails_if_any_job_fails,
    parameters_are_checked,
    an_action_of_a_missing_session_is_404,
    an_action_for_a_job_outside_the_session_is_400,
];

const HOLD_OFF: i64 = 30;

/// Stores a session of jobs with these ids.
async fn session_of(app: &TestApp, jobs: &[&str]) -> String {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let session_id = member.add_session("p1", json!({"schedule": {}, "hold_off": HOLD_OFF})).await;
    for id in jobs {
        member.post(&format!("/v2/p1/jobs/{id}"), job("node-1")).await.expect(201);
        member.put(&format!("/v2/p1/sessions/{session_id}/jobs/{id}")).await.expect(204);
    }
    session_id
}

fn start(job_id: &str, tag: i64) -> Value {
    json!({"start": {"job_id": job_id, "current_tag": tag}})
}

fn end(job_id: &str, result: &str) -> Value {
    json!({"end": {"job_id": job_id, "result": result}})
}

async fn tell(member: &Caller, session_id: &str, action: Value) -> Value {
    member.post(&format!("/v2/p1/sessions/{session_id}/action"), action).await.expect(202).json()
}

async fn a_run_from_start_to_end(app: TestApp) {
    let member = app.member();
    let session_id = session_of(&app, &["a", "b"]).await;
    let path = format!("/v2/p1/sessions/{session_id}");
    let action = format!("{path}/action");
    app.show(member.get(&path).await.expect(200));
    app.advance(100);
    app.remark("the first of the nodes starts the run");
    app.show(member.post(&action, start("a", 0)).await.expect(202));
    app.show(member.get(&path).await.expect(200));
    app.advance(5);
    app.remark("the second joins it");
    app.show(member.post(&action, start("b", 0)).await.expect(202));
    app.show(member.get(&path).await.expect(200));
    app.advance(60);
    app.show(member.post(&action, end("b", "success")).await.expect(202));
    app.show(member.get(&path).await.expect(200));
    app.advance(60);
    app.show(member.post(&action, end("a", "success")).await.expect(202));
    app.show(member.get(&path).await.expect(200));
}

async fn the_table_of_starts(app: TestApp) {
    let member = app.member();
    let session_id = session_of(&app, &["a", "b"]).await;
    app.advance(1_000);
    assert_eq!(
        tell(&member, &session_id, start("a", 0)).await,
        json!({"result": "success", "session_tag": 1})
    );
    // This is the last second of the hold-off.
    app.advance(HOLD_OFF);
    assert_eq!(
        tell(&member, &session_id, start("a", 1)).await,
        json!({"result": "hold-off", "session_tag": 1})
    );
    assert_eq!(
        tell(&member, &session_id, start("b", 0)).await,
        json!({"result": "success", "session_tag": 1})
    );
    let held = member.session(&session_id).await;
    assert_eq!((&held["session_tag"], &held["jobs"]["b"]["status"]), (&json!(1), &json!("running")));
    // This is the first second after the hold-off.
    app.advance(1);
    assert_eq!(
        tell(&member, &session_id, start("b", 0)).await,
        json!({"result": "out-of-sync", "session_tag": 1})
    );
    let before = member.session(&session_id).await;
    assert_eq!(before, held, "out-of-sync and hold-off change nothing");
    assert_eq!(
        tell(&member, &session_id, start("a", 1)).await,
        json!({"result": "success", "session_tag": 2})
    );
    let after = member.session(&session_id).await;
    assert_eq!(after["time_start"], json!(app.now()));
    assert_eq!((&after["status"], &after["result"]), (&json!("running"), &json!("")));
}

async fn a_tag_that_is_too_high_is_400(app: TestApp) {
    let member = app.member();
    let session_id = session_of(&app, &["a"]).await;
    app.show(member.post(&format!("/v2/p1/sessions/{session_id}/action"), start("a", 1)).await.expect(400));
    app.advance(1_000);
    tell(&member, &session_id, start("a", 0)).await;
    for later in [0, HOLD_OFF + 1] {
        app.advance(later);
        member.post(&format!("/v2/p1/sessions/{session_id}/action"), start("a", 2)).await.expect(400);
    }
}

async fn a_session_is_completed_when_all_its_jobs_are(app: TestApp) {
    let member = app.member();
    let session_id = session_of(&app, &["a", "b", "c"]).await;
    app.advance(100);
    for id in ["a", "b", "c"] {
        tell(&member, &session_id, start(id, 0)).await;
    }
    app.advance(60);
    // The failed job precedes running ones in the map.
    for (id, result, status) in
        [("a", "fail", "running"), ("b", "success", "running"), ("c", "success", "completed")]
    {
        tell(&member, &session_id, end(id, result)).await;
        let session = member.session(&session_id).await;
        assert_eq!(session["status"], status, "after {id}");
        assert_eq!(session["time_end"], if status == "completed" { json!(app.now()) } else { json!(-1) });
    }
    assert_eq!(member.session(&session_id).await["result"], "fail");
    // A repeated end changes neither of them.
    app.advance(60);
    let before = member.session(&session_id).await;
    tell(&member, &session_id, end("c", "success")).await;
    let after = member.session(&session_id).await;
    assert_eq!((&after["time_end"], &after["result"]), (&before["time_end"], &before["result"]));
}

async fn a_run_fails_if_any_job_fails(app: TestApp) {
    let member = app.member();
    let session_id = session_of(&app, &["a", "b"]).await;
    for (run, results, expected) in [
        (0, ["success", "success"], "success"),
        (1, ["success", "fail"], "fail"),
        (2, ["aborted", "success"], "fail"),
        (3, ["success", "success"], "success"),
    ] {
        app.advance(1_000);
        for id in ["a", "b"] {
            tell(&member, &session_id, start(id, run)).await;
        }
        for (id, result) in ["a", "b"].into_iter().zip(results) {
            tell(&member, &session_id, end(id, result)).await;
        }
        let session = member.session(&session_id).await;
        assert_eq!(
            (&session["status"], &session["result"]),
            (&json!("completed"), &json!(expected)),
            "run {run}"
        );
    }
}

async fn parameters_are_checked(app: TestApp) {
    let member = app.member();
    let session_id = session_of(&app, &["a"]).await;
    let before = member.session(&session_id).await;
    for body in [
        json!({}),
        json!([]),
        json!(null),
        json!("start"),
        json!({"start": null}),
        json!({"start": {}}),
        json!({"start": {"job_id": "a"}}),
        json!({"start": {"current_tag": 0}}),
        json!({"start": {"job_id": "a", "current_tag": "x"}}),
        json!({"start": {"job_id": "a", "current_tag": null}}),
        json!({"start": {"job_id": "a", "current_tag": 1.5}}),
        json!({"start": {"job_id": 5, "current_tag": 0}}),
        json!({"end": {}}),
        json!({"end": {"job_id": "a"}}),
        json!({"end": {"job_id": "a", "result": null}}),
        json!({"end": {"job_id": "a", "result": 5}}),
        json!({"end": {"job_id": "a", "result": "x".repeat(256)}}),
    ] {
        app.show(member.post(&format!("/v2/p1/sessions/{session_id}/action"), body).await.expect(400));
    }
    app.remark("an unknown action is a wrong method, as in 19.0.0");
    app.show(
        member.post(&format!("/v2/p1/sessions/{session_id}/action"), json!({"run": {}})).await.expect(405),
    );
    assert_eq!(member.session(&session_id).await, before);
    app.remark("a tag as text");
    let text = json!({"start": {"job_id": "a", "current_tag": "0"}});
    app.advance(100);
    app.show(member.post(&format!("/v2/p1/sessions/{session_id}/action"), text).await.expect(202));
}

async fn an_action_of_a_missing_session_is_404(app: TestApp) {
    let member = app.member();
    app.show(member.post("/v2/p1/sessions/unknown/action", start("a", 0)).await.expect(404));
    app.show(member.post("/v2/p1/sessions/unknown/action", end("a", "success")).await.expect(404));
}

async fn an_action_for_a_job_outside_the_session_is_400(app: TestApp) {
    let member = app.member();
    let session_id = session_of(&app, &[]).await;
    app.advance(100);
    let before = member.session(&session_id).await;
    app.show(member.post(&format!("/v2/p1/sessions/{session_id}/action"), start("a", 0)).await.expect(400));
    app.show(
        member.post(&format!("/v2/p1/sessions/{session_id}/action"), end("a", "fail")).await.expect(400),
    );
    assert_eq!(member.session(&session_id).await, before);
}
