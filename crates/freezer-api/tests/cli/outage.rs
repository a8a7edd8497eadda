//! The log lines about an outage of the database: one line when it begins, and one when it ends. If a busy
//! database does not finish requests in time, the log has one line for each reason.

use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::process::{self, Database, Engine, MANAGE, Scratch, Service, wait_for};

/// Forwards connections to a server while it is switched on.
#[derive(Clone)]
pub struct Line(Arc<Mutex<State>>);

pub struct State {
    is_on: bool,
    open: Vec<TcpStream>,
}

impl Line {
    pub fn new(port: u16, server: String) -> Line {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let line = Line(Arc::new(Mutex::new(State { is_on: true, open: Vec::new() })));
        let state = line.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let mut state = state.0.lock().unwrap();
                let Ok(server) = TcpStream::connect(&server) else { continue };
                if !state.is_on {
                    continue;
                }
                for (mut from, mut to) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server.try_clone().unwrap(), client.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                state.open.extend([client, server]);
            }
        });
        line
    }

    pub fn switch(&self, is_on: bool) {
        let mut state = self.0.lock().unwrap();
        state.is_on = is_on;
        for stream in state.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn an_outage_of_the_database_is_logged_in_two_lines() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    let port = process::free_port();
    let line = Line::new(port, database.server_address());
    let url = database.url_at_port(port);
    let config = |port| process::config(port, &url) + "[api]\nrequest_timeout = 3\n";
    let service = Service::start_with(&scratch, config, |_| ());
    let list = || service.request("GET", "/v2/p1/sessions", "").0;
    wait_for("the service serves", || (list() == 200).then_some(()));
    let count = |words: &str| service.log().matches(words).count();
    for number in 1..=2 {
        line.switch(false);
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..3).map(|_| scope.spawn(list)).collect();
            for asked in asked {
                assert_eq!(asked.join().unwrap(), 503);
            }
        });
        // Connections that open and close again while the database restarts are no end.
        for _ in 0..2 {
            line.switch(true);
            wait_for("the service serves for a moment", || (list() == 200).then_some(()));
            line.switch(false);
            wait_for("the service notices the outage", || (list() == 503).then_some(()));
        }
        line.switch(true);
        wait_for("the service serves again", || (list() == 200).then_some(()));
        wait_for("the end is logged", || (count("is available again after ") == number).then_some(()));
    }
    let log = service.log();
    let found = |words: &str| log.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
    let began = found("is not available (the end of this outage will be logged)");
    let ended = found("is available again after ");
    assert_eq!((began.len(), ended.len()), (2, 2), "{log}");
    assert!(
        began.iter().all(|line| line.contains(" ERROR ") && line.contains(&database.shown()[..20])),
        "{log}"
    );
    for line in ended {
        let affected = line.rsplit(": ").next().unwrap().parse::<u64>().unwrap();
        assert!(affected >= 3 && line.contains(" WARNING "), "{line}");
    }
    assert_eq!(found(" ERROR ").len(), 2, "requests that fail meanwhile are not logged as well: {log}");
}

/// Clients wait for a connection, and all of them are served.
#[test]
fn requests_that_wait_in_an_outage_are_counted() {
    const CLIENTS: usize = 24;
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    let port = process::free_port();
    let line = Line::new(port, database.server_address());
    let service = Service::start(&scratch, &database.url_at_port(port));
    let list = |kind: &str| service.request("GET", &format!("/v2/p1/{kind}"), "").0;
    let ended = || {
        let log = service.log();
        let lines: Vec<String> = log
            .lines()
            .filter(|line| line.contains("is available again after "))
            .map(str::to_owned)
            .collect();
        lines
    };
    // Sessions are listed one by one, and polls of jobs in batches.
    for (number, kind) in ["sessions", "jobs"].into_iter().enumerate() {
        wait_for("the service serves", || (list(kind) == 200).then_some(()));
        line.switch(false);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| list(kind))).collect();
            std::thread::sleep(Duration::from_secs(4));
            line.switch(true);
            for asked in asked {
                assert_eq!(asked.join().unwrap(), 200, "{kind}");
            }
        });
        let waited = begun.elapsed().as_secs_f64();
        let end = wait_for("the end is logged", || ended().get(number).cloned());
        let (_, end) = end.split_once("available again after ").unwrap();
        let (seconds, affected) = end.split_once(" s; affected reads and writes: ").unwrap();
        assert_eq!(affected.parse::<usize>().unwrap(), CLIENTS, "{kind}: {end}");
        let seconds = seconds.parse::<f64>().unwrap();
        assert!(seconds > 3.0 && seconds <= waited + 0.1, "{kind}: {end}, but {waited:.1} s passed");
    }
}

/// A trigger simulates a server that is too slow, or whose account lacks a privilege. Then it holds the only
/// connection.
#[test]
fn requests_that_are_refused_without_an_outage_are_one_line_for_each_reason() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    let config = |port| {
        let pool = "[database]\nmax_pool_size = 1\nmax_overflow = 0\npool_timeout = 0\n";
        process::config(port, database.url()).replace("[database]\n", pool)
    };
    let file = scratch.write("f.conf", &config(process::free_port()));
    process::run(MANAGE, &file, &["db", "sync"]).succeeded();
    let service = Service::start_with(&scratch, config, |_| ());
    let list = || service.request("GET", "/v2/p1/sessions", "");
    let post = || service.request("POST", "/v2/p1/sessions", r#"{"description": "d", "schedule": {}}"#);
    let fault = |what: &str| {
        database
            .run(&format!("CREATE OR REPLACE TRIGGER fault BEFORE INSERT ON sessions FOR EACH ROW {what}"));
    };
    wait_for("the service serves", || (list().0 == 200).then_some(()));
    let warned = || {
        let log = service.log();
        let lines: Vec<String> =
            log.lines().filter(|line| line.contains("answered with 503")).map(str::to_owned).collect();
        lines
    };
    let signal =
        |code: u16| format!("SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'a fault'");
    let slow = "did not finish this request within its time limit";
    for (number, (code, text, words)) in [
        (1969, slow, "the statement took too long"),
        (1142, "The database is temporarily unavailable.", "lacks a privilege"),
    ]
    .into_iter()
    .enumerate()
    {
        fault(&signal(code));
        for _ in 0..4 {
            let (status, answer) = post();
            assert!(status == 503 && answer.contains(text), "{code}: {status} {answer}");
        }
        let warned = warned();
        assert_eq!(warned.len(), number + 1, "{code}: {warned:?}");
        let line = &warned[number];
        assert!(line.contains(" WARNING ") && line.contains(words), "{code}: {line}");
        assert!(line.contains("sessions.create"), "the name of the statement: {line}");
    }
    fault("DO SLEEP(3)");
    std::thread::scope(|scope| {
        // It has no connection if a list is using it at this moment.
        scope.spawn(|| wait_for("a session is created", || (post().0 == 201).then_some(())));
        let refused =
            wait_for("the connection is in use", || Some(list()).filter(|(status, _)| *status == 503));
        assert!(refused.1.contains("All database connections of the service were in use"), "{refused:?}");
        assert_eq!(list().0, 503);
    });
    let warned = warned();
    assert!(warned.len() == 3 && warned[2].contains("no connection became free"), "{warned:?}");
    assert!(warned[2].contains("sessions."), "the name of the statement: {warned:?}");
    assert!(!service.log().contains(" ERROR freezer_"), "{}", service.log());
}

/// A trigger simulates a server whose disk is full, or whose tables are read-only. The server still answers reads.
#[test]
fn an_outage_of_the_storage_is_logged_in_two_lines_in_spite_of_reads() {
    for code in [1021, 1036, 1114] {
        let scratch = Scratch::new();
        let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
        let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
        process::run(MANAGE, &config, &["db", "sync"]).succeeded();
        let service = Service::start(&scratch, database.url());
        let list = || service.request("GET", "/v2/p1/backups", "");
        let post = |name: &str| {
            let body = format!(r#"{{"backup_name": "{name}", "container": "c", "hostname": "h"}}"#);
            service.request("POST", "/v2/p1/backups", &body)
        };
        wait_for("the service serves", || (list().0 == 200).then_some(()));
        assert_eq!(post("before").0, 201);
        database.run(&format!(
            "CREATE TRIGGER fault BEFORE INSERT ON backups FOR EACH ROW SIGNAL SQLSTATE 'HY000' \
             SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'a fault'"
        ));
        for at in 0..8 {
            let (status, text) = post(&format!("lost-{at}"));
            assert!(status == 503 && text.contains("this request has changed nothing"), "{status} {text}");
            // Neither a read nor a change that finds nothing ends the outage.
            assert_eq!(list().0, 200);
            assert_eq!(service.request("DELETE", "/v2/p1/backups/none", "").0, 404);
            assert_eq!(service.request("PATCH", "/v2/p1/jobs/none", "{}").0, 404);
        }
        database.run("DROP TRIGGER fault");
        let (log, mut after) = (|| service.log(), 0);
        wait_for("a change ends the outage", || {
            assert_eq!(post(&format!("after-{after}")).0, 201);
            after += 1;
            log().contains("is available again after ").then_some(())
        });
        let log = log();
        let found = |words: &str| log.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
        assert_eq!(
            found("is not available (the end of this outage will be logged)").len(),
            1,
            "{code}: {log}"
        );
        let ended = found("is available again after ");
        assert!(ended.len() == 1 && ended[0].ends_with("affected reads and writes: 8"), "{code}: {log}");
        let stored = list().1;
        assert!(!stored.contains("lost-") && stored.contains("before"), "{stored}");
    }
}
