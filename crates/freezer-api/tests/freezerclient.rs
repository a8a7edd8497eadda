//! Runs the released Python client against the service as a process. `tests/python/freezerclient_roundtrip.py` calls
//! python-freezerclient for every resource and checks the answers.
//!
//! The tests run if `FREEZER_TEST_PYTHON` is the path of a Python interpreter with the packages in
//! `tests/python/requirements.txt`. They also use MariaDB if `FREEZER_TEST_MYSQL_URL` is set.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod process;

use std::process::Command;

use process::{Database, Engine, MANAGE, Scratch, Service};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/freezerclient_roundtrip.py");

#[test]
fn on_sqlite() {
    round_trip(Engine::Sqlite);
}

#[test]
fn on_mysql() {
    round_trip(Engine::MySql);
}

fn round_trip(engine: Engine) {
    let Some(python) = std::env::var_os("FREEZER_TEST_PYTHON").filter(|python| !python.is_empty()) else {
        println!("skipped: FREEZER_TEST_PYTHON is not set");
        return;
    };
    let scratch = Scratch::new();
    let Some(database) = Database::create(engine, &scratch) else { return };
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    let service = Service::start(&scratch, database.url());
    let mut command = Command::new(python);
    command.arg("-B").arg(SCRIPT).arg(service.url());
    // The client uses a proxy of the environment even for the loopback address.
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let done = process::finish(command);
    assert_eq!(
        done.code,
        Some(0),
        "{}\n{}\nlog of the service:\n{}",
        done.stdout,
        done.stderr,
        service.log()
    );
    // unittest writes the number of tests to standard error. A run without tests is a failure.
    assert!(done.stderr.contains("\nOK\n") && !done.stderr.contains("Ran 0 tests"), "{done:#?}");
    print!("{}", done.stderr);
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
}
