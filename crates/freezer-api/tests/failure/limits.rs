//! A statement must end together with its request. Its connection is available again when it has ended.

use std::time::{Duration, Instant};

use freezer_store::{DatabaseUrl, MySqlUrl, PoolSettings};
use serde_json::json;

use super::support::database::{connect, running};
use super::support::documents::{backup, job};
use super::support::{Engine, Options, TestApp, TestDatabase, bounded, with_database};
use super::{expect_come_again, until};

async fn none_runs(url: &MySqlUrl) {
    let begun = Instant::now();
    while running(url).await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "a statement goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes inserts of backups take this number of seconds.
async fn slow_down(database: &TestDatabase, seconds: u32) {
    database
        .run(&format!(
            "CREATE TRIGGER slow BEFORE INSERT ON backups FOR EACH ROW SET @slept = SLEEP({seconds})"
        ))
        .await;
}

fn with_pool(max_open: usize, statement_timeout: Duration, request_timeout: Duration) -> Options {
    let pool = PoolSettings { max_idle: max_open, max_open, statement_timeout, ..PoolSettings::default() };
    Options { pool, http: until(request_timeout), ..Options::default() }
}

fn address(database: &TestDatabase) -> MySqlUrl {
    match database.url() {
        DatabaseUrl::MySql(url) => url,
        DatabaseUrl::Sqlite { .. } => panic!("not MySQL"),
    }
}

#[test]
fn the_server_ends_a_statement_at_its_limit() {
    with_database(Engine::MariaDb, "limit", |runtime, database| {
        let options = with_pool(2, Duration::from_secs(1), Duration::from_secs(30));
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options).await;
            let member = app.member();
            member.add_backup("p1", backup("before")).await;
            slow_down(database, 60).await;
            let begun = Instant::now();
            expect_come_again(member.post("/v2/p1/backups", backup("b")).await);
            assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
            none_runs(&address(database)).await;
        }));
    });
}

#[test]
fn statements_end_at_the_deadline_or_when_callers_disconnect() {
    with_database(Engine::MariaDb, "killed", |runtime, database| {
        let options = with_pool(3, Duration::from_secs(60), Duration::from_millis(500));
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options).await;
            let member = app.member();
            member.add_client("p1", "node-1").await;
            member.post("/v2/p1/jobs/j", job("node-1")).await.expect(201);
            let id = member.add_backup("p1", backup("before")).await;
            let url = address(database);
            // This transaction waits for the lock of a row.
            let mut other = connect(&url).await;
            sqlx::raw_sql("BEGIN; SELECT * FROM jobs FOR UPDATE").execute(&mut other).await.unwrap();
            expect_come_again(member.patch("/v2/p1/jobs/j", json!({"description": "x"})).await);
            // The caller disconnects.
            let patient = app.with_http(|http| http.request_timeout = Duration::from_secs(60)).member();
            let patch = patient.patch("/v2/p1/jobs/j", json!({"description": "x"}));
            assert!(tokio::time::timeout(Duration::from_millis(300), patch).await.is_err());
            none_runs(&url).await;
            sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
            // No killed transaction has kept its locks, and all connections of the pool are available again.
            let patches = (0..3).map(|_| patient.patch("/v2/p1/jobs/j", json!({"description": "y"})));
            for answer in futures_util::future::join_all(patches).await {
                answer.expect(200);
            }
            member.get(&format!("/v2/p1/backups/{id}")).await.expect(200);
        }));
    });
}

#[test]
fn the_pool_limits_the_number_of_running_statements() {
    with_database(Engine::MariaDb, "places", |runtime, database| {
        let options = with_pool(4, Duration::from_secs(60), Duration::from_secs(60));
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options).await;
            let member = app.member();
            member.add_client("p1", "node-1").await;
            for number in 0..20 {
                member.post(&format!("/v2/p1/jobs/j{number}"), job("node-1")).await.expect(201);
            }
            let url = address(database);
            let mut other = connect(&url).await;
            sqlx::raw_sql("BEGIN; SELECT * FROM jobs FOR UPDATE").execute(&mut other).await.unwrap();
            let mut most = 0;
            for number in 0..20 {
                let path = format!("/v2/p1/jobs/j{number}");
                let patch = member.patch(&path, json!({"description": "x"}));
                let _ = tokio::time::timeout(Duration::from_millis(60), patch).await;
                most = most.max(running(&url).await);
            }
            assert!((1..=4).contains(&most), "{most} at a time");
            sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
            none_runs(&url).await;
        }));
    });
}

#[test]
fn a_slow_statement_on_a_file_ends_when_its_caller_disconnects() {
    with_database(Engine::Sqlite, "interrupted", |runtime, database| {
        let options = with_pool(1, Duration::from_secs(60), Duration::from_secs(2));
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options).await;
            let member = app.member();
            member.add_backup("p1", backup("before")).await;
            // The statement never ends unless it is interrupted.
            database
                .run(
                    "CREATE TRIGGER slow BEFORE INSERT ON clients BEGIN SELECT COUNT(*) FROM \
                     (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n); END",
                )
                .await;
            expect_come_again(member.post("/v2/p1/clients", json!({"client_id": "node-1"})).await);
            // The only writer is available again.
            member.add_backup("p1", backup("after")).await;
            let caller = member.post("/v2/p1/clients", json!({"client_id": "node-1"}));
            assert!(tokio::time::timeout(Duration::from_millis(300), caller).await.is_err());
            member.add_backup("p1", backup("after")).await;
        }));
    });
}

#[test]
fn requests_over_the_limit_are_rejected_at_once() {
    with_database(Engine::MariaDb, "bound", |runtime, database| {
        let mut options = with_pool(1, Duration::from_secs(60), Duration::from_secs(60));
        options.http.waiting.requests = 3;
        options.http.waiting.bytes = 1_000_000;
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options).await;
            let member = app.member();
            member.add_backup("p1", backup("before")).await;
            let lock = database.lock().await;
            let mut waiting = Vec::new();
            for _ in 0..3 {
                let member = member.clone();
                waiting.push(tokio::spawn(async move { member.post("/v2/p1/backups", backup("b")).await }));
            }
            // At this time, these requests have their connections.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let begun = Instant::now();
            let refused = loop {
                let get = member.get("/v2/p1/backups/none");
                match tokio::time::timeout(Duration::from_millis(200), get).await {
                    Ok(answer) if answer.status == 503 => break answer,
                    _ => assert!(begun.elapsed() < Duration::from_secs(20)),
                }
            };
            assert_eq!(refused.header("retry-after"), Some("5"));
            assert!(refused.description().contains("Too many requests"), "{refused}");
            lock.release().await;
            for waiting in waiting {
                waiting.await.unwrap().expect(201);
            }
            member.get("/v2/p1/backups").await.expect(200);
        }));
    });
}

#[test]
fn a_transaction_that_ends_at_the_deadline_is_rolled_back() {
    with_database(Engine::MariaDb, "undone", |runtime, database| {
        // With a single connection, the next request would use a transaction that was left open.
        let options = with_pool(1, Duration::from_secs(60), Duration::from_secs(30));
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options).await;
            let member = app.member();
            member.add_client("p1", "node-1").await;
            member.post("/v2/p1/jobs/j", job("node-1")).await.expect(201);
            for milliseconds in 0..40 {
                let hurried =
                    app.with_http(|http| http.request_timeout = Duration::from_millis(milliseconds / 2));
                let answer = hurried.member().patch("/v2/p1/jobs/j", json!({"description": "x"})).await;
                assert!(matches!(answer.status.as_u16(), 200 | 503), "{answer}");
                member.patch("/v2/p1/jobs/j", json!({"description": "y"})).await.expect(200);
            }
            let mut other = connect(&address(database)).await;
            let locked =
                sqlx::raw_sql("SELECT description FROM jobs FOR UPDATE NOWAIT").execute(&mut other).await;
            locked.expect("no transaction is open");
        }));
    });
}
