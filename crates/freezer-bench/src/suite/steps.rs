//! The steps of `compare` that measure both services on MariaDB: their loads, data sets and durations.
//!
//! Unless stated otherwise, all loads open a connection for each request, as schedulers do. The Python service closes
//! every connection anyway.

use std::time::Duration;

use super::service::Service;
use super::{OWN, PEER, StepError, Suite, database_url};
use crate::dataset::Dataset;
use crate::http::Authority;
use crate::load::Load;
use crate::mariadb::Database;
use crate::record::BenchRecord;
use crate::run::{self, ProcessMeasurement, Processes, RunArguments};
use crate::scenario::Scenario;
use crate::seed;
use crate::session_round::Rounds;

/// The steps in their order. The Python service needs minutes for the largest poll, so this step is late: if the time limit is
/// reached, the other results exist. The memory of both services is read at the end.
pub const NAMES: [&str; 10] =
    ["start", "read", "search", "sessions", "auth", "write", "sqlite", "poll", "poll-one", "memory"];

/// The number of nodes in a session.
const NODES: u64 = 50;
/// The number of rounds for the Python service and for this service, which is faster.
const PEER_ROUNDS: u64 = 5;
const OWN_ROUNDS: u64 = 20;
/// The largest project for polls of the Python service. With 100,000 jobs, one poll takes about four minutes.
const LARGEST_OF_PEER: u64 = 10_000;
/// The number of connections of a larger load. The usual 8 connections keep the Python service busy, but this service
/// waits a part of the time for the next request.
pub const BUSY: u16 = 32;
/// The time limit of a request. An answer of the Python service can take minutes.
const PATIENCE: f64 = 600.0;

/// The numbers of jobs in the projects for polls.
pub fn sizes(quick: bool) -> &'static [u64] {
    if quick { &[100, 1_000, 10_000] } else { &[100, 1_000, 10_000, 100_000] }
}

/// Returns a project with this number of jobs. Each node has ten of them, so the size of a poll's answer does not depend on
/// the size of the project.
pub fn jobs(count: u64) -> Dataset {
    Dataset {
        project: format!("{count:032}"),
        jobs: count,
        clients: count / 10,
        sessions: 0,
        session_jobs: 1,
        backups: 0,
    }
}

/// Returns a project with this number of nodes with one job each, as in the fleet.
fn nodes(count: u64) -> Dataset {
    Dataset { project: format!("{:032}", count + 1), clients: count, ..jobs(count) }
}

/// The numbers of nodes in these projects.
fn fleets(quick: bool) -> &'static [u64] {
    if quick { &[1_000] } else { &[1_000, 10_000] }
}

fn catalogue(quick: bool) -> Dataset {
    let backups = if quick { 10_000 } else { 100_000 };
    Dataset { project: format!("{:032}", 7), backups, ..jobs(100) }
}

fn rounds() -> Dataset {
    let (sessions, session_jobs) = (PEER_ROUNDS.max(OWN_ROUNDS), NODES);
    let jobs_in_all = sessions * session_jobs;
    Dataset { project: format!("{:032}", 5), clients: NODES, sessions, session_jobs, ..jobs(jobs_in_all) }
}

/// Returns the data sets of both databases.
pub fn datasets(quick: bool) -> Vec<Dataset> {
    let polled = sizes(quick).iter().map(|count| jobs(*count));
    let fleets = fleets(quick).iter().map(|count| nodes(*count));
    polled.chain(fleets).chain([catalogue(quick), rounds()]).collect()
}

/// A load for both services.
pub struct Measure {
    /// The kind of requests.
    pub scenario: Scenario,
    /// The data set.
    pub data: Dataset,
    /// The number of connections.
    pub connections: u16,
    /// Whether connections are kept open if the service supports this.
    pub kept: bool,
    /// The number of requests for the Python service in a single run, for slow requests. None means the same duration and
    /// number of runs as for this service.
    pub peer_requests: Option<u64>,
}

impl Measure {
    /// Creates a load with 8 new connections.
    pub fn new(scenario: Scenario, data: Dataset) -> Measure {
        Measure { scenario, data, connections: 8, kept: false, peer_requests: None }
    }

    /// Creates a load with [`BUSY`] new connections.
    pub fn busy(scenario: Scenario, data: Dataset) -> Measure {
        Measure { connections: BUSY, ..Measure::new(scenario, data) }
    }
}

impl Suite {
    /// Returns the number of repetitions of each load.
    pub(super) fn repetitions(&self) -> u32 {
        if self.options.quick { 1 } else { 3 }
    }

    fn seconds(&self) -> f64 {
        if self.options.quick { 1.5 } else { 4.0 }
    }

    /// Measures both services alternately, so other load on the machine affects both.
    pub(super) async fn measure(&mut self, measure: &Measure) -> Result<(), StepError> {
        for repetition in 0..self.repetitions() {
            let arguments = self.arguments(&self.own, measure, repetition);
            self.run(arguments, measure).await?;
            let slow = measure.peer_requests.is_some();
            if let Some(peer) = self.peer.as_ref().filter(|_| repetition == 0 || !slow) {
                let arguments = self.arguments(peer, measure, repetition);
                self.run(arguments, measure).await?;
            }
        }
        Ok(())
    }

    async fn run(&mut self, arguments: RunArguments, measure: &Measure) -> Result<(), StepError> {
        let record = run::execute(&arguments).await?;
        if measure.scenario == Scenario::PostBackup {
            // The next load must find the same number of rows.
            let name = if arguments.label == OWN { "own" } else { "peer" };
            seed::remove_posted(&database_url(&self.options, name), &measure.data).await?;
        }
        self.keep(record)
    }

    pub(super) fn arguments(&self, service: &Service, measure: &Measure, repetition: u32) -> RunArguments {
        let peer = service.setup.label == PEER;
        let requests = measure.peer_requests.filter(|_| peer);
        let sqlite = service.setup.connection.starts_with("sqlite");
        let sql_requests = match (repetition, peer) {
            (0, false) => 5,
            (0, true) => 3,
            _ => 0,
        };
        RunArguments {
            url: service.url(),
            label: service.setup.label.clone(),
            scenario: measure.scenario,
            data: measure.data.clone(),
            connections: measure.connections,
            new_connections: !measure.kept,
            seconds: if requests.is_some() { PATIENCE } else { self.seconds() },
            requests,
            rate: None,
            warmup: if requests.is_some() { 0.0 } else { 0.5 },
            timeout: PATIENCE,
            pid: vec![service.pid],
            database_pid: None,
            mysql_status: (!sqlite).then(|| service.setup.connection.clone()),
            sql_requests: if requests.is_some() && measure.connections > 1 { 0 } else { sql_requests },
            json: None,
            engine: if sqlite { "SQLite" } else { "MariaDB" }.to_owned(),
        }
    }

    /// Measures GET of one job and of a page of jobs.
    pub(super) async fn reads(&mut self) -> Result<(), StepError> {
        self.measure(&Measure::new(Scenario::GetJob, jobs(1_000))).await?;
        self.measure(&Measure::busy(Scenario::GetJob, jobs(1_000))).await?;
        self.measure(&Measure { kept: true, ..Measure::new(Scenario::GetJob, jobs(1_000)) }).await?;
        self.measure(&Measure::new(Scenario::List, jobs(1_000))).await
    }

    /// Measures the scheduler's poll in projects of all sizes: with one connection for the latency, and with several for the
    /// throughput.
    pub(super) async fn polls(&mut self) -> Result<(), StepError> {
        for size in sizes(self.options.quick) {
            let one = Measure { connections: 1, ..Measure::new(Scenario::Poll, jobs(*size)) };
            let alone = match size {
                ..1_000 => 10,
                1_000 => 5,
                10_000 if !self.options.quick => 2,
                _ => 1,
            };
            if *size > LARGEST_OF_PEER {
                for repetition in 0..self.repetitions() {
                    let arguments = self.arguments(&self.own, &one, repetition);
                    self.run(arguments, &one).await?;
                }
                continue;
            }
            self.measure(&Measure { peer_requests: Some(alone), ..one }).await?;
            let many = match size {
                ..1_000 => Some(40),
                1_000 => Some(16),
                10_000 if !self.options.quick => Some(8),
                _ => None,
            };
            if let Some(requests) = many {
                let many = Measure::new(Scenario::Poll, jobs(*size));
                self.measure(&Measure { peer_requests: Some(requests), ..many }).await?;
                // This is one request for each connection.
                let busy = Measure::busy(Scenario::Poll, jobs(*size));
                self.measure(&Measure { peer_requests: Some(BUSY.into()), ..busy }).await?;
            }
        }
        Ok(())
    }

    /// Measures the same polls in projects whose nodes have one job each.
    pub(super) async fn polls_of_one(&mut self) -> Result<(), StepError> {
        for count in fleets(self.options.quick) {
            let requests = if *count > 1_000 { 8 } else { 16 };
            let poll = Measure::new(Scenario::PollOne, nodes(*count));
            self.measure(&Measure { peer_requests: Some(requests), ..poll }).await?;
        }
        Ok(())
    }

    /// Measures a search by a key without a column in the whole catalogue.
    pub(super) async fn searches(&mut self) -> Result<(), StepError> {
        let data = catalogue(self.options.quick);
        let search = Measure { connections: 1, ..Measure::new(Scenario::SearchBackups, data) };
        self.measure(&Measure { peer_requests: Some(2), ..search }).await
    }

    /// Measures sessions: all nodes start one, then all end it.
    pub(super) async fn sessions(&mut self) -> Result<(), StepError> {
        let own = self.rounds(&self.own, OWN_ROUNDS).await?;
        self.keep(own)?;
        if let Some(peer) = &self.peer {
            let peer = self.rounds(peer, PEER_ROUNDS).await?;
            self.keep(peer)?;
        }
        Ok(())
    }

    async fn rounds(&self, service: &Service, count: u64) -> Result<BenchRecord, StepError> {
        let data = rounds();
        let mut record = BenchRecord {
            label: service.setup.label.clone(),
            engine: "MariaDB".to_owned(),
            scenario: "session_round".to_owned(),
            jobs: NODES,
            connections: NODES as u16,
            new_connections: true,
            ..BenchRecord::default()
        };
        let processes = Processes {
            server: vec![service.pid],
            database: Database::from_url(&service.setup.connection)?.server_pid()?,
        };
        self.warm_up(service).await?;
        let measurement = ProcessMeasurement::begin(&processes)?;
        let server = Authority::from_url(&service.url())?;
        let timeout = Duration::from_secs_f64(PATIENCE);
        Rounds { server, data, first: 0, rounds: count, timeout }.drive(&mut record).await;
        measurement.end(&mut record)?;
        Ok(record)
    }

    /// Runs a short load of other requests, so connections to the database are open.
    async fn warm_up(&self, service: &Service) -> Result<(), StepError> {
        let load = Load {
            server: Authority::from_url(&service.url())?,
            scenario: Scenario::GetJob,
            data: jobs(1_000),
            connections: 8,
            new_connections: true,
            rate: None,
            duration: Duration::from_millis(500),
            requests: None,
            timeout: Duration::from_secs_f64(PATIENCE),
        };
        load.drive().await;
        Ok(())
    }
}
