//! Changes that operators made to the tables: checks, foreign keys, triggers, views, generated columns and types, and settings
//! of their server. `db sync` keeps them, or refuses the database before it changes anything.

use std::sync::atomic::{AtomicU32, Ordering};

use freezer_api::manage::db;
use freezer_store::migrations::{Synced, Wishes};
use serde_json::json;

use crate::obstacles::{command, is_refused, on, shape_of};
use crate::support::mariadbd::Server;
use crate::support::{self, Engine, TestApp, TestDatabase, documents};
use crate::{loadable, store};

const OLD: &str = "f-18.0.0";

async fn load(database: &TestDatabase, shape: &str) {
    let engine = if database.engine() == Engine::Sqlite { Engine::Sqlite } else { Engine::MariaDb };
    store(database).schema_state().await.unwrap();
    database.run(&loadable(database.engine(), &shape_of(engine, shape))).await;
    database.run("DELETE FROM clients").await;
}

/// Creates a database on a server of its own.
async fn new_database(server: &Server) -> TestDatabase {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("own_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let scratch = server.socket().with_file_name(&name);
    TestDatabase::at(server.url(&name), scratch).await
}

/// A sync succeeds, the tables can be served, and a second sync has nothing to do.
async fn is_upgraded(database: &TestDatabase, case: &str) {
    let done = store(database).sync().await.unwrap_or_else(|error| panic!("{case}: {error}"));
    assert!(matches!(&done, Synced::Upgraded { left_out } if left_out.is_empty()), "{case}: {done:?}");
    store(database).check_schema().await.unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(store(database).sync().await.unwrap(), Synced::AlreadyCurrent, "{case}");
}

#[test]
fn checks_of_the_operator_stay() {
    const CHECKS: [(&str, &str); 4] = [
        // In MariaDB, JSON is a LONGTEXT with a check of the column.
        ("ALTER TABLE backups MODIFY backup_metadata JSON", "json_valid"),
        (
            "ALTER TABLE jobs MODIFY description VARCHAR(255) CHECK (description <> 'x')",
            "`description` <> 'x'",
        ),
        ("ALTER TABLE jobs ADD CONSTRAINT no_x CHECK (description <> 'x')", "no_x"),
        ("ALTER TABLE jobs MODIFY deleted TINYINT(1) CHECK (deleted IN (0, 1))", "`deleted` in (0,1)"),
    ];
    for shape in ["a-7.0.0", OLD, "g-19.0.0"] {
        for (change, part) in CHECKS {
            for is_first in [true, false] {
                on(Engine::MariaDb, "checks", async |database| {
                    load(database, shape).await;
                    database.run("UPDATE backups SET backup_metadata = '{}'").await;
                    if !is_first {
                        store(database).sync().await.unwrap();
                    }
                    database.run(change).await;
                    let case = format!("{shape}: {change}");
                    if is_first {
                        is_upgraded(database, &case).await;
                    } else {
                        store(database)
                            .check_schema()
                            .await
                            .unwrap_or_else(|error| panic!("{case}: {error}"));
                        assert_eq!(store(database).sync().await.unwrap(), Synced::AlreadyCurrent, "{case}");
                    }
                    let table = if change.contains("backups") { "backups" } else { "jobs" };
                    let made = database.create_table(table).await;
                    assert!(made.contains(part), "{case}: {made}");
                });
            }
        }
    }
}

/// The tables have no explicit row format, and the default of the server was changed after they were made.
#[test]
fn a_changed_default_row_format_does_not_stop_an_upgrade() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(support::bounded(async {
        let Some(server) = Server::start("rowformat").await else { return };
        for format in ["compact", "redundant"] {
            for shape in ["a-7.0.0", "f-18.0.0", "f-18.0.0-latin1", "g-19.0.0"] {
                let database = new_database(&server).await;
                database.run("SET GLOBAL innodb_default_row_format = dynamic").await;
                load(&database, shape).await;
                database.run(&format!("SET GLOBAL innodb_default_row_format = {format}")).await;
                is_upgraded(&database, &format!("{format} {shape}")).await;
                let formats = database
                    .texts(
                        "SELECT DISTINCT CAST(row_format AS CHAR) FROM information_schema.tables WHERE \
                         table_schema = DATABASE() AND table_name <> 'migrate_version'",
                    )
                    .await;
                assert_eq!(formats, ["Dynamic"], "{format} {shape}");
            }
        }
    }));
}

#[test]
fn a_global_alter_algorithm_does_not_stop_an_upgrade() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(support::bounded(async {
        let Some(server) = Server::start("algorithm").await else { return };
        for algorithm in ["INSTANT", "NOCOPY", "INPLACE", "COPY"] {
            let database = new_database(&server).await;
            database.run("SET GLOBAL alter_algorithm = DEFAULT").await;
            load(&database, "a-7.0.0").await;
            database.run(&format!("SET GLOBAL alter_algorithm = {algorithm}")).await;
            is_upgraded(&database, algorithm).await;
        }
    }));
}

#[test]
fn a_foreign_key_of_another_table_prevents_a_conversion() {
    for table in ["jobs", "clients", "backups", "actions"] {
        on(Engine::MariaDb, "referred", async |database| {
            load(database, OLD).await;
            let collation = database
                .texts(&format!("SELECT CAST(collation_name AS CHAR) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{table}' AND column_name = 'id'"))
                .await
                .remove(0);
            let charset = collation.split('_').next().unwrap();
            database
                .run(&format!(
                    "CREATE TABLE op_notes (id INT PRIMARY KEY, of_id VARCHAR(36) CHARACTER SET {charset} COLLATE {collation}, \
                     CONSTRAINT op_key FOREIGN KEY (of_id) REFERENCES {table} (id)) ENGINE=InnoDB"
                ))
                .await;
            let words =
                ["op_key of op_notes.of_id", &format!("refers to {table}"), "DROP FOREIGN KEY", "db sync"];
            is_refused(database, table, &words, false).await;
            database.run("ALTER TABLE op_notes DROP FOREIGN KEY op_key").await;
            is_upgraded(database, table).await;
            // The key can be added again, and is no obstacle then.
            database
                .run(&format!(
                    "ALTER TABLE op_notes CONVERT TO CHARACTER SET utf8mb4 COLLATE {0}; \
                     ALTER TABLE op_notes ADD CONSTRAINT op_key FOREIGN KEY (of_id) REFERENCES {table} (id)",
                    database
                        .texts(&format!("SELECT CAST(collation_name AS CHAR) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{table}' AND column_name = 'id'"))
                        .await
                        .remove(0)
                ))
                .await;
            assert_eq!(store(database).sync().await.unwrap(), Synced::AlreadyCurrent, "{table}");
        });
    }
}

/// The name that the foreign key of `job_actions` would get is that of another table's key.
#[test]
fn foreign_keys_get_names_that_are_free() {
    for engine in [Engine::MariaDb, Engine::MySql] {
        on(engine, "key_names", async |database| {
            load(database, OLD).await;
            database
                .run(
                    "CREATE TABLE op_a (id INT PRIMARY KEY) ENGINE=InnoDB; \
                     CREATE TABLE op_b (id INT, CONSTRAINT job_actions_ibfk_1 FOREIGN KEY (id) REFERENCES op_a (id), \
                     CONSTRAINT fz_job_actions_job_id_1 FOREIGN KEY (id) REFERENCES op_a (id)) ENGINE=InnoDB",
                )
                .await;
            is_upgraded(database, "names").await;
            let made = database.create_table("job_actions").await;
            assert!(
                made.contains("fz_job_actions_job_id_2") && made.contains("job_actions_ibfk_2"),
                "{made}"
            );
        });
    }
}

#[test]
fn what_uses_a_dropped_column_is_named_before_the_upgrade() {
    const CASES: [(&str, &str, &str, &str); 6] = [
        (
            OLD,
            "CREATE TRIGGER op_t BEFORE INSERT ON jobs FOR EACH ROW SET NEW.job_actions = COALESCE(NEW.`job_actions`, '[]')",
            "the trigger op_t of jobs uses jobs.job_actions",
            "DROP TRIGGER op_t",
        ),
        (
            "f-16.0.0",
            "CREATE TRIGGER op_t BEFORE INSERT ON backups FOR EACH ROW SET NEW.user_name = 'x'",
            "the trigger op_t of backups uses backups.user_name",
            "DROP TRIGGER op_t",
        ),
        (
            "a-7.0.0",
            "CREATE TRIGGER op_t AFTER UPDATE ON actions FOR EACH ROW SET @x = OLD . mode",
            "the trigger op_t of actions uses actions.mode",
            "DROP TRIGGER op_t",
        ),
        (
            OLD,
            "ALTER TABLE jobs ADD COLUMN op_n INT AS (LENGTH(job_actions)) VIRTUAL",
            "the generated column jobs.op_n uses job_actions",
            "ALTER TABLE jobs DROP COLUMN op_n",
        ),
        (
            OLD,
            "CREATE UNIQUE INDEX op_i ON jobs (id, job_actions(10))",
            "the unique index op_i of jobs uses job_actions",
            "DROP INDEX op_i ON jobs",
        ),
        (
            OLD,
            "ALTER TABLE jobs ADD CONSTRAINT op_c CHECK (job_actions <> 'x')",
            "the check op_c of jobs uses job_actions",
            "ALTER TABLE jobs DROP CONSTRAINT op_c",
        ),
    ];
    for engine in [Engine::MariaDb, Engine::MySql] {
        for (shape, change, words, undo) in CASES {
            on(engine, "dependents", async |database| {
                load(database, shape).await;
                database.run(change).await;
                is_refused(database, change, &[words, "Nothing was changed", "db sync"], false).await;
                let found = store(database).dependents().await.unwrap();
                assert_eq!(
                    (found.blocking.as_slice(), found.broken.len()),
                    (&[words.to_owned()][..], 0),
                    "{change}"
                );
                database.run(undo).await;
                is_upgraded(database, change).await;
            });
        }
    }
    on(Engine::Sqlite, "dependents", async |database| {
        load(database, OLD).await;
        database.run("CREATE TRIGGER op_t AFTER INSERT ON jobs BEGIN SELECT NEW.job_actions; END; CREATE VIEW op_v AS SELECT id, job_actions FROM jobs").await;
        let words = [
            "the trigger op_t of jobs uses jobs.job_actions",
            "the view op_v uses jobs.job_actions",
            "Nothing was changed",
        ];
        is_refused(database, "SQLite", &words, false).await;
        database.run("DROP TRIGGER op_t; DROP VIEW op_v").await;
        is_upgraded(database, "SQLite").await;
    });
}

#[test]
fn a_view_of_a_dropped_column_is_announced() {
    on(Engine::MariaDb, "views", async |database| {
        load(database, OLD).await;
        database
            .run(
                "CREATE VIEW op_v AS SELECT j.* FROM jobs j; \
                 CREATE VIEW op_w AS SELECT id, description FROM jobs; \
                 CREATE TRIGGER op_t AFTER INSERT ON jobs FOR EACH ROW SET @x = NEW.description",
            )
            .await;
        let mut out = Vec::new();
        db::dry_run(&store(database), Wishes::default(), &mut out).await.unwrap();
        let plan = String::from_utf8(out).unwrap();
        assert!(
            plan.contains("cannot be read afterwards")
                && plan.contains("the view op_v uses jobs.job_actions"),
            "{plan}"
        );
        assert!(!plan.contains("op_w") && !plan.contains("op_t"), "{plan}");
        let checks = store(database).check().await.unwrap();
        let check = checks.iter().find(|check| check.name == "dependents").unwrap();
        assert_eq!(check.examples, ["the view op_v uses jobs.job_actions"]);
        command(&store(database), Wishes::default()).await.unwrap();
        store(database).check_schema().await.unwrap();
    });
}

/// The trigger was added after the upgrade. The tables are right, so the service does not wait for others.
#[test]
fn a_trigger_with_a_missing_column_is_not_taken_for_other_tables() {
    on(Engine::MariaDb, "broken_trigger", async |database| {
        load(database, OLD).await;
        // Before the upgrade, the column exists, and the trigger is created again after it.
        store(database).sync().await.unwrap();
        database.run("ALTER TABLE backups ADD COLUMN user_name VARCHAR(64)").await;
        database
            .run("CREATE TRIGGER op_t BEFORE INSERT ON backups FOR EACH ROW SET NEW.user_name = 'x'")
            .await;
        database.run("ALTER TABLE backups DROP COLUMN user_name").await;
        let app = TestApp::on(database, store(database));
        let member = app.member();
        let answer = member.post("/v2/p1/backups", documents::backup("b")).await.expect(503);
        assert!(answer.description().contains("trigger"), "{}", answer.description());
        member.get("/v2/p1/backups").await.expect(200);
        let checks = app.store().check().await.unwrap();
        let check = checks.iter().find(|check| check.name == "dependents").unwrap();
        assert_eq!(check.verdict, freezer_store::maintenance::Verdict::Failure);
        assert_eq!(check.examples, ["the trigger op_t of backups uses backups.user_name"]);
        assert!(store(database).dependents().await.unwrap().blocking.is_empty());
        database.run("DROP TRIGGER op_t").await;
        member.post("/v2/p1/backups", documents::backup("b")).await.expect(201);
    });
}

/// `deleted` has another numeric type.
#[test]
fn flags_of_other_types_are_read() {
    for kind in ["BIT(1)", "DECIMAL(4, 1)", "DOUBLE", "BIGINT UNSIGNED"] {
        for shape in [OLD, "a-7.0.0"] {
            on(Engine::MariaDb, "flags", async |database| {
                load(database, shape).await;
                let before = database.number("SELECT COUNT(*) FROM jobs WHERE deleted = 0").await;
                if shape == OLD {
                    database.run(&format!("ALTER TABLE jobs MODIFY deleted {kind}")).await;
                }
                database
                    .run(
                        "INSERT INTO jobs (id, project_id, user_id, client_id, session_id, schedule, job_actions, deleted) \
                         VALUES ('j-x', 'p', 'u', 'c', '', '{}', '[{\"freezer_action\": {\"action\": \"exec\"}}]', 0)",
                    )
                    .await;
                is_upgraded(database, kind).await;
                assert_eq!(database.number("SELECT COUNT(*) FROM jobs WHERE deleted = 0").await, before + 1);
                let app = TestApp::on(database, store(database));
                let job = app.as_user("u", "p", "member").get("/v2/p/jobs/j-x").await.expect(200).json();
                assert_eq!(job["job_actions"][0]["freezer_action"], json!({"action": "exec"}), "{kind}");
            });
        }
    }
    on(Engine::MariaDb, "flags_text", async |database| {
        load(database, OLD).await;
        database.run("ALTER TABLE jobs MODIFY deleted VARCHAR(5); UPDATE jobs SET deleted = 'no'").await;
        let error = store(database).sync().await.unwrap_err().to_string();
        assert!(error.contains("jobs.deleted") && error.contains("not a whole number"), "{error}");
    });
}
