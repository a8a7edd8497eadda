//! Ids of actions that differ in case or accents, and columns whose names are written in upper case: the dry run counts
//! exactly what the sync keeps, and no check is skipped.

use std::collections::BTreeSet;

use freezer_store::StoreError;
use freezer_store::migrations::Wishes;

use crate::collations::{dump, is_done};
use crate::dump::dropping;
use crate::entries::numbers;
use crate::obstacles::{command, on, shape_of};
use crate::store;
use crate::support::{Engine, TestDatabase};

/// Jobs that no case needs. They separate the others into several batches.
const FILLERS: usize = 600;

async fn load(database: &TestDatabase, shape: &str, collation: &'static str) {
    store(database).schema_state().await.unwrap();
    let sql = match database.engine() {
        Engine::Sqlite => shape_of(Engine::Sqlite, shape),
        engine => dropping(engine, &crate::loadable(engine, &dump(shape, |_| Some(collation)))),
    };
    database.run(&sql).await;
}

fn reference(id: &str) -> String {
    format!("[{{\"action_id\": \"{id}\"}}]")
}

fn definition(id: &str, command: &str) -> String {
    format!(
        "[{{\"action_id\": \"{id}\", \"freezer_action\": {{\"action\": \"exec\", \"command\": \"{command}\"}}}}]"
    )
}

/// Adds the existing actions `abc` and `é1`, and jobs whose entries refer to them or define others.
async fn add_jobs(database: &TestDatabase, fillers: usize) {
    let mut sql = String::from("DELETE FROM jobs;");
    for id in ["abc", "é1"] {
        sql += &format!(
            "INSERT INTO actions (id, action, project_id, user_id, max_retries, max_retries_interval, mandatory, \
             backup_metadata, deleted) VALUES ('{id}', 'exec', 'p', 'u', 5, 6, 0, '{{}}', 0);"
        );
    }
    let mut jobs = vec![
        ("j01".to_owned(), reference("ABC"), 0),
        ("j02".to_owned(), definition("ABC", "j02"), 0),
        ("j10".to_owned(), reference("abc"), 0),
        // The first definition of two gets the id, if the ids are equal.
        ("k01".to_owned(), definition("new1", "k01"), 0),
        ("k02".to_owned(), definition("NEW1", "k02"), 0),
        ("k03".to_owned(), reference("NEW1"), 0),
        ("k04".to_owned(), reference("new1"), 0),
        // The action of a deleted job is deleted.
        ("m01".to_owned(), definition("dead", "m01"), 1),
        ("m02".to_owned(), reference("dead"), 0),
        ("m03".to_owned(), reference("dead"), 1),
        ("n01".to_owned(), definition("e1", "n01"), 0),
        ("n02".to_owned(), reference("e1"), 0),
    ];
    jobs.extend((0..fillers).map(|at| (format!("j05-{at:03}"), "[]".to_owned(), 0)));
    for (id, list, deleted) in jobs {
        sql += &format!(
            "INSERT INTO jobs (id, project_id, user_id, client_id, job_actions, deleted) \
             VALUES ('{id}', 'p', 'u', 'c', '{list}', {deleted});"
        );
    }
    database.run(&sql).await;
}

/// If the sync converts `actions` before it moves the entries, the dry run compares the ids in the collation that the table gets.
#[test]
fn the_dry_run_compares_ids_in_the_collation_after_the_conversion() {
    for (engine, collation, of_actions) in [
        (Engine::MariaDb, "utf8mb4_general_ci", "utf8mb4_bin"),
        (Engine::MariaDb, "utf8mb4_unicode_ci", "utf8mb4_nopad_bin"),
        (Engine::MariaDb, "utf8mb4_uca1400_ai_ci", "utf8mb3_bin"),
        (Engine::MariaDb, "utf8mb4_bin", "utf8mb4_general_ci"),
        (Engine::MySql, "utf8mb4_0900_ai_ci", "utf8mb4_bin"),
        (Engine::MySql, "utf8mb4_bin", "utf8mb4_0900_ai_ci"),
    ] {
        on(engine, "converted_ids", async |database| {
            let case = format!("{engine:?} {collation}, actions {of_actions}");
            store(database).schema_state().await.unwrap();
            let of_table = |table: &str| Some(if table == "actions" { of_actions } else { collation });
            let sql = dropping(engine, &crate::loadable(engine, &dump("f-18.0.0", of_table)));
            database.run(&sql).await;
            add_jobs(database, 0).await;
            let planned = store(database).unmovable().await.unwrap();
            let said = command(&store(database), Wishes::default())
                .await
                .unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(numbers(said.lines().last().unwrap()), (planned.values, planned.rows), "{case}");
        });
    }
}

#[test]
fn the_dry_run_compares_ids_of_actions_as_the_sync_does() {
    // The jobs whose entry is kept: the collation distinguishes neither case nor accents, only case, or everything.
    let (folds, keeps_accents, exact) =
        (vec!["j01", "k03", "m02", "n02"], vec!["j01", "k03", "m02"], vec!["m02"]);
    for (engine, collation, expected) in [
        (Engine::MariaDb, "utf8mb3_general_ci", &folds),
        (Engine::MariaDb, "utf8mb4_unicode_ci", &folds),
        (Engine::MariaDb, "utf8mb4_uca1400_as_ci", &keeps_accents),
        (Engine::MariaDb, "utf8mb4_nopad_bin", &exact),
        (Engine::MariaDb, "utf8mb4_bin", &exact),
        (Engine::MySql, "utf8mb4_0900_ai_ci", &folds),
        (Engine::MySql, "utf8mb4_0900_as_cs", &exact),
        (Engine::Sqlite, "", &exact),
    ] {
        for fillers in [0, FILLERS] {
            on(engine, "ids_of_actions", async |database| {
                let case = format!("{engine:?} {collation} {fillers}");
                load(database, "f-18.0.0", collation).await;
                add_jobs(database, fillers).await;
                let planned = store(database).unmovable().await.unwrap();
                let said = command(&store(database), Wishes::default())
                    .await
                    .unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_eq!(numbers(said.lines().last().unwrap()), (planned.values, planned.rows), "{case}");
                let mut kept = BTreeSet::new();
                store(database)
                    .leftovers(|row| {
                        if row.column == "job_actions" {
                            kept.insert(row.row);
                        }
                        Ok::<(), StoreError>(())
                    })
                    .await
                    .unwrap();
                assert_eq!(kept.iter().map(String::as_str).collect::<Vec<_>>(), **expected, "{case}");
                for job in &kept {
                    let text = format!("jobs.job_actions of row {job}: 1 value");
                    assert!(planned.examples.contains(&text), "{case}: {planned:?}");
                }
                assert!(is_done(&store(database).sync().await.unwrap()), "{case}");
            });
        }
    }
}

/// Writes the names of some columns in upper case.
fn in_upper_case(engine: Engine, sql: &str) -> String {
    const NAMES: [&str; 6] = ["id", "deleted", "project_id", "client_id", "job_actions", "user_name"];
    let mut changed = sql.to_owned();
    for name in NAMES {
        let upper = name.to_uppercase();
        changed = match engine {
            Engine::Sqlite => changed.replace(&format!("\n\t{name} "), &format!("\n\t{upper} ")),
            _ => changed.replace(&format!("\n  `{name}` "), &format!("\n  `{upper}` ")),
        };
    }
    assert_ne!(changed, sql);
    changed
}

#[test]
fn the_case_of_column_names_changes_no_check_and_no_upgrade() {
    for engine in [Engine::MariaDb, Engine::MySql, Engine::Sqlite] {
        for shape in ["f-18.0.0", "g-19.0.0"] {
            let mut found = Vec::new();
            for upper in [false, true] {
                on(engine, "column_case", async |database| {
                    let sql = shape_of(if engine == Engine::MySql { Engine::MariaDb } else { engine }, shape);
                    let sql = crate::loadable(engine, &sql);
                    let sql = if upper { in_upper_case(engine, &sql) } else { sql };
                    store(database).schema_state().await.unwrap();
                    database.run(&sql).await;
                    if shape == "f-18.0.0" {
                        add_jobs(database, 0).await;
                    }
                    database.run("UPDATE clients SET client_id = 'same', deleted = 0").await;
                    let checks = |of: Vec<freezer_store::maintenance::CheckResult>| {
                        let of = of
                            .into_iter()
                            .map(|check| (check.name, check.verdict, check.details, check.count));
                        of.collect::<Vec<_>>()
                    };
                    let before = checks(store(database).check().await.unwrap());
                    let planned = store(database).unmovable().await.unwrap();
                    let said = command(&store(database), Wishes::default()).await.unwrap();
                    let after = checks(store(database).check().await.unwrap());
                    store(database).check_schema().await.unwrap();
                    let said = said
                        .lines()
                        .last()
                        .unwrap()
                        .split_once(": at")
                        .map_or(said.lines().last().unwrap(), |(_, rest)| rest)
                        .to_owned();
                    found.push((before, planned, said, after));
                });
            }
            if let [lower, upper] = found.as_slice() {
                assert_eq!(upper, lower, "{engine:?} {shape}");
            }
        }
    }
}
