//! Limits of pages: a page of large documents ends early, and the links lead through all documents.

use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    pages_of_large_documents_end_early_and_have_links,
    a_page_has_at_least_one_document,
    pages_of_ten_are_complete_within_the_limits,
];

const BYTES: u64 = 60_000;
const DOCUMENTS: usize = 45;

fn large() -> String {
    "x".repeat(2_500)
}

async fn fill(app: &TestApp) {
    let member = app.member();
    member.add_client("p1", "c1").await;
    for n in 0..DOCUMENTS {
        member.add_backup("p1", with(backup(&format!("b{n}")), json!({"x": large()}))).await;
        member
            .add_session(
                "p1",
                json!({"description": format!("s{n}"), "schedule": {"schedule_month": large()}}),
            )
            .await;
        let action = json!({"freezer_action": with(freezer_action(), json!({"x": large()}))});
        // Half of the jobs have a small document, but a large action.
        let schedule = if n % 2 == 0 { json!({}) } else { json!({"schedule_month": large()}) };
        let document =
            json!({"description": format!("j{n}"), "job_schedule": schedule, "job_actions": [action]});
        member.add_job("p1", with(job("c1"), document)).await;
        if n % 5 == 0 {
            app.advance(1);
        }
    }
}

async fn pages_of_large_documents_end_early_and_have_links(app: TestApp) {
    fill(&app).await;
    let small = app.with_http(|http| http.max_page = Some(BYTES));
    let member = small.member();
    for (list, id) in [
        ("backups", "/backup_id"),
        ("sessions", "/session_id"),
        ("actions", "/action_id"),
        ("jobs", "/job_id"),
    ] {
        for (query, search) in [
            ("limit=1000", None),
            ("limit=1000&sort=created_at:desc", None),
            ("limit=1000&offset=3", None),
            ("limit=1000&with_count=true", None),
            ("limit=1000", Some(json!({"match_not": [{"description": "nothing"}]}))),
            ("limit=1000&sort=created_at:desc", Some(json!({"match": [{"_all": "x"}]}))),
            ("limit=1000", Some(json!({"match_not": [{"mode": "nova"}]}))),
        ] {
            let (mut path, mut ids, mut pages) = (format!("/v2/p1/{list}?{query}"), Vec::new(), 0);
            loop {
                let answer = member.ask(http::Method::GET, &path, search.clone()).await.expect(200);
                let some = answer.each(list, id);
                assert!(!some.is_empty(), "{path}");
                assert!(answer.body.len() as u64 <= BYTES + 1_000, "{path}: {} bytes", answer.body.len());
                ids.extend(some);
                pages += 1;
                let document = answer.json();
                let Some(next) = document[format!("{list}_links")][0]["href"].as_str() else { break };
                path = next.split_once("/v2/").map(|(_, rest)| format!("/v2/{rest}")).unwrap();
                assert!(pages < 20, "{path}");
            }
            let whole: Vec<String> = {
                let path = format!("/v2/p1/{list}?{query}");
                app.member().ask(http::Method::GET, &path, search.clone()).await.expect(200).each(list, id)
            };
            assert!(pages > 1 && whole.len() > 30, "{list}?{query}: {pages} pages of {}", whole.len());
            assert_eq!(ids, whole, "{list}?{query} {search:?}");
        }
    }
}

async fn a_page_has_at_least_one_document(app: TestApp) {
    fill(&app).await;
    let tiny = app.with_http(|http| http.max_page = Some(1_000));
    let poll = json!({"match": [{"client_id": "c1"}], "match_not": [{"status": "completed"}]});
    for (list, search) in [
        ("backups", None),
        ("sessions", None),
        ("actions", None),
        ("jobs", None),
        ("jobs", Some(poll)),
        ("jobs", Some(json!({"match": [{"_all": "x"}]}))),
    ] {
        let (mut path, mut found) = (format!("/v2/p1/{list}?limit=10"), 0);
        loop {
            let page = tiny.member().ask(http::Method::GET, &path, search.clone()).await.expect(200).json();
            assert_eq!(page[list].as_array().unwrap().len(), 1, "{path}");
            found += 1;
            let Some(next) = page[format!("{list}_links")][0]["href"].as_str() else { break };
            assert!(next.contains("marker=") && found <= DOCUMENTS, "{next}");
            path = next.split_once("/v2/").map(|(_, rest)| format!("/v2/{rest}")).unwrap();
        }
        assert_eq!(found, DOCUMENTS, "{list} {search:?}");
    }
    for n in 0..20 {
        let client = json!({"client_id": format!("d{n}"), "hostname": "h", "description": "d".repeat(200)});
        tiny.member().post("/v2/p1/clients", client).await.expect(201);
    }
    let page = tiny.member().get("/v2/p1/clients?limit=20").await.expect(200).json();
    let clients = page["clients"].as_array().unwrap().len();
    assert!((1..5).contains(&clients) && page["clients_links"][0]["href"].is_string(), "{clients}");
}

/// A scheduler takes a page of fewer than ten jobs for the last one, and it does not follow links.
async fn pages_of_ten_are_complete_within_the_limits(app: TestApp) {
    fill(&app).await;
    // Each job has at most two documents of this size.
    let limits =
        app.with_http(|http| (http.max_document, http.max_page) = (4_096, Some(10 * 2 * (4_096 + 4_096))));
    let poll = json!({"match": [{"client_id": "c1"}], "match_not": [{"status": "completed"}]});
    let mut found = 0;
    for offset in (0..50).step_by(10) {
        let path = format!("/v2/p1/jobs?limit=10&offset={offset}");
        let page = limits.member().search(&path, poll.clone()).await.expect(200).json();
        let jobs = page["jobs"].as_array().unwrap().len();
        assert_eq!(page.get("jobs_links"), None::<&Value>, "{offset}");
        assert_eq!(jobs, (DOCUMENTS - offset).min(10), "{offset}");
        found += jobs;
    }
    assert_eq!(found, DOCUMENTS);
}
