//! A low limit of open files, and pools without a useful limit: clients must still be able to connect, and the log must
//! report reduced numbers.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use crate::process::{self, API, Database, Engine, MANAGE, Scratch, Service};

/// Returns a command for a program. `files` limits the number of its open files.
fn limited(files: Option<u32>, program: &str, config: &Path) -> Command {
    let mut command = match files {
        None => process::command(program),
        Some(files) => {
            let mut shell = process::command("sh");
            shell.args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh", program]);
            shell
        }
    };
    command.arg("--config-file").arg(config);
    command
}

struct Case {
    files: Option<u32>,
    /// The lines of `[database]`.
    options: &'static str,
    /// The beginnings of the warnings about reduced numbers. `F` stands for the file.
    warnings: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        files: Some(256),
        options: "",
        warnings: &[
            "[database] max_overflow: the limit of 256 open files allows 20 connections to the database, not 55",
            "[api] max_connections: the limit of 256 open files allows 120 connections at a time, not 8192",
        ],
    },
    Case {
        files: Some(1_024),
        options: "",
        warnings: &["[api] max_connections: the limit of 1024 open files allows 722 connections"],
    },
    Case {
        files: Some(1_024),
        options: "max_pool_size = 600",
        warnings: &[
            "F:13: [database] max_pool_size: the limit of 1024 open files allows 104 connections to the database, not 650",
            "[api] max_connections: the limit of 1024 open files allows 624 connections",
        ],
    },
    Case {
        files: Some(1_024),
        options: "max_overflow = 25000",
        warnings: &[
            "F:13: [database] max_overflow = 25000: a number above 1000 is read as no limit (-1), which means 100 connections",
            "F:13: [database] max_overflow: the limit of 1024 open files allows 104 connections to the database, not 105",
            "[api] max_connections: the limit of 1024 open files allows 624 connections",
        ],
    },
    Case {
        files: None,
        options: "max_overflow = 65535",
        warnings: &["F:13: [database] max_overflow = 65535: a number above 1000 is read as no limit"],
    },
    Case {
        files: None,
        options: "max_pool_size = 1000000\nmax_overflow = 1000000",
        warnings: &["F:13: [database] max_pool_size = 1000000: a number above 1000 is read as no limit (0)"],
    },
    Case { files: None, options: "max_pool_size = 0\nmax_overflow = -1", warnings: &[] },
];

/// Number of connections that are open at the same time.
const CLIENTS: usize = 100;

#[test]
fn a_low_limit_of_open_files_and_a_large_pool_leave_files_for_clients() {
    let scratch = Scratch::new();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    for (number, Case { files, options, warnings }) in CASES.iter().enumerate() {
        let port = process::free_port();
        let text = process::config(port, database.url()).replace("max_retries = 0", options);
        let config = scratch.write(&format!("f{number}.conf"), &text);
        process::run(MANAGE, &config, &["db", "sync"]).succeeded();
        let mut check = limited(*files, MANAGE, &config);
        check.args(["config", "check"]);
        let checked = process::finish(check);
        let service = Service::spawn(limited(*files, API, &config), port, &scratch).unwrap();
        let log = service.log();
        let of = |text: &str| {
            text.lines().filter(|line| line.contains("open files") || line.contains("no limit")).count()
        };
        assert_eq!((of(&checked.stdout), of(&log)), (warnings.len(), warnings.len()), "{checked:#?}\n{log}");
        for warning in *warnings {
            let warning = warning.replace("F:", &format!("{}:", config.display()));
            assert!(checked.stdout.contains(&format!("warning  {warning}")), "{warning}\n{checked:#?}");
            assert!(
                log.contains(&format!(" WARNING freezer_api.manage.serve [-] {warning}")),
                "{warning}\n{log}"
            );
        }
        let mut open = Vec::new();
        for client in 0..CLIENTS {
            let mut stream = service.connect();
            stream.write_all(b"GET /v2/p1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            let mut begin = [0; 12];
            stream.read_exact(&mut begin).unwrap();
            assert_eq!(
                &begin,
                b"HTTP/1.1 200",
                "client {client} of {options:?} with {files:?}\n{}",
                service.log()
            );
            open.push(stream);
        }
        assert!(!service.log().contains("connections are in use"), "{}", service.log());
    }
}
