//! `freezer_leftovers` that was converted or narrowed by hand does not stop an upgrade, and takes every value. The last
//! line of `db sync` counts all values in it.

use std::collections::BTreeMap;

use freezer_store::StoreError;
use freezer_store::migrations::Wishes;

use crate::collations::{dump, is_done};
use crate::dump::{Dump, dropping};
use crate::entries::{loaded, numbers};
use crate::obstacles::{command, on, shape_of};
use crate::support::{self, Engine, TestDatabase};
use crate::{folder, store};

/// The column as earlier releases created it.
const EARLIER: &str = "ALTER TABLE freezer_leftovers MODIFY row_id VARCHAR(255) NOT NULL";

#[test]
fn a_narrow_table_of_leftovers_is_widened() {
    let sql = std::fs::read_to_string(folder().join("f-18.0.0-utf8mb4.mysql.sql")).unwrap();
    let text = format!("no list \u{1F4BE} {}", "x".repeat(300));
    for change in [
        "SELECT 1",
        "ALTER TABLE freezer_leftovers CONVERT TO CHARACTER SET latin1",
        "ALTER TABLE freezer_leftovers CONVERT TO CHARACTER SET ascii",
        "ALTER TABLE freezer_leftovers MODIFY value VARCHAR(10)",
        "ALTER TABLE freezer_leftovers MODIFY value TEXT CHARACTER SET latin1",
        "ALTER TABLE freezer_leftovers MODIFY row_id VARCHAR(8) NOT NULL, MODIFY table_name VARCHAR(4) NOT NULL, \
         MODIFY column_name VARCHAR(5) NOT NULL",
        "ALTER TABLE freezer_leftovers MODIFY row_id VARCHAR(8) CHARACTER SET latin1 NOT NULL, ENGINE=MyISAM",
        "ALTER TABLE freezer_leftovers MODIFY row_id VARBINARY(8) NOT NULL",
        EARLIER,
    ] {
        support::with_database(Engine::MariaDb, "leftovers_table", |runtime, database| {
            runtime.block_on(support::bounded(async {
                let load = async || {
                    database.run(&dropping(Engine::MariaDb, &sql)).await;
                    database
                        .run(&format!("UPDATE jobs SET job_actions = '{text}' ORDER BY id LIMIT 1"))
                        .await;
                };
                load().await;
                store(database).sync().await.unwrap();
                let once = Dump::read(database).await.table("freezer_leftovers");
                assert!(once.values().any(|row| row["value"].as_deref() == Some(text.as_str())), "{once:?}");
                database.run(&format!("DELETE FROM freezer_leftovers; {change}")).await;
                load().await;
                let plan = store(database).plan(Default::default()).await.unwrap();
                let is_mended = plan.steps.iter().any(|step| step.what.contains("freezer_leftovers"));
                assert_eq!(is_mended, change != "SELECT 1", "{change}: {plan:?}");
                store(database).sync().await.unwrap_or_else(|error| panic!("{change}: {error}"));
                assert_eq!(Dump::read(database).await.table("freezer_leftovers"), once, "{change}");
                assert!(is_done(&store(database).sync().await.unwrap()), "{change}");
            }));
        });
    }
}

/// The first run of the upgrade moved the lists of jobs, and was interrupted before it dropped `backups.user_name`.
#[test]
fn the_values_of_an_interrupted_run_are_counted() {
    for engine in [Engine::MariaDb, Engine::MySql, Engine::Sqlite] {
        on(engine, "leftovers_resumed", async |database| {
            loaded(database).await;
            database.run("UPDATE backups SET user_name = 'someone', backup_metadata = '{oops'").await;
            let expected = store(database).unmovable().await.unwrap();
            let expected = (expected.values, expected.rows);
            let said = command(&store(database), Wishes::default()).await.unwrap();
            assert_eq!(numbers(said.lines().last().unwrap()), expected, "{engine:?}: {said}");
            let whole = Dump::read(database).await.table("freezer_leftovers");
            database
                .run(
                    "DELETE FROM alembic_version; ALTER TABLE backups ADD COLUMN user_name VARCHAR(64); \
                     UPDATE backups SET user_name = 'someone'",
                )
                .await;
            let said = command(&store(database), Wishes::default()).await.unwrap();
            assert!(said.contains("drop backups.user_name"), "{engine:?}: {said}");
            assert_eq!(numbers(said.lines().last().unwrap()), expected, "{engine:?}: {said}");
            assert_eq!(Dump::read(database).await.table("freezer_leftovers"), whole, "{engine:?}");
            // The run was interrupted after the last statement. Nothing is left to do.
            let said = command(&store(database), Wishes::default()).await.unwrap();
            let last = said.lines().last().unwrap();
            let (_, kept) = last.split_once("kept in").unwrap_or_else(|| panic!("{engine:?}: {said}"));
            assert_eq!(numbers(kept), expected, "{engine:?}: {said}");
            database.run("DELETE FROM freezer_leftovers").await;
            let said = command(&store(database), Wishes::default()).await.unwrap();
            assert!(!said.contains("kept in"), "{engine:?}: {said}");
        });
    }
}

/// Adds jobs and backups with these ids, each with values that cannot be moved.
async fn add_unmovable(database: &TestDatabase, ids: &[&str]) {
    for id in ids {
        database
            .run(&format!(
                "INSERT INTO jobs (id, project_id, user_id, client_id, job_actions, deleted) \
                 VALUES ('{id}', 'p', 'u', 'c', '[\"{id}\", 5]', 0); \
                 UPDATE backups SET id = '{id}', user_name = 'user {id}', backup_metadata = '{{oops' \
                 WHERE user_name IS NOT NULL AND id NOT IN ('{}') ORDER BY id LIMIT 1",
                ids.join("', '")
            ))
            .await;
    }
}

/// Asserts that the sync keeps as many values as its dry run has said, and those of each of these ids.
async fn keeps_all(database: &TestDatabase, case: &str, ids: &[&str]) {
    let expected = store(database).unmovable().await.unwrap();
    let said =
        command(&store(database), Wishes::default()).await.unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(numbers(said.lines().last().unwrap()), (expected.values, expected.rows), "{case}: {said}");
    let mut found = BTreeMap::new();
    store(database)
        .leftovers(|row| {
            found.insert((row.column, row.row), row.value);
            Ok::<(), StoreError>(())
        })
        .await
        .unwrap();
    assert_eq!(found.len() as u64, expected.rows, "{case}: {found:?}");
    for id in ids {
        let of = |column: &str| found.get(&(column.to_owned(), (*id).to_owned())).map(String::as_str);
        assert_eq!(of("job_actions"), Some(&*format!("[\"{id}\", 5]")), "{case}: {id} {found:?}");
    }
    assert_eq!(store(database).kept().await.unwrap().values, expected.values, "{case}");
    assert!(is_done(&store(database).sync().await.unwrap()), "{case}");
}

/// Ids that the tables distinguish, and that are equal in the collation of new tables.
#[test]
fn values_of_rows_with_similar_ids_are_all_kept() {
    let letters: &[&str] = &["aa", "AA", "áa", "zz", "ZZ", "ß", "s"];
    let spaces: &[&str] = &["y", "y ", "y  "];
    let both: Vec<&str> = letters.iter().chain(spaces).copied().collect();
    for (engine, collation, ids) in [
        (Engine::MariaDb, "utf8mb4_bin", letters),
        (Engine::MariaDb, "utf8mb4_nopad_bin", &both),
        (Engine::MariaDb, "utf8mb4_general_nopad_ci", spaces),
        (Engine::MariaDb, "utf8mb4_uca1400_as_cs", letters),
        (Engine::MySql, "utf8mb4_bin", letters),
        (Engine::MySql, "utf8mb4_0900_as_cs", &both),
        (Engine::MySql, "utf8mb4_0900_bin", &both),
    ] {
        on(engine, "leftovers_ids", async |database| {
            let case = format!("{engine:?} {collation}");
            let sql = crate::loadable(engine, &dump("f-18.0.0", |_| Some(collation)));
            for earlier in [false, true] {
                database.run(&dropping(engine, &sql)).await;
                add_unmovable(database, ids).await;
                if earlier {
                    database.run(&format!("DELETE FROM freezer_leftovers; {EARLIER}")).await;
                }
                keeps_all(database, &format!("{case}, earlier table: {earlier}"), ids).await;
            }
        });
    }
    on(Engine::Sqlite, "leftovers_ids", async |database| {
        store(database).schema_state().await.unwrap();
        database.run(&shape_of(Engine::Sqlite, "f-18.0.0")).await;
        for id in &both {
            database
                .run(&format!(
                    "INSERT INTO jobs (id, project_id, user_id, client_id, job_actions, deleted) \
                     VALUES ('{id}', 'p', 'u', 'c', '[\"{id}\", 5]', 0)"
                ))
                .await;
        }
        keeps_all(database, "sqlite", &both).await;
    });
}

#[test]
fn a_sync_that_keeps_nothing_does_not_say_so() {
    for engine in [Engine::MariaDb, Engine::Sqlite] {
        on(engine, "leftovers_none", async |database| {
            store(database).schema_state().await.unwrap();
            database.run(&shape_of(engine, "g-19.0.0")).await;
            let said = command(&store(database), Wishes::default()).await.unwrap();
            assert!(said.lines().count() > 1 && !said.contains("freezer_leftovers"), "{engine:?}: {said}");
            assert!(said.lines().last().unwrap().contains(": at revision"), "{engine:?}: {said}");
        });
    }
}

/// A link belongs to a job if the server says that their ids are equal.
#[test]
fn only_links_without_a_job_are_removed() {
    // The id of the job, the one in its link, and whether the link is kept.
    for (engine, collation, job, link, is_kept) in [
        (Engine::MariaDb, "utf8mb4_bin", "aa", "AA", false),
        (Engine::MariaDb, "utf8mb4_bin", "aa", "aa", true),
        (Engine::MariaDb, "utf8mb4_general_ci", "aa", "AA", true),
        (Engine::MariaDb, "utf8mb4_general_ci", "ÄÖ", "äö", true),
        (Engine::MariaDb, "utf8mb4_general_ci", "Ж1", "ж1", true),
        (Engine::MariaDb, "utf8mb4_unicode_ci", "é1", "e1", true),
        (Engine::MariaDb, "utf8mb4_general_ci", "aa", "ab", false),
        (Engine::MariaDb, "utf8mb4_nopad_bin", "y", "y ", false),
        (Engine::MySql, "utf8mb4_0900_as_cs", "aa", "AA", false),
        (Engine::MySql, "utf8mb4_0900_ai_ci", "Ж1", "ж1", true),
        (Engine::Sqlite, "", "aa", "AA", false),
        (Engine::Sqlite, "", "aa", "aa", true),
    ] {
        on(engine, "orphans", async |database| {
            let case = format!("{engine:?} {collation} {job} {link}");
            store(database).schema_state().await.unwrap();
            let sql = match engine {
                Engine::Sqlite => shape_of(engine, "f-18.0.0"),
                _ => dropping(engine, &crate::loadable(engine, &dump("f-18.0.0", |_| Some(collation)))),
            };
            let unchecked = match engine {
                Engine::Sqlite => "PRAGMA foreign_keys = OFF",
                _ => "SET foreign_key_checks = 0",
            };
            database.run(&sql).await;
            store(database).sync().await.unwrap_or_else(|error| panic!("{case}: {error}"));
            // As after a restore of an older dump of jobs alone: a NULL list decides nothing about links.
            database
                .run(&format!(
                    "{unchecked}; ALTER TABLE jobs ADD COLUMN job_actions TEXT; \
                     INSERT INTO actions (id, action, project_id, user_id, max_retries, max_retries_interval, mandatory, \
                     backup_metadata, deleted) VALUES ('x', 'exec', 'p', 'u', 5, 6, 0, '{{}}', 0); \
                     INSERT INTO jobs (id, project_id, user_id, client_id, deleted) VALUES ('{job}', 'p', 'u', 'c', 0); \
                     INSERT INTO job_actions (id, job_id, action_id, position, deleted) \
                     VALUES ('the-link', '{link}', 'x', 0, 0), ('own-link', '{job}', 'x', 1, 0); DELETE FROM alembic_version"
                ))
                .await;
            store(database).sync().await.unwrap_or_else(|error| panic!("{case}: {error}"));
            let links = Dump::read(database).await.table("job_actions");
            assert_eq!(links.contains_key("the-link"), is_kept, "{case}: {links:?}");
            assert!(links.contains_key("own-link"), "{case}: {links:?}");
        });
    }
}
