//! `fleet`: simulates many nodes that use one process of this service. Each node registers, polls once a minute, and runs its
//! job at some time, with the requests of freezer-scheduler 19.0.0 and its agent. Each request opens a connection. At the
//! end, every job that ran must be completed and have one backup in the catalogue.
//!
//! This file contains the arguments, the start and the end. The requests of a node are in `node.rs`, the counters in
//! `tally.rs`, and the check of the database in `content.rs`.

mod content;
mod node;
mod tally;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, timeout};

use crate::dataset::Dataset;
use crate::http::Authority;
use crate::mariadb::Database;
use crate::record::BenchRecord;
use crate::run::{ProcessMeasurement, Processes};
use crate::seed;
use crate::suite::service::{Authentication, Service, ServiceKind, Setup};
use crate::suite::{OWN, recreate};
use node::NodeTimes;
use tally::FleetTally;

/// The database of the simulation.
const DATABASE: &str = "freezer_bench_fleet";
/// The project of all nodes.
const PROJECT: &str = "00000000000000000000000000000009";
/// The time limit for all answers after the last request is due.
const AFTERWARDS: Duration = Duration::from_secs(90);
/// Maximum number of open connections: Linux has 28,232 local ports for the connections to one address.
const MAX_SOCKETS: usize = 28_000;
/// File descriptors for everything except connections to the service.
const OTHER_FILES: usize = 256;
/// The interval of progress messages.
const PROGRESS: Duration = Duration::from_secs(30);

/// Arguments of `fleet`.
#[derive(Debug, Clone, clap::Args)]
pub struct FleetArguments {
    /// MariaDB server. Its database freezer_bench_fleet is dropped and created: mysql://USER:PASSWORD@HOST:PORT
    #[arg(long, value_name = "URL")]
    pub mysql: String,
    /// Directory of freezer-api and freezer-manage.
    #[arg(long, value_name = "DIR")]
    pub binaries: PathBuf,
    /// Directory for results, logs and configurations.
    #[arg(long, value_name = "DIR")]
    pub directory: PathBuf,
    /// Port of the service.
    #[arg(long, default_value_t = 19_190)]
    pub port: u16,
    /// Number of nodes.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub nodes: u64,
    /// Duration in minutes.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub minutes: u64,
    /// Seconds between two polls of a node.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub interval: u64,
    /// Number of nodes that run their job in this time. By default, a tenth of the nodes for each minute.
    #[arg(long)]
    pub runs: Option<u64>,
    /// Distribution of the polls.
    #[arg(long, value_enum, default_value_t = Phase::Jittered)]
    pub phase: Phase,
}

/// The distribution of the polls of different nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Phase {
    /// Over the whole interval, like nodes that were started at different times.
    Jittered,
    /// At the same moment, like nodes after a power failure.
    Aligned,
}

/// The state that all nodes share.
pub struct Fleet {
    server: Authority,
    data: Dataset,
    start: Instant,
    plan: NodeTimes,
    tally: FleetTally,
    /// One for each connection that may be open.
    sockets: Semaphore,
}

impl FleetArguments {
    fn runs(&self) -> u64 {
        self.runs.unwrap_or(self.nodes * self.minutes / 10).min(self.nodes)
    }

    fn data(&self) -> Dataset {
        let project = PROJECT.to_owned();
        Dataset { project, jobs: self.nodes, clients: self.nodes, sessions: 0, session_jobs: 1, backups: 0 }
    }

    fn database(&self) -> String {
        format!("{}/{DATABASE}", self.mysql.trim_end_matches('/'))
    }

    fn setup(&self) -> Result<Setup, std::io::Error> {
        Ok(Setup {
            label: OWN.to_owned(),
            directory: std::path::absolute(&self.directory)?.join("fleet"),
            connection: self.database(),
            port: self.port,
            kind: ServiceKind::Own {
                binaries: self.binaries.clone(),
                authentication: Authentication::Headers,
            },
        })
    }
}

/// Returns how many connections may be open with this limit of open files. A request for which none is free waits, and this time
/// is part of its latency.
fn open_sockets(files: Option<u64>) -> usize {
    let files = files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
    files.saturating_sub(OTHER_FILES).clamp(1, MAX_SOCKETS)
}

/// Runs the simulation and prints the result. Returns whether there was no error.
///
/// # Errors
/// If the service cannot be started, or if it has ended before the simulation.
pub async fn execute(arguments: &FleetArguments) -> Result<bool, Box<dyn std::error::Error>> {
    fs::create_dir_all(&arguments.directory)?;
    let (setup, data) = (arguments.setup()?, arguments.data());
    recreate(&arguments.mysql, DATABASE)?;
    setup.prepare().await?;
    seed::execute(&arguments.database(), &data).await?;
    let database = Database::from_url(&arguments.database())?;
    content::forget_clients(&database, &data.project)?;
    let (service, _) = setup.start(&data).await?;
    let text = tokio::select! {
        text = simulate(arguments, &service, &database) => text,
        () = ended_by_signal() => Err("ended by a signal".into()),
    };
    service.stop().await;
    let (text, well) = text?;
    fs::write(arguments.directory.join("fleet.md"), &text)?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(well)
}

async fn ended_by_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
}

async fn simulate(
    arguments: &FleetArguments,
    service: &Service,
    database: &Database,
) -> Result<(String, bool), Box<dyn std::error::Error>> {
    let processes = Processes { server: vec![service.pid], database: database.server_pid()? };
    let duration = Duration::from_secs(arguments.minutes * 60);
    let fleet = Arc::new(Fleet {
        server: Authority::from_url(&service.url())?,
        data: arguments.data(),
        start: Instant::now() + Duration::from_secs(1),
        plan: NodeTimes {
            interval: Duration::from_secs(arguments.interval),
            duration,
            runs: arguments.runs(),
            phase: arguments.phase,
        },
        tally: FleetTally::default(),
        sockets: Semaphore::new(open_sockets(getrlimit(Resource::Nofile).current)),
    });
    let measurement = ProcessMeasurement::begin(&processes)?;
    let mut nodes = JoinSet::new();
    for number in 0..arguments.nodes {
        nodes.spawn(node::live(fleet.clone(), number));
    }
    let mut progress = interval_at(fleet.start + PROGRESS, PROGRESS);
    let all = async {
        loop {
            tokio::select! {
                ended = nodes.join_next() => match ended {
                    None => return,
                    Some(Ok(())) => {}
                    Some(Err(error)) => fleet.tally.fail(tally::Operation::Poll, error.to_string()),
                },
                _ = progress.tick() => {
                    let _ = writeln!(std::io::stderr(), "{}", fleet.tally.progress(fleet.start.elapsed()));
                }
            }
        }
    };
    let finished = timeout(duration + AFTERWARDS, all).await.is_ok();
    let mut record =
        BenchRecord { label: OWN.to_owned(), scenario: "fleet".to_owned(), ..BenchRecord::default() };
    fleet.tally.whole(&mut record, fleet.start.elapsed());
    measurement.end(&mut record)?;
    let found = content::DatabaseContent::read(database, &fleet.data.project)?;
    let mut well = true;
    let mut text = fleet.tally.markdown(arguments, &record);
    for wrong in found
        .wrong(arguments.runs(), arguments.nodes)
        .into_iter()
        .chain((!finished).then(|| "not every node was done in time".to_owned()))
    {
        well = false;
        text.push_str(&format!("WRONG: {wrong}\n"));
    }
    if well {
        text.push_str(&format!(
            "All {} runs are completed, each with one backup in the catalogue.\n",
            arguments.runs()
        ));
    }
    Ok((text, well && record.errors == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files_and_have_a_local_port() {
        for (files, sockets) in [
            (Some(1_024), 768),
            (Some(20_000), 19_744),
            (Some(1_000_000), 28_000),
            (Some(64), 1),
            (None, 28_000),
        ] {
            assert_eq!(open_sockets(files), sockets, "{files:?}");
        }
    }
}
