//! Repeated requests: with an `Idempotency-Key`, and reports of the same backup.

use std::collections::BTreeSet;

use freezer_api::app::HttpSettings;
use freezer_store::maintenance::Purge;
use freezer_store::{ConnectSettings, PoolSettings, Store, Timestamp};
use http::Method;
use serde_json::{Value, json};

use crate::support::documents::{freezer_action, job, with};
use crate::support::{Answer, Caller, TestApp, on_both_engines};

on_both_engines![
    every_post_runs_once_per_key,
    a_key_belongs_to_one_request_of_one_caller,
    a_rejected_request_releases_its_key,
    concurrent_refused_requests_get_their_own_answers,
    keys_are_checked,
    the_policy_is_asked_before_an_answer_is_given_again,
    an_empty_query_does_not_make_another_request,
    only_one_of_concurrent_requests_with_the_same_key_runs,
    a_key_is_shared_by_processes_and_released_by_a_killed_one,
    keys_expire_and_are_purged,
    without_its_table_a_key_has_no_effect,
    a_key_needs_one_more_statement_if_a_document_is_created,
    an_existing_document_is_answered_if_its_answer_was_lost,
    a_backup_that_is_reported_again_is_not_stored_again,
    numbers_and_their_texts_are_the_same_backup,
    different_backups_are_stored,
    a_repetition_is_recognized_for_minutes_and_not_after_a_deletion,
    concurrent_reports_of_one_backup_store_one,
    repeated_backups_can_be_stored,
    a_new_backup_is_one_statement_whatever_is_stored,
];

pub(crate) async fn keyed(caller: &Caller, path: &str, key: &str, body: &Value) -> Answer {
    caller.raw(Method::POST, path, &[("idempotency-key", key)], body.to_string()).await
}

/// Returns whether an answer is a stored one.
pub(crate) fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

/// Returns the same service in another process: with its own store and other ids.
pub(crate) fn another(app: &TestApp) -> TestApp {
    let store = Store::new(app.database().url(), ConnectSettings::default(), PoolSettings::default());
    let other = recognizing(&TestApp::on(app.database(), store));
    for _ in 0..10_000 {
        other.app().ids.document();
    }
    other
}

/// Returns the service with its default setting: it recognizes repeated reports of a backup.
fn recognizing(app: &TestApp) -> TestApp {
    app.with_http(|http| http.repeat_window = HttpSettings::default().repeat_window)
}

fn backup() -> Value {
    json!({"backup_name": "etc", "container": "/var/backups", "hostname": "node-1", "time_stamp": 1_795_000_000,
           "curr_backup_level": 0, "job_id": "j1"})
}

async fn every_post_runs_once_per_key(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let session =
        member.post("/v2/p1/sessions", json!({"schedule": {}, "hold_off": 30})).await.text("session_id");
    let job_id = member.add_job("p1", job("node-1")).await;
    member.put(&format!("/v2/p1/sessions/{session}/jobs/{job_id}")).await.expect(204);
    let action = json!({"freezer_action": freezer_action()});
    let start = json!({"start": {"job_id": job_id, "current_tag": 0}});
    let posts = [
        ("/v2/p1/clients".to_owned(), json!({"client_id": "node-2"})),
        ("/v2/p1/actions".to_owned(), action.clone()),
        ("/v2/p1/jobs".to_owned(), job("node-1")),
        ("/v2/p1/sessions".to_owned(), json!({"schedule": {}})),
        ("/v2/p1/backups".to_owned(), json!({"backup_name": "b", "container": "c", "hostname": "node-1"})),
        (format!("/v2/p1/sessions/{session}/action"), start),
        (format!("/v2/p1/jobs/{job_id}/event"), json!({"start": null})),
        (format!("/v2/p1/jobs/{job_id}"), with(job("node-1"), json!({"description": "replaced"}))),
        (
            format!("/v2/p1/sessions/{session}"),
            json!({"schedule": {}, "session_tag": 1, "description": "replaced"}),
        ),
    ];
    for (at, (path, body)) in posts.iter().enumerate() {
        let key = format!("key-{at}");
        let first = keyed(&member, path, &key, body).await;
        assert!(first.status.is_success() && !is_replayed(&first), "{path}: {first}");
        for _ in 0..2 {
            let again = keyed(&member, path, &key, body).await;
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
            assert_eq!(again.header("content-type"), first.header("content-type"), "{path}");
            assert!(is_replayed(&again), "{path}: {again}");
        }
    }
    for (list, expected) in [("clients", 2), ("actions", 3), ("jobs", 2), ("sessions", 2), ("backups", 1)] {
        let found = member.get(&format!("/v2/p1/{list}?limit=100")).await.expect(200).json();
        assert!(found[list].as_array().unwrap().len() >= expected, "{list}: {found}");
        if list != "actions" {
            assert_eq!(found[list].as_array().unwrap().len(), expected, "{list}: {found}");
        }
    }
}

async fn a_key_belongs_to_one_request_of_one_caller(app: TestApp) {
    let member = app.member();
    let session = json!({"schedule": {}, "description": "one"});
    let first = keyed(&member, "/v2/p1/sessions", "k", &session).await.expect(201);
    for (path, body) in [
        ("/v2/p1/sessions", json!({"schedule": {}, "description": "two"})),
        ("/v2/p1/sessions?x=1", session.clone()),
        ("/v2/p1/clients", session.clone()),
    ] {
        let other = keyed(&member, path, "k", &body).await.expect(422);
        assert!(other.description().starts_with("Idempotency-Key: "), "{other}");
    }
    // Other callers may use the same key.
    for caller in [app.as_user("u2", "p1", "member"), app.as_user("u1", "p2", "member")] {
        let project = if caller.get("/v2/p1/sessions").await.status == 200 { "p1" } else { "p2" };
        let own = keyed(&caller, &format!("/v2/{project}/sessions"), "k", &session).await.expect(201);
        assert!(!is_replayed(&own) && own.text("session_id") != first.text("session_id"), "{own}");
    }
    // For other methods, the key has no meaning.
    let path = format!("/v2/p1/sessions/{}", first.text("session_id"));
    for _ in 0..2 {
        let patch = json!({"description": "patched"}).to_string();
        member.raw(Method::PATCH, &path, &[("idempotency-key", "k")], patch).await.expect(200);
    }
}

async fn a_rejected_request_releases_its_key(app: TestApp) {
    let member = app.member();
    keyed(&member, "/v2/p1/jobs", "k", &job("node-1")).await.expect(422);
    keyed(&member, "/v2/p1/jobs", "k", &json!({"job_actions": 7})).await.expect(400);
    keyed(&member, "/v2/p1/nothing", "k", &json!({})).await.expect(404);
    keyed(&app.as_user("u1", "p1", "reader"), "/v2/p1/jobs", "k", &job("node-1")).await.expect(403);
    member.add_client("p1", "node-1").await;
    let made = keyed(&member, "/v2/p1/jobs", "k", &job("node-1")).await.expect(201);
    assert!(!is_replayed(&made));
    let again = keyed(&member, "/v2/p1/jobs", "k", &job("node-1")).await.expect(201);
    assert_eq!(again.text("job_id"), made.text("job_id"));
}

async fn concurrent_refused_requests_get_their_own_answers(app: TestApp) {
    let other = another(&app);
    app.member().add_client("p1", "node-1").await;
    for (body, status) in [(json!({"job_actions": 7}), 400), (job("unknown"), 422)] {
        let ask = |app: TestApp| {
            let body = body.clone();
            tokio::spawn(async move { keyed(&app.member(), "/v2/p1/jobs", "k", &body).await })
        };
        let began = std::time::Instant::now();
        let asked: Vec<_> =
            (0..40).map(|at| ask(if at % 2 == 0 { app.clone() } else { other.clone() })).collect();
        for answer in asked {
            let answer = answer.await.unwrap().expect(status);
            assert!(!is_replayed(&answer));
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(15), "{:?}", began.elapsed());
    }
    keyed(&app.member(), "/v2/p1/jobs", "k", &job("node-1")).await.expect(201);
}

async fn keys_are_checked(app: TestApp) {
    let member = app.member();
    let longest = "k".repeat(255);
    keyed(&member, "/v2/p1/sessions", &longest, &json!({"schedule": {}})).await.expect(201);
    let all_kinds = "!\"#$%&'()*+,-./0:;<=>?@A[\\]^_`a{|}~";
    keyed(&member, "/v2/p1/sessions", all_kinds, &json!({"schedule": {}})).await.expect(201);
    for key in
        ["", " ", &"k".repeat(256), "a b", "\"a b\"", "a\tb", "a, b", "key\u{e4}", "\u{1f4be}", "a\u{a0}b"]
    {
        let refused = keyed(&member, "/v2/p1/sessions", key, &json!({"schedule": {}})).await.expect(400);
        assert!(refused.description().starts_with("Idempotency-Key: "), "{refused}");
    }
    let two = [("idempotency-key", "a"), ("idempotency-key", "b")];
    member.raw(Method::POST, "/v2/p1/sessions", &two, json!({"schedule": {}}).to_string()).await.expect(400);
}

async fn the_policy_is_asked_before_an_answer_is_given_again(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let job_id = member.add_job("p1", job("node-1")).await;
    for (path, body) in [
        ("/v2/p1/sessions".to_owned(), json!({"schedule": {}})),
        ("/v2/p1/backups".to_owned(), backup()),
        ("/v2/p1/clients".to_owned(), json!({"client_id": "node-2"})),
        ("/v2/p1/jobs".to_owned(), job("node-1")),
        (format!("/v2/p1/jobs/{job_id}"), job("node-1")),
        (format!("/v2/p1/jobs/{job_id}/event"), json!({"start": null})),
    ] {
        let first = keyed(&member, &path, &path, &body).await;
        assert!(first.status.is_success(), "{path}: {first}");
        // This is the same user without the role.
        for role in ["reader", "", "other"] {
            let refused = keyed(&app.as_user("u1", "p1", role), &path, &path, &body).await.expect(403);
            assert!(!is_replayed(&refused), "{path}: {refused}");
            // The answer does not reveal whether the key was used.
            let new = keyed(&app.as_user("u1", "p1", role), &path, "new", &body).await.expect(403);
            assert_eq!(new.body, refused.body, "{path}");
        }
        assert!(is_replayed(&keyed(&member, &path, &path, &body).await), "{path}");
    }
    // Other methods and paths are answered as without a key.
    keyed(&member, "/v2/p1/nothing", "k", &json!({})).await.expect(404);
    keyed(&member, "/v2", "k", &json!({})).await.expect(405);
    keyed(&member, "/v2/p1/backups/b", "k", &json!({})).await.expect(405);
    // The rule for central clients depends on the body.
    let central = json!({"client_id": "central", "is_central": true});
    let admin = app.admin();
    keyed(&admin, "/v2/p1/clients", "central", &central).await.expect(201);
    assert!(is_replayed(&keyed(&admin, "/v2/p1/clients", "central", &central).await));
    let without_role = app.as_user("admin", "p1", "member");
    keyed(&without_role, "/v2/p1/clients", "central", &central).await.expect(403);
    keyed(&without_role, "/v2/p1/clients", "plain", &json!({"client_id": "plain"})).await.expect(201);
}

async fn an_empty_query_does_not_make_another_request(app: TestApp) {
    let member = app.member();
    let body = json!({"schedule": {}});
    let first = keyed(&member, "/v2/p1/sessions", "k", &body).await.expect(201);
    for path in ["/v2/p1/sessions?", "/v2/p1/sessions/", "/v2/p1/sessions/?", "//v2/p1/sessions?"] {
        let again = keyed(&member, path, "k", &body).await.expect(201);
        assert!(is_replayed(&again) && again.body == first.body, "{path}: {again}");
    }
    keyed(&member, "/v2/p1/sessions?x", "k", &body).await.expect(422);
}

async fn only_one_of_concurrent_requests_with_the_same_key_runs(app: TestApp) {
    let other = another(&app);
    let body = json!({"schedule": {}});
    let ask = |app: TestApp| {
        let body = body.clone();
        tokio::spawn(async move { keyed(&app.member(), "/v2/p1/sessions", "k", &body).await })
    };
    let asked: Vec<_> =
        (0..20).map(|at| ask(if at % 2 == 0 { app.clone() } else { other.clone() })).collect();
    let mut ids = BTreeSet::new();
    for answer in asked {
        let answer = answer.await.unwrap();
        match answer.status.as_u16() {
            201 => drop(ids.insert(answer.text("session_id"))),
            409 => assert!(answer.header("retry-after").is_some(), "{answer}"),
            _ => panic!("{answer}"),
        }
    }
    assert_eq!(ids.len(), 1);
    let all = app.member().get("/v2/p1/sessions").await.expect(200);
    assert_eq!(all.each("sessions", "/session_id").len(), 1);
}

async fn a_key_is_shared_by_processes_and_released_by_a_killed_one(app: TestApp) {
    let other = another(&app);
    let body = json!({"schedule": {}});
    let first = keyed(&app.member(), "/v2/p1/sessions", "k", &body).await.expect(201);
    let again = keyed(&other.member(), "/v2/p1/sessions", "k", &body).await.expect(201);
    assert!(is_replayed(&again) && again.body == first.body);
    // The process was killed while it handled the request.
    app.database()
        .run("UPDATE freezer_idempotency SET status = NULL, answer = NULL, document = NULL, attempt = 'gone'")
        .await;
    let under_way = keyed(&app.member(), "/v2/p1/sessions", "k", &body).await.expect(409);
    assert!(under_way.header("retry-after").is_some());
    app.advance(121);
    let taken = keyed(&app.member(), "/v2/p1/sessions", "k", &body).await.expect(201);
    assert!(!is_replayed(&taken));
    assert!(is_replayed(&keyed(&app.member(), "/v2/p1/sessions", "k", &body).await.expect(201)));
}

async fn keys_expire_and_are_purged(app: TestApp) {
    let member = app.member();
    let body = json!({"schedule": {}});
    let first = keyed(&member, "/v2/p1/sessions", "k1", &body).await.expect(201);
    app.advance(86_399);
    keyed(&member, "/v2/p1/sessions", "k2", &body).await.expect(201);
    assert!(is_replayed(&keyed(&member, "/v2/p1/sessions", "k1", &body).await.expect(201)));
    app.advance(2);
    let purge = |now: i64, dry_run| Purge {
        before: Timestamp(0),
        now: Timestamp(now),
        tables: Vec::new(),
        batch: 1,
        pause: std::time::Duration::ZERO,
        dry_run,
    };
    for (dry_run, expected) in [(true, 1), (false, 1), (false, 0)] {
        let purged = app.store().purge(&purge(app.now(), dry_run), |_| {}).await.unwrap();
        let keys = purged.iter().find(|done| done.table == "freezer_idempotency").unwrap();
        assert_eq!(keys.removed, expected, "{purged:?}");
    }
    assert!(is_replayed(&keyed(&member, "/v2/p1/sessions", "k2", &body).await.expect(201)));
    // Even without a purge, a key can be used again after one day.
    app.advance(86_400);
    let later = keyed(&member, "/v2/p1/sessions", "k2", &json!({"schedule": {}, "description": "x"}))
        .await
        .expect(201);
    assert!(!is_replayed(&later) && later.text("session_id") != first.text("session_id"));
}

async fn without_its_table_a_key_has_no_effect(app: TestApp) {
    app.database().run("DROP TABLE freezer_idempotency").await;
    let ids: BTreeSet<String> = [
        keyed(&app.member(), "/v2/p1/sessions", "k", &json!({"schedule": {}}))
            .await
            .expect(201)
            .text("session_id"),
        keyed(&app.member(), "/v2/p1/sessions", "k", &json!({"schedule": {}}))
            .await
            .expect(201)
            .text("session_id"),
    ]
    .into();
    assert_eq!(ids.len(), 2);
}

async fn a_key_needs_one_more_statement_if_a_document_is_created(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let session = |at: u32| json!({"schedule": {}, "description": at.to_string()});
    let posts = [
        ("/v2/p1/sessions", session(1)),
        ("/v2/p1/backups", json!({"backup_name": "b", "container": "c", "hostname": "node-1"})),
        ("/v2/p1/jobs", job("node-1")),
        ("/v2/p1/actions", json!({"freezer_action": freezer_action()})),
    ];
    let count = async |path: &str, key: Option<&str>, body: &Value| {
        let before = app.store().statements();
        match key {
            Some(key) => keyed(&member, path, key, body).await.expect(201),
            None => member.post(path, body.clone()).await.expect(201),
        };
        app.store().statements() - before
    };
    for (path, body) in &posts {
        // The first requests query the layout of the tables.
        count(path, Some(&format!("warm-{path}")), body).await;
        let plain = count(path, None, body).await;
        assert_eq!(count(path, Some(path), body).await, plain + 1, "{path}");
        assert_eq!(count(path, Some(path), body).await, 3, "{path}: again");
    }
}

async fn an_existing_document_is_answered_if_its_answer_was_lost(app: TestApp) {
    let member = app.member();
    let body = json!({"schedule": {}});
    let first = keyed(&member, "/v2/p1/sessions", "k", &body).await.expect(201);
    // The document was deleted later, and the process was killed before it answered.
    member.delete(&format!("/v2/p1/sessions/{}", first.text("session_id"))).await.expect(204);
    app.database().run("UPDATE freezer_idempotency SET attempt = 'gone'").await;
    app.advance(500);
    let again = keyed(&member, "/v2/p1/sessions", "k", &body).await.expect(201);
    assert!(is_replayed(&again) && again.body == first.body, "{again}");
    // This document never existed.
    app.database().run("UPDATE freezer_idempotency SET document = 'session nothing'").await;
    let made = keyed(&member, "/v2/p1/sessions", "k", &body).await.expect(201);
    assert!(!is_replayed(&made) && made.body != first.body, "{made}");
}

async fn a_backup_that_is_reported_again_is_not_stored_again(app: TestApp) {
    let app = recognizing(&app);
    let (member, other) = (app.member(), another(&app));
    let first = member.post("/v2/p1/backups", backup()).await.expect(201);
    // Keys that do not identify the backup may differ.
    let again = with(backup(), json!({"status": "error", "end_time_stamp": 1_795_000_100, "tenant_id": "t"}));
    for caller in [&member, &other.member()] {
        for body in [backup(), again.clone()] {
            let answer = caller.post("/v2/p1/backups", body).await.expect(201);
            assert_eq!(answer.body, first.body);
        }
    }
    let all = member.get("/v2/p1/backups").await.expect(200);
    assert_eq!(all.each("backups", "/backup_id"), [first.text("backup_id")]);
    // If the stored backup is changed, it is still the same one.
    let path = format!("/v2/p1/backups/{}", first.text("backup_id"));
    member.patch(&path, json!({"status": "restoring"})).await.expect(200);
    assert_eq!(member.post("/v2/p1/backups", backup()).await.expect(201).body, first.body);
    // This is not the case if an identifying key is changed.
    let changed = json!({"backup_metadata": {"time_stamp": 1_795_000_777}});
    member.patch(&path, changed).await.expect(200);
    assert_ne!(member.post("/v2/p1/backups", backup()).await.expect(201).body, first.body);
}

async fn numbers_and_their_texts_are_the_same_backup(app: TestApp) {
    let app = recognizing(&app);
    let member = app.member();
    let first = member.post("/v2/p1/backups", backup()).await.expect(201);
    let stamps = ["1795000000", "1795000000.0", "\"1795000000\"", "1.795e9", "\"1795000000.0\""];
    for (stamp, level) in stamps.iter().zip(["\"0\"", "0.0", "0", "-0", "\"0\""]) {
        let mut again = backup();
        again["time_stamp"] = serde_json::from_str(stamp).unwrap();
        again["curr_backup_level"] = serde_json::from_str(level).unwrap();
        let answer = member.post("/v2/p1/backups", again).await.expect(201);
        assert_eq!(answer.body, first.body, "{stamp} {level}");
    }
    // a PATCH with the other form does not make it another one
    let path = format!("/v2/p1/backups/{}", first.text("backup_id"));
    member.patch(&path, json!({"curr_backup_level": "0"})).await.expect(200);
    assert_eq!(member.post("/v2/p1/backups", backup()).await.expect(201).body, first.body);
}

async fn different_backups_are_stored(app: TestApp) {
    let app = recognizing(&app);
    let member = app.member();
    let mut ids = vec![member.post("/v2/p1/backups", backup()).await.expect(201).text("backup_id")];
    for (key, value) in [
        ("hostname", json!("node-2")),
        ("backup_name", json!("etc2")),
        ("container", json!("/var")),
        ("time_stamp", json!(1_795_000_001)),
        ("curr_backup_level", json!(1)),
        ("job_id", json!("j2")),
    ] {
        let other = with(backup(), json!({key: value}));
        ids.push(member.post("/v2/p1/backups", other).await.expect(201).text("backup_id"));
    }
    for (user, project) in [("u2", "p1"), ("u1", "p2")] {
        let caller = app.as_user(user, project, "member");
        ids.push(
            caller.post(&format!("/v2/{project}/backups"), backup()).await.expect(201).text("backup_id"),
        );
    }
    // Without a time stamp, two backups of a series cannot be distinguished.
    for stamp in [Value::Null, json!({"removed": true})] {
        let mut bare = backup();
        match stamp {
            Value::Null => bare["time_stamp"] = Value::Null,
            _ => drop(bare.as_object_mut().unwrap().remove("time_stamp")),
        }
        for _ in 0..2 {
            ids.push(member.post("/v2/p1/backups", bare.clone()).await.expect(201).text("backup_id"));
        }
    }
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

async fn a_repetition_is_recognized_for_minutes_and_not_after_a_deletion(app: TestApp) {
    let app = recognizing(&app);
    let member = app.member();
    let post = async || member.post("/v2/p1/backups", backup()).await.expect(201).text("backup_id");
    let first = post().await;
    app.advance(600);
    assert_eq!(post().await, first);
    app.advance(1);
    let second = post().await;
    assert_ne!(second, first);
    assert_eq!(post().await, second);
    member.delete(&format!("/v2/p1/backups/{second}")).await.expect(204);
    let third = post().await;
    assert!(third != second && third != first);
    assert_eq!(post().await, third);
    // Both remaining backups are unchanged.
    for id in [first, third] {
        member.get(&format!("/v2/p1/backups/{id}")).await.expect(200);
    }
}

async fn concurrent_reports_of_one_backup_store_one(app: TestApp) {
    let app = recognizing(&app);
    let other = another(&app);
    let report = |app: TestApp, number: usize| {
        let body = with(backup(), json!({"time_stamp": 1_795_000_000 + number % 3}));
        tokio::spawn(
            async move { app.member().post("/v2/p1/backups", body).await.expect(201).text("backup_id") },
        )
    };
    let reports: Vec<_> = (0..60)
        .map(|number| report(if number % 2 == 0 { app.clone() } else { other.clone() }, number))
        .collect();
    let mut ids = BTreeSet::new();
    for report in reports {
        ids.insert(report.await.unwrap());
    }
    assert_eq!(ids.len(), 3, "{ids:?}");
    let all = app.member().get("/v2/p1/backups?limit=100").await.expect(200);
    assert_eq!(all.each("backups", "/backup_id").into_iter().collect::<BTreeSet<_>>(), ids);
}

async fn repeated_backups_can_be_stored(app: TestApp) {
    let app = app.with_http(|http| http.repeat_window = None);
    let post = async || app.member().post("/v2/p1/backups", backup()).await.expect(201).text("backup_id");
    assert_ne!(post().await, post().await);
}

async fn a_new_backup_is_one_statement_whatever_is_stored(app: TestApp) {
    let app = recognizing(&app);
    let member = app.member();
    for stamp in 0..30 {
        let body = with(backup(), json!({"time_stamp": stamp}));
        let before = app.store().statements();
        member.post("/v2/p1/backups", body).await.expect(201);
        let statements = app.store().statements() - before;
        // The first request queries the layout of the tables.
        assert!(statements == 1 || stamp == 0, "{statements}");
    }
}
