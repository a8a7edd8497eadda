//! The three programs as processes: their output, exit codes and error messages.
//!
//! Every test runs on SQLite. It also runs on MariaDB if `FREEZER_TEST_MYSQL_URL` is set
//! (`mysql://user:password@host:port`, with a user that may create databases). Other tests cover the answers of the
//! API.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

#[path = "cli/command_line.rs"]
mod command_line;
#[path = "../../keystone-auth/tests/keystone/support/mod.rs"]
mod keystone;
#[path = "cli/keystone_outage.rs"]
mod keystone_outage;
#[path = "cli/open_files.rs"]
mod open_files;
#[path = "cli/outage.rs"]
mod outage;
#[path = "cli/probes.rs"]
mod probes;
mod process;
#[path = "cli/rejected_settings.rs"]
mod rejected_settings;
#[path = "cli/restore.rs"]
mod restore;
#[path = "cli/start.rs"]
mod start;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use freezer_store::migrations::HEAD;
use process::{API, Database, Engine, MANAGE, STATUS, Scratch, Service};

const SYNC: &str = "freezer-manage db sync";

/// Runs the body with a scratch directory and an empty database, if the engine is available.
fn on(engine: Engine, body: impl FnOnce(&Scratch, &Database)) {
    let scratch = Scratch::new();
    if let Some(database) = Database::create(engine, &scratch) {
        body(&scratch, &database);
    }
}

/// Defines one test for each engine.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite { $(#[test] fn $name() { $crate::on($crate::Engine::Sqlite, super::$name); })* }
        mod mysql { $(#[test] fn $name() { $crate::on($crate::Engine::MySql, super::$name); })* }
    };
}
use on_both_engines;

on_both_engines!(
    an_empty_database_is_refused_with_the_command_to_run,
    sync_creates_the_tables_once,
    show_counts_rows,
    the_service_serves_and_stops,
    a_request_under_way_is_answered_before_the_end,
    numbers_without_a_limit_start,
);

/// oslo.db and SQLAlchemy permit these numbers.
fn numbers_without_a_limit_start(scratch: &Scratch, database: &Database) {
    for numbers in [
        "max_pool_size = 0\nmax_overflow = -1\nconnection_recycle_time = -1\npool_timeout = 0\nmax_retries = -1",
        "max_pool_size = 1\nmax_overflow = 0\nconnection_recycle_time = 0\nretry_interval = 0\nmax_retries = -2",
        "max_pool_size = -1\nmax_overflow = -1\npool_timeout = -1\nretry_interval = -1\nmax_retries = 0",
    ] {
        let port = process::free_port();
        let text = process::config(port, database.url()).replace("max_retries = 0", numbers);
        let config = scratch.write("f.conf", &text);
        process::run(MANAGE, &config, &["config", "check"]).without("failure");
        process::run(MANAGE, &config, &["db", "sync"]).succeeded();
        let mut command = process::command(API);
        command.arg("--config-file").arg(&config);
        let service = Service::spawn(command, port, scratch).unwrap();
        for _ in 0..3 {
            let (status, body) = service.request("GET", "/v2/p1/jobs", "");
            assert_eq!(status, 200, "{numbers}: {body}");
        }
    }
}

fn an_empty_database_is_refused_with_the_command_to_run(scratch: &Scratch, database: &Database) {
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "version"]).refused(1, &["has no tables yet", SYNC]);
    process::run(MANAGE, &config, &["db", "show"]).refused(1, &["has no tables yet", SYNC]);
    let done = process::run(STATUS, &config, &["upgrade", "check"]);
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(done.stdout.contains("| Result: Failure") && done.stdout.contains(SYNC), "{done:#?}");
    // The command has not created anything.
    process::run(MANAGE, &config, &["db", "version"]).refused(1, &["has no tables yet"]);
}

fn sync_creates_the_tables_once(scratch: &Scratch, database: &Database) {
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    let sync = || process::run(MANAGE, &config, &["db", "sync"]);
    let first = sync();
    assert!(first.succeeded().contains(&format!("created all tables at revision {HEAD}")), "{first:#?}");
    let second = sync();
    assert!(second.succeeded().contains(&format!("at revision {HEAD}, nothing to do")), "{second:#?}");
    let version = process::run(MANAGE, &config, &["db", "version"]);
    assert_eq!(version.succeeded(), format!("{HEAD}\n"));
    let check = process::run(STATUS, &config, &["upgrade", "check"]);
    assert!(check.succeeded().contains("| Result: Success"), "{check:#?}");
}

fn show_counts_rows(scratch: &Scratch, database: &Database) {
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    {
        let service = Service::start(scratch, database.url());
        for id in ["node-1", "node-2"] {
            let body = format!(r#"{{"client_id": "{id}", "hostname": "{id}"}}"#);
            assert_eq!(service.request("POST", "/v2/p1/clients", &body).0, 201);
        }
        assert_eq!(service.request("DELETE", "/v2/p1/clients/node-1", "").0, 204);
        service.terminate();
        assert_eq!(service.exit_code(), Some(0));
    }
    let done = process::run(MANAGE, &config, &["db", "show"]);
    let show = done.succeeded();
    let mut lines = show.lines();
    assert_eq!(lines.next(), Some(format!("database: {}", database.shown()).as_str()));
    assert_eq!(lines.next(), Some(format!("revision: {HEAD} (head)").as_str()));
    assert_eq!(
        lines.next().unwrap().split_whitespace().collect::<Vec<_>>(),
        ["table", "live", "rows", "deleted"]
    );
    let counts: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    for expected in
        [["clients", "1", "1"], ["jobs", "0", "0"], ["backups", "0", "0"], ["job_actions", "0", "0"]]
    {
        assert!(counts.iter().any(|row| row == &expected), "no {expected:?} in {show}");
    }
}

fn the_service_serves_and_stops(scratch: &Scratch, database: &Database) {
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    let service = Service::start(scratch, database.url());
    let (status, body) = service.request("GET", "/healthcheck", "");
    assert_eq!((status, body.as_str()), (200, "OK"));
    assert_eq!(service.request("GET", "/", "").0, 300);
    let (status, body) = service.request("GET", "/v2/p1/jobs/", "");
    assert_eq!((status, body.as_str()), (200, r#"{"jobs":[]}"#));
    // An open idle connection must not delay the shutdown.
    let mut idle = service.connect();
    idle.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();
    service.terminate();
    let log = {
        let path = scratch.path().join("service.log");
        assert_eq!(service.exit_code(), Some(0));
        std::fs::read_to_string(path).unwrap()
    };
    assert!(log.contains("INFO freezer_api.manage.serve [-] stopping"), "{log}");
}

fn a_request_under_way_is_answered_before_the_end(scratch: &Scratch, database: &Database) {
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    let service = Service::start(scratch, database.url());
    let body = r#"{"client_id": "node-1", "hostname": "node-1"}"#;
    let mut stream = service.connect();
    let head = format!(
        "POST /v2/p1/clients HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // When the service asks for the body, it has begun to handle the request.
    let mut answer = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    answer.read_line(&mut line).unwrap();

    service.terminate();
    process::wait_for("nobody is let in any more", || TcpStream::connect(service.address()).err());
    stream.write_all(body.as_bytes()).unwrap();
    let mut rest = String::new();
    answer.read_to_string(&mut rest).unwrap();
    let (status, body) = process::parse(&rest);
    assert_eq!((status, body.as_str()), (201, r#"{"client_id":"node-1"}"#));
    assert_eq!(service.exit_code(), Some(0));

    // The acknowledged documents are stored.
    let show = process::run(MANAGE, &config, &["db", "show"]);
    let clients = show.succeeded().lines().find(|line| line.starts_with("clients")).unwrap();
    assert_eq!(clients.split_whitespace().collect::<Vec<_>>(), ["clients", "1", "0"]);
}

#[test]
fn errors_name_an_unreachable_database_without_its_password() {
    let scratch = Scratch::new();
    let closed = process::free_port();
    let url = format!("mysql+pymysql://freezer:s3cr3t@127.0.0.1:{closed}/freezer");
    let config = scratch.write("f.conf", &process::config(process::free_port(), &url));
    let place = format!("mysql://freezer@127.0.0.1:{closed}/freezer");
    for what in ["sync", "show", "version"] {
        let done = process::run(MANAGE, &config, &["db", what]);
        done.refused(1, &["not available", &place, "Connection refused"]).without("s3cr3t");
    }
    process::run(API, &config, &[]).refused(1, &["not available", &place]).without("s3cr3t");
    let done = process::run(STATUS, &config, &["upgrade", "check"]);
    assert_eq!(done.without("s3cr3t").code, Some(2), "{done:#?}");
    assert!(done.stdout.contains("cannot be checked") && done.stdout.contains(&place), "{done:#?}");
}

#[test]
fn a_wrong_password_is_not_printed() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    let url = database.url_with_password("s3cr3t");
    let config = scratch.write("f.conf", &process::config(process::free_port(), &url));
    for what in ["sync", "show", "version"] {
        process::run(MANAGE, &config, &["db", what]).refused(1, &["Access denied"]).without("s3cr3t");
    }
}

#[test]
fn a_rejected_login_ends_the_start_at_once() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    // If the service took this error for an outage, it would retry forever, and the test would time out.
    let patient =
        |url: &str| process::config(process::free_port(), url).replace("max_retries = 0", "max_retries = -1");
    let shown = database.shown();
    let (server, name) = shown.rsplit_once('/').unwrap();
    for (url, words) in [
        (
            database.url_with_password("s3cr3t"),
            [shown.as_str(), "1045", "check user and password in [database] connection"],
        ),
        (
            database.url().replace(name, "freezer_process_none"),
            [&format!("{server}/freezer_process_none"), "1049", "there is no such database: create it"],
        ),
    ] {
        let config = scratch.write("f.conf", &patient(&url));
        for (program, arguments) in [(API, &[][..]), (MANAGE, &["db", "sync"])] {
            let done = process::run(program, &config, arguments);
            done.refused(1, &words).refused(1, &["refused the connection"]).without("s3cr3t");
            assert!(!done.stderr.contains("not available"), "{done:#?}");
        }
    }
    // This user may log in, but must not use the database.
    let user = format!("fz_{}", std::process::id());
    database.run(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 's3cr3t'"));
    let config = scratch.write("f.conf", &patient(&database.url_of(&user, "s3cr3t")));
    let done = process::run(API, &config, &[]);
    database.run(&format!("DROP USER '{user}'@'%'"));
    done.refused(1, &["1044", "grant the user of [database] connection"]).without("s3cr3t");
}

#[test]
fn an_unknown_revision_is_rejected_and_not_changed() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    database.run("UPDATE alembic_version SET version_num = 'fedcba987654'");
    let words = ["at revision fedcba987654, which this release does not know", HEAD];
    process::run(MANAGE, &config, &["db", "sync"]).refused(1, &words);
    process::run(API, &config, &[]).refused(1, &words);
    assert_eq!(process::run(MANAGE, &config, &["db", "version"]).succeeded(), "fedcba987654\n");
    let show = process::run(MANAGE, &config, &["db", "show"]);
    assert!(show.succeeded().contains(&format!("revision: fedcba987654 (head is {HEAD})")), "{show:#?}");
    let check = process::run(STATUS, &config, &["upgrade", "check"]);
    assert_eq!(check.code, Some(2), "{check:#?}");
    assert!(check.stdout.contains(words[0]), "{check:#?}");
}

#[test]
fn an_invalid_url_is_explained() {
    let scratch = Scratch::new();
    for (url, word) in [
        ("postgresql://freezer:s3cr3t@127.0.0.1/freezer", r#"the engine "postgresql" is not supported"#),
        ("mysql+pymysql://freezer:s3cr3t@127.0.0.1:99999/freezer", "the port is not a number"),
        ("mysql+pymysql://freezer:s3cr3t@127.0.0.1", "the URL has no database name"),
        ("mysql+pymysql://127.0.0.1/freezer", "the URL has no user name"),
        ("sqlite://", "in memory"),
        ("freezer", "not a URL"),
    ] {
        let config = scratch.write("f.conf", &process::config(process::free_port(), url));
        for program in [MANAGE, API] {
            let arguments: &[&str] = if program == MANAGE { &["db", "sync"] } else { &[] };
            let done = process::run(program, &config, arguments);
            done.refused(1, &["[database] connection", word]).without("s3cr3t");
        }
        let status = process::run(STATUS, &config, &["upgrade", "check", "--json"]);
        assert_eq!(status.without("s3cr3t").code, Some(2), "{status:#?}");
        assert!(status.stdout.contains(&word.replace('"', "\\\"")), "{status:#?}");
    }
}

#[test]
fn elasticsearch_is_rejected() {
    let scratch = Scratch::new();
    let text = process::config(process::free_port(), "sqlite:////nowhere.db");
    for storage in ["backend = elasticsearch", "driver = elasticsearch"] {
        let both = "backend = sqlalchemy\ndriver = sqlalchemy";
        let config = scratch.write("f.conf", &text.replace(both, storage));
        let words =
            [&format!("[storage] {storage}"), "set [storage] driver = sqlalchemy", "[database] connection"];
        process::run(MANAGE, &config, &["db", "sync"]).refused(1, &words);
        process::run(API, &config, &[]).refused(1, &words);
    }
}

#[test]
fn all_invalid_values_are_reported_with_file_and_line() {
    let scratch = Scratch::new();
    let text = process::config(20_000, "sqlite:////nowhere.db")
        .replace("bind_port = 20000", "bind_port = many")
        .replace("max_retries = 0", "max_pool_size = none");
    let line = |word: &str| text.lines().position(|line| line.contains(word)).unwrap() + 1;
    let config = scratch.write("f.conf", &text);
    let file = config.display();
    let port = format!("{file}:{}: [DEFAULT] bind_port = many", line("many"));
    let pool = format!("{file}:{}: [database] max_pool_size = none", line("none"));
    process::run(API, &config, &[]).refused(1, &[&port, &pool]);
    process::run(MANAGE, &config, &["db", "sync"]).refused(1, &[&port, &pool]);
}

#[test]
fn missing_and_malformed_files_are_named() {
    let scratch = Scratch::new();
    let missing = scratch.path().join("missing.conf");
    process::run(MANAGE, &missing, &["db", "sync"]).refused(1, &[&missing.display().to_string()]);
    let config = scratch.write("f.conf", "[DEFAULT]\nbind_port = 9090\nno assignment here\n");
    process::run(API, &config, &[]).refused(1, &[&format!("{}:3", config.display()), "name = value"]);
}

#[test]
fn the_environment_has_precedence_over_the_file() {
    let scratch = Scratch::new();
    let config = scratch.write("f.conf", &process::config(process::free_port(), "postgresql://u:p@h/f"));
    let mut sync = process::command(MANAGE);
    let url = format!("sqlite:///{}", scratch.path().join("other.db").display());
    sync.arg("--config-file").arg(config).args(["db", "sync"]).env("OS_DATABASE__CONNECTION", &url);
    let done = process::finish(sync);
    assert!(done.succeeded().contains(&format!("{url}: created all tables")), "{done:#?}");
}

#[test]
fn noauth_is_only_accepted_on_loopback_addresses() {
    let scratch = Scratch::new();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    let text = process::config(process::free_port(), database.url());
    for host in ["0.0.0.0", "::"] {
        let bind = format!("bind_host = {host}");
        let config = scratch.write("f.conf", &text.replace("bind_host = 127.0.0.1", &bind));
        process::run(MANAGE, &config, &["db", "sync"]).succeeded();
        let words = ["auth_strategy = noauth", "loopback addresses", "bind_host = 127.0.0.1"];
        process::run(API, &config, &[]).refused(1, &words);
    }
}

#[test]
fn a_port_in_use_is_named() {
    let scratch = Scratch::new();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    let port = process::free_port();
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let config = scratch.write("f.conf", &process::config(port, database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    let words = [format!("bind_port = {port}"), "in use".to_owned()];
    process::run(API, &config, &[]).refused(1, &[&words[0], &words[1]]);
}

#[test]
fn dev_only_needs_a_directory() {
    let scratch = Scratch::new();
    let mut start = process::command(API);
    start.arg("--dev").current_dir(scratch.path());
    let service = match Service::spawn(start, 9090, &scratch) {
        Ok(service) => service,
        Err(log) => {
            // Port 9090 may be in use on this machine. In this case, the log must say so.
            assert!(log.contains("bind_port 9090") && log.contains("in use"), "{log}");
            println!("skipped in part: port 9090 is taken");
            return;
        }
    };
    let hints = service.log();
    assert!(scratch.path().join("freezer-dev.db").exists());
    assert_eq!(service.request("GET", "/healthcheck", "").0, 200);
    // Every command in the hints must work without changes.
    let commands: Vec<&str> = hints.lines().filter_map(|line| line.strip_prefix("  curl ")).collect();
    assert_eq!(commands.len(), 4, "{hints}");
    for command in commands {
        let (target, body) = command.split_once(" -d ").unwrap_or((command, ""));
        let path = target.split_once("127.0.0.1:9090").unwrap().1;
        let method = if target.starts_with("-X POST") { "POST" } else { "GET" };
        let (status, answer) = service.request(method, path, body.trim_matches('\''));
        let expected = if method == "POST" {
            201
        } else if path == "/" {
            300
        } else {
            200
        };
        assert_eq!(status, expected, "{command}: {answer}");
    }
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
}

#[test]
fn dev_rejects_a_configuration() {
    let scratch = Scratch::new();
    let config = scratch.write("f.conf", "");
    process::run(API, &config, &["--dev"]).refused(2, &["--dev", "cannot be used with", "--config-file"]);
}

#[test]
fn usage_errors_exit_with_2() {
    for (program, arguments) in
        [(MANAGE, &["db", "frobnicate"][..]), (MANAGE, &[]), (STATUS, &["upgrade"]), (API, &["--frobnicate"])]
    {
        let mut command = process::command(program);
        command.args(arguments);
        process::finish(command).refused(2, &["Usage:"]);
    }
}
