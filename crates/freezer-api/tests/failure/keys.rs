//! Outages that last longer than the deadline, and requests with an `Idempotency-Key`: a claim that the database stores after
//! its request was answered must not block the key.

use std::time::Duration;

use freezer_store::{ConnectSettings, PoolSettings, Store};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::support::documents::{backup, freezer_action};
use super::support::mariadbd::Server;
use super::support::{Answer, Caller, Options, TestApp, bounded};
use super::until;

const COUNT: usize = 12;
const LIMIT: Duration = Duration::from_secs(2);

async fn keyed(caller: &Caller, path: &str, key: &str, body: &Value) -> Answer {
    caller.raw(Method::POST, path, &[("idempotency-key", key)], body.to_string()).await
}

/// Sends requests with the keys `name-0`, `name-1`, … at the same time.
async fn all(caller: &Caller, path: &str, name: &str, body: &Value) -> Vec<Answer> {
    let sent: Vec<_> = (0..COUNT)
        .map(|at| {
            let (caller, path, body, key) =
                (caller.clone(), path.to_owned(), body.clone(), format!("{name}-{at}"));
            tokio::spawn(async move { keyed(&caller, &path, &key, &body).await })
        })
        .collect();
    let mut answers = Vec::new();
    for sent in sent {
        answers.push(sent.await.unwrap());
    }
    answers
}

fn on_frozen_server<F: Future<Output = ()>>(name: &str, body: impl FnOnce(Server, TestApp, TestApp) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(bounded(async {
        let Some(server) = Server::start(name).await else { return };
        let database = server.database().await;
        let pool = PoolSettings { max_idle: COUNT, max_open: COUNT, ..PoolSettings::default() };
        let options = Options { pool: pool.clone(), http: until(LIMIT), ..Options::default() };
        let app = TestApp::start(&database, options).await;
        let other = app.on_store(Store::new(database.url(), ConnectSettings::default(), pool));
        // all connections are open
        for answer in all(&app.member(), "/v2/p1/backups", "warm", &backup("warm")).await {
            answer.expect(201);
        }
        body(server, app, other).await;
    }));
}

#[test]
fn a_claim_that_is_stored_late_does_not_block_its_key() {
    on_frozen_server("keys-late", async |server, app, _| {
        let member = app.member();
        for (path, body) in
            [("/v2/p1/backups", backup("b")), ("/v2/p1/actions", json!({"freezer_action": freezer_action()}))]
        {
            server.freeze();
            for answer in all(&member, path, path, &body).await {
                let answer = answer.expect(503);
                assert!(!answer.description().contains("Check whether"), "{answer}");
            }
            server.thaw();
            for answer in all(&member, path, path, &body).await {
                answer.expect(201);
            }
        }
        let stored = member.get("/v2/p1/backups?limit=100").await.expect(200).each("backups", "/backup_id");
        assert_eq!(stored.len(), 2 * COUNT);
        let stored = member.get("/v2/p1/actions?limit=100").await.expect(200).each("actions", "/action_id");
        assert_eq!(stored.len(), COUNT);
    });
}

#[test]
fn other_processes_can_soon_use_the_key_of_a_late_claim() {
    on_frozen_server("keys-other", async |server, app, other| {
        server.freeze();
        for answer in all(&app.member(), "/v2/p1/backups", "k", &backup("b")).await {
            answer.expect(503);
        }
        server.thaw();
        let began = std::time::Instant::now();
        loop {
            let answers = all(&other.member(), "/v2/p1/backups", "k", &backup("b")).await;
            if answers.iter().all(|answer| answer.status == 201) {
                break;
            }
            assert!(answers.iter().all(|answer| [201, 409, 503].contains(&answer.status.as_u16())));
            assert!(began.elapsed() < Duration::from_secs(60), "the keys are not released");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let stored =
            app.member().get("/v2/p1/backups?limit=100").await.expect(200).each("backups", "/backup_id");
        assert_eq!(stored.len(), 2 * COUNT);
    });
}

#[test]
fn a_caller_that_disconnects_while_its_key_is_claimed_can_retry() {
    on_frozen_server("keys-gone", async |server, app, _| {
        let member = app.member();
        server.freeze();
        let (body, keys) = (backup("b"), ["k-0", "k-1", "k-2", "k-3"]);
        let sent = join_all(keys.map(|key| keyed(&member, "/v2/p1/backups", key, &body)));
        assert!(
            tokio::time::timeout(Duration::from_millis(500), sent).await.is_err(),
            "the callers disconnect"
        );
        server.thaw();
        for key in keys {
            keyed(&member, "/v2/p1/backups", key, &body).await.expect(201);
        }
        let stored = member.get("/v2/p1/backups?limit=100").await.expect(200).each("backups", "/backup_id");
        assert_eq!(stored.len(), COUNT + keys.len());
    });
}
