//! Pages of lists: their order. No row may be skipped or repeated.

use serde_json::json;

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    the_default_page_has_ten_documents,
    pages_never_skip_or_repeat,
    lists_are_in_the_order_of_creation,
    rows_of_one_second_are_in_the_order_of_their_ids,
    invalid_limits_and_offsets_are_400,
];

const LISTS: [&str; 5] = ["clients", "actions", "sessions", "backups", "jobs"];

/// Stores `count` documents in every list, several in each second.
async fn fill(app: &TestApp, count: usize) {
    let member = app.member();
    for number in 0..count {
        let name = format!("n{number:02}");
        member.add_client("p1", &name).await;
        member.add_action("p1", with(freezer_action(), json!({"backup_name": name}))).await;
        member.add_session("p1", json!({"schedule": {}, "description": name})).await;
        member.add_backup("p1", backup(&name)).await;
        member
            .add_job(
                "p1",
                json!({"client_id": name, "job_actions": [], "job_id": format!("j{:02}", count - number)}),
            )
            .await;
        app.advance(i64::from(number % 4 == 3));
    }
}

/// Returns the key that contains the id of a document.
fn id_of(list: &str) -> &'static str {
    match list {
        "clients" => "/client/uuid",
        "actions" => "/action_id",
        "sessions" => "/session_id",
        "backups" => "/backup_id",
        _ => "/job_id",
    }
}

async fn the_default_page_has_ten_documents(app: TestApp) {
    fill(&app, 11).await;
    for list in LISTS {
        for (query, count) in [
            ("", 10),
            ("?limit=0", 10),
            ("?limit=", 10),
            ("?limit=3", 3),
            ("?%6Cimit=3", 3),
            ("?limit=5&lim%69t=%33", 3),
            ("?off%73et=10", 1),
            ("?limit=500", 11),
            ("?limit=9223372036854775807", 11),
            ("?offset=10", 1),
            ("?offset=11", 0),
            ("?offset=9223372036854775807", 0),
            ("?limit=2&limit=4", 4),
        ] {
            let answer = app.member().get(&format!("/v2/p1/{list}{query}")).await.expect(200);
            assert_eq!(answer.each(list, id_of(list)).len(), count, "{list}{query}");
        }
    }
}

async fn pages_never_skip_or_repeat(app: TestApp) {
    fill(&app, 13).await;
    let member = app.member();
    for list in LISTS {
        let whole = member.get(&format!("/v2/p1/{list}?limit=100")).await.each(list, id_of(list));
        assert_eq!(whole.len(), 13);
        for limit in [1, 4, 5] {
            let mut pages = Vec::new();
            for offset in (0..15).step_by(limit) {
                let path = format!("/v2/p1/{list}?limit={limit}&offset={offset}");
                pages.extend(member.get(&path).await.each(list, id_of(list)));
            }
            assert_eq!(pages, whole, "{list} by {limit}");
        }
    }
}

async fn lists_are_in_the_order_of_creation(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for id in ["z", "m", "a"] {
        member.add_job("p1", with(job("node-1"), json!({"job_id": id}))).await;
        app.advance(1);
    }
    assert_eq!(member.get("/v2/p1/jobs").await.each("jobs", "/job_id"), ["z", "m", "a"]);
    // A change does not move the document.
    member.patch("/v2/p1/jobs/z", json!({"description": "changed"})).await.expect(200);
    member.post("/v2/p1/jobs/m", job("node-1")).await.expect(201);
    assert_eq!(member.get("/v2/p1/jobs").await.each("jobs", "/job_id"), ["z", "m", "a"]);
    // A document that is deleted and created again is new.
    member.delete("/v2/p1/jobs/z").await.expect(204);
    member.add_job("p1", with(job("node-1"), json!({"job_id": "z"}))).await;
    assert_eq!(member.get("/v2/p1/jobs").await.each("jobs", "/job_id"), ["m", "a", "z"]);
}

async fn rows_of_one_second_are_in_the_order_of_their_ids(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for id in ["z", "m", "a"] {
        member.add_job("p1", with(job("node-1"), json!({"job_id": id}))).await;
    }
    assert_eq!(member.get("/v2/p1/jobs").await.each("jobs", "/job_id"), ["a", "m", "z"]);
}

async fn invalid_limits_and_offsets_are_400(app: TestApp) {
    for query in [
        "limit=-1",
        "offset=-1",
        "limit=ten",
        "offset=1.5",
        "limit=9223372036854775808",
        "offset=%00",
        "limit=1_0",
    ] {
        app.show(app.member().get(&format!("/v2/p1/jobs?{query}")).await.expect(400));
    }
    for list in LISTS {
        app.member().get(&format!("/v2/p1/{list}?limit=-1")).await.expect(400);
        app.member().get(&format!("/v2/p1/{list}?offset=-1")).await.expect(400);
    }
}
