//! Reads the notifications that the service sends to systemd.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::process::supervisor::Supervisor;
use crate::process::{self, Database, Engine, MANAGE, Scratch, Service};
use crate::reload::{start, start_in};

fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1_000).unwrap()
}

/// Sends SIGHUP, and checks the begin and the end of the reload.
fn reloads(service: &Service, systemd: &Supervisor) {
    let before = now();
    service.signal("HUP");
    let begin = systemd.next();
    assert_eq!(begin.keys(), ["RELOADING", "MONOTONIC_USEC"]);
    assert_eq!(begin.get("RELOADING"), Some("1"));
    let reported = begin.number("MONOTONIC_USEC");
    assert!((before..=now()).contains(&reported), "{before} {reported}");
    let end = systemd.next();
    assert_eq!((end.keys(), end.get("READY")), (vec!["READY"], Some("1")));
}

/// Checks the notifications of a service from its start to its stop.
fn follow(systemd: &Supervisor) {
    let scratch = Scratch::new();
    let service = start_in(&scratch, "shutdown_delay = 1\ngraceful_shutdown_timeout = 42\n", "", |command| {
        systemd.supervise(command);
    });
    let starting = systemd.next();
    assert_eq!(starting.keys(), ["STATUS", "EXTEND_TIMEOUT_USEC"]);
    // The check of the database ends after five seconds.
    assert!(starting.number("EXTEND_TIMEOUT_USEC") > 5_000_000, "{starting:?}");
    let serving = systemd.next();
    assert_eq!((serving.keys(), serving.get("STATUS")), (vec!["STATUS"], Some("Serving")));
    let ready = systemd.next();
    assert_eq!((ready.keys(), ready.get("READY")), (vec!["READY"], Some("1")));
    for _ in 0..3 {
        reloads(&service, systemd);
    }
    // A configuration that cannot be read ends the reload, too. Otherwise systemd would wait for its end.
    scratch.write("freezer-api.conf", "[DEFAULT]\nbind_port = x\n");
    reloads(&service, systemd);
    service.terminate();
    let stopping = systemd.next();
    assert_eq!(stopping.get("STOPPING"), Some("1"));
    assert!(stopping.number("EXTEND_TIMEOUT_USEC") > 43_000_000, "{stopping:?}");
    assert!(stopping.get("STATUS").is_some_and(|status| status.starts_with("Stopping")), "{stopping:?}");
    assert_eq!(service.exit_code(), Some(0));
    assert_eq!(systemd.next_within(Duration::from_millis(100)), None);
}

#[test]
fn each_state_is_reported() {
    follow(&Supervisor::new());
}

#[test]
fn each_state_is_reported_to_an_abstract_name() {
    follow(&Supervisor::with_abstract_name());
}

#[test]
fn the_reason_for_waiting_is_reported() {
    let scratch = Scratch::new();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    let systemd = Supervisor::new();
    let config = |port| process::config(port, database.url());
    let service = Service::start_with(&scratch, config, |command| systemd.supervise(command));
    let starting = systemd.next();
    assert!(starting.number("EXTEND_TIMEOUT_USEC") > 5_000_000, "{starting:?}");
    let waiting = systemd.next();
    let mut status = waiting.get("STATUS").unwrap().to_owned();
    if status.contains("has not answered within") {
        status = systemd.next().get("STATUS").unwrap().to_owned();
    }
    assert!(status.starts_with("Waiting: ") && status.contains("freezer-manage db sync"), "{status}");
    // The unit has started, so the time of the start is not extended any more.
    assert_eq!(systemd.next().keys(), ["READY"]);
    reloads(&service, &systemd);
    process::run(MANAGE, &scratch.write("f.conf", &config(process::free_port())), &["db", "sync"])
        .succeeded();
    assert_eq!(systemd.until("STATUS", "Serving").keys(), ["STATUS"]);
    service.terminate();
    assert_eq!(systemd.next().get("STOPPING"), Some("1"));
    assert_eq!(service.exit_code(), Some(0));
}

#[test]
fn a_server_that_does_not_answer_is_reported() {
    let scratch = Scratch::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mysql+pymysql://u:s3cr3t@{}/f", silent.local_addr().unwrap());
    let systemd = Supervisor::new();
    let _service = Service::start_with(
        &scratch,
        |port| process::config(port, &url),
        |command| systemd.supervise(command),
    );
    let begun = Instant::now();
    let limit = Duration::from_micros(systemd.next().number("EXTEND_TIMEOUT_USEC"));
    let waiting = systemd.next();
    let status = waiting.get("STATUS").unwrap();
    assert!(status.starts_with("Waiting: ") && !status.contains("s3cr3t"), "{status}");
    assert_eq!(systemd.next().keys(), ["READY"]);
    assert!(begun.elapsed() < limit, "{:?}", begun.elapsed());
}

#[test]
fn signs_of_life_are_sent_twice_in_each_interval() {
    let scratch = Scratch::new();
    let systemd = Supervisor::new();
    let service = start_in(&scratch, "", "", |command| {
        systemd.supervise(command);
        command.env("WATCHDOG_USEC", "400000");
    });
    systemd.until("READY", "1");
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(systemd.until("WATCHDOG", "1").keys(), ["WATCHDOG"]);
    }
    assert!((Duration::from_millis(1500)..Duration::from_secs(20)).contains(&begun.elapsed()));
    // They stop with the process, also if it only hangs.
    service.signal("STOP");
    while systemd.next_within(Duration::from_millis(600)).is_some() {}
    assert_eq!(systemd.next_within(Duration::from_millis(600)), None);
    service.signal("CONT");
    systemd.until("WATCHDOG", "1");
}

#[test]
fn signs_of_life_that_another_process_must_send_are_not_sent() {
    let scratch = Scratch::new();
    let systemd = Supervisor::new();
    let _service = start_in(&scratch, "", "", |command| {
        systemd.supervise(command);
        command.env("WATCHDOG_USEC", "100000").env("WATCHDOG_PID", "1");
    });
    systemd.until("READY", "1");
    assert_eq!(systemd.next_within(Duration::from_millis(500)), None);
}

#[test]
fn the_service_runs_without_its_service_manager() {
    let scratch = Scratch::new();
    let systemd = Supervisor::new();
    let service = start_in(&scratch, "", "", |command| systemd.supervise(command));
    systemd.until("READY", "1");
    drop(systemd);
    service.signal("HUP");
    let warned = || service.log().contains("could not be sent to systemd").then_some(());
    process::wait_for("a warning", warned);
    assert_eq!(service.request("GET", "/healthcheck", "").0, 200);
    drop(service);
    // Nor does it need one at all.
    let service = start(&Scratch::new(), "", "");
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
}
