//! The format and the destination of log lines: identity fields, format strings, `log_config_append`, and missing
//! sockets.

use std::fs;
use std::path::Path;

use crate::process::{self, API, MANAGE, Scratch, wait_for};
use crate::reload::{list, start, wait_for_line};

const CLIENT: &str = "{\"client_id\": \"n1\", \"hostname\": \"n1\"}";

/// Returns the log line about the registration of a client by a caller with these headers.
fn line_for(more: &str, headers: &str) -> String {
    let scratch = Scratch::new();
    let service = start(&scratch, more, "");
    assert_eq!(service.request_with(headers, "POST", "/v2/p1/clients", CLIENT).0, 201);
    let log = service.log();
    log.lines().find(|line| line.contains("client registered")).unwrap_or(&log).to_owned()
}

/// Returns a line in which everything that differs between runs is replaced.
fn masked(line: &str) -> String {
    let (front, rest) = line.split_once(" INFO ").unwrap();
    let fields: Vec<&str> = front.split(' ').collect();
    assert!(fields.len() == 3 && fields[1].len() == 12 && fields[2].parse::<u32>().is_ok(), "{line}");
    let words = rest.split(' ').map(|word| match word.trim_start_matches('[') {
        id if id.starts_with("req-") && id != GLOBAL => word.replace(id, "req-own"),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

const GLOBAL: &str = "req-9d1b2f4e-3a61-4f0e-8f55-0c8e7f1b2a3c";

#[test]
fn lines_have_the_six_identity_fields_of_oslo_log() {
    let logger = "freezer_api.api.v2.clients";
    let said = "client registered id=\"n1\" in_project=p1";
    for (headers, expected) in [
        ("X-User-Id: u1\r\nX-Project-Id: p1\r\n".to_owned(), "[req-own u1 p1 - - - -]".to_owned()),
        (
            "X-User-Id: u1\r\nX-Project-Id: p1\r\nX-User-Domain-Id: d1\r\nX-Project-Domain-Id: d2\r\n"
                .to_owned(),
            "[req-own u1 p1 - - d1 d2]".to_owned(),
        ),
        (
            format!("X-User-Id: u1\r\nX-Project-Id: p1\r\nX-Openstack-Request-Id: {GLOBAL}\r\n"),
            format!("[{GLOBAL} req-own u1 p1 - - - -]"),
        ),
    ] {
        assert_eq!(masked(&line_for("", &headers)), format!("{logger} {expected} {said}"));
    }
}

#[test]
fn the_formats_of_lines_can_be_set() {
    let headers = "X-User-Id: u1\r\nX-Project-Id: p1\r\n";
    let more = "logging_context_format_string = %(asctime)s|%(levelname)-8s|%(name)s|%(request_id).4s|%(user_identity)s|%(message)s\n\
                logging_default_format_string = DEFAULT %(message)s\n\
                logging_user_identity_format = %(user)s of %(project_id)s in %(user_domain)s\n\
                log_date_format = %d/%m\n";
    let line = line_for(more, headers);
    let (date, rest) = line.split_once('|').unwrap();
    assert!(date.len() == 5 && date.as_bytes()[2] == b'/', "{line}");
    assert_eq!(
        rest,
        "INFO    |freezer_api.api.v2.clients|req-|u1 of p1 in -|client registered id=\"n1\" in_project=p1"
    );
}

/// Returns a file like that of deployment tools, with a file for the service's lines.
fn logging_conf(log: &Path, level: &str, form: &str) -> String {
    format!(
        "[loggers]\nkeys = root,freezer\n[handlers]\nkeys = file,stderr,null\n[formatters]\nkeys = context,json,plain\n\
         [logger_root]\nlevel = WARNING\nhandlers = null\n\
         [logger_freezer]\nlevel = {level}\nhandlers = file,stderr\nqualname = freezer_api\n\
         [handler_file]\nclass = handlers.WatchedFileHandler\nargs = ('{}',)\nformatter = {form}\n\
         [handler_stderr]\nclass = StreamHandler\nargs = (sys.stderr,)\nformatter = context\n\
         [handler_null]\nclass = logging.NullHandler\nargs = ()\nformatter = plain\n\
         [formatter_context]\nclass = oslo_log.formatters.ContextFormatter\ndatefmt = %Y-%m-%d %H:%M:%S\n\
         [formatter_json]\nclass = oslo_log.formatters.JSONFormatter\n\
         [formatter_plain]\nformat = PLAIN %(levelname)s %(name)s %(message)s\n",
        log.display()
    )
}

#[test]
fn a_configuration_of_pythons_logging_is_read_and_reloaded() {
    let scratch = Scratch::new();
    let log = scratch.path().join("a.log");
    let conf = scratch.write("logging.conf", &logging_conf(&log, "INFO", "plain"));
    let more = format!("log_config_append = {}\nlog_file = /nowhere/at/all.log\n", conf.display());
    let service = start(&scratch, &more, "");
    wait_for_line(&log, "PLAIN INFO freezer_api.manage.serve listening on");
    assert!(service.log().contains(" INFO freezer_api.manage.serve [-] listening on"), "{}", service.log());
    assert_eq!(service.request("GET", "/healthcheck", "").0, 200);
    assert!(!fs::read_to_string(&log).unwrap().contains("/healthcheck"));
    fs::write(&conf, logging_conf(&log, "DEBUG", "json")).unwrap();
    service.signal("HUP");
    wait_for("a line of JSON", || {
        service.request("GET", "/healthcheck", "");
        let text = fs::read_to_string(&log).ok()?;
        text.lines()
            .rev()
            .find(|line| line.starts_with('{') && line.contains("\"GET /healthcheck\""))
            .map(|_| ())
    });
    // If a file cannot be loaded, the former settings stay in force.
    fs::write(&conf, "[loggers]\nkeys = nobody\n").unwrap();
    service.signal("HUP");
    wait_for_line(&log, "Error loading logging config");
    assert_eq!(list(&service), 200);
}

#[test]
fn unsupported_parts_are_reported_and_invalid_files_end_the_start() {
    let scratch = Scratch::new();
    let log = scratch.path().join("a.log");
    let text = logging_conf(&log, "INFO", "plain")
        .replace("class = logging.NullHandler", "class = fluent.handler.FluentHandler");
    let conf = scratch.write("logging.conf", &text);
    let named =
        format!("{}:23: [handler_null] class = fluent.handler.FluentHandler: not supported", conf.display());
    let service = start(&scratch, &format!("log_config_append = {}\n", conf.display()), "");
    wait_for_line(&log, &named);
    drop(service);
    let config = |path: &str| {
        let database = scratch.path().join("f.db");
        let text = process::config(process::free_port(), &format!("sqlite:///{}", database.display()));
        let text = text.replace("[DEFAULT]\n", &format!("[DEFAULT]\nlog_config_append = {path}\n"));
        scratch.write("checked.conf", &text)
    };
    let checked = process::run(MANAGE, &config(&conf.display().to_string()), &["config", "check"]);
    assert!(checked.stdout.contains(&named), "{}", checked.stdout);
    let missing = scratch.path().join("missing.conf").display().to_string();
    for (path, reason) in [(missing.as_str(), "No such file"), ("/dev/null", "[formatters]")] {
        let said = format!("Error loading logging config {path}: ");
        process::run(API, &config(path), &[]).refused(1, &[&said, reason]);
        let checked = process::run(MANAGE, &config(path), &["config", "check"]);
        assert!(checked.stdout.contains(&said) && checked.stdout.contains("failure"), "{}", checked.stdout);
    }
}

#[test]
fn a_log_that_cannot_be_rotated_takes_all_lines_and_says_so_once() {
    let scratch = Scratch::new();
    let log = scratch.write("a.log", &"an earlier line\n".repeat(70_000));
    fs::create_dir(scratch.path().join("a.log.1")).unwrap();
    let more = format!(
        "use_stderr = true\nlog_file = {}\nlog_rotation_type = size\nmax_logfile_size_mb = 1\n",
        log.display()
    );
    let service = start(&scratch, &more, "");
    for _ in 0..20 {
        assert_eq!(list(&service), 200);
        service.signal("HUP");
    }
    let hangups = || fs::read_to_string(&log).unwrap().matches("SIGHUP: reading").count();
    wait_for("a line", || (hangups() > 0).then_some(()));
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
    let lines = fs::read_to_string(&log).unwrap();
    let new = lines.split_once("an earlier line\n2").map_or("", |(_, new)| new);
    for words in ["listening on", "stopping"] {
        assert_eq!(new.matches(words).count(), 1, "{new}");
    }
    // Each SIGHUP opens the log again, so a rotation is tried again.
    assert_eq!(new.matches("a.log.1 is a directory; remove it").count(), 1 + hangups(), "{new}");
}

#[test]
fn a_missing_socket_causes_one_warning() {
    for (option, path) in [("use_syslog", "/dev/log"), ("use_journal", "/run/systemd/journal/socket")] {
        if Path::new(path).exists() {
            continue;
        }
        let scratch = Scratch::new();
        let service = start(&scratch, &format!("{option} = true\n"), "");
        assert_eq!(list(&service), 200);
        let log = service.log();
        let warning = format!("freezer-api: WARNING: [DEFAULT] {option}: {path}: ");
        assert_eq!(log.matches(&warning).count(), 1, "{log}");
        assert!(log.contains("listening on"), "lines go to standard error instead: {log}");
    }
}

#[test]
fn lines_without_a_supported_handler_go_to_standard_error() {
    let text = "[loggers]\nkeys = root\n[handlers]\nkeys = h\n[formatters]\nkeys =\n\
                [logger_root]\nlevel = INFO\nhandlers = h\n[handler_h]\n";
    for (handler, line) in [
        ("class = fluent.handler.FluentHandler\nargs = ('freezer', 'localhost', 24224)\n", 11),
        ("class = handlers.SMTPHandler\nargs = ('h', 'a@b', ['c@d'], 'subject')\n", 11),
        ("class = StreamHandler\nargs = (open('/a'),)\n", 12),
    ] {
        let scratch = Scratch::new();
        let conf = scratch.write("logging.conf", &format!("{text}{handler}"));
        let service = start(&scratch, &format!("log_config_append = {}\n", conf.display()), "");
        assert_eq!(service.request("POST", "/v2/p1/clients", CLIENT).0, 201);
        let log = service.log();
        for expected in [
            &*format!("{}:{line}: [handler_h] ", conf.display()),
            "they go to standard error",
            "client registered",
        ] {
            assert!(log.contains(expected), "{expected}: {log}");
        }
    }
}

#[test]
fn a_log_without_handlers_causes_a_warning_on_standard_error() {
    let scratch = Scratch::new();
    let conf = scratch.write(
        "logging.conf",
        "[loggers]\nkeys = root,freezer\n[handlers]\nkeys = null,out\n[formatters]\nkeys =\n\
         [logger_root]\nlevel = WARNING\nhandlers = null\n\
         [logger_freezer]\nlevel = INFO\nhandlers = out\nqualname = freezer\n\
         [handler_null]\nclass = logging.NullHandler\nargs = ()\n\
         [handler_out]\nclass = StreamHandler\nargs = (sys.stdout,)\n",
    );
    let warning =
        format!("{}: no handler gets the lines of freezer_api, so the service logs nothing", conf.display());
    // This start fails after logging was set up.
    let policy = scratch.write("broken.yaml", "[");
    let text = process::config(process::free_port(), "sqlite:////nonexistent/f.db")
        .replace("[DEFAULT]\n", &format!("[DEFAULT]\nlog_config_append = {}\n", conf.display()));
    let text = format!("{text}\n[oslo_policy]\npolicy_file = {}\n", policy.display());
    let config = scratch.write("f.conf", &text);
    process::run(API, &config, &[]).refused(1, &[&format!("freezer-api: WARNING: {warning}")]);
    let checked = process::run(MANAGE, &config, &["config", "check"]);
    assert!(checked.stdout.contains(&warning), "{}", checked.stdout);
}

#[test]
fn json_lines_have_fractions_of_seconds() {
    let line = line_for("use_json = true\n", "X-User-Id: u1\r\nX-Project-Id: p1\r\n");
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(json["created"].is_f64(), "{line}");
    let milliseconds = (json["created"].as_f64().unwrap().fract() * 1000.0).floor();
    assert!((milliseconds - json["msecs"].as_f64().unwrap()).abs() <= 1.0, "{line}");
}
