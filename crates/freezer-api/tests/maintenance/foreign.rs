//! Tables, views and databases of other programs: every command rejects them before it changes anything, and explains
//! the reason. Databases of Freezer are accepted, even if they contain other tables, too.

use std::time::Duration;

use freezer_store::maintenance::Verdict;
use freezer_store::migrations::{SyncOptions, Synced, Wishes};
use freezer_store::{ConnectSettings, PoolSettings, Store, StoreError};

use crate::support::{self, Engine, TestDatabase};
use crate::{make_file, on_empty, store};

/// The tables of another program.
const OTHERS: &str = "CREATE TABLE instances (id INTEGER NOT NULL, host VARCHAR(255), PRIMARY KEY (id)); \
                      CREATE TABLE services (id INTEGER NOT NULL, host VARCHAR(255), PRIMARY KEY (id));";
const MIGRATE: &str = "CREATE TABLE migrate_version (repository_id VARCHAR(250) NOT NULL, repository_path TEXT, \
                       version INTEGER, PRIMARY KEY (repository_id));";
const ALEMBIC: &str =
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num));";

/// Asserts that every command rejects the database with these words, and that no table was added.
async fn is_refused(database: &TestDatabase, words: &[&str]) {
    let names = async || {
        let sql = match database.engine() {
            Engine::Sqlite => "SELECT name FROM sqlite_master ORDER BY name",
            _ => {
                "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() \
                  ORDER BY table_name"
            }
        };
        database.texts(sql).await
    };
    let before = names().await;
    let store = Store::new_or_create(database.url(), ConnectSettings::default(), PoolSettings::default());
    let check = store.check().await.unwrap();
    assert_eq!((check.len(), check[0].name, check[0].verdict), (1, "layout", Verdict::Failure), "{check:#?}");
    let removed = store.remove("test:1", std::time::Duration::ZERO).await;
    assert!(removed.is_err() || removed.is_ok_and(|removed| removed.is_empty()));
    let errors: [(&str, Result<(), StoreError>); 5] = [
        ("sync", store.sync().await.map(|_| ())),
        ("dry run", store.plan(Wishes::default()).await.map(|_| ())),
        ("start", store.check_schema().await),
        ("show", store.overview().await.map(|_| ())),
        ("leftovers", store.leftovers(|_| Ok::<_, StoreError>(())).await),
    ];
    let mut texts = vec![("check", check[0].details.clone())];
    for (command, error) in errors {
        let error = error.expect_err(command);
        assert!(matches!(error, StoreError::Schema(_)), "{command}: {error}");
        texts.push((command, error.to_string()));
    }
    for (command, text) in texts {
        for word in words {
            assert!(text.contains(word), "{command}: no {word:?} in {text}");
        }
    }
    assert_eq!(names().await, before, "nothing was added or removed");
}

#[test]
fn tables_of_other_programs_are_rejected_under_any_name() {
    let cases: [(&str, &[&str]); 8] = [
        (
            "CREATE TABLE freezer_leftovers (id INTEGER, note VARCHAR(10))",
            &["freezer_leftovers", "missing columns: table_name, row_id, column_name, value"],
        ),
        (
            "CREATE TABLE freezer_sync_lock (id INTEGER)",
            &["freezer_sync_lock", "missing columns: holder, beat"],
        ),
        (
            "CREATE TABLE alembic_version (version INTEGER)",
            &["alembic_version", "missing columns: version_num"],
        ),
        (
            "CREATE TABLE job_actions (id VARCHAR(36), job_id VARCHAR(36), name VARCHAR(36))",
            &[
                "job_actions",
                "missing columns: action_id, position, deleted_at, deleted, created_at, updated_at",
            ],
        ),
        (
            "CREATE TABLE user_credentials (id VARCHAR(36), password TEXT)",
            &["user_credentials", "missing columns: trust_id, trustor_user_id, job_id"],
        ),
        (
            // Earlier releases recognized the tables of Freezer by these columns.
            "CREATE TABLE jobs (id VARCHAR(36), project_id VARCHAR(36), user_id VARCHAR(36), deleted INTEGER)",
            &["a table jobs that is not Freezer's", "missing columns: schedule, client_id"],
        ),
        (
            "CREATE TABLE freezer_leftovers (table_name VARCHAR(32), row_id INTEGER, column_name VARCHAR(32), \
             value TEXT, owner VARCHAR(32) NOT NULL)",
            &["unknown columns without a default: owner"],
        ),
        (
            "CREATE TABLE action_reports (id INTEGER NOT NULL, project_id VARCHAR(36), user_id VARCHAR(36), \
             result VARCHAR(255), time_elapsed VARCHAR(255), report_date TIMESTAMP NULL, log BLOB, deleted_at DATETIME, \
             deleted INTEGER, created_at DATETIME, updated_at DATETIME, PRIMARY KEY (id))",
            &["action_reports", "numbers instead of texts: id"],
        ),
    ];
    for (sql, words) in cases {
        on_empty("foreign_table", async |database| {
            make_file(&database);
            database.run(sql).await;
            is_refused(&database, words).await;
            is_refused(&database, &["freezer-manage db sync", "nothing was changed"]).await;
        });
    }
}

/// The advice must not be a command that refuses the database, too.
#[test]
fn the_advice_depends_on_the_rest_of_the_database() {
    const JOBS: &str = "CREATE TABLE jobs (id INTEGER NOT NULL, title VARCHAR(10), PRIMARY KEY (id));";
    let alone = "otherwise rename or drop what is named here, and try again";
    let shared = "freezer-manage db sync --shared-database, after what is named here was renamed or dropped";
    let cases = [
        (JOBS.to_owned(), alone, shared),
        (format!("{JOBS} {OTHERS}"), shared, alone),
        (
            format!("{JOBS} {OTHERS} {MIGRATE} INSERT INTO migrate_version VALUES ('nova', 'x', 402);"),
            shared,
            alone,
        ),
        (
            format!("{JOBS} {OTHERS} {MIGRATE} INSERT INTO migrate_version VALUES ('freezer-api', 'x', 3);"),
            alone,
            shared,
        ),
        (
            format!("{JOBS} {OTHERS} {ALEMBIC} INSERT INTO alembic_version VALUES ('16f1fbcab42b');"),
            "Freezer cannot share this database",
            "--shared-database",
        ),
    ];
    for (sql, expected, wrong) in cases {
        on_empty("advice", async |database| {
            make_file(&database);
            database.run(&sql).await;
            is_refused(
                &database,
                &["a table jobs that is not Freezer's", "create one for Freezer alone", expected],
            )
            .await;
            let store = store(&database);
            let texts = [
                store.check().await.unwrap()[0].details.clone(),
                store.removable().await.unwrap_err().to_string(),
                store.sync().await.unwrap_err().to_string(),
            ];
            for text in texts {
                assert!(text.contains(expected) && !text.contains(wrong), "{sql}: {text}");
                assert!(!text.contains("run again: freezer-manage db sync"), "{sql}: {text}");
            }
            // The advice works.
            database.run("DROP TABLE jobs").await;
            let wishes = Wishes { shared_database: expected == shared, ..Wishes::default() };
            let options = SyncOptions { wishes, wait: Duration::ZERO, holder: "test:1".to_owned() };
            let done = store.sync_with(&options, |_| {}).await;
            assert_eq!(done.is_ok(), expected == shared || expected == alone, "{sql}: {done:?}");
        });
    }
}

#[test]
fn all_tables_of_other_programs_are_named() {
    on_empty("foreign_tables", async |database| {
        make_file(&database);
        store(&database).sync().await.unwrap();
        database.run("DROP TABLE job_actions").await;
        database.run("DROP TABLE user_credentials").await;
        database.run("CREATE TABLE job_actions (id VARCHAR(36), JOB_ID VARCHAR(36))").await;
        database.run("CREATE TABLE user_credentials (id VARCHAR(36))").await;
        database.run("CREATE VIEW freezer_leftovers AS SELECT id FROM jobs").await;
        let words = [
            "a view freezer_leftovers",
            "a table job_actions",
            "missing columns: action_id",
            "a table user_credentials",
        ];
        is_refused(&database, &words).await;
    });
}

#[test]
fn a_view_is_not_accepted_as_a_table() {
    for name in ["jobs", "freezer_sync_lock", "alembic_version", "clients"] {
        on_empty("foreign_view", async |database| {
            make_file(&database);
            database.run(OTHERS).await;
            database
                .run(&format!("CREATE VIEW {name} AS SELECT id, host AS project_id FROM instances"))
                .await;
            is_refused(&database, &[&format!("a view {name}, though Freezer needs a table")]).await;
        });
    }
}

#[test]
fn databases_of_other_programs_are_rejected() {
    let nova = format!("{MIGRATE} INSERT INTO migrate_version VALUES ('nova', 'x', 402);");
    let alembic = format!("{ALEMBIC} INSERT INTO alembic_version VALUES ('16f1fbcab42b');");
    let cases: [(String, &[&str]); 5] = [
        (format!("{nova} {OTHERS}"), &["migrate_version is of nova", "tables: instances, services"]),
        (nova.clone(), &["migrate_version is of nova"]),
        (format!("{alembic} {OTHERS}"), &["alembic_version is 16f1fbcab42b", "instances, services"]),
        (format!("{ALEMBIC} {OTHERS}"), &["tables: instances, services"]),
        (OTHERS.to_owned(), &["belongs to another program", "tables: instances, services"]),
    ];
    for (sql, words) in cases {
        on_empty("other_program", async |database| {
            make_file(&database);
            database.run(&sql).await;
            is_refused(&database, words).await;
            is_refused(&database, &["database for Freezer alone", "[database] connection"]).await;
        });
    }
}

/// An operator can permit a database that another program uses, too. The permission still holds after the tables were
/// removed.
#[test]
fn a_database_can_be_shared_if_the_operator_permits_it() {
    let nova = format!("{MIGRATE} INSERT INTO migrate_version VALUES ('nova', 'x', 402);");
    for sql in [OTHERS.to_owned(), format!("{nova} {OTHERS}"), nova, format!("{OTHERS} {ALEMBIC}")] {
        on_empty("shared", async |database| {
            make_file(&database);
            database.run(&sql).await;
            is_refused(&database, &["freezer-manage db sync --shared-database"]).await;
            let store = store(&database);
            let wishes = Wishes { shared_database: true, ..Wishes::default() };
            let options = SyncOptions { wishes, wait: Duration::ZERO, holder: "test:1".to_owned() };
            for _ in 0..2 {
                assert!(!store.plan(wishes).await.unwrap().steps.is_empty());
                assert_eq!(store.sync_with(&options, |_| {}).await.unwrap(), Synced::Created);
                // After this, the option is no longer necessary.
                assert!(store.check_schema().await.is_ok());
                assert_eq!(store.sync().await.unwrap(), Synced::AlreadyCurrent);
                let removed = store.remove("test:1", Duration::ZERO).await.unwrap();
                assert!(removed.contains(&"jobs") && removed.contains(&"alembic_version"), "{removed:?}");
                is_refused(&database, &["freezer-manage db sync --shared-database"]).await;
            }
            if sql.contains("instances") {
                assert_eq!(database.number("SELECT COUNT(*) FROM instances").await, 0, "its tables stay");
            }
        });
    }
    on_empty("not_shared", async |database| {
        make_file(&database);
        database
            .run(&format!("{ALEMBIC} INSERT INTO alembic_version VALUES ('16f1fbcab42b'); {OTHERS}"))
            .await;
        is_refused(&database, &["cannot share this database", "alembic_version"]).await;
        let wishes = Wishes { shared_database: true, ..Wishes::default() };
        let error = store(&database).plan(wishes).await.unwrap_err().to_string();
        assert!(error.contains("cannot share") && !error.contains("--shared-database"), "{error}");
    });
}

#[test]
fn a_second_row_with_an_unknown_revision_is_detected() {
    on_empty("two_revisions", async |database| {
        Store::new_or_create(database.url(), ConnectSettings::default(), PoolSettings::default())
            .sync()
            .await
            .unwrap();
        database.run("INSERT INTO alembic_version VALUES ('fedcba987654')").await;
        let error = store(&database).plan(Wishes::default()).await.unwrap_err().to_string();
        assert!(error.contains("fedcba987654") && error.contains("does not know"), "{error}");
    });
}

#[test]
fn databases_of_freezer_are_accepted_with_other_tables() {
    let freezer =
        format!("{MIGRATE} INSERT INTO migrate_version VALUES ('freezer-api', 'x', 3), ('nova', 'x', 402);");
    let known = format!("{ALEMBIC} INSERT INTO alembic_version VALUES ('23c8ad2655a6');");
    for sql in [freezer, known, String::new()] {
        on_empty("own_database", async |database| {
            make_file(&database);
            if !sql.is_empty() {
                database.run(&sql).await;
            }
            // The operator has another table in a database that can be recognized as Freezer's.
            let early = !sql.is_empty();
            if early {
                database.run(OTHERS).await;
            }
            let store = store(&database);
            store.sync().await.unwrap();
            if !early {
                database.run(OTHERS).await;
            }
            assert!(store.check_schema().await.is_ok());
            assert_eq!(store.plan(Wishes::default()).await.unwrap().steps, []);
        });
    }
}

#[test]
fn checks_report_that_a_layout_is_too_old() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../freezer-store/tests/shapes");
    for (engine, file) in [
        (Engine::MariaDb, "a-7.0.0.mysql.sql"),
        (Engine::MariaDb, "c1-15.0.0-sync-16.0.0.mysql.sql"),
        (Engine::Sqlite, "f-18.0.0.sqlite.sql"),
    ] {
        let sql = std::fs::read_to_string(folder.join(file)).unwrap();
        support::with_database(engine, "unchecked", |runtime, database| {
            runtime.block_on(support::bounded(async {
                make_file(database);
                database.run(&sql).await;
                let checks = store(database).check().await.unwrap();
                let of = |name: &str| checks.iter().find(|check| check.name == name).unwrap();
                for name in ["jobs_without_actions", "job_links", "deleted_null"] {
                    let check = of(name);
                    assert!(check.details.contains("not checked: "), "{file}: {check:#?}");
                    assert_eq!(check.verdict, Verdict::Warning, "{file}: {check:#?}");
                    assert!(check.advice.is_some(), "{file}: {check:#?}");
                }
                assert!(of("jobs_without_actions").details.contains("jobs.job_actions"), "{file}");
                assert!(of("deleted_null").details.contains("user_credentials"), "{file}");
                store(database).sync().await.unwrap();
                for check in store(database).check().await.unwrap() {
                    assert!(!check.details.contains("not checked"), "{file}: {check:#?}");
                }
            }));
        });
    }
}
