//! Faults: the database is not available, hangs, is locked or is the wrong one, and clients disconnect during a
//! request.
//!
//! Clients must get a 503 with Retry-After and never a 500, the service must recover without help, and acknowledged
//! changes must be stored. If a fault ends before the deadline of a request, its caller must not see it. These modules
//! test this: `errors.rs` (errors of the database), `lost_answers.rs`, `late_statements.rs`, `keys.rs`, `silence.rs`, `limits.rs` and `outages.rs`.
//! `metrics.rs` tests that the metrics show faults.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "../scrape/mod.rs"]
mod scrape;
#[path = "../support/mod.rs"]
mod support;

mod errors;
mod keys;
mod late_statements;
mod limits;
mod lost_answers;
mod metrics;
mod outages;
mod silence;

use std::collections::HashSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use freezer_api::app::HttpSettings;
use freezer_api::config::{DatabaseSettings, Settings};
use freezer_api::manage::serve;
use freezer_api::readiness::Wait;
use freezer_store::{ConnectSettings, PoolSettings, Store};
use serde_json::json;
use support::documents::{backup, freezer_action, job, with};
use support::mariadbd::Server;
use support::{Answer, Caller, Engine, Options, TestApp, TestDatabase, bounded, with_database};

/// Deadlines that are short enough for a test. No test measures durations.
fn impatient() -> Options {
    Options {
        http: until(Duration::from_secs(2)),
        pool: PoolSettings {
            max_idle: 2,
            max_open: 4,
            timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(2),
            ..PoolSettings::default()
        },
        connect: ConnectSettings { connect_timeout: Duration::from_secs(1), ..ConnectSettings::default() },
        ..Options::default()
    }
}

/// Returns settings with this deadline for requests.
fn until(request_timeout: Duration) -> HttpSettings {
    HttpSettings { request_timeout, ..HttpSettings::default() }
}

fn on_own_server<F: Future<Output = ()>>(name: &str, body: impl FnOnce(Server, TestApp) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(bounded(async {
        let Some(server) = Server::start(name).await else { return };
        let database = server.database().await;
        let app = TestApp::start(&database, impatient()).await;
        body(server, app).await;
    }));
}

const NOTHING_CHANGED: &str =
    "The database cannot store anything at the moment; this request has changed nothing.";

const NOT_FINISHED: &str = "The database did not finish this request within its time limit; try again later.";
const NO_CONNECTION: &str = "All database connections of the service were in use until the time limit of this request; try again later.";
const CONTENDED: &str =
    "Other changes to the same documents did not end within the time limit of this request; try again later.";

#[track_caller]
fn expect_come_again(answer: Answer) {
    let answer = answer.expect(503);
    assert_eq!(answer.header("retry-after"), Some("5"), "{answer}");
    let document = answer.json();
    assert_eq!(document["title"], "Service Unavailable");
    let description = document["description"].as_str().unwrap();
    let known =
        ["The database is temporarily unavailable.", NOTHING_CHANGED, NOT_FINISHED, NO_CONNECTION, CONTENDED];
    let is_known = known.contains(&description)
        // This is the second text for a change whose answer was lost.
        || description.starts_with("The database's answer to this change was lost");
    assert!(is_known, "{description}");
}

/// Sends requests of every kind: a read, a single statement, a transaction, and a transaction that reads and writes.
async fn all_kinds(member: &Caller) -> Vec<Answer> {
    vec![
        member.get("/v2/p1/jobs").await,
        member.post("/v2/p1/backups", backup("b")).await,
        member.post("/v2/p1/clients", json!({"client_id": "node-1"})).await,
        member.patch("/v2/p1/jobs/j", json!({"description": "x"})).await,
    ]
}

#[test]
fn requests_during_an_outage_of_the_database_are_503() {
    on_own_server("away", async |mut server, app| {
        let member = app.member();
        member.add_client("p1", "node-1").await;
        member.post("/v2/p1/jobs/j", job("node-1")).await.expect(201);
        let id = member.add_backup("p1", backup("before")).await;
        for _ in 0..2 {
            server.kill();
            for answer in all_kinds(&member).await {
                expect_come_again(answer);
            }
            member.get("/healthcheck").await.expect(200);
            member.get("/").await.expect(300);
            server.start_again().await;
            // The former connections are broken, but no request fails.
            for answer in all_kinds(&member).await {
                assert!(answer.status.is_success(), "{answer}");
            }
            member.get(&format!("/v2/p1/backups/{id}")).await.expect(200);
        }
    });
}

#[test]
fn requests_to_a_hanging_database_end_at_their_deadline() {
    on_own_server("hangs", async |server, app| {
        let member = app.member();
        member.add_client("p1", "node-1").await;
        member.post("/v2/p1/jobs/j", job("node-1")).await.expect(201);
        server.freeze();
        for answer in all_kinds(&member).await {
            expect_come_again(answer);
        }
        server.thaw();
        for answer in all_kinds(&member).await {
            assert!(answer.status.is_success(), "{answer}");
        }
    });
}

#[test]
fn acknowledged_changes_survive_a_crash_of_the_server() {
    const WRITERS: usize = 4;
    const BEFORE: usize = 100;
    const AFTER: usize = 200;
    on_own_server("acknowledged", async |mut server, app| {
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let refused = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (member, stop, refused) = (app.member(), stop.clone(), refused.clone());
                let acknowledged = acknowledged.clone();
                tokio::spawn(async move {
                    while !stop.load(Ordering::SeqCst) {
                        let answer = member.post("/v2/p1/backups", backup(&format!("by-{writer}"))).await;
                        match answer.status.as_u16() {
                            201 => acknowledged.lock().unwrap().push(answer.text("backup_id")),
                            503 => {
                                refused.fetch_add(1, Ordering::SeqCst);
                            }
                            _ => panic!("neither stored nor told to come again:\n{answer}"),
                        }
                    }
                })
            })
            .collect();
        let count = || acknowledged.lock().unwrap().len();
        reached(BEFORE, count).await;
        server.kill();
        reached(WRITERS, || refused.load(Ordering::SeqCst)).await;
        server.start_again().await;
        let so_far = count();
        reached(so_far + AFTER, count).await;
        stop.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.await.unwrap();
        }
        let member = app.member();
        let stored =
            member.get("/v2/p1/backups?limit=1000000").await.expect(200).each("backups", "/backup_id");
        let stored: HashSet<String> = stored.into_iter().collect();
        let acknowledged = acknowledged.lock().unwrap();
        let lost: Vec<&String> = acknowledged.iter().filter(|id| !stored.contains(*id)).collect();
        assert!(lost.is_empty(), "{} of {} are lost", lost.len(), acknowledged.len());
        assert_eq!(acknowledged.iter().collect::<HashSet<_>>().len(), acknowledged.len());
    });
}

/// Waits until a count is reached.
async fn reached(wanted: usize, count: impl Fn() -> usize) {
    while count() < wanted {
        // The time limit of the whole test ends this loop.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the service has sent more than `before` statements to the database.
async fn has_asked(app: &TestApp, before: u64) {
    reached(1, || usize::from(app.store().statements() > before)).await;
}

#[test]
fn requests_wait_for_a_sqlite_lock_until_their_time_limit() {
    with_database(Engine::Sqlite, "locked", |runtime, database| {
        runtime.block_on(bounded(async {
            let options = Options { http: until(Duration::from_secs(3)), ..Options::default() };
            let app = TestApp::start(database, options).await;
            let member = app.member();
            let id = member.add_backup("p1", backup("before")).await;
            // The lock is short, so the writer waits and succeeds.
            let lock = database.lock().await;
            let before = app.store().statements();
            let writer = member.clone();
            let waiting = tokio::spawn(async move { writer.post("/v2/p1/backups", backup("b")).await });
            has_asked(&app, before).await;
            // Readers do not wait.
            member.get(&format!("/v2/p1/backups/{id}")).await.expect(200);
            lock.release().await;
            waiting.await.unwrap().expect(201);
            // This lock is longer than the time limit. The second service has another writer, so both wait at the same
            // time.
            let other = TestApp::on(
                database,
                Store::new(database.url(), ConnectSettings::default(), PoolSettings::default()),
            );
            let other = other.with_http(|http| http.request_timeout = Duration::from_secs(3)).member();
            let lock = database.lock().await;
            let (single, transaction) = tokio::join!(
                member.post("/v2/p1/backups", backup("b")),
                other.post("/v2/p1/clients", json!({"client_id": "node-1"})),
            );
            expect_come_again(single);
            expect_come_again(transaction);
            member.get(&format!("/v2/p1/backups/{id}")).await.expect(200);
            lock.release().await;
            member.add_backup("p1", backup("after")).await;
        }));
    });
}

#[test]
fn requests_are_503_if_all_connections_are_busy() {
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        with_database(engine, "exhausted", |runtime, database| {
            let pool = PoolSettings {
                max_idle: 1,
                max_open: 1,
                timeout: Duration::from_millis(200),
                ..PoolSettings::default()
            };
            let options = Options { pool, ..Options::default() };
            runtime.block_on(bounded(async {
                let app = TestApp::start(database, options).await;
                let member = app.member();
                let lock = database.lock().await;
                let before = app.store().statements();
                let writer = member.clone();
                let first = tokio::spawn(async move { writer.post("/v2/p1/backups", backup("first")).await });
                has_asked(&app, before).await;
                expect_come_again(member.post("/v2/p1/backups", backup("second")).await);
                lock.release().await;
                let id = first.await.unwrap().expect(201).text("backup_id");
                assert_eq!(member.get("/v2/p1/backups").await.each("backups", "/backup_id"), [id]);
            }));
        });
    }
}

#[test]
fn writers_wait_for_a_locked_file_in_order() {
    with_database(Engine::Sqlite, "in_order", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let member = app.member();
            let id = member.add_backup("p1", backup("before")).await;
            let lock = database.lock().await;
            let order = Arc::new(Mutex::new(Vec::new()));
            let mut writers = tokio::task::JoinSet::new();
            for number in 0..5 {
                let (writer, order, before) = (member.clone(), order.clone(), app.store().statements());
                writers.spawn(async move {
                    let client_id = format!("node-{number}");
                    writer.post("/v2/p1/clients", json!({"client_id": client_id})).await.expect(201);
                    order.lock().unwrap().push(number);
                });
                // Each request has checked whether the client is known, and now waits for the write lock.
                has_asked(&app, before).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            // This is longer than the time that one statement waits for the lock.
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            member.get(&format!("/v2/p1/backups/{id}")).await.expect(200);
            assert_eq!(*order.lock().unwrap(), [0_i32; 0]);
            lock.release().await;
            writers.join_all().await;
            assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        }));
    });
}

#[test]
fn an_unusable_database_ends_the_start() {
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        with_database(engine, "start", |runtime, database| {
            runtime.block_on(bounded(async {
                TestApp::start(database, Options::default()).await;
                database.run("UPDATE alembic_version SET version_num = 'feedfacecafe'").await;
                let error = start(database).await;
                assert!(error.contains("feedfacecafe"), "{error}");
                assert!(error.contains("does not know"), "{error}");
            }));
        });
    }
}

/// Returns the error of a start.
async fn start(database: &TestDatabase) -> String {
    let mut settings = Settings::dev(std::path::Path::new("."), Vec::new()).unwrap();
    settings.listen.port = 0;
    settings.database = DatabaseSettings::new(database.url());
    let store = Store::new(database.url(), ConnectSettings::default(), PoolSettings::default());
    serve::run(settings, store, serve::Surroundings::default(), |_| ())
        .await
        .expect_err("this database cannot be served")
        .to_string()
}

#[test]
fn requests_to_a_waiting_service_are_503() {
    with_database(Engine::Sqlite, "waiting", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let member = app.member();
            for (wait, description) in [
                (Wait::Tables, "The tables of the database are not ready yet."),
                (Wait::Database, "The database is temporarily unavailable."),
            ] {
                app.app().readiness.set(Some(wait));
                let before = app.store().statements();
                for answer in all_kinds(&member).await {
                    let answer = answer.expect(503);
                    assert_eq!(answer.header("retry-after"), Some("5"), "{answer}");
                    assert_eq!(
                        answer.json(),
                        json!({"title": "Service Unavailable", "description": description})
                    );
                }
                assert_eq!(app.store().statements(), before, "the database is not asked");
                member.get("/healthcheck").await.expect(200);
                member.get("/healthcheck/").await.expect(200);
                member.get("/healthcheck/ready").await.expect(503);
                member.get("/healthcheck/ready/").await.expect(503);
                member.get("/").await.expect(300);
            }
            app.app().readiness.set(None);
            member.get("/healthcheck/ready").await.expect(200);
            member.get("/v2/p1/jobs").await.expect(200);
            // A node that an operator has disabled is not ready, either.
            std::fs::write(app.disabled_by(), "").unwrap();
            member.get("/healthcheck/ready").await.expect(503);
            std::fs::remove_file(app.disabled_by()).unwrap();
        }));
    });
}

/// Polls a request up to this number of times, then drops it.
async fn dropped_after<T>(polls: u32, request: impl Future<Output = T>) -> Option<T> {
    let mut request = pin!(request);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        request.as_mut().poll(context).map(Some)
    })
    .await
}

#[test]
fn dropped_requests_leave_the_service_usable() {
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        with_database(engine, "dropped", |runtime, database| {
            let pool = PoolSettings { max_idle: 2, max_open: 3, ..PoolSettings::default() };
            let options = Options { pool, ..Options::default() };
            runtime.block_on(bounded(async {
                let app = TestApp::start(database, options).await;
                drop_two_hundred(&app).await;
            }));
        });
    }
}

async fn drop_two_hundred(app: &TestApp) {
    let member = app.member();
    member.add_client("p1", "node-1").await;
    let two_actions = json!([{"freezer_action": freezer_action()}, {"freezer_action": freezer_action()}]);
    let document = with(job("node-1"), json!({"job_actions": two_actions}));
    let session_id = member.add_session("p1", json!({"schedule": {}})).await;
    let session = format!("/v2/p1/sessions/{session_id}");
    let mut acknowledged = Vec::new();
    let mut finished = 0;
    for number in 0..200_u32 {
        // This covers every point of every request.
        let (kind, polls) = (number % 5, 1 + number / 5 % 20);
        match kind {
            0 => finished += usize::from(dropped_after(polls, member.get("/v2/p1/jobs")).await.is_some()),
            1 => {
                if let Some(answer) = dropped_after(polls, member.post("/v2/p1/backups", backup("b"))).await {
                    acknowledged.push(answer.expect(201).text("backup_id"));
                }
            }
            2 => {
                let _ = dropped_after(polls, member.post("/v2/p1/jobs", document.clone())).await;
            }
            3 => {
                let patch = json!({"description": format!("number {number}")});
                let _ = dropped_after(polls, member.patch(&session, patch)).await;
            }
            _ => {
                let again = json!({"client_id": "node-1", "description": format!("number {number}")});
                let _ = dropped_after(polls, member.post("/v2/p1/clients", again)).await;
            }
        }
    }
    assert!(finished < 40, "some were dropped");
    // These are more requests than connections. No connection may be lost or have an open transaction.
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..30 {
        let (member, session, document) = (member.clone(), session.clone(), document.clone());
        tasks.spawn(async move {
            match number % 3 {
                0 => member.get("/v2/p1/jobs?limit=1000").await.expect(200),
                1 => member.post("/v2/p1/jobs", document).await.expect(201),
                _ => member.patch(&session, json!({"hold_off": number})).await.expect(200),
            }
        });
    }
    tasks.join_all().await;
    // A job must be stored with all its actions or not at all.
    let jobs = member.get("/v2/p1/jobs?limit=1000").await.expect(200).json();
    let jobs = jobs["jobs"].as_array().unwrap();
    assert!(jobs.iter().all(|job| job["job_actions"].as_array().unwrap().len() == 2));
    let actions = member.get("/v2/p1/actions?limit=1000").await.expect(200).each("actions", "/action_id");
    assert_eq!(actions.len(), 2 * jobs.len(), "no action is left of a job that is not there");
    let backups = member.get("/v2/p1/backups?limit=1000").await.expect(200).each("backups", "/backup_id");
    assert!(acknowledged.iter().all(|id| backups.contains(id)));
}
