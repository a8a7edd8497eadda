//! Large answers: the memory of those that are made or not read yet is bounded, in all and for each project.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{Answer, Caller, TestApp, on_both_engines};

on_both_engines![
    unread_answers_of_a_project_take_half_of_the_budget,
    unread_answers_of_all_projects_take_the_budget,
    a_request_waits_until_answers_are_read,
    polls_have_room_beside_unread_pages_of_their_project,
    a_large_answer_to_a_change_gets_its_part_before_it_is_stored,
    every_change_is_stored_and_answered_beside_unread_answers,
];

const MIB: usize = 1 << 20;
const BUDGET: usize = 32 * MIB;

fn bounded(app: &TestApp, wait: Duration) -> TestApp {
    app.with_http(|http| {
        http.max_answers = BUDGET;
        http.scans.wait = wait;
    })
}

/// Stores documents of which ten are a page of about 1 MB.
async fn fill(app: &TestApp, project: &str) -> Caller {
    let member = app.as_user("u", project, "member");
    let client = format!("node-{project}");
    member.add_client(project, &client).await;
    let large = "x".repeat(100_000);
    for n in 0..10 {
        member.add_backup(project, with(backup(&format!("b{n}")), json!({"x": large}))).await;
        let schedule = json!({"schedule_month": large});
        member.add_session(project, json!({"description": "s", "schedule": schedule})).await;
        let action = json!({"freezer_action": with(freezer_action(), json!({"x": large}))});
        member.add_job(project, with(job(&client), json!({"job_actions": [action]}))).await;
    }
    member
}

/// The same request until it is refused. An answer that is kept is one that its client does not read.
async fn until_refused(member: &Caller, path: &str, search: Option<Value>) -> (Vec<Answer>, Answer) {
    let mut unread = Vec::new();
    loop {
        let answer = member.ask(Method::GET, path, search.clone()).await;
        if answer.status != 200 {
            assert_eq!(answer.header("retry-after"), Some("5"), "{answer}");
            return (unread, answer);
        }
        unread.push(answer);
        assert!(unread.len() < 400, "{path}: nothing bounds the answers");
    }
}

fn bytes(answers: &[Answer]) -> usize {
    answers.iter().map(|answer| answer.body.len()).sum()
}

async fn unread_answers_of_a_project_take_half_of_the_budget(app: TestApp) {
    let app = bounded(&app, Duration::from_millis(50));
    let member = fill(&app, "p1").await;
    let other = fill(&app, "p2").await;
    let page = member.get("/v2/p1/backups?limit=1").await.json();
    let backup_id = page["backups"][0]["backup_id"].as_str().unwrap().to_owned();
    let first_job =
        member.get("/v2/p1/jobs?limit=1").await.json()["jobs"][0]["job_id"].as_str().unwrap().to_owned();
    let poll = json!({"match": [{"client_id": "node-p1"}], "match_not": [{"status": "completed"}]});
    for (path, search) in [
        ("backups?limit=10".to_owned(), None),
        ("backups?limit=10&sort=created_at:desc".to_owned(), None),
        ("backups?limit=10".to_owned(), Some(json!({"match": [{"_all": "xxx"}]}))),
        ("sessions?limit=10".to_owned(), None),
        ("actions?limit=10".to_owned(), None),
        ("jobs?limit=10".to_owned(), None),
        ("jobs?limit=10".to_owned(), Some(poll)),
        (format!("backups/{backup_id}"), None),
        (format!("jobs/{first_job}"), None),
    ] {
        let path = format!("/v2/p1/{path}");
        let (unread, refused) = until_refused(&member, &path, search.clone()).await;
        assert_eq!(refused.status, 429, "{path}: {refused}");
        assert!(refused.description().contains("ask for smaller pages"), "{refused}");
        assert!(unread.len() >= 4, "{path}: {}", unread.len());
        assert!(bytes(&unread) <= BUDGET / 2, "{path}: {} bytes", bytes(&unread));
        // small answers need no part of the budget, and another project has its own
        member.get("/v2/p1/clients").await.expect(200);
        member.get("/v2/p1/backups/none").await.expect(404);
        other.get("/v2/p2/backups?limit=10").await.expect(200);
        drop(unread);
        member.ask(Method::GET, &path, search).await.expect(200);
    }
}

async fn unread_answers_of_all_projects_take_the_budget(app: TestApp) {
    let app = bounded(&app, Duration::from_millis(50));
    let mut all = Vec::new();
    let mut statuses = Vec::new();
    for project in ["p1", "p2", "p3", "p4"] {
        let member = fill(&app, project).await;
        let (unread, refused) =
            until_refused(&member, &format!("/v2/{project}/backups?limit=10"), None).await;
        all.extend(unread);
        statuses.push(refused.status.as_u16());
        assert!(bytes(&all) <= BUDGET, "{} bytes", bytes(&all));
    }
    assert_eq!((statuses[0], statuses[3]), (429, 503));
    drop(all);
    app.as_user("u", "p4", "member").get("/v2/p4/backups?limit=10").await.expect(200);
}

/// The clients of a project that do not read their pages delay no poll of moderate size.
async fn polls_have_room_beside_unread_pages_of_their_project(app: TestApp) {
    let app = bounded(&app, Duration::from_millis(50));
    let member = fill(&app, "p1").await;
    let poll = json!({"match": [{"client_id": "node-p1"}], "match_not": [{"status": "completed"}]});
    for (path, search) in [
        ("/v2/p1/backups?limit=10", None),
        ("/v2/p1/jobs?limit=10", None),
        ("/v2/p1/jobs?limit=10", Some(poll.clone())),
    ] {
        let (unread, refused) = until_refused(&member, path, search).await;
        assert_eq!(refused.status, 429, "{path}: {refused}");
        for _ in 0..50 {
            let polls = (0..3).map(|_| member.search("/v2/p1/jobs?limit=2", poll.clone()));
            for answer in futures_util::future::join_all(polls).await {
                let answer = answer.expect(200);
                assert!(answer.body.len() > 200_000, "{}", answer.body.len());
            }
        }
        // the reserve is bounded, too
        let (polls, refused) = until_refused(&member, "/v2/p1/jobs?limit=2", Some(poll.clone())).await;
        assert_eq!(refused.status, 429, "{path}: {refused}");
        assert!(bytes(&unread) + bytes(&polls) <= BUDGET / 2, "{path}");
    }
}

async fn a_request_waits_until_answers_are_read(app: TestApp) {
    let quick = bounded(&app, Duration::from_millis(50));
    let member = fill(&quick, "p1").await;
    let patient = bounded(&app, Duration::from_secs(60)).as_user("u", "p1", "member");
    let mut unread = Vec::new();
    for _ in 0..7 {
        unread.push(patient.get("/v2/p1/backups?limit=10").await.expect(200));
    }
    let more = (0..4).map(|_| patient.get("/v2/p1/backups?limit=10"));
    let mut more = std::pin::pin!(futures_util::future::join_all(more));
    let early = tokio::time::timeout(Duration::from_millis(500), more.as_mut()).await;
    assert!(early.is_err(), "there is no room for four more");
    drop(unread);
    for answer in more.await {
        assert_eq!(answer.expect(200).each("backups", "/backup_id").len(), 10);
    }
    member.get("/v2/p1/backups?limit=10").await.expect(200);
}

/// The answer to a change of a backup is the whole backup. It waits for its part of the budget before anything is stored.
async fn a_large_answer_to_a_change_gets_its_part_before_it_is_stored(app: TestApp) {
    let app = bounded(&app, Duration::from_millis(50));
    let member = fill(&app, "p1").await;
    let id = member.add_backup("p1", with(backup("large"), json!({"x": "x".repeat(100_000)}))).await;
    let grows = member.add_backup("p1", backup("grows")).await;
    let (path, grows) = (format!("/v2/p1/backups/{id}"), format!("/v2/p1/backups/{grows}"));
    let (unread, _) = until_refused(&member, &path, None).await;
    let busy = member.patch(&path, json!({"status": "deleted"})).await.expect(429);
    assert_eq!(busy.header("retry-after"), Some("5"));
    member.patch(&grows, json!({"x": "x".repeat(40_000)})).await.expect(429);
    assert!(member.get(&grows).await.expect(200).body.len() < 2_000, "nothing was stored");
    drop(unread);
    assert_eq!(member.get(&path).await.text("status"), "available", "nothing was stored");
    for (path, patch) in [(&path, json!({"note": "n"})), (&grows, json!({"x": "x".repeat(40_000)}))] {
        let answer = member.patch(path, patch).await.expect(200);
        assert!(answer.body.len() > 40_000);
    }
}

/// Whatever is unread, a change that is answered with an error changed nothing, and one that was stored is answered with
/// success.
async fn every_change_is_stored_and_answered_beside_unread_answers(app: TestApp) {
    let app = bounded(&app, Duration::from_millis(50));
    let member = fill(&app, "p1").await;
    let action = member.add_action("p1", freezer_action()).await;
    let mut ids = Vec::new();
    for n in 0..2 {
        let job_id = member.add_job("p1", job("node-p1")).await;
        let session_id = member.add_session("p1", json!({"description": "s", "schedule": {}})).await;
        let backup_id = member.add_backup("p1", backup(&format!("small{n}"))).await;
        ids.push((job_id, session_id, backup_id));
    }
    let [(job_id, session_id, backup_id), (other_job, other_session, other_backup)] = &ids[..] else {
        panic!("two of each")
    };
    member.put(&format!("/v2/p1/sessions/{session_id}/jobs/{job_id}")).await.expect(204);
    let (unread, _) = until_refused(&member, "/v2/p1/backups?limit=10", None).await;
    let session = json!({"description": "s", "schedule": {}, "session_tag": 0});
    let start = json!({"start": {"job_id": job_id, "current_tag": 0}});
    let end = json!({"end": {"job_id": job_id, "result": "success"}});
    let action_document = || json!({"freezer_action": freezer_action()});
    let changed = |key: &str| json!({key: "changed"});
    for (method, path, body, status) in [
        (Method::POST, "jobs".to_owned(), Some(job("node-p1")), 201),
        (Method::POST, "jobs/new-job".to_owned(), Some(job("node-p1")), 201),
        (Method::POST, format!("jobs/{job_id}"), Some(job("node-p1")), 201),
        (Method::PATCH, format!("jobs/{job_id}"), Some(changed("description")), 200),
        (Method::POST, format!("jobs/{job_id}/event"), Some(json!({"start": null})), 202),
        (Method::POST, format!("jobs/{job_id}/event"), Some(json!({"stop": null})), 202),
        (Method::POST, "actions".to_owned(), Some(action_document()), 201),
        (Method::POST, "actions/new-action".to_owned(), Some(action_document()), 201),
        (Method::POST, format!("actions/{action}"), Some(action_document()), 201),
        (Method::PATCH, format!("actions/{action}"), Some(json!({"max_retries": 7})), 200),
        (Method::POST, "sessions".to_owned(), Some(session.clone()), 201),
        (Method::POST, "sessions/new-session".to_owned(), Some(session.clone()), 201),
        (Method::PATCH, format!("sessions/{session_id}"), Some(changed("description")), 200),
        (Method::POST, format!("sessions/{session_id}/action"), Some(start), 202),
        (Method::POST, format!("sessions/{session_id}/action"), Some(end), 202),
        (Method::PUT, format!("sessions/{other_session}/jobs/{other_job}"), None, 204),
        (Method::DELETE, format!("sessions/{other_session}/jobs/{other_job}"), None, 204),
        (Method::POST, "backups".to_owned(), Some(backup("new")), 201),
        (Method::POST, "backups".to_owned(), Some(with(backup("lg"), json!({"x": "x".repeat(50_000)}))), 201),
        (Method::PATCH, format!("backups/{backup_id}"), Some(changed("note")), 200),
        (Method::POST, "clients".to_owned(), Some(json!({"client_id": "new"})), 201),
        (Method::POST, "clients".to_owned(), Some(json!({"client_id": "new", "description": "d"})), 201),
        (Method::DELETE, "clients/new".to_owned(), None, 204),
        (Method::DELETE, format!("backups/{other_backup}"), None, 204),
        (Method::DELETE, format!("sessions/{other_session}"), None, 204),
        (Method::DELETE, format!("jobs/{other_job}"), None, 204),
        (Method::DELETE, format!("actions/{action}"), None, 204),
    ] {
        member.ask(method, &format!("/v2/p1/{path}"), body).await.expect(status);
    }
    member.get("/v2/p1/backups?limit=10").await.expect(429);
    drop(unread);
    let job = member.job(job_id).await;
    assert_eq!((&job["description"], &job["job_schedule"]["event"]), (&json!("changed"), &json!("stop")));
    let session = member.session(session_id).await;
    assert_eq!((&session["description"], &session["session_tag"]), (&json!("changed"), &json!(1)));
    let page = member.get("/v2/p1/backups?limit=100").await.expect(200);
    assert_eq!(page.each("backups", "/backup_id").iter().filter(|id| *id == other_backup).count(), 0);
    assert_eq!(page.json()["backups"].as_array().unwrap().len(), 13);
}
