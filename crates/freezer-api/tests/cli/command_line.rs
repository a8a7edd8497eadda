//! The command lines of the three programs: the options of freezer-api 19.0.0, their precedence, and the errors for
//! mistyped options.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, API, Database, Done, Engine, MANAGE, STATUS, Scratch, Service};

/// Writes a configuration with which the start fails, but only after the command line was accepted.
fn refused(scratch: &Scratch) -> PathBuf {
    scratch.write("refused.conf", &process::config(process::free_port(), "postgresql://u:p@h/f"))
}

fn run(program: &str, arguments: &[&str]) -> Done {
    let mut command = process::command(program);
    command.args(arguments);
    process::finish(command)
}

/// Runs a program in a directory that the arguments may use.
fn in_directory(program: &str, directory: &Path, arguments: &[&str]) -> Done {
    let mut command = process::command(program);
    command.args(arguments).current_dir(directory);
    process::finish(command)
}

#[test]
fn options_of_the_python_service_are_accepted_by_the_service() {
    let scratch = Scratch::new();
    let config = refused(&scratch);
    let config = config.to_str().unwrap();
    for arguments in [
        &["--bind-host", "127.0.0.1", "--bind-port", "9091"][..],
        &["--bind-host=::1", "--bind-port=9091"],
        &["--bind-h", "127.0.0.1", "--bind-p=9091"],
        &["-d"],
        &["-dd", "--debug", "--debug"],
        &["--debug", "--nodebug"],
        &["--log-file", "a.log", "--log-dir", "."],
        &["--logfile=a.log", "--logdir=."],
        &["--log-f", "a.log", "--log-di", "."],
        &["--log-date-format", "%Y-%m-%d %H:%M:%S"],
        &["--use-syslog", "--nouse-syslog", "--syslog-log-facility", "LOG_LOCAL0"],
        &["--syslog=daemon"],
        &["--use-journal", "--nouse-journal"],
        &["--use-json", "--nouse-json"],
        &["--use-js"],
        &["--watch-log-file", "--nowatch-log-file"],
        &["--bind-port", "1", "--bind-port", "2"],
        &["--config-fi", config],
        &["--config-dir", "."],
    ] {
        let all = [&["--config-file", config], arguments].concat();
        let done = in_directory(API, scratch.path(), &all);
        assert_eq!(done.code, Some(1), "{arguments:?}: {done:#?}");
        assert!(done.stderr.contains("postgresql"), "{arguments:?}: {done:#?}");
    }
}

#[test]
fn the_commands_accept_these_options_before_and_after_their_names() {
    let scratch = Scratch::new();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    let config = config.to_str().unwrap();
    let file = ["--config-file", config];
    for arguments in [
        [&file[..], &["db", "sync"]].concat(),
        [&["db"], &file[..], &["sync"]].concat(),
        [&["db", "sync"], &file[..]].concat(),
        [&file[..], &["--debug", "db", "update"]].concat(),
        [&file[..], &["db", "--nodebug", "sync", "--use-json", "--log-date-format", "%Y"]].concat(),
        [&file[..], &["--log-file", "m.log", "db", "show"]].concat(),
        [&file[..], &["--log-dir=.", "db", "version"]].concat(),
        [&["-d", "--syslog-log-facility", "LOG_USER", "--nouse-journal"], &file[..], &["db", "history"]]
            .concat(),
        [&file[..], &["db", "sync", "head"]].concat(),
        [&file[..], &["db", "sync", "--version", "7a3b9c1d2e4f"]].concat(),
        [&file[..], &["--use-json", "config", "sample"]].concat(),
        [&file[..], &["policy", "list", "--nodebug"]].concat(),
    ] {
        let done = in_directory(MANAGE, scratch.path(), &arguments);
        assert_eq!(done.code, Some(0), "{arguments:?}: {done:#?}");
    }
    // The command line sets the destination of the logs.
    assert!(scratch.path().join("m.log").exists() && scratch.path().join("freezer-manage.log").exists());
    for arguments in
        [[&file[..], &["upgrade", "check"]].concat(), [&["upgrade", "check"], &file[..]].concat()]
    {
        let done = in_directory(STATUS, scratch.path(), &arguments);
        assert_eq!(done.code, Some(0), "{arguments:?}: {done:#?}");
    }
    // If both levels of the command line name files, all of them are read.
    let empty = scratch.write("empty.conf", "");
    for (first, second) in [(config, empty.to_str().unwrap()), (empty.to_str().unwrap(), config)] {
        let arguments = ["--config-file", first, "db", "--config-file", second, "version"];
        let done = in_directory(MANAGE, scratch.path(), &arguments);
        assert_eq!(done.code, Some(0), "{arguments:?}: {done:#?}");
    }
}

/// Returns the options in a help text of argparse, and whether they take a value.
fn options(help: &str) -> Vec<(String, bool)> {
    let lines = help.lines().filter(|line| line.starts_with("  -"));
    let names = lines.flat_map(|line| line.trim().split("  ").next().unwrap_or_default().split(", "));
    names
        .map(|name| match name.split_once(' ') {
            Some((name, _)) => (name.to_owned(), true),
            None => (name.to_owned(), false),
        })
        .collect()
}

#[test]
fn every_option_of_the_released_programs_is_accepted() {
    let Ok(python) = std::env::var("FREEZER_TEST_PYTHON") else {
        println!("skipped: FREEZER_TEST_PYTHON is not set");
        return;
    };
    let scratch = Scratch::new();
    let config = refused(&scratch);
    let config = config.to_str().unwrap();
    for (program, name, rest, least) in [
        (API, "freezer-api", &[][..], 20),
        (MANAGE, "freezer-manage", &["db", "version"][..], 18),
        (STATUS, "freezer-manager-status", &["upgrade", "check"][..], 4),
    ] {
        let mut released = process::command(Path::new(&python).with_file_name(name).to_str().unwrap());
        released.arg("--help").env("COLUMNS", "80");
        let help = process::finish(released);
        let options = options(help.succeeded());
        assert!(options.len() >= least, "{options:?}");
        for (option, takes_value) in options {
            let value = match option.as_str() {
                "--bind-host" => "127.0.0.1",
                "--bind-port" => "9091",
                "--config-file" => config,
                "--config-dir" => ".",
                "--shell_completion" => "bash",
                "--syslog-log-facility" => "LOG_DAEMON",
                _ => "x",
            };
            let value = if takes_value { vec![value] } else { vec![] };
            let all = [&["--config-file", config, option.as_str()], &value[..], rest].concat();
            let done = in_directory(program, scratch.path(), &all);
            let ends_well = ["-h", "--help", "--version", "--shell_completion"].contains(&option.as_str());
            match ends_well {
                true => assert_eq!(done.code, Some(0), "{name} {all:?}: {done:#?}"),
                false => assert!(!done.stderr.contains("Usage:"), "{name} {all:?}: {done:#?}"),
            }
        }
    }
}

#[test]
fn the_command_line_has_precedence_over_environment_and_files() {
    let scratch = Scratch::new();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    let wrong = process::free_port();
    let text = process::config(wrong, database.url()).replace(
        "[DEFAULT]\n",
        "[DEFAULT]\nlog_file = other.log\nuse_json = false\ndebug = false\nuse_stderr = true\n",
    );
    let config = scratch.write("f.conf", &text);
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    let port = process::free_port();
    let mut start = process::command(API);
    start.current_dir(scratch.path());
    start.env("OS_DEFAULT__BIND_PORT", wrong.to_string()).env("OS_DEFAULT__DEBUG", "false");
    // An option of the command line has precedence at any position.
    start.args(["--bind-port", &port.to_string(), "--use-json", "--config-file"]).arg(&config);
    start.args(["-d", "--log-file", "mine.log", "--log-dir", scratch.path().to_str().unwrap()]);
    let service = Service::spawn(start, port, &scratch).expect("it listens");
    assert_eq!(service.request("GET", "/healthcheck", "").0, 200);
    let mine = || std::fs::read_to_string(scratch.path().join("mine.log")).unwrap();
    assert!(mine().contains("\"DEBUG\"") && mine().lines().all(|line| line.starts_with('{')), "{}", mine());
    assert!(!scratch.path().join("other.log").exists());
    // It also has precedence after a reload.
    service.signal("HUP");
    process::wait_for("the files are read again", || mine().contains("SIGHUP").then_some(()));
    let before = mine().len();
    process::wait_for("lines of the new settings", || {
        service.request("GET", "/healthcheck", "");
        mine().get(before..).is_some_and(|new| new.contains("\"DEBUG\"")).then_some(())
    });
    assert!(mine().lines().all(|line| line.starts_with('{')), "{}", mine());
    service.terminate();
    assert_eq!(service.exit_code(), Some(0));
}

#[test]
fn errors_about_values_name_the_option() {
    let scratch = Scratch::new();
    let database = Database::create(Engine::Sqlite, &scratch).unwrap();
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    for (arguments, words) in [
        (&["--bind-port", "many"][..], ["--bind-port", "many"]),
        (&["--bind-port=99999"], ["--bind-port", "99999"]),
        (&["--bind-port", "-1"], ["--bind-port", "-1"]),
        (&["--bind-p", ""], ["--bind-port", "bind_port"]),
        (&["--bind-host", "a host"], ["--bind-host", "a host"]),
        (&["--use-syslog", "--syslog-log-facility", "LOG_NOBODY"], ["--syslog-log-facility", "LOG_NOBODY"]),
        (&["--log-file", "/nonexistent/a.log"], ["--log-file", "/nonexistent/a.log"]),
        (&["--log-dir", "/nonexistent"], ["--log-dir", "/nonexistent"]),
        (&["--config-file", "/nonexistent.conf"], ["configuration file", "/nonexistent.conf"]),
        (&["--config-dir", "/nonexistent.d"], ["configuration directory", "/nonexistent.d"]),
    ] {
        process::run(API, &config, arguments).refused(1, &words);
        if !arguments[0].starts_with("--bind") {
            process::run(MANAGE, &config, &[arguments, &["db", "version"]].concat()).refused(1, &words);
        }
        if arguments[0] != "--config-file" && arguments[0] != "--config-dir" {
            let mut dev = process::command(API);
            dev.arg("--dev").args(arguments).current_dir(scratch.path());
            process::finish(dev).refused(1, &words);
        }
    }
}

#[test]
fn mistyped_options_are_answered_with_a_suggestion() {
    for (program, arguments, suggestion) in [
        (API, &["--bind-prot", "9"][..], "'--bind-port'"),
        (API, &["--bind_port", "9"], "'--bind-port'"),
        (API, &["--bind-hots=::1"], "'--bind-host'"),
        (API, &["--config-fille", "f"], "'--config-file'"),
        (API, &["--dbug"], "'--debug'"),
        (API, &["--devv"], "'--dev'"),
        (API, &["--logg-file", "f"], "'--log-file'"),
        (API, &["--use-jornal"], "'--use-journal'"),
        (API, &["--dev", "--prot", "9"], "'--port'"),
        (MANAGE, &["bd", "sync"], "'db'"),
        (MANAGE, &["polcy", "list"], "'policy'"),
        (MANAGE, &["sync"], "'db sync'"),
        (MANAGE, &["dbsync"], "'db'"),
        (MANAGE, &["db", "snyc"], "'sync'"),
        (MANAGE, &["db", "pruge"], "'purge'"),
        (MANAGE, &["db", "sync", "--dryrun"], "'--dry-run'"),
        (MANAGE, &["db", "remove", "--yess"], "'--yes'"),
        (MANAGE, &["--confg-file", "f", "db", "sync"], "'--config-file'"),
        (MANAGE, &["config", "chek"], "'check'"),
        (STATUS, &["upgrad", "check"], "'upgrade'"),
        (STATUS, &["upgrade", "chekc"], "'check'"),
        (STATUS, &["upgrade", "check", "--jsno"], "'--json'"),
    ] {
        let done = run(program, arguments);
        done.refused(2, &["similar", suggestion, "Usage:"]);
    }
}

#[test]
fn contradictory_command_lines_are_rejected() {
    for (program, arguments, code, words) in [
        (API, &["--port", "9091"][..], 2, &["--port is only valid with --dev", "--bind-port"][..]),
        (
            API,
            &["--dev", "--port", "1", "--bind-port", "2"],
            2,
            &["--port", "cannot be used with", "--bind-port"],
        ),
        (API, &["--dev", "--config-dir", "/etc"], 2, &["--dev", "cannot be used with", "--config-dir"]),
        (API, &["--dev", "--bind-host", "0.0.0.0"], 1, &["--dev", "loopback", "0.0.0.0"]),
        (API, &["--dev", "--port", "http"], 1, &["--port", "http"]),
        (API, &["--debug=true"], 2, &["--debug"]),
        (API, &["--bind-port"], 2, &["--bind-port", "a value is required"]),
        (API, &["serve"], 2, &["unexpected argument 'serve'"]),
        (API, &["--log", "x"], 2, &["--log"]),
        (
            MANAGE,
            &["db", "sync", "1333cef214d9"],
            2,
            &["always upgrades to the newest revision", "7a3b9c1d2e4f"],
        ),
        (
            MANAGE,
            &["db", "sync", "--version", "3"],
            2,
            &["--version", "always upgrades to the newest revision"],
        ),
        (MANAGE, &["db", "update-settings"], 1, &["Elasticsearch", "freezer-manage db sync"]),
        (MANAGE, &["--debug"], 2, &["requires a subcommand"]),
        (MANAGE, &["--shell_completion", "fish"], 2, &["bash, zsh"]),
    ] {
        let scratch = Scratch::new();
        let done = in_directory(program, scratch.path(), arguments);
        done.refused(code, words);
    }
}

#[test]
fn dev_can_use_another_port() {
    let scratch = Scratch::new();
    for arguments in [["--port", "PORT"], ["--bind-port", "PORT"]] {
        let port = process::free_port();
        let mut start: Command = process::command(API);
        let arguments = arguments.map(|word| word.replace("PORT", &port.to_string()));
        start.arg("--dev").args(&arguments).current_dir(scratch.path());
        // The environment is ignored.
        start.env("OS_DEFAULT__BIND_PORT", "1").env("OS_DATABASE__CONNECTION", "postgresql://u:p@h/f");
        let service = Service::spawn(start, port, &scratch).expect("it listens");
        assert!(
            service.log().contains(&format!("http://127.0.0.1:{port}/v2/demo/jobs")),
            "{}",
            service.log()
        );
        let (status, body) = service.request("GET", "/v2/demo/jobs", "");
        assert_eq!((status, body.as_str()), (200, r#"{"jobs":[]}"#));
        service.terminate();
        assert_eq!(service.exit_code(), Some(0));
    }
}

#[test]
fn shell_completions_are_printed() {
    for (program, word) in [(API, "--bind-port"), (MANAGE, "purge"), (STATUS, "--json")] {
        for shell in ["bash", "zsh"] {
            let done = run(program, &["--shell_completion", shell]);
            assert!(done.succeeded().contains(word), "{done:#?}");
        }
    }
}

#[test]
fn man_pages_are_written() {
    let scratch = Scratch::new();
    let directory = scratch.path().join("man");
    std::fs::create_dir(&directory).unwrap();
    let path = directory.to_str().unwrap();
    for program in [API, MANAGE, STATUS] {
        run(program, &["--man-pages", path]).succeeded();
    }
    for (page, word) in [
        ("freezer-api.1", "bind\\-port"),
        ("freezer-manage.1", "freezer\\-manage\\-db(1)"),
        ("freezer-manage-db-purge.1", "older\\-than"),
        ("freezer-manage-config-check.1", "connect"),
        ("freezer-manager-status-upgrade-check.1", "json"),
    ] {
        let text = std::fs::read_to_string(directory.join(page)).unwrap();
        assert!(text.contains(".SH NAME") && text.contains(word), "{page}: {text}");
        assert!(!text.contains("man\\-pages"), "{page}: {text}");
    }
    // The subcommands `help` need no pages.
    let pages = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name());
    let help: Vec<_> = pages.filter(|page| page.to_string_lossy().contains("help")).collect();
    assert!(help.is_empty(), "{help:?}");
    run(API, &["--man-pages", scratch.path().join("none").to_str().unwrap()]).refused(1, &["none"]);
}

#[test]
fn files_and_directories_are_read_in_the_order_of_the_command_line() {
    let scratch = Scratch::new();
    for (name, value) in
        [("f.conf", "file"), ("g.conf", "second"), ("d/a.conf", "directory"), ("e/a.conf", "other")]
    {
        let path = scratch.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("[DEFAULT]\nbind_port = {value}\n")).unwrap();
    }
    let (file, second) = (["--config-file", "f.conf"], ["--config-file", "g.conf"]);
    let (directory, other) = (["--config-dir", "d"], ["--config-dir", "e"]);
    // oslo.config 10.7 uses the same values.
    for (arguments, wins) in [
        (vec![file, directory], "directory"),
        (vec![directory, file], "file"),
        (vec![second, directory, file], "file"),
        (vec![file, directory, second, other], "other"),
        (vec![other, directory, file, second], "second"),
        (vec![other, file, directory], "directory"),
        (vec![directory, other], "other"),
    ] {
        let arguments = [arguments.concat(), vec!["config", "check"]].concat();
        let done = in_directory(MANAGE, scratch.path(), &arguments);
        assert!(done.stdout.contains(&format!("bind_port = {wins}: ")), "{arguments:?}: {done:#?}");
        // The options are divided between the two levels of commands.
        let (first, rest) = arguments.split_at(2);
        let below = [first, &["config"], &rest[..rest.len() - 2], &["check"]].concat();
        let done = in_directory(MANAGE, scratch.path(), &below);
        assert!(done.stdout.contains(&format!("bind_port = {wins}: ")), "{below:?}: {done:#?}");
    }
}
