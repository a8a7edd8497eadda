//! A statement of a request with an `Idempotency-Key` reaches the server late: after the service has closed its connection and has
//! answered with a 503, and before, during or after the retry. There must be one document, and the retry must get its id.

use std::time::Duration;

use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Store};
use http::Method;
use serde_json::{Value, json};

use super::support::documents::{backup, freezer_action, job, with};
use super::support::proxy::{Choice, Proxy};
use super::support::{Answer, Caller, Engine, Options, TestApp, bounded, with_database};

async fn keyed(caller: &Caller, path: &str, key: &str, body: &Value) -> Answer {
    caller.raw(Method::POST, path, &[("idempotency-key", key)], body.to_string()).await
}

/// The statement that stores a backup or a session.
fn inserts_document(packet: &[u8]) -> bool {
    packet.get(4) == Some(&0x17) && packet.windows(8).any(|part| part == b"held-doc")
}

fn commits(packet: &[u8]) -> bool {
    packet.get(4..) == Some(b"\x03COMMIT")
}

/// The requests, and the packet that arrives late.
fn cases(number: &str) -> Vec<(&'static str, Value, Choice)> {
    let inline = json!([{"freezer_action": freezer_action()}, {"freezer_action": freezer_action()}]);
    let jobs = with(job("node-1"), json!({"job_actions": inline}));
    let given = with(jobs.clone(), json!({"job_id": format!("job-{number}")}));
    let action = json!({"freezer_action": freezer_action()});
    let given_action = with(action.clone(), json!({"action_id": format!("action-{number}")}));
    vec![
        ("/v2/p1/backups", backup("held-doc"), inserts_document),
        ("/v2/p1/sessions", json!({"schedule": {}, "description": "held-doc"}), inserts_document),
        ("/v2/p1/actions", action, commits),
        ("/v2/p1/actions", given_action, commits),
        ("/v2/p1/jobs", jobs, commits),
        ("/v2/p1/jobs", given, commits),
    ]
}

/// Returns the number of documents of each type.
async fn all(member: &Caller) -> Vec<usize> {
    let mut counts = Vec::new();
    for noun in ["backups", "sessions", "jobs", "actions"] {
        let listed = member.get(&format!("/v2/p1/{noun}?limit=1000")).await.expect(200).json();
        counts.push(listed[noun].as_array().unwrap().len());
    }
    counts
}

/// Returns whether the request needs a transaction, whose COMMIT arrives late.
fn is_transaction(path: &str) -> bool {
    ["/v2/p1/jobs", "/v2/p1/actions"].contains(&path)
}

/// Returns the documents that a request creates.
fn created(path: &str) -> Vec<usize> {
    match path {
        "/v2/p1/backups" => vec![1, 0, 0, 0],
        "/v2/p1/sessions" => vec![0, 1, 0, 0],
        "/v2/p1/jobs" => vec![0, 0, 1, 2],
        _ => vec![0, 0, 0, 1],
    }
}

/// Two processes on one database. The network of the second one can be broken.
struct Processes {
    app: TestApp,
    lossy: TestApp,
    proxy: Proxy,
}

impl Processes {
    /// Sends a request whose statement is held back, so its outcome is unknown. Then the network is down.
    async fn lose(&self, path: &str, key: &str, body: &Value, held: Choice) {
        let before = self.proxy.held();
        self.proxy.hold(held);
        let (member, path, key, body) = (self.lossy.member(), path.to_owned(), key.to_owned(), body.clone());
        let sent = tokio::spawn(async move { keyed(&member, &path, &key, &body).await });
        while self.proxy.held() == before {
            assert!(!sent.is_finished(), "no statement was held back: {}", sent.await.unwrap());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.proxy.set_down(true);
        let answer = sent.await.unwrap().expect(503);
        assert!(answer.description().contains("Check whether"), "{answer}");
    }
}

fn with_processes<F: Future<Output = ()>>(name: &str, body: impl FnOnce(Processes) -> F) {
    with_database(Engine::MariaDb, name, |runtime, database| {
        runtime.block_on(bounded(async {
            let app = TestApp::start(database, Options::default()).await;
            let DatabaseUrl::MySql(url) = database.url() else { panic!("not MySQL") };
            let proxy = Proxy::start(&url).await;
            let store = Store::new(proxy.url(&url), ConnectSettings::default(), PoolSettings::default());
            let lossy = app.on_store(store).with_http(|http| http.request_timeout = Duration::from_secs(1));
            app.member().add_client("p1", "node-1").await;
            // The first requests query which columns and indexes exist.
            for (at, (path, body, _)) in cases("warm").iter().enumerate() {
                keyed(&lossy.member(), path, &format!("warm-{at}"), body).await.expect(201);
            }
            body(Processes { app, lossy, proxy }).await;
        }));
    });
}

/// When the late statement reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    /// Before the retry.
    Before,
    /// While the retry runs, or after it. A COMMIT holds locks, so the retry waits for it.
    After,
}

#[test]
fn a_retry_creates_the_document_of_a_late_statement() {
    with_processes("late", async |processes| {
        let Processes { app, proxy, .. } = &processes;
        let member = app.member();
        for late in [Late::Before, Late::After] {
            for (at, (path, body, held)) in cases(&format!("{late:?}")).into_iter().enumerate() {
                let (before, key) = (all(&member).await, format!("{late:?}-{at}"));
                let what = format!("{late:?} {path} {body}");
                processes.lose(path, &key, &body, held).await;
                // As if the process was killed: it cannot tell the others that its attempt has ended.
                app.advance(121);
                if late == Late::Before {
                    proxy.deliver().await;
                }
                let retry = {
                    let (member, key, body) = (member.clone(), key.clone(), body.clone());
                    tokio::spawn(async move { keyed(&member, path, &key, &body).await })
                };
                if late == Late::After && is_transaction(path) {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    assert!(!retry.is_finished(), "{what}: the rows are locked");
                    proxy.deliver().await;
                }
                let answer = retry.await.unwrap();
                assert_eq!(answer.status, 201, "{what}: {answer}");
                proxy.deliver().await;
                let again = keyed(&member, path, &key, &body).await.expect(201);
                assert_eq!(again.body, answer.body, "{what}");
                let id = answer.json().as_object().unwrap().values().next().unwrap().clone();
                member.get(&format!("{path}/{}", id.as_str().unwrap())).await.expect(200);
                let differences: Vec<usize> =
                    all(&member).await.iter().zip(&before).map(|(after, before)| after - before).collect();
                assert_eq!(differences, created(path), "{what}");
                proxy.set_down(false);
            }
        }
    });
}

#[test]
fn a_retry_need_not_wait_if_the_process_of_the_first_attempt_lives() {
    with_processes("late_free", async |processes| {
        let Processes { app, lossy, proxy } = &processes;
        let (same, other) = (lossy.member(), app.member());
        for (caller, name) in [(&same, "same"), (&other, "other")] {
            for (path, body, held) in cases("free").into_iter().take(2) {
                let (before, key) = (all(&other).await, format!("{name}-{path}"));
                processes.lose(path, &key, &body, held).await;
                proxy.set_down(false);
                let changed = with(body.clone(), json!({"description": "changed"}));
                keyed(caller, path, &key, &changed).await.expect(422);
                let began = std::time::Instant::now();
                let answer = loop {
                    let answer = keyed(caller, path, &key, &body).await;
                    match answer.status.as_u16() {
                        201 => break answer,
                        // the database was away when the process has tried to free the key
                        409 | 503 => assert!(began.elapsed() < Duration::from_secs(20), "{answer}"),
                        _ => panic!("{name} {path}: {answer}"),
                    }
                };
                proxy.deliver().await;
                assert_eq!(keyed(&same, path, &key, &body).await.expect(201).body, answer.body);
                let differences: Vec<usize> =
                    all(&other).await.iter().zip(&before).map(|(after, before)| after - before).collect();
                assert_eq!(differences, created(path), "{name} {path}");
            }
        }
    });
}
