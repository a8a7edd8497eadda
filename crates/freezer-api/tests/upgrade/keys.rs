//! Primary keys and unique indexes that a repair by hand has lost: `db check` and the dry run name them, and `db sync`
//! restores them, unless the rows do not allow it. Then nothing is changed.

use freezer_api::manage::db;
use freezer_store::StoreError;
use freezer_store::maintenance::{CheckResult, Verdict};
use freezer_store::migrations::{SchemaError, Synced, Wishes};

use crate::collations::{dump, is_done};
use crate::dump::Dump;
use crate::obstacles::{command, is_refused, on, shape_of};
use crate::store;
use crate::support::{Engine, TestDatabase};
use crate::tables::Tables;

const ENGINES: [Engine; 3] = [Engine::MariaDb, Engine::MySql, Engine::Sqlite];

/// Tables with their primary keys. The service does not need the keys of the last three.
const KEYS: [(&str, &str); 13] = [
    ("clients", "id"),
    ("sessions", "id"),
    ("jobs", "id"),
    ("actions", "id"),
    ("action_reports", "id"),
    ("backups", "id"),
    ("user_credentials", "id"),
    ("job_actions", "id"),
    ("freezer_idempotency", "id"),
    ("fz_action_terms", "term, project_id, action_id"),
    ("freezer_leftovers", "table_name, row_id, column_name"),
    ("freezer_sync_lock", "id"),
    ("alembic_version", "version_num"),
];
const NOT_NEEDED: usize = 3;

/// Loads a database of 19.0.0 and upgrades it.
async fn upgraded(database: &TestDatabase) {
    store(database).schema_state().await.unwrap();
    let engine = if database.engine() == Engine::Sqlite { Engine::Sqlite } else { Engine::MariaDb };
    let shape = shape_of(engine, "g-19.0.0");
    database.run(&crate::loadable(database.engine(), &shape)).await;
    database.run("UPDATE clients SET client_id = id").await;
    if engine != Engine::Sqlite {
        // A copy has the character set of the database.
        database.run("ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci").await;
    }
    store(database).sync().await.unwrap();
    let leftovers = match engine {
        Engine::Sqlite => "TEXT",
        _ => "MEDIUMTEXT",
    };
    database
        .run(&format!(
            "CREATE TABLE freezer_leftovers (table_name VARCHAR(32) NOT NULL, row_id VARCHAR(255) NOT NULL, \
             column_name VARCHAR(32) NOT NULL, value {leftovers}, PRIMARY KEY (table_name, row_id, column_name)); \
             INSERT INTO freezer_leftovers VALUES ('jobs', 'j', 'job_actions', 'x')"
        ))
        .await;
    store(database).sync().await.unwrap();
}

async fn layout(database: &TestDatabase) -> Tables {
    Tables::read(database).await.into_what_can_be(database)
}

/// Drops the foreign keys on a table. MySQL does not remove a primary key that they need, and no server renames a copy to the name
/// of a table that they need.
async fn drop_foreign_keys(database: &TestDatabase, table: &str) {
    if database.engine() == Engine::Sqlite || !["jobs", "actions"].contains(&table) {
        return;
    }
    for key in database.texts("SELECT CAST(constraint_name AS CHAR) FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()").await {
        database.run(&format!("ALTER TABLE job_actions DROP FOREIGN KEY {key}")).await;
    }
}

/// Replaces a table by one that has all rows and no primary key.
async fn copy_without_key(database: &TestDatabase, table: &str) {
    drop_foreign_keys(database, table).await;
    let rename = match database.engine() {
        Engine::Sqlite => format!("ALTER TABLE copied RENAME TO {table}"),
        _ => format!("RENAME TABLE copied TO {table}"),
    };
    let checks = match database.engine() {
        Engine::Sqlite => "PRAGMA foreign_keys = OFF",
        _ => "SET foreign_key_checks = 0",
    };
    database
        .run(&format!("{checks}; CREATE TABLE copied AS SELECT * FROM {table}; DROP TABLE {table}; {rename}"))
        .await;
}

async fn drop_key(database: &TestDatabase, table: &str) {
    if database.engine() != Engine::Sqlite {
        if database.engine() == Engine::MySql {
            drop_foreign_keys(database, table).await;
        }
        let drop = format!("SET foreign_key_checks = 0; ALTER TABLE {table} DROP PRIMARY KEY");
        return database.run(&drop).await;
    }
    let made = format!("SELECT sql FROM sqlite_master WHERE name = '{table}' AND type = 'table'");
    let made = database.texts(&made).await.remove(0);
    let indexes = format!(
        "SELECT sql FROM sqlite_master WHERE tbl_name = '{table}' AND sql IS NOT NULL AND type <> 'table'"
    );
    let indexes = database.texts(&indexes).await.join(";\n");
    let at = made.find("PRIMARY KEY").unwrap();
    let (start, end) = (made[..at].rfind(',').unwrap(), at + made[at..].find(')').unwrap() + 1);
    let without = format!("{}{}", &made[..start], made[end..].replace(" WITHOUT ROWID", ""));
    assert!(!without.contains("PRIMARY KEY"), "{table}: {without}");
    database
        .run(&format!(
            "PRAGMA foreign_keys = OFF; CREATE TABLE copied AS SELECT * FROM {table}; DROP TABLE {table}; {without}; \
             INSERT INTO {table} SELECT * FROM copied; DROP TABLE copied; {indexes}"
        ))
        .await;
}

fn keys_check(checks: &[CheckResult]) -> &CheckResult {
    checks.iter().find(|check| check.name == "keys").unwrap_or_else(|| panic!("{checks:#?}"))
}

/// Asserts that `db check`, the dry run and the start report these tables, and that `db sync` restores the keys.
async fn is_restored(database: &TestDatabase, case: &str, words: &[&str], is_needed: bool) -> String {
    let before = Dump::read(database).await;
    let checks = store(database).check().await.unwrap();
    let check = keys_check(&checks);
    assert_eq!(check.verdict, Verdict::Failure, "{case}: {check:#?}");
    assert!(
        check.advice.is_some_and(|advice| advice.contains("freezer-manage db sync")),
        "{case}: {check:#?}"
    );
    // `upgrade check` prints this check, too.
    let layout = checks.iter().find(|check| check.name == "layout").unwrap();
    assert_eq!(layout.verdict == Verdict::Failure, is_needed, "{case}: {layout:#?}");
    let says_it_works = layout.advice.is_some_and(|advice| advice.contains("works without"));
    assert_eq!(says_it_works, !is_needed, "{case}: {layout:#?}");
    let served = store(database).check_schema().await;
    let mut texts = vec![check.examples.join("; ")];
    match served {
        Ok(()) => assert!(!is_needed, "{case}"),
        Err(StoreError::Schema(error)) => {
            assert!(is_needed && error.needs_sync(), "{case}: {error}");
            texts.push(error.to_string());
        }
        Err(other) => panic!("{case}: {other}"),
    }
    let mut out = Vec::new();
    db::dry_run(&store(database), Wishes::default(), &mut out).await.unwrap();
    texts.push(String::from_utf8(out).unwrap());
    for text in &texts {
        for word in words {
            assert!(text.contains(word), "{case}: no {word} in {text}");
        }
    }
    assert_eq!(Dump::read(database).await.difference(&before), None, "{case}: a dry run changes nothing");
    let said =
        command(&store(database), Wishes::default()).await.unwrap_or_else(|error| panic!("{case}: {error}"));
    let checks = store(database).check().await.unwrap();
    assert_eq!(keys_check(&checks).verdict, Verdict::Success, "{case}: {checks:#?}");
    store(database).check_schema().await.unwrap_or_else(|error| panic!("{case}: {error}"));
    let again = store(database).sync().await.unwrap();
    assert!(is_done(&again), "{case}: {again:?}");
    said
}

#[test]
fn a_dropped_primary_key_is_restored() {
    for engine in ENGINES {
        on(engine, "key_dropped", async |database| {
            upgraded(database).await;
            let (tables, rows) = (layout(database).await, Dump::read(database).await);
            for (at, (table, key)) in KEYS.into_iter().enumerate() {
                let case = format!("{engine:?} {table}");
                drop_key(database, table).await;
                let is_needed = at < KEYS.len() - NOT_NEEDED;
                let words = [format!("the table {table} has no primary key ({key})")];
                is_restored(database, &case, &words.each_ref().map(String::as_str), is_needed).await;
                assert_eq!(layout(database).await.difference(&tables), None, "{case}");
                assert_eq!(Dump::read(database).await.difference(&rows), None, "{case}");
            }
        });
    }
}

#[test]
fn a_table_that_was_copied_gets_its_keys_and_indexes_again() {
    for engine in ENGINES {
        on(engine, "key_copied", async |database| {
            upgraded(database).await;
            let (tables, rows) = (layout(database).await, Dump::read(database).await);
            for (table, key) in KEYS.into_iter().take(KEYS.len() - NOT_NEEDED) {
                // SQLite changes the types of columns in a copy.
                if engine == Engine::Sqlite && table == "fz_action_terms" {
                    continue;
                }
                let case = format!("{engine:?} {table}");
                copy_without_key(database, table).await;
                let words = [format!("the table {table} has no primary key ({key})")];
                is_restored(database, &case, &words.each_ref().map(String::as_str), true).await;
                assert_eq!(Dump::read(database).await.difference(&rows), None, "{case}");
                if engine != Engine::Sqlite {
                    assert_eq!(layout(database).await.difference(&tables), None, "{case}");
                }
            }
        });
    }
}

#[test]
fn a_primary_key_with_other_columns_is_replaced() {
    let on_servers: &[(&str, &str, &str)] = &[
        ("jobs", "DROP PRIMARY KEY, ADD PRIMARY KEY (id, client_id)", "(id, client_id), not (id)"),
        ("jobs", "DROP PRIMARY KEY, ADD PRIMARY KEY (id(20))", "(id(20)), not (id)"),
        (
            "clients",
            "DROP PRIMARY KEY, ADD COLUMN nr INT NOT NULL AUTO_INCREMENT PRIMARY KEY FIRST",
            "(nr), not (id)",
        ),
        ("backups", "DROP PRIMARY KEY, ADD PRIMARY KEY (project_id, id)", "(project_id, id), not (id)"),
        (
            "actions",
            "DROP PRIMARY KEY, ADD COLUMN my_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, ADD PRIMARY KEY (my_row_id)",
            "(my_row_id), not (id)",
        ),
        (
            "fz_action_terms",
            "DROP PRIMARY KEY, ADD PRIMARY KEY (term, action_id)",
            "(term, action_id), not (term",
        ),
    ];
    for engine in [Engine::MariaDb, Engine::MySql] {
        for (table, change, words) in on_servers {
            on(engine, "key_other", async |database| {
                upgraded(database).await;
                if *table == "backups" {
                    database.run("UPDATE backups SET project_id = '' WHERE project_id IS NULL").await;
                }
                if engine == Engine::MySql {
                    drop_foreign_keys(database, table).await;
                }
                database.run(&format!("SET foreign_key_checks = 0; ALTER TABLE {table} {change}")).await;
                let table = format!("the primary key of the table {table} is");
                is_restored(database, &format!("{engine:?} {change}"), &[&table, words], true).await;
            });
        }
    }
    on(Engine::Sqlite, "key_other", async |database| {
        upgraded(database).await;
        let rows = Dump::read(database).await;
        let made = database.texts("SELECT sql FROM sqlite_master WHERE name = 'sessions'").await.remove(0);
        let other = made.replace("PRIMARY KEY (id)", "PRIMARY KEY (id, project_id)");
        let other = other.replace("PRIMARY KEY (\"id\")", "PRIMARY KEY (\"id\", \"project_id\")");
        assert_ne!(made, other);
        database
            .run(&format!(
                "CREATE TABLE copied AS SELECT * FROM sessions; DROP TABLE sessions; {other}; \
                 INSERT INTO sessions SELECT * FROM copied; DROP TABLE copied; \
                 CREATE INDEX of_the_operator ON sessions (status)"
            ))
            .await;
        is_restored(
            database,
            "SQLite",
            &["the primary key of the table sessions is (id, project_id), not (id)"],
            true,
        )
        .await;
        assert_eq!(Dump::read(database).await.difference(&rows), None);
        let indexes = database.texts("SELECT name FROM sqlite_master WHERE tbl_name = 'sessions'").await;
        assert!(indexes.contains(&"of_the_operator".to_owned()), "{indexes:?}");
    });
}

#[test]
fn rows_that_do_not_allow_a_primary_key_are_named_before_anything_is_changed() {
    const ROW: &str = "INSERT INTO sessions (id, project_id, user_id, deleted) VALUES";
    for engine in ENGINES {
        on(engine, "key_doubled", async |database| {
            upgraded(database).await;
            for table in ["sessions", "user_credentials"] {
                copy_without_key(database, table).await;
            }
            if engine != Engine::Sqlite {
                database.run("ALTER TABLE sessions MODIFY id VARCHAR(36)").await;
            }
            database
                .run(&format!(
                    "{ROW} ('twin', 'p', 'u', 0), ('twin', 'p', 'u', 0), ('thrice', 'p', 'u', 0), ('thrice', 'q', 'u', 0), \
                     ('thrice', 'p', 'u', 1), (NULL, 'p', 'u', 0); \
                     INSERT INTO user_credentials (id, trust_id, trustor_user_id, job_id) VALUES \
                     ('c', 't', 'u', 'j'), ('c', 't', 'u', 'j')"
                ))
                .await;
            let case = format!("{engine:?}");
            let words = [
                "sessions (id)",
                "twin, twin",
                "thrice, thrice, thrice",
                "rows with NULL: 1",
                "user_credentials (id)",
                "c, c",
                "Nothing was changed",
                "freezer-manage db sync",
            ];
            is_refused(database, &case, &words, false).await;
            match store(database).check_schema().await.unwrap_err() {
                StoreError::Schema(error @ SchemaError::WrongKeys { .. }) => {
                    assert!(error.needs_sync(), "{error}")
                }
                other => panic!("{case}: {other}"),
            }
            database
                .run("DELETE FROM sessions WHERE id IN ('twin', 'thrice') OR id IS NULL; DELETE FROM user_credentials WHERE id = 'c'")
                .await;
            let words =
                ["the table sessions has no primary key", "the table user_credentials has no primary key"];
            is_restored(database, &case, &words, true).await;
        });
    }
    // Ids that are equal in the collation of the table.
    on(Engine::MariaDb, "key_equal", async |database| {
        upgraded(database).await;
        copy_without_key(database, "sessions").await;
        database.run(&format!("{ROW} ('aa', 'p', 'u', 0), ('AA', 'p', 'u', 0)")).await;
        is_refused(database, "equal", &["sessions (id)", "aa, AA"], false).await;
    });
}

#[test]
fn an_old_database_without_a_primary_key_is_upgraded() {
    for (engine, shape) in
        [(Engine::MariaDb, "f-18.0.0"), (Engine::MariaDb, "c-15.0.0"), (Engine::Sqlite, "f-18.0.0")]
    {
        let mut expected = None;
        let load = async |database: &TestDatabase| {
            store(database).schema_state().await.unwrap();
            match engine {
                Engine::Sqlite => database.run(&shape_of(engine, shape)).await,
                _ => database.run(&dump(shape, |_| None)).await,
            }
        };
        on(engine, "key_old_once", async |database| {
            load(database).await;
            store(database).sync().await.unwrap();
            expected = Some(crate::again::rows(database).await);
        });
        let Some(expected) = expected else { continue };
        on(engine, "key_old", async |database| {
            load(database).await;
            for table in ["jobs", "backups"] {
                copy_without_key(database, table).await;
            }
            let words =
                ["the table jobs has no primary key (id)", "the table backups has no primary key (id)"];
            let checks = store(database).check().await.unwrap();
            assert_eq!(keys_check(&checks).examples.len(), 2, "{shape}: {checks:#?}");
            for word in words {
                assert!(keys_check(&checks).examples.contains(&word.to_owned()), "{shape}: {checks:#?}");
            }
            store(database).sync().await.unwrap();
            assert_eq!(crate::again::rows(database).await.difference(&expected), None, "{shape}");
            store(database).check_schema().await.unwrap();
            assert!(is_done(&store(database).sync().await.unwrap()), "{shape}");
        });
    }
}

/// The foreign keys of `job_actions` follow a table that is renamed.
#[test]
fn a_copy_beside_the_renamed_table_is_repaired() {
    for engine in [Engine::MariaDb, Engine::MySql] {
        on(engine, "key_renamed", async |database| {
            upgraded(database).await;
            database
                .run("RENAME TABLE jobs TO jobs_broken; CREATE TABLE jobs AS SELECT * FROM jobs_broken")
                .await;
            store(database).sync().await.unwrap();
            let shown = database.create_table("job_actions").await;
            assert!(shown.contains("REFERENCES `jobs` (`id`)") && !shown.contains("jobs_broken"), "{shown}");
            assert!(is_done(&store(database).sync().await.unwrap()));
            let checks = store(database).check().await.unwrap();
            assert_eq!(keys_check(&checks).verdict, Verdict::Success, "{checks:#?}");
        });
    }
}

#[test]
fn unique_indexes_are_restored() {
    for engine in ENGINES {
        on(engine, "key_unique", async |database| {
            upgraded(database).await;
            let tables = layout(database).await;
            let is_file = engine == Engine::Sqlite;
            let drop = |index: &str, table: &str| match is_file {
                true => format!("DROP INDEX {index}"),
                false => format!("ALTER TABLE {table} DROP INDEX {index}"),
            };
            let live = if is_file { "client_id" } else { "fz_live_client_id" };
            let only = if is_file { " WHERE deleted = 0 AND is_central = 0" } else { "" };
            let cases = [
                (
                    drop("fz_clients_live", "clients"),
                    "the unique index fz_clients_live of the table clients is missing",
                ),
                (
                    drop("fz_backups_identity", "backups"),
                    "the unique index fz_backups_identity of the table backups is missing",
                ),
                (
                    format!(
                        "{}; CREATE INDEX fz_clients_live ON clients (project_id, {live})",
                        drop("fz_clients_live", "clients")
                    ),
                    "the unique index fz_clients_live of the table clients has another definition",
                ),
                (
                    format!(
                        "{}; CREATE UNIQUE INDEX fz_backups_identity ON backups (fz_identity, id)",
                        drop("fz_backups_identity", "backups")
                    ),
                    "the unique index fz_backups_identity of the table backups has another definition",
                ),
                (
                    "CREATE UNIQUE INDEX fz_identity ON backups (fz_identity)".to_owned(),
                    "the unique index fz_identity of the table backups is a second one like fz_backups_identity",
                ),
                (
                    format!("CREATE UNIQUE INDEX names ON clients (project_id, {live}){only}"),
                    "the unique index names of the table clients is a second one like fz_clients_live",
                ),
            ];
            for (change, words) in cases {
                database.run(&change).await;
                is_restored(database, &format!("{engine:?} {change}"), &[words], false).await;
                assert_eq!(layout(database).await.difference(&tables), None, "{engine:?} {change}");
            }
        });
    }
}

/// While the index was missing, a backup was reported twice. Both backups stay, and only one keeps the identity.
#[test]
fn repeated_identities_are_cleared() {
    for engine in ENGINES {
        on(engine, "key_identity", async |database| {
            upgraded(database).await;
            let drop = match engine {
                Engine::Sqlite => "DROP INDEX fz_backups_identity",
                _ => "ALTER TABLE backups DROP INDEX fz_backups_identity",
            };
            let row = "INSERT INTO backups (id, project_id, user_id, deleted, status, fz_identity) VALUES";
            database
                .run(&format!(
                    "{drop}; {row} ('b1', 'p', 'u', 0, 'available', 'same'), ('b2', 'p', 'u', 0, 'available', 'same'), \
                     ('b3', 'p', 'u', 0, 'available', 'other')"
                ))
                .await;
            let done = store(database).sync().await.unwrap();
            assert_eq!(done, Synced::Upgraded { left_out: Vec::new() }, "{engine:?}");
            let kept =
                database.texts("SELECT id FROM backups WHERE fz_identity IS NOT NULL ORDER BY id").await;
            assert_eq!(kept, ["b1", "b3"], "{engine:?}");
            assert_eq!(
                database.number("SELECT COUNT(*) FROM backups WHERE id IN ('b1', 'b2', 'b3')").await,
                3
            );
            assert_eq!(store(database).sync().await.unwrap(), Synced::AlreadyCurrent, "{engine:?}");
        });
    }
}
