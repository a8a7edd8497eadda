//! Writers that wait for a lock leave connections to readers and to the writers of other projects.

use std::time::{Duration, Instant};

use freezer_store::{DatabaseUrl, PoolSettings};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;

use crate::support::database::{connect, running};
use crate::support::documents::{backup, job};
use crate::support::{Answer, Engine, Options, TestApp, bounded, with_database};

/// Connections: six may write, two of them for one project.
const POOL: usize = 8;
const PER_PROJECT: usize = 2;
const WRITERS: usize = 6;

fn options() -> Options {
    let pool = PoolSettings { max_idle: POOL, max_open: POOL, ..PoolSettings::default() };
    let mut options = Options { pool, ..Options::default() };
    options.http.request_timeout = Duration::from_secs(120);
    options
}

async fn fill(app: &TestApp, project: &str) {
    let member = app.as_user("u", project, "member");
    member.add_client(project, &format!("node-{project}")).await;
    for name in ["locked", "free"] {
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
            sqlx::raw_sql(
                "BEGIN; SELECT id FROM jobs WHERE id = 'locked-p1' FOR UPDATE; \
                 SELECT id FROM jobs WHERE id = 'locked-p2' FOR UPDATE; \
                 SELECT id FROM jobs WHERE id = 'locked-p3' FOR UPDATE",
            )
            .execute(&mut other)
            .await
            .unwrap();
            let mut waiting: Vec<_> = (0..40).map(|_| patch(&app, "p1", "locked")).collect();
            wait_for(&url, PER_PROJECT).await;
            // another project writes and reads, and this project reads
            patch(&app, "p4", "free").await.unwrap().expect(200);
            let [own, quiet] = ["p1", "p4"].map(|project| app.as_user("u", project, "member"));
            for (member, project) in [(&own, "p1"), (&quiet, "p4")] {
                member.get(&format!("/v2/{project}/jobs/locked-{project}")).await.expect(200);
                let poll = json!({"match": [{"client_id": format!("node-{project}")}], "match_not": [{"status": "completed"}]});
                let page = member.search(&format!("/v2/{project}/jobs"), poll).await.expect(200);
                assert_eq!(page.each("jobs", "/job_id").len(), 2);
            }
            // several projects together
            waiting.extend((0..20).map(|_| patch(&app, "p2", "locked")));
            waiting.extend((0..20).map(|_| patch(&app, "p3", "locked")));
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
