//! Slots for searches and counts. Other requests do not need a slot.

use std::time::Duration;

use freezer_api::service::scans::ScanLimits;
use freezer_store::query::Page;
use freezer_store::{Deadline, Scope, Search};
use serde_json::json;

use crate::support::documents::{backup, job};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    searches_of_a_project_delay_no_other_requests,
    searches_of_all_projects_leave_connections_for_other_requests
];

const LISTS: [&str; 5] = ["clients", "actions", "sessions", "backups", "jobs"];

fn few(app: &TestApp) -> TestApp {
    let wait = Duration::from_millis(200);
    app.with_http(|http| http.scans = ScanLimits { per_project: 1, in_all: 2, waiting: 10, wait })
}

/// Takes a slot of a project, as a long search does.
macro_rules! hold {
    ($app:expr, $project:expr) => {{
        let count = Page { count: true, ..Page::at(1, 0) };
        let scope = Scope::project($project);
        $app.app()
            .queues
            .scans()
            .slot(&scope, &Search::default(), &count, Deadline::NONE)
            .await
            .unwrap()
            .expect("a slot")
    }};
}

async fn searches_of_a_project_delay_no_other_requests(app: TestApp) {
    let app = few(&app);
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    let search = json!({"match": [{"description": "x"}]});
    let held = hold!(app, "p1");
    for list in LISTS {
        let path = format!("/v2/p1/{list}");
        let refused = member.search(&path, search.clone()).await.expect(429);
        assert_eq!(refused.header("retry-after"), Some("5"), "{refused}");
        assert_eq!(refused.text("description"), "Too many searches of the project are running or waiting.");
        for query in ["with_count=true", "limit=5000", "offset=100000"] {
            member.get(&format!("{path}?{query}")).await.expect(429);
        }
        member.get(&path).await.expect(200);
        member.get(&format!("{path}?limit=500")).await.expect(200);
        app.as_user("u2", "p2", "member").search(&format!("/v2/p2/{list}"), search.clone()).await.expect(200);
    }
    let poll = json!({"match_not": [{"status": "completed"}], "match": [{"client_id": "node-1"}]});
    assert_eq!(
        member.search("/v2/p1/jobs", poll).await.expect(200).each("jobs", "/job_id"),
        [job_id.as_str()]
    );
    member.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200);
    member
        .patch(&format!("/v2/p1/jobs/{job_id}"), json!({"job_schedule": {"status": "running"}}))
        .await
        .expect(200);
    member.add_backup("p1", backup("b")).await;
    member.get("/healthcheck").await.expect(200);
    drop(held);
    for list in LISTS {
        member.search(&format!("/v2/p1/{list}"), search.clone()).await.expect(200);
    }
}

async fn searches_of_all_projects_leave_connections_for_other_requests(app: TestApp) {
    let app = few(&app);
    let member = app.member();
    let search = json!({"match": [{"description": "x"}]});
    let held = (hold!(app, "p2"), hold!(app, "p3"));
    let refused = member.search("/v2/p1/backups", search.clone()).await.expect(503);
    assert_eq!(refused.header("retry-after"), Some("5"), "{refused}");
    assert_eq!(refused.text("description"), "Too many searches are running.");
    member.get("/v2/p1/backups").await.expect(200);
    let id = member.add_backup("p1", backup("b")).await;
    member.get(&format!("/v2/p1/backups/{id}")).await.expect(200);
    let (one, _other) = held;
    drop(one);
    member.search("/v2/p1/backups", search).await.expect(200);
}
