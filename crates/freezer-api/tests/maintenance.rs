//! Maintenance of a database: check, purge, remove and show, with the library and with the programs.
//!
//! The tests insert rows directly into the tables, like those that years of use and other programs leave.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "maintenance/check.rs"]
mod check;
#[path = "maintenance/foreign.rs"]
mod foreign;
mod process;
#[path = "maintenance/programs.rs"]
mod programs;
#[path = "maintenance/purge.rs"]
mod purge;
#[path = "maintenance/remove.rs"]
mod remove;
mod support;

use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Store};
use serde_json::json;
use support::{Engine, TestApp, TestDatabase};

const BOTH: [Engine; 2] = [Engine::Sqlite, Engine::MariaDb];

/// Runs a body on an empty database of each engine.
fn on_empty(name: &str, body: impl AsyncFn(TestDatabase)) {
    for engine in BOTH {
        support::with_database(engine, name, |runtime, database| {
            runtime.block_on(support::bounded(body(database.clone())));
        });
    }
}

fn store(database: &TestDatabase) -> Store {
    Store::new(database.url(), ConnectSettings::default(), PoolSettings::default())
}

/// Creates the file of a SQLite database, so that statements can run on it before the service uses it.
fn make_file(database: &TestDatabase) {
    if let DatabaseUrl::Sqlite { path } = database.url() {
        std::fs::File::create(path).expect("the file");
    }
}

/// Returns the numbers of live and of deleted rows of a table.
async fn rows(store: &Store, table: &str) -> (u64, u64) {
    let counts = store.table_counts().await.unwrap();
    let count = counts.iter().find(|count| count.name == table).unwrap();
    (count.live, count.deleted)
}

/// Creates a job with one action in p1 through the API. Returns the ids of the job and of the action.
async fn add_job(app: &TestApp, job_id: &str) -> String {
    let member = app.member();
    let document = json!({"job_id": job_id, "client_id": "n1", "job_actions": [
        {"freezer_action": {"action": "backup", "mode": "fs", "path_to_backup": job_id}}]});
    member.post("/v2/p1/jobs", document).await.expect(201);
    let job = member.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200).json();
    job["job_actions"][0]["action_id"].as_str().unwrap().to_owned()
}
