//! Writers that wait for a lock leave connections to readers and to the writers of other projects.

use std::time::{Duration, Instant};

use freezer_store::{DatabaseUrl, PoolSettings};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Method;
use serde_json::{Value, json};

use crate::support::database::{connect, running};
use crate::support::documents::{backup, job};
use crate::support::{Answer, Engine, Options, TestApp, bounded, with_database};

/// Connections: six may write, two of them for one project.
const POOL: usize = 8;
const PER_PROJECT: usize = 2;
const WRITERS: usize = 6;

/// Rows that another connection locks. Changes of one row take turns, so only several rows occupy several connections.
const LOCKED: [&str; 3] = ["locked0", "locked1", "locked2"];

fn options() -> Options {
    let pool = PoolSettings { max_idle: POOL, max_open: POOL, ..PoolSettings::default() };
    let mut options = Options { pool, ..Options::default() };
    options.http.request_timeout = Duration::from_secs(120);
    options
}

async fn fill(app: &TestApp, project: &str) {
    let member = app.as_user("u", project, "member");
    member.add_client(project, &format!("node-{project}")).await;
    for name in LOCKED.into_iter().chain(["free"]) {
        let path = format!("/v2/{project}/jobs/{name}-{project}");
        member.post(&path, job(&format!("node-{project}"))).await.expect(201);
    }
}

fn patch(app: &TestApp, project: &str, name: &str) -> tokio::task::JoinHandle<Answer> {
    let (member, path) =
        (app.as_user("u", project, "member"), format!("/v2/{project}/jobs/{name}-{project}"));
    tokio::spawn(async move { member.patch(&path, json!({"description": "x"})).await })
}

/// Waits until so many statements wait for locks, and makes sure that it stays so.
async fn wait_for(url: &freezer_store::MySqlUrl, expected: usize) {
    let begun = Instant::now();
    while running(url).await < expected {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} of {expected}", running(url).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(running(url).await <= expected, "{} and not {expected}", running(url).await);
    }
}

#[test]
fn writers_that_wait_for_rows_leave_connections_to_all_others() {
    with_database(Engine::MariaDb, "writers", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options()).await;
            for project in ["p1", "p2", "p3", "p4"] {
                fill(&app, project).await;
            }
            let DatabaseUrl::MySql(url) = database.url() else { panic!("not MySQL") };
            let mut other = connect(&url).await;
            // one statement for each row, because a statement for several of a small table would lock all rows
            let rows = ["p1", "p2", "p3"].map(|project| LOCKED.map(|name| format!("{name}-{project}")));
            let locks = rows.concat().into_iter();
            let locks = locks.map(|id| format!("SELECT id FROM jobs WHERE id = '{id}' FOR UPDATE"));
            let locks: Vec<String> = std::iter::once("BEGIN".to_owned()).chain(locks).collect();
            sqlx::raw_sql(sqlx::AssertSqlSafe(locks.join("; "))).execute(&mut other).await.unwrap();
            let patch_locked = |project: &str, number: usize| patch(&app, project, LOCKED[number % 3]);
            let mut waiting: Vec<_> = (0..40).map(|number| patch_locked("p1", number)).collect();
            wait_for(&url, PER_PROJECT).await;
            // another project writes and reads, and this project reads
            patch(&app, "p4", "free").await.unwrap().expect(200);
            let [own, quiet] = ["p1", "p4"].map(|project| app.as_user("u", project, "member"));
            for (member, project) in [(&own, "p1"), (&quiet, "p4")] {
                member.get(&format!("/v2/{project}/jobs/locked0-{project}")).await.expect(200);
                let poll = json!({"match": [{"client_id": format!("node-{project}")}], "match_not": [{"status": "completed"}]});
                let page = member.search(&format!("/v2/{project}/jobs"), poll).await.expect(200);
                assert_eq!(page.each("jobs", "/job_id").len(), 4);
            }
            // several projects together
            waiting.extend((0..20).map(|number| patch_locked("p2", number)));
            waiting.extend((0..20).map(|number| patch_locked("p3", number)));
            wait_for(&url, WRITERS).await;
            for _ in 0..4 {
                quiet.get("/v2/p4/jobs/free-p4").await.expect(200);
                quiet.get("/v2/p4/backups?with_count=true").await.expect(200);
            }
            assert!(waiting.iter().all(|patch| !patch.is_finished()), "the rows are locked");
            sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
            for patch in waiting {
                patch.await.unwrap().expect(200);
            }
        }));
    });
}

/// A change, as a request.
type Request = (Method, String, Option<Value>);

/// Starts a request.
fn start(app: &TestApp, (method, path, body): &Request) -> tokio::task::JoinHandle<Answer> {
    let (member, method, path, body) =
        (app.as_user("u", "p1", "member"), method.clone(), format!("/v2/p1/{path}"), body.clone());
    tokio::spawn(async move { member.ask(method, &path, body).await })
}

/// Changes of a locked row, of each kind, wait without a connection, so the project's other changes are not delayed.
#[test]
fn changes_of_a_locked_row_do_not_delay_other_changes_of_the_project() {
    with_database(Engine::MariaDb, "one_row", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options()).await;
            fill(&app, "p1").await;
            let member = app.as_user("u", "p1", "member");
            let action = |id: &str| {
                let document = json!({"freezer_action": {"action": "exec", "command": "c"}});
                (format!("/v2/p1/actions/{id}"), document)
            };
            for name in ["locked0", "free"] {
                let (path, document) = action(name);
                member.post(&path, document).await.expect(201);
                let session = json!({"description": "s", "schedule": {}, "session_tag": 0});
                member.post(&format!("/v2/p1/sessions/{name}"), session).await.expect(201);
                member.put(&format!("/v2/p1/sessions/{name}/jobs/{name}-p1")).await.expect(204);
            }
            let backups =
                [member.add_backup("p1", backup("locked")).await, member.add_backup("p1", backup("b")).await];
            member.add_client("p1", "free").await;
            let client = database.texts("SELECT id FROM clients WHERE client_id = 'node-p1'").await.remove(0);
            let DatabaseUrl::MySql(url) = database.url() else { panic!("not MySQL") };
            let change = |name: &str, backup_id: &str, client: &str| -> Vec<(&'static str, String, Request)> {
                let job_id = format!("{name}-p1");
                let of_job = || ("jobs", job_id.clone());
                let of_session = || ("sessions", name.to_owned());
                let of_action = || ("actions", name.to_owned());
                let uses = json!({"client_id": "free", "job_actions": [{"action_id": name}]});
                let start = json!({"start": {"job_id": job_id, "current_tag": 0}});
                [
                    (of_job(), (Method::PATCH, format!("jobs/{job_id}"), Some(json!({"description": "x"})))),
                    (of_job(), (Method::POST, format!("jobs/{job_id}/event"), Some(json!({"stop": null})))),
                    (of_session(), (Method::PATCH, format!("sessions/{name}"), Some(json!({"description": "x"})))),
                    (of_session(), (Method::POST, format!("sessions/{name}/action"), Some(start))),
                    (of_session(), (Method::PUT, format!("sessions/{name}/jobs/{job_id}"), None)),
                    (of_action(), (Method::PATCH, format!("actions/{name}"), Some(json!({"max_retries": 3})))),
                    (of_action(), (Method::POST, "jobs".to_owned(), Some(uses))),
                    (
                        ("backups", backup_id.to_owned()),
                        (Method::PATCH, format!("backups/{backup_id}"), Some(json!({"x": 1}))),
                    ),
                    (
                        ("clients", client.to_owned()),
                        (
                            Method::POST,
                            "clients".to_owned(),
                            Some(json!({"client_id": if name == "free" { "free" } else { "node-p1" }, "description": "x"})),
                        ),
                    ),
                    (of_job(), (Method::DELETE, format!("jobs/{job_id}"), None)),
                    (of_session(), (Method::DELETE, format!("sessions/{name}"), None)),
                ]
                .map(|((table, id), request)| (table, id, request))
                .into()
            };
            let all = change("locked0", &backups[0], &client).into_iter().zip(change("free", &backups[1], ""));
            for ((table, id, locked), (_, _, free)) in all {
                let mut other = connect(&url).await;
                let lock = format!("BEGIN; SELECT id FROM {table} WHERE id = '{id}' FOR UPDATE");
                sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut other).await.unwrap();
                let waiting: Vec<_> = (0..20).map(|_| start(&app, &locked)).collect();
                // longer than a batch of session actions may take
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                let began = Instant::now();
                let answer = start(&app, &free).await.unwrap();
                assert!(answer.status.is_success(), "{free:?}: {answer}");
                assert!(began.elapsed() < Duration::from_secs(5), "{free:?}: {:?}", began.elapsed());
                assert!(waiting.iter().all(|change| !change.is_finished()), "{locked:?}: the row is locked");
                sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
                for change in waiting {
                    let answer = change.await.unwrap();
                    assert!(answer.status.is_success() || answer.status == 404, "{locked:?}: {answer}");
                }
            }
        }));
    });
}

/// Makes sure that a change is carried out at once, although others of the project wait for a locked row.
async fn expect_at_once(app: &TestApp, request: &Request) {
    let began = Instant::now();
    let answer = start(app, request).await.unwrap();
    assert!(answer.status.is_success(), "{request:?}: {answer}");
    assert!(began.elapsed() < Duration::from_secs(5), "{request:?}: {:?}", began.elapsed());
}

/// Changes of many jobs that refer to a locked action wait without a connection. So do jobs that join a locked session, and they
/// do not keep their jobs from being changed.
#[test]
fn changes_of_many_jobs_that_wait_for_one_row_do_not_delay_others() {
    with_database(Engine::MariaDb, "many_jobs", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options()).await;
            fill(&app, "p1").await;
            let member = app.as_user("u", "p1", "member");
            let exec = json!({"freezer_action": {"action": "exec", "command": "c"}});
            for name in ["locked", "free", "idle", "own1", "own6", "own11", "own16"] {
                member.post(&format!("/v2/p1/actions/{name}"), exec.clone()).await.expect(201);
            }
            member
                .post("/v2/p1/sessions/locked", json!({"description": "s", "schedule": {}, "session_tag": 0}))
                .await
                .expect(201);
            member.add_client("p1", "other").await;
            let uses = |client: &str, names: &[&str]| {
                let actions: Vec<Value> = names.iter().map(|name| json!({"action_id": name})).collect();
                json!({"client_id": client, "job_actions": actions})
            };
            for number in 0..20 {
                let path = format!("/v2/p1/jobs/job{number}");
                member.post(&path, uses("node-p1", &["free"])).await.expect(201);
            }
            member.post("/v2/p1/jobs/user", uses("node-p1", &["locked"])).await.expect(201);
            let mut report = member.get("/v2/p1/jobs/user").await.expect(200).json();
            report["job_schedule"]["status"] = "running".into();
            let others = |number: usize| -> Vec<Request> {
                vec![
                    (Method::PATCH, "jobs/free-p1".to_owned(), Some(json!({"description": "x"}))),
                    (Method::POST, "jobs/free-p1/event".to_owned(), Some(json!({"start": null}))),
                    (Method::PATCH, "jobs/free-p1".to_owned(), Some(uses("node-p1", &["idle", "idle"]))),
                    (Method::POST, "jobs".to_owned(), Some(uses("node-p1", &["idle"]))),
                    (Method::POST, "actions".to_owned(), Some(exec.clone())),
                    (Method::POST, "sessions".to_owned(), Some(json!({"description": "s", "schedule": {}}))),
                    (Method::POST, "clients".to_owned(), Some(json!({"client_id": format!("new{number}")}))),
                    // locks only the job, because it has this action already
                    (Method::PATCH, "jobs/user".to_owned(), Some(report.clone())),
                ]
            };
            let actions = |number: usize| -> Request {
                let path = format!("jobs/job{number}");
                let list = |names: &[&str]| json!({"job_actions": uses("", names)["job_actions"]});
                match number % 5 {
                    0 => (Method::PATCH, path, Some(list(&["locked"]))),
                    1 => (Method::PATCH, path, Some(list(&[&format!("own{number}"), "locked"]))),
                    2 => (Method::PATCH, path, Some(uses("other", &["locked", "free"]))),
                    3 => (Method::POST, path, Some(uses("node-p1", &["locked"]))),
                    _ => (Method::POST, "jobs".to_owned(), Some(uses("node-p1", &["free", "locked"]))),
                }
            };
            let moves = |number: usize| {
                // these jobs have the action already
                (Method::PATCH, format!("jobs/job{}", number / 5 * 5), Some(uses("other", &["locked"])))
            };
            let joins = |number: usize| (Method::PUT, format!("sessions/locked/jobs/job{number}"), None);
            let DatabaseUrl::MySql(url) = database.url() else { panic!("not MySQL") };
            let cases: [(&str, &dyn Fn(usize) -> Request); 3] =
                [("actions", &actions), ("actions", &moves), ("sessions", &joins)];
            for (case, (table, change)) in cases.into_iter().enumerate() {
                let mut other = connect(&url).await;
                let lock = format!("BEGIN; SELECT id FROM {table} WHERE id = 'locked' FOR UPDATE");
                sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut other).await.unwrap();
                let waiting: Vec<_> = (0..20).map(|number| start(&app, &change(number))).collect();
                tokio::time::sleep(Duration::from_millis(1_000)).await;
                for request in others(case) {
                    expect_at_once(&app, &request).await;
                }
                if case == 0 {
                    // only the one change that waits with a connection can hold another action
                    let own = [1, 6, 11, 16].map(|number| {
                        start(
                            &app,
                            &(Method::PATCH, format!("actions/own{number}"), Some(json!({"max_retries": 3}))),
                        )
                    });
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    assert!(own.iter().filter(|change| change.is_finished()).count() >= 3);
                }
                if table == "sessions" {
                    for number in 0..20 {
                        let patch = Some(json!({"description": "x"}));
                        expect_at_once(&app, &(Method::PATCH, format!("jobs/job{number}"), patch)).await;
                    }
                }
                assert!(
                    waiting.iter().all(|change| !change.is_finished()),
                    "{table} {case}: the row is locked"
                );
                sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
                for change in waiting {
                    let answer = change.await.unwrap();
                    assert!(answer.status.is_success(), "{table} {case}: {answer}");
                }
            }
        }));
    });
}

/// A project with many writers does not make the one of another project wait for all of them.
fn writers_take_turns(engine: Engine) {
    with_database(engine, "turns", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, options()).await;
            for project in ["p1", "p2"] {
                fill(&app, project).await;
            }
            let lock = database.lock().await;
            let many = 40;
            let noisy: FuturesUnordered<_> = (0..many).map(|_| patch(&app, "p1", "free")).collect();
            // they are in their queue
            tokio::time::sleep(Duration::from_millis(500)).await;
            let quiet = patch(&app, "p2", "free");
            tokio::time::sleep(Duration::from_millis(200)).await;
            lock.release().await;
            let mut noisy = noisy.take_until(quiet);
            let mut before = 0;
            while let Some(answer) = noisy.next().await {
                answer.unwrap().expect(200);
                before += 1;
            }
            let quiet = noisy.take_result().expect("the quiet project").unwrap();
            quiet.expect(200);
            assert!(before < many / 2, "{before} of {many} were before it");
        }));
    });
}

#[test]
fn writers_of_a_file_take_turns() {
    writers_take_turns(Engine::Sqlite);
}

#[test]
fn a_stored_backup_is_shown_while_writers_wait() {
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        with_database(engine, "shown", |runtime, database| {
            runtime.block_on(bounded(async {
                let app = TestApp::start(database, options()).await;
                let member = app.as_user("u", "p1", "member");
                let id = member.add_backup("p1", backup("b")).await;
                let path = format!("/v2/p1/backups/{id}");
                let lock = database.lock().await;
                let waiting: Vec<_> = (0..40)
                    .map(|_| {
                        let (member, path) = (member.clone(), path.clone());
                        tokio::spawn(async move { member.patch(&path, json!({"status": "deleted"})).await })
                    })
                    .collect();
                tokio::time::sleep(Duration::from_millis(500)).await;
                for project in ["p1", "p2"] {
                    let reader = app.as_user("u", project, "member");
                    let expected = if project == "p1" { 200 } else { 404 };
                    reader.get(&format!("/v2/{project}/backups/{id}")).await.expect(expected);
                }
                assert!(waiting.iter().all(|patch| !patch.is_finished()), "{engine:?}: the table is locked");
                lock.release().await;
                for patch in waiting {
                    patch.await.unwrap().expect(200);
                }
            }));
        });
    }
}
