//! Every table layout that Freezer ever had upgrades to head, with every row and value kept.
//!
//! The databases were made by the released Python packages: `crates/freezer-store/tests/shapes/README.md`. Each is loaded,
//! looked at (`--dry-run` changes nothing), upgraded, compared with what it was, compared with a fresh one, served, and
//! read by freezer-api 19.0.0, whose own upgrade must then find nothing to do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "upgrade/dump.rs"]
mod dump;
#[path = "upgrade/kept.rs"]
mod kept;
#[path = "upgrade/python.rs"]
mod python;
mod support;

use std::path::{Path, PathBuf};

use dump::Dump;
use freezer_store::migrations::{State, Synced, Wishes};
use freezer_store::{ConnectSettings, PoolSettings, Store};
use support::{Engine, TestApp, TestDatabase};

/// The dumps of one engine, by file name.
fn shapes(engine: Engine) -> Vec<PathBuf> {
    let ending = if engine == Engine::MariaDb { ".mysql.sql" } else { ".sqlite.sql" };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../freezer-store/tests/shapes");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of shapes")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    found.sort();
    assert!(found.len() >= 3, "the shapes of {engine:?} are there");
    found
}

fn store(database: &TestDatabase) -> Store {
    Store::new_or_create(database.url(), ConnectSettings::default(), PoolSettings::default())
}

/// One shape, from its dump to what both services read of it.
async fn upgrades(database: &TestDatabase, shape: &str, sql: &str) {
    database.run(sql).await;
    let before = Dump::of(database).await;
    let store = store(database);

    let plan = store.plan(Wishes::default()).await.unwrap();
    assert_eq!(Dump::of(database).await.difference(&before), None, "{shape}: a plan changes nothing");
    let is_head = plan.steps.iter().all(|step| step.revision.is_none()) && !plan.stamps;
    assert_eq!(store.check_schema().await.is_ok(), is_head, "{shape}: it is served as it is only at head");

    let done = store.sync().await.unwrap_or_else(|error| panic!("{shape}: {error}"));
    assert_ne!(done, Synced::AlreadyCurrent, "{shape}");
    let after = Dump::of(database).await;
    kept::assert_kept(shape, &before, &after);
    store.check_schema().await.unwrap_or_else(|error| panic!("{shape}: {error}"));
    assert_eq!(store.schema_state().await.unwrap(), State::At(freezer_store::migrations::HEAD.to_owned()));

    let again = store.sync().await.unwrap();
    let left_out = match &done {
        Synced::Upgraded { left_out } => left_out.clone(),
        _ => Vec::new(),
    };
    // only what rows stand in the way of
    for (what, why) in &left_out {
        assert_eq!(what, "keep the live clients of a project apart", "{shape}: {why}");
    }
    let left_out = !left_out.is_empty();
    assert_eq!(again == Synced::AlreadyCurrent, !left_out, "{shape}: {again:?}");
    assert_eq!(Dump::of(database).await.difference(&after), None, "{shape}: a second sync changes nothing");

    let documents = python::ours(&TestApp::on(database, store.clone()), &after).await;
    python::compare(shape, database, &documents, &after).await;
}

#[test]
fn every_shape_on_mariadb() {
    for path in shapes(Engine::MariaDb) {
        let shape = path.file_name().unwrap().to_string_lossy().into_owned();
        let sql = std::fs::read_to_string(&path).unwrap();
        let name = format!("shape_{}", shape.split('.').next().unwrap_or_default());
        support::with_database(Engine::MariaDb, &name, |runtime, database| {
            runtime.block_on(support::bounded(upgrades(database, &shape, &sql)));
        });
    }
}

#[test]
fn every_shape_on_sqlite() {
    for path in shapes(Engine::Sqlite) {
        let shape = path.file_name().unwrap().to_string_lossy().into_owned();
        let sql = std::fs::read_to_string(&path).unwrap();
        support::with_database(Engine::Sqlite, "shape", |runtime, database| {
            runtime.block_on(support::bounded(async {
                store(database).schema_state().await.unwrap();
                upgrades(database, &shape, &sql).await;
            }));
        });
    }
}
