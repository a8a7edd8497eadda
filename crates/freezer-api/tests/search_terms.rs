//! Search terms of backups (docs/adr/0004). Searches must find rows with outdated terms, without terms, and in a table
//! without the column. `db sync` must create the missing terms.
//!
//! `pushed_search.rs` tests the results of searches in general, and `plans.rs` tests the use of the index.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod support;

use std::time::Duration;

use freezer_store::migrations::{RowMove, StepAction, Synced, Wishes};
use freezer_store::{ConnectSettings, PoolSettings, Store};
use serde_json::{Value, json};
use support::documents::{backup, with};
use support::{Engine, TestApp, TestDatabase, on_both_engines};

on_both_engines![
    every_write_of_the_service_makes_terms,
    a_change_behind_the_back_is_found_by_its_new_value,
    a_sync_makes_what_is_missing,
    tables_without_terms_are_served,
    a_time_changed_behind_the_back_is_found,
    a_sync_makes_the_times_of_an_earlier_release,
];

/// Returns the names of the backups that a search finds. The name is "" if a backup has none.
async fn found(app: &TestApp, search: Value) -> Vec<String> {
    let member = app.member();
    let page = member.search("/v2/p1/backups?limit=100", json!({"match": [search]})).await.expect(200).json();
    let name =
        |backup: &Value| backup["backup_metadata"]["backup_name"].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<String> = page["backups"].as_array().unwrap().iter().map(name).collect();
    names.sort();
    names
}

/// Returns the pending actions of a sync for terms.
async fn pending(store: &Store) -> Vec<StepAction> {
    let steps = store.plan(Wishes::default()).await.unwrap().steps;
    steps
        .into_iter()
        .map(|step| step.action)
        .filter(|action| *action == StepAction::MoveRows(RowMove::BackupTerms))
        .collect()
}

/// Starts another service on the database.
fn restarted(database: &TestDatabase) -> TestApp {
    TestApp::on(database, Store::new(database.url(), ConnectSettings::default(), PoolSettings::default()))
}

async fn every_write_of_the_service_makes_terms(app: TestApp) {
    let member = app.member();
    let nested = json!({"deep": [{"note": "naïve ☕", "level": 2.0}], "flag": true, "none": null});
    let id = member.add_backup("p1", with(backup("a"), nested)).await;
    member.add_backup("p1", backup("b")).await;
    for (search, expected) in [
        (json!({"note": "naïve ☕"}), vec!["a"]),
        (json!({"level": 2}), vec!["a"]),
        (json!({"flag": 1}), vec!["a"]),
        (json!({"none": null}), vec!["a"]),
        (json!({"deep": [{"level": 2, "note": "naïve ☕"}]}), vec!["a"]),
        (json!({"deep": []}), vec![]),
        (json!({"status": "available"}), vec!["a", "b"]),
        (json!({"backup_name": "b"}), vec!["b"]),
        (json!({"backup_name": "c"}), vec![]),
    ] {
        assert_eq!(found(&app, search.clone()).await, expected, "{search}");
    }
    let path = format!("/v2/p1/backups/{id}");
    member.patch(&path, json!({"backup_metadata": {"note": "other"}, "status": "error"})).await.expect(200);
    assert_eq!(found(&app, json!({"note": "other"})).await, ["a"]);
    assert_eq!(found(&app, json!({"status": "error"})).await, ["a"]);
    let many: serde_json::Map<String, Value> = (0..300).map(|n| (format!("key-{n}"), json!(n))).collect();
    member.add_backup("p1", with(backup("many"), Value::Object(many))).await;
    assert_eq!(found(&app, json!({"key-299": 299})).await, ["many"]);
    assert_eq!(pending(app.store()).await, [], "nothing was written without terms");
}

async fn a_change_behind_the_back_is_found_by_its_new_value(app: TestApp) {
    let member = app.member();
    let id = member.add_backup("p1", with(backup("a"), json!({"color": "red"}))).await;
    let changed = format!(
        "UPDATE backups SET backup_metadata = '{{\"backup_name\": \"a\", \"color\": \"blue\"}}' WHERE id = '{id}'"
    );
    app.database().run(&changed).await;
    assert_eq!(found(&app, json!({"color": "blue"})).await, ["a"]);
    assert_eq!(found(&app, json!({"color": "red"})).await.len(), 0);
    assert_eq!(pending(app.store()).await, [StepAction::MoveRows(RowMove::BackupTerms)]);
    assert_eq!(app.store().sync().await.unwrap(), Synced::Upgraded { left_out: Vec::new() });
    assert_eq!(found(&app, json!({"color": "blue"})).await, ["a"]);
    assert_eq!(found(&app, json!({"color": "red"})).await.len(), 0);
    // The metadata is changed back. The terms must be those of the current metadata.
    let path = format!("/v2/p1/backups/{id}");
    member.patch(&path, json!({"backup_metadata": {"color": "red"}})).await.expect(200);
    app.database().run(&changed).await;
    assert_eq!(found(&app, json!({"color": "blue"})).await, ["a"]);
    member.delete(&path).await.expect(204);
    assert_eq!(pending(app.store()).await, [], "a deleted row needs no terms");
}

async fn a_sync_makes_what_is_missing(app: TestApp) {
    let member = app.member();
    for n in 0..3 {
        member.add_backup("p1", with(backup(&format!("b{n}")), json!({"n": n}))).await;
    }
    app.database()
        .run(
            "UPDATE backups SET fz_search_terms = NULL, fz_search_crc = NULL; \
             INSERT INTO backups (id, project_id, user_id, deleted, status, backup_metadata) VALUES \
             ('x1', 'p1', 'u', 0, 'available', '{oops'), ('x2', 'p1', 'u', 0, 'available', NULL), \
             ('x3', 'p1', 'u', 0, 'available', '[{\"n\": 7}]'), ('x4', 'p1', 'u', 0, 'available', '')",
        )
        .await;
    let counts = async || {
        [found(&app, json!({"n": 1})).await.len(), found(&app, json!({"status": "available"})).await.len()]
    };
    let before = counts().await;
    assert_eq!(pending(app.store()).await, [StepAction::MoveRows(RowMove::BackupTerms)]);
    assert_eq!(app.store().sync().await.unwrap(), Synced::Upgraded { left_out: Vec::new() });
    assert_eq!(app.store().sync().await.unwrap(), Synced::AlreadyCurrent);
    assert_eq!(counts().await, before);
    assert_eq!(found(&app, json!({"n": 1})).await, ["b1"]);
    let list = member.search("/v2/p1/backups", json!({"match": [{"n": 7}]})).await.expect(200);
    assert_eq!(list.each("backups", "/backup_id"), ["x3"], "a list is judged by its text");
}

/// Returns the names and the number of the backups in a range of times.
async fn of_time(app: &TestApp, after: f64, before: f64) -> (Vec<String>, Value) {
    let search = json!({"time_after": after, "time_before": before});
    let path = "/v2/p1/backups?limit=100&with_count=true&sort=created_at:desc";
    let page = app.member().search(path, search).await.expect(200);
    (page.each("backups", "/backup_metadata/backup_name"), page.json()["count"].clone())
}

fn stamped(name: &str, stamp: Value) -> Value {
    with(backup(name), json!({"time_stamp": stamp}))
}

async fn a_time_changed_behind_the_back_is_found(app: TestApp) {
    let member = app.member();
    let id = member.add_backup("p1", stamped("a", json!(100))).await;
    member.add_backup("p1", stamped("b", json!(100))).await;
    assert_eq!(of_time(&app, 100.0, 100.0).await, (vec!["b".to_owned(), "a".to_owned()], json!(2)));
    // The Python service only writes the metadata.
    for (stamp, known) in
        [("300", true), ("\"300.0\"", true), ("[300]", false), ("null", false), ("3e2", true)]
    {
        let text = format!("{{\"backup_name\": \"a\", \"time_stamp\": {stamp}}}");
        app.database().run(&format!("UPDATE backups SET backup_metadata = '{text}' WHERE id = '{id}'")).await;
        let found = (if known { vec!["a".to_owned()] } else { Vec::new() }, json!(u8::from(known)));
        assert_eq!(of_time(&app, 300.0, 300.0).await, found, "{stamp}");
        assert_eq!(of_time(&app, 0.0, 200.0).await, (vec!["b".to_owned()], json!(1)), "{stamp}");
        assert_eq!(pending(app.store()).await, [StepAction::MoveRows(RowMove::BackupTerms)], "{stamp}");
        app.store().sync().await.unwrap();
        assert_eq!(of_time(&app, 300.0, 300.0).await, found, "{stamp}, filled");
        assert_eq!(of_time(&app, 0.0, 200.0).await, (vec!["b".to_owned()], json!(1)), "{stamp}, filled");
    }
    // Then this service writes it again.
    let path = format!("/v2/p1/backups/{id}");
    member.patch(&path, json!({"backup_metadata": {"time_stamp": 150}})).await.expect(200);
    assert_eq!(of_time(&app, 150.0, 1e9).await, (vec!["a".to_owned()], json!(1)));
    assert_eq!(pending(app.store()).await, []);
}

async fn a_sync_makes_the_times_of_an_earlier_release(app: TestApp) {
    let database = app.database();
    let new = restarted(database).store().plan(Wishes::default()).await.unwrap();
    assert_eq!(new.steps, []);
    for number in 0..5 {
        app.member().add_backup("p1", stamped(&format!("b{number}"), json!(number * 100))).await;
    }
    // These are the tables of a release that has terms, but no times.
    database
        .run(match database.engine() {
            Engine::Sqlite => {
                "DROP TRIGGER fz_backups_times; DROP INDEX fz_backups_project; DROP INDEX fz_backups_time; \
                 ALTER TABLE backups DROP COLUMN fz_time; ALTER TABLE backups DROP COLUMN fz_time_crc; \
                 CREATE INDEX fz_backups_project ON backups (project_id, deleted, created_at, id, status, fz_search_terms); \
                 DROP INDEX fz_jobs_poll"
            }
            Engine::MariaDb | Engine::MySql => {
                "ALTER TABLE backups DROP INDEX fz_backups_project, DROP INDEX fz_backups_time, \
                 DROP COLUMN fz_time_index, DROP COLUMN fz_time, DROP COLUMN fz_time_crc, \
                 ADD INDEX fz_backups_project (project_id, deleted, created_at, id, status, fz_search_index); \
                 ALTER TABLE jobs DROP INDEX fz_jobs_poll, DROP COLUMN fz_completed"
            }
        })
        .await;
    let old = restarted(database);
    let expected = (vec!["b3".to_owned(), "b2".to_owned()], json!(2));
    assert_eq!(of_time(&old, 200.0, 300.0).await, expected, "served as it is");
    assert_eq!(old.store().sync().await.unwrap(), Synced::Upgraded { left_out: Vec::new() });
    assert_eq!(old.store().sync().await.unwrap(), Synced::AlreadyCurrent);
    let synced = restarted(database);
    assert_eq!(of_time(&synced, 200.0, 300.0).await, expected);
    // The earlier release is still running. It writes metadata with terms, but without a time.
    let row = "UPDATE backups SET backup_metadata = '{\"backup_name\": \"late\", \"time_stamp\": 250}', \
               fz_search_terms = NULL, fz_search_crc = 7 WHERE backup_metadata LIKE '%b4%'";
    database.run(row).await;
    assert_eq!(of_time(&synced, 240.0, 260.0).await, (vec!["late".to_owned()], json!(1)));
    assert_eq!(of_time(&synced, 400.0, 400.0).await, (vec![], json!(0)));
}

async fn tables_without_terms_are_served(app: TestApp) {
    let database = app.database();
    let drop = match database.engine() {
        Engine::Sqlite => {
            "DROP TRIGGER fz_backups_search; DROP TRIGGER fz_backups_times; DROP INDEX fz_backups_project; \
             DROP INDEX fz_backups_time; ALTER TABLE backups DROP COLUMN fz_search_terms; \
             ALTER TABLE backups DROP COLUMN fz_search_crc; ALTER TABLE backups DROP COLUMN fz_time; \
             ALTER TABLE backups DROP COLUMN fz_time_crc"
        }
        Engine::MariaDb | Engine::MySql => {
            "ALTER TABLE backups DROP INDEX fz_backups_project, DROP INDEX fz_backups_time, \
             DROP COLUMN fz_search_index, DROP COLUMN fz_search_terms, DROP COLUMN fz_search_crc, \
             DROP COLUMN fz_time_index, DROP COLUMN fz_time, DROP COLUMN fz_time_crc, \
             ADD INDEX fz_backups_project (project_id, deleted, created_at, id)"
        }
    };
    database.run(drop).await;
    let without = restarted(database);
    without.store().check_schema().await.expect("it is served as it is");
    let member = without.member();
    let id = member.add_backup("p1", with(backup("a"), json!({"color": "red"}))).await;
    let path = format!("/v2/p1/backups/{id}");
    assert_eq!(found(&without, json!({"color": "red"})).await, ["a"]);
    member.patch(&path, json!({"backup_metadata": {"color": "blue"}})).await.expect(200);
    assert_eq!(found(&without, json!({"color": "blue"})).await, ["a"]);

    assert_eq!(pending(without.store()).await, [StepAction::MoveRows(RowMove::BackupTerms)]);
    assert_eq!(without.store().sync().await.unwrap(), Synced::Upgraded { left_out: Vec::new() });
    // A service that was started earlier does not use the terms for some seconds, while a new one uses them.
    let with_terms = restarted(database);
    for (color, found_now) in [("blue", 1), ("red", 0)] {
        assert_eq!(found(&with_terms, json!({"color": color})).await.len(), found_now, "{color}");
        assert_eq!(found(&without, json!({"color": color})).await.len(), found_now, "{color}");
    }
    member.patch(&path, json!({"backup_metadata": {"color": "green"}})).await.expect(200);
    member.add_backup("p1", with(backup("b"), json!({"color": "green"}))).await;
    assert_eq!(found(&with_terms, json!({"color": "green"})).await, ["a", "b"]);
    assert_eq!(found(&with_terms, json!({"color": "blue"})).await.len(), 0);
    // After this, it writes and reads them, too.
    tokio::time::sleep(Duration::from_secs(6)).await;
    without.store().sync().await.unwrap();
    member.add_backup("p1", with(backup("c"), json!({"color": "green"}))).await;
    member.patch(&path, json!({"backup_metadata": {"color": "white"}})).await.expect(200);
    assert_eq!(pending(without.store()).await, [], "nothing was written without terms");
    assert_eq!(found(&without, json!({"color": "green"})).await, ["b", "c"]);
}
