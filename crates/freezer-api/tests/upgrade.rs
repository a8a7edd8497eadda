//! Upgrades every released table layout to head, with every row and value.
//!
//! The released Python packages created the databases: `crates/freezer-store/tests/shapes/README.md`. Each of them is
//! loaded and inspected (`--dry-run` changes nothing), upgraded, and compared with its previous content and with a new
//! database. Then both services read it, and the upgrade of freezer-api 19.0.0 must find nothing to do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "upgrade/again.rs"]
mod again;
#[path = "upgrade/characters.rs"]
mod characters;
#[path = "upgrade/collations.rs"]
mod collations;
#[path = "upgrade/dump.rs"]
mod dump;
#[path = "upgrade/entries.rs"]
mod entries;
#[path = "upgrade/former_releases.rs"]
mod former_releases;
#[path = "upgrade/ids.rs"]
mod ids;
#[path = "upgrade/kept.rs"]
mod kept;
#[path = "upgrade/keys.rs"]
mod keys;
#[path = "upgrade/leftovers_table.rs"]
mod leftovers_table;
#[path = "upgrade/many_jobs.rs"]
mod many_jobs;
#[path = "upgrade/names.rs"]
mod names;
#[path = "upgrade/obstacles.rs"]
mod obstacles;
#[path = "upgrade/operators.rs"]
mod operators;
#[path = "upgrade/python.rs"]
mod python;
#[path = "upgrade/restore.rs"]
mod restore;
#[path = "upgrade/servers.rs"]
mod servers;
mod support;
#[path = "upgrade/tables.rs"]
mod tables;
#[path = "upgrade/unfit.rs"]
mod unfit;
#[path = "upgrade/zero_dates.rs"]
mod zero_dates;

use std::path::{Path, PathBuf};

use dump::Dump;
use freezer_store::migrations::{State, Synced, Wishes};
use freezer_store::{ConnectSettings, PoolSettings, Store};
use support::{Engine, TestApp, TestDatabase};
use tables::Tables;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../freezer-store/tests/shapes")
}

fn store(database: &TestDatabase) -> Store {
    Store::new_or_create(database.url(), ConnectSettings::default(), PoolSettings::default())
}

/// Returns a dump for an engine. The dumps are from MariaDB. In MySQL, names of CHECK constraints must be unique in a
/// database, so it has to choose them.
fn loadable(engine: Engine, dump: &str) -> String {
    if engine != Engine::MySql {
        return dump.to_owned();
    }
    let mut table = "";
    let mut lines = Vec::new();
    for line in dump.lines() {
        if let Some(rest) = line.strip_prefix("CREATE TABLE `") {
            table = rest.split('`').next().unwrap_or_default();
        }
        lines.push(match line.trim_start().strip_prefix("CONSTRAINT `CONSTRAINT_") {
            Some(rest) => format!("CONSTRAINT `{table}_chk_{rest}"),
            None => line.to_owned(),
        });
    }
    lines.join("\n")
}

/// Tests one dump, from loading it to reading the rows with both services.
fn upgrades(engine: Engine, shape: &str) {
    let ending = if engine == Engine::Sqlite { "sqlite" } else { "mysql" };
    let sql = std::fs::read_to_string(folder().join(format!("{shape}.{ending}.sql"))).unwrap();
    support::with_database(
        engine,
        &format!("shape_{shape}").replace(['.', '-'], "_"),
        |runtime, database| {
            runtime.block_on(support::bounded(async {
                store(database).schema_state().await.unwrap();
                let (done, after) = upgraded(database, shape, &loadable(engine, &sql)).await;
                has_the_tables_of_a_fresh_one(database, shape, &done).await;
                let documents = python::ours(&TestApp::on(database, store(database)), &after).await;
                python::compare(shape, database, &documents, &after).await;
            }));
        },
    );
}

/// Loads and upgrades a dump. Returns the steps that were left out, and the rows after the upgrade.
async fn upgraded(database: &TestDatabase, shape: &str, sql: &str) -> (Synced, Dump) {
    database.run(sql).await;
    let before = Dump::read(database).await;
    let store = store(database);

    let plan = store.plan(Wishes::default()).await.unwrap();
    assert_eq!(Dump::read(database).await.difference(&before), None, "{shape}: a plan changes nothing");
    let is_head = plan.steps.iter().all(|step| step.revision.is_none()) && !plan.stamps;
    assert_eq!(store.check_schema().await.is_ok(), is_head, "{shape}: it is served as it is only at head");

    let done = store.sync().await.unwrap_or_else(|error| panic!("{shape}: {error}"));
    assert_ne!(done, Synced::AlreadyCurrent, "{shape}");
    let after = Dump::read(database).await;
    kept::assert_kept(shape, &before, &after);
    store.check_schema().await.unwrap_or_else(|error| panic!("{shape}: {error}"));
    assert_eq!(store.schema_state().await.unwrap(), State::At(freezer_store::migrations::HEAD.to_owned()));

    let again = store.sync().await.unwrap();
    // Only steps that existing rows prevent may be left out.
    for (what, why) in left_out(&done) {
        assert_eq!(what, "add unique index on live client names", "{shape}: {why}");
    }
    assert_eq!(again == Synced::AlreadyCurrent, left_out(&done).is_empty(), "{shape}: {again:?}");
    assert_eq!(Dump::read(database).await.difference(&after), None, "{shape}: a second sync changes nothing");
    (done, after)
}

fn left_out(done: &Synced) -> &[(String, String)] {
    match done {
        Synced::Upgraded { left_out, .. } => left_out,
        _ => &[],
    }
}

/// Checks that the tables are those of a new database, except for steps that were left out. `database.rs` compares a
/// new database with freezer-api 19.0.0.
async fn has_the_tables_of_a_fresh_one(database: &TestDatabase, shape: &str, done: &Synced) {
    let fresh = TestDatabase::create(database.engine(), "fresh").await.expect("one was made before");
    store(&fresh).sync().await.unwrap();
    let mut expected = Tables::read(&fresh).await;
    fresh.remove().await;
    if !left_out(done).is_empty() {
        expected = expected.without(&["fz_live_client_id", "fz_clients_live"]);
    }
    let expected = expected.into_what_can_be(database);
    let got = Tables::read(database).await.into_what_can_be(database);
    assert_eq!(got.difference(&expected), None, "{shape}: upgraded and fresh");
}

/// Upgrades more jobs than one batch.
fn many_jobs_move(engine: Engine, shape: &str) {
    let sql = std::fs::read_to_string(folder().join(shape)).unwrap();
    support::with_database(engine, "many_jobs", |runtime, database| {
        runtime.block_on(support::bounded(async {
            store(database).schema_state().await.unwrap();
            database.run(&loadable(engine, &sql)).await;
            database.run(&many_jobs::seed()).await;
            store(database).sync().await.unwrap();
            many_jobs::assert_moved(&Dump::read(database).await, engine == Engine::Sqlite);
        }));
    });
}

mod many_jobs_move {
    use crate::support::Engine;

    #[test]
    fn mariadb() {
        super::many_jobs_move(Engine::MariaDb, "f-18.0.0.mysql.sql");
    }

    #[test]
    fn mysql() {
        super::many_jobs_move(Engine::MySql, "f-18.0.0.mysql.sql");
    }

    #[test]
    fn sqlite() {
        super::many_jobs_move(Engine::Sqlite, "f-18.0.0.sqlite.sql");
    }
}

/// Defines the tests of one dump.
macro_rules! shape {
    (".mysql.sql", $name:ident: $shape:literal) => {
        mod $name {
            #[test]
            fn mariadb() {
                super::super::upgrades(crate::support::Engine::MariaDb, $shape);
            }

            #[test]
            fn mysql() {
                super::super::upgrades(crate::support::Engine::MySql, $shape);
            }
        }
    };
    (".sqlite.sql", $name:ident: $shape:literal) => {
        #[test]
        fn $name() {
            super::upgrades(crate::support::Engine::Sqlite, $shape);
        }
    };
}

/// Defines the tests of all dumps, and one test that checks this list.
macro_rules! shapes {
    ($ending:tt, { $($name:ident: $shape:literal,)+ }) => {
        $(shape!($ending, $name: $shape);)+

        #[test]
        fn every_dump_is_tested() {
            let mut found: Vec<String> = std::fs::read_dir(super::folder()).expect("the folder of shapes")
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .filter_map(|name| name.strip_suffix($ending).map(str::to_owned))
                .collect();
            found.sort();
            assert_eq!(found, [$($shape),+]);
        }
    };
}

mod on_a_server {
    shapes!(".mysql.sql", {
        a_7_0_0: "a-7.0.0",
        b_7_2_0: "b-7.2.0",
        c_15_0_0: "c-15.0.0",
        c_8_0_0: "c-8.0.0",
        c1_15_0_0_sync_16_0_0: "c1-15.0.0-sync-16.0.0",
        c1_8_0_0_sync_19_0_0: "c1-8.0.0-sync-19.0.0",
        c2_15_0_0_stamped_e74c32f034c5: "c2-15.0.0-stamped-e74c32f034c5",
        c2_15_0_0_stamped_sync_19_0_0: "c2-15.0.0-stamped-sync-19.0.0",
        c2_8_0_0_stamped_7a3b9c1d2e4f: "c2-8.0.0-stamped-7a3b9c1d2e4f",
        d_7_0_0_sync_19_0_0: "d-7.0.0-sync-19.0.0",
        d_7_2_0_sync_19_0_0: "d-7.2.0-sync-19.0.0",
        e_18_0_0_then_utf8mb4_sync_19_0_0: "e-18.0.0-then-utf8mb4-sync-19.0.0",
        e_7_0_0_utf8mb4_sync_19_0_0: "e-7.0.0-utf8mb4-sync-19.0.0",
        e_7_2_0_latin1_sync_19_0_0: "e-7.2.0-latin1-sync-19.0.0",
        e1_7_0_0_sync_19_0_0: "e1-7.0.0-sync-19.0.0",
        f_16_0_0: "f-16.0.0",
        f_18_0_0: "f-18.0.0",
        f_18_0_0_latin1: "f-18.0.0-latin1",
        f_18_0_0_utf8mb4: "f-18.0.0-utf8mb4",
        g_18_0_0_sync_19_0_0: "g-18.0.0-sync-19.0.0",
        g_19_0_0: "g-19.0.0",
        g_19_0_0_utf8mb4: "g-19.0.0-utf8mb4",
        h_19_0_0: "h-19.0.0",
        i_empty: "i-empty",
    });
}

mod in_a_file {
    shapes!(".sqlite.sql", {
        f_18_0_0: "f-18.0.0",
        g_18_0_0_sync_19_0_0: "g-18.0.0-sync-19.0.0",
        g_19_0_0: "g-19.0.0",
        h_19_0_0: "h-19.0.0",
        i_empty: "i-empty",
    });
}
