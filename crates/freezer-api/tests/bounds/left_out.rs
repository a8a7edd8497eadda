//! Documents that are too large to be read: lists leave them out and have all others.

use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{Caller, TestApp, on_both_engines};

on_both_engines![
    lists_leave_out_documents_that_no_request_can_read,
    polls_have_the_jobs_behind_those_that_are_too_large,
    documents_that_a_request_can_read_are_never_left_out,
];

/// With this budget, the largest readable document has 4 MiB.
fn small(app: &TestApp) -> TestApp {
    app.with_http(|http| (http.max_answers, http.max_document) = (1 << 20, 4_096))
}

/// A text that makes a document too large.
fn too_long() -> String {
    json!({"action": "backup", "mode": "fs", "x": "x".repeat(5_000_000)}).to_string()
}

/// The positions of documents that are too large, among seven.
const PLACES: [&[usize]; 3] = [&[0, 1, 6], &[2, 4], &[0, 1, 2, 3, 4, 5, 6]];

async fn make_large(app: &TestApp, table: &str, column: &str, ids: &[&String]) {
    let list = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    app.database().run(&format!("UPDATE {table} SET {column} = '{}' WHERE id IN ({list})", too_long())).await;
}

/// Follows the links of a list. Returns the ids of its documents, and the `count` of the first page.
async fn all(
    member: &Caller,
    list: &str,
    id: &str,
    query: &str,
    search: Option<&Value>,
) -> (Vec<String>, Value) {
    let (mut path, mut ids, mut pages, mut count) =
        (format!("/v2/p1/{list}?{query}"), Vec::new(), 0, Value::Null);
    loop {
        let answer = member.ask(Method::GET, &path, search.cloned()).await.expect(200);
        let page = answer.json();
        if pages == 0 {
            count = page["count"].clone();
        }
        ids.extend(answer.each(list, id));
        pages += 1;
        assert!(pages < 20, "{path}");
        match page[format!("{list}_links")][0]["href"].as_str().and_then(|next| next.split_once("/v2/")) {
            Some((_, rest)) => path = format!("/v2/{rest}"),
            None => return (ids, count),
        }
    }
}

async fn add(member: &Caller, list: &str) -> String {
    match list {
        "backups" => member.add_backup("p1", backup("b")).await,
        "sessions" => member.add_session("p1", json!({"description": "s", "schedule": {}})).await,
        "actions" => member.add_action("p1", freezer_action()).await,
        _ => member.add_job("p1", job("c1")).await,
    }
}

async fn lists_leave_out_documents_that_no_request_can_read(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "c1").await;
    let small = small(&app);
    for (list, key, table, column, places) in [
        ("backups", "backup_id", "backups", "backup_metadata", &PLACES[..]),
        ("sessions", "session_id", "sessions", "schedule", &PLACES[..1]),
        ("jobs", "job_id", "jobs", "schedule", &PLACES[..2]),
        ("actions", "action_id", "actions", "backup_metadata", &PLACES[1..2]),
    ] {
        let id = format!("/{key}");
        for large in places {
            for table in ["job_actions", "jobs", "backups", "sessions", "actions"] {
                app.database().run(&format!("DELETE FROM {table}")).await;
            }
            let mut ids = Vec::new();
            for at in 0..7 {
                ids.push(add(&member, list).await);
                app.advance(i64::from(at % 2 == 0));
            }
            let hidden: Vec<&String> = large.iter().map(|at| &ids[*at]).collect();
            make_large(&app, table, column, &hidden).await;
            let shown = |from: usize| -> Vec<String> {
                ids[from..].iter().filter(|id| !hidden.contains(id)).cloned().collect()
            };
            let (member, mut newest) = (small.member(), shown(0));
            newest.reverse();
            let search = json!({"match_not": [{key: "none"}]});
            for search in [None, Some(&search)] {
                for limit in [2, 10] {
                    let context = format!("{list} without {large:?}, limit {limit}, {search:?}");
                    let query = format!("limit={limit}&sort=created_at");
                    assert_eq!(all(&member, list, &id, &query, search).await.0, shown(0), "{context}");
                    let query = format!("limit={limit}&sort=created_at:desc");
                    assert_eq!(all(&member, list, &id, &query, search).await.0, newest, "{context}");
                    // the markers of the documents that are left out are valid, too
                    for at in large.iter().copied().filter(|_| limit == 2) {
                        let marker = &ids[at];
                        let query = format!("limit={limit}&marker={marker}");
                        let found = all(&member, list, &id, &query, search).await.0;
                        assert_eq!(found, shown(at + 1), "{context} after {at}");
                    }
                    // pages by offset miss no document, and may repeat some
                    let mut found: Vec<String> = Vec::new();
                    for offset in (0..7).step_by(limit) {
                        let path = format!("/v2/p1/{list}?limit={limit}&offset={offset}");
                        let page = member.ask(Method::GET, &path, search.cloned()).await.expect(200);
                        found.extend(page.each(list, &id));
                    }
                    found.sort_unstable_by_key(|id| ids.iter().position(|other| other == id));
                    found.dedup();
                    assert_eq!(found, shown(0), "{context} by offset");
                }
                let (found, count) = all(&member, list, &id, "limit=3&with_count=true", search).await;
                assert_eq!(found, shown(0), "{list} without {large:?}, {search:?}");
                let count = count.as_u64().unwrap();
                assert!((shown(0).len() as u64..=7).contains(&count), "{list} without {large:?}: {count}");
                assert!(search.is_some() || count == 7, "{list} without {large:?}: {count}");
            }
            for hidden in hidden {
                member.get(&format!("/v2/p1/{list}/{hidden}")).await.expect(413);
            }
        }
    }
}

async fn polls_have_the_jobs_behind_those_that_are_too_large(app: TestApp) {
    let member = app.member();
    for client in ["c1", "c2", "c3"] {
        member.add_client("p1", client).await;
    }
    let poll =
        |client: &str| json!({"match": [{"client_id": client}], "match_not": [{"status": "completed"}]});
    let small = small(&app);
    for (part, times) in [("schedule", 1), ("actions", 1), ("actions", 30)] {
        for large in PLACES {
            app.database().run("DELETE FROM job_actions; DELETE FROM jobs; DELETE FROM actions").await;
            // one large action, or one that is large because a job contains it many times
            let action = member.add_action("p1", freezer_action()).await;
            let mut ids = Vec::new();
            for at in 0..7 {
                let is_large = part == "actions" && large.contains(&at);
                let uses: Vec<Value> = vec![json!({"action_id": action}); times];
                let more = if is_large { json!({"job_actions": uses}) } else { json!({}) };
                ids.push(member.add_job("p1", with(job("c1"), more)).await);
                app.advance(1);
            }
            let of_c2 = member.add_job("p1", job("c2")).await;
            let hidden: Vec<&String> = large.iter().map(|at| &ids[*at]).collect();
            if part == "schedule" {
                make_large(&app, "jobs", "schedule", &hidden).await;
            } else if times == 1 {
                make_large(&app, "actions", "backup_metadata", &[&action]).await;
            } else {
                let text = json!({"action": "backup", "x": "x".repeat(200_000)}).to_string();
                let sql = format!("UPDATE actions SET backup_metadata = '{text}' WHERE id = '{action}'");
                app.database().run(&sql).await;
            }
            let context = format!("{part} {times}, without {large:?}");
            let shown: Vec<String> = ids.iter().filter(|id| !hidden.contains(id)).cloned().collect();
            let member = small.member();
            for limit in [1, 10] {
                // polls that arrive together share a statement
                let path = format!("/v2/p1/jobs?limit={limit}");
                let bodies = ["c1", "c2", "c3", "c1"].map(poll);
                let answers = join_all(bodies.map(|body| member.search(&path, body))).await;
                let found: Vec<Vec<String>> =
                    answers.into_iter().map(|answer| answer.expect(200).each("jobs", "/job_id")).collect();
                let first = &shown[..limit.min(shown.len())];
                assert_eq!(found[0], first, "{context}, limit {limit}");
                assert_eq!(found[1], [of_c2.as_str()], "{context}, limit {limit}");
                assert!(found[2].is_empty(), "{context}, limit {limit}");
                assert_eq!(found[3], first, "{context}, limit {limit}");
                // a scheduler asks for the next page until one has fewer jobs than it asked for
                let (mut found, mut offset): (Vec<String>, usize) = (Vec::new(), 0);
                loop {
                    let path = format!("/v2/p1/jobs?limit={limit}&offset={offset}");
                    let page = member.search(&path, poll("c1")).await.expect(200).each("jobs", "/job_id");
                    offset += page.len();
                    let is_last = page.len() < limit;
                    found.extend(page.into_iter().filter(|id| !found.contains(id)).collect::<Vec<_>>());
                    if is_last {
                        break;
                    }
                }
                assert_eq!(found, shown, "{context}, pages of {limit}");
            }
            for hidden in &hidden {
                member.get(&format!("/v2/p1/jobs/{hidden}")).await.expect(413);
            }
        }
    }
}

/// These documents are larger than a first read, but not too large.
async fn documents_that_a_request_can_read_are_never_left_out(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "c1").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(member.add_job("p1", job("c1")).await);
        app.advance(1);
    }
    let text = json!({"schedule_month": "m".repeat(3_900_000)}).to_string();
    let sql = format!("UPDATE jobs SET schedule = '{text}' WHERE id IN ('{}', '{}')", ids[1], ids[3]);
    app.database().run(&sql).await;
    let app = small(&app);
    let poll = json!({"match": [{"client_id": "c1"}], "match_not": [{"status": "completed"}]});
    for search in [None, Some(&poll)] {
        for limit in [1, 10] {
            let query = format!("limit={limit}&sort=created_at");
            let found = all(&app.member(), "jobs", "/job_id", &query, search).await.0;
            assert_eq!(found, ids, "{query} {search:?}");
        }
        let page = app.member().ask(Method::GET, "/v2/p1/jobs?limit=10", search.cloned()).await.expect(200);
        assert_eq!(page.each("jobs", "/job_id"), ids[..3], "both do not fit into one page");
        assert!(page.json()["jobs_links"][0]["href"].is_string(), "{search:?}");
    }
}
