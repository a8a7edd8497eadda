//! `[metrics]`: the listener, the reloads that it shows, and the alert rules in `packaging/monitoring/`. The test program
//! `keystone` compares all metrics with their documentation, the dashboard and the rules.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::process::{
    API, Database, Engine, MANAGE, Scratch, Service, command, config, finish, free_port, parse, read_all,
    run, wait_for,
};
use crate::reload;
use crate::scrape::Scrape;
use crate::scrape::documents::{documented, exported, monitoring, root};

/// A service with a listener for metrics.
struct Measured {
    service: Service,
    port: u16,
}

impl Measured {
    fn start(scratch: &Scratch, more: &str) -> Measured {
        Measured::start_with(scratch, more, "")
    }

    /// Starts the service with more lines in `[metrics]` and in `[DEFAULT]`.
    fn start_with(scratch: &Scratch, more: &str, default: &str) -> Measured {
        let port = free_port();
        let section = format!("[metrics]\nbind_port = {port}\n{more}");
        Measured { service: reload::start(scratch, default, &section), port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Returns the whole answer to a request.
    fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: metrics\r\n\r\n").unwrap();
        read_all(&mut stream)
    }

    fn scrape(&self) -> Scrape {
        let (status, body) = parse(&self.ask("GET", "/metrics"));
        assert_eq!(status, 200, "{body}");
        Scrape::parse(&body)
    }
}

#[test]
fn the_listener_has_one_path() {
    let scratch = Scratch::new();
    let measured = Measured::start(&scratch, "");
    let answer = measured.ask("GET", "/metrics");
    let head = answer.split("\r\n\r\n").next().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert!(head.contains("connection: close"), "{head}");
    assert!(answer.ends_with("# EOF\n"));
    for (method, path, status) in [
        ("HEAD", "/metrics", 200),
        ("GET", "/metrics?x=1", 200),
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/v2/p1/jobs", 404),
        ("POST", "/", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/metrics", 405),
        ("OPTIONS", "/metrics", 405),
        ("BREW", "/metrics", 405),
    ] {
        let answer = measured.ask(method, path);
        assert_eq!(parse(&answer).0, status, "{method} {path}");
        assert!(status != 405 || answer.to_lowercase().contains("allow: get,head"), "{method}: {answer}");
    }
    // the API has no such path, and the listener is not that of the API
    assert_eq!(measured.service.request_with("X-Roles: member\r\n", "GET", "/metrics", "").0, 404);
    assert!(measured.service.log().contains(&format!("metrics: http://127.0.0.1:{}/metrics", measured.port)));
    let scrape = measured.scrape();
    assert_eq!(scrape.one("freezer_ready", &[]), 1.0);
    // it ends with the service
    measured.service.terminate();
    assert_eq!(measured.service.exit_code(), Some(0));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, measured.port)).is_err());
}

#[test]
fn the_listener_shows_connections_and_answers_until_the_end() {
    let scratch = Scratch::new();
    let measured = Measured::start_with(&scratch, "", "shutdown_delay = 3\n");
    let connections = |expected: f64| {
        let found = || measured.scrape().one("freezer_http_connections", &[]);
        wait_for("the connections", || (found() == expected).then_some(()));
    };
    connections(0.0);
    let open: Vec<TcpStream> = (0..3).map(|_| measured.service.connect()).collect();
    connections(3.0);
    drop(open);
    connections(0.0);
    assert_eq!(measured.scrape().one("freezer_draining", &[]), 0.0);
    measured.service.terminate();
    wait_for("the signal", || measured.service.log().contains("stopping").then_some(()));
    assert_eq!(measured.scrape().one("freezer_draining", &[]), 1.0);
    assert_eq!(measured.service.exit_code(), Some(0));
}

#[test]
fn there_is_no_listener_without_a_port() {
    let scratch = Scratch::new();
    let service = reload::start(&scratch, "", "[metrics]\nbind_host = 127.0.0.1\n");
    assert!(!service.log().contains("metrics:"), "{}", service.log());
    assert!(
        service.log().contains("[metrics] bind_host: has no effect without [metrics] bind_port"),
        "{}",
        service.log()
    );
}

#[test]
fn slow_clients_do_not_keep_the_listener_busy() {
    let scratch = Scratch::new();
    let measured = Measured::start(&scratch, "");
    // more than it serves at a time: idle ones, and one that has sent half of a head
    let mut slow: Vec<TcpStream> = (0..20).map(|_| measured.connect()).collect();
    write!(slow[0], "GET /metrics HTTP/1.1\r\nHost:").unwrap();
    assert_eq!(measured.scrape().one("freezer_ready", &[]), 1.0);
    let mut rest = Vec::new();
    let _ = slow[0].read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
    // a head without an end
    let mut large = measured.connect();
    let sent = (0..64).try_for_each(|n| write!(large, "{}: {}\r\n", n, "x".repeat(1_024)));
    let _ = sent.and_then(|()| large.flush());
    let mut answer = Vec::new();
    let _ = large.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
    assert_eq!(measured.scrape().one("freezer_ready", &[]), 1.0);
}

#[test]
fn an_address_that_cannot_be_used_stops_the_start() {
    let scratch = Scratch::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    let port = taken.local_addr().unwrap().port();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    let configured = |section: &str| {
        let text = format!("{}[metrics]\n{section}", config(free_port(), database.url()));
        scratch.write("freezer-api.conf", &text)
    };
    run(MANAGE, &configured(""), &["db", "sync"]).succeeded();
    let file = configured(&format!("bind_port = {port}\n"));
    let named = format!("[metrics] bind_host = 127.0.0.1, bind_port = {port}");
    run(API, &file, &[]).refused(1, &[&named, "Address already in use", "set another bind_port"]);
    // this can be the service itself, so a check accepts it
    assert_ne!(run(MANAGE, &file, &["config", "check"]).code, Some(2));
    let foreign = configured("bind_port = 9464\nbind_host = 192.0.2.1\n");
    run(API, &foreign, &[]).refused(1, &["[metrics] bind_host = 192.0.2.1, bind_port = 9464"]);
    let checked = run(MANAGE, &foreign, &["config", "check"]);
    assert_eq!(checked.code, Some(2), "{checked:#?}");
    assert!(checked.stdout.contains("[metrics] bind_host = 192.0.2.1"), "{checked:#?}");
    for wrong in ["bind_port = x\n", "bind_port = 70000\n", "rows_interval = -1\nbind_port = 9464\n"] {
        run(API, &configured(wrong), &[]).refused(1, &["[metrics]"]);
    }
}

/// Writes a file atomically.
fn put(scratch: &Scratch, name: &str, text: &str) {
    fs::rename(scratch.write("new", text), scratch.path().join(name)).unwrap();
}

#[test]
fn reloads_are_counted() {
    let scratch = Scratch::new();
    let measured = Measured::start(&scratch, "");
    let state = |of: &str| {
        let scrape = measured.scrape();
        let reloads = |result| scrape.one(&format!("freezer_{of}_reloads_total"), &[("result", result)]);
        (reloads("ok"), reloads("failed"), scrape.one(&format!("freezer_{of}_last_reload_successful"), &[]))
    };
    let loaded =
        |of: &str| measured.scrape().one(&format!("freezer_{of}_last_reload_success_timestamp_seconds"), &[]);
    let began = loaded("policy");
    assert!(began > 1.7e9 && loaded("config") > 1.7e9);
    assert_eq!(state("policy"), (0.0, 0.0, 1.0));
    put(&scratch, "policy.yaml", "\"jobs:get_all\": [\n");
    wait_for("a failed reload", || (state("policy") == (0.0, 1.0, 0.0)).then_some(()));
    put(&scratch, "policy.yaml", "\"jobs:get_all\": 5\n");
    wait_for("another one", || (state("policy") == (0.0, 2.0, 0.0)).then_some(()));
    put(&scratch, "policy.yaml", "\"jobs:get_all\": \"role:admin\"\n");
    wait_for("a reload", || (state("policy") == (1.0, 2.0, 1.0)).then_some(()));
    assert!(loaded("policy") >= began);
    let file = scratch.path().join("freezer-api.conf");
    let good = fs::read_to_string(&file).unwrap();
    assert_eq!(state("config"), (0.0, 0.0, 1.0));
    fs::write(&file, good.replace("[DEFAULT]\n", "[DEFAULT]\ndebug = perhaps\n")).unwrap();
    measured.service.signal("HUP");
    wait_for("a failed reload", || (state("config") == (0.0, 1.0, 0.0)).then_some(()));
    // a change of the address needs a restart, and the log says so
    fs::write(&file, good.replace("[metrics]\n", "[metrics]\nrows_interval = 0\n")).unwrap();
    measured.service.signal("HUP");
    wait_for("a reload", || (state("config") == (1.0, 1.0, 1.0)).then_some(()));
    wait_for("the line", || measured.service.log().contains("at the next start: [metrics]").then_some(()));
}

#[test]
fn the_listener_shows_a_service_that_waits_for_its_database() {
    let scratch = Scratch::new();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    let port = free_port();
    let section = format!("[metrics]\nbind_port = {port}\nrows_interval = 1\n");
    let service = Service::start_with(&scratch, |port| config(port, database.url()) + &section, |_| ());
    let measured = Measured { service, port };
    assert_eq!(measured.scrape().one("freezer_ready", &[]), 0.0);
    assert!(!measured.scrape().types.contains_key("freezer_rows"));
    let file = scratch.path().join("freezer-api.conf");
    run(MANAGE, &file, &["db", "sync"]).succeeded();
    wait_for("the tables", || (measured.scrape().one("freezer_ready", &[]) == 1.0).then_some(()));
    wait_for("the rows", || measured.scrape().types.contains_key("freezer_rows").then_some(()));
}

#[test]
fn the_running_service_exports_documented_metrics() {
    let scratch = Scratch::new();
    let measured = Measured::start(&scratch, "rows_interval = 1\n");
    assert_eq!(reload::list(&measured.service), 200);
    wait_for("the rows", || measured.scrape().types.contains_key("freezer_rows").then_some(()));
    let (exported, documented) = (exported(&measured.scrape()), documented());
    for (name, described) in &exported {
        assert_eq!(documented.get(name), Some(described), "{name} in docs/metrics.md");
    }
    assert!(exported.len() > 45, "{exported:#?}");
}

/// Returns the path of promtool, or prints that it is missing.
fn promtool() -> Option<String> {
    let mut find = Command::new(root().join("scripts/promtool"));
    find.arg("--find");
    let found = finish(find);
    if found.code == Some(0) {
        return Some(found.stdout.trim().to_owned());
    }
    #[expect(clippy::print_stdout, reason = "for the reader of the output of the test")]
    {
        println!("skipped: promtool is missing; scripts/promtool unpacks it");
    }
    None
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    let Some(promtool) = promtool() else { return };
    for arguments in
        [["check", "rules", "freezer-api.rules.yml"], ["test", "rules", "freezer-api.rules.test.yml"]]
    {
        let mut command = Command::new(&promtool);
        command.args(arguments).current_dir(monitoring());
        let done = finish(command);
        assert_eq!(done.code, Some(0), "{done:#?}");
        assert!(done.stdout.contains("SUCCESS"), "{done:#?}");
    }
}

#[test]
fn promtool_understands_the_queries_of_the_dashboard() {
    let Some(promtool) = promtool() else { return };
    let scratch = Scratch::new();
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    for (number, query) in crate::scrape::documents::queries().into_iter().enumerate() {
        if query.starts_with("label_values") {
            continue;
        }
        let query = query.replace("$__rate_interval", "5m");
        let quoted = serde_json::to_string(&query).unwrap();
        rules.push_str(&format!("      - record: dashboard_{number}\n        expr: {quoted}\n"));
    }
    let mut command = Command::new(promtool);
    command.args(["check", "rules"]).arg(scratch.write("dashboard.yml", &rules));
    let done = finish(command);
    assert_eq!(done.code, Some(0), "{done:#?}");
}

#[test]
fn every_rule_has_a_runbook_and_a_test() {
    let read = |name: &str| fs::read_to_string(monitoring().join(name)).unwrap();
    let (rules, tests) = (read("freezer-api.rules.yml"), read("freezer-api.rules.test.yml"));
    let rules: Vec<&str> = rules.split("      - alert: ").skip(1).collect();
    assert!(rules.len() >= 15, "{}", rules.len());
    let mut commands = 0;
    for rule in rules {
        let (name, rest) = rule.split_once('\n').unwrap();
        for part in ["expr:", "severity:", "summary:", "description:", "runbook: >-"] {
            assert!(rest.contains(part), "{name} has no {part}");
        }
        assert!(
            tests.contains(&format!("alertname=\"{name}\""))
                || tests.contains(&format!("alertname: {name}\n")),
            "{name} is not tested"
        );
        let runbook =
            rest.split("runbook: >-").nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(runbook.len() > 80, "{name}: {runbook}");
        // commands that do not exist would not help
        for words in runbook.split("freezer-manage ").skip(1) {
            let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
            let words: Vec<&str> = words.split([' ', ',', '.', ';']).take(2).take_while(is_word).collect();
            let mut help = command(MANAGE);
            help.args(&words).arg("--help");
            assert_eq!(finish(help).code, Some(0), "{name}: freezer-manage {words:?}");
            commands += 1;
        }
    }
    assert!(commands >= 5, "{commands}");
}
