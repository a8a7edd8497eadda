//! Retries of requests with an `Idempotency-Key` whose first attempt has no answer: its outcome is unknown, because the database has
//! failed, or because the process was killed. The retry creates the document that the first attempt has planned, so there can never
//! be two of them. `failure/late_statements.rs` tests statements that arrive late.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::repeats::{another, is_replayed, keyed};
use crate::support::documents::{freezer_action, job, with};
use crate::support::{Answer, Caller, Engine, START, TestApp, on_both_engines};

on_both_engines![
    a_retry_after_a_failure_creates_the_planned_document,
    a_retry_by_another_process_creates_the_planned_document,
    a_retry_takes_over_from_a_killed_process,
    a_retry_finds_a_document_with_a_given_id_that_was_stored_late,
    a_refused_retry_keeps_the_plan,
    a_failed_request_that_creates_no_document_releases_its_key,
    a_plan_expires_after_a_day,
    a_request_that_waits_for_its_key_counts_as_waiting,
    a_body_that_waits_for_its_key_counts_as_waiting,
];

/// A request that creates a document, with its table.
struct Creation {
    path: &'static str,
    table: &'static str,
    id: &'static str,
    body: Value,
}

fn creations() -> Vec<Creation> {
    let two = json!([{"freezer_action": freezer_action()}, {"freezer_action": freezer_action()}]);
    [
        ("/v2/p1/sessions", "sessions", "session_id", json!({"schedule": {}})),
        ("/v2/p1/actions", "actions", "action_id", json!({"freezer_action": freezer_action()})),
        ("/v2/p1/jobs", "jobs", "job_id", with(job("node-1"), json!({"job_actions": two}))),
        (
            "/v2/p1/backups",
            "backups",
            "backup_id",
            json!({"backup_name": "b", "container": "c", "hostname": "node-1"}),
        ),
    ]
    .map(|(path, table, id, body)| Creation { path, table, id, body })
    .into()
}

/// Returns the service with a short time limit, for requests that fail.
fn hasty(app: &TestApp) -> TestApp {
    app.with_http(|http| http.request_timeout = Duration::from_secs(1))
}

/// Makes inserts into a table fail in a way that leaves their outcome open: on SQLite they never end, and on MariaDB it seems that
/// an operator kills them.
async fn break_table(app: &TestApp, table: &str) {
    let fails = match app.engine() {
        Engine::Sqlite => {
            "BEGIN SELECT COUNT(*) FROM \
             (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n); END"
        }
        _ => "FOR EACH ROW SIGNAL SQLSTATE '70100' SET MYSQL_ERRNO = 1317",
    };
    app.database().run(&format!("CREATE TRIGGER broken BEFORE INSERT ON {table} {fails}")).await;
}

async fn mend_table(app: &TestApp) {
    app.database().run("DROP TRIGGER broken").await;
}

/// Returns the id of the document that the only claim has planned.
async fn planned(app: &TestApp) -> String {
    let documents = app.database().texts("SELECT document FROM freezer_idempotency").await;
    assert_eq!(documents.len(), 1, "{documents:?}");
    documents[0].split_once(' ').unwrap().1.to_owned()
}

async fn forget_keys(app: &TestApp) {
    app.database().run("DELETE FROM freezer_idempotency").await;
}

async fn count(app: &TestApp, table: &str) -> i64 {
    app.database().number(&format!("SELECT COUNT(*) FROM {table}")).await
}

/// Asserts that another body with the same key is refused, and that it has not changed the claim.
async fn another_body_is_refused(caller: &Caller, path: &str, body: &Value) {
    let other = with(body.clone(), json!({"description": "other"}));
    let refused = keyed(caller, path, "k", &other).await.expect(422);
    assert!(refused.description().starts_with("Idempotency-Key: "), "{refused}");
}

/// Sends the retry, and checks that it creates the planned document, once.
async fn retry(app: &TestApp, caller: &Caller, Creation { path, table, id, body }: &Creation) -> Answer {
    let planned = planned(app).await;
    let before = count(app, table).await;
    let answer = keyed(caller, path, "k", body).await.expect(201);
    assert!(!is_replayed(&answer) && answer.text(id) == planned, "{path}: {answer} {planned}");
    for caller in [caller, &app.member()] {
        let again = keyed(caller, path, "k", body).await.expect(201);
        assert!(is_replayed(&again) && again.body == answer.body, "{path}: {again}");
    }
    assert_eq!(count(app, table).await, before + 1, "{path}");
    app.member().get(&format!("{path}/{planned}")).await.expect(200);
    answer
}

async fn a_retry_after_a_failure_creates_the_planned_document(app: TestApp) {
    let hasty = hasty(&app).member();
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for creation in creations() {
        let (path, body) = (creation.path, &creation.body);
        break_table(&app, creation.table).await;
        let actions = count(&app, "actions").await;
        let began = app.now();
        for _ in 0..2 {
            keyed(&hasty, path, "k", body).await.expect(503);
            app.advance(7);
        }
        let first = planned(&app).await;
        another_body_is_refused(&member, path, body).await;
        mend_table(&app).await;
        another_body_is_refused(&member, path, body).await;
        let answer = retry(&app, &hasty, &creation).await;
        assert_eq!(answer.text(creation.id), first, "{path}");
        let inline = if creation.table == "jobs" { 2 } else { i64::from(creation.table == "actions") };
        assert_eq!(count(&app, "actions").await, actions + inline, "{path}");
        if creation.table == "jobs" {
            let stored = member.job(&first).await;
            assert_eq!(stored["job_schedule"]["time_created"], began, "the time of the first attempt");
        }
        // another key creates another document
        let other = keyed(&member, path, "other", body).await.expect(201);
        assert_ne!(other.text(creation.id), first);
        forget_keys(&app).await;
    }
}

async fn a_retry_by_another_process_creates_the_planned_document(app: TestApp) {
    let (other, hasty) = (another(&app), hasty(&app).member());
    app.member().add_client("p1", "node-1").await;
    for creation in creations() {
        break_table(&app, creation.table).await;
        keyed(&hasty, creation.path, "k", &creation.body).await.expect(503);
        mend_table(&app).await;
        retry(&app, &other.member(), &creation).await;
        forget_keys(&app).await;
    }
}

async fn a_retry_takes_over_from_a_killed_process(app: TestApp) {
    let hasty = hasty(&app).member();
    let member = app.member();
    member.add_client("p1", "node-1").await;
    for creation in creations() {
        let (path, body, table) = (creation.path, &creation.body, creation.table);
        break_table(&app, table).await;
        keyed(&hasty, path, "k", body).await.expect(503);
        mend_table(&app).await;
        // the process has died in the middle of its attempt
        let attempt = format!("gone {}", app.now());
        app.database().run(&format!("UPDATE freezer_idempotency SET attempt = '{attempt}'")).await;
        let under_way = keyed(&member, path, "k", body).await.expect(409);
        assert!(under_way.header("retry-after").is_some());
        another_body_is_refused(&member, path, body).await;
        app.advance(121);
        another_body_is_refused(&member, path, body).await;
        retry(&app, &member, &creation).await;
        forget_keys(&app).await;
    }
    // A process that has taken over a claim and was killed has its own patience, from this time on.
    let sessions = &creations()[0];
    break_table(&app, "sessions").await;
    keyed(&hasty, sessions.path, "k", &sessions.body).await.expect(503);
    mend_table(&app).await;
    app.advance(500);
    let attempt = format!("gone {}", app.now());
    app.database().run(&format!("UPDATE freezer_idempotency SET attempt = '{attempt}'")).await;
    keyed(&member, sessions.path, "k", &sessions.body).await.expect(409);
    app.advance(121);
    retry(&app, &member, sessions).await;
}

async fn a_retry_finds_a_document_with_a_given_id_that_was_stored_late(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let action = json!({"action_id": "given", "freezer_action": freezer_action()});
    let given = with(job("node-1"), json!({"job_id": "given"}));
    for (path, table, word, id, body) in [
        ("/v2/p1/actions", "actions", "action", "action_id", action),
        ("/v2/p1/jobs", "jobs", "job", "job_id", given),
    ] {
        let first = keyed(&member, path, "k", &body).await.expect(201);
        assert_eq!(first.text(id), "given");
        let (stored, actions) = (count(&app, table).await, count(&app, "actions").await);
        // This attempt was stored, but its process has never known it. A job with a given id uses the planned one for its action.
        let ids = app.database().texts("SELECT id FROM actions WHERE id <> 'given'").await;
        let planned = ids.into_iter().next().unwrap_or_else(|| format!("{:032x}", 7));
        app.database()
            .run(&format!(
                "UPDATE freezer_idempotency SET attempt = 'free', status = 201, document = '{word} {planned}', \
                 answer = '{{\"{id}\":\"{planned}\"}}'"
            ))
            .await;
        app.advance(50);
        let again = keyed(&member, path, "k", &body).await.expect(201);
        assert!(!is_replayed(&again) && again.body == first.body, "{again}");
        let again = keyed(&member, path, "k", &body).await.expect(201);
        assert!(is_replayed(&again) && again.body == first.body, "{again}");
        // to another request, the id is in use
        keyed(&member, path, "other", &body).await.expect(409);
        member.post(path, body.clone()).await.expect(409);
        assert_eq!((count(&app, table).await, count(&app, "actions").await), (stored, actions));
        forget_keys(&app).await;
    }
}

async fn a_refused_retry_keeps_the_plan(app: TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let jobs = creations().remove(2);
    break_table(&app, "jobs").await;
    keyed(&hasty(&app).member(), jobs.path, "k", &jobs.body).await.expect(503);
    mend_table(&app).await;
    let first = planned(&app).await;
    member.delete("/v2/p1/clients/node-1").await.expect(204);
    // The first attempt may still be stored, so another request must not use the key.
    let refused = keyed(&member, jobs.path, "k", &jobs.body).await.expect(422);
    assert!(refused.description().starts_with("Client not found"), "{refused}");
    another_body_is_refused(&member, jobs.path, &jobs.body).await;
    assert_eq!(planned(&app).await, first);
    member.add_client("p1", "node-1").await;
    assert_eq!(retry(&app, &member, &jobs).await.text("job_id"), first);
}

async fn a_failed_request_that_creates_no_document_releases_its_key(app: TestApp) {
    let member = app.member();
    break_table(&app, "clients").await;
    keyed(&hasty(&app).member(), "/v2/p1/clients", "k", &json!({"client_id": "node-1"})).await.expect(503);
    mend_table(&app).await;
    for other in [&member, &another(&app).member()] {
        let again = keyed(other, "/v2/p1/clients", "k", &json!({"client_id": "node-2"})).await.expect(201);
        assert_eq!(again.text("client_id"), "node-2");
    }
}

async fn a_plan_expires_after_a_day(app: TestApp) {
    let hasty = hasty(&app).member();
    let member = app.member();
    let sessions = &creations()[0];
    break_table(&app, "sessions").await;
    keyed(&hasty, sessions.path, "k", &sessions.body).await.expect(503);
    mend_table(&app).await;
    let first = planned(&app).await;
    app.advance(86_399);
    another_body_is_refused(&member, sessions.path, &sessions.body).await;
    app.advance(1);
    let other = with(sessions.body.clone(), json!({"description": "other"}));
    let created = keyed(&member, sessions.path, "k", &other).await.expect(201);
    assert_ne!(created.text("session_id"), first);
    assert_eq!(app.now(), START + 86_400);
}

/// Makes a claim that another process is working on.
async fn claim_elsewhere(app: &TestApp, path: &str, body: &Value) {
    keyed(&app.member(), path, "k", body).await.expect(201);
    let gone =
        "UPDATE freezer_idempotency SET status = NULL, answer = NULL, document = NULL, attempt = 'gone'";
    app.database().run(gone).await;
}

/// Checks that a request is refused at once for lack of room.
async fn refused(ask: impl AsyncFnOnce() -> Answer) {
    let began = Instant::now();
    let answer = ask().await.expect(503);
    assert_eq!(answer.header("retry-after"), Some("5"), "{answer}");
    assert!(answer.description().contains("Too many requests"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

async fn a_request_that_waits_for_its_key_counts_as_waiting(app: TestApp) {
    let body = json!({"schedule": {}});
    claim_elsewhere(&app, "/v2/p1/sessions", &body).await;
    let app = app.with_http(|http| http.waiting.requests = 2);
    let member = app.member();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let (member, body) = (member.clone(), body.clone());
            tokio::spawn(async move { keyed(&member, "/v2/p1/sessions", "k", &body).await })
        })
        .collect();
    // they wait for about three seconds
    tokio::time::sleep(Duration::from_millis(500)).await;
    refused(async || member.get("/v2/p1/sessions/none").await).await;
    // Requests with the same key, and with another one, are refused at once and do not claim their key.
    for key in ["k", "other"] {
        refused(async || keyed(&member, "/v2/p1/sessions", key, &body).await).await;
    }
    assert_eq!(count(&app, "freezer_idempotency").await, 1);
    // Those of other callers count, too.
    let other = app.as_user("u2", "p2", "member");
    refused(async || keyed(&other, "/v2/p2/sessions", "x", &body).await).await;
    for waiting in waiting {
        waiting.await.unwrap().expect(409);
    }
    member.get("/v2/p1/sessions").await.expect(200);
    // A request counts once, although it claims its key and then creates its document.
    let app = app.with_http(|http| http.waiting.requests = 1);
    keyed(&app.member(), "/v2/p1/sessions", "other", &body).await.expect(201);
}

async fn a_body_that_waits_for_its_key_counts_as_waiting(app: TestApp) {
    let body =
        json!({"backup_name": "b", "container": "c", "hostname": "node-1", "text": "x".repeat(60_000)});
    claim_elsewhere(&app, "/v2/p1/backups", &body).await;
    let app = app.with_http(|http| http.waiting.bytes = 70_000);
    let member = app.member();
    let waiting = {
        let (member, body) = (member.clone(), body.clone());
        tokio::spawn(async move { keyed(&member, "/v2/p1/backups", "k", &body).await })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    refused(async || member.post("/v2/p1/backups", body.clone()).await).await;
    refused(async || keyed(&member, "/v2/p1/backups", "other", &body).await).await;
    member.get("/v2/p1/backups/none").await.expect(404);
    waiting.await.unwrap().expect(409);
    keyed(
        &member,
        "/v2/p1/backups",
        "other",
        &json!({"backup_name": "b", "container": "c", "hostname": "node-1"}),
    )
    .await
    .expect(201);
}
