//! `seed` and `clean`: fill a project at the head layout of the tables by multi-row INSERTs, and empty it.
//!
//! The rows are what both services write for a client, a job with one action, a session with one job and a backup
//! (looked up in the rows that freezer-api 19.0.0 writes), so that either service can be measured on them. Only
//! columns that both services have are named.

use std::io::{self, Write};

use serde_json::json;

use crate::dataset::{Dataset, Kind, USER};
use crate::mariadb::{Database, DatabaseError};
use crate::scenario;

/// Rows of one INSERT: about half a megabyte, well below any max_allowed_packet.
const ROWS_PER_INSERT: u64 = 500;

/// 2025-01-01 00:00:00 UTC, when everything begins; row n is n seconds younger.
const EPOCH: &str = "'2025-01-01 00:00:00'";
const EPOCH_SECONDS: u64 = 1_735_689_600;

/// Arguments of `seed`.
#[derive(Debug, clap::Args)]
pub struct SeedArguments {
    /// The database, at the newest layout: mysql://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    pub database: String,
    #[command(flatten)]
    pub data: Dataset,
    /// Backups in the catalogue.
    #[arg(long, default_value_t = 0)]
    pub backups: u64,
}

/// Removes what an earlier seed or run left in the project, fills it, and says what is there.
///
/// # Errors
/// [`DatabaseError`]
pub fn execute(arguments: &SeedArguments) -> Result<String, DatabaseError> {
    let database = Database::of_url(&arguments.database)?;
    let data = &arguments.data;
    database.execute(|sql| write_sql(sql, data, arguments.backups))?;
    Ok(format!(
        "{database}: project {} has {} clients, {} jobs with one action each, {} sessions, {} backups",
        data.project,
        data.clients,
        data.jobs,
        data.session_count(),
        arguments.backups
    ))
}

/// Arguments of `clean`.
#[derive(Debug, clap::Args)]
pub struct CleanArguments {
    /// The database: mysql://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    pub database: String,
    /// The project that was seeded.
    #[arg(long)]
    pub project: String,
}

/// Removes what seeds and runs left in a project.
///
/// # Errors
/// [`DatabaseError`]
pub fn remove(arguments: &CleanArguments) -> Result<(), DatabaseError> {
    Database::of_url(&arguments.database)?.execute(|sql| clean(sql, &arguments.project)).map(|_| ())
}

fn write_sql(sql: &mut dyn Write, data: &Dataset, backups: u64) -> io::Result<()> {
    writeln!(sql, "SET SESSION sql_mode = 'TRADITIONAL'; START TRANSACTION;")?;
    clean(sql, &data.project)?;
    clients(sql, data)?;
    actions(sql, data)?;
    jobs(sql, data)?;
    sessions(sql, data)?;
    insert(sql, "backups", &["id", "job_id", "backup_metadata"], data, backups, |n| {
        let job = data.id(Kind::Job, n % data.jobs);
        format!("{}, {}, {}", text(&data.id(Kind::Backup, n)), text(&job), text(&scenario::backup(n, &job)))
    })?;
    writeln!(sql, "COMMIT;")?;
    // the optimizer's figures must not depend on how soon the server renews them
    writeln!(sql, "ANALYZE TABLE clients, actions, action_reports, jobs, job_actions, sessions, backups;")
}

/// Only rows of the benchmark's own user go, with those that a run has posted.
fn clean(sql: &mut dyn Write, project: &str) -> io::Result<()> {
    let ours = format!("project_id = {} AND user_id = {}", text(project), text(USER));
    writeln!(sql, "DELETE l FROM job_actions l JOIN jobs j ON j.id = l.job_id WHERE j.{ours};")?;
    for table in ["jobs", "action_reports", "actions", "clients", "sessions", "backups"] {
        writeln!(sql, "DELETE FROM {table} WHERE {ours};")?;
    }
    Ok(())
}

fn clients(sql: &mut dyn Write, data: &Dataset) -> io::Result<()> {
    let columns = [
        "id",
        "uuid",
        "client_id",
        "hostname",
        "supported_actions",
        "supported_modes",
        "supported_storages",
        "supported_engines",
        "is_central",
    ];
    let supports = [
        r#"["backup", "restore", "info", "admin", "exec"]"#,
        r#"["fs", "mongo", "mysql", "sqlserver", "cinder", "glance", "cindernative", "nova"]"#,
        r#"["local", "swift", "ssh", "s3", "ftp", "ftps"]"#,
        r#"["tar", "rsync", "rsyncv2", "nova", "osbrick", "glance"]"#,
    ];
    let supports = supports.map(text).join(", ");
    insert(sql, "clients", &columns, data, data.clients, |n| {
        let (id, name) = (text(&data.id(Kind::Client, n)), text(&data.client(n)));
        format!("{id}, {id}, {name}, {name}, {supports}, 0")
    })
}

fn actions(sql: &mut dyn Write, data: &Dataset) -> io::Result<()> {
    let columns = [
        "id",
        "action",
        "actionmode",
        "path_to_backup",
        "backup_name",
        "container",
        "max_retries",
        "max_retries_interval",
        "mandatory",
        "log_file",
        "backup_metadata",
    ];
    insert(sql, "actions", &columns, data, data.jobs, |n| {
        let document = action(&data.client(data.client_of_job(n)), n);
        let of = |key: &str| text(document.get(key).and_then(|value| value.as_str()).unwrap_or_default());
        let named: Vec<String> = ["action", "mode", "path_to_backup", "backup_name", "container"]
            .iter()
            .map(|key| of(key))
            .collect();
        format!(
            "{}, {}, 5, 60, 0, {}, {}",
            text(&data.id(Kind::Action, n)),
            named.join(", "),
            of("log_file"),
            text(&document.to_string())
        )
    })?;
    // the Python service has a report for each action, never filled
    insert(sql, "action_reports", &["id"], data, data.jobs, |n| text(&data.id(Kind::Action, n)))
}

/// A `freezer_action` as operators write them: with it, a job is about 1 KB.
fn action(client: &str, number: u64) -> serde_json::Value {
    json!({
        "action": "backup",
        "mode": "fs",
        "storage": "swift",
        "engine_name": "tar",
        "backup_name": format!("daily-{number}"),
        "path_to_backup": format!("/srv/data/volume-{number}"),
        "container": "freezer_daily_backups",
        "hostname": client,
        "incremental": true,
        "max_level": 14,
        "always_level": "",
        "compression": "gzip",
        "exclude": "*.tmp",
        "dereference_symlink": "",
        "snapshot": true,
        "lvm_auto_snap": "/srv/data",
        "remove_older_than": 30,
        "max_segment_size": 33_554_432,
        "log_file": "/var/log/freezer/freezer-agent.log"
    })
}

fn jobs(sql: &mut dyn Write, data: &Dataset) -> io::Result<()> {
    let columns = ["id", "client_id", "session_id", "session_tag", "description", "schedule"];
    let in_session = |n: u64| n < data.session_count();
    insert(sql, "jobs", &columns, data, data.jobs, |n| {
        let session = if in_session(n) { data.id(Kind::Session, n) } else { String::new() };
        let schedule = json!({
            "schedule_interval": "1 days",
            "schedule_start_date": "2025-01-01T02:00:00",
            "time_created": EPOCH_SECONDS + n,
            "time_started": EPOCH_SECONDS + n + 60,
            "time_ended": EPOCH_SECONDS + n + 90,
            "event": "",
            "status": "scheduled",
            "result": "success"
        });
        format!(
            "{}, {}, {}, {}, {}, {}",
            text(&data.id(Kind::Job, n)),
            text(&data.client(data.client_of_job(n))),
            text(&session),
            u64::from(in_session(n)),
            text(&format!("daily backup {n}")),
            text(&schedule.to_string())
        )
    })?;
    let id = |kind, n| text(&data.id(kind, n));
    let rows = |n| format!("{}, {}, {}, 0", id(Kind::Link, n), id(Kind::Job, n), id(Kind::Action, n));
    insert_without_owner(sql, "job_actions", &["id", "job_id", "action_id", "position"], data.jobs, rows)
}

/// Sessions that run since [`EPOCH`] with tag 1 and hold off for decades, so that a start with tag 0 is always a
/// join, is accepted and writes.
fn sessions(sql: &mut dyn Write, data: &Dataset) -> io::Result<()> {
    let columns = [
        "id",
        "session_tag",
        "description",
        "hold_off",
        "schedule",
        "job",
        "time_start",
        "time_end",
        "time_started",
        "time_ended",
        "status",
        "result",
    ];
    insert(sql, "sessions", &columns, data, data.session_count(), |n| {
        let state = json!({
            "client_id": data.client(data.client_of_job(n)),
            "status": "running",
            "result": "",
            "time_started": EPOCH_SECONDS,
            "time_ended": -1
        });
        let jobs = json!({ data.id(Kind::Job, n): state });
        format!(
            "{}, 1, 'nightly', 2000000000, {}, {}, {EPOCH_SECONDS}, -1, -1, -1, 'running', ''",
            text(&data.id(Kind::Session, n)),
            text(r#"{"schedule_interval": "1 days"}"#),
            text(&jobs.to_string())
        )
    })
}

/// Rows of a table with project and user.
fn insert(
    sql: &mut dyn Write,
    table: &str,
    columns: &[&str],
    data: &Dataset,
    count: u64,
    row: impl Fn(u64) -> String,
) -> io::Result<()> {
    let owner = format!("{}, {}", text(&data.project), text(USER));
    let columns = [columns, &["project_id", "user_id"]].concat();
    insert_without_owner(sql, table, &columns, count, |n| format!("{}, {owner}", row(n)))
}

fn insert_without_owner(
    sql: &mut dyn Write,
    table: &str,
    columns: &[&str],
    count: u64,
    row: impl Fn(u64) -> String,
) -> io::Result<()> {
    for n in 0..count {
        match n % ROWS_PER_INSERT {
            0 => write!(sql, "INSERT INTO {table} ({}, deleted, created_at) VALUES\n(", columns.join(", "))?,
            _ => sql.write_all(b",\n(")?,
        }
        write!(sql, "{}, 0, {EPOCH} + INTERVAL {n} SECOND)", row(n))?;
        if n % ROWS_PER_INSERT == ROWS_PER_INSERT - 1 || n + 1 == count {
            sql.write_all(b";\n")?;
        }
    }
    Ok(())
}

/// A text literal.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::dataset::tests::small;

    fn sql(data: &Dataset, backups: u64) -> String {
        let mut sql = Vec::new();
        write_sql(&mut sql, data, backups).unwrap();
        String::from_utf8(sql).unwrap()
    }

    #[test]
    fn texts_are_quoted() {
        assert_eq!(text(r"it's a \ path"), r"'it''s a \\ path'");
    }

    #[test]
    fn the_same_rows_every_time() {
        assert_eq!(sql(&small(), 3), sql(&small(), 3));
    }

    #[test]
    fn every_table_gets_its_rows_in_batches() {
        let data = Dataset { jobs: 1_001, ..small() };
        let sql = sql(&data, 1);
        for (table, inserts) in [("clients", 1), ("actions", 3), ("jobs", 3), ("sessions", 2), ("backups", 1)]
        {
            let found = sql.matches(&format!("INSERT INTO {table} (")).count();
            assert_eq!(found, inserts, "{table}");
        }
        assert_eq!(sql.matches(&format!("'{}'", data.id(Kind::Job, 1_000))).count(), 2, "job and link");
        assert!(!sql.contains("VALUES\n(;"));
    }

    #[test]
    fn only_rows_of_the_benchmark_are_removed() {
        for line in sql(&small(), 0).lines().filter(|line| line.contains("DELETE")) {
            assert!(line.contains("project_id = 'p1' AND user_id = 'freezer-bench'"), "{line}");
        }
    }

    #[test]
    fn a_job_is_about_one_kilobyte() {
        let size = action("bench-99", 999).to_string().len();
        assert!((450..700).contains(&size), "{size} bytes of action, to which the job adds about 450");
    }
}
