//! Pipes that work: the configuration from another program, and the log to one. Reloads wait for no other pipe.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::Instant;

use crate::process::{API, MANAGE, STATUS, Service, command, free_port, wait_for};
use crate::special_files::{FIFO, Files, HELD, KINDS, LIMIT, create_tables, ends, fifo, with};

/// Returns a shell command in which `$0` is the program.
fn shell(program: &str, script: &str) -> Command {
    let mut command = command("bash");
    command.args(["-c", script, program]);
    command
}

#[test]
fn a_pipe_with_the_configuration_is_read_to_its_end() {
    let files = Files::new();
    create_tables(&files);
    let config = files.configuration("noauth\n", "", free_port());
    let config = config.display();
    for source in [
        format!("--config-file <(cat {config})"),
        format!("--config-file <(sleep 1; head -n 3 {config}; sleep 1; tail -n +4 {config})"),
        format!("--config-file <(cat {config}) --config-file <(printf '[DEFAULT]\\ndebug = true\\n')"),
        format!("--config-file <(true) --config-file {config}"),
        format!("--config-file /dev/null --config-file {config}"),
        format!("--config-file /dev/stdin < {config}"),
    ] {
        let check = ends(shell(MANAGE, &format!("exec $0 config check {source}")));
        assert!(matches!(check.code, Some(0 | 1)), "{source}: {check:#?}");
        let upgrade = ends(shell(STATUS, &format!("exec $0 upgrade check {source}")));
        assert!(upgrade.succeeded().contains("| Result: Success"), "{source}: {upgrade:#?}");
        assert!(!ends(shell(MANAGE, &format!("exec $0 db version {source}"))).succeeded().is_empty());
    }
    let piped = ends(shell(MANAGE, &format!("cat {config} | $0 db version --config-file /dev/stdin")));
    assert!(!piped.succeeded().is_empty());
    // A named pipe whose program starts later.
    let late = files.at("late");
    fifo(&late);
    let script =
        format!("(sleep 1; cat {config} > {0}) & exec $0 db version --config-file {0}", late.display());
    assert!(!ends(shell(MANAGE, &script)).succeeded().is_empty());
}

#[test]
fn the_service_starts_from_a_pipe_and_keeps_its_settings_at_sighup() {
    let files = Files::new();
    create_tables(&files);
    for (arguments, pipe) in [
        ("--config-file <(cat CONFIG)", "/dev/fd/"),
        // Without the pipe, the configuration would still be valid.
        ("--config-file CONFIG --config-file <(printf '[DEFAULT]\\nuse_json = true\\n')", "/dev/fd/"),
        ("--config-file <(printf '[DEFAULT]\\nuse_json = true\\n') --config-file CONFIG", "/dev/fd/"),
        ("--config-file /dev/stdin < <(cat CONFIG)", "/dev/stdin"),
    ] {
        let port = free_port();
        let config = files.configuration("noauth\n", "", port).display().to_string();
        let script = format!("exec $0 {}", arguments.replace("CONFIG", &config));
        let service = Service::spawn(shell(API, &script), port, &files.scratch).unwrap();
        for attempt in 1..3 {
            service.signal("HUP");
            let log = wait_for("the error", || {
                let log = service.log();
                (log.matches("cannot be read again").count() == attempt).then_some(log)
            });
            let line = log.lines().rfind(|line| line.contains("cannot be read again")).unwrap();
            for words in ["the configuration was not reloaded", pipe, "restart the service"] {
                assert!(line.contains(words), "no {words} in {line}");
            }
            assert_eq!(line.starts_with('{'), arguments.contains("use_json"), "{line}");
            assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 200);
        }
        service.terminate();
        assert_eq!(service.exit_code(), Some(0));
    }
    // The content of a file can be read again, also through a descriptor.
    let port = free_port();
    let config = files.configuration("noauth\n", "", port);
    let script = format!("exec $0 --config-file /dev/stdin < {}", config.display());
    let service = Service::spawn(shell(API, &script), port, &files.scratch).unwrap();
    service.signal("HUP");
    wait_for("the reload", || service.log().contains("SIGHUP: reading configuration").then_some(()));
    assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 200);
    assert!(!service.log().contains(" ERROR "), "{}", service.log());
}

#[test]
fn standard_streams_and_pipes_with_a_reader_take_the_log() {
    let files = Files::new();
    create_tables(&files);
    let fifo_with_reader = files.at(HELD).display().to_string();
    for path in ["/dev/stdout", "/dev/stderr", "/dev/null", "/dev/zero", fifo_with_reader.as_str()] {
        let port = free_port();
        let rotation = "log_rotation_type = size\nmax_logfile_size_mb = 1";
        let text = format!("noauth\n[DEFAULT]\nlog_file = {path}\n{rotation}\n");
        let config = files.configuration(&text, "", port);
        let mut check = with(MANAGE, &config, None);
        check.args(["config", "check"]);
        let checked = ends(check);
        assert!(matches!(checked.code, Some(0 | 1)), "{path}: {checked:#?}");
        let service = Service::spawn_silent(with(API, &config, None), port, &files.scratch).unwrap();
        service.signal("HUP");
        assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 200, "{path}");
        if path.starts_with("/dev/std") {
            wait_for("the log", || service.log().contains("listening on").then_some(()));
        }
    }
}

/// The logger of the line of each request.
const ACCESS: &str = " freezer_api.access ";

/// The number of requests whose lines are more than a pipe or a socket holds.
const MANY: usize = 1000;

fn fill_log(service: &Service) {
    for _ in 0..MANY {
        service.request("GET", "/v2/p1/jobs", "");
    }
    assert_eq!(service.request("GET", "/healthcheck", "").0, 200);
}

fn opened_without_waiting(path: &std::path::Path) -> File {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path).unwrap()
}

fn content(reader: &mut File) -> String {
    let mut text = Vec::new();
    // An empty pipe ends the content with an error.
    let _ = reader.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn a_reader_of_the_log_that_stops_reading_does_not_stop_the_service() {
    let files = Files::new();
    create_tables(&files);
    let (port, path) = (free_port(), files.at("log-pipe"));
    fifo(&path);
    let mut reader = opened_without_waiting(&path);
    let text = format!("noauth\n[DEFAULT]\ndebug = true\nlog_file = {}\n", path.display());
    let config = files.configuration(&text, "", port);
    let service = Service::spawn_silent(with(API, &config, None), port, &files.scratch).unwrap();
    let begun = Instant::now();
    fill_log(&service);
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    // The log on standard error has the report and the lines that the pipe does not take.
    let said = service.log();
    assert_eq!(said.matches("log-pipe: its reader does not read; until").count(), 1, "{said}");
    assert!(said.contains(ACCESS), "{said}");
    assert!(content(&mut reader).ends_with('\n'));
    service.request("GET", "/v2/p1/jobs", "");
    let after = wait_for("the number", || {
        let text = content(&mut reader);
        text.contains("lines missing before this line: ").then_some(text)
    });
    let (_, number) = after.split_once("lines missing before this line: ").unwrap();
    assert!(number.split(',').next().unwrap().parse::<u64>().unwrap() > 100, "{after}");
    fill_log(&service);
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
}

/// Returns the status of an answer within the time limit.
fn get(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
fn standard_error_that_is_not_read_does_not_stop_the_service() {
    let files = Files::new();
    create_tables(&files);
    let pipe = || {
        let (reader, writer) = std::io::pipe().unwrap();
        (std::os::fd::OwnedFd::from(reader), std::os::fd::OwnedFd::from(writer))
    };
    let socket = || {
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        (std::os::fd::OwnedFd::from(reader), std::os::fd::OwnedFd::from(writer))
    };
    for (reader, writer) in [pipe(), socket()] {
        let port = free_port();
        let config = files.configuration("noauth\n[DEFAULT]\ndebug = true\n", "", port);
        let mut child =
            with(API, &config, None).stderr(writer).stdout(std::process::Stdio::null()).spawn().unwrap();
        let get = |path: &str| get(port, path);
        wait_for("the start", || (get("/healthcheck") == Some(200)).then_some(()));
        for _ in 0..MANY {
            assert!(get("/v2/p1/jobs").is_some());
        }
        assert_eq!(get("/healthcheck"), Some(200));
        Command::new("kill").arg(child.id().to_string()).status().unwrap();
        let ended = wait_for("the end", || child.try_wait().unwrap());
        assert_eq!(ended.code(), Some(0));
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).unwrap();
        assert!(text.matches(ACCESS).count() < MANY, "the reader was too slow for some lines");
        assert!(text.ends_with('\n'), "{text}");
    }
}

#[test]
fn a_log_that_takes_no_lines_is_reported_once_for_each_outage() {
    let files = Files::new();
    create_tables(&files);
    let (port, path) = (free_port(), files.at("log-pipe"));
    fifo(&path);
    let reader = opened_without_waiting(&path);
    let text = format!("noauth\n[DEFAULT]\ndebug = true\nlog_file = {}\n", path.display());
    let config = files.configuration(&text, "", port);
    let service = Service::spawn_silent(with(API, &config, None), port, &files.scratch).unwrap();
    drop(reader);
    for _ in 0..3 {
        service.request("GET", "/v2/p1/jobs", "");
    }
    let said = wait_for("the lines", || {
        let said = service.log();
        (said.matches(ACCESS).count() >= 3).then_some(said)
    });
    assert_eq!(said.matches("log-pipe: Broken pipe").count(), 1, "{said}");
    let mut reader = opened_without_waiting(&path);
    service.request("GET", "/v2/p1/jobs", "");
    wait_for("the number", || {
        content(&mut reader).contains("lines missing before this line: ").then_some(())
    });
    drop(reader);
    service.request("GET", "/v2/p1/jobs", "");
    wait_for("the second report", || {
        (service.log().matches("log-pipe: Broken pipe").count() == 2).then_some(())
    });
    drop(service);
    let port = free_port();
    let config = files.configuration("noauth\n[DEFAULT]\nlog_file = /dev/full\n", "", port);
    let service = Service::spawn_silent(with(API, &config, None), port, &files.scratch).unwrap();
    let said = wait_for("the lines", || {
        let said = service.log();
        said.contains("listening on").then_some(said)
    });
    assert_eq!(said.matches("[DEFAULT] log_file: /dev/full: No space left").count(), 1, "{said}");
}

#[test]
fn a_socket_as_standard_output_is_explained() {
    let files = Files::new();
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let config = files.configuration("noauth\n[DEFAULT]\nlog_file = /dev/stdout\n", "", free_port());
    // The shell reads the error from the process, whose standard output is the socket.
    let log = files.at("error");
    let mut start = command(API);
    start.arg("--config-file").arg(&config).stderr(File::create(&log).unwrap());
    start.stdout(std::os::fd::OwnedFd::from(one));
    let mut child = start.spawn().unwrap();
    let ended = wait_for("the end", || child.try_wait().unwrap());
    let said = fs::read_to_string(log).unwrap();
    assert_eq!(ended.code(), Some(1), "{said}");
    for words in [
        "[DEFAULT] log_file: /dev/stdout: it is a socket",
        "leave the option empty to write to standard error",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_reload_does_not_wait_for_special_files() {
    let files = Files::new();
    create_tables(&files);
    let port = free_port();
    let log = files.at("a.log");
    let text = format!("noauth\n[DEFAULT]\nuse_stderr = true\nlog_file = {}\n", log.display());
    let config = files.configuration(&text, "", port);
    let service = Service::spawn(with(API, &config, None), port, &files.scratch).unwrap();
    let mut errors = 0;
    let mut hang_up = |error: &str, named: &str| {
        errors += 1;
        service.signal("HUP");
        let begun = Instant::now();
        // Requests are answered in the meantime.
        let log = wait_for("the error", || {
            assert_eq!(service.request("GET", "/healthcheck", "").0, 200);
            assert!(begun.elapsed() < LIMIT, "{}", service.log());
            let log = service.log();
            (log.matches(" ERROR ").count() == errors).then_some(log)
        });
        let line = log.lines().rfind(|line| line.contains(" ERROR ")).unwrap();
        assert!(line.contains(error) && line.contains(named), "{line}");
        assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 200);
    };
    let good = fs::read_to_string(&config).unwrap();
    for kind in KINDS {
        let path = files.at(kind);
        fs::write(&config, format!("{good}log_config_append = {}\n", path.display())).unwrap();
        hang_up("the configuration was not reloaded", "[DEFAULT] log_config_append");
    }
    fs::write(&config, good.replace("a.log", FIFO)).unwrap();
    hang_up("the logging was not changed", "[DEFAULT] log_file");
    fs::write(&config, &good).unwrap();
    // The log file is replaced by a pipe while the service runs.
    fs::rename(&log, files.at("a.log.1")).unwrap();
    fifo(&log);
    hang_up("the logging was not changed", "no program reads it");
    fs::remove_file(&log).unwrap();
    fs::remove_file(&config).unwrap();
    fifo(&config);
    hang_up("the configuration was not reloaded", "f.conf: it is a named pipe (FIFO)");
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
}
