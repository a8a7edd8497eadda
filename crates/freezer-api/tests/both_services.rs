//! Runs freezer-api 19.0.0 and this service on one database at the same time, as during a rolling upgrade in either
//! direction.
//!
//! The database was created by an old release and upgraded by this service. Each service must be able to read, change
//! and delete the rows of the other one. After each change, both services must return the same documents. The Python
//! service runs in a separate process (`tests/python/serve_requests.py`), if `FREEZER_TEST_PYTHON` is the path of a
//! Python interpreter that can import it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "upgrade/dump.rs"]
mod dump;
#[path = "upgrade/python.rs"]
mod python;
mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use freezer_store::{ConnectSettings, PoolSettings, Store};
use http::Method;
use serde_json::{Value, json};
use support::{Caller, Engine, TestApp, TestDatabase};

/// Time limit for one answer. It is much longer than necessary.
const TIME_LIMIT: Duration = Duration::from_secs(60);

const PROJECT: &str = "p1";
const USER: &str = "u1";

/// A process with freezer-api 19.0.0 and the connection to it.
struct Python(Mutex<Talk>);

struct Talk {
    child: Child,
    log: PathBuf,
    answers: Receiver<String>,
}

impl Python {
    fn start(python: &str, database: &TestDatabase) -> Python {
        let config = python::configuration(database);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/serve_requests.py");
        let log = database.scratch().with_extension("log");
        let errors = std::fs::File::create(&log).unwrap();
        let mut child = Command::new(python)
            .args([script, config.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let (lines, answers) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        Python(Mutex::new(Talk { child, log, answers }))
    }

    fn ask(&self, method: &Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut talk = self.0.lock().unwrap();
        let request =
            json!({"method": method.as_str(), "path": path, "user": USER, "project": PROJECT, "body": body});
        writeln!(talk.child.stdin.as_mut().unwrap(), "{request}").unwrap();
        let line = talk.answers.recv_timeout(TIME_LIMIT).unwrap_or_else(|error| {
            let log = std::fs::read_to_string(&talk.log).unwrap_or_default();
            panic!("freezer-api 19.0.0 does not answer ({error}):\n{log}")
        });
        let answer: Value = serde_json::from_str(&line).unwrap();
        (answer["status"].as_u64().unwrap().try_into().unwrap(), answer["body"].clone())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        if let Ok(talk) = self.0.get_mut() {
            let _ = talk.child.kill();
            let _ = talk.child.wait();
            let _ = std::fs::remove_file(&talk.log);
        }
    }
}

/// One of the two services.
#[derive(Clone, Copy)]
enum Service<'a> {
    Ours(&'a Caller),
    Theirs(&'a Python),
}

impl Service<'_> {
    fn name(self) -> &'static str {
        match self {
            Service::Ours(_) => "ours",
            Service::Theirs(_) => "theirs",
        }
    }

    async fn ask(self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        match self {
            Service::Ours(caller) => {
                let answer = caller.ask(method, path, body).await;
                let json = if answer.body.is_empty() { Value::Null } else { answer.json() };
                (answer.status.as_u16(), json)
            }
            Service::Theirs(python) => python.ask(&method, path, body.as_ref()),
        }
    }

    /// Sends a change, which must succeed. Returns the body of the answer.
    async fn does(self, method: Method, path: &str, body: Value) -> Value {
        let body = (!body.is_null()).then_some(body);
        let (status, answer) = self.ask(method.clone(), path, body).await;
        assert!((200..300).contains(&status), "{} {method} {path}: {status} {answer}", self.name());
        answer
    }
}

/// Both services on one database.
struct Pair<'a> {
    ours: Service<'a>,
    theirs: Service<'a>,
}

impl Pair<'_> {
    /// Returns a document, which must be the same from both services.
    async fn same(&self, path: &str) -> Value {
        let (status, ours) = self.ours.ask(Method::GET, path, None).await;
        let (their_status, theirs) = self.theirs.ask(Method::GET, path, None).await;
        assert_eq!((status, their_status), (200, 200), "{path}: {ours} and {theirs}");
        let difference = python::difference("", &python::normal(&ours), &python::normal(&theirs));
        assert_eq!(difference, None, "{path}");
        ours
    }

    /// Compares the lists of both services. The order may differ because 19.0.0 does not define it.
    async fn same_list(&self, collection: &str) {
        let path = format!("/v2/{PROJECT}/{collection}?limit=1000");
        let mut lists = Vec::new();
        for service in [self.ours, self.theirs] {
            let (status, body) = service.ask(Method::GET, &path, None).await;
            assert_eq!(status, 200, "{} {path}: {body}", service.name());
            let mut list: Vec<Value> =
                body[collection].as_array().unwrap().iter().map(python::normal).collect();
            list.sort_by_key(|document| document.to_string());
            lists.push(Value::Array(list));
        }
        assert_eq!(python::difference("", &lists[0], &lists[1]), None, "{path}");
    }

    async fn gone(&self, path: &str) {
        for service in [self.ours, self.theirs] {
            let (status, body) = service.ask(Method::GET, path, None).await;
            assert_eq!(status, 404, "{} {path}: {body}", service.name());
        }
    }
}

/// Creates documents with one service, and changes and deletes them with the other one.
async fn in_turns(both: &Pair<'_>, maker: Service<'_>, other: Service<'_>) {
    let at = |rest: &str| format!("/v2/{PROJECT}/{rest}");
    let node = format!("node-of-{}", maker.name());
    let client = json!({"client_id": node, "hostname": node, "description": "nächtlich"});
    maker.does(Method::POST, &at("clients"), client).await;
    both.same(&at(&format!("clients/{node}"))).await;

    let job = json!({
        "client_id": node,
        "description": "two actions ☕",
        "job_schedule": {"schedule_interval": "1 days", "event": "start"},
        "job_actions": [
            {"freezer_action": {"action": "backup", "mode": "fs", "path_to_backup": "/srv/ä", "backup_name": "b",
                "container": "c", "extra": {"deep": [1, "ü"]}}, "max_retries": 3, "max_retries_interval": 9},
            {"freezer_action": {"action": "restore", "mode": "fs", "restore_abs_path": "/tmp"}},
        ],
    });
    let job = maker.does(Method::POST, &at("jobs"), job).await["job_id"].as_str().unwrap().to_owned();
    let job_path = at(&format!("jobs/{job}"));
    let shown = both.same(&job_path).await;
    assert_eq!(shown["job_actions"].as_array().unwrap().len(), 2);

    other.does(Method::PATCH, &job_path, json!({"description": "changed by the other"})).await;
    other.does(Method::PATCH, &job_path, json!({"job_schedule": {"schedule_interval": "2 days"}})).await;
    let shown = both.same(&job_path).await;
    assert_eq!(shown["description"], "changed by the other");
    assert_eq!(shown["job_schedule"]["schedule_interval"], "2 days");
    let actions = json!({"job_actions": [
        {"freezer_action": {"action": "exec", "command": "true"}},
        {"freezer_action": {"action": "backup", "mode": "fs", "path_to_backup": "/home", "container": "c"}},
        {"freezer_action": {"action": "admin", "remove_older_than": "30"}},
    ]});
    other.does(Method::PATCH, &job_path, actions).await;
    let shown = both.same(&job_path).await;
    assert_eq!(shown["job_actions"][0]["freezer_action"]["action"], "exec");
    assert_eq!(shown["job_actions"].as_array().unwrap().len(), 3);
    maker.does(Method::POST, &format!("{job_path}/event"), json!({"stop": null})).await;
    both.same(&job_path).await;
    // Polls must contain all jobs that are not completed, and no completed one, whichever service wrote the status.
    for (writer, status) in
        [(other, "completed"), (maker, "running"), (maker, "completed"), (other, "scheduled")]
    {
        writer.does(Method::PATCH, &job_path, json!({"job_schedule": {"status": status}})).await;
        let poll = json!({"match": [{"client_id": node}], "match_not": [{"status": "completed"}]});
        let found = both.ours.ask(Method::GET, &at("jobs"), Some(poll)).await.1;
        let expected = usize::from(status != "completed");
        assert_eq!(
            found["jobs"].as_array().map(Vec::len),
            Some(expected),
            "{status} by {}: {found}",
            writer.name()
        );
    }

    let session = json!({"description": "s", "hold_off": 30, "schedule": {"schedule_interval": "1 days"}});
    let made = maker.does(Method::POST, &at("sessions"), session).await;
    let session = at(&format!("sessions/{}", made["session_id"].as_str().unwrap()));
    other.does(Method::PUT, &format!("{session}/jobs/{job}"), Value::Null).await;
    both.same(&session).await;
    both.same(&job_path).await;
    let start = json!({"start": {"job_id": job, "current_tag": 0}});
    maker.does(Method::POST, &format!("{session}/action"), start).await;
    both.same(&session).await;
    let end = json!({"end": {"job_id": job, "current_tag": 1, "result": "success"}});
    other.does(Method::POST, &format!("{session}/action"), end).await;
    let shown = both.same(&session).await;
    assert_eq!(shown["result"], "success", "{shown}");
    other.does(Method::PATCH, &session, json!({"description": "patched"})).await;
    both.same(&session).await;

    let action = json!({"freezer_action": {"action": "backup", "mode": "fs", "container": "x", "path_to_backup": "/a"}});
    let made = maker.does(Method::POST, &at("actions"), action).await;
    let action = at(&format!("actions/{}", made["action_id"].as_str().unwrap()));
    both.same(&action).await;
    let patch = json!({"freezer_action": {"action": "backup", "mode": "mysql", "container": "y", "path_to_backup": "/b"}});
    other.does(Method::PATCH, &action, patch).await;
    let shown = both.same(&action).await;
    assert_eq!(shown["freezer_action"]["container"], "y");

    let backup = json!({"backup_name": "b", "container": "c", "hostname": node, "time_stamp": 1_795_341_600,
        "level": 0, "path_to_backup": "/srv/ä", "extra": "☕"});
    let made = maker.does(Method::POST, &at("backups"), backup).await;
    let backup = at(&format!("backups/{}", made["backup_id"].as_str().unwrap()));
    both.same(&backup).await;
    // 19.0.0 does not write search terms.
    let search = json!({"match": [{"extra": "☕"}, {"hostname": node}]});
    let found = both.ours.ask(Method::GET, &at("backups"), Some(search)).await.1;
    assert_eq!(found["backups"].as_array().map(Vec::len), Some(1), "{found}");
    // It does not write times either, and it keeps those that this service wrote.
    let of_time = async |time: i64| {
        let search = json!({"match": [{"hostname": node}], "time_after": time, "time_before": time});
        let found = both.ours.ask(Method::GET, &at("backups"), Some(search)).await.1;
        found["backups"].as_array().map(Vec::len)
    };
    assert_eq!(of_time(1_795_341_600).await, Some(1));
    let patch = json!({"backup_metadata": {"time_stamp": 1_795_341_700}});
    if let (200, _) = other.ask(Method::PATCH, &backup, Some(patch)).await {
        let shown = both.same(&backup).await;
        assert_eq!(shown["backup_metadata"]["time_stamp"], 1_795_341_700);
        assert_eq!((of_time(1_795_341_600).await, of_time(1_795_341_700).await), (Some(0), Some(1)));
    }
    for collection in ["jobs", "sessions", "backups"] {
        both.same_list(collection).await;
    }

    other.does(Method::DELETE, &format!("{session}/jobs/{job}"), Value::Null).await;
    both.same(&session).await;
    for path in [session, action, backup, job_path] {
        other.does(Method::DELETE, &path, Value::Null).await;
        both.gone(&path).await;
    }
    other.does(Method::DELETE, &at(&format!("clients/{node}")), Value::Null).await;
    both.gone(&at(&format!("clients/{node}"))).await;
}

/// Upgrades an old database and runs both services on it.
fn serve_one_database(shape: &str) {
    let Some(python) = std::env::var("FREEZER_TEST_PYTHON").ok().filter(|python| !python.is_empty()) else {
        support::skipped(shape, "FREEZER_TEST_PYTHON is not set");
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../freezer-store/tests/shapes");
    let sql = std::fs::read_to_string(folder.join(format!("{shape}.mysql.sql"))).unwrap();
    support::with_database(Engine::MariaDb, "both", |runtime, database| {
        runtime.block_on(support::bounded(async {
            database.run(&sql).await;
            let store = Store::new(database.url(), ConnectSettings::default(), PoolSettings::default());
            store.sync().await.unwrap();
            let theirs = Python::start(&python, database);
            let ours = TestApp::on(database, store).as_user(USER, PROJECT, "member,reader");
            let (ours, theirs) = (Service::Ours(&ours), Service::Theirs(&theirs));
            let both = Pair { ours, theirs };
            in_turns(&both, ours, theirs).await;
            in_turns(&both, theirs, ours).await;
        }));
    });
}

#[test]
fn both_services_serve_a_database_of_7_0_0() {
    serve_one_database("a-7.0.0");
}

#[test]
fn both_services_serve_a_database_of_15_0_0() {
    serve_one_database("c1-15.0.0-sync-16.0.0");
}

#[test]
fn both_services_serve_a_database_of_18_0_0() {
    serve_one_database("f-18.0.0-latin1");
}
