//! The programs: exit codes, messages and JSON.

use freezer_store::DatabaseUrl;
use freezer_store::migrations::HEAD;
use serde_json::{Value, json};

use crate::BOTH;
use crate::process::{self, MANAGE, STATUS, Scratch};
use crate::support::{self, Engine};

/// Writes a configuration for the programs.
fn config(scratch: &Scratch, url: &DatabaseUrl) -> std::path::PathBuf {
    let url = match url {
        DatabaseUrl::MySql(url) => {
            let password = url.password.as_deref().unwrap_or_default();
            format!("mysql+pymysql://{}:{password}@{}:{}/{}", url.user, url.host, url.port, url.database)
        }
        sqlite => sqlite.to_string(),
    };
    scratch.write("f.conf", &process::config(20_000, &url))
}

#[test]
fn exit_codes_show_the_result_of_the_programs() {
    for engine in BOTH {
        support::with_database(engine, "exit_codes", |runtime, database| {
            let scratch = Scratch::new();
            let config = config(&scratch, &database.url());
            let check = || process::run(MANAGE, &config, &["db", "check"]);
            let status = || process::run(STATUS, &config, &["upgrade", "check"]);
            let code = |done: &process::Done, code| assert_eq!(done.code, Some(code), "{done:#?}");
            let purge = ["db", "purge", "--older-than", "1d"];
            code(&check(), 2);
            code(&status(), 2);
            process::run(MANAGE, &config, &purge).refused(1, &["no tables yet", "freezer-manage db sync"]);

            process::run(MANAGE, &config, &["db", "update"]).succeeded();
            code(&check(), 0);
            code(&status(), 0);
            let history = process::run(MANAGE, &config, &["db", "history"]);
            assert!(history.succeeded().contains(&format!("\n* {HEAD} ")), "{history:#?}");

            let deleted = "1, '2001-02-03 04:05:06'";
            let insert = "INSERT INTO sessions (id, user_id, deleted, deleted_at) VALUES";
            runtime
                .block_on(database.run(&format!("{insert} ('s1', 'u', NULL, NULL), ('s2', 'u', {deleted})")));
            let warned = check();
            code(&warned, 1);
            assert!(
                warned.stdout.contains("warning  deleted_null ") && warned.stdout.contains("- sessions: s1")
            );
            let warned = status();
            code(&warned, 1);
            assert!(warned.stdout.contains("| Check: Rows neither live nor deleted "), "{warned:#?}");
            assert!(warned.stdout.contains("which are never shown: 1"), "{warned:#?}");
            let json: Value =
                serde_json::from_str(&process::run(STATUS, &config, &["upgrade", "check", "--json"]).stdout)
                    .unwrap();
            assert_eq!(json["checks"][6]["result"], 1, "{json:#}");

            let dry = process::run(MANAGE, &config, &[&purge[..], &["--dry-run"]].concat());
            assert!(dry.succeeded().ends_with("in all: 1 rows would be removed\n"), "{dry:#?}");
            let other = process::run(MANAGE, &config, &[&purge[..], &["--table", "jobs"]].concat());
            assert!(other.succeeded().ends_with("in all: 0 rows removed\n"), "{other:#?}");
            let done =
                process::run(MANAGE, &config, &[&purge[..], &["--batch", "1", "--sleep", "1"]].concat());
            assert!(done.succeeded().contains("sessions: 1 rows removed\n"), "{done:#?}");
            for wrong in [
                &["db", "purge"][..],
                &["db", "purge", "--older-than", "9"],
                &["db", "purge", "--older-than", "9d", "--table", "users"],
                &["db", "purge", "--older-than", "9d", "--batch", "0"],
            ] {
                process::run(MANAGE, &config, wrong).refused(2, &["--help"]);
            }
            let json = process::run(MANAGE, &config, &["db", "check", "--json"]);
            code(&json, 1);
            let json: Value = serde_json::from_str(&json.stdout).unwrap();
            assert_eq!(json["verdict"], "warning");
            let keys: Vec<&String> = json["checks"][6].as_object().unwrap().keys().collect();
            assert_eq!(keys, ["name", "title", "verdict", "details", "count", "examples", "advice"]);

            process::run(MANAGE, &config, &["db", "remove"])
                .refused(1, &["no terminal", "nothing was removed", "--yes"]);
            process::run(MANAGE, &config, &["db", "remove", "--yes"]).succeeded();
            code(&check(), 2);
        });
    }
}

#[test]
fn show_has_stable_keys() {
    for engine in BOTH {
        support::with_database(engine, "show_json", |runtime, database| {
            let scratch = Scratch::new();
            let config = config(&scratch, &database.url());
            process::run(MANAGE, &config, &["db", "sync"]).succeeded();
            runtime
                .block_on(database.run("INSERT INTO sessions (id, user_id, deleted) VALUES ('s', 'u', 1)"));
            let show = process::run(MANAGE, &config, &["db", "show", "--json"]);
            let show: Value = serde_json::from_str(show.succeeded()).unwrap();
            let keys: Vec<&String> = show.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["database", "engine", "server_version", "revision", "head", "bytes", "tables"]);
            assert_eq!((&show["revision"], &show["head"]), (&Value::from(HEAD), &Value::from(HEAD)));
            assert!(
                show["bytes"].as_u64().unwrap() > 10_000 && show["tables"].as_array().unwrap().len() == 8
            );
            let sessions = &show["tables"][1];
            let keys: Vec<&String> = sessions.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["name", "live_rows", "deleted_rows", "bytes", "charset"]);
            assert_eq!(sessions["deleted_rows"], 1);
            match engine {
                Engine::Sqlite => {
                    assert_eq!((&show["engine"], &sessions["bytes"]), (&json!("sqlite"), &Value::Null))
                }
                Engine::MariaDb | Engine::MySql => assert_eq!(sessions["charset"], "utf8mb4"),
            }
        });
    }
}

#[test]
fn impossible_checks_have_their_own_exit_code() {
    let scratch = Scratch::new();
    let url = format!("mysql+pymysql://freezer:s3cr3t@127.0.0.1:{}/freezer", process::free_port());
    let config = scratch.write("f.conf", &process::config(20_000, &url));
    process::run(MANAGE, &config, &["db", "check"]).refused(255, &["not available"]).without("s3cr3t");
    process::run(MANAGE, &config, &["db", "purge", "--older-than", "1d"]).refused(1, &["not available"]);
    process::run(MANAGE, &config, &["db", "remove", "--yes"]).refused(1, &["not available"]);
    // The chain of revisions is shown without a database and without a configuration.
    for config in [config, scratch.path().join("none.conf")] {
        let history = process::run(MANAGE, &config, &["db", "history"]);
        let text = history.without("s3cr3t").succeeded();
        assert!(text.contains(&format!("\n  {HEAD} ")) && text.contains("is unknown: "), "{text}");
    }
}

#[test]
fn the_status_checks_policy_files_and_options() {
    let scratch = Scratch::new();
    let url = DatabaseUrl::Sqlite { path: scratch.path().join("f.db") };
    let text = process::config(20_000, &url.to_string());
    let config = config(&scratch, &url);
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    let status = |code: i32, words: &[&str]| {
        let done = process::run(STATUS, &config, &["upgrade", "check", "--json"]);
        assert_eq!(done.code, Some(code), "{done:#?}");
        let json: Value = serde_json::from_str(&done.stdout).unwrap();
        let details: Vec<&str> =
            json["checks"].as_array().unwrap().iter().filter_map(|check| check["details"].as_str()).collect();
        let details = details.join("\n");
        assert!(words.iter().all(|word| details.contains(word)), "no {words:?} in {details}");
    };
    status(0, &[]);
    scratch.write("policy.json", "{}");
    status(1, &["policy.json exists but is not read", "oslopolicy-convert-json-to-yaml"]);
    std::fs::remove_file(scratch.path().join("policy.json")).unwrap();
    let policy = scratch.write("policy.yaml", r#"{"jobs:create": "role:admin"}"#);
    status(1, &["policy.yaml is JSON, which is deprecated"]);
    std::fs::write(&policy, "jobs:create: role:admin\njobs:craete: role:admin\n").unwrap();
    status(1, &["policy.yaml:2: jobs:craete: the service has no such rule"]);
    std::fs::write(&policy, "jobs:create: [\n").unwrap();
    status(2, &["policy.yaml:"]);
    std::fs::remove_file(policy).unwrap();

    let typo = text.replace("[storage]", "[oslo_messaging_rabbit]\nssl = true\n[storage]\nbackand = x");
    scratch.write(
        "f.conf",
        &typo.replace("[database]", "[database]\nslave_connection = sqlite:////x\nconection = y"),
    );
    status(1, &["[storage] backand: unknown option", "[database] conection: unknown option"]);
    // The driver selects the engine. Another backend is only the name of a section.
    scratch.write("f.conf", &text.replace("backend = sqlalchemy", "backend = elasticsearch"));
    status(0, &[]);
    scratch.write("f.conf", &text.replace("driver = sqlalchemy", "driver = elasticsearch"));
    status(2, &["[storage] driver = elasticsearch", "set [storage] driver = sqlalchemy"]);
}

#[test]
fn a_rejected_url_is_reported_as_a_failure() {
    let scratch = Scratch::new();
    for (url, words) in [
        ("mysql+pymysql://f:s3cr3t@h:port/f", "the port is not a number"),
        ("mysql+pymysql://f:s3cr3t@h/f?ssl_x=1&tls_y=2", "unknown parameter ssl_x, tls_y"),
        ("postgresql://f:s3cr3t@h/f", "is not supported"),
        ("mysql+pymysql://f:s3cr3t@127.0.0.1:1/f?ssl_ca=/nonexistent/ca.pem", "/nonexistent/ca.pem"),
    ] {
        let config = scratch.write("f.conf", &process::config(20_000, url));
        let done = process::run(MANAGE, &config, &["db", "check"]);
        assert_eq!(done.without("s3cr3t").code, Some(2), "{done:#?}");
        let line = done.stdout.lines().find(|line| line.starts_with("failure  layout ")).unwrap_or_default();
        assert!(line.contains(words), "{done:#?}");
        let done = process::run(MANAGE, &config, &["db", "check", "--json"]);
        let json: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(
            (&json["verdict"], &json["checks"][0]["name"]),
            (&"failure".into(), &"layout".into()),
            "{json}"
        );
        let done = process::run(STATUS, &config, &["upgrade", "check"]);
        assert_eq!(done.without("s3cr3t").code, Some(2), "{done:#?}");
        assert!(done.stdout.contains("| Check: Database tables"), "{done:#?}");
        assert!(done.stdout.contains("| Check: Configuration options"), "{done:#?}");
        let done = process::run(STATUS, &config, &["upgrade", "check", "--json"]);
        let json: Value = serde_json::from_str(&done.stdout).unwrap();
        assert!(json["checks"][0]["details"].as_str().unwrap().contains(words), "{json:#}");
    }
}

#[test]
fn a_user_without_write_access_fails_the_check_without_changes() {
    let scratch = Scratch::new();
    let Some(database) = process::Database::create(process::Engine::MySql, &scratch) else { return };
    let name = database.shown().rsplit('/').next().unwrap().to_owned();
    let connect = |user: &str| {
        let url = if user.is_empty() { database.url().to_owned() } else { database.url_of(user, "p") };
        let config = scratch.write("f.conf", &process::config(process::free_port(), &url));
        process::run(MANAGE, &config, &["config", "check", "--connect"])
    };
    let config = scratch.write("s.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    database.run("INSERT INTO sessions (id, user_id, deleted) VALUES ('s1', 'u', 0)");
    let allowed = connect("");
    assert!(allowed.stdout.contains("can be served and changed") && allowed.code < Some(2), "{allowed:#?}");
    let user = format!("r{}", std::process::id());
    for (grants, refused) in [
        (
            "SELECT",
            &["INSERT on clients", "UPDATE on jobs", "DELETE on backups", "INSERT on job_actions"][..],
        ),
        ("SELECT, INSERT, UPDATE", &["DELETE on clients", "DELETE on backups"]),
        ("SELECT, INSERT, DELETE", &["UPDATE on sessions"]),
    ] {
        database.run_on_server(&format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY 'p'; GRANT {grants} ON `{name}`.* TO '{user}'@'%'"
        ));
        let done = connect(&user);
        database.run_on_server(&format!("DROP USER '{user}'@'%'"));
        assert_eq!(done.code, Some(2), "{grants}: {done:#?}");
        let line = done.stdout.lines().find(|line| line.starts_with("failure  ")).unwrap_or_default();
        for words in refused {
            assert!(line.contains(words), "{grants}: no {words} in {done:#?}");
        }
        assert!(line.contains("grant its user SELECT, INSERT, UPDATE and DELETE"), "{done:#?}");
    }
    let kept = process::run(MANAGE, &config, &["db", "show", "--json"]);
    assert!(kept.succeeded().contains("\"live_rows\": 1"), "{kept:#?}");
}

#[test]
fn uses_of_dropped_columns_are_named_by_the_check_of_the_configuration() {
    let scratch = Scratch::new();
    let Some(database) = process::Database::create(process::Engine::MySql, &scratch) else { return };
    let config = scratch.write("f.conf", &process::config(process::free_port(), database.url()));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    let line = |begin: &str| {
        let done = process::run(MANAGE, &config, &["config", "check", "--connect"]);
        let line = done.stdout.lines().find(|line| line.starts_with(begin) && line.contains("op_t"));
        (done.code, line.unwrap_or_default().to_owned())
    };
    assert_eq!(line("").1, "");
    database.run("ALTER TABLE jobs ADD COLUMN job_actions TEXT");
    database.run("CREATE TRIGGER op_t BEFORE INSERT ON jobs FOR EACH ROW SET NEW.job_actions = '[]'");
    let (code, warning) = line("warning");
    assert!(warning.contains("the trigger op_t of jobs uses jobs.job_actions"), "{warning}");
    assert_eq!(code, Some(1), "{warning}");
    let refused = process::run(MANAGE, &config, &["db", "sync"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("op_t"), "{refused:#?}");
    database.run("ALTER TABLE jobs DROP COLUMN job_actions");
    let (code, failure) = line("failure");
    assert!(failure.contains("rejects new rows") && failure.contains("op_t"), "{failure}");
    assert_eq!(code, Some(2), "{failure}");
}

#[test]
fn only_the_owner_can_read_a_new_sqlite_file() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    let file = scratch.path().join("f.db");
    let config = scratch.write("f.conf", &process::config(20_000, &format!("sqlite:///{}", file.display())));
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    let mode = || file.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    // An existing file keeps its mode.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    process::run(MANAGE, &config, &["db", "sync"]).succeeded();
    assert_eq!(mode(), 0o640);
}
