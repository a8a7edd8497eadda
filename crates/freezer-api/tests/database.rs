//! The tables are the Python service's: ours compared with those that freezer-api 19.0.0 made, and a database that it
//! made served as it is.
//!
//! `golden/schema-19.0.0.sql` is SHOW CREATE TABLE of what that release created on MariaDB 10.11 in a utf8mb3 database.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::BTreeMap;

use freezer_api::service::{Change, jobs};
use freezer_store::migrations::{HEAD, State};
use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Store};
use serde_json::json;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use support::{Engine, Options, TestApp, TestDatabase};

const UPSTREAM: &str = include_str!("golden/schema-19.0.0.sql");

/// Lines of each CREATE TABLE, by table.
type Layout = BTreeMap<String, Vec<String>>;

#[test]
fn ours_differs_from_upstreams_only_where_we_add() {
    support::with_database(Engine::MariaDb, "layout", |runtime, database| {
        runtime.block_on(support::bounded(async {
            TestApp::start(database, Options::default()).await;
            let ours = layout(&create_statements(&database.url()).await);
            let upstream = layout(UPSTREAM);
            assert_eq!(ours.keys().collect::<Vec<_>>(), upstream.keys().collect::<Vec<_>>());
            for (table, lines) in &upstream {
                assert_eq!(&ours[table], lines, "{table}");
            }
        }));
    });
}

/// SHOW CREATE TABLE of every table, one after the other.
async fn create_statements(url: &DatabaseUrl) -> String {
    let DatabaseUrl::MySql(url) = url else { panic!("only MySQL shows statements") };
    let mut connection = MySqlConnectOptions::new()
        .host(&url.host)
        .port(url.port)
        .username(&url.user)
        .password(url.password.as_deref().unwrap_or_default())
        .database(&url.database)
        .connect()
        .await
        .unwrap();
    let tables = sqlx::raw_sql("SHOW TABLES").fetch_all(&mut connection).await.unwrap();
    let mut dump = String::new();
    for table in tables {
        let name: String = table.get_unchecked(0);
        let sql = AssertSqlSafe(format!("SHOW CREATE TABLE `{name}`"));
        let row = sqlx::raw_sql(sql).fetch_one(&mut connection).await.unwrap();
        dump.push_str(&row.get_unchecked::<String, _>(1));
        dump.push('\n');
    }
    dump
}

/// Reads a dump, leaving out what we add: tables, columns and indexes of our own, wider texts, the wider hostname, character set and the names that
/// servers give to foreign keys.
fn layout(dump: &str) -> Layout {
    let mut layout = Layout::new();
    for statement in dump.split("CREATE TABLE ").skip(1) {
        let (name, rest) = statement.split_once(" (").expect("a table");
        let (body, _) = rest.rsplit_once("\n)").expect("the end of a table");
        let mut lines: Vec<String> = body
            .lines()
            .map(|line| line.trim().trim_end_matches(',').to_owned())
            .filter(|line| {
                !line.is_empty()
                    && !["KEY `fz_", "UNIQUE KEY `fz_", "`fz_"].iter().any(|ours| line.starts_with(ours))
            })
            .map(|line| line.replace("mediumtext", "text"))
            .map(|line| line.replace("`hostname` varchar(255)", "`hostname` varchar(128)"))
            .map(|line| match line.split_once(" FOREIGN KEY ") {
                Some((_, key)) => format!("FOREIGN KEY {key}"),
                None => line,
            })
            .collect();
        // keys stand in the order in which they were made
        lines.sort_by_key(|line| line.starts_with("KEY ") || line.starts_with("FOREIGN KEY "));
        let name = name.trim_matches('`');
        if !name.starts_with("freezer_") {
            layout.insert(name.to_owned(), lines);
        }
    }
    layout
}

/// Makes the tables as the Python service does.
async fn made_by_python(database: &TestDatabase) -> TestApp {
    let statements: Vec<&str> = UPSTREAM.lines().filter(|line| !line.starts_with("--")).collect();
    database.run(&statements.join("\n")).await;
    TestApp::on(database, Store::new(database.url(), ConnectSettings::default(), PoolSettings::default()))
}

#[test]
fn a_database_of_the_python_service_is_served_as_it_is() {
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
fn what_its_narrower_columns_cannot_hold_is_refused_by_name() {
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
fn a_row_with_unreadable_json_is_shown_empty_and_never_overwritten() {
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
                let app = app.app();
                let change = Change {
                    store: &app.store,
                    ids: &app.ids,
                    project_id: "p1",
                    user_id: "u1",
                    now: app.clock.now(),
                    delegation: None,
                };
                let patch = json!({"description": "x"});
                let refused = jobs::update(change, "bad", patch.as_object().unwrap()).await.unwrap_err();
                assert!(
                    refused.to_string().starts_with("jobs.schedule of row bad is unreadable"),
                    "{refused}"
                );
                let job = member.get("/v2/p1/jobs/bad").await.expect(200).json();
                assert_eq!(job["description"], "");
            }));
        });
    }
}
