//! `freezer_leftovers` that was converted or narrowed by hand does not stop an upgrade, and takes every value. The last
//! line of `db sync` counts all values in it.

use freezer_store::migrations::Wishes;

use crate::collations::is_done;
use crate::dump::{Dump, dropping};
use crate::entries::{loaded, numbers};
use crate::obstacles::{command, on};
use crate::support::{self, Engine};
use crate::{folder, store};

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
            assert!(!said.contains("kept in") || said.contains(": 0 values of 0 rows"), "{engine:?}: {said}");
        });
    }
}
