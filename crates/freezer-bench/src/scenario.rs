//! The requests of the benchmark and the checks of their answers. Path, query and body are exactly those of
//! freezer-scheduler 19.0.0 and the agent. Every answer is checked, because a server with wrong answers can be
//! fast.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use crate::dataset::{Dataset, ObjectKind, PAGE, USER};
use crate::http::{Answer, Authority};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Scenario {
    /// GET of one job.
    GetJob,
    /// The poll of a scheduler: GET of the jobs of one client, with the search in the body.
    Poll,
    /// The same poll, in a project whose nodes have one job each.
    PollOne,
    /// GET of the first ten jobs of the project.
    List,
    /// POST of a backup, as the agent sends it.
    PostBackup,
    /// POST of the start of a session, by a scheduler that joins a run.
    SessionStart,
    /// GET of the backups with one name. This searches by a key without a column, and few rows match.
    SearchBackups,
}

/// The token of every request. The Keystone of the step `auth` accepts it.
pub const TOKEN: &str = "freezer-bench-token";

/// A multiplier that has no common factor with the usual sizes, so consecutive requests use distant rows.
const STRIDE: u64 = 7_919;

impl Scenario {
    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::GetJob => "get_job",
            Scenario::Poll => "poll",
            Scenario::PollOne => "poll_one",
            Scenario::List => "list",
            Scenario::PostBackup => "post_backup",
            Scenario::SessionStart => "session_start",
            Scenario::SearchBackups => "search_backups",
        }
    }

    /// Returns whether this request changes nothing, so its answer is always the same.
    pub fn reads(self) -> bool {
        !matches!(self, Scenario::PostBackup | Scenario::SessionStart)
    }

    /// Returns the request with this number. Consecutive numbers use all of the data set.
    pub fn request(self, number: u64, data: &Dataset, server: &Authority) -> Vec<u8> {
        let project = &data.project;
        let (method, target, body) = match self {
            Scenario::GetJob => ("GET", format!("/v2/{project}/jobs/{}", job(number, data)), String::new()),
            Scenario::Poll | Scenario::PollOne => (
                "GET",
                format!("/v2/{project}/jobs/?limit={PAGE}&offset=0&all_projects=False"),
                format!(
                    r#"{{"match_not": [{{"status": "completed"}}], "match": [{{"client_id": "{}"}}]}}"#,
                    data.client(number % data.clients)
                ),
            ),
            Scenario::List => ("GET", format!("/v2/{project}/jobs?limit={PAGE}"), String::new()),
            Scenario::PostBackup => {
                ("POST", format!("/v2/{project}/backups/"), report("bench", &job(number, data)))
            }
            Scenario::SessionStart => {
                let session = number % data.session_count().max(1);
                (
                    "POST",
                    format!("/v2/{project}/sessions/{}/action", data.id(ObjectKind::Session, session)),
                    // The tag of the session is 1, so a start with tag 0 joins its run and is stored.
                    format!(
                        r#"{{"start": {{"job_id": "{}", "current_tag": 0}}}}"#,
                        data.id(ObjectKind::Job, session)
                    ),
                )
            }
            Scenario::SearchBackups => (
                "GET",
                format!("/v2/{project}/backups/?limit={PAGE}&offset=0"),
                format!(r#"{{"match": [{{"backup_name": "{}"}}]}}"#, data.backup_name(name(number, data))),
            ),
        };
        server.request(method, &target, &headers(project), &body)
    }

    /// Checks an answer.
    ///
    /// # Errors
    /// A description of the expected and the actual answer.
    pub fn check(self, number: u64, data: &Dataset, answer: &Answer) -> Result<(), String> {
        let wanted = match self {
            Scenario::GetJob
            | Scenario::Poll
            | Scenario::PollOne
            | Scenario::List
            | Scenario::SearchBackups => 200,
            Scenario::PostBackup => 201,
            Scenario::SessionStart => 202,
        };
        if answer.status != wanted {
            let start = String::from_utf8_lossy(answer.body.get(..200).unwrap_or(&answer.body)).into_owned();
            return Err(format!("status {} instead of {wanted}: {start}", answer.status));
        }
        match self {
            Scenario::GetJob => one_job(&read::<JobAnswer>(answer)?, &job(number, data)),
            Scenario::Poll | Scenario::PollOne => {
                let client = number % data.clients;
                let jobs = read::<JobsAnswer>(answer)?.jobs;
                many_jobs(&jobs, data.jobs_of_client(client))?;
                let name = data.client(client);
                let foreign = jobs.iter().find(|job| job.client_id != name);
                foreign.map_or(Ok(()), |job| Err(format!("a job of {} in the poll of {name}", job.client_id)))
            }
            Scenario::List => many_jobs(&read::<JobsAnswer>(answer)?.jobs, data.jobs),
            Scenario::PostBackup => {
                let id = read::<PostedBackup>(answer)?.backup_id;
                if id.is_empty() { Err("the backup_id is empty".to_owned()) } else { Ok(()) }
            }
            Scenario::SessionStart => {
                let result = read::<Started>(answer)?.result;
                if result == "success" { Ok(()) } else { Err(format!("the session answers {result}")) }
            }
            Scenario::SearchBackups => {
                found_backups(&read::<BackupsAnswer>(answer)?.backups, name(number, data), data)
            }
        }
    }
}

#[derive(Deserialize)]
struct JobAnswer {
    job_id: String,
    client_id: String,
    job_actions: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct JobsAnswer {
    jobs: Vec<JobAnswer>,
}

#[derive(Deserialize)]
struct PostedBackup {
    backup_id: String,
}

#[derive(Deserialize)]
struct BackupsAnswer {
    backups: Vec<FoundBackup>,
}

#[derive(Deserialize)]
struct FoundBackup {
    backup_metadata: BackupName,
}

#[derive(Deserialize)]
struct BackupName {
    backup_name: String,
}

#[derive(Deserialize)]
struct Started {
    result: String,
}

fn read<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, String> {
    serde_json::from_slice(&answer.body).map_err(|error| format!("the answer's body: {error}"))
}

fn one_job(found: &JobAnswer, wanted: &str) -> Result<(), String> {
    if found.job_id != wanted {
        return Err(format!("job {} instead of {wanted}", found.job_id));
    }
    if found.job_actions.len() == 1 {
        Ok(())
    } else {
        Err(format!("job {wanted} has {} actions instead of 1", found.job_actions.len()))
    }
}

fn many_jobs(found: &[JobAnswer], matching: u64) -> Result<(), String> {
    let wanted = matching.min(PAGE);
    if found.len() as u64 != wanted {
        return Err(format!("{} jobs instead of {wanted}", found.len()));
    }
    found.iter().try_for_each(|job| one_job(job, &job.job_id))
}

fn found_backups(found: &[FoundBackup], name: u64, data: &Dataset) -> Result<(), String> {
    let (wanted, name) = (data.backups_named_as(name).min(PAGE), data.backup_name(name));
    if found.len() as u64 != wanted {
        return Err(format!("{} backups named {name} instead of {wanted}", found.len()));
    }
    let other = found.iter().find(|backup| backup.backup_metadata.backup_name != name);
    other.map_or(Ok(()), |other| {
        Err(format!("{} where {name} was asked for", other.backup_metadata.backup_name))
    })
}

/// Returns the headers of every request. Both services accept the identity headers without Keystone. The client library of
/// the Python service requires a token, but ignores it.
pub fn headers(project: &str) -> [(&str, &str); 7] {
    [
        ("User-Agent", "freezer-bench"),
        ("Accept", "application/json"),
        ("Content-Type", "application/json"),
        ("X-Auth-Token", TOKEN),
        ("X-User-Id", USER),
        ("X-Project-Id", project),
        ("X-Roles", "member,reader"),
    ]
}

/// Returns the number of the name that request `number` searches for.
fn name(number: u64, data: &Dataset) -> u64 {
    number.wrapping_mul(STRIDE) % data.backup_names()
}

fn job(number: u64, data: &Dataset) -> String {
    data.id(ObjectKind::Job, number.wrapping_mul(STRIDE) % data.jobs)
}

/// Returns the report of a backup that no run of any program has reported: the service does not store a report twice.
pub fn report(name: &str, job_id: &str) -> String {
    static REPORTS: AtomicU64 = AtomicU64::new(0);
    let of_process = u64::from(std::process::id() % 1_000) * 1_000_000;
    backup(of_process + REPORTS.fetch_add(1, Ordering::Relaxed), name, job_id)
}

/// Returns the report that the agent of 19.0.0 sends for a backup of files.
pub fn backup(number: u64, name: &str, job_id: &str) -> String {
    let time_stamp = 1_795_333_002 + number;
    format!(
        r#"{{"curr_backup_level": 0, "fs_real_path": "/srv/data", "vol_snap_path": "/srv/data", "client_os": "linux", "client_version": "19.0.0", "time_stamp": {time_stamp}, "action": "backup", "always_level": "", "backup_media": "fs", "backup_name": "{name}", "container": "/srv/backups", "container_segments": "", "dry_run": "", "hostname": "bench-1", "path_to_backup": "/srv/data", "max_level": 5, "log_file": "/var/log/freezer-agent.log", "storage": "local", "mode": "fs", "proxy": "", "compression": "gzip", "ssh_key": "", "ssh_username": "", "ssh_host": "", "ssh_port": 22, "consistency_checksum": "", "cindernative_backup_az": "", "cindernative_backup_container": "freezer_backups", "cindernative_vol_id": "", "nova_inst_id": "", "cinder_vol_id": "", "cinderbrick_vol_id": "", "glance_image_id": "", "engine_name": "tar", "job_id": "{job_id}"}}"#
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::dataset::tests::small;

    fn ok(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec(), keep_alive: true }
    }

    fn job_of(client: &str, actions: &str) -> String {
        format!(r#"{{"job_id": "x", "client_id": "{client}", "job_actions": {actions}, "more": 1}}"#)
    }

    #[test]
    fn a_poll_is_equal_to_that_of_a_scheduler() {
        let server = Authority::from_url("http://h:1").unwrap();
        let text = String::from_utf8(Scenario::Poll.request(13, &small(), &server)).unwrap();
        assert!(
            text.starts_with("GET /v2/p1/jobs/?limit=10&offset=0&all_projects=False HTTP/1.1\r\n"),
            "{text}"
        );
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, r#"{"match_not": [{"status": "completed"}], "match": [{"client_id": "bench-3"}]}"#);
    }

    #[test]
    fn bodies_are_json() {
        let server = Authority::from_url("http://h:1").unwrap();
        for scenario in [Scenario::Poll, Scenario::PostBackup, Scenario::SessionStart] {
            let text = String::from_utf8(scenario.request(3, &small(), &server)).unwrap();
            let (_, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(serde_json::from_str::<serde_json::Value>(body).unwrap().is_object(), "{body}");
        }
    }

    #[test]
    fn a_poll_must_return_exactly_the_jobs_of_the_client() {
        // Client 3 of `small()` has 3 jobs.
        let poll = |jobs: &[String]| {
            let body = format!(r#"{{"jobs": [{}]}}"#, jobs.join(","));
            Scenario::Poll.check(13, &small(), &ok(200, &body))
        };
        let own = job_of("bench-3", "[{}]");
        assert_eq!(poll(&[own.clone(), own.clone(), own.clone()]), Ok(()));
        assert!(poll(&[own.clone(), own.clone()]).unwrap_err().contains("2 jobs instead of 3"));
        let foreign = job_of("bench-4", "[{}]");
        assert!(poll(&[own.clone(), own.clone(), foreign]).unwrap_err().contains("a job of bench-4"));
        let bare = job_of("bench-3", "[]");
        assert!(poll(&[own.clone(), own, bare]).unwrap_err().contains("0 actions"));
    }

    #[test]
    fn other_answers() {
        let data = small();
        let wanted = job(2, &data);
        let right = format!(r#"{{"job_id": "{wanted}", "client_id": "bench-1", "job_actions": [{{}}]}}"#);
        assert_eq!(Scenario::GetJob.check(2, &data, &ok(200, &right)), Ok(()));
        assert!(Scenario::GetJob.check(3, &data, &ok(200, &right)).is_err());
        assert!(Scenario::GetJob.check(2, &data, &ok(404, "")).unwrap_err().contains("404 instead of 200"));
        assert_eq!(Scenario::PostBackup.check(0, &data, &ok(201, r#"{"backup_id": "b"}"#)), Ok(()));
        assert!(Scenario::PostBackup.check(0, &data, &ok(201, "{}")).is_err());
        let held_off = r#"{"result": "hold-off", "session_tag": 1}"#;
        assert!(Scenario::SessionStart.check(0, &data, &ok(202, held_off)).is_err());
    }

    #[test]
    fn a_search_must_return_exactly_the_backups_with_the_name() {
        let data = Dataset { backups: 10, ..small() };
        let named = |name: &str| format!(r#"{{"backup_metadata": {{"backup_name": "{name}"}}}}"#);
        let search = |names: &[&str]| {
            let found: Vec<String> = names.iter().map(|name| named(name)).collect();
            let body = format!(r#"{{"backups": [{}]}}"#, found.join(","));
            Scenario::SearchBackups.check(0, &data, &ok(200, &body))
        };
        assert_eq!(search(&["volume-0"; 5]), Ok(()));
        assert!(search(&["volume-0"; 4]).unwrap_err().contains("4 backups"));
        assert!(search(&["volume-0", "volume-0", "volume-0", "volume-0", "volume-1"]).is_err());
    }
}
