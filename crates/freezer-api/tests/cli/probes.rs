//! `GET /livez` and `GET /readyz`: each fault gives a 503 with its reason, and the service is ready again by itself.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::keystone::{Answer, FakeKeystone, TestClock};
use crate::keystone_outage;
use crate::outage::Line;
use crate::process::{self, Database, Engine, MANAGE, Scratch, Service, wait_for};

const REFUSED: &str =
    r#"{"error": {"message": "The request you have made requires authentication.", "code": 401}}"#;

/// Returns the status and the checks of `GET /readyz`.
fn ready(service: &Service) -> (u16, Value) {
    let (status, body) = service.request("GET", "/readyz", "");
    let report: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let checks = report["checks"].as_array().unwrap();
    let failed = checks.iter().filter(|check| check["ok"] == false).count();
    let expected = if failed == 0 { (200, "ready") } else { (503, "not ready") };
    assert_eq!((status, report["status"].as_str().unwrap()), expected, "{report}");
    for check in checks {
        assert_eq!(check["ok"] == true, check["reason"] == "OK", "{report}");
    }
    (status, report)
}

/// Waits until only this check fails, with a reason that contains these words. The process is alive meanwhile.
fn fails(service: &Service, name: &str, words: &str) {
    let mut last = Value::Null;
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        let (_, report) = ready(service);
        let failed: Vec<_> =
            report["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
        if let [check] = failed[..]
            && check["name"] == name
            && check["reason"].as_str().unwrap().contains(words)
        {
            break;
        }
        assert!(Instant::now() < limit, "{name}, {words}: {last}");
        last = report;
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(service.request("GET", "/livez", ""), (200, r#"{"status":"alive","checks":[]}"#.to_owned()));
    assert_eq!(service.request("GET", "/healthcheck", "").0, 200);
    wait_for("the line", || service.log().contains(&format!("/readyz answers 503: {name}: ")).then_some(()));
}

fn recovers(service: &Service) {
    let before = service.log().matches("/readyz answers 200 again").count();
    wait_for("ready again", || (ready(service).0 == 200).then_some(()));
    wait_for("the line", || {
        (service.log().matches("/readyz answers 200 again").count() >= before.max(1)).then_some(())
    });
}

fn synced(scratch: &Scratch, database: &Database) {
    let config = scratch.write("sync.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
}

#[test]
fn a_database_that_is_gone() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    synced(&scratch, &database);
    let port = process::free_port();
    let line = Line::new(port, database.server_address());
    let service = Service::start(&scratch, &database.url_at_port(port));
    wait_for("ready", || (ready(&service).0 == 200).then_some(()));
    for _ in 0..2 {
        line.switch(false);
        fails(&service, "database", "the database is not available");
        line.switch(true);
        recovers(&service);
    }
}

crate::on_both_engines!(missing_tables, a_missing_table_of_a_serving_process);

fn missing_tables(scratch: &Scratch, database: &Database) {
    let service = Service::start(scratch, database.url());
    fails(&service, "tables", "db sync");
    synced(scratch, database);
    recovers(&service);
}

fn a_missing_table_of_a_serving_process(scratch: &Scratch, database: &Database) {
    synced(scratch, database);
    let service = Service::start(scratch, database.url());
    wait_for("ready", || (ready(&service).0 == 200).then_some(()));
    database.run("ALTER TABLE clients RENAME TO clients_of_the_test;");
    fails(&service, "tables", "db sync");
    database.run("ALTER TABLE clients_of_the_test RENAME TO clients;");
    recovers(&service);
}

#[test]
fn a_keystone_that_is_gone_or_refuses_the_login() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut keystone = runtime.block_on(FakeKeystone::start(TestClock::new()));
    keystone.state().own_life = keystone_outage::LIFE;
    let scratch = Scratch::new();
    let service = keystone_outage::start(&scratch, &keystone);
    wait_for("ready", || (ready(&service).0 == 200).then_some(()));
    let calls = keystone.state().seen.len();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1_500) {
        assert_eq!(ready(&service).0, 200);
    }
    let asked = keystone.state().seen.len() - calls;
    assert!((1..=2).contains(&asked), "the results are cached for a second: {asked}");

    runtime.block_on(keystone.stop());
    fails(&service, "keystone", "Keystone is not available");
    runtime.block_on(keystone.start_again());
    recovers(&service);
    for answer in [Answer::Status(500, "{}"), Answer::Never, Answer::Close] {
        keystone.state().on_validate = answer;
        fails(&service, "keystone", "Keystone is not available");
        keystone.state().on_validate = Answer::Normal;
        recovers(&service);
    }
    // the password was changed, which revokes the tokens
    keystone.state().own.clear();
    keystone.state().on_authenticate = Answer::Status(401, REFUSED);
    fails(&service, "keystone", "Keystone does not accept the login of the service");
    keystone.state().on_authenticate = Answer::Normal;
    recovers(&service);
}

#[test]
fn a_process_that_is_about_to_stop_or_switched_off() {
    let scratch = Scratch::new();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    synced(&scratch, &database);
    let file = scratch.path().join("disabled");
    let more = format!("[healthcheck]\ndisable_by_file_path = {}\n", file.display());
    let config = |port| {
        process::config(port, database.url()).replace("[DEFAULT]\n", "[DEFAULT]\nshutdown_delay = 60\n")
            + &more
    };
    let service = Service::start_with(&scratch, config, |_| ());
    wait_for("ready", || (ready(&service).0 == 200).then_some(()));
    fs::write(&file, "").unwrap();
    let (status, report) = ready(&service);
    assert_eq!((status, &report["checks"][1]["reason"]), (503, &"DISABLED BY FILE".into()));
    fs::remove_file(&file).unwrap();
    recovers(&service);
    service.terminate();
    fails(&service, "serving", "about to stop");
    assert_eq!(service.request("HEAD", "/readyz", "").0, 503);
    assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 200, "requests are still served");
}

#[test]
fn only_allowed_callers_are_answered_and_other_methods_are_refused() {
    let scratch = Scratch::new();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    synced(&scratch, &database);
    let config =
        |port| process::config(port, database.url()) + "[healthcheck]\nallowed_source_ranges = 10.0.0.0/8\n";
    let service = Service::start_with(&scratch, config, |_| ());
    for path in ["/livez", "/readyz"] {
        assert_eq!(service.request("GET", path, "").0, 404, "{path}");
    }
    drop(service);
    let service = Service::start(&scratch, database.url());
    for path in ["/livez", "/readyz", "/livez/", "//readyz/"] {
        assert_eq!(service.request("GET", path, "").0, 200, "{path}");
        assert_eq!(service.request("POST", path, "").0, 405, "{path}");
        assert_eq!(service.request_with("X-Identity-Status: Invalid\r\n", "GET", path, "").0, 200, "{path}");
    }
}
