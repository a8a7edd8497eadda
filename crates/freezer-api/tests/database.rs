//! Compatibility of the tables with the Python service: the tables of `db sync` must match those of freezer-api 19.0.0,
//! and this service must be able to use a database that 19.0.0 created.
//!
//! `golden/schema-19.0.0.sql` contains the output of SHOW CREATE TABLE for the tables that 19.0.0 created on MariaDB
//! 10.11 in a utf8mb3 database.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod support;
#[path = "upgrade/tables.rs"]
mod tables;

use freezer_store::migrations::{HEAD, State, Synced, Wishes};
use freezer_store::{ConnectSettings, PoolSettings, Store};
use serde_json::json;
use support::{Engine, Options, TestApp, TestDatabase};
use tables::Tables;

const UPSTREAM: &str = include_str!("golden/schema-19.0.0.sql");

/// The same for SQLite, created by the released package.
const UPSTREAM_SQLITE: &str = include_str!("../../freezer-store/tests/shapes/head.sqlite.txt");

#[test]
fn the_tables_differ_from_upstream_only_by_additions() {
    for engine in [Engine::MariaDb, Engine::MySql, Engine::Sqlite] {
        support::with_database(engine, "layout", |runtime, database| {
            runtime.block_on(support::bounded(async {
                TestApp::start(database, Options::default()).await;
                let ours = Tables::read(database).await.into_upstream();
                let upstream = TestDatabase::create(engine, "upstream").await.unwrap();
                let made = match engine {
                    Engine::Sqlite => UPSTREAM_SQLITE.replace("\n\n", ";\n"),
                    _ => statements(UPSTREAM),
                };
                let store =
                    Store::new_or_create(upstream.url(), ConnectSettings::default(), PoolSettings::default());
                assert_eq!(store.schema_state().await.unwrap(), State::Empty);
                upstream.run(&made).await;
                let theirs = Tables::read(&upstream).await.into_upstream();
                upstream.remove().await;
                assert_eq!(ours.difference(&theirs), None, "{engine:?}: ours and upstream's");
            }));
        });
    }
}

fn statements(dump: &str) -> String {
    dump.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n")
}

/// Creates the tables as the Python service does.
async fn made_by_python(database: &TestDatabase) -> TestApp {
    database.run(&statements(UPSTREAM)).await;
    TestApp::on(database, Store::new(database.url(), ConnectSettings::default(), PoolSettings::default()))
}

#[test]
fn a_database_of_the_python_service_is_served_unchanged() {
    support::with_database(Engine::MariaDb, "python_made", |runtime, database| {
        runtime.block_on(support::bounded(async {
            let app = made_by_python(database).await;
            app.store().check_schema().await.expect("this release serves it");
            assert_eq!(app.store().schema_state().await.unwrap(), State::At(HEAD.to_owned()));
            let member = app.member();
            member.post("/v2/p1/clients", json!({"client_id": "n1", "hostname": "n1"})).await.expect(201);
            let job = json!({"client_id": "n1", "description": "nächtlich", "job_actions": [
                {"freezer_action": {"action": "backup", "mode": "fs", "note": "☕😀"}}]});
            let job_id = member.post("/v2/p1/jobs", job).await.expect(201).text("job_id");
            let shown = member.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200).json();
            assert_eq!(shown["description"], "nächtlich");
            assert_eq!(shown["job_actions"][0]["freezer_action"]["note"], "☕😀");
            let backup = json!({"backup_name": "b😀", "container": "c", "hostname": "n1"});
            member.post("/v2/p1/backups", backup).await.expect(201);
            let session = member.post("/v2/p1/sessions", json!({"schedule": {}})).await.expect(201);
            let session_id = session.text("session_id");
            member.put(&format!("/v2/p1/sessions/{session_id}/jobs/{job_id}")).await.expect(204);
            member.delete(&format!("/v2/p1/jobs/{job_id}")).await.expect(204);
        }));
    });
}

#[test]
fn values_that_narrower_columns_cannot_store_are_rejected_by_name() {
    support::with_database(Engine::MariaDb, "python_narrow", |runtime, database| {
        runtime.block_on(support::bounded(async {
            let app = made_by_python(database).await;
            let member = app.member();
            for (path, body, expected) in [
                (
                    "/v2/p1/clients",
                    json!({"client_id": "n1", "hostname": format!("{0}.{0}.{0}", "h".repeat(50))}),
                    "hostname: the value is longer than the column",
                ),
                (
                    "/v2/p1/clients",
                    json!({"client_id": "n1", "description": "😀"}),
                    "description: the value has a character (such as an emoji)",
                ),
                (
                    "/v2/p1/backups",
                    json!({"backup_name": "b", "container": "c", "hostname": "h", "x": "x".repeat(70_000)}),
                    "backup_metadata: the value is longer than the column",
                ),
            ] {
                let refused = member.post(path, body).await.expect(400).description();
                assert!(refused.starts_with(expected), "{refused}");
            }
            let nothing = member.get("/v2/p1/clients").await.expect(200);
            assert_eq!(nothing.json(), json!({"clients": []}));
        }));
    });
}

#[test]
fn a_row_with_unreadable_json_is_shown_empty_and_can_be_changed() {
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        support::with_database(engine, "unreadable", |runtime, database| {
            runtime.block_on(support::bounded(async {
                let app = TestApp::start(database, Options::default()).await;
                let member = app.member();
                member.post("/v2/p1/clients", json!({"client_id": "n1"})).await.expect(201);
                for id in ["good", "bad"] {
                    let job = json!({"job_id": id, "client_id": "n1", "job_actions": []});
                    member.post("/v2/p1/jobs", job).await.expect(201);
                }
                database.run("UPDATE jobs SET schedule = '{oops' WHERE id = 'bad'").await;
                let list = member.get("/v2/p1/jobs").await.expect(200).json();
                assert_eq!([&list["jobs"][0]["job_id"], &list["jobs"][1]["job_id"]], ["bad", "good"]);
                assert_eq!(list["jobs"][0]["job_schedule"], json!({"event": ""}));
                member.patch("/v2/p1/jobs/bad", json!({"description": "x"})).await.expect(200);
                let job = member.get("/v2/p1/jobs/bad").await.expect(200).json();
                assert_eq!((&job["description"], &job["job_schedule"]), (&json!("x"), &json!({"event": ""})));
            }));
        });
    }
}

#[test]
fn an_index_with_another_definition_is_replaced() {
    for engine in [Engine::MariaDb, Engine::MySql, Engine::Sqlite] {
        support::with_database(engine, "indexes", |runtime, database| {
            runtime.block_on(support::bounded(async {
                let app = TestApp::start(database, Options::default()).await;
                let right = Tables::read(database).await;
                let former = match engine {
                    Engine::Sqlite => {
                        "DROP INDEX fz_clients_live; \
                         CREATE UNIQUE INDEX fz_clients_live ON clients (project_id, client_id) WHERE deleted = 0; \
                         DROP INDEX fz_jobs_client; CREATE INDEX fz_jobs_client ON jobs (client_id)"
                    }
                    _ => {
                        "ALTER TABLE clients DROP INDEX fz_clients_live, DROP COLUMN fz_live_client_id; \
                         ALTER TABLE clients ADD COLUMN fz_live_client_id VARCHAR(255) \
                         GENERATED ALWAYS AS (CASE WHEN deleted = 0 THEN client_id END) VIRTUAL, \
                         ADD UNIQUE KEY fz_clients_live (project_id, fz_live_client_id); \
                         ALTER TABLE jobs DROP INDEX fz_jobs_client, ADD INDEX fz_jobs_client (client_id); \
                         ALTER TABLE job_actions DROP INDEX ix_job_actions_job_id, \
                         ADD INDEX ix_job_actions_job_id (job_id, position)"
                    }
                };
                database.run(former).await;
                assert_ne!(Tables::read(database).await, right);
                app.store().check_schema().await.expect("it is served as it is");
                let plan = app.store().plan(Wishes::default()).await.unwrap();
                let told = plan.steps.iter().any(|step| step.what.contains("recreate unique index on live client names"));
                assert!(told, "{:?}", plan.steps);
                assert_eq!(app.store().sync().await.unwrap(), Synced::Upgraded { left_out: Vec::new() });
                assert_eq!(Tables::read(database).await.difference(&right), None, "{engine:?}");
                assert_eq!(app.store().sync().await.unwrap(), Synced::AlreadyCurrent);
                // The schema is only half complete, because an operator has dropped the index.
                let drop = if engine == Engine::Sqlite { "" } else { " ON clients" };
                database.run(&format!("DROP INDEX fz_clients_live{drop}")).await;
                app.store().sync().await.unwrap();
                assert_eq!(Tables::read(database).await.difference(&right), None, "{engine:?}");
            }));
        });
    }
}
