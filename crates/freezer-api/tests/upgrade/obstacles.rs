//! Databases that `db sync` refuses before it changes anything: tables are missing after an interrupted restore, or rows
//! have keys that are equal in the collation that their table must get.

use std::time::Duration;

use freezer_api::manage::db;
use freezer_store::migrations::{SchemaError, SyncOptions, Wishes};
use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Store, StoreError};

use crate::again::rows;
use crate::collations::{dump, is_done, only};
use crate::dump::Dump;
use crate::support::{self, Engine, TestDatabase};
use crate::tables::Tables;
use crate::{folder, store};

const CREATE_MISSING: Wishes =
    Wishes { convert_large_tables: false, shared_database: false, create_missing_tables: true };

pub fn on(engine: Engine, name: &str, body: impl AsyncFnOnce(&TestDatabase)) {
    support::with_database(engine, name, |runtime, database| {
        runtime.block_on(support::bounded(body(database)));
    });
}

pub fn shape_of(engine: Engine, shape: &str) -> String {
    let ending = if engine == Engine::Sqlite { "sqlite" } else { "mysql" };
    std::fs::read_to_string(folder().join(format!("{shape}.{ending}.sql"))).unwrap()
}

async fn drop_tables(database: &TestDatabase, tables: &[&str]) {
    let checks = match database.engine() {
        Engine::Sqlite => "PRAGMA foreign_keys = OFF",
        _ => "SET foreign_key_checks = 0",
    };
    let drops: Vec<String> = tables.iter().map(|table| format!("DROP TABLE {table}")).collect();
    database.run(&format!("{checks}; {}", drops.join("; "))).await;
}

/// Runs `db sync` as the command does; its output.
pub async fn command(store: &Store, wishes: Wishes) -> Result<String, String> {
    let options = SyncOptions { wishes, wait: Duration::ZERO, holder: "here:1".to_owned() };
    let mut out = Vec::new();
    let done = db::sync(store, &options, &mut out).await;
    done.map(|()| String::from_utf8(out).unwrap()).map_err(|error| error.to_string())
}

/// The sync, its dry run and the checks refuse the database with these words, and change nothing. The service waits if
/// `waits`; otherwise the check of the service's start is not asked.
pub async fn is_refused(database: &TestDatabase, case: &str, words: &[&str], waits: bool) {
    let before = (Dump::read(database).await, Tables::read(database).await);
    let store = store(database);
    let mut texts = vec![command(&store, Wishes::default()).await.unwrap_err()];
    let mut out = Vec::new();
    texts.push(db::dry_run(&store, Wishes::default(), &mut out).await.unwrap_err().to_string());
    let checks = store.check().await.unwrap();
    assert_eq!(checks.iter().map(|check| check.name).collect::<Vec<_>>(), ["layout"], "{case}");
    texts.push(checks[0].details.clone());
    if waits {
        match store.check_schema().await.unwrap_err() {
            StoreError::Schema(error) => {
                assert!(error.needs_sync(), "{case}: {error}");
                texts.push(error.to_string());
            }
            other => panic!("{case}: {other}"),
        }
    }
    for text in texts {
        for word in words {
            assert!(text.contains(word), "{case}: no {word} in {text}");
        }
    }
    let after = (Dump::read(database).await, Tables::read(database).await);
    assert_eq!(after.0.difference(&before.0), None, "{case}");
    assert_eq!(after.1.difference(&before.1), None, "{case}");
}

#[test]
fn a_missing_table_is_not_created_empty() {
    const ALL: [&str; 8] = [
        "job_actions",
        "user_credentials",
        "jobs",
        "clients",
        "actions",
        "sessions",
        "backups",
        "action_reports",
    ];
    for engine in [Engine::MariaDb, Engine::Sqlite] {
        for table in ALL {
            on(engine, "missing_table", async |database| {
                let case = format!("{engine:?} {table}");
                store(database).schema_state().await.unwrap();
                database.run(&shape_of(engine, "g-18.0.0-sync-19.0.0")).await;
                store(database).sync().await.unwrap();
                // as it is after this, another sync refuses it
                drop_tables(database, &[table]).await;
                let words = [
                    format!("the table {table} is missing"),
                    "restore".to_owned(),
                    "docs/upgrading.md".to_owned(),
                    "--create-missing-tables".to_owned(),
                ];
                is_refused(database, &case, &words.each_ref().map(String::as_str), true).await;
                let said = command(&store(database), CREATE_MISSING).await.unwrap();
                assert!(said.contains(&format!("create table {table}")), "{case}: {said}");
                if ["job_actions", "actions"].contains(&table) {
                    let last = said.lines().last().unwrap();
                    assert!(last.contains("; live jobs without actions: "), "{case}: {last}");
                }
                store(database).check_schema().await.unwrap();
                let again = store(database).sync().await.unwrap();
                assert!(is_done(&again), "{case}: {again:?}");
            });
        }
    }
}

/// The client stops at the foreign keys of `job_actions`, because the upgraded `jobs` has another character set.
#[test]
fn a_dump_that_cannot_be_loaded_over_upgraded_tables_is_noticed() {
    on(Engine::MariaDb, "missing_links", async |database| {
        let sql = shape_of(Engine::MariaDb, "g-19.0.0");
        database.run(&sql).await;
        store(database).sync().await.unwrap();
        let links = rows(database).await.table("job_actions").len();
        assert!(links > 0);
        let loaded = ["action_reports", "actions", "alembic_version", "backups", "clients"];
        database.run(&only(&sql, &loaded)).await;
        drop_tables(database, &["job_actions"]).await;
        is_refused(database, "the dump", &["the table job_actions is missing"], true).await;
    });
}

#[test]
fn an_old_dump_of_which_a_part_was_loaded_is_noticed() {
    for (shape, missing) in [
        ("f-16.0.0", vec!["jobs", "sessions"]),
        ("c-15.0.0", vec!["clients"]),
        ("a-7.0.0", vec!["sessions"]),
        ("c2-8.0.0-stamped-7a3b9c1d2e4f", vec!["backups"]),
        ("h-19.0.0", vec!["job_actions"]),
    ] {
        on(Engine::MariaDb, "missing_old", async |database| {
            database.run(&shape_of(Engine::MariaDb, shape)).await;
            drop_tables(database, &missing).await;
            let names = missing.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            for name in &names {
                is_refused(database, shape, &[name, "is missing"], true).await;
            }
            command(&store(database), CREATE_MISSING).await.unwrap();
            store(database).check_schema().await.unwrap();
        });
    }
}

/// A creation of all tables that was interrupted continues, and a database that was emptied is filled again.
#[test]
fn tables_without_rows_are_completed() {
    for engine in [Engine::MariaDb, Engine::Sqlite] {
        on(engine, "missing_empty", async |database| {
            store(database).sync().await.unwrap();
            drop_tables(database, &["job_actions", "backups", "alembic_version"]).await;
            store(database).sync().await.unwrap();
            store(database).check_schema().await.unwrap();
        });
    }
}

const TWO_ACTIONS: &str = "INSERT INTO actions (id, action, project_id, user_id, deleted, backup_metadata) VALUES \
     ('aa', 'backup', 'p', 'u', 0, '{}'), ('AA', 'backup', 'p', 'u', 0, '{}')";
const TWO_CLIENTS: &str = "INSERT INTO clients (id, project_id, user_id, client_id, hostname, uuid, deleted) VALUES \
     ('c-x', 'px', 'u', 'one', 'h', 'c-x', 0), ('C-X', 'px', 'u', 'two', 'h', 'C-X', 0)";

#[test]
fn keys_that_a_conversion_makes_equal_are_refused() {
    on(Engine::MariaDb, "equal_restored", async |database| {
        database.run(&shape_of(Engine::MariaDb, "g-19.0.0-utf8mb4")).await;
        store(database).sync().await.unwrap();
        let bin = |_: &str| Some("utf8mb4_bin");
        database.run(&only(&dump("g-19.0.0-utf8mb4", bin), &["actions"])).await;
        database.run(TWO_ACTIONS).await;
        is_refused(database, "actions", &["actions (id in utf8mb4_", "AA, aa", "Nothing was changed"], false)
            .await;
        match store(database).sync().await.unwrap_err() {
            StoreError::Schema(SchemaError::Obstacle(_)) => {}
            other => panic!("{other:?}"),
        }
        database.run("DELETE FROM actions WHERE HEX(id) = '4141'").await;
        store(database).sync().await.unwrap();
        store(database).check_schema().await.unwrap();
        assert!(is_done(&store(database).sync().await.unwrap()));
    });
    // old layouts, in several collations
    for (shape, collation) in [
        ("f-18.0.0-utf8mb4", "utf8mb4_bin"),
        ("f-18.0.0-latin1", "utf8mb3_bin"),
        ("f-18.0.0-latin1", "latin1_bin"),
    ] {
        on(Engine::MariaDb, "equal_old", async |database| {
            let of = |table: &str| (table == "clients").then_some(collation);
            database.run(&dump(shape, of)).await;
            database.run(TWO_CLIENTS).await;
            is_refused(database, collation, &["clients (id in utf8mb4_", "C-X, c-x"], false).await;
        });
    }
}

/// A unique index of ours counts as a key, too.
#[test]
fn client_names_that_a_conversion_makes_equal_are_refused() {
    on(Engine::MariaDb, "equal_names", async |database| {
        store(database).sync().await.unwrap();
        database.run("ALTER TABLE clients CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin").await;
        database.run(&TWO_CLIENTS.replace("'C-X'", "'C-Y'").replace("'two'", "'ONE'")).await;
        is_refused(
            database,
            "names",
            &["clients (project_id, fz_live_client_id in utf8mb4_", "C-Y, c-x"],
            false,
        )
        .await;
    });
}

#[test]
fn the_dry_run_plans_for_a_file_that_does_not_exist_and_does_not_create_it() {
    on(Engine::Sqlite, "no_file", async |database| {
        let folder = match database.url() {
            DatabaseUrl::Sqlite { path } => path.with_extension("folder"),
            other => panic!("{other}"),
        };
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("new.db");
        let url = || DatabaseUrl::Sqlite { path: path.clone() };
        let connect = ConnectSettings::default;
        let missing = Store::new(url(), connect(), PoolSettings::default());
        let mut out = Vec::new();
        db::dry_run(&missing, Wishes::default(), &mut out).await.unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        let said = String::from_utf8(out).unwrap();
        assert!(said.contains("new.db") && said.contains("CREATE TABLE"), "{said}");
        // This is the plan for an empty database.
        let mut out = Vec::new();
        let empty = Store::new_or_create(url(), connect(), PoolSettings::default());
        empty.schema_state().await.unwrap();
        db::dry_run(&empty, Wishes::default(), &mut out).await.unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), said);
        drop((missing, empty));
        std::fs::remove_dir_all(&folder).unwrap();
    });
}
