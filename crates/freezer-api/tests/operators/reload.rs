//! Reloads changed files in the running service, and checks its log lines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Engine, MANAGE, Scratch, Service, wait_for};

/// Starts the service on a SQLite file, with additional lines in `[DEFAULT]` and additional sections.
pub fn start(scratch: &Scratch, more: &str, sections: &str) -> Service {
    start_in(scratch, more, sections, |_| ())
}

/// Does the same as [`start`] with a changed command.
pub fn start_in(scratch: &Scratch, more: &str, sections: &str, prepare: impl Fn(&mut Command)) -> Service {
    let database = process::Database::create(Engine::Sqlite, scratch).unwrap();
    let sync = scratch.write("sync.conf", &process::config(1, database.url()));
    process::run(MANAGE, &sync, &["db", "sync"]).succeeded();
    Service::start_with(scratch, |port| config(port, database.url(), more) + sections, prepare)
}

fn config(port: u16, database: &str, more: &str) -> String {
    process::config(port, database).replace("[DEFAULT]\n", &format!("[DEFAULT]\n{more}"))
}

/// Replaces a file atomically, because the service could read it when it is half written.
fn put(scratch: &Scratch, name: &str, text: &str) -> PathBuf {
    let path = scratch.path().join(name);
    fs::rename(scratch.write("new", text), &path).unwrap();
    path
}

/// Returns the status of a list of jobs for a member of the project.
pub fn list(service: &Service) -> u16 {
    let headers = "X-Roles: member\r\nX-User-Id: u1\r\nX-Project-Id: p1\r\n";
    service.request_with(headers, "GET", "/v2/p1/jobs", "").0
}

fn count(log: &str, text: &str) -> usize {
    log.matches(text).count()
}

#[test]
fn a_new_policy_file_is_used_at_once() {
    let scratch = Scratch::new();
    let service = start(&scratch, "", "");
    assert_eq!(list(&service), 200);
    put(&scratch, "policy.yaml", "\"jobs:get_all\": \"role:admin\"\n");
    wait_for("the new rule", || (list(&service) == 403).then_some(()));
    fs::remove_file(scratch.path().join("policy.yaml")).unwrap();
    wait_for("the default again", || (list(&service) == 200).then_some(()));
    fs::create_dir(scratch.path().join("policy.d")).unwrap();
    put(&scratch, "policy.d/jobs.yaml", "\"jobs:get_all\": \"!\"\n");
    wait_for("the rule of policy.d", || (list(&service) == 403).then_some(()));
}

#[test]
fn a_broken_policy_file_keeps_the_former_rules_and_is_logged_once() {
    let scratch = Scratch::new();
    let file = put(&scratch, "policy.yaml", "\"jobs:get_all\": \"role:admin\"\n");
    let service = start(&scratch, "", "");
    assert_eq!(list(&service), 403);
    put(&scratch, "policy.yaml", "\"jobs:get_all\": \"@\"\n\"jobs:get\": [\n");
    let said = "policy not reloaded, the former rules stay in force";
    wait_for("the error", || service.log().contains(said).then_some(()));
    let log = service.log();
    let line = log.lines().find(|line| line.contains(said)).unwrap();
    assert!(line.contains(" ERROR ") && line.contains(&format!("{}: line ", file.display())), "{line}");
    assert_eq!(list(&service), 403);
    // Further checks, which signals cause, do not log the error again. A new error is logged.
    for n in 1..=3 {
        service.signal("HUP");
        wait_for("the look", || (count(&service.log(), "SIGHUP") == n).then_some(()));
    }
    assert_eq!(count(&service.log(), said), 1, "{}", service.log());
    put(&scratch, "policy.yaml", "\"jobs:get_all\": 5\n");
    wait_for("the other error", || (count(&service.log(), said) == 2).then_some(()));
    assert_eq!(list(&service), 403);
    put(&scratch, "policy.yaml", "\"jobs:get_all\": \"@\"\n");
    wait_for("the mended file", || (list(&service) == 200).then_some(()));
}

#[test]
fn an_invalid_rule_denies_and_is_logged() {
    let scratch = Scratch::new();
    let service = start(&scratch, "", "");
    let file = put(&scratch, "policy.yaml", "\n\"jobs:get_all\": \"role:member and\"\n");
    wait_for("the new rule", || (list(&service) == 403).then_some(()));
    let log = service.log();
    let line = log.lines().find(|line| line.contains("cannot be understood and denies")).unwrap();
    assert!(line.contains(&file.display().to_string()) && line.contains("line=2"), "{line}");
}

/// Waits until a file contains a text.
pub fn wait_for_line(path: &Path, text: &str) {
    wait_for(text, || fs::read_to_string(path).ok()?.contains(text).then_some(()));
}

fn log_file(scratch: &Scratch) -> (PathBuf, String) {
    let path = scratch.path().join("a.log");
    (path.clone(), format!("log_file = {}\nuse_stderr = true\n", path.display()))
}

#[test]
fn sighup_reopens_the_log_file_and_applies_the_level() {
    let scratch = Scratch::new();
    let (path, more) = log_file(&scratch);
    let service = start(&scratch, &more, "");
    wait_for_line(&path, "listening on");
    list(&service);
    assert!(!service.log().contains(" DEBUG "), "{}", service.log());
    let moved = scratch.path().join("a.log.1");
    fs::rename(&path, &moved).unwrap();
    let conf = scratch.path().join("freezer-api.conf");
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, text.replace("[DEFAULT]\n", "[DEFAULT]\ndebug = true\n")).unwrap();
    service.signal("HUP");
    wait_for("the new file", || path.exists().then_some(()));
    service.request("GET", "/healthcheck", "");
    wait_for_line(&path, " DEBUG freezer_api.access ");
    assert!(fs::read_to_string(&moved).unwrap().contains("listening on"));
    assert!(!fs::read_to_string(&path).unwrap().contains("listening on"));
}

#[test]
fn a_broken_configuration_at_sighup_is_logged_and_changes_nothing() {
    let scratch = Scratch::new();
    let (path, more) = log_file(&scratch);
    let service = start(&scratch, &more, "");
    let conf = scratch.path().join("freezer-api.conf");
    let good = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, good.replace("[DEFAULT]\n", "[DEFAULT]\ndebug = perhaps\n")).unwrap();
    fs::rename(&path, scratch.path().join("a.log.1")).unwrap();
    service.signal("HUP");
    wait_for("the error", || service.log().contains("the configuration was not reloaded").then_some(()));
    let log = service.log();
    let line = log.lines().find(|line| line.contains("the configuration was not reloaded")).unwrap();
    assert!(line.contains(" ERROR ") && line.contains("freezer-api.conf:3: [DEFAULT] debug"), "{line}");
    // The log file is opened again in spite of the error.
    wait_for("the new file", || path.exists().then_some(()));
    assert_eq!(list(&service), 200);
    // Changes that need a restart are named.
    fs::write(&conf, good.replace("max_retries = 0", "max_retries = 3")).unwrap();
    service.signal("HUP");
    wait_for_line(&path, "take effect at the next start: [database]");
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
}

#[test]
fn sighup_logs_unsupported_parts_and_changed_groups() {
    let scratch = Scratch::new();
    let (path, more) = log_file(&scratch);
    let service = start(&scratch, &more, "");
    wait_for_line(&path, "listening on");
    let conf = scratch.path().join("freezer-api.conf");
    let good = fs::read_to_string(&conf).unwrap();
    for (group, text) in [
        ("[api]", "[api]\nmax_limit = 77\n"),
        ("[oslo_middleware]", "[oslo_middleware]\nmax_request_body_size = 5000\n"),
        ("[healthcheck]", "[healthcheck]\ndetailed = true\n"),
        ("[oslo_policy]", "[oslo_policy]\nremote_timeout = 3\n"),
    ] {
        fs::write(&conf, format!("{good}{text}")).unwrap();
        service.signal("HUP");
        let line = format!("these changes of the configuration take effect at the next start: {group}");
        wait_for(group, || service.log().lines().any(|logged| logged.ends_with(&line)).then_some(()));
    }
    let logging = "[loggers]\nkeys = root\n[handlers]\nkeys = err, odd\n[formatters]\nkeys =\n[logger_root]\nlevel = INFO\n\
                   handlers = err, odd\n[handler_err]\nclass = StreamHandler\nargs = (sys.stderr,)\n\
                   [handler_odd]\nclass = smtp.SMTPHandler\nargs = ()\n";
    let file = put(&scratch, "logging.conf", logging);
    let appended = format!("[DEFAULT]\nlog_config_append = {}\n", file.display());
    fs::write(&conf, format!("{good}{appended}")).unwrap();
    service.signal("HUP");
    wait_for("the handler that is not understood", || {
        service.log().lines().any(|line| line.contains("smtp.SMTPHandler")).then_some(())
    });
}

#[test]
fn a_line_of_json_is_an_object_with_its_request() {
    let scratch = Scratch::new();
    let (path, more) = log_file(&scratch);
    let service = start(&scratch, &format!("use_json = true\n{more}"), "");
    let id = "req-9d1b2f4e-3a61-4f0e-8f55-0c8e7f1b2a3c";
    let headers = format!("X-User-Id: u1\r\nX-Project-Id: p1\r\nX-Openstack-Request-Id: {id}\r\n");
    service.request_with(&headers, "GET", "/v2/p1/jobs", "");
    wait_for_line(&path, "GET /v2/p1/jobs");
    for line in fs::read_to_string(&path).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["message"] == "GET /v2/p1/jobs" {
            assert_eq!(line["levelname"], "INFO");
            assert_eq!(line["name"], "freezer_api.access");
            assert_eq!(line["context"]["global_request_id"], id);
            assert_eq!(line["context"]["project"], "p1");
            assert_eq!(line["context"]["user_identity"], "u1 p1 - - -");
            assert_eq!(line["context"]["system_scope"], serde_json::Value::Null);
            assert_eq!((&line["context"]["user_id"], &line["extra"]["status"]), (&"u1".into(), &200.into()));
        }
    }
}

#[test]
fn a_change_is_logged_with_the_logger_of_its_resource() {
    let scratch = Scratch::new();
    let service = start(&scratch, "", "");
    let (status, _) =
        service.request("POST", "/v2/p1/clients", "{\"client_id\": \"n1\", \"hostname\": \"n1\"}");
    assert_eq!(status, 201);
    let log = service.log();
    let line = log.lines().find(|line| line.contains("client registered")).unwrap();
    assert!(line.contains(" INFO freezer_api.api.v2.clients [req-") && line.contains("id=\"n1\""), "{line}");
}
