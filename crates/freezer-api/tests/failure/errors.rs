//! Each error that a database server or a file returns during a fault. It must never cause a 500, and the caller must
//! not see it if the fault ends before the deadline.
//!
//! A trigger raises the errors of the database. `freezer_store`'s `codes.rs` explains the codes.

use std::time::Duration;

use freezer_store::{PoolSettings, Store};
use serde_json::json;

use super::support::documents::backup;
use super::support::{Engine, Options, TestApp, TestDatabase, bounded, with_database};
use super::{NOTHING_CHANGED, expect_come_again, has_asked, until};

/// Makes each insert of a backup fail with the code in the table `faults`, if it contains one.
async fn add_fault(database: &TestDatabase) {
    database.run("CREATE TABLE faults (code INT NOT NULL)").await;
    database
        .run(
            "CREATE TRIGGER fault BEFORE INSERT ON backups FOR EACH ROW BEGIN DECLARE wanted INT; \
             SELECT code INTO wanted FROM faults LIMIT 1; IF wanted IS NOT NULL THEN \
             SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = wanted, MESSAGE_TEXT = 'a fault'; END IF; END",
        )
        .await;
}

async fn set(database: &TestDatabase, code: u16) {
    database.run(&format!("DELETE FROM faults; INSERT INTO faults VALUES ({code})")).await;
}

/// Codes after which a retry may succeed.
const PASSING: &[u16] = &[
    1205, 1213, 1020, 1637, 3101, 1040, 1041, 1047, 1129, 1203, 1226, 1290, 1461, 1615, 1792, 1836, 3032,
    9001, 1053, 1080, 1152, 1158, 1159, 1160, 1161, 1180, 1317, 1927, 2006, 2013, 3100, 4031,
];

/// Codes that need the help of an operator or a cheaper statement.
const LASTING: &[u16] = &[1021, 1026, 1030, 1034, 1036, 1114, 1194, 1296, 1932, 1969, 3024, 1142, 1143, 1227];

#[test]
fn temporary_errors_are_hidden_and_no_error_causes_a_500() {
    with_database(Engine::MariaDb, "codes", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let member = app.member();
            // The first backup queries which columns exist.
            let mut stored = vec![member.add_backup("p1", backup("before")).await];
            add_fault(database).await;
            for &code in PASSING {
                set(database, code).await;
                let (writer, before) = (member.clone(), app.store().statements());
                let waiting = tokio::spawn(async move { writer.post("/v2/p1/backups", backup("b")).await });
                has_asked(&app, before + 1).await;
                assert!(!waiting.is_finished(), "{code} is tried again");
                database.run("DELETE FROM faults").await;
                let answer = waiting.await.unwrap();
                assert_eq!(answer.status, 201, "{code}: {answer}");
                stored.push(answer.text("backup_id"));
            }
            let impatient = app.with_http(|http| http.request_timeout = Duration::from_millis(300)).member();
            for &code in PASSING {
                set(database, code).await;
                expect_come_again(impatient.post("/v2/p1/backups", backup("b")).await);
            }
            for &code in LASTING {
                set(database, code).await;
                // The deadline is 30 s because waiting does not help.
                let answer =
                    tokio::time::timeout(Duration::from_secs(20), member.post("/v2/p1/backups", backup("b")));
                expect_come_again(answer.await.expect("an answer at once"));
            }
            database.run("DELETE FROM faults").await;
            let mut listed =
                member.get("/v2/p1/backups?limit=1000").await.expect(200).each("backups", "/backup_id");
            listed.sort();
            stored.sort();
            assert_eq!(listed, stored, "each is stored once");
        }));
    });
}

#[test]
fn a_rejected_login_and_a_missing_database_are_reported_at_once() {
    with_database(Engine::MariaDb, "refused", |runtime, database| {
        runtime.block_on(bounded(async {
            TestApp::start(database, Options::default()).await;
            let freezer_store::DatabaseUrl::MySql(url) = database.url() else { panic!("not MySQL") };
            for wrong in [
                freezer_store::MySqlUrl { password: Some("wrong".to_owned()), ..url.clone() },
                freezer_store::MySqlUrl { database: "fz_no_such_database".to_owned(), ..url.clone() },
            ] {
                let wrong = freezer_store::DatabaseUrl::MySql(wrong);
                let app =
                    TestApp::on(database, Store::new(wrong, Default::default(), PoolSettings::default()));
                let member = app.member();
                let answer = tokio::time::timeout(Duration::from_secs(20), member.get("/v2/p1/jobs"));
                answer.await.expect("an answer at once").expect(503);
            }
        }));
    });
}

/// A file system of one megabyte. It is only available if the test may mount file systems.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(name: &str) -> Option<SmallDisk> {
        let directory = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("disk-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(&directory)
            .output()
            .is_ok_and(|output| output.status.success());
        let disk = SmallDisk(directory);
        if !mounted {
            super::support::skipped(name, "a file system cannot be mounted");
        }
        mounted.then_some(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).output();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn a_full_disk_is_reported_and_the_service_recovers() {
    let Some(disk) = SmallDisk::mount("full") else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(bounded(async {
        let url = freezer_store::DatabaseUrl::Sqlite { path: disk.0.join("freezer.db") };
        let database = TestDatabase::at(url, disk.0.join("scratch")).await;
        let app = TestApp::start(&database, Options::default()).await;
        let member = app.member();
        let id = member.add_backup("p1", backup("before")).await;
        let ballast = disk.0.join("ballast");
        let mut size = 1 << 20;
        while size > 0 {
            // This file fills the file system.
            if std::fs::write(&ballast, vec![0; size]).is_ok() {
                break;
            }
            size -= 4_096;
        }
        let mut acknowledged = vec![id.clone()];
        let mut refused = 0;
        for _ in 0..100 {
            let answer = member.post("/v2/p1/backups", backup("b")).await;
            match answer.status.as_u16() {
                201 => acknowledged.push(answer.text("backup_id")),
                _ => {
                    let text = answer.json()["description"].clone();
                    expect_come_again(answer);
                    assert_eq!(text, NOTHING_CHANGED);
                    refused += 1;
                }
            }
            if refused >= 5 {
                break;
            }
        }
        assert!(refused >= 5, "the disk was not full");
        expect_come_again(member.post("/v2/p1/clients", json!({"client_id": "node-1"})).await);
        member.get(&format!("/v2/p1/backups/{id}")).await.expect(200);
        std::fs::remove_file(&ballast).unwrap();
        acknowledged.push(member.add_backup("p1", backup("after")).await);
        let mut listed =
            member.get("/v2/p1/backups?limit=1000").await.expect(200).each("backups", "/backup_id");
        listed.sort();
        acknowledged.sort();
        assert_eq!(listed, acknowledged);
    }));
    drop(runtime);
}

#[test]
fn unreadable_files_are_reported_and_the_service_recovers() {
    with_database(Engine::Sqlite, "unopened", |runtime, database| {
        runtime.block_on(bounded(async {
            let freezer_store::DatabaseUrl::Sqlite { path } = database.url() else { panic!("not SQLite") };
            drop(TestApp::start(database, Options::default()).await);
            let log = std::path::PathBuf::from(format!("{}-wal", path.display()));
            let _ = std::fs::remove_file(&log);
            std::fs::create_dir(&log).unwrap();
            let store = Store::new(database.url(), Default::default(), PoolSettings::default());
            let app = TestApp::on(database, store).with_http(|http| *http = until(Duration::from_secs(2)));
            let member = app.member();
            expect_come_again(member.post("/v2/p1/backups", backup("b")).await);
            expect_come_again(member.get("/v2/p1/jobs").await);
            std::fs::remove_dir(&log).unwrap();
            member.add_backup("p1", backup("after")).await;
        }));
    });
}
