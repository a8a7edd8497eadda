//! A killed upgrade must continue at the statement at which it stopped.
//!
//! For three layouts, the process is killed after each of its statements (and inside its batches of rows). The next
//! sync must end at head, with the same rows and values as an upgrade that was not killed. The killed process is this
//! test program, which is started again with [`child`] as its only test. A fourth database has so many jobs that they
//! need several batches, and the process is killed between these.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "upgrade/dump.rs"]
mod dump;
#[path = "upgrade/many_jobs.rs"]
mod many_jobs;
mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dump::Dump;
use freezer_store::migrations::{SyncOptions, Wishes, holder};
use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Store};
use support::{Engine, TestDatabase};

/// The URL of the database for the child process.
const URL: &str = "FREEZER_TEST_CRASH_URL";
const AFTER: &str = "FREEZER_TEST_CRASH_AFTER";

/// More statements than the upgrade of a small database needs.
const ENOUGH: u32 = 200;

#[test]
#[ignore = "the process that is killed; started by the other test"]
fn child() {
    let url = DatabaseUrl::parse(&std::env::var(URL).expect("started by the other test")).unwrap();
    let after: u32 = std::env::var(AFTER).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::new(url, ConnectSettings::default(), PoolSettings::default());
        let options = SyncOptions { wishes: Wishes::default(), wait: Duration::ZERO, holder: holder() };
        let mut statements = 0;
        let done = store.sync_with(&options, |_| {
            statements += 1;
            if statements == after {
                // Like SIGKILL, this sends nothing to the server and drops nothing.
                std::process::abort();
            }
        });
        done.await.unwrap();
    });
}

fn address(database: &TestDatabase) -> String {
    let DatabaseUrl::MySql(url) = database.url() else { panic!("MariaDB only") };
    let password = url.password.unwrap_or_default();
    format!("mysql://{}:{password}@{}:{}/{}", url.user, url.host, url.port, url.database)
}

/// Starts the child process. Returns true if it was killed.
fn killed(database: &TestDatabase, after: u32) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--test-threads=1"])
        .env(URL, address(database))
        .env(AFTER, after.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let ended = output.status.success();
    assert!(ended || output.status.code().is_none(), "the child failed by itself:\n{said}");
    !ended
}

fn store(database: &TestDatabase) -> Store {
    Store::new(database.url(), ConnectSettings::default(), PoolSettings::default())
}

async fn synced(database: &TestDatabase) -> Dump {
    store(database).sync().await.unwrap();
    let mut dump = Dump::read(database).await;
    dump.0.remove("freezer_sync_lock");
    dump
}

/// The upgrades of these layouts have the most kinds of steps.
#[test]
fn layout_a_killed_after_any_statement_ends_with_the_same_data() {
    killed_after_any_statement("a-7.0.0");
}

#[test]
fn layout_c1_killed_after_any_statement_ends_with_the_same_data() {
    killed_after_any_statement("c1-15.0.0");
}

#[test]
fn layout_e_killed_after_any_statement_ends_with_the_same_data() {
    killed_after_any_statement("e-7.2.0-latin1");
}

/// Repeats this for an old dump that was loaded into an upgraded and changed database.
#[test]
fn a_killed_upgrade_of_a_reloaded_dump_ends_with_the_same_data() {
    let sql = dump_of("f-16.0.0.");
    let over = dump::dropping(Engine::MariaDb, &sql);
    let mut expected = None;
    support::with_database(Engine::MariaDb, "crash_none", |runtime, database| {
        expected = Some(runtime.block_on(support::bounded(async {
            database.run(&sql).await;
            synced(database).await
        })));
    });
    let Some(expected) = expected else { return };
    // Only every third statement is tested, because each case needs two upgrades before it.
    for after in (1..ENOUGH).step_by(3) {
        let mut was_killed = true;
        support::with_database(Engine::MariaDb, "crash", |runtime, database| {
            runtime.block_on(support::bounded(async {
                database.run(&sql).await;
                synced(database).await;
                database.run("UPDATE job_actions SET action_id = (SELECT MIN(id) FROM actions)").await;
                database.run("UPDATE freezer_leftovers SET value = 'stale'").await;
                database.run(&over).await;
            }));
            was_killed = killed(database, after);
            let got = runtime.block_on(support::bounded(synced(database)));
            assert_eq!(got.difference(&expected), None, "killed after statement {after}");
        });
        if !was_killed {
            assert!(after > 10, "an upgrade has more than {after} statements");
            return;
        }
    }
    panic!("the upgrade does not end");
}

#[test]
fn many_jobs_killed_between_batches_end_with_the_same_data() {
    let sql = dump_of("f-18.0.0.") + &many_jobs::seed();
    let mut expected = None;
    let mut batches = Vec::new();
    support::with_database(Engine::MariaDb, "crash_none", |runtime, database| {
        runtime.block_on(support::bounded(async {
            database.run(&sql).await;
            let mut statements = 0;
            let options = SyncOptions { wishes: Wishes::default(), wait: Duration::ZERO, holder: holder() };
            let store = store(database);
            let done = store.sync_with(&options, |progress| {
                statements += 1;
                if progress.rows.is_some() && progress.what.contains("job") {
                    batches.push(statements);
                }
            });
            done.await.unwrap();
            expected = Some(synced(database).await);
        }));
    });
    let Some(expected) = expected else { return };
    many_jobs::assert_moved(&expected, false);
    assert!(batches.len() > 2, "{batches:?}");
    for after in batches {
        assert!(ends_the_same("f-18.0.0 with many jobs", &sql, after, &expected), "nothing died");
    }
}

fn dump_of(shape: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../freezer-store/tests/shapes");
    let path = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(shape) && name.ends_with(".mysql.sql")
        })
        .unwrap_or_else(|| panic!("no shape {shape}"));
    std::fs::read_to_string(path).unwrap()
}

/// Kills an upgrade after a statement and runs another sync. Returns false if the upgrade finished earlier.
fn ends_the_same(shape: &str, sql: &str, after: u32, expected: &Dump) -> bool {
    let mut was_killed = true;
    support::with_database(Engine::MariaDb, "crash", |runtime, database| {
        runtime.block_on(support::bounded(database.run(sql)));
        was_killed = killed(database, after);
        let got = runtime.block_on(support::bounded(synced(database)));
        if let Some(difference) = got.difference(expected) {
            panic!("{shape}: killed after statement {after}: {difference}");
        }
    });
    was_killed
}

fn killed_after_any_statement(shape: &str) {
    let sql = dump_of(shape);
    let mut expected = None;
    support::with_database(Engine::MariaDb, "crash_none", |runtime, database| {
        expected = Some(runtime.block_on(support::bounded(async {
            database.run(&sql).await;
            synced(database).await
        })));
    });
    let Some(expected) = expected else { return };
    for after in 1..ENOUGH {
        if !ends_the_same(shape, &sql, after, &expected) {
            assert!(after > 10, "{shape}: an upgrade has more than {after} statements");
            return;
        }
    }
    panic!("{shape}: the upgrade does not end");
}
