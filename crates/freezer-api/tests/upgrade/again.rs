//! If an old dump is loaded into an upgraded database, a second upgrade must have the same result as a single one. The
//! dump only drops the tables that it contains, so the other tables still have the rows of the first upgrade.

use crate::collations::{answers, is_done};
use crate::dump::{Dump, dropping};
use crate::support::{self, Engine, TestDatabase};
use crate::{folder, loadable, store};

/// Returns all rows, without the lock of a sync.
pub async fn rows(database: &TestDatabase) -> Dump {
    let mut dump = Dump::read(database).await;
    dump.0.remove("freezer_sync_lock");
    dump
}

/// Changes between the two upgrades.
const BETWEEN: [(&str, &[&str]); 5] = [
    ("nothing", &[]),
    (
        "jobs, links and actions were changed, deleted and made; leftovers are of values that are no more",
        &[
            "UPDATE job_actions SET action_id = (SELECT MIN(id) FROM actions WHERE deleted = 0)",
            "UPDATE job_actions SET deleted = 1 WHERE position = 1",
            "UPDATE jobs SET description = 'changed', deleted = 1 WHERE description = 'no id'",
            "UPDATE actions SET deleted = 1, max_retries = 77 WHERE action = 'exec'",
            "INSERT INTO actions (id, action, project_id, user_id, deleted) VALUES ('new-a', 'exec', 'p', 'u', 0)",
            "INSERT INTO jobs (id, project_id, user_id, client_id, session_id, deleted) VALUES ('new-j', 'p', 'u', 'c', '', 0)",
            "INSERT INTO job_actions (id, job_id, action_id, position, deleted) VALUES ('new-l', 'new-j', 'new-a', 0, 0)",
            "DELETE FROM freezer_leftovers",
            "INSERT INTO freezer_leftovers SELECT 'jobs', id, 'job_actions', 'stale' FROM jobs",
            "INSERT INTO freezer_leftovers VALUES ('jobs', 'gone', 'job_actions', 'stale')",
            "INSERT INTO freezer_leftovers SELECT 'backups', id, 'user_name', 'stale' FROM backups",
            "INSERT INTO freezer_leftovers VALUES ('backups', 'gone', 'user_name', 'stale')",
        ],
    ),
    (
        "links are gone, and others of the same jobs are there",
        &[
            "DELETE FROM job_actions",
            "INSERT INTO job_actions (id, job_id, action_id, position, deleted) \
             SELECT jobs.id, jobs.id, actions.id, 7, 0 FROM jobs, \
             (SELECT MIN(id) AS id FROM actions) AS actions WHERE jobs.description IS NOT NULL",
        ],
    ),
    ("links are of a job that is gone", &["UPDATE job_actions SET job_id = 'gone'"]),
    (
        "links are of another job, of the last or of the first",
        &[
            "UPDATE job_actions SET job_id = (SELECT MAX(id) FROM jobs) WHERE position = 0",
            "UPDATE job_actions SET job_id = (SELECT MIN(id) FROM jobs) WHERE position <> 0",
        ],
    ),
];

/// On a server, rows of these dumps are changed between the upgrades: one of each age, and one that an incomplete
/// upgrade left.
const CHANGED: [&str; 4] = ["a-7.0.0", "c-15.0.0", "e1-7.0.0-sync-19.0.0", "f-16.0.0"];

/// Upgrades a dump, changes rows, loads it again and repeats the upgrade.
fn ends_as_after_one_upgrade(engine: Engine, shape: &str) {
    let ending = if engine == Engine::Sqlite { "sqlite" } else { "mysql" };
    let sql = std::fs::read_to_string(folder().join(format!("{shape}.{ending}.sql"))).unwrap();
    let sql = loadable(engine, &sql);
    let name = format!("again_{shape}").replace(['.', '-'], "_");
    support::with_database(engine, &name, |runtime, database| {
        runtime.block_on(support::bounded(async {
            store(database).schema_state().await.unwrap();
            database.run(&sql).await;
            store(database).sync().await.unwrap();
            let once = rows(database).await;
            let makes_leftovers = once.0.contains_key("freezer_leftovers");
            // A dump without the old column does not contain its values.
            let has_names =
                sql.lines().any(|line| line.trim_start().trim_start_matches('`').starts_with("user_name"));
            let fits = |sql: &&&str| {
                (makes_leftovers || !sql.contains("leftovers")) && (has_names || !sql.contains("user_name"))
            };
            let unchecked = match engine {
                Engine::Sqlite => "PRAGMA foreign_keys = 0; ",
                _ => "SET foreign_key_checks = 0; ",
            };
            let rounds = if engine == Engine::Sqlite || CHANGED.contains(&shape) { BETWEEN.len() } else { 1 };
            for (what, changes) in BETWEEN.into_iter().take(rounds) {
                for change in changes.iter().filter(fits) {
                    database.run(&format!("{unchecked}{change}")).await;
                }
                database.run(&dropping(engine, &sql)).await;
                store(database).sync().await.unwrap_or_else(|error| panic!("{shape}, {what}: {error}"));
                assert_eq!(rows(database).await.difference(&once), None, "{shape}: {what}");
            }
        }));
    });
}

fn every_layout_ends_as_after_one_upgrade(engine: Engine, ending: &str) {
    let mut shapes: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|file| {
            file.unwrap().file_name().to_string_lossy().strip_suffix(ending).map(str::to_owned)
        })
        .collect();
    shapes.sort();
    assert!(shapes.len() > 4, "{shapes:?}");
    for shape in shapes.iter().filter(|shape| !shape.starts_with("i-")) {
        ends_as_after_one_upgrade(engine, shape);
    }
}

#[test]
fn every_layout_loaded_over_an_upgrade_ends_as_after_one_on_mariadb() {
    every_layout_ends_as_after_one_upgrade(Engine::MariaDb, ".mysql.sql");
}

#[test]
fn every_layout_loaded_over_an_upgrade_ends_as_after_one_in_a_file() {
    every_layout_ends_as_after_one_upgrade(Engine::Sqlite, ".sqlite.sql");
}

/// Only some tables of the dump are loaded.
#[test]
fn reloaded_jobs_have_the_same_actions() {
    for engine in [Engine::MariaDb, Engine::Sqlite] {
        let ending = if engine == Engine::Sqlite { "sqlite" } else { "mysql" };
        let sql = std::fs::read_to_string(folder().join(format!("f-18.0.0.{ending}.sql"))).unwrap();
        let is_of_jobs = |statement: &&str| {
            let start = statement.trim_start();
            ["CREATE TABLE `jobs`", "CREATE TABLE jobs", "INSERT INTO `jobs`", "INSERT INTO \"jobs\""]
                .iter()
                .any(|words| start.starts_with(words))
        };
        let jobs: Vec<&str> = sql.split(";\n").filter(is_of_jobs).collect();
        let jobs = dropping(engine, &(jobs.join(";\n") + ";\n"));
        support::with_database(engine, "only_jobs", |runtime, database| {
            runtime.block_on(support::bounded(async {
                store(database).schema_state().await.unwrap();
                database.run(&sql).await;
                store(database).sync().await.unwrap();
                let once = rows(database).await;
                // The upgrade finds all unchanged actions again.
                database.run(&jobs).await;
                store(database).sync().await.unwrap();
                assert_eq!(rows(database).await.difference(&once), None);
                // The actions were changed. The text of the jobs decides, and no change of an action is lost.
                database.run("UPDATE actions SET container = 'changed since'").await;
                let changed = rows(database).await.table("actions");
                database.run(&jobs).await;
                store(database).sync().await.unwrap();
                let after = rows(database).await;
                // The terms of the changed actions are created again.
                let stored = |mut action: crate::dump::Values| {
                    action.retain(|column, _| !column.starts_with("fz_"));
                    action
                };
                for (id, action) in changed {
                    let found = after.table("actions")[&id].clone();
                    assert_eq!(stored(found), stored(action), "action {id}");
                }
                let links = |dump: &Dump| {
                    let of = |row: &crate::dump::Values| (row["job_id"].clone(), row["position"].clone());
                    let mut links: Vec<_> = dump.table("job_actions").values().map(of).collect();
                    links.sort();
                    links
                };
                assert_eq!(links(&after), links(&once));
                let containers = |dump: &Dump| {
                    let actions = dump.table("actions");
                    let container = |row: &crate::dump::Values| {
                        actions[row["action_id"].as_ref().unwrap()]["container"].clone()
                    };
                    let mut all: Vec<_> = dump.table("job_actions").values().map(container).collect();
                    all.sort();
                    all
                };
                // Links to actions without a definition are excluded.
                let said =
                    containers(&after).iter().filter(|it| it.as_deref() == Some("changed since")).count();
                assert!(said <= 2, "{:?}", containers(&after));
            }));
        });
    }
}

/// Some tables of an old dump are loaded over upgraded ones in a file. (`collations.rs` tests this on servers.)
#[test]
fn a_part_of_an_old_dump_is_upgraded_again_in_a_file() {
    let sql = std::fs::read_to_string(folder().join("f-18.0.0.sqlite.sql")).unwrap();
    let parts: [&[&str]; 7] = [
        &["jobs"],
        &["clients"],
        &["sessions", "backups"],
        &["jobs", "clients"],
        &["jobs", "actions"],
        &["clients", "sessions", "jobs", "actions", "backups"],
        &["actions"],
    ];
    support::with_database(Engine::Sqlite, "parts", |runtime, database| {
        runtime.block_on(support::bounded(async {
            store(database).schema_state().await.unwrap();
            database.run(&sql).await;
            store(database).sync().await.unwrap();
            let once = rows(database).await;
            let expected = answers(database, &once).await;
            for part in parts {
                let is_wanted = |statement: &&str| {
                    let words: Vec<&str> = statement.split_whitespace().take(3).collect();
                    let name = words.get(2).map_or("", |name| name.split('(').next().unwrap_or_default());
                    matches!(words.first(), Some(&"CREATE" | &"INSERT"))
                        && part.contains(&name.trim_matches(['`', '"']))
                };
                let some: Vec<&str> = sql.split(";\n").filter(is_wanted).collect();
                assert!(some.len() >= part.len(), "{part:?}");
                database.run(&dropping(Engine::Sqlite, &(some.join(";\n") + ";\n"))).await;
                store(database).sync().await.unwrap();
                assert!(is_done(&store(database).sync().await.unwrap()), "{part:?}");
                if part == ["actions"] {
                    // No dump contains the tables that the first upgrade created from jobs.
                    answers(database, &rows(database).await).await;
                    let count = store(database).defects().await.unwrap().links;
                    assert!(count > 0, "links to them remain");
                    let options = crate::entries::options();
                    let mut said = Vec::new();
                    freezer_api::manage::db::sync(&store(database), &options, &mut said).await.unwrap();
                    let said = String::from_utf8(said).unwrap();
                    let links = format!("; links without a live job or a live action: {count}; ");
                    let last = said.lines().last().unwrap();
                    assert!(
                        last.contains(&links) && last.ends_with("see them with: freezer-manage db check"),
                        "{said}"
                    );
                    continue;
                }
                assert_eq!(rows(database).await.difference(&once), None, "{part:?}");
                assert_eq!(answers(database, &once).await, expected, "{part:?}");
            }
        }));
    });
}
