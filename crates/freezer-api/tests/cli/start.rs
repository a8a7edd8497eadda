//! Starts a service before its database is ready: its answers and log lines in the meantime, and the events that end
//! the wait.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{self, API, Database, Engine, MANAGE, Scratch, Service, wait_for};
use crate::{on, on_both_engines};

const WAITING: &str = "requests are answered with 503 until the database is ready";
const READY: &str = "are ready: requests are served";

on_both_engines!(
    an_empty_database_is_waited_for,
    old_tables_are_waited_for,
    a_newer_layout_ends_the_wait,
    a_foreign_layout_ends_the_start_and_the_wait,
    the_wait_can_be_ended_and_logs_reopened,
);

/// Returns the status and the body of the readiness check.
fn readiness(service: &Service) -> (u16, String) {
    service.request("GET", "/healthcheck/ready", "")
}

fn is_ready(service: &Service) -> Option<()> {
    (readiness(service).0 == 200).then_some(())
}

/// Checks the answers of a waiting service.
fn answers_that_it_waits(service: &Service, reason: &str, description: &str) {
    assert_eq!(service.request("GET", "/healthcheck", "").0, 200);
    assert_eq!(service.request("GET", "/", "").0, 300);
    let (status, body) = readiness(service);
    assert_eq!((status, body.contains(reason)), (503, true), "{body}");
    for (method, path, body) in [
        ("GET", "/v2/p1/jobs/", ""),
        ("GET", "/v2/p1/backups?limit=1", ""),
        ("POST", "/v2/p1/clients", r#"{"client_id": "node-1"}"#),
        ("PATCH", "/v2/p1/jobs/j", "{}"),
        ("DELETE", "/v2/p1/sessions/s", ""),
        ("GET", "/v2", ""),
        ("GET", "/nowhere", ""),
    ] {
        let mut stream = service.connect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}",
            service.address()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let answer = process::read_all(&mut stream);
        let (status, text) = process::parse(&answer);
        assert_eq!(status, 503, "{method} {path}: {answer}");
        let lower = answer.to_lowercase();
        assert!(lower.contains("\r\nretry-after: 5\r\n"), "{answer}");
        assert!(lower.contains("\r\nx-openstack-request-id: req-"), "{answer}");
        let expected = format!(r#"{{"title":"Service Unavailable","description":"{description}"}}"#);
        assert_eq!(text, expected);
    }
}

const NO_TABLES: &str = "The tables of the database are not ready yet.";
const NO_DATABASE: &str = "The database is temporarily unavailable.";

fn an_empty_database_is_waited_for(scratch: &Scratch, database: &Database) {
    let service = Service::start(scratch, database.url());
    wait_for("the first look", || readiness(&service).1.contains("WAITING FOR DB SYNC").then_some(()));
    answers_that_it_waits(&service, "WAITING FOR DB SYNC", NO_TABLES);
    // The service has not created anything, and it does not log each attempt.
    std::thread::sleep(Duration::from_secs(3));
    assert!(!scratch.path().join("freezer.db").exists());
    let log = service.log();
    let waiting = format!("{WAITING}: the database {} has no tables yet", database.shown());
    assert_eq!(log.matches(&waiting).count(), 1, "{log}");
    assert!(log.contains("freezer-manage db sync"), "{log}");
    assert!(!log.contains(" ERROR "), "{log}");

    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    wait_for("the tables are noticed", || is_ready(&service));
    assert_eq!(service.request("POST", "/v2/p1/clients", r#"{"client_id": "node-1"}"#).0, 201);
    let report = r#"{"hostname": "n", "backup_name": "b", "container": "/c", "time_stamp": 1, "level": 0}"#;
    assert_eq!(service.request("POST", "/v2/p1/backups", report).0, 201);
    // The additions to the tables are used from the first row on.
    let check = process::run(MANAGE, &config, &["db", "check"]);
    assert!(check.succeeded().contains("success  layout"), "{check:#?}");
    let log = service.log();
    assert_eq!(log.matches(READY).count(), 1, "{log}");
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
}

/// Returns dumps of older layouts, which `db sync` upgrades.
fn old_dumps(engine: Engine) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../freezer-store/tests/shapes");
    let names: &[&str] = match engine {
        Engine::Sqlite => &["f-18.0.0.sqlite.sql"],
        Engine::MySql => &[
            "a-7.0.0.mysql.sql",
            "b-7.2.0.mysql.sql",
            "c-15.0.0.mysql.sql",
            // This dump has a later revision in `alembic_version` than its tables.
            "c2-8.0.0-stamped-7a3b9c1d2e4f.mysql.sql",
            "f-16.0.0.mysql.sql",
            "f-18.0.0-utf8mb4.mysql.sql",
        ],
    };
    names.iter().map(|name| folder.join(name)).collect()
}

fn old_tables_are_waited_for(_: &Scratch, database: &Database) {
    for dump in old_dumps(database.engine()) {
        // Each dump gets a new database.
        on(database.engine(), |scratch, database| {
            database.load(&dump);
            let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
            let service = Service::start(scratch, database.url());
            let name = dump.display();
            assert_eq!(readiness(&service).0, 503, "{name}");
            assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 503, "{name}");
            wait_for("the command is named", || {
                service.log().contains("freezer-manage db sync").then_some(())
            });
            process::run(MANAGE, &config, &["db", "sync"]).succeeded();
            wait_for("the upgrade is noticed", || is_ready(&service));
            assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 200, "{name}");
            assert_eq!(service.log().matches(READY).count(), 1, "{name}: {}", service.log());
            assert!(!service.log().contains(" ERROR "), "{name}: {}", service.log());
        });
    }
}

fn a_newer_layout_ends_the_wait(scratch: &Scratch, database: &Database) {
    let service = Service::start(scratch, database.url());
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    database.run(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL); \
         INSERT INTO alembic_version VALUES ('fedcba987654')",
    );
    let log = scratch.path().join("service.log");
    assert_eq!(service.exit_code(), Some(1));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("at revision fedcba987654, which this release does not know"), "{log}");
    process::run(API, &config, &[]).refused(1, &["fedcba987654", "does not know"]);
}

fn a_foreign_layout_ends_the_start_and_the_wait(scratch: &Scratch, database: &Database) {
    let service = Service::start(scratch, database.url());
    database.run("CREATE TABLE jobs (id INTEGER NOT NULL, title VARCHAR(10), PRIMARY KEY (id))");
    let log = scratch.path().join("service.log");
    assert_eq!(service.exit_code(), Some(1));
    let log = std::fs::read_to_string(log).unwrap();
    let words = "has a table jobs that is not Freezer's";
    assert!(log.contains(words), "{log}");
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(API, &config, &[]).refused(1, &[words]);
}

fn the_wait_can_be_ended_and_logs_reopened(scratch: &Scratch, database: &Database) {
    let service = Service::start(scratch, database.url());
    service.signal("HUP");
    wait_for("SIGHUP is taken up", || service.log().contains("SIGHUP: reading").then_some(()));
    assert_eq!(service.request("GET", "/healthcheck", "").0, 200);
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
}

/// Returns a configuration that never stops trying to connect to the database.
fn patient(port: u16, url: &str) -> String {
    process::config(port, url).replace("max_retries = 0", "max_retries = -1\nretry_interval = 1")
}

#[test]
fn the_start_waits_for_a_server() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    let (server, port) = (database.server_address(), process::free_port());
    let url = database.url_at_port(port);
    let service = Service::start_with(&scratch, |port| patient(port, &url), |_| ());
    answers_that_it_waits(&service, "WAITING FOR THE DATABASE", NO_DATABASE);
    std::thread::sleep(Duration::from_secs(3));
    let log = service.log();
    assert_eq!(log.matches("Connection refused").count(), 1, "{log}");
    assert!(log.contains(WAITING) && log.contains("trying again every 1s"), "{log}");
    forward(port, server);
    // The reason changes when the server answers: now the tables are missing.
    wait_for("the server is noticed", || readiness(&service).1.contains("WAITING FOR DB SYNC").then_some(()));
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    wait_for("the tables are noticed", || is_ready(&service));
    assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 200);
    assert_eq!(service.log().matches(READY).count(), 1, "{}", service.log());
}

/// Forwards connections to a server until the test program ends.
fn forward(port: u16, server: String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let pump = |mut from: TcpStream, mut to: TcpStream| {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    };
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(&server) else { continue };
            let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { continue };
            pump(from, to);
            pump(server, client);
        }
    });
}

#[test]
fn the_service_listens_although_the_server_is_silent() {
    let scratch = Scratch::new();
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("mysql+pymysql://u:s3cr3t@127.0.0.1:{}/f", silent.local_addr().unwrap().port());
    let service = Service::start_with(&scratch, |port| patient(port, &url), |_| ());
    answers_that_it_waits(&service, "WAITING FOR THE DATABASE", NO_DATABASE);
    assert!(service.log().contains("has not answered within") && !service.log().contains("s3cr3t"));
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
}

#[test]
fn attempts_to_connect_to_a_server_are_limited() {
    let scratch = Scratch::new();
    let closed = process::free_port();
    let url = format!("mysql+pymysql://u:s3cr3t@127.0.0.1:{closed}/f");
    let text =
        |port| process::config(port, &url).replace("max_retries = 0", "max_retries = 2\nretry_interval = 1");
    let service = Service::start_with(&scratch, text, |_| ());
    let log = scratch.path().join("service.log");
    assert_eq!(service.exit_code(), Some(1));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("freezer-api: ") && log.contains("not available"), "{log}");
}

#[test]
fn the_service_notices_a_new_file() {
    let scratch = Scratch::new();
    let url = |name: &str| format!("sqlite:///{}", scratch.path().join(name).display());
    let config = scratch.write("new.conf", &process::config(1, &url("new.db")));
    // First there is an empty file, then another one replaces it.
    scratch.write("freezer.db", "");
    let service = Service::start(&scratch, &url("freezer.db"));
    assert_eq!(readiness(&service).0, 503);
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    for ending in ["", "-wal", "-shm"] {
        let path = |name: &str| scratch.path().join(format!("{name}.db{ending}"));
        let _ = std::fs::remove_file(path("freezer"));
        let _ = std::fs::rename(path("new"), path("freezer"));
    }
    wait_for("the file is noticed", || is_ready(&service));
    assert_eq!(service.request("POST", "/v2/p1/clients", r#"{"client_id": "node-1"}"#).0, 201);
}
