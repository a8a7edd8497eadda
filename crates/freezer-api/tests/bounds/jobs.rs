//! Limits of jobs: the number of their actions, and the size that a job gets through its actions, at once or when one
//! of them grows.

use serde_json::{Value, json};

use crate::support::documents::{freezer_action, job, with};
use crate::support::{Caller, TestApp, on_both_engines};

on_both_engines![
    the_actions_of_a_job_are_counted,
    a_job_does_not_grow_through_its_actions,
    an_action_may_grow_as_long_as_every_job_fits,
    large_jobs_of_former_settings_can_be_read,
    jobs_that_exceed_the_budget_are_refused_without_reading_them,
    large_documents_of_former_settings_can_be_changed,
    an_action_of_many_places_is_refused_at_once,
    an_action_of_many_jobs_is_measured_in_batches,
];

const LIMIT: usize = 20_000;

fn uses(action_id: &str, times: usize) -> Value {
    vec![json!({"action_id": action_id}); times].into()
}

fn action_of(bytes: usize) -> Value {
    with(freezer_action(), json!({"x": "x".repeat(bytes)}))
}

async fn limited(app: &TestApp) -> Caller {
    let member = app.with_http(|http| (http.max_document, http.max_job_actions) = (LIMIT, 5)).member();
    member.add_client("p1", "c1").await;
    member
}

async fn the_actions_of_a_job_are_counted(app: TestApp) {
    let member = limited(&app).await;
    let id = member.add_action("p1", freezer_action()).await;
    let inline = |count| vec![json!({"freezer_action": freezer_action()}); count];
    let mixed: Vec<Value> = inline(3).into_iter().chain(vec![json!({"action_id": id}); 3]).collect();
    let small = member.add_job("p1", with(job("c1"), json!({"job_actions": uses(&id, 2)}))).await;
    for (path, actions) in [
        ("jobs".to_owned(), uses(&id, 6)),
        ("jobs".to_owned(), inline(6).into()),
        ("jobs".to_owned(), mixed.clone().into()),
        ("jobs/new".to_owned(), uses(&id, 6)),
        (format!("jobs/{small}"), uses(&id, 2_000)),
    ] {
        let count = actions.as_array().unwrap().len();
        let document = with(job("c1"), json!({"job_actions": actions}));
        let answer = member.post(&format!("/v2/p1/{path}"), document).await.expect(413);
        assert_eq!(
            answer.description(),
            format!(
                "job_actions: a job may have at most 5 actions ([api] max_job_actions), and this one would have {count}"
            )
        );
    }
    for actions in [uses(&id, 6), inline(6).into(), mixed.into()] {
        let patch = json!({"job_actions": actions});
        member.patch(&format!("/v2/p1/jobs/{small}"), patch).await.expect(413);
    }
    assert_eq!(member.job(&small).await["job_actions"].as_array().unwrap().len(), 2);
    member.patch(&format!("/v2/p1/jobs/{small}"), json!({"job_actions": uses(&id, 5)})).await.expect(200);

    // A job with more actions, from a time with another limit, keeps them when its scheduler sends it back, but gets no
    // further ones.
    let many = with(job("c1"), json!({"job_actions": uses(&id, 8)}));
    let old = app.member().add_job("p1", many).await;
    let path = format!("/v2/p1/jobs/{old}");
    let shown = member.job(&old).await;
    member.patch(&path, shown).await.expect(200);
    member.patch(&path, json!({"job_schedule": {"status": "running"}})).await.expect(200);
    member.patch(&path, json!({"job_actions": uses(&id, 9)})).await.expect(413);
    member.patch(&path, json!({"job_actions": uses(&id, 7)})).await.expect(200);
    member.patch(&path, json!({"job_actions": uses(&id, 8)})).await.expect(413);
}

async fn a_job_does_not_grow_through_its_actions(app: TestApp) {
    let member = limited(&app).await;
    for (times, other) in [(1, 15_000), (5, 0), (2, 8_000)] {
        let id = member.add_action("p1", freezer_action()).await;
        let beside = member.add_action("p1", action_of(other)).await;
        let mut actions = uses(&id, times).as_array().unwrap().clone();
        if other > 0 {
            actions.push(json!({"action_id": beside}));
        }
        // Another job has the same action, but stays small.
        member.add_job("p1", with(job("c1"), json!({"job_actions": uses(&id, 1)}))).await;
        let job_id = member.add_job("p1", with(job("c1"), json!({"job_actions": actions}))).await;
        let path = format!("/v2/p1/actions/{id}");
        let text = format!(
            "freezer_action: the job_actions of job {job_id}, which uses this action: would take more than 20000 bytes"
        );
        let larger = json!({"freezer_action": {"y": "y".repeat(8_000)}});
        assert_eq!(member.patch(&path, larger.clone()).await.expect(413).description(), text);
        let whole = json!({"freezer_action": action_of(8_000)});
        assert_eq!(member.post(&path, whole).await.expect(413).description(), text);
        let mut taken = 0;
        while member
            .patch(&path, json!({"freezer_action": {format!("k{taken}"): "z".repeat(500)}}))
            .await
            .status
            == 200
        {
            taken += 1;
            assert!(taken < 40, "{times} times");
        }
        assert!(taken > 0, "{times} times");
        let bytes = member.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200).body.len();
        assert!(bytes < LIMIT + 5_000, "{times} times: {bytes}");
        // The action becomes smaller, or other keys of the same size are changed.
        member.patch(&path, json!({"max_retries": 7})).await.expect(200);
        member.patch(&path, json!({"freezer_action": {"k0": "-"}})).await.expect(200);
        member.patch(&path, json!({"freezer_action": {"k0": "small"}})).await.expect(200);
        // A deleted job does not count.
        member.delete(&format!("/v2/p1/jobs/{job_id}")).await.expect(204);
        member.patch(&path, larger).await.expect(200);
    }
}

async fn an_action_may_grow_as_long_as_every_job_fits(app: TestApp) {
    let member = limited(&app).await;
    let id = member.add_action("p1", freezer_action()).await;
    for _ in 0..30 {
        member.add_job("p1", with(job("c1"), json!({"job_actions": uses(&id, 1)}))).await;
    }
    let path = format!("/v2/p1/actions/{id}");
    member.patch(&path, json!({"freezer_action": {"y": "y".repeat(15_000)}})).await.expect(200);
    member.patch(&path, json!({"freezer_action": {"z": "z".repeat(15_000)}})).await.expect(413);
    // This job uses the action twice.
    let twice = with(job("c1"), json!({"job_actions": uses(&id, 2)}));
    member.post("/v2/p1/jobs", twice).await.expect(413);
}

async fn an_action_of_many_places_is_refused_at_once(app: TestApp) {
    let app = app.with_http(|http| http.max_job_actions = 1_000);
    let member = app.member();
    member.add_client("p1", "c1").await;
    let id = member.add_action("p1", freezer_action()).await;
    member.add_job("p1", with(job("c1"), json!({"job_actions": uses(&id, 3)}))).await;
    for _ in 0..6 {
        member.add_job("p1", with(job("c1"), json!({"job_actions": uses(&id, 1_000)}))).await;
    }
    let larger = json!({"freezer_action": {"y": "y".repeat(8_000)}});
    let before = app.store().statements();
    let refused = member.patch(&format!("/v2/p1/actions/{id}"), larger).await.expect(413);
    assert!(refused.description().contains("which uses this action"), "{refused}");
    let statements = app.store().statements() - before;
    assert_eq!(statements, 4, "BEGIN, the action, the job with the most places, ROLLBACK");
}

async fn an_action_of_many_jobs_is_measured_in_batches(app: TestApp) {
    const JOBS: usize = 150;
    let member = limited(&app).await;
    let id = member.add_action("p1", freezer_action()).await;
    let beside = member.add_action("p1", action_of(1_000)).await;
    let mut actions = uses(&beside, 2).as_array().unwrap().clone();
    actions.push(json!({"action_id": id}));
    for _ in 0..JOBS {
        member.add_job("p1", with(job("c1"), json!({"job_actions": actions}))).await;
    }
    let path = format!("/v2/p1/actions/{id}");
    let before = app.store().statements();
    member.patch(&path, json!({"freezer_action": {"y": "y".repeat(10_000)}})).await.expect(200);
    let statements = app.store().statements() - before;
    assert!(statements <= 20, "{statements}");
    // of all these jobs, the others of one are a little larger
    let last = with(
        job("c1"),
        json!({"job_actions": [{"action_id": id}, {"action_id": beside},
                                                      {"freezer_action": action_of(5_000)}]}),
    );
    let last = member.add_job("p1", last).await;
    let refused = member.patch(&path, json!({"freezer_action": {"z": "z".repeat(3_000)}})).await.expect(413);
    assert!(refused.description().contains(&last), "{refused}");
    member.delete(&format!("/v2/p1/jobs/{last}")).await.expect(204);
    member.patch(&path, json!({"freezer_action": {"z": "z".repeat(3_000)}})).await.expect(200);
}

/// An earlier release let these jobs grow: each contains its action fifty times, and the schedule is large, too.
async fn large_jobs_of_former_settings_can_be_read(app: TestApp) {
    const JOBS: usize = 7;
    let before = app.member();
    before.add_client("p1", "c1").await;
    let id = before.add_action("p1", freezer_action()).await;
    let schedule = json!({"schedule_month": "m".repeat(50_000)});
    let document = json!({"job_actions": uses(&id, 50), "job_schedule": schedule});
    let mut ids = Vec::new();
    for _ in 0..JOBS {
        ids.push(before.add_job("p1", with(job("c1"), document.clone())).await);
        app.advance(1);
    }
    let text = with(freezer_action(), json!({"x": "x".repeat(40_000)})).to_string();
    app.database().run(&format!("UPDATE actions SET backup_metadata = '{text}'")).await;
    let whole = 50 * text.len();

    let small = app.with_http(|http| (http.max_document, http.max_page) = (LIMIT, Some(60_000)));
    let member = small.member();
    for job_id in &ids {
        let shown = member.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200);
        assert!(shown.body.len() > whole, "{}", shown.body.len());
        let job = shown.json();
        assert_eq!(job["job_actions"].as_array().unwrap().len(), 50);
        assert!(job["job_actions"].as_array().unwrap().iter().all(|action| action["action_id"] == json!(id)));
    }
    // Simultaneous requests share statements.
    let paths: Vec<String> = ids.iter().map(|id| format!("/v2/p1/jobs/{id}")).collect();
    let shown = futures_util::future::join_all(paths.iter().map(|path| member.get(path))).await;
    assert!(shown.into_iter().all(|answer| answer.expect(200).body.len() > whole));
    let poll = json!({"match": [{"client_id": "c1"}], "match_not": [{"status": "completed"}]});
    let polls = (0..4).map(|_| member.search("/v2/p1/jobs?limit=10", poll.clone()));
    for answer in futures_util::future::join_all(polls).await {
        assert_eq!(answer.expect(200).each("jobs", "/job_id"), ids[..1]);
    }
    for (query, search) in [
        ("limit=100", None),
        ("limit=10", Some(poll)),
        ("limit=100&sort=created_at:desc", None),
        ("limit=100", Some(json!({"match": [{"mode": "fs"}]}))),
        ("limit=100", Some(json!({"match": [{"_all": "xxx"}]}))),
        ("limit=100&with_count=true", Some(json!({"match_not": [{"mode": "nothing"}]}))),
    ] {
        let (mut path, mut found) = (format!("/v2/p1/jobs?{query}"), Vec::new());
        loop {
            let answer = member.ask(http::Method::GET, &path, search.clone()).await.expect(200);
            let some = answer.each("jobs", "/job_id");
            assert_eq!(some.len(), 1, "{path}: one of these jobs is more than a page");
            assert!(answer.body.len() < 2 * whole, "{}", answer.body.len());
            found.extend(some);
            let document = answer.json();
            if query.contains("with_count") {
                assert_eq!(document["count"], json!(JOBS));
            }
            let Some(next) = document["jobs_links"][0]["href"].as_str() else { break };
            path = next.split_once("/v2/").map(|(_, rest)| format!("/v2/{rest}")).unwrap();
            assert!(found.len() < 20, "{path}");
        }
        found.sort_unstable();
        let mut all = ids.clone();
        all.sort_unstable();
        assert_eq!(found, all, "{query} {search:?}");
    }
    // The action may shrink, but not grow.
    let path = format!("/v2/p1/actions/{id}");
    member.patch(&path, json!({"freezer_action": {"y": "y".repeat(500)}})).await.expect(413);
    member.patch(&path, json!({"freezer_action": {"x": "x".repeat(300)}})).await.expect(200);
}

/// Jobs of former settings that are larger than an answer may be. They cannot be shown, but lists have all other jobs, and
/// the large ones can be changed and deleted.
async fn jobs_that_exceed_the_budget_are_refused_without_reading_them(app: TestApp) {
    let before = app.with_http(|http| http.max_job_actions = 1_000).member();
    before.add_client("p1", "c1").await;
    let id = before.add_action("p1", freezer_action()).await;
    let mut distinct = Vec::new();
    for _ in 0..40 {
        distinct.push(json!({"action_id": before.add_action("p1", freezer_action()).await}));
    }
    let first = before.add_job("p1", job("c1")).await;
    app.advance(1);
    let one = before.add_job("p1", with(job("c1"), json!({"job_actions": uses(&id, 400)}))).await;
    app.advance(1);
    let many = before.add_job("p1", with(job("c1"), json!({"job_actions": distinct}))).await;
    app.advance(1);
    let last = before.add_job("p1", job("c1")).await;
    let text = with(freezer_action(), json!({"x": "x".repeat(160_000)})).to_string();
    app.database().run(&format!("UPDATE actions SET backup_metadata = '{text}'")).await;

    let small = app.with_http(|http| (http.max_document, http.max_answers) = (LIMIT, 1 << 20));
    let member = small.member();
    let text = |job_id: &str| format!("job {job_id}: takes about ");
    let poll = json!({"match": [{"client_id": "c1"}], "match_not": [{"status": "completed"}]});
    for (job_id, after) in [(&one, &first), (&many, &one)] {
        let path = format!("/v2/p1/jobs/{job_id}");
        let refused = member.get(&path).await.expect(413);
        assert!(refused.description().starts_with(&text(job_id)), "{refused}");
        assert!(refused.description().contains("[api] max_answer_bytes"), "{refused}");
        for search in [None, Some(poll.clone())] {
            let page = format!("/v2/p1/jobs?limit=10&marker={after}");
            let page = member.ask(http::Method::GET, &page, search).await.expect(200);
            assert_eq!(page.each("jobs", "/job_id"), [last.as_str()], "after {after}");
        }
        member.patch(&path, json!({"description": "d"})).await.expect(200);
        member.post(&format!("{path}/event"), json!({"start": null})).await.expect(202);
        member.patch(&path, json!({"job_schedule": {"status": "running"}})).await.expect(200);
        // an invalid patch is compared with the job
        let refused = member.patch(&path, json!({"job_schedule": {"status": 7}, "job_actions": 5})).await;
        assert!([400, 413].contains(&refused.status.as_u16()), "{refused}");
    }
    for search in [None, Some(poll.clone())] {
        for path in ["/v2/p1/jobs?limit=10".to_owned(), format!("/v2/p1/jobs?limit=10&marker={many}")] {
            let page = member.ask(http::Method::GET, &path, search.clone()).await.expect(200);
            let expected = if path.contains("marker") { vec![&last] } else { vec![&first, &last] };
            assert!(page.each("jobs", "/job_id").iter().eq(expected), "{path}: {page}");
        }
    }
    member.patch(&format!("/v2/p1/jobs/{one}"), json!({"job_actions": uses(&id, 2)})).await.expect(200);
    member.delete(&format!("/v2/p1/jobs/{many}")).await.expect(204);
    let page = member.search("/v2/p1/jobs?limit=10", poll).await.expect(200);
    assert_eq!(page.each("jobs", "/job_id"), [first, one, last]);
}

/// Returns the search for the document of a path.
fn find(path: &str) -> Value {
    let (list, id) = path.rsplit_once('/').unwrap();
    let key = format!("{}_id", list.rsplit('/').next().unwrap().trim_end_matches('s'));
    json!({"match": [{key: id}]})
}

/// Each of these documents is larger than a change reads without a part of the budget.
async fn large_documents_of_former_settings_can_be_changed(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "c1").await;
    let action_id = member.add_action("p1", freezer_action()).await;
    let job_id = member.add_job("p1", with(job("c1"), json!({"job_actions": uses(&action_id, 2)}))).await;
    let session_id = member.add_session("p1", json!({"description": "s", "schedule": {}})).await;
    let backup_id = member.add_backup("p1", crate::support::documents::backup("b")).await;
    let text = json!({"action": "backup", "x": "x".repeat(5_000_000)}).to_string();
    for (table, column) in [
        ("backups", "backup_metadata"),
        ("actions", "backup_metadata"),
        ("jobs", "schedule"),
        ("sessions", "schedule"),
    ] {
        app.database().run(&format!("UPDATE {table} SET {column} = '{text}'")).await;
    }
    for (path, patch) in [
        (format!("backups/{backup_id}"), json!({"note": "n"})),
        (format!("actions/{action_id}"), json!({"max_retries": 7})),
        (format!("jobs/{job_id}"), json!({"description": "n"})),
        (format!("sessions/{session_id}"), json!({"description": "n"})),
    ] {
        let path = format!("/v2/p1/{path}");
        let shown = member.get(&path).await.expect(200);
        assert!(shown.body.len() > text.len() - 100, "{path}: {}", shown.body.len());
        let grown = if path.contains("backups") { 413 } else { 200 };
        member.patch(&path, patch).await.expect(grown);
        let list = path.rsplit_once('/').unwrap().0;
        member.get(list).await.expect(200);
        // those who may use less
        let small = app.with_http(|http| (http.max_answers, http.max_document) = (1 << 20, 4_096)).member();
        let is_job = path.contains("jobs");
        let text = small.get(&path).await.expect(413).description();
        assert_eq!(text.contains("job_actions (PATCH)"), is_job, "{text}");
        assert!(text.contains("[api] max_answer_bytes") && text.contains("delete"), "{text}");
        let none = json!({"match": [{"_all": "a text that no document has"}]});
        for list_without in
            [small.get(list).await, small.search(list, find(&path)).await, small.search(list, none).await]
        {
            let found = list_without.expect(200).each(list.rsplit('/').next().unwrap(), "/project_id");
            assert_eq!(found, Vec::<String>::new(), "{path}");
        }
    }
    member.post(&format!("/v2/p1/jobs/{job_id}/event"), json!({"start": null})).await.expect(202);
    member.put(&format!("/v2/p1/sessions/{session_id}/jobs/{job_id}")).await.expect(204);
    member.delete(&format!("/v2/p1/sessions/{session_id}/jobs/{job_id}")).await.expect(204);
    let small = app.with_http(|http| (http.max_answers, http.max_document) = (1 << 20, 4_096)).member();
    for path in [
        format!("backups/{backup_id}"),
        format!("jobs/{job_id}"),
        format!("sessions/{session_id}"),
        format!("actions/{action_id}"),
    ] {
        let path = format!("/v2/p1/{path}");
        small.patch(&path, json!({"description": "m"})).await.expect(413);
        small.delete(&path).await.expect(204);
    }
}
