//! Live clients whose names are equal in the collation that their table has or gets: the unique index on names is left
//! out. The dry run and the checks say so before the upgrade, and `db sync` and `db check` afterwards.

use freezer_api::manage::db;
use freezer_store::maintenance::Verdict;
use freezer_store::migrations::{Synced, Wishes};

use crate::collations::dump;
use crate::obstacles::{command, on, shape_of};
use crate::store;
use crate::support::{Engine, TestDatabase};

const LEFT_OUT: &str = "left out: add unique index on live client names: ";
const COUNTED: &str = "; additions left out: 1; client names that are registered more than once: 1; ";

async fn add(database: &TestDatabase, names: [&str; 2]) {
    let rows: Vec<String> = names
        .iter()
        .zip(["c-1", "c-2"])
        .map(|(name, id)| format!("('{id}', 'p', 'u', '{name}', 'h', '{id}', 0)"))
        .collect();
    let insert = "INSERT INTO clients (id, project_id, user_id, client_id, hostname, uuid, deleted) VALUES";
    database.run(&format!("DELETE FROM clients; {insert} {}", rows.join(", "))).await;
}

/// Asserts that `db check` and `upgrade check` name both clients.
async fn is_checked(database: &TestDatabase, case: &str, names: [&str; 2]) {
    let checks = store(database).check().await.unwrap();
    let check = checks.iter().find(|check| check.name == "duplicate_clients").unwrap();
    assert_eq!((check.verdict, check.count), (Verdict::Warning, 1), "{case}: {check:#?}");
    let advice = check.advice.unwrap();
    assert!(
        advice.contains("UPDATE clients SET deleted = 1") && advice.contains("db sync"),
        "{case}: {advice}"
    );
    for word in names.into_iter().chain(["c-1", "c-2", "in project p: 2 times"]) {
        assert!(check.examples[0].contains(word), "{case}: no {word} in {check:#?}");
    }
    let keys = checks.iter().find(|check| check.name == "keys").unwrap();
    assert_eq!(keys.verdict, Verdict::Success, "{case}: {keys:#?}");
}

async fn dry_run(database: &TestDatabase) -> String {
    let mut out = Vec::new();
    db::dry_run(&store(database), Wishes::default(), &mut out).await.unwrap();
    String::from_utf8(out).unwrap()
}

/// Upgrades a database in which the index is not possible, corrects the names, and runs the sync again.
async fn is_left_out(database: &TestDatabase, case: &str, names: [&str; 2]) {
    add(database, names).await;
    is_checked(database, case, names).await;
    let planned = dry_run(database).await;
    let line =
        planned.lines().find(|line| line.contains(LEFT_OUT)).unwrap_or_else(|| panic!("{case}: {planned}"));
    for word in names.into_iter().chain(["c-1", "c-2"]) {
        assert!(line.contains(word), "{case}: no {word} in {line}");
    }
    for time in ["first", "second"] {
        let said = command(&store(database), Wishes::default()).await.unwrap();
        assert!(said.contains(LEFT_OUT), "{case}, {time}: {said}");
        let last = said.lines().last().unwrap();
        assert!(
            last.contains(COUNTED) && last.ends_with("freezer-manage db check"),
            "{case}, {time}: {last}"
        );
        is_checked(database, case, names).await;
        store(database).check_schema().await.unwrap();
    }
    database.run("UPDATE clients SET client_id = 'another' WHERE id = 'c-2'").await;
    let said = command(&store(database), Wishes::default()).await.unwrap();
    let last = said.lines().last().unwrap();
    assert!(!said.contains("left out") && !last.contains("registered more than once"), "{case}: {said}");
    assert_eq!(store(database).sync().await.unwrap(), Synced::AlreadyCurrent, "{case}");
}

#[test]
fn names_that_a_conversion_makes_equal_are_found_before_and_after() {
    let cases = [
        ("f-18.0.0-utf8mb4", "utf8mb4_bin", ["node", "Node"]),
        ("f-18.0.0-utf8mb4", "utf8mb4_bin", ["café", "cafe"]),
        ("f-18.0.0", "utf8mb3_bin", ["ÜBER", "uber"]),
        ("f-18.0.0", "utf8mb3_bin", ["node", "NODE"]),
        ("c-15.0.0", "utf8mb3_bin", ["node", "NODE"]),
        ("a-7.0.0", "utf8mb3_bin", ["node", "NODE"]),
        ("f-18.0.0-latin1", "latin1_bin", ["nodé", "NODE"]),
        ("g-19.0.0", "utf8mb3_bin", ["node", "Node"]),
    ];
    for engine in [Engine::MariaDb, Engine::MySql] {
        for (shape, collation, names) in cases {
            // The other tables have the collation of the dump, or that of the clients.
            for is_alone in [true, false] {
                on(engine, "names_bin", async |database| {
                    let of = |table: &str| (!is_alone || table == "clients").then_some(collation);
                    database.run(&crate::loadable(engine, &dump(shape, of))).await;
                    let case = format!("{engine:?} {shape} {collation} {names:?} {is_alone}");
                    // Tables that are all utf8mb4 keep their collation.
                    if !is_alone && collation == "utf8mb4_bin" {
                        add(database, names).await;
                        let planned = dry_run(database).await;
                        assert!(!planned.contains(LEFT_OUT), "{case}: {planned}");
                        let said = command(&store(database), Wishes::default()).await.unwrap();
                        return assert!(!said.contains("left out"), "{case}: {said}");
                    }
                    is_left_out(database, &case, names).await;
                });
            }
        }
    }
}

/// Some collations ignore spaces at the end, and all others do not.
#[test]
fn spaces_at_the_end_count_as_in_the_collation() {
    on(Engine::MariaDb, "names_spaces", async |database| {
        let of = |table: &str| (table == "clients").then_some("utf8mb4_nopad_bin");
        database.run(&dump("f-18.0.0-utf8mb4", of)).await;
        is_left_out(database, "spaces", ["node", "node "]).await;
    });
}

#[test]
fn the_same_name_twice_is_reported_in_the_same_way() {
    for (engine, shape) in
        [(Engine::Sqlite, "f-18.0.0"), (Engine::MariaDb, "f-18.0.0"), (Engine::MariaDb, "g-19.0.0")]
    {
        on(engine, "names_twice", async |database| {
            store(database).schema_state().await.unwrap();
            database.run(&shape_of(engine, shape)).await;
            is_left_out(database, &format!("{engine:?} {shape}"), ["node", "node"]).await;
        });
    }
}

/// The names are equal now, but not in the collation that the table gets.
#[test]
fn names_that_a_conversion_makes_different_do_not_prevent_the_index() {
    for engine in [Engine::MariaDb, Engine::MySql] {
        on(engine, "names_ci", async |database| {
            let of =
                |table: &str| Some(if table == "clients" { "utf8mb4_general_ci" } else { "utf8mb4_bin" });
            database.run(&crate::loadable(engine, &dump("f-18.0.0-utf8mb4", of))).await;
            add(database, ["node", "Node"]).await;
            let planned = dry_run(database).await;
            assert!(
                planned.contains("convert clients to utf8mb4_bin") && !planned.contains("left out"),
                "{planned}"
            );
            let checks = store(database).check().await.unwrap();
            let check = checks.iter().find(|check| check.name == "duplicate_clients").unwrap();
            assert_eq!(check.count, 0, "{check:#?}");
            let done = store(database).sync().await.unwrap();
            assert_eq!(done, Synced::Upgraded { left_out: Vec::new() });
            assert!(database.create_table("clients").await.contains("fz_clients_live"));
            assert_eq!(store(database).sync().await.unwrap(), Synced::AlreadyCurrent);
        });
    }
}
