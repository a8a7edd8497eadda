//! The rows of a data set, table by table, as multi-row INSERTs.
//!
//! These are the rows that freezer-api 19.0.0 writes for a client, a job with one action, a session and a backup, so both
//! services can be measured with them. They use only columns that both services have.

use std::io::{self, Write};

use serde_json::json;

use super::dialect::{EPOCH, SeedDialect};
use crate::dataset::{Dataset, ObjectKind, USER};
use crate::scenario;

/// The number of rows of one INSERT. It has about half a megabyte, which is well below any `max_allowed_packet`.
const ROWS_PER_INSERT: u64 = 500;

/// The capabilities of a client, as a scheduler registers them.
const SUPPORTS: [&str; 4] = [
    r#"["backup", "restore", "info", "admin", "exec"]"#,
    r#"["fs", "mongo", "mysql", "sqlserver", "cinder", "glance", "cindernative", "nova"]"#,
    r#"["local", "swift", "ssh", "s3", "ftp", "ftps"]"#,
    r#"["tar", "rsync", "rsyncv2", "nova", "osbrick", "glance"]"#,
];

/// The SQL of a data set in one dialect.
pub struct Rows<'a> {
    /// The data set.
    pub data: &'a Dataset,
    /// The dialect of the SQL.
    pub dialect: SeedDialect,
}

impl Rows<'_> {
    /// Writes one transaction that removes the rows of earlier seeds and runs and inserts the new rows.
    pub fn write(&self, sql: &mut dyn Write) -> io::Result<()> {
        writeln!(sql, "{}", self.dialect.begin())?;
        self.clean(sql)?;
        self.clients(sql)?;
        self.actions(sql)?;
        self.jobs(sql)?;
        self.sessions(sql)?;
        self.backups(sql)?;
        writeln!(sql, "{}", self.dialect.end())
    }

    /// Removes the rows of the benchmark's user, including those that a run has posted, and no other rows.
    pub fn clean(&self, sql: &mut dyn Write) -> io::Result<()> {
        let ours = self.ours();
        writeln!(sql, "DELETE FROM job_actions WHERE job_id IN (SELECT id FROM jobs WHERE {ours});")?;
        for table in ["jobs", "action_reports", "actions", "clients", "sessions", "backups"] {
            writeln!(sql, "DELETE FROM {table} WHERE {ours};")?;
        }
        Ok(())
    }

    /// Removes the backups that runs have posted to the project. The backups of the seed are older, so they stay.
    pub fn clean_posted(&self, sql: &mut dyn Write) -> io::Result<()> {
        let behind_seeded = self.dialect.created_at(self.data.backups);
        writeln!(sql, "DELETE FROM backups WHERE {} AND created_at >= {behind_seeded};", self.ours())
    }

    fn ours(&self) -> String {
        format!("project_id = {} AND user_id = {}", self.text(&self.data.project), self.text(USER))
    }

    fn text(&self, value: &str) -> String {
        self.dialect.text(value)
    }

    fn id(&self, kind: ObjectKind, number: u64) -> String {
        self.text(&self.data.id(kind, number))
    }

    fn clients(&self, sql: &mut dyn Write) -> io::Result<()> {
        let columns = "id, uuid, client_id, hostname, supported_actions, supported_modes, supported_storages, \
                       supported_engines, is_central";
        let supports = SUPPORTS.map(|text| self.text(text)).join(", ");
        self.insert_owned(sql, "clients", columns, self.data.clients, |n| {
            let (id, name) = (self.id(ObjectKind::Client, n), self.text(&self.data.client(n)));
            format!("{id}, {id}, {name}, {name}, {supports}, 0")
        })
    }

    fn actions(&self, sql: &mut dyn Write) -> io::Result<()> {
        let columns = "id, action, actionmode, path_to_backup, backup_name, container, max_retries, \
                       max_retries_interval, mandatory, log_file, backup_metadata";
        self.insert_owned(sql, "actions", columns, self.data.jobs, |n| {
            let document = action(&self.data.client(self.data.client_of_job(n)), n);
            let of =
                |key: &str| self.text(document.get(key).and_then(|value| value.as_str()).unwrap_or_default());
            let named = ["action", "mode", "path_to_backup", "backup_name", "container"].map(of).join(", ");
            let (log_file, whole) = (of("log_file"), self.text(&document.to_string()));
            format!("{}, {named}, 5, 60, 0, {log_file}, {whole}", self.id(ObjectKind::Action, n))
        })?;
        // The Python service writes an empty report for each action.
        self.insert_owned(sql, "action_reports", "id", self.data.jobs, |n| self.id(ObjectKind::Action, n))
    }

    fn jobs(&self, sql: &mut dyn Write) -> io::Result<()> {
        let columns = "id, client_id, session_id, session_tag, description, schedule";
        self.insert_owned(sql, "jobs", columns, self.data.jobs, |n| {
            let session = self.data.session_of_job(n);
            let tag = u64::from(session.is_some() && self.runs());
            let session =
                session.map(|session| self.data.id(ObjectKind::Session, session)).unwrap_or_default();
            let schedule = json!({
                "schedule_interval": "1 days",
                "schedule_start_date": "2025-01-01T02:00:00",
                "time_created": EPOCH + n,
                "time_started": EPOCH + n + 60,
                "time_ended": EPOCH + n + 90,
                "event": "",
                "status": "scheduled",
                "result": "success"
            });
            format!(
                "{}, {}, {}, {tag}, {}, {}",
                self.id(ObjectKind::Job, n),
                self.text(&self.data.client(self.data.client_of_job(n))),
                self.text(&session),
                self.text(&format!("daily backup {n}")),
                self.text(&schedule.to_string())
            )
        })?;
        self.insert(sql, "job_actions", "id, job_id, action_id, position", self.data.jobs, |n| {
            let (link, job, action) =
                (self.id(ObjectKind::Link, n), self.id(ObjectKind::Job, n), self.id(ObjectKind::Action, n));
            format!("{link}, {job}, {action}, 0")
        })
    }

    /// Returns whether the sessions are running. Sessions of one job are. Their tag is 1 and their hold-off is decades, so a
    /// start with tag 0 always joins the run, is accepted and is stored.
    fn runs(&self) -> bool {
        self.data.session_jobs == 1
    }

    fn sessions(&self, sql: &mut dyn Write) -> io::Result<()> {
        let columns = "id, session_tag, description, hold_off, schedule, job, time_start, time_end, time_started, \
                       time_ended, status, result";
        let (tag, hold_off, start, status) = match self.runs() {
            true => ("1", "2000000000", EPOCH.to_string(), "running"),
            // An hour, so no node can join too late.
            false => ("0", "3600", "-1".to_owned(), "scheduled"),
        };
        self.insert_owned(sql, "sessions", columns, self.data.session_count(), |n| {
            let jobs: serde_json::Map<_, _> =
                self.data.jobs_of_session(n).map(|job| self.member(job)).collect();
            let jobs = serde_json::Value::Object(jobs);
            format!(
                "{}, {tag}, 'nightly', {hold_off}, {}, {}, {start}, -1, -1, -1, '{status}', ''",
                self.id(ObjectKind::Session, n),
                self.text(r#"{"schedule_interval": "1 days"}"#),
                self.text(&jobs.to_string())
            )
        })
    }

    /// Returns the entry of a session for one of its jobs.
    fn member(&self, job: u64) -> (String, serde_json::Value) {
        let (status, started) =
            if self.runs() { ("running", json!(EPOCH)) } else { ("scheduled", json!(-1)) };
        let state = json!({
            "client_id": self.data.client(self.data.client_of_job(job)),
            "status": status,
            "result": "",
            "time_started": started,
            "time_ended": -1
        });
        (self.data.id(ObjectKind::Job, job), state)
    }

    fn backups(&self, sql: &mut dyn Write) -> io::Result<()> {
        let columns = "id, job_id, backup_metadata";
        self.insert_owned(sql, "backups", columns, self.data.backups, |n| {
            let job = self.data.id(ObjectKind::Job, n % self.data.jobs);
            let metadata = scenario::backup(n, &self.data.backup_name(n), &job);
            format!("{}, {}, {}", self.id(ObjectKind::Backup, n), self.text(&job), self.text(&metadata))
        })
    }

    /// Inserts rows into a table with the columns project and user.
    fn insert_owned(
        &self,
        sql: &mut dyn Write,
        table: &str,
        columns: &str,
        count: u64,
        row: impl Fn(u64) -> String,
    ) -> io::Result<()> {
        let owner = format!("{}, {}", self.text(&self.data.project), self.text(USER));
        let columns = format!("{columns}, project_id, user_id");
        self.insert(sql, table, &columns, count, |n| format!("{}, {owner}", row(n)))
    }

    fn insert(
        &self,
        sql: &mut dyn Write,
        table: &str,
        columns: &str,
        count: u64,
        row: impl Fn(u64) -> String,
    ) -> io::Result<()> {
        for n in 0..count {
            match n % ROWS_PER_INSERT {
                0 => write!(sql, "INSERT INTO {table} ({columns}, deleted, created_at) VALUES\n(")?,
                _ => sql.write_all(b",\n(")?,
            }
            write!(sql, "{}, 0, {})", row(n), self.dialect.created_at(n))?;
            if n % ROWS_PER_INSERT == ROWS_PER_INSERT - 1 || n + 1 == count {
                sql.write_all(b";\n")?;
            }
        }
        Ok(())
    }
}

/// Returns a `freezer_action` as operators write them. A job with this action has about 1 KB.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::dataset::tests::small;

    fn sql(data: &Dataset, dialect: SeedDialect) -> String {
        let mut sql = Vec::new();
        Rows { data, dialect }.write(&mut sql).unwrap();
        String::from_utf8(sql).unwrap()
    }

    #[test]
    fn rows_do_not_depend_on_time_or_dialect() {
        let inserts = |dialect| {
            let text = sql(&Dataset { backups: 3, ..small() }, dialect);
            text.lines().filter(|line| line.starts_with('(')).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(inserts(SeedDialect::MySql), inserts(SeedDialect::MySql));
        let whole_seconds =
            |rows: Vec<String>| rows.iter().map(|row| row.replace(".000000')", "')")).collect::<Vec<_>>();
        assert_eq!(inserts(SeedDialect::MySql), whole_seconds(inserts(SeedDialect::Sqlite)));
    }

    #[test]
    fn every_table_gets_its_rows_in_batches() {
        let data = Dataset { jobs: 1_001, backups: 1, ..small() };
        let sql = sql(&data, SeedDialect::MySql);
        for (table, inserts) in [("clients", 1), ("actions", 3), ("jobs", 3), ("sessions", 2), ("backups", 1)]
        {
            let found = sql.matches(&format!("INSERT INTO {table} (")).count();
            assert_eq!(found, inserts, "{table}");
        }
        assert_eq!(sql.matches(&format!("'{}'", data.id(ObjectKind::Job, 1_000))).count(), 2, "job and link");
        assert!(!sql.contains("VALUES\n(;"));
    }

    #[test]
    fn sessions_of_many_jobs_have_not_run() {
        let data = Dataset { sessions: 2, session_jobs: 10, ..small() };
        let sql = sql(&data, SeedDialect::MySql);
        let session = sql.lines().find(|line| line.contains("'nightly'")).unwrap();
        assert!(session.contains(", 0, 'nightly', 3600, "), "{session}");
        assert_eq!(session.matches(r#""status":"scheduled""#).count(), 10, "{session}");
    }

    #[test]
    fn only_rows_of_the_benchmark_are_removed() {
        let mut posted = Vec::new();
        Rows { data: &small(), dialect: SeedDialect::MySql }.clean_posted(&mut posted).unwrap();
        let text = sql(&small(), SeedDialect::MySql) + &String::from_utf8(posted).unwrap();
        let deletes: Vec<_> = text.lines().filter(|line| line.contains("DELETE")).collect();
        assert_eq!(deletes.len(), 8);
        for line in deletes {
            assert!(line.contains("project_id = 'p1' AND user_id = 'freezer-bench'"), "{line}");
        }
    }

    #[test]
    fn a_job_is_about_one_kilobyte() {
        let size = action("bench-99", 999).to_string().len();
        assert!((450..700).contains(&size), "{size} bytes of action, to which the job adds about 450");
    }
}
