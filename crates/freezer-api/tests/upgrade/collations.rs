//! Tables with different character sets and collations, because a database is old or because a dump was restored over
//! upgraded tables. After an upgrade, all columns that statements compare must have the same collation, and every row
//! must be kept.

use std::time::Duration;

use freezer_store::StoreError;
use freezer_store::maintenance::Verdict;
use freezer_store::migrations::{SchemaError, SyncOptions, Synced, Wishes};
use serde_json::json;

use crate::again::rows;
use crate::dump::{Dump, dropping};
use crate::support::{self, Engine, TestApp, TestDatabase};
use crate::{folder, python, store};

/// Returns the dump of a server. `collation` returns the collation of each table. `None`: the collation in the dump.
pub fn dump(shape: &str, collation: impl Fn(&str) -> Option<&'static str>) -> String {
    let sql = std::fs::read_to_string(folder().join(format!("{shape}.mysql.sql"))).unwrap();
    let mut table = String::new();
    let lines = sql.lines().map(|line| {
        if let Some(rest) = line.strip_prefix("CREATE TABLE `") {
            table = rest.split('`').next().unwrap_or_default().to_owned();
        }
        match (line.split_once(" DEFAULT CHARSET="), collation(&table)) {
            (Some((options, _)), Some(collation)) => {
                let charset = collation.split('_').next().unwrap();
                format!("{options} DEFAULT CHARSET={charset} COLLATE={collation};")
            }
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// Returns the statements of a dump that create and fill these tables. Each is dropped before.
pub fn only(dump: &str, tables: &[&str]) -> String {
    let wanted = |statement: &&str| {
        ["CREATE TABLE", "INSERT INTO"].iter().any(|words| {
            tables.iter().any(|table| statement.trim_start().starts_with(&format!("{words} `{table}`")))
        })
    };
    let statements: Vec<&str> = dump.split(";\n").filter(wanted).collect();
    dropping(Engine::MariaDb, &(statements.join(";\n") + ";\n"))
}

/// Returns whether a sync has found nothing to do, except for clients that are registered twice.
pub fn is_done(done: &Synced) -> bool {
    match done {
        Synced::AlreadyCurrent => true,
        Synced::Upgraded { left_out } => left_out.iter().all(|(what, _)| what.contains("live client names")),
        Synced::Created => false,
    }
}

/// Upgrades the tables to head. After this, their collations must be the same, and nothing may be left to do.
async fn sync(database: &TestDatabase, case: &str) {
    let store = store(database);
    store.sync().await.unwrap_or_else(|error| panic!("{case}: {error}"));
    let plan = store.plan(Wishes::default()).await.unwrap();
    assert_eq!(plan.mixed, [], "{case}");
    let again = store.sync().await.unwrap();
    assert!(is_done(&again), "{case}: {again:?}");
    store.check_schema().await.unwrap_or_else(|error| panic!("{case}: {error}"));
    for check in store.check().await.unwrap() {
        assert!(check.verdict < Verdict::Failure, "{case}: {check:?}");
        assert!(!check.details.contains("not checked"), "{case}: {check:?}");
    }
}

/// Returns the answers of the API: every document and list, and searches for jobs by keys of their actions.
pub async fn answers(database: &TestDatabase, after: &Dump) -> Vec<String> {
    let app = TestApp::on(database, store(database));
    let mut all = vec![format!("{:?}", python::ours(&app, after).await)];
    let projects: std::collections::BTreeSet<String> =
        after.table("jobs").values().filter_map(|row| row["project_id"].clone()).collect();
    for project in projects {
        let member = app.as_user("reader", &project, "member");
        for search in [json!({"action": "backup"}), json!({"mode": "fs"}), json!({"container": "none"})] {
            let body = json!({"match": [search]});
            let found = member.search(&format!("/v2/{project}/jobs?limit=1000"), body).await.expect(200);
            all.push(found.json().to_string());
        }
    }
    all
}

fn on_a_server(name: &str, body: impl AsyncFnOnce(&TestDatabase)) {
    support::with_database(Engine::MariaDb, name, |runtime, database| {
        runtime.block_on(support::bounded(body(database)));
    });
}

type Collations = &'static [(&'static str, &'static str)];

#[test]
fn an_old_database_with_several_collations_is_upgraded() {
    let cases: [(&str, Collations); 11] = [
        ("f-18.0.0-utf8mb4", &[("jobs", "utf8mb4_unicode_ci")]),
        ("f-18.0.0-utf8mb4", &[("actions", "utf8mb4_unicode_ci")]),
        ("f-18.0.0-utf8mb4", &[("actions", "utf8mb4_bin"), ("clients", "utf8mb4_unicode_ci")]),
        ("f-18.0.0-utf8mb4", &[("sessions", "utf8mb4_unicode_ci"), ("backups", "utf8mb4_bin")]),
        ("c-15.0.0", &[("jobs", "utf8mb4_unicode_ci"), ("actions", "utf8mb4_general_ci")]),
        ("c-15.0.0", &[("jobs", "utf8mb3_unicode_ci")]),
        ("a-7.0.0", &[("actions", "utf8mb3_bin"), ("clients", "utf8mb3_unicode_ci")]),
        ("a-7.0.0", &[("jobs", "utf8mb4_unicode_ci"), ("clients", "utf8mb4_general_ci")]),
        ("f-16.0.0", &[("jobs", "utf8mb4_general_ci"), ("actions", "utf8mb3_bin")]),
        ("f-18.0.0-latin1", &[("actions", "utf8mb4_unicode_ci")]),
        ("f-18.0.0-latin1", &[("jobs", "latin1_general_ci"), ("clients", "utf8mb3_general_ci")]),
    ];
    for (shape, collations) in cases {
        let case = format!("{shape} {collations:?}");
        let of = |table: &str| collations.iter().find(|(name, _)| *name == table).map(|(_, it)| *it);
        let mut expected = None;
        on_a_server("collations_once", async |database| {
            database.run(&dump(shape, |_| None)).await;
            sync(database, shape).await;
            let once = rows(database).await;
            expected = Some((answers(database, &once).await, once));
        });
        let Some((expected_answers, once)) = expected else { return };
        on_a_server("collations_old", async |database| {
            database.run(&dump(shape, of)).await;
            let checks = store(database).check().await.unwrap();
            assert!(checks.iter().all(|check| !check.details.contains("1267")), "{case}: {checks:?}");
            sync(database, &case).await;
            assert_eq!(rows(database).await.difference(&once), None, "{case}");
            assert_eq!(answers(database, &once).await, expected_answers, "{case}");
        });
    }
}

/// The columns of a table may differ from its default, and the default of the database may differ from all tables.
#[test]
fn columns_and_defaults_of_other_collations_are_converted() {
    for change in [
        "ALTER TABLE actions MODIFY id VARCHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL",
        "ALTER TABLE jobs MODIFY project_id VARCHAR(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "ALTER TABLE jobs DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_swedish_ci",
    ] {
        on_a_server("collations_column", async |database| {
            database.run(&dump("f-18.0.0-utf8mb4", |_| None)).await;
            database.run(change).await;
            sync(database, change).await;
            answers(database, &rows(database).await).await;
            database
                .run(
                    "SET foreign_key_checks = 0; DROP TABLE job_actions; DROP TABLE user_credentials; \
                     DROP TABLE fz_action_terms; DROP TABLE clients",
                )
                .await;
            let wishes = Wishes { create_missing_tables: true, ..Wishes::default() };
            let options = SyncOptions { wishes, wait: Duration::ZERO, holder: "here:1".to_owned() };
            store(database).sync_with(&options, |_| {}).await.unwrap();
            sync(database, &format!("{change}, tables dropped")).await;
        });
    }
}

/// Some tables of an old dump are loaded over upgraded tables.
#[test]
fn a_part_of_an_old_dump_is_upgraded_again() {
    const OLD: [&str; 5] = ["clients", "sessions", "jobs", "actions", "backups"];
    let parts: [&[&str]; 7] = [
        &["jobs"],
        &["clients"],
        &["sessions", "backups"],
        &["jobs", "clients"],
        &["jobs", "actions"],
        &OLD,
        &["actions"],
    ];
    for (shape, first) in [("f-18.0.0", "utf8mb4_unicode_ci"), ("c-15.0.0", "utf8mb4_general_ci")] {
        on_a_server("collations_part", async |database| {
            database.run(&dump(shape, |_| Some(first))).await;
            sync(database, shape).await;
            let once = rows(database).await;
            let expected = answers(database, &once).await;
            for second in ["utf8mb3_general_ci", "utf8mb4_general_ci", "utf8mb4_bin"] {
                for part in parts {
                    let case = format!("{shape} of {first}, {part:?} of {second}");
                    database.run(&only(&dump(shape, |_| Some(second)), part)).await;
                    let checks = store(database).check().await.unwrap();
                    assert!(checks.iter().all(|check| !check.details.contains("1267")), "{case}: {checks:?}");
                    sync(database, &case).await;
                    if part == ["actions"] {
                        // No dump contains the tables that the first upgrade created from jobs.
                        answers(database, &rows(database).await).await;
                        continue;
                    }
                    assert_eq!(rows(database).await.difference(&once), None, "{case}");
                    assert_eq!(answers(database, &once).await, expected, "{case}");
                }
            }
        });
    }
}

/// Replaces tables by copies with another collation, like a dump of upgraded tables.
async fn replace(database: &TestDatabase, tables: &[&str], collation: &str, with_additions: bool) {
    let charset = collation.split('_').next().unwrap();
    for table in tables {
        let columns = database
            .texts(&format!(
                "SELECT CAST(column_name AS CHAR) FROM information_schema.columns WHERE table_schema = DATABASE() \
                 AND table_name = '{table}' AND COALESCE(generation_expression, '') = ''"
            ))
            .await
            .join(", ");
        database
            .run(&format!(
                "CREATE TABLE saved LIKE {table}; INSERT INTO saved ({columns}) SELECT {columns} FROM {table}; \
                 ALTER TABLE saved CONVERT TO CHARACTER SET {charset} COLLATE {collation};"
            ))
            .await;
        let mut columns = columns;
        if *table == "actions" && !with_additions {
            let drop = "ALTER TABLE saved DROP INDEX fz_actions_stale, DROP COLUMN fz_terms_stale, DROP COLUMN fz_terms, \
                        DROP COLUMN fz_terms_crc";
            database.run(drop).await;
            columns = columns.replace(", fz_terms_crc", "").replace(", fz_terms", "");
        }
        let shown = database.create_table("saved").await.replacen("`saved`", &format!("`{table}`"), 1);
        database
            .run(&format!(
                "SET foreign_key_checks = 0; DROP TABLE {table}; {shown}; \
                 INSERT INTO {table} ({columns}) SELECT {columns} FROM saved; DROP TABLE saved"
            ))
            .await;
    }
}

#[test]
fn tables_of_a_dump_of_this_layout_are_upgraded_again() {
    let ours: &[&str] =
        &["job_actions", "user_credentials", "freezer_idempotency", "freezer_sync_lock", "fz_action_terms"];
    let parts: [(&[&str], bool); 9] = [
        (&["jobs"], true),
        (&["actions"], true),
        (&["actions"], false),
        (&["clients"], true),
        (&["job_actions"], true),
        (&["user_credentials"], true),
        (&["fz_action_terms"], true),
        (ours, true),
        (&["clients", "sessions", "jobs", "actions", "backups"], true),
    ];
    on_a_server("collations_head", async |database| {
        database.run(&dump("f-18.0.0-utf8mb4", |_| None)).await;
        sync(database, "the first").await;
        let once = rows(database).await;
        let expected = answers(database, &once).await;
        for collation in ["utf8mb4_unicode_ci", "utf8mb3_general_ci", "utf8mb4_bin", "utf8mb4_general_ci"] {
            // Rows of the other tables have characters that utf8mb3 cannot store.
            let of_ids = ["job_actions", "user_credentials", "fz_action_terms"];
            let fits = |tables: &[&str]| collation != "utf8mb3_general_ci" || of_ids.contains(&tables[0]);
            for (tables, with_additions) in parts.into_iter().filter(|(tables, _)| fits(tables)) {
                let case = format!("{tables:?} of {collation}");
                replace(database, tables, collation, with_additions).await;
                is_noticed(database, &case).await;
                sync(database, &case).await;
                assert_eq!(rows(database).await.difference(&once), None, "{case}");
                assert_eq!(answers(database, &once).await, expected, "{case}");
            }
        }
    });
}

/// Checks that `db check`, the dry run, the start and a running service report different collations.
async fn is_noticed(database: &TestDatabase, case: &str) {
    let store = store(database);
    let mixed = store.plan(Wishes::default()).await.unwrap().mixed;
    let checks = store.check().await.unwrap();
    let check = checks.iter().find(|check| check.name == "collations").unwrap();
    assert_eq!(check.count, mixed.len() as u64, "{case}: {check:?}");
    let mut dry_run = Vec::new();
    freezer_api::manage::db::dry_run(&store, Wishes::default(), &mut dry_run).await.unwrap();
    let dry_run = String::from_utf8(dry_run).unwrap();
    for pair in &mixed {
        let text = pair.to_string();
        assert!(
            check.examples.contains(&text) && dry_run.contains(&text),
            "{case}: {text}: {check:?} {dry_run}"
        );
    }
    let refused = mixed.iter().any(|pair| pair.is_refused());
    assert_eq!(check.verdict == Verdict::Failure, refused, "{case}: {check:?}");
    match store.check_schema().await {
        Ok(()) => assert!(!refused, "{case}"),
        Err(StoreError::Schema(error @ SchemaError::MixedCollations { .. })) => {
            let text = error.to_string();
            assert!(
                refused && error.needs_sync() && text.contains("freezer-manage db sync"),
                "{case}: {text}"
            );
            assert!(text.contains(&mixed[0].to_string()), "{case}: {text}");
        }
        other => panic!("{case}: {other:?}"),
    }
    let app = TestApp::on(database, store.clone());
    for body in [json!({}), json!({"match": [{"mode": "fs"}]})] {
        let status = app.member().search("/v2/p1/jobs", body).await.status.as_u16();
        assert!([200, 503].contains(&status), "{case}: {status}");
    }
}

/// A large table keeps its character set. If a request contains a value that its columns cannot store, this is an error
/// of the caller.
#[test]
fn a_value_that_a_column_cannot_be_compared_with_is_a_bad_request() {
    on_a_server("collations_value", async |database| {
        store(database).sync().await.unwrap();
        database.run("ALTER TABLE backups CONVERT TO CHARACTER SET latin1").await;
        let app = TestApp::on(database, store(database));
        let answer = app.member().get("/v2/p1/backups/%F0%9F%98%80").await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{}", answer.status);
    });
}
