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
    changes_are_stored_whatever_is_unread,
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

async fn a_request_waits_until_answers_are_read(app: TestApp) {
    let quick = bounded(&app, Duration::from_millis(50));
    let member = fill(&quick, "p1").await;
    let patient = bounded(&app, Duration::from_secs(60)).as_user("u", "p1", "member");
    let mut unread = Vec::new();
    for _ in 0..8 {
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

/// The answer to a change of a backup is the whole backup.
async fn changes_are_stored_whatever_is_unread(app: TestApp) {
    let app = bounded(&app, Duration::from_millis(50));
    let member = fill(&app, "p1").await;
    let small = member.add_backup("p1", backup("small")).await;
    let id = member.add_backup("p1", with(backup("large"), json!({"x": "x".repeat(100_000)}))).await;
    let (path, small) = (format!("/v2/p1/backups/{id}"), format!("/v2/p1/backups/{small}"));
    let (unread, _) = until_refused(&member, &path, None).await;
    member.patch(&small, json!({"status": "deleted"})).await.expect(200);
    member.patch(&path, json!({"status": "deleted"})).await.expect(429);
    drop(unread);
    let answer = member.patch(&path, json!({"note": "n"})).await.expect(200);
    assert_eq!((answer.text("status"), answer.body.len() > 100_000), ("deleted".to_owned(), true));
}
