//! Searches: lists with a JSON body in the GET request.

use serde_json::{Value, json};

use crate::support::documents::{backup, freezer_action, job, with};
use crate::support::{TestApp, on_both_engines};

on_both_engines![
    every_pair_of_match_must_occur,
    pairs_of_match_not_must_not_occur,
    the_poll_of_a_scheduler,
    a_search_matches_a_key_at_every_level,
    identities_are_only_searched_at_the_top_level,
    values_are_compared_exactly,
    a_text_is_found_in_every_value,
    all_accepts_a_list_of_pairs,
    times_bound_backups,
    invalid_searches_are_400,
    pages_of_a_search,
    a_search_continues_after_its_first_batch,
    every_list_can_be_searched,
];

/// Stores the jobs a, b and c, each with a different word.
async fn three_jobs(app: &TestApp) {
    let member = app.member();
    for (id, status, container) in
        [("a", "completed", "one"), ("b", "scheduled", "two"), ("c", "running", "two")]
    {
        member.add_client("p1", &format!("node-{id}")).await;
        let action =
            with(freezer_action(), json!({"container": container, "nested": {"list": [{"deep": id}]}}));
        let document = json!({
            "job_id": id, "description": format!("Job {id}"), "job_schedule": {"status": status},
            "job_actions": [{"freezer_action": action}],
        });
        member.add_job("p1", with(job(&format!("node-{id}")), document)).await;
    }
}

async fn jobs_found(app: &TestApp, search: Value) -> Vec<String> {
    app.member().search("/v2/p1/jobs", search).await.expect(200).each("jobs", "/job_id")
}

async fn every_pair_of_match_must_occur(app: TestApp) {
    three_jobs(&app).await;
    for (search, expected) in [
        (json!({}), vec!["a", "b", "c"]),
        (json!({"match": []}), vec!["a", "b", "c"]),
        (json!({"match": [{"container": "two"}]}), vec!["b", "c"]),
        (json!({"match": [{"container": "two"}, {"status": "running"}]}), vec!["c"]),
        (json!({"match": [{"container": "two", "status": "scheduled"}]}), vec!["b"]),
        (json!({"match": [{"container": "one"}, {"status": "running"}]}), vec![]),
        (json!({"match": [{"job_id": "a"}, {"job_id": "b"}]}), vec![]),
        (json!({"match": [{"job_id": "a"}, {"job_id": "a"}]}), vec!["a"]),
        (json!({"match": [{"no_such_key": "x"}]}), vec![]),
    ] {
        assert_eq!(jobs_found(&app, search.clone()).await, expected, "{search}");
    }
}

async fn pairs_of_match_not_must_not_occur(app: TestApp) {
    three_jobs(&app).await;
    for (search, expected) in [
        (json!({"match_not": []}), vec!["a", "b", "c"]),
        (json!({"match_not": [{"status": "completed"}]}), vec!["b", "c"]),
        (json!({"match_not": [{"status": "completed"}, {"status": "running"}]}), vec!["b"]),
        (json!({"match_not": [{"no_such_key": "x"}]}), vec!["a", "b", "c"]),
        (json!({"match_not": [{"client_id": "node-a"}, {"client_id": "node-b"}]}), vec!["c"]),
        (json!({"match": [{"container": "two"}], "match_not": [{"status": "running"}]}), vec!["b"]),
    ] {
        assert_eq!(jobs_found(&app, search.clone()).await, expected, "{search}");
    }
}

async fn the_poll_of_a_scheduler(app: TestApp) {
    three_jobs(&app).await;
    let body = json!({"match_not": [{"status": "completed"}], "match": [{"client_id": "node-b"}]});
    let poll = app.member().search("/v2/p1/jobs/?limit=10&offset=0&all_projects=False", body).await;
    app.show(poll.expect(200));
    let body = json!({"match_not": [{"status": "completed"}], "match": [{"client_id": "node-a"}]});
    app.show(
        app.member().search("/v2/p1/jobs/?limit=10&offset=0&all_projects=False", body).await.expect(200),
    );
}

async fn a_search_matches_a_key_at_every_level(app: TestApp) {
    three_jobs(&app).await;
    for (key, value, expected) in [
        ("deep", json!("b"), vec!["b"]),
        ("mode", json!("fs"), vec!["a", "b", "c"]),
        ("list", json!([{"deep": "c"}]), vec!["c"]),
        ("nested", json!({"list": [{"deep": "a"}]}), vec!["a"]),
        ("time_started", json!(-1), vec!["a", "b", "c"]),
    ] {
        assert_eq!(jobs_found(&app, json!({"match": [{key: value}]})).await, expected, "{key}");
    }
}

async fn identities_are_only_searched_at_the_top_level(app: TestApp) {
    let member = app.member();
    three_jobs(&app).await;
    // The action of this job on node-a contains node-b. The job must not run on node-b.
    let decoy = with(freezer_action(), json!({"client_id": "node-b", "job_id": "b", "project_id": "p9"}));
    let document = json!({"job_id": "decoy", "job_actions": [{"freezer_action": decoy}]});
    member.add_job("p1", with(job("node-a"), document)).await;
    for (search, expected) in [
        (json!({"match": [{"client_id": "node-b"}]}), vec!["b"]),
        (json!({"match": [{"client_id": "node-a"}]}), vec!["a", "decoy"]),
        (json!({"match": [{"job_id": "b"}]}), vec!["b"]),
        (json!({"match": [{"project_id": "p9"}]}), vec![]),
        (json!({"match_not": [{"client_id": "node-b"}]}), vec!["a", "c", "decoy"]),
    ] {
        assert_eq!(jobs_found(&app, search.clone()).await, expected, "{search}");
    }
}

async fn values_are_compared_exactly(app: TestApp) {
    let member = app.member();
    for (name, size) in
        [("one", json!(1)), ("text", json!("1")), ("float", json!(1.0)), ("truth", json!(true))]
    {
        member.add_backup("p1", with(backup(name), json!({"size": size}))).await;
    }
    let found = async |search: Value| {
        let answer = app.member().search("/v2/p1/backups", search).await.expect(200);
        let mut names = answer.each("backups", "/backup_metadata/backup_name");
        names.sort();
        names
    };
    assert_eq!(found(json!({"match": [{"size": "1"}]})).await, ["text"]);
    assert_eq!(found(json!({"match": [{"size": 1}]})).await, ["float", "one", "truth"]);
    assert!(found(json!({"match": [{"backup_name": "ONE"}]})).await.is_empty(), "case counts");
    assert!(found(json!({"match": [{"backup_name": "one "}]})).await.is_empty(), "spaces count");
    assert!(found(json!({"match": [{"project_id": "P1"}]})).await.is_empty(), "case counts in ids too");
}

async fn a_text_is_found_in_every_value(app: TestApp) {
    three_jobs(&app).await;
    let member = app.member();
    member.patch("/v2/p1/jobs/b", json!({"description": "Nächtlich, 🌙"})).await.expect(200);
    for (text, expected) in [
        ("JOB A", vec!["a"]),
        ("nächt", vec!["b"]),
        ("NÄCHT", vec!["b"]),
        ("🌙", vec!["b"]),
        ("two", vec!["b", "c"]),
        ("node-", vec!["a", "b", "c"]),
        ("container", vec![]),
        ("", vec!["a", "b", "c"]),
        ("%", vec![]),
        ("[", vec![]),
    ] {
        assert_eq!(jobs_found(&app, json!({"match": [{"_all": text}]})).await, expected, "{text}");
    }
    assert_eq!(jobs_found(&app, json!({"match": [{"_all": "two"}, {"status": "running"}]})).await, ["c"]);
    assert_eq!(jobs_found(&app, json!({"match_not": [{"_all": "two"}]})).await, ["a"]);
}

async fn all_accepts_a_list_of_pairs(app: TestApp) {
    three_jobs(&app).await;
    for (text, expected) in [
        (r#"[{"container": "two"}]"#, vec!["b", "c"]),
        (r#"[{"container": "two"}, {"status": "running"}]"#, vec!["c"]),
        ("[]", vec!["a", "b", "c"]),
    ] {
        assert_eq!(jobs_found(&app, json!({"match": [{"_all": text}]})).await, expected, "{text}");
    }
}

async fn times_bound_backups(app: TestApp) {
    let member = app.member();
    for stamp in [json!(100), json!(200), json!("300"), json!(null)] {
        let name = format!("at-{stamp}").replace('"', "");
        member.add_backup("p1", with(backup(&name), json!({"time_stamp": stamp}))).await;
    }
    for (search, expected) in [
        (json!({"time_after": 200}), vec!["at-200", "at-300"]),
        (json!({"time_before": 200}), vec!["at-100", "at-200"]),
        (json!({"time_after": 150, "time_before": 250}), vec!["at-200"]),
        (json!({"time_after": "200"}), vec!["at-200", "at-300"]),
        (json!({"time_after": 200.5}), vec!["at-300"]),
        (json!({"time_after": 100, "match": [{"backup_name": "at-100"}]}), vec!["at-100"]),
        (json!({"time_after": 400}), vec![]),
    ] {
        let answer = member.search("/v2/p1/backups", search.clone()).await.expect(200);
        assert_eq!(answer.each("backups", "/backup_metadata/backup_name"), expected, "{search}");
    }
}

async fn invalid_searches_are_400(app: TestApp) {
    three_jobs(&app).await;
    let member = app.member();
    for search in [
        json!([]),
        json!(null),
        json!("client_id"),
        json!({"match": null}),
        json!({"match": {"client_id": "node-a"}}),
        json!({"match": "client_id"}),
        json!({"match": ["client_id"]}),
        json!({"match": [["client_id", "node-a"]]}),
        json!({"match_not": {"status": "completed"}}),
        json!({"match_not": [1]}),
        json!({"match": [{}]}),
        json!({"match": [{"client_id": "node-a"}, {}]}),
        json!({"match": [{"client_id": "node-a"}], "match_not": [{}]}),
        json!({"match": [{"_all": "[{}]"}]}),
        json!({"match": [{"_all": 5}]}),
        json!({"match": [{"_all": ["x"]}]}),
        json!({"matches": [{"client_id": "node-a"}]}),
        json!({"client_id": "node-a"}),
        json!({"time_after": 5}),
        json!({"time_before": 5}),
    ] {
        app.show(member.search("/v2/p1/jobs", search).await.expect(400));
    }
    app.remark("times of backups");
    for search in [json!({"time_after": "soon"}), json!({"time_before": null}), json!({"time_after": "NaN"})]
    {
        app.show(member.search("/v2/p1/backups", search).await.expect(400));
    }
    app.remark("not JSON");
    let broken = b"{\"match\": [{\"client_id\": \"node-a\"}".to_vec();
    app.show(member.raw(http::Method::GET, "/v2/p1/jobs", &[], broken).await.expect(400));
}

async fn pages_of_a_search(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for number in 0..25 {
        let status = if number % 2 == 0 { "running" } else { "completed" };
        let document = json!({"job_id": format!("job-{number:02}"), "job_schedule": {"status": status}});
        member.add_job("p1", with(job("node-1"), document)).await;
        app.advance(i64::from(number % 3 == 0));
    }
    let search = json!({"match_not": [{"status": "completed"}]});
    let mut seen = Vec::new();
    for offset in (0..20).step_by(5) {
        let path = format!("/v2/p1/jobs?limit=5&offset={offset}");
        let page = member.search(&path, search.clone()).await.expect(200).each("jobs", "/job_id");
        seen.extend(page);
    }
    let expected: Vec<String> = (0..25).step_by(2).map(|number| format!("job-{number:02}")).collect();
    assert_eq!(seen, expected);
}

async fn a_search_continues_after_its_first_batch(app: TestApp) {
    let member = app.member();
    // Rows are read in batches, and the first batch has 200 rows. It ends in the middle of a second.
    let mut stored = Vec::new();
    for number in 0..230 {
        stored.push(member.add_backup("p1", backup("etc")).await);
        app.advance(i64::from(number == 99));
    }
    let search = json!({"match": [{"backup_name": "etc"}]});
    let found = member.search("/v2/p1/backups?limit=1000", search.clone()).await.expect(200);
    assert_eq!(found.each("backups", "/backup_id"), stored);
    let found = member.search("/v2/p1/backups?limit=10&offset=195", search).await.expect(200);
    assert_eq!(found.each("backups", "/backup_id"), stored[195..205]);
    let nothing = json!({"match": [{"backup_name": "var"}]});
    assert_eq!(member.search("/v2/p1/backups", nothing).await.json(), json!({"backups": []}));
}

async fn every_list_can_be_searched(app: TestApp) {
    let member = app.member();
    for name in ["alpha", "beta"] {
        let client = json!({"client_id": name, "description": name});
        member.post("/v2/p1/clients", client).await.expect(201);
        member.add_action("p1", with(freezer_action(), json!({"backup_name": name}))).await;
        member.add_session("p1", json!({"schedule": {}, "description": name})).await;
        member.add_backup("p1", backup(name)).await;
        member.add_job("p1", json!({"client_id": name, "description": name, "job_actions": []})).await;
    }
    for (list, key) in [
        ("clients", "description"),
        ("actions", "backup_name"),
        ("sessions", "description"),
        ("backups", "backup_name"),
        ("jobs", "description"),
    ] {
        let path = format!("/v2/p1/{list}");
        for (search, count) in [
            (json!({"match": [{key: "beta"}]}), 1),
            (json!({"match_not": [{key: "beta"}]}), 1),
            (json!({"match": [{"_all": "ALPHA"}]}), 1),
            (json!({"match": [{"user_id": "u1"}]}), 2),
            (json!({"match": [{"user_id": "u2"}]}), 0),
        ] {
            let found = member.search(&path, search.clone()).await.expect(200).json();
            assert_eq!(found[list].as_array().unwrap().len(), count, "{list}: {search}");
        }
    }
}
