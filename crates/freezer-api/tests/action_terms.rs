//! Searches for jobs by the terms of their actions (`docs/adr/0014-terms-of-actions.md`). Searches must find the right
//! jobs for all rows, whichever service wrote them. If the helper table has lost rows, it must be filled again or must
//! not be used.
//!
//! `pushed_search.rs` tests the results of searches in general, and `search_terms.rs` tests the terms of backups.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod support;

use std::time::Duration;

use freezer_store::maintenance::{Purge, Verdict};
use freezer_store::migrations::{RowMove, SchemaError, StepAction, Synced, Wishes};
use freezer_store::query::{Page, jobs};
use freezer_store::{ConnectSettings, PoolSettings, Scope, Search, Store, StoreError, Timestamp, read};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use support::documents::{freezer_action, job, with};
use support::{Engine, TestApp, TestDatabase, on_both_engines};

on_both_engines![
    random_rows_are_found_as_they_are_meant,
    every_write_of_the_service_makes_terms,
    a_change_behind_the_back_is_found,
    a_sync_makes_what_is_missing_and_what_was_lost,
    a_table_of_another_program_is_refused,
    a_purge_removes_the_terms_of_actions,
    a_new_action_with_the_id_of_a_deleted_one_has_only_its_own_terms,
    a_table_of_terms_without_its_key_is_made_again,
    rows_that_do_not_match_the_actions_are_repaired,
    an_emptied_table_is_noticed_by_the_next_search,
    a_restore_of_actions_alone_is_repaired,
];

const IDENTITY: &[&str] = &["client_id", "job_id", "session_id", "project_id", "user_id"];

/// Returns the ids of the jobs that a search finds.
async fn found(app: &TestApp, search: Value) -> Vec<String> {
    let page =
        app.member().search("/v2/p1/jobs?limit=100", json!({"match": [search]})).await.expect(200).json();
    let mut ids: Vec<String> = page["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["description"].as_str().unwrap_or_default().to_owned())
        .collect();
    ids.sort();
    ids
}

/// Returns whether a sync would create terms.
async fn is_pending(store: &Store) -> bool {
    let steps = store.plan(Wishes::default()).await.unwrap().steps;
    let makes = |action: &StepAction| {
        matches!(action, StepAction::MoveRows(RowMove::ActionTerms | RowMove::RepairActionTerms(_)))
    };
    steps.iter().any(|step| makes(&step.action))
}

/// Starts another service on the database.
fn restarted(database: &TestDatabase) -> TestApp {
    TestApp::on(database, Store::new(database.url(), ConnectSettings::default(), PoolSettings::default()))
}

/// Stores a job of client c1 with one action for each definition.
async fn add(app: &TestApp, name: &str, definitions: &[Value]) -> String {
    let actions: Vec<Value> = definitions.iter().map(|more| action_with(more.clone())).collect();
    let document = with(job("c1"), json!({"description": name, "job_actions": actions}));
    app.member().add_job("p1", document).await
}

fn action_with(more: Value) -> Value {
    json!({"freezer_action": with(freezer_action(), more)})
}

async fn with_client(app: &TestApp) {
    app.member().add_client("p1", "c1").await;
}

async fn every_write_of_the_service_makes_terms(app: TestApp) {
    with_client(&app).await;
    let nested = json!({"deep": [{"note": "naïve ☕", "level": 2.0}], "flag": true, "none": null});
    let id = add(&app, "a", &[json!({"container": "red"}), nested]).await;
    add(&app, "b", &[json!({"container": "blue"})]).await;
    app.store().explain();
    for (search, expected) in [
        (json!({"note": "naïve ☕"}), vec!["a"]),
        (json!({"level": 2}), vec!["a"]),
        (json!({"flag": 1}), vec!["a"]),
        (json!({"none": null}), vec!["a"]),
        (json!({"container": "red"}), vec!["a"]),
        (json!({"container": "red", "level": 2}), vec!["a"]),
        (json!({"container": "blue", "level": 2}), vec![]),
        (json!({"container": "green"}), vec![]),
        (json!({"deep": [{"level": 2, "note": "naïve ☕"}]}), vec!["a"]),
        (json!({"mandatory": false}), vec!["a", "b"]),
        (json!({"action": "backup"}), vec!["a", "b"]),
    ] {
        assert_eq!(found(&app, search.clone()).await, expected, "{search}");
    }
    let plans = app.store().take_plans();
    assert!(plans.iter().any(|plan| plan.sql.contains("fz_action_terms")), "the table is read");
    let shown = app.member().get(&format!("/v2/p1/jobs/{id}")).await.expect(200).json();
    let first = shown["job_actions"][0]["action_id"].as_str().unwrap().to_owned();
    assert_eq!(found(&app, json!({"action_id": first})).await, ["a"]);
    let path = format!("/v2/p1/actions/{first}");
    let patch = json!({"freezer_action": {"container": "green"}});
    app.member().patch(&path, patch).await.expect(200);
    assert_eq!(found(&app, json!({"container": "green"})).await, ["a"]);
    assert_eq!(found(&app, json!({"container": "red"})).await.len(), 0);
    app.member().delete(&path).await.expect(204);
    assert_eq!(found(&app, json!({"container": "green"})).await.len(), 0);
    let many: serde_json::Map<String, Value> = (0..300).map(|n| (format!("key-{n}"), json!(n))).collect();
    add(&app, "many", &[Value::Object(many)]).await;
    assert_eq!(found(&app, json!({"key-299": 299})).await, ["many"]);
    assert!(!is_pending(app.store()).await, "nothing was written without terms");
}

async fn a_change_behind_the_back_is_found(app: TestApp) {
    with_client(&app).await;
    add(&app, "a", &[json!({"container": "red", "extra": "old"})]).await;
    let run = async |sql: &str| app.database().run(sql).await;
    for (change, search) in [
        ("UPDATE actions SET container = 'blue'", json!({"container": "blue"})),
        (
            "UPDATE actions SET backup_metadata = '{\"extra\": \"new\", \"extra\": 7}'",
            json!({"extra": "new"}),
        ),
        ("UPDATE actions SET backup_metadata = '{\"extra\": \"x\"} broken'", json!({"container": "blue"})),
        ("UPDATE actions SET mandatory = 1", json!({"mandatory": true})),
        ("UPDATE actions SET timeout = 77", json!({"timeout": 77})),
        ("UPDATE actions SET log_file = NULL, path_to_backup = '/ä'", json!({"path_to_backup": "/ä"})),
    ] {
        run(change).await;
        assert_eq!(found(&app, search.clone()).await, ["a"], "{change}");
        assert!(is_pending(app.store()).await, "{change}");
        app.store().sync().await.unwrap();
        assert!(!is_pending(app.store()).await, "{change}, filled");
        assert_eq!(found(&app, search).await, ["a"], "{change}, filled");
    }
    assert_eq!(found(&app, json!({"container": "red"})).await.len(), 0);
    // The Python service deletes the row, and an operator restores it.
    run("UPDATE actions SET deleted = 1").await;
    assert_eq!(found(&app, json!({"container": "blue"})).await.len(), 0);
    run("UPDATE actions SET deleted = 0").await;
    assert_eq!(found(&app, json!({"container": "blue"})).await, ["a"]);
    // The key occurs in the schedule, in every spelling.
    for schedule in [
        "{\"container\": \"gray\"}",
        "{\"event\": \"\", \"container\" : \"gray\"}",
        "{\"event\":\"\",\"\\u0063ontainer\":\"gray\"}",
        "{\"status\": [{\"container\": \"gray\"}]}",
        "{\"status\":\"\",\"container\"\\n:\"gray\"}",
    ] {
        let literal = match app.database().engine() {
            Engine::Sqlite => schedule.replace("\\n", "\n"),
            Engine::MariaDb | Engine::MySql => schedule.replace("\\u", "\\\\u"),
        };
        run(&format!("UPDATE jobs SET schedule = '{literal}'")).await;
        assert_eq!(found(&app, json!({"container": "gray"})).await, ["a"], "{schedule}");
    }
}

async fn a_sync_makes_what_is_missing_and_what_was_lost(app: TestApp) {
    with_client(&app).await;
    for name in ["a", "b"] {
        add(&app, name, &[json!({"container": name})]).await;
    }
    let searches = async |app: &TestApp, when: &str| {
        assert_eq!(found(app, json!({"container": "b"})).await, ["b"], "{when}");
        assert_eq!(found(app, json!({"container": "c"})).await.len(), 0, "{when}");
    };
    let filled = async |app: &TestApp, when: &str| {
        assert!(is_pending(app.store()).await, "{when}");
        assert_eq!(app.store().sync().await.unwrap(), Synced::Upgraded { left_out: Vec::new() }, "{when}");
        assert_eq!(app.store().sync().await.unwrap(), Synced::AlreadyCurrent, "{when}");
        searches(&restarted(app.database()), when).await;
    };
    for lost in ["DELETE FROM fz_action_terms", "DROP TABLE fz_action_terms"] {
        app.database().run(lost).await;
        // A service that used the table notices that it is missing.
        let first = app.member().search("/v2/p1/jobs", json!({"match": [{"container": "b"}]})).await;
        assert!([200, 503].contains(&first.status.as_u16()), "{lost}: {}", first.status);
        searches(&app, lost).await;
        searches(&restarted(app.database()), lost).await;
        filled(&app, lost).await;
    }
    app.database().run("DELETE FROM fz_action_terms WHERE term > 0").await;
    filled(&app, "some rows lost").await;
    let check = app.store().check().await.unwrap();
    assert!(check.iter().all(|check| check.verdict < Verdict::Failure), "{check:?}");
    let drop = match app.database().engine() {
        Engine::Sqlite => {
            "DROP TRIGGER fz_actions_terms; DROP INDEX fz_actions_stale; ALTER TABLE actions DROP COLUMN fz_terms; \
             ALTER TABLE actions DROP COLUMN fz_terms_crc; DROP INDEX fz_jobs_unusual; DROP TABLE fz_action_terms"
        }
        Engine::MariaDb | Engine::MySql => {
            "ALTER TABLE actions DROP INDEX fz_actions_stale, DROP COLUMN fz_terms_stale, DROP COLUMN fz_terms, \
             DROP COLUMN fz_terms_crc; ALTER TABLE jobs DROP INDEX fz_jobs_unusual, DROP COLUMN fz_unusual; \
             DROP TABLE fz_action_terms"
        }
    };
    app.database().run(drop).await;
    let without = restarted(app.database());
    without.store().check_schema().await.expect("it is served as it is");
    // The ids of a restarted test service start at the beginning, so only the first service writes. It notices that the
    // columns are missing.
    let _ = app.member().search("/v2/p1/jobs", json!({"match": [{"container": "b"}]})).await;
    add(&app, "d", &[json!({"container": "d"})]).await;
    searches(&without, "without").await;
    filled(&app, "without").await;
    let with = restarted(app.database());
    assert_eq!(found(&with, json!({"container": "d"})).await, ["d"]);
    // A service that was started earlier does not use the new table for some seconds.
    assert_eq!(found(&without, json!({"container": "d"})).await, ["d"]);
    add(&app, "e", &[json!({"container": "e"})]).await;
    assert_eq!(found(&with, json!({"container": "e"})).await, ["e"]);
}

async fn a_table_of_another_program_is_refused(app: TestApp) {
    with_client(&app).await;
    for (table, reason) in [
        ("CREATE TABLE fz_action_terms (id INT PRIMARY KEY, note VARCHAR(9))", "its columns are"),
        (
            "CREATE TABLE fz_action_terms (term BIGINT PRIMARY KEY, action_id VARCHAR(36))",
            "its columns are (term bigint, action_id varchar)",
        ),
    ] {
        app.database().run(&format!("DROP TABLE fz_action_terms; {table}")).await;
        let refused = [
            app.store().sync().await.map(|_| ()),
            app.store().check_schema().await,
            app.store().removable().await.map(|_| ()),
        ];
        for result in refused {
            let Err(StoreError::Schema(error @ SchemaError::WrongHelper { .. })) = result else {
                panic!("{table}: {result:?}")
            };
            let text = error.to_string();
            assert!(text.contains(reason) && text.contains("db sync"), "{text}");
        }
        let check = app.store().check().await.unwrap();
        assert_eq!((check.len(), check[0].verdict), (1, Verdict::Failure), "{check:?}");
        // The running service notices this and stops using the table.
        let _ = app.member().search("/v2/p1/jobs", json!({"match": [{"container": "b"}]})).await;
        add(&app, reason, &[json!({"container": reason})]).await;
        assert_eq!(found(&app, json!({"container": reason})).await, [reason]);
    }
    app.database().run("DROP TABLE fz_action_terms").await;
    app.store().sync().await.unwrap();
    assert!(!is_pending(app.store()).await);
}

/// The rows of the table can be stored twice without its key. They are made of the actions again.
async fn a_table_of_terms_without_its_key_is_made_again(app: TestApp) {
    with_client(&app).await;
    add(&app, "a", &[json!({"container": "a"})]).await;
    let rows = "SELECT COUNT(*) FROM fz_action_terms";
    let number = app.database().number(rows).await;
    for key in ["", ", PRIMARY KEY (term, action_id)"] {
        app.database()
            .run(&format!(
                "CREATE TABLE copied (term BIGINT NOT NULL, project_id VARCHAR(36) NOT NULL, \
                 action_id VARCHAR(36) NOT NULL{key}); INSERT INTO copied SELECT * FROM fz_action_terms; \
                 DROP TABLE fz_action_terms; ALTER TABLE copied RENAME TO fz_action_terms"
            ))
            .await;
        if key.is_empty() {
            app.database().run("INSERT INTO fz_action_terms SELECT * FROM fz_action_terms").await;
        }
        let Err(StoreError::Schema(error @ SchemaError::WrongKeys { .. })) = app.store().check_schema().await
        else {
            panic!("{key}")
        };
        assert!(error.to_string().contains("fz_action_terms") && error.needs_sync(), "{error}");
        let checks = app.store().check().await.unwrap();
        let check = checks.iter().find(|check| check.name == "keys").unwrap();
        assert_eq!(check.verdict, Verdict::Failure, "{check:?}");
        app.store().sync().await.unwrap();
        assert_eq!(app.store().sync().await.unwrap(), Synced::AlreadyCurrent, "{key}");
        assert_eq!(app.database().number(rows).await, number, "{key}");
        assert_eq!(found(&restarted(app.database()), json!({"container": "a"})).await, ["a"], "{key}");
    }
}

/// A POST can reuse the id of a deleted action of the project.
async fn a_new_action_with_the_id_of_a_deleted_one_has_only_its_own_terms(app: TestApp) {
    with_client(&app).await;
    let member = app.member();
    let action = |id: &str, more: Value| with(action_with(more), json!({"action_id": id}));
    let ids = ["one", "two", "three"];
    for id in ids {
        let old = json!({"container": "old", "log_file": "only here", "kept": true});
        member.post("/v2/p1/actions", action(id, old)).await.expect(201);
        member.delete(&format!("/v2/p1/actions/{id}")).await.expect(204);
    }
    let new = [
        json!({"container": "new", "kept": true}),
        json!({"container": "new"}),
        json!({"container": "old", "log_file": "only here", "kept": true, "more": 1}),
    ];
    for (id, new) in ids.into_iter().zip(&new) {
        member.post("/v2/p1/actions", action(id, new.clone())).await.expect(201);
        assert_eq!(finding(app.store()).await, 0, "{new}: the write leaves the terms exact");
    }
    assert!(!is_pending(app.store()).await);
    assert_eq!(app.store().sync().await.unwrap(), Synced::AlreadyCurrent);
    for id in ids {
        let actions = json!([{"action_id": id}]);
        let job = with(job("c1"), json!({"description": id, "job_actions": actions}));
        member.add_job("p1", job).await;
    }
    for (search, expected) in [
        (json!({"container": "new"}), vec!["one", "two"]),
        (json!({"container": "old"}), vec!["three"]),
        (json!({"log_file": "only here"}), vec!["three"]),
        (json!({"kept": true}), vec!["one", "three"]),
        (json!({"more": 1}), vec!["three"]),
    ] {
        assert_eq!(found(&app, search.clone()).await, expected, "{search}");
    }
    assert_eq!(finding(app.store()).await, 0);
}

async fn a_purge_removes_the_terms_of_actions(app: TestApp) {
    with_client(&app).await;
    add(&app, "a", &[json!({"container": "red"})]).await;
    let kept = app.database().number("SELECT COUNT(*) FROM fz_action_terms").await;
    let id = add(&app, "b", &[json!({"container": "blue"})]).await;
    let shown = app.member().get(&format!("/v2/p1/jobs/{id}")).await.expect(200).json();
    let action = shown["job_actions"][0]["action_id"].as_str().unwrap().to_owned();
    app.member().delete(&format!("/v2/p1/jobs/{id}")).await.expect(204);
    app.member().delete(&format!("/v2/p1/actions/{action}")).await.expect(204);
    let purge = Purge {
        before: Timestamp(app.now() + 10),
        now: Timestamp(app.now()),
        tables: Vec::new(),
        batch: 2,
        pause: Duration::ZERO,
        dry_run: false,
    };
    app.store().purge(&purge, |_| {}).await.unwrap();
    assert_eq!(app.database().number("SELECT COUNT(*) FROM fz_action_terms").await, kept);
    assert_eq!(found(&app, json!({"container": "red"})).await, ["a"]);
    assert!(!is_pending(app.store()).await);
}

/// Returns the number of rows in the finding of `db check` about the table.
async fn finding(store: &Store) -> u64 {
    let checks = store.check().await.unwrap();
    let check = checks.iter().find(|check| check.name == "action_terms").unwrap();
    assert_eq!(check.verdict == Verdict::Warning, check.count > 0, "{check:?}");
    assert_eq!(check.advice.is_some_and(|advice| advice.contains("db sync")), check.count > 0, "{check:?}");
    check.count
}

async fn rows_that_do_not_match_the_actions_are_repaired(app: TestApp) {
    with_client(&app).await;
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        add(&app, name, &[json!({"container": name}), json!({"log_file": name, "é": name})]).await;
    }
    assert_eq!(finding(app.store()).await, 0);
    let rows = "SELECT COUNT(*) FROM fz_action_terms";
    let action = "SELECT MIN(id) FROM actions";
    let cases = [
        // Rows are missing, are superfluous, or both in equal number.
        "DELETE FROM fz_action_terms WHERE term > 0".to_owned(),
        format!("DELETE FROM fz_action_terms WHERE action_id = ({action})"),
        "DELETE FROM fz_action_terms WHERE term = (SELECT * FROM (SELECT MIN(term) FROM fz_action_terms WHERE term <> -1) AS t)"
            .to_owned(),
        "DELETE FROM fz_action_terms".to_owned(),
        "INSERT INTO fz_action_terms VALUES (7, 'p1', 'gone')".to_owned(),
        format!("INSERT INTO fz_action_terms SELECT 7, 'p1', id FROM actions WHERE id = ({action})"),
        format!("UPDATE fz_action_terms SET term = term + 1 WHERE action_id = ({action})"),
        format!("UPDATE fz_action_terms SET term = -term - 2 WHERE action_id = ({action})"),
        format!("UPDATE fz_action_terms SET project_id = 'p2' WHERE action_id = ({action})"),
        format!("UPDATE fz_action_terms SET action_id = 'gone' WHERE action_id = ({action})"),
        "UPDATE fz_action_terms SET action_id = SUBSTR(action_id, 2) WHERE action_id <> ''; DELETE FROM fz_action_terms WHERE term = -1".to_owned(),
        "UPDATE actions SET fz_terms = NULL".to_owned(),
    ];
    let number = app.database().number(rows).await;
    for case in cases {
        app.database().run(&case).await;
        assert!(finding(app.store()).await > 0, "{case}");
        assert!(is_pending(app.store()).await, "{case}");
        assert_eq!(app.store().sync().await.unwrap(), Synced::Upgraded { left_out: Vec::new() }, "{case}");
        assert_eq!(app.store().sync().await.unwrap(), Synced::AlreadyCurrent, "{case}");
        assert_eq!(finding(app.store()).await, 0, "{case}");
        assert_eq!(app.database().number(rows).await, number, "{case}");
        for name in names {
            assert_eq!(found(&app, json!({"container": name})).await, [name], "{case}");
            assert_eq!(found(&app, json!({"é": name})).await, [name], "{case}");
        }
    }
    // One action is deleted, and one belongs to another project.
    app.database()
        .run(&format!("UPDATE actions SET project_id = 'p2' WHERE id = (SELECT * FROM ({action}) AS a)"))
        .await;
    app.store().sync().await.unwrap();
    assert_eq!(app.store().sync().await.unwrap(), Synced::AlreadyCurrent, "another project");
    let listed = "SELECT COUNT(*) FROM fz_action_terms WHERE project_id = 'p2'";
    assert!(app.database().number(listed).await > 5);
    let unchecked = match app.database().engine() {
        Engine::Sqlite => "PRAGMA foreign_keys = OFF",
        Engine::MariaDb | Engine::MySql => "SET foreign_key_checks = 0",
    };
    app.database().run(&format!("{unchecked}; DELETE FROM actions WHERE project_id = 'p2'")).await;
    assert!(finding(app.store()).await > 0);
    app.store().sync().await.unwrap();
    assert_eq!(app.database().number(listed).await, 0);
    assert_eq!(app.store().sync().await.unwrap(), Synced::AlreadyCurrent);
}

async fn an_emptied_table_is_noticed_by_the_next_search(app: TestApp) {
    with_client(&app).await;
    add(&app, "a", &[json!({"container": "a"})]).await;
    app.store().explain();
    assert_eq!(found(&app, json!({"container": "a"})).await, ["a"]);
    let empty = match app.database().engine() {
        Engine::Sqlite => "DELETE FROM fz_action_terms",
        Engine::MariaDb | Engine::MySql => "TRUNCATE fz_action_terms",
    };
    app.database().run(empty).await;
    add(&app, "b", &[json!({"container": "b"})]).await;
    for name in ["a", "b"] {
        assert_eq!(found(&app, json!({"container": name})).await, [name], "emptied");
    }
    app.store().sync().await.unwrap();
    app.store().take_plans();
    for name in ["a", "b"] {
        assert_eq!(found(&app, json!({"container": name})).await, [name], "filled");
    }
    let plans = app.store().take_plans();
    assert!(
        plans.iter().any(|plan| plan.sql.contains("fz_action_terms") && plan.sql.contains("job_actions"))
    );
}

/// The rows of `actions` are restored from an earlier time, together with the checksums of their terms. The table of
/// the terms is not restored.
async fn a_restore_of_actions_alone_is_repaired(app: TestApp) {
    with_client(&app).await;
    let id = add(&app, "a", &[json!({"container": "old", "extra": "old"})]).await;
    add(&app, "b", &[json!({"container": "other"})]).await;
    app.database().run("CREATE TABLE saved AS SELECT * FROM actions").await;
    let shown = app.member().get(&format!("/v2/p1/jobs/{id}")).await.expect(200).json();
    let action = shown["job_actions"][0]["action_id"].as_str().unwrap().to_owned();
    let patch = json!({"freezer_action": {"container": "new", "extra": "new"}});
    app.member().patch(&format!("/v2/p1/actions/{action}"), patch).await.expect(200);
    let columns = ["container", "backup_metadata", "fz_terms", "fz_terms_crc"];
    let restored =
        columns.map(|name| format!("{name} = (SELECT saved.{name} FROM saved WHERE saved.id = actions.id)"));
    app.database().run(&format!("UPDATE actions SET {}", restored.join(", "))).await;
    assert!(finding(app.store()).await > 0);
    app.store().sync().await.unwrap();
    for (search, expected) in [("old", vec!["a"]), ("new", vec![]), ("other", vec!["b"])] {
        assert_eq!(found(&app, json!({"container": search})).await, expected, "{search}");
    }
    assert_eq!(found(&app, json!({"extra": "old"})).await, ["a"]);
    assert_eq!(app.store().sync().await.unwrap(), Synced::AlreadyCurrent);
    if app.database().engine() == Engine::Sqlite {
        // No trigger notices the change, and the checksum is that of the previous row.
        let columns = app.database().texts("SELECT name FROM pragma_table_info('actions')").await;
        let changed: Vec<String> = columns
            .iter()
            .map(|name| if name == "container" { "'replaced'".to_owned() } else { name.clone() })
            .collect();
        let replace = format!(
            "REPLACE INTO actions ({}) SELECT {} FROM actions",
            columns.join(", "),
            changed.join(", ")
        );
        app.database().run(&format!("PRAGMA foreign_keys = OFF; {replace}")).await;
        assert!(finding(app.store()).await > 0);
        app.store().sync().await.unwrap();
        assert_eq!(found(&app, json!({"container": "replaced"})).await, ["a", "b"]);
        assert_eq!(app.store().sync().await.unwrap(), Synced::AlreadyCurrent);
    }
}

const WORDS: &[&str] = &["a", "A", "é", "", "completed", "1", "a\"b"];
const KEYS: &[&str] =
    &["mode", "container", "status", "x", "X", "é", "timeout", "action_id", "freezer_action"];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => proptest::sample::select(WORDS).prop_map(Value::from),
        1 => proptest::sample::select(vec![json!(1), json!(1.0), json!(true), json!(null), json!("actions-3")]),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::vec((proptest::sample::select(KEYS), inner), 0..3)
                .prop_map(|all| all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    proptest::collection::vec((proptest::sample::select(KEYS), value()), 0..4)
        .prop_map(|all| all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Returns statements that insert jobs of two projects. Their links lead to their own actions, to those of other jobs
/// and to those of the other project, both live and deleted.
fn rows(draw: &mut impl FnMut() -> (Value, Value, usize), jobs: usize) -> String {
    let mut sql = String::new();
    for n in 0..jobs {
        let (definition, schedule, other) = draw();
        let hex = |value: &Value| value.to_string().bytes().map(|b| format!("{b:02x}")).collect::<String>();
        let (definition, schedule) = (hex(&definition), hex(&schedule));
        let usual = "7b22737461747573223a22636f6d706c65746564227d";
        let schedule = if n % 4 == 0 { &schedule } else { usual };
        let (project, deleted) = (if n % 5 == 4 { "p2" } else { "p1" }, u8::from(n % 11 == 10));
        let time = format!("'2026-01-01 00:00:{:02}'", n / 3);
        sql.push_str(&format!(
            "INSERT INTO jobs (id, project_id, user_id, deleted, created_at, client_id, schedule) VALUES \
             ('jobs-{n}', '{project}', 'u', 0, {time}, 'c', CAST(x'{schedule}' AS CHAR));\n\
             INSERT INTO actions (id, project_id, user_id, deleted, created_at, action, container, backup_metadata) \
             VALUES ('actions-{n}', '{project}', 'u', {deleted}, {time}, 'backup', NULL, CAST(x'{definition}' AS CHAR));\n"
        ));
        for (at, action) in [n, other].into_iter().filter(|action| *action <= n).enumerate() {
            sql.push_str(&format!(
                "INSERT INTO job_actions (id, job_id, action_id, position, deleted) VALUES \
                 ('link-{n}-{at}', 'jobs-{n}', 'actions-{action}', {at}, {});\n",
                u8::from(n % 13 == 12)
            ));
        }
    }
    sql
}

async fn random_rows_are_found_as_they_are_meant(app: TestApp) {
    let mut runner = TestRunner::deterministic();
    let mut draw = |jobs: usize| {
        let all = (object(), object(), 0..jobs, proptest::sample::select(KEYS), value(), 0..4_u8);
        all.new_tree(&mut runner).unwrap().current()
    };
    const JOBS: usize = 40;
    let mut row = || {
        let (definition, schedule, other, ..) = draw(JOBS);
        (definition, schedule, other)
    };
    let first = rows(&mut row, JOBS);
    let first =
        if app.database().engine() == Engine::Sqlite { first.replace("AS CHAR", "AS TEXT") } else { first };
    app.database().run(&first).await;
    app.store().explain();
    for round in 0..3 {
        if round > 0 {
            app.store().sync().await.unwrap();
        }
        if round == 2 {
            let changes = "UPDATE actions SET container = 'a' WHERE id LIKE '%3'; \
                           UPDATE actions SET backup_metadata = '{\"x\": \"A\"}' WHERE id LIKE '%7'; \
                           UPDATE actions SET project_id = 'p2' WHERE id = 'actions-12'; \
                           UPDATE actions SET deleted = 0 WHERE id = 'actions-10'; \
                           UPDATE actions SET deleted = 1 WHERE id = 'actions-11'; \
                           UPDATE job_actions SET action_id = 'actions-1' WHERE id = 'link-20-0'";
            app.database().run(changes).await;
        }
        for scope in [Scope::project("p1"), Scope::project("p2"), Scope::AllProjects] {
            let all = listed(&app, &scope, &Search::default(), &Page::at(1_000, 0)).await;
            let mut chosen = 0;
            for _ in 0..25 {
                let (_, _, one, key, value, kind) = draw(JOBS);
                let mut matches = vec![(key.to_owned(), value)];
                let pairs = pairs_of(&all[one % all.len()].1);
                if kind > 0 && !pairs.is_empty() {
                    matches = vec![pairs[one % pairs.len()].clone()];
                    matches.extend((kind == 3).then(|| pairs[(one * 7) % pairs.len()].clone()));
                }
                let search = Search { matches, ..Search::default() };
                chosen += usize::from(agrees(&app, &scope, &search, &all).await);
            }
            assert!(chosen > 3, "{scope:?}: {chosen} searches choose among the jobs");
        }
    }
    let plans = app.store().take_plans();
    assert!(plans.iter().any(|plan| plan.sql.contains("fz_action_terms")), "the table is read");
}

/// Compares pages of every kind with the results of [`Search::accepts`]. Returns whether the search finds some, but not
/// all jobs.
async fn agrees(app: &TestApp, scope: &Scope, search: &Search, all: &[(String, Value)]) -> bool {
    let accepted = |jobs: &[(String, Value)]| -> Vec<String> {
        let wanted = jobs.iter().filter(|(_, job)| search.accepts(job, IDENTITY));
        wanted.map(|(id, _)| id.clone()).collect()
    };
    let found = async |page: Page| -> Vec<String> {
        listed(app, scope, search, &page).await.into_iter().map(|(id, _)| id).collect()
    };
    let wanted = accepted(all);
    assert_eq!(found(Page::at(1_000, 0)).await, wanted, "{scope:?} {search:?}");
    assert_eq!(
        found(Page::at(2, 1)).await,
        wanted.iter().skip(1).take(2).cloned().collect::<Vec<_>>(),
        "{search:?}"
    );
    let mut newest = wanted.clone();
    newest.reverse();
    assert_eq!(found(Page { newest_first: true, ..Page::at(1_000, 0) }).await, newest, "{search:?}");
    let at = all.len() / 2;
    let page = Page { marker: Some(all[at].0.clone()), ..Page::at(1_000, 0) };
    assert_eq!(found(page.clone()).await, accepted(&all[at + 1..]), "{search:?}");
    let mut before = accepted(&all[..at]);
    before.reverse();
    assert_eq!(found(Page { newest_first: true, ..page }).await, before, "{search:?}");
    let counting = Page { count: true, ..Page::at(1, 0) };
    let counted = read!(app.store(), "t", |db| jobs::list(db, scope, search, &counting).await);
    assert_eq!(counted.map(|page| page.count).unwrap(), Some(wanted.len() as u64), "{search:?}");
    !wanted.is_empty() && wanted.len() < all.len()
}

async fn listed(app: &TestApp, scope: &Scope, search: &Search, page: &Page) -> Vec<(String, Value)> {
    let found = read!(app.store(), "t", |db| jobs::list(db, scope, search, page).await);
    let documents = found.unwrap().documents;
    documents.iter().map(|job| (job.job_id.clone(), serde_json::to_value(job).unwrap())).collect()
}

fn pairs_of(document: &Value) -> Vec<(String, Value)> {
    match document {
        Value::Object(map) => {
            let inner = map.values().flat_map(pairs_of);
            map.iter().map(|(key, value)| (key.clone(), value.clone())).chain(inner).collect()
        }
        Value::Array(items) => items.iter().flat_map(pairs_of).collect(),
        _ => Vec::new(),
    }
}
