//! The requests of a node, their times, and the checks of their answers.
//!
//! Order and bodies are those of freezer-scheduler 19.0.0. The first poll returns a job, which the scheduler reports as
//! scheduled. A run is reported as running, and again with the process id of the agent. The agent posts its backup. Then
//! the job is reported as completed. Every report contains the whole `job_schedule`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::tally::Operation;
use super::{Fleet, Phase};
use crate::clock;
use crate::dataset::{ObjectKind, PAGE};
use crate::http::{Answer, Connection};
use crate::scenario::{self, headers};

/// The time limit of a request.
const PATIENCE: Duration = Duration::from_secs(60);
/// The duration of the agent's work.
const WORK: Duration = Duration::from_secs(2);
/// The time between the registration and the first poll, and between this poll and the earliest run.
const PAUSE: Duration = Duration::from_secs(1);
/// The minimum time between the start of a run and the end of the simulation.
const LAST_RUN: Duration = Duration::from_secs(5);

/// The times of the nodes' requests.
#[derive(Debug, Clone)]
pub struct NodeTimes {
    /// The time between two polls of a node.
    pub interval: Duration,
    /// The time after which no request is due, except for those of a started run.
    pub duration: Duration,
    /// The number of nodes that run their job.
    pub runs: u64,
    /// The distribution of the polls.
    pub phase: Phase,
}

impl NodeTimes {
    /// Returns the time of a node's registration, from the start of the simulation.
    pub fn registers(&self, node: u64) -> Duration {
        match self.phase {
            Phase::Aligned => Duration::ZERO,
            Phase::Jittered => self.interval.mul_f64(fraction(node, 1)),
        }
    }

    /// Returns the time of a node's first poll.
    pub fn polls(&self, node: u64) -> Duration {
        self.registers(node) + PAUSE
    }

    /// Returns the time at which a node runs its job, if it does. The nodes with the lowest numbers do.
    pub fn runs(&self, node: u64) -> Option<Duration> {
        let first = self.polls(node) + PAUSE;
        let room = self.duration.saturating_sub(first + LAST_RUN);
        (node < self.runs).then(|| first + room.mul_f64(fraction(node, 2)))
    }
}

/// Returns a number from 0 to 1 that depends only on the node and the purpose (splitmix64).
fn fraction(node: u64, purpose: u64) -> f64 {
    let mut state = node.wrapping_mul(4).wrapping_add(purpose).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((state ^ (state >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

struct SimulatedNode {
    fleet: Arc<Fleet>,
    number: u64,
    name: String,
    completed: AtomicBool,
}

/// Runs the node from its registration to the last poll.
pub async fn live(fleet: Arc<Fleet>, number: u64) {
    let (start, plan) = (fleet.start, fleet.plan.clone());
    let node =
        SimulatedNode { name: fleet.data.client(number), fleet, number, completed: AtomicBool::new(false) };
    let due = start + plan.registers(number);
    sleep_until(due).await;
    node.register(due).await;
    let first = start + plan.polls(number);
    sleep_until(first).await;
    let Some(mut schedule) = node.poll(first).await else { return };
    schedule.insert("event".to_owned(), "".into());
    node.report(&mut schedule, &[("status", "scheduled".into())]).await;
    // A scheduler continues to poll while its job runs.
    tokio::join!(node.polls(first), node.run(schedule, plan.runs(number)));
}

impl SimulatedNode {
    async fn polls(&self, first: Instant) {
        let mut due = first + self.fleet.plan.interval;
        while due < self.fleet.start + self.fleet.plan.duration {
            sleep_until(due).await;
            self.poll(due).await;
            due += self.fleet.plan.interval;
        }
    }

    async fn run(&self, mut schedule: Map<String, Value>, at: Option<Duration>) {
        let Some(at) = at else { return };
        let due = self.fleet.start + at;
        sleep_until(due).await;
        let running = [
            ("status", "running".into()),
            ("result", "".into()),
            ("time_started", clock::now().unix_timestamp().into()),
            ("time_ended", json!(-1)),
        ];
        self.report_due(due, &mut schedule, &running).await;
        self.report(&mut schedule, &[("current_pid", json!(10_000 + self.number))]).await;
        sleep(WORK).await;
        let job = self.fleet.data.id(ObjectKind::Job, self.number);
        let body = scenario::report("daily", &job);
        self.ask(Operation::Backup, Instant::now(), "POST", "backups/", &body, 201, |_| Ok(())).await;
        let completed = [
            ("status", "completed".into()),
            ("result", "success".into()),
            ("time_ended", clock::now().unix_timestamp().into()),
        ];
        self.report(&mut schedule, &completed).await;
        self.completed.store(true, Ordering::Release);
    }

    async fn register(&self, due: Instant) {
        let body = json!({
            "client_id": self.name,
            "hostname": self.name,
            "supported_actions": ["backup", "restore", "info", "admin", "exec"],
            "supported_modes": ["fs", "mongo", "mysql", "sqlserver", "cinder", "glance", "cindernative", "nova"],
            "supported_storages": ["local", "swift", "ssh", "s3", "ftp", "ftps"],
            "supported_engines": ["tar", "rsync", "rsyncv2", "nova", "osbrick", "glance"],
            "is_central": false
        });
        self.ask(Operation::Register, due, "POST", "clients/", &body.to_string(), 201, |_| Ok(())).await;
    }

    /// Polls, and returns the schedule of the node's job. Until the job is completed, each poll must return this job only.
    /// Afterwards, it must return no job.
    async fn poll(&self, due: Instant) -> Option<Map<String, Value>> {
        let path = format!("jobs/?limit={PAGE}&offset=0&all_projects=False");
        let body = json!({"match_not": [{"status": "completed"}], "match": [{"client_id": self.name}]});
        let before = self.completed.load(Ordering::Acquire);
        let check = |answer: &Answer| {
            let (jobs, schedule) = self.jobs_of(answer)?;
            match (jobs, before) {
                (1, false) | (0, true) => Ok(schedule),
                // The report of the completion had not been answered yet.
                (0, false) if self.fleet.plan.runs(self.number).is_some() => Ok(schedule),
                _ => Err(format!("{jobs} jobs in a poll of {}, completed: {before}", self.name)),
            }
        };
        self.ask(Operation::Poll, due, "GET", &path, &body.to_string(), 200, check).await.flatten()
    }

    fn jobs_of(&self, answer: &Answer) -> Result<(usize, Option<Map<String, Value>>), String> {
        let mut document: Value =
            serde_json::from_slice(&answer.body).map_err(|error| format!("a poll's answer: {error}"))?;
        let jobs = document.get_mut("jobs").and_then(Value::as_array_mut).ok_or("a poll without jobs")?;
        if let Some(foreign) =
            jobs.iter().find(|job| job.get("client_id") != Some(&self.name.as_str().into()))
        {
            return Err(format!("job {:?} in a poll of {}", foreign.get("job_id"), self.name));
        }
        let schedule = jobs.first_mut().and_then(|job| job.get_mut("job_schedule")).map(Value::take);
        let schedule = match schedule {
            Some(Value::Object(schedule)) => Some(schedule),
            _ => None,
        };
        Ok((jobs.len(), schedule))
    }

    async fn report(&self, schedule: &mut Map<String, Value>, changes: &[(&str, Value)]) {
        self.report_due(Instant::now(), schedule, changes).await;
    }

    async fn report_due(&self, due: Instant, schedule: &mut Map<String, Value>, changes: &[(&str, Value)]) {
        for (key, value) in changes {
            schedule.insert((*key).to_owned(), value.clone());
        }
        let body = json!({"job_schedule": schedule, "session_id": "", "session_tag": 0}).to_string();
        let path = format!("jobs/{}", self.fleet.data.id(ObjectKind::Job, self.number));
        self.ask(Operation::Patch, due, "PATCH", &path, &body, 200, |_| Ok(())).await;
    }

    /// Sends one request on a new connection, and waits until fewer than the maximum are open. Its latency counts from the due
    /// time.
    #[expect(
        clippy::too_many_arguments,
        reason = "a request has that many parts, and each is named at the call"
    )]
    async fn ask<T>(
        &self,
        operation: Operation,
        due: Instant,
        method: &str,
        path: &str,
        body: &str,
        status: u16,
        check: impl FnOnce(&Answer) -> Result<T, String>,
    ) -> Option<T> {
        let Fleet { server, data, tally, sockets, .. } = &*self.fleet;
        let target = format!("/v2/{}/{path}", data.project);
        let request = server.request(method, &target, &headers(&data.project), body);
        let exchange = async {
            let _socket = sockets.acquire().await;
            Connection::open(server).await?.exchange(&request).await
        };
        let answer = match timeout(PATIENCE, exchange).await {
            Ok(Ok(answer)) if answer.status == status => Ok(answer),
            Ok(Ok(answer)) => Err(format!(
                "{method} {target}: status {}: {}",
                answer.status,
                String::from_utf8_lossy(&answer.body)
            )),
            Ok(Err(error)) => Err(format!("{method} {target}: {error}")),
            Err(_) => Err(format!("{method} {target}: no answer within {PATIENCE:?}")),
        };
        let latency = due.elapsed();
        match answer.and_then(|answer| check(&answer)) {
            Ok(found) => {
                tally.add(operation, latency);
                Some(found)
            }
            Err(reason) => {
                tally.fail(operation, reason);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(phase: Phase) -> NodeTimes {
        NodeTimes { interval: Duration::from_secs(60), duration: Duration::from_secs(600), runs: 700, phase }
    }

    #[test]
    fn jittered_nodes_are_spread_over_the_interval_and_aligned_ones_are_not() {
        let jittered = plan(Phase::Jittered);
        let in_first_half =
            (0..1_000).filter(|node| jittered.registers(*node) < jittered.interval / 2).count();
        assert!((400..600).contains(&in_first_half), "{in_first_half}");
        assert!((0..1_000).all(|node| jittered.registers(node) < jittered.interval));
        assert!((0..1_000).all(|node| plan(Phase::Aligned).registers(node).is_zero()));
    }

    #[test]
    fn the_given_number_of_nodes_run_between_first_poll_and_end() {
        let plan = plan(Phase::Jittered);
        let runs: Vec<_> = (0..1_000).filter_map(|node| Some((plan.polls(node), plan.runs(node)?))).collect();
        assert_eq!(runs.len(), 700);
        assert!(runs.iter().all(|(poll, run)| poll < run && *run <= plan.duration - LAST_RUN));
        let early = runs.iter().filter(|(_, run)| *run < plan.duration / 2).count();
        assert!((250..450).contains(&early), "{early}");
    }
}
