//! Outages that end before the deadline: the caller waits, and everything is stored exactly once.

use std::time::Duration;

use freezer_store::{ConnectSettings, DatabaseUrl, MySqlUrl, PoolSettings, Store};
use http::Method;
use serde_json::json;
use sqlx::mysql::MySqlConnection;

use super::support::database::connect;
use super::support::documents::{backup, job};
use super::support::mariadbd::Server;
use super::support::proxy::Proxy;
use super::support::{Caller, Engine, Options, TestApp, bounded, with_database};

/// Posts backups from several callers until it is stopped. Half of them have an `Idempotency-Key`. All requests must be
/// acknowledged.
struct Load {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    writers: tokio::task::JoinSet<Vec<String>>,
}

impl Load {
    fn start(member: &Caller) -> Load {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut writers = tokio::task::JoinSet::new();
        for number in 0..6 {
            let (member, stop) = (member.clone(), stop.clone());
            writers.spawn(async move {
                let mut stored = Vec::new();
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    let document = backup(&format!("by-{number}"));
                    let key = format!("{number}-{}", stored.len());
                    let header = [("idempotency-key", key.as_str())];
                    let headers = if number % 2 == 0 { &header[..] } else { &[] };
                    let answer =
                        member.raw(Method::POST, "/v2/p1/backups", headers, document.to_string()).await;
                    stored.push(answer.expect(201).text("backup_id"));
                    member.get("/v2/p1/jobs/j").await.expect(200);
                    let patch = json!({"description": format!("{number}")});
                    member.patch("/v2/p1/jobs/j", patch).await.expect(200);
                }
                stored
            });
        }
        Load { stop, writers }
    }

    /// Ends the load. Checks that exactly the acknowledged backups are stored.
    async fn end(self, member: &Caller) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.stop.store(true, std::sync::atomic::Ordering::SeqCst);
        let mut stored: Vec<String> = self.writers.join_all().await.into_iter().flatten().collect();
        let mut listed =
            member.get("/v2/p1/backups?limit=10000").await.expect(200).each("backups", "/backup_id");
        stored.sort();
        listed.sort();
        assert_eq!(listed.len(), stored.len());
        assert_eq!(listed, stored);
    }
}

fn under_load<F: Future<Output = ()>>(name: &str, fault: impl FnOnce(Server, MySqlConnection) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(bounded(async {
        let Some(server) =
            Server::start_with(name, &["--skip-networking", "--loose-skip-ssl", "--max-connections=20"])
                .await
        else {
            return;
        };
        let database = server.database().await;
        let pool = PoolSettings { max_idle: 3, max_open: 5, ..PoolSettings::default() };
        let app = TestApp::start(&database, Options { pool, ..Options::default() }).await;
        let member = app.member();
        member.add_client("p1", "node-1").await;
        member.post("/v2/p1/jobs/j", job("node-1")).await.expect(201);
        let DatabaseUrl::MySql(url) = database.url() else { panic!("not MySQL") };
        let operator = connect(&url).await;
        let load = Load::start(&member);
        tokio::time::sleep(Duration::from_millis(500)).await;
        fault(server, operator).await;
        load.end(&member).await;
    }));
}

async fn run(operator: &mut MySqlConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(operator).await.expect("SQL of the test");
}

/// Prevents that a fault kills the server at the end of its scope, because the load is still running.
async fn keep(server: Server) {
    tokio::spawn(async move {
        let _server = server;
        std::future::pending::<()>().await;
    });
}

#[test]
fn requests_wait_for_a_killed_server() {
    under_load("outage-kill", async |mut server, _| {
        server.kill();
        tokio::time::sleep(Duration::from_secs(2)).await;
        server.start_again().await;
        keep(server).await;
    });
}

#[test]
fn requests_wait_for_a_restarted_server() {
    under_load("outage-stop", async |mut server, mut operator| {
        run(&mut operator, "SHUTDOWN").await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        server.kill();
        server.start_again().await;
        keep(server).await;
    });
}

#[test]
fn requests_wait_for_a_frozen_server() {
    under_load("outage-freeze", async |server, _| {
        server.freeze();
        tokio::time::sleep(Duration::from_secs(8)).await;
        server.thaw();
        keep(server).await;
    });
}

#[test]
fn killed_connections_and_statements_cause_no_errors() {
    under_load("outage-killed", async |server, mut operator| {
        for _ in 0..20 {
            let ids: Vec<(i64,)> = sqlx::query_as(
                "SELECT CAST(ID AS SIGNED) FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()",
            )
            .fetch_all(&mut operator)
            .await
            .unwrap();
            for (number, (id,)) in ids.iter().enumerate() {
                let what = if number % 2 == 0 { "CONNECTION" } else { "QUERY" };
                let kill = format!("KILL {what} {id}");
                let _ = sqlx::raw_sql(sqlx::AssertSqlSafe(kill)).execute(&mut operator).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        keep(server).await;
    });
}

#[test]
fn requests_wait_during_a_connection_limit_and_a_read_lock() {
    under_load("outage-full", async |server, mut operator| {
        let mut taken = Vec::new();
        let DatabaseUrl::MySql(url) = server.url("freezer") else { panic!("not MySQL") };
        while let Ok(Ok(connection)) = tokio::time::timeout(
            Duration::from_secs(5),
            tokio::spawn({
                let url = url.clone();
                async move { connect(&url).await }
            }),
        )
        .await
        {
            taken.push(connection);
        }
        run(&mut operator, "FLUSH TABLES WITH READ LOCK").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        run(&mut operator, "UNLOCK TABLES").await;
        drop(taken);
        keep(server).await;
    });
}

#[test]
fn the_next_server_of_the_list_is_used_during_an_outage() {
    with_database(Engine::MariaDb, "servers", |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let DatabaseUrl::MySql(url) = database.url() else { panic!("not MySQL") };
            // Two proxies for one server represent two nodes of a cluster.
            let (one, other) = (Proxy::start(&url).await, Proxy::start(&url).await);
            let (DatabaseUrl::MySql(first), DatabaseUrl::MySql(second)) = (one.url(&url), other.url(&url))
            else {
                panic!("not MySQL")
            };
            let both = MySqlUrl { others: vec![(second.host.clone(), second.port)], ..first };
            let store =
                Store::new(DatabaseUrl::MySql(both), ConnectSettings::default(), PoolSettings::default());
            let member = app.on_store(store).member();
            member.add_client("p1", "node-1").await;
            member.post("/v2/p1/jobs/j", job("node-1")).await.expect(201);
            let load = Load::start(&member);
            for _ in 0..3 {
                one.set_down(true);
                tokio::time::sleep(Duration::from_millis(500)).await;
                one.set_down(false);
                other.set_down(true);
                tokio::time::sleep(Duration::from_millis(500)).await;
                other.set_down(false);
            }
            load.end(&member).await;
            assert!(one.opened() > 0 && other.opened() > 0);
            // The start has no deadline. It tries the next server, too.
            one.set_down(true);
            let both = MySqlUrl { others: vec![(second.host, second.port)], ..url };
            let gone = MySqlUrl { port: 1, ..both };
            let store =
                Store::new(DatabaseUrl::MySql(gone), ConnectSettings::default(), PoolSettings::default());
            store.check_schema().await.expect("the second server answers");
        }));
    });
}
