//! The commands under "Backup and restore" in `docs/upgrading.md` must work without changes.

use std::path::Path;
use std::process::{Command, Stdio};

use freezer_store::DatabaseUrl;
use freezer_store::migrations::{HEAD, State};

use crate::again::rows;
use crate::dump::dropping;
use crate::support::{self, Engine, TestDatabase};
use crate::{folder, python, store};

/// Returns the lines of the indented block under the heading.
fn commands() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/upgrading.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Backup and restore\n").expect("the section");
    let block =
        section.lines().skip_while(|line| line.is_empty()).take_while(|line| line.starts_with("    "));
    block.map(|line| line.trim().to_owned()).collect()
}

/// Returns the commands from one comment to the next, for the database and the configuration of the test.
fn part(name: &str, database: &str, config: &Path) -> String {
    let lines = commands();
    let mut script = format!("set -eu\ndatabase={database}\nconfig='{}'\n", config.display());
    assert!(lines[0].starts_with("database=") && lines[1].starts_with("config="), "{lines:?}");
    let of_part = lines.iter().skip_while(|line| **line != format!("# {name}")).skip(1);
    for line in of_part.take_while(|line| !line.starts_with('#')) {
        script += &format!("{line}\n");
    }
    script
}

struct Shell {
    scratch: std::path::PathBuf,
    config: std::path::PathBuf,
    name: String,
}

impl Shell {
    /// Creates a directory with the options of the client, the configuration of the database, and a replacement for
    /// `mysqldump`, which is not installed on every test machine.
    fn new(database: &TestDatabase, dump: &str) -> Shell {
        let DatabaseUrl::MySql(url) = database.url() else { panic!("a server") };
        let scratch = database.scratch().with_extension("restore");
        std::fs::create_dir_all(scratch.join("bin")).unwrap();
        let options = format!(
            "[client]\nprotocol=tcp\nhost={}\nport={}\nuser={}\npassword={}\n",
            url.host,
            url.port,
            url.user,
            url.password.unwrap_or_default()
        );
        std::fs::write(scratch.join(".my.cnf"), options).unwrap();
        std::fs::write(scratch.join("old.sql"), dump).unwrap();
        let dumper = format!("#!/bin/sh\ncat '{}'\n", scratch.join("old.sql").display());
        let path = scratch.join("bin/mysqldump");
        std::fs::write(&path, dumper).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, executable).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_freezer-manage"), scratch.join("bin/freezer-manage"))
            .unwrap();
        Shell { config: python::configuration(database), scratch, name: url.database }
    }

    fn run(&self, name: &str) {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-c", &part(name, &self.name, &self.config)])
            .current_dir(&self.scratch)
            .env("HOME", &self.scratch)
            .env("PATH", format!("{}:{path}", self.scratch.join("bin").display()))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let (said, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}:\n{said}\n{errors}");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.scratch);
        let _ = std::fs::remove_file(&self.config);
    }
}

#[test]
fn the_documented_restore_works() {
    if Command::new("mysql").arg("--version").output().is_err() {
        return support::skipped("restore", "the command mysql is not there");
    }
    for shape in ["a-7.0.0", "c-15.0.0", "f-16.0.0", "f-18.0.0-latin1"] {
        let sql = std::fs::read_to_string(folder().join(format!("{shape}.mysql.sql"))).unwrap();
        support::with_database(Engine::MariaDb, "restore", |runtime, database| {
            let shell = Shell::new(database, &dropping(Engine::MariaDb, &sql));
            runtime.block_on(support::bounded(database.run(&sql)));
            shell.run("backup");
            let once = runtime.block_on(support::bounded(async {
                store(database).sync().await.unwrap();
                let once = rows(database).await;
                // These changes are later than the backup. Some are in tables that the backup does not contain.
                database.run("UPDATE job_actions SET deleted = 1").await;
                database
                    .run(
                        "INSERT INTO user_credentials (id, trust_id, trustor_user_id, job_id, deleted) \
                              SELECT id, 't', 'u', id, 0 FROM jobs",
                    )
                    .await;
                once
            }));
            shell.run("restore");
            runtime.block_on(support::bounded(async {
                assert_eq!(rows(database).await.difference(&once), None, "{shape}");
                assert_eq!(store(database).schema_state().await.unwrap(), State::At(HEAD.to_owned()));
            }));
        });
    }
}
