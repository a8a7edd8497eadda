//! The metrics show faults: retries, ended statements and outages. On MariaDB, because SQLite has one writer.

use std::time::Duration;

use freezer_store::{DatabaseUrl, MySqlUrl, PoolSettings};
use serde_json::json;

use super::scrape::Scrape;
use super::support::database::connect;
use super::support::documents::{backup, job};
use super::support::{Engine, Options, TestApp, TestDatabase, bounded, with_database};
use super::{expect_come_again, on_own_server, until};

fn scrape(app: &TestApp) -> Scrape {
    Scrape::parse(&freezer_api::metrics::text(app.app()).unwrap())
}

fn address(database: &TestDatabase) -> MySqlUrl {
    match database.url() {
        DatabaseUrl::MySql(url) => url,
        DatabaseUrl::Sqlite { .. } => panic!("not MySQL"),
    }
}

const KILLED: &str = "freezer_database_killed_statements_total";
const ERRORS: &str = "freezer_database_operation_errors_total";
const RETRIES: &str = "freezer_database_operation_retries_total";

#[test]
fn ended_statements_are_counted_by_reason() {
    with_database(Engine::MariaDb, "metrics_killed", |runtime, database| {
        let pool = PoolSettings {
            max_idle: 3,
            max_open: 3,
            statement_timeout: Duration::from_secs(1),
            ..PoolSettings::default()
        };
        let options = Options { pool, http: until(Duration::from_secs(30)), ..Options::default() };
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options).await;
            let member = app.member();
            member.add_client("p1", "node-1").await;
            member.post("/v2/p1/jobs/j", job("node-1")).await.expect(201);
            assert_eq!(scrape(&app).sum(KILLED, &[]), 0.0);
            // The server ends the statement at its own limit.
            let slow = "CREATE TRIGGER slow BEFORE INSERT ON backups FOR EACH ROW SET @slept = SLEEP(60)";
            database.run(slow).await;
            expect_come_again(member.post("/v2/p1/backups", backup("b")).await);
            let of_limit = scrape(&app);
            assert_eq!(
                of_limit.one(KILLED, &[("operation", "backups.create"), ("reason", "time_limit")]),
                1.0
            );
            assert_eq!(of_limit.one(ERRORS, &[("operation", "backups.create"), ("kind", "slow")]), 1.0);
            // The service ends it at the deadline of the request.
            let hasty = app.with_http(|http| http.request_timeout = Duration::from_millis(300));
            let mut other = connect(&address(database)).await;
            sqlx::raw_sql("BEGIN; SELECT * FROM jobs FOR UPDATE").execute(&mut other).await.unwrap();
            expect_come_again(hasty.member().patch("/v2/p1/jobs/j", json!({"description": "x"})).await);
            assert_eq!(
                scrape(&hasty).one(KILLED, &[("operation", "jobs.update"), ("reason", "time_limit")]),
                1.0
            );
            // The caller disconnects.
            let patch = member.patch("/v2/p1/jobs/j", json!({"description": "x"}));
            assert!(tokio::time::timeout(Duration::from_millis(300), patch).await.is_err());
            let cancelled = scrape(&app);
            assert_eq!(cancelled.one(KILLED, &[("operation", "jobs.update"), ("reason", "cancelled")]), 1.0);
            assert_eq!(cancelled.one(ERRORS, &[("operation", "jobs.update"), ("kind", "cancelled")]), 1.0);
            sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
        }));
    });
}

#[test]
fn repeated_runs_are_counted_with_the_error_before() {
    with_database(Engine::MariaDb, "metrics_retries", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let member = app.member();
            member.add_client("p1", "node-1").await;
            member.post("/v2/p1/jobs/j", job("node-1")).await.expect(201);
            // 1213 is a deadlock. Only the first two updates fail.
            database
                .run(
                    "CREATE TRIGGER deadlocks BEFORE UPDATE ON jobs FOR EACH ROW BEGIN
                       SET @failed = COALESCE(@failed, 0) + 1;
                       IF @failed <= 2 THEN SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'deadlock'; END IF;
                     END",
                )
                .await;
            let patch = json!({"description": "x"});
            member.patch("/v2/p1/jobs/j", patch).await.expect(200);
            let scrape = scrape(&app);
            let labels = [("operation", "jobs.update"), ("kind", "contended")];
            // each connection counts its own failures
            assert!(scrape.one(RETRIES, &labels) >= 2.0);
            assert_eq!(scrape.sum(ERRORS, &[("operation", "jobs.update")]), 0.0, "it succeeded");
            let ended = "freezer_database_operation_duration_seconds_count";
            assert_eq!(scrape.one(ended, &[("operation", "jobs.update")]), 1.0);
        }));
    });
}

#[test]
fn an_outage_is_shown_and_counted() {
    on_own_server("metrics_outage", async |mut server, app| {
        let member = app.member();
        member.get("/v2/p1/jobs").await.expect(200);
        for outages in [1.0, 2.0] {
            server.kill();
            expect_come_again(member.get("/v2/p1/jobs").await);
            let during = scrape(&app);
            assert_eq!(during.one("freezer_database_outage", &[]), 1.0);
            assert_eq!(during.one("freezer_database_outages_total", &[]), outages);
            assert!(during.sum(RETRIES, &[("operation", "jobs.list")]) >= 1.0);
            assert!(during.sum(ERRORS, &[("operation", "jobs.list"), ("kind", "away")]) >= outages);
            server.start_again().await;
            member.get("/v2/p1/jobs").await.expect(200);
            // it ends after a second without a failure
            for _ in 0..500 {
                if scrape(&app).one("freezer_database_outage", &[]) == 0.0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let after = scrape(&app);
            assert_eq!(after.one("freezer_database_outage", &[]), 0.0);
            assert_eq!(after.one("freezer_database_outages_total", &[]), outages);
        }
    });
}

#[test]
fn a_full_pool_shows_the_waiting_requests() {
    with_database(Engine::MariaDb, "metrics_pool", |runtime, database| {
        let pool = PoolSettings { max_idle: 2, max_open: 2, ..PoolSettings::default() };
        let options = Options { pool, http: until(Duration::from_secs(30)), ..Options::default() };
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options).await;
            let member = app.member();
            member.get("/v2/p1/jobs").await.expect(200);
            let mut other = connect(&address(database)).await;
            sqlx::raw_sql("LOCK TABLES jobs WRITE, sessions WRITE").execute(&mut other).await.unwrap();
            let mut waiting = tokio::task::JoinSet::new();
            for _ in 0..3 {
                let member = member.clone();
                waiting.spawn(async move { member.get("/v2/p1/sessions").await });
            }
            let pool = |name: &str, labels: &[(&str, &str)]| {
                let labels = [&[("pool", "all")], labels].concat();
                scrape(&app).one(&format!("freezer_database_pool_{name}"), &labels)
            };
            let is_full =
                || pool("waiting", &[]) == 1.0 && pool("connections", &[("state", "in_use")]) == 2.0;
            for _ in 0..500 {
                if is_full() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(is_full(), "{} {}", pool("waiting", &[]), pool("connections", &[("state", "in_use")]));
            assert_eq!(pool("limit", &[]), 2.0);
            sqlx::raw_sql("UNLOCK TABLES").execute(&mut other).await.unwrap();
            for answer in waiting.join_all().await {
                answer.expect(200);
            }
            assert_eq!((pool("waiting", &[]), pool("connections", &[("state", "in_use")])), (0.0, 0.0));
        }));
    });
}
