//! Settings of `[database]` that the server rejects. No attempt can succeed later, so they end the start and every command.

use crate::process::{self, API, Database, Engine, MANAGE, STATUS, Scratch, Service};

/// Returns a configuration that never stops trying to connect to the database, with these lines.
fn patient(url: &str, lines: &str) -> String {
    process::config(process::free_port(), url)
        .replace("max_retries = 0", &format!("max_retries = -1\n{lines}"))
}

#[test]
fn an_sql_mode_that_the_server_does_not_know_ends_the_start() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    for mode in ["JUNK", "TRADITIONAL,JUNK", "TRADITIONAL;", r"TRADITIONAL\", "-1", "ANSI, TRADITIONAL"] {
        let config = scratch.write("f.conf", &patient(database.url(), &format!("mysql_sql_mode = {mode}\n")));
        let option =
            format!("[database] mysql_sql_mode = {mode}: the database {} rejects it: ", database.shown());
        let words = [option.as_str(), "1231", "name modes that the server knows, or leave the option empty"];
        let started = process::run(API, &config, &[]);
        started.refused(1, &words).refused(1, &["f.conf:", "'sql_mode' can't be set to the value of"]);
        assert!(!started.stderr.contains("trying again"), "{started:#?}");
        for command in [["db", "version"], ["db", "show"], ["db", "check"]] {
            let code = if command[1] == "check" { 255 } else { 1 };
            process::run(MANAGE, &config, &command).refused(code, &words);
        }
        let check = process::run(MANAGE, &config, &["config", "check", "--connect"]);
        assert_eq!(check.code, Some(2), "{check:#?}");
        let line = check.stdout.lines().find(|line| line.contains("mysql_sql_mode")).unwrap();
        for word in ["failure", "f.conf:", &option, "1231"] {
            assert!(line.contains(word), "no {word} in {line}");
        }
        let upgrade = process::run(STATUS, &config, &["upgrade", "check"]);
        assert!(upgrade.code == Some(2) && upgrade.stdout.contains("mysql_sql_mode"), "{upgrade:#?}");
    }
}

#[test]
fn an_sql_mode_that_changes_statements_ends_the_start() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    for (mode, unusable) in [
        ("ORACLE", "ORACLE"),
        ("TRADITIONAL,empty_string_is_null", "EMPTY_STRING_IS_NULL"),
        ("'STRICT_ALL_TABLES,ORACLE'", "ORACLE"),
        ("ALL", "ALL"),
    ] {
        let config = scratch.write("f.conf", &patient(database.url(), &format!("mysql_sql_mode = {mode}\n")));
        let (of_mode, use_another) =
            (format!("in the mode {unusable}, which "), "use TRADITIONAL, or other modes");
        let words = ["[database] mysql_sql_mode = ", of_mode.as_str(), use_another];
        let started = process::run(API, &config, &[]);
        started.refused(1, &words).refused(1, &["f.conf:"]);
        assert!(!started.stderr.contains("trying again"), "{started:#?}");
        let check = process::run(MANAGE, &config, &["config", "check", "--connect"]);
        assert_eq!(check.code, Some(2), "{check:#?}");
        assert!(words.iter().all(|word| check.stdout.contains(word)), "{check:#?}");
    }
}

#[test]
fn modes_that_the_server_knows_and_parameters_that_are_not_sent_start() {
    let scratch = Scratch::new();
    let Some(database) = Database::create(Engine::MySql, &scratch) else { return };
    let config = scratch.write("sync.conf", &process::config(1, database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    let url = database.url();
    for (url, lines) in [
        (url.to_owned(), "mysql_sql_mode =\n"),
        (url.to_owned(), "mysql_sql_mode = ANSI,TRADITIONAL\n"),
        (url.to_owned(), "mysql_sql_mode = 'NO_ENGINE_SUBSTITUTION'\nmysql_wsrep_sync_wait = 15\n"),
        // The driver of the Python service sends them.
        (format!("{url}&init_command=JUNK&sql_mode=JUNK&collation=junk"), ""),
    ] {
        let port = process::free_port();
        let text = process::config(port, &url).replace("max_retries = 0", lines);
        let config = scratch.write("f.conf", &text);
        let check = process::run(MANAGE, &config, &["config", "check", "--connect"]);
        assert!(matches!(check.code, Some(0 | 1)), "{lines}: {check:#?}");
        for parameter in ["init_command", "sql_mode", "collation"] {
            let is_named = check.stdout.contains(parameter);
            assert!(is_named || !url.contains(&format!("{parameter}=")), "{parameter}: {check:#?}");
        }
        let mut command = process::command(API);
        command.arg("--config-file").arg(&config);
        let service = Service::spawn(command, port, &scratch).unwrap();
        assert_eq!(service.request("GET", "/v2/p1/jobs", "").0, 200, "{lines}");
    }
}
