//! Pipes that work: the configuration from another program, and the log to one. Reloads wait for no other pipe.

use std::fs::{self, File};
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
    let port = free_port();
    let config = files.configuration("noauth\n", "", port);
    let script = format!("exec $0 --config-file <(cat {})", config.display());
    let service = Service::spawn(shell(API, &script), port, &files.scratch).unwrap();
    service.signal("HUP");
    wait_for("the error", || service.log().contains("the configuration was not reloaded").then_some(()));
    assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 200);
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
