//! Restores a database while the service is running: the answers in the meantime, and the recovery of the service.

use std::path::{Path, PathBuf};

use crate::on_both_engines;
use crate::process::{self, Database, Engine, MANAGE, Scratch, Service, wait_for};

on_both_engines!(
    a_dump_of_19_0_0_over_the_tables_costs_no_request,
    an_older_dump_is_waited_for,
    dropped_tables_are_waited_for,
    a_foreign_layout_does_not_end_a_service_that_has_served,
);

const WAITING: &str = "requests are answered with 503 until the database is ready";
const READY: &str = "are ready: requests are served";
const BACKUP: &str = r#"{"backup_name": "etc", "container": "c", "hostname": "h", "time_stamp": 1795300000}"#;

fn shape(database: &Database, name: &str) -> PathBuf {
    let engine = if database.engine() == Engine::Sqlite { "sqlite" } else { "mysql" };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../freezer-store/tests/shapes");
    folder.join(format!("{name}.{engine}.sql"))
}

fn sync(scratch: &Scratch, database: &Database) {
    let config = scratch.write("sync.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
}

/// Starts a service and sends requests, so that it has detected the additions to the tables.
fn serving(scratch: &Scratch, database: &Database) -> Service {
    sync(scratch, database);
    let service = Service::start(scratch, database.url());
    wait_for("the start", || (ready(&service).0 == 200).then_some(()));
    for (method, path, body) in requests() {
        assert!(service.request(method, path, body).0 < 300, "{method} {path}");
    }
    service
}

/// Requests whose statements use the additions, and others.
fn requests() -> [(&'static str, &'static str, &'static str); 6] {
    [
        ("POST", "/v2/p1/backups", BACKUP),
        ("GET", "/v2/p1/jobs", ""),
        ("GET", "/v2/p1/backups", r#"{"match": [{"backup_name": "etc"}], "time_after": 1}"#),
        ("GET", "/v2/p1/clients?limit=1", ""),
        ("POST", "/v2/p1/sessions", r#"{"schedule": {}}"#),
        ("POST", "/v2/p1/actions", r#"{"freezer_action": {"action": "exec", "command": "c"}}"#),
    ]
}

fn ready(service: &Service) -> (u16, String) {
    service.request("GET", "/healthcheck/ready", "")
}

/// Drops the tables, like a dump that is going to create its own.
fn drop_tables(database: &Database) {
    let tables = [
        "job_actions",
        "action_reports",
        "user_credentials",
        "jobs",
        "actions",
        "sessions",
        "backups",
        "clients",
        "alembic_version",
    ];
    let drops: Vec<String> = tables.iter().map(|table| format!("DROP TABLE IF EXISTS {table}")).collect();
    let no_checks = if database.engine() == Engine::MySql { "SET foreign_key_checks = 0; " } else { "" };
    database.run(&format!("{no_checks}{}", drops.join("; ")));
}

/// Checks that the service waits for its tables and logs this once.
fn waits(service: &Service) {
    for (method, path, body) in requests() {
        let (status, answer) = service.request(method, path, body);
        assert_eq!(status, 503, "{method} {path}: {answer}");
    }
    wait_for("the wait", || ready(service).1.contains("WAITING FOR").then_some(()));
    assert_eq!(service.request("GET", "/healthcheck", "").0, 200);
    assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 503);
    let log = service.log();
    assert_eq!(log.matches(WAITING).count(), 1, "{log}");
    assert!(!log.contains(" ERROR freezer"), "{log}");
}

fn serves_again(service: &Service) {
    wait_for("the tables are noticed", || (ready(service).0 == 200).then_some(()));
    for (method, path, body) in requests() {
        let (status, answer) = service.request(method, path, body);
        assert!(status < 300, "{method} {path}: {answer}");
    }
    let log = service.log();
    assert_eq!(log.matches(READY).count(), 1, "{log}");
    assert!(!log.contains(" ERROR freezer"), "{log}");
}

fn a_dump_of_19_0_0_over_the_tables_costs_no_request(scratch: &Scratch, database: &Database) {
    let service = serving(scratch, database);
    // Each of these requests may be the first one after the restore.
    for (method, path, body) in requests().into_iter().take(3) {
        drop_tables(database);
        database.load(&shape(database, "g-19.0.0"));
        let (status, answer) = service.request(method, path, body);
        assert!(status < 300, "{method} {path}: {answer}\n{}", service.log());
        assert_eq!(ready(&service).0, 200);
        for (method, path, body) in requests() {
            let (status, answer) = service.request(method, path, body);
            assert!(status < 300, "{method} {path}: {answer}\n{}", service.log());
        }
        // The sync adds the additions again.
        sync(scratch, database);
        std::thread::sleep(std::time::Duration::from_secs(6));
        assert!(service.request("POST", "/v2/p1/backups", BACKUP).0 < 300);
        assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 200);
    }
    let log = service.log();
    assert!(log.contains("the service continues without the missing additions"), "{log}");
    assert!(!log.contains(" ERROR freezer") && !log.contains(WAITING), "{log}");
}

fn an_older_dump_is_waited_for(scratch: &Scratch, database: &Database) {
    let service = serving(scratch, database);
    drop_tables(database);
    let name = if database.engine() == Engine::Sqlite { "f-18.0.0" } else { "c-15.0.0" };
    database.load(&shape(database, name));
    // The older tables have all columns that this statement uses.
    assert!([200, 503].contains(&service.request("GET", "/v2/p1/jobs", "").0));
    wait_for("the wait", || ready(&service).1.contains("WAITING FOR DB SYNC").then_some(()));
    waits(&service);
    assert!(service.log().contains("freezer-manage db sync"), "{}", service.log());
    sync(scratch, database);
    serves_again(&service);
}

fn dropped_tables_are_waited_for(scratch: &Scratch, database: &Database) {
    let service = serving(scratch, database);
    drop_tables(database);
    waits(&service);
    sync(scratch, database);
    serves_again(&service);
}

fn a_foreign_layout_does_not_end_a_service_that_has_served(scratch: &Scratch, database: &Database) {
    let service = serving(scratch, database);
    drop_tables(database);
    database.run("CREATE TABLE jobs (id INTEGER NOT NULL, title VARCHAR(10), PRIMARY KEY (id))");
    waits(&service);
    assert!(service.log().contains("has a table jobs that is not Freezer's"), "{}", service.log());
    database.run("DROP TABLE jobs");
    sync(scratch, database);
    serves_again(&service);
}

/// The log does not say that the service continues, because it waits until the tables are converted.
#[test]
fn columns_that_cannot_be_compared_are_logged_as_such() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    let service = serving(&scratch, &database);
    let search = r#"{"match": [{"command": "c"}]}"#;
    assert_eq!(service.request("GET", "/v2/p1/jobs", search).0, 200);
    for table in ["fz_action_terms", "user_credentials"] {
        let convert = "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci";
        database.run(&format!("ALTER TABLE {table} {convert}"));
    }
    wait_for("the wait", || {
        service.request("GET", "/v2/p1/jobs", search);
        ready(&service).1.contains("WAITING FOR DB SYNC").then_some(())
    });
    let log = service.log();
    let line =
        log.lines().find(|line| line.contains("have columns with collations that the server cannot compare"));
    assert!(line.is_some_and(|line| line.contains("freezer-manage db sync")), "{log}");
    assert!(!log.contains("continues without the missing additions"), "{log}");
    sync(&scratch, &database);
    serves_again(&service);
}

#[test]
fn the_service_waits_while_a_database_is_dropped_and_restored() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    let service = serving(&scratch, &database);
    let shown = database.shown();
    let name = shown.rsplit('/').next().unwrap();
    let make = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4");
    database.run(&format!("DROP DATABASE {name}; {make}"));
    waits(&service);
    database.load(&shape(&database, "f-18.0.0-utf8mb4"));
    assert_eq!(ready(&service).0, 503);
    sync(&scratch, &database);
    serves_again(&service);
}

#[test]
fn the_service_waits_for_a_missing_database() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    let service = serving(&scratch, &database);
    let shown = database.shown();
    let name = shown.rsplit('/').next().unwrap();
    database.run(&format!("DROP DATABASE {name}"));
    waits(&service);
    database.run_on_server(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
    sync(&scratch, &database);
    serves_again(&service);
}

#[test]
fn the_service_notices_a_replaced_file() {
    let scratch = Scratch::new();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    let service = serving(&scratch, &database);
    let path = |name: &str, ending: &str| scratch.path().join(format!("{name}.db{ending}"));
    let other = format!("sqlite:///{}", path("other", "").display());
    let config = scratch.write("other.conf", &process::config(1, &other));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(path("freezer", ending));
    }
    waits(&service);
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::rename(path("other", ending), path("freezer", ending));
    }
    wait_for("the file", || (ready(&service).0 == 200).then_some(()));
    let backups = service.request("GET", "/v2/p1/backups", "");
    assert!(!backups.1.contains("backup_id"), "{}", backups.1);
    serves_again(&service);
}
