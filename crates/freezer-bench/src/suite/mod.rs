//! `compare`: measures this service and freezer-api 19.0.0 with the same rows on the same MariaDB, and writes a table with
//! ratios and goals. The loads alternate between the services.
//!
//! This file runs everything in order: databases, services, steps (`steps.rs`), results. If a step fails, the other steps still
//! run. The results then name the failed step, and the program ends with an error.

mod extra;
mod rows;
pub mod service;
mod steps;

pub use extra::FLOOR;
pub use steps::BUSY;

use std::fs;
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout};

use crate::dataset::Dataset;
use crate::mariadb::{Database, DatabaseError};
use crate::record::BenchRecord;
use crate::report::{self, summary};
use crate::seed::{self, SeedError};
use service::{Authentication, Service, ServiceError, ServiceKind, Setup};

/// The minimum time limit of a step, also after the time limit of the program.
const LOOK: Duration = Duration::from_secs(5);

/// The label of this service.
pub const OWN: &str = "Rust";
/// The label of freezer-api 19.0.0.
pub const PEER: &str = "Python";

/// Arguments of `compare`.
#[derive(Debug, Clone, clap::Args)]
pub struct CompareArguments {
    /// MariaDB server. Its databases freezer_bench_… are dropped and created: mysql://USER:PASSWORD@HOST:PORT
    #[arg(long, value_name = "URL")]
    pub mysql: String,
    /// Directory of freezer-api and freezer-manage.
    #[arg(long, value_name = "DIR")]
    pub binaries: PathBuf,
    /// Python environment with freezer-api 19.0.0 and uwsgi. Without it, only this service is measured.
    #[arg(long, value_name = "DIR")]
    pub peer: Option<PathBuf>,
    /// WSGI file that uwsgi serves.
    #[arg(long, value_name = "FILE", default_value = "scripts/peer/wsgi.py")]
    pub peer_wsgi: PathBuf,
    /// Directory for results, logs and configurations.
    #[arg(long, value_name = "DIR")]
    pub directory: PathBuf,
    /// First of six ports for the services.
    #[arg(long, default_value_t = 19_190)]
    pub port: u16,
    /// Fewer, shorter and smaller measurements.
    #[arg(long)]
    pub quick: bool,
    /// Only these steps: start, read, search, sessions, auth, write, sqlite, poll, poll-one, memory.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Time limit in minutes. After it, the current step is stopped and no other starts.
    #[arg(long, default_value_t = 25)]
    pub limit: u64,
    /// Also writes results.md and the charts into this directory.
    #[arg(long, value_name = "DIR")]
    pub docs: Option<PathBuf>,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// A service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A seed failed.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A measurement failed.
    #[error(transparent)]
    Run(#[from] crate::run::RunError),
    /// A process cannot be measured.
    #[error(transparent)]
    Process(#[from] crate::process::ProcessError),
    /// The bare driver failed.
    #[error(transparent)]
    Floor(#[from] crate::floor::FloorError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A URL is invalid.
    #[error(transparent)]
    Http(#[from] crate::http::HttpError),
    /// The databases contain different rows.
    #[error("table {table} differs: {ours} for this service, {theirs} for the other")]
    Rows {
        /// The table.
        table: &'static str,
        /// The content for this service.
        ours: String,
        /// The content for the other service.
        theirs: String,
    },
}

/// The services and results that a step needs.
pub struct Suite {
    options: CompareArguments,
    own: Service,
    peer: Option<Service>,
    records: Vec<BenchRecord>,
}

type Step<'a> = Pin<Box<dyn Future<Output = Result<(), StepError>> + 'a>>;

/// Runs the steps and writes the results. Returns whether there was no failure.
///
/// # Errors
/// If the services cannot be started.
pub async fn execute(options: &CompareArguments) -> Result<bool, Box<dyn std::error::Error>> {
    fs::create_dir_all(&options.directory)?;
    let deadline = Instant::now() + Duration::from_secs(options.limit * 60);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut suite = tokio::select! {
        suite = timeout(deadline - Instant::now(), Suite::start(options)) => suite.map_err(|_| "no time left for the start")??,
        _ = interrupt.recv() => return Err("interrupted".into()),
        _ = terminate.recv() => return Err("terminated".into()),
    };
    let mut failures = Vec::new();
    for name in steps::NAMES {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        let begun = Instant::now();
        // The last step reads the memory, which is fast, so it runs even after the time limit.
        let left = deadline.saturating_duration_since(begun).max(LOOK);
        let done = tokio::select! {
            done = timeout(left, suite.step(name)) => done,
            _ = interrupt.recv() => { failures.push("interrupted".to_owned()); break }
            _ = terminate.recv() => { failures.push("terminated".to_owned()); break }
        };
        match done {
            Ok(Ok(())) => say(&format!("{name}: {:.0} s", begun.elapsed().as_secs_f64())),
            Ok(Err(error)) => failures.push(format!("{name}: {error}")),
            Err(_) => failures.push(format!("{name}: given up after {} minutes in all", options.limit)),
        }
    }
    let Suite { own, peer, records, .. } = suite;
    own.stop().await;
    if let Some(peer) = peer {
        peer.stop().await;
    }
    for record in records.iter().filter(|record| record.errors > 0) {
        let first = record.first_error.as_deref().unwrap_or_default();
        // Errors of the Python service are results. Errors of this service are failures.
        if record.label != PEER {
            failures.push(format!(
                "{} {}: {} errors, the first: {first}",
                record.label, record.scenario, record.errors
            ));
        }
    }
    write_results(options, &records, &failures)?;
    Ok(failures.is_empty())
}

/// Writes `table.txt`, `summary.md` and the documentation, and prints the summary.
fn write_results(
    options: &CompareArguments,
    records: &[BenchRecord],
    failures: &[String],
) -> Result<(), Box<dyn std::error::Error>> {
    let file = |name: &str| options.directory.join(name);
    fs::write(file("table.txt"), report::table(records))?;
    let mut text = summary::markdown(records);
    for failure in failures {
        text.push_str(&format!("\nFAILED: {failure}\n"));
    }
    fs::write(file("summary.md"), &text)?;
    if let Some(docs) = &options.docs {
        report::chart::write_all(docs, records)?;
        fs::write(docs.join("results.md"), summary::page(records))?;
    }
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Suite {
    async fn start(options: &CompareArguments) -> Result<Suite, StepError> {
        let _ = fs::remove_file(options.directory.join("results.json"));
        for name in ["own", "peer"] {
            recreate(&options.mysql, &format!("freezer_bench_{name}"))?;
        }
        let setup = own_setup(options, "own", 0, &database_url(options, "own"), Authentication::Headers);
        setup.prepare().await?;
        let peer =
            peer_setup(options, "peer", &database_url(options, "peer").replacen("mysql", "mysql+pymysql", 1));
        if let Some(peer) = &peer {
            peer.prepare().await?;
        }
        for data in steps::datasets(options.quick) {
            let begun = Instant::now();
            seed_all(options, &data, peer.is_some()).await?;
            say(&format!(
                "seeded {} jobs, {} backups: {:.0} s",
                data.jobs,
                data.backups,
                begun.elapsed().as_secs_f64()
            ));
        }
        // The seed bypasses the service, so its rows have no search terms. `db sync` adds them.
        setup.prepare().await?;
        if peer.is_some() {
            rows::same(&database_url(options, "own"), &database_url(options, "peer"))?;
            say("both databases hold the same rows");
        }
        let data = steps::jobs(1_000);
        let (own, _) = setup.start(&data).await?;
        let peer = match peer {
            Some(peer) => Some(peer.start(&data).await?.0),
            None => None,
        };
        Ok(Suite { options: options.clone(), own, peer, records: Vec::new() })
    }

    fn step(&mut self, name: &str) -> Step<'_> {
        match name {
            "start" => Box::pin(self.starts()),
            "read" => Box::pin(self.reads()),
            "poll" => Box::pin(self.polls()),
            "poll-one" => Box::pin(self.polls_of_one()),
            "search" => Box::pin(self.searches()),
            "sessions" => Box::pin(self.sessions()),
            "write" => Box::pin(self.writes()),
            "auth" => Box::pin(self.authentication()),
            "memory" => Box::pin(self.memories()),
            _ => Box::pin(self.sqlite()),
        }
    }

    /// Keeps a result, in the file at once: what was measured survives whatever comes.
    fn keep(&mut self, record: BenchRecord) -> Result<(), StepError> {
        let path = self.options.directory.join("results.json");
        report::append(&path, &record).map_err(std::io::Error::other)?;
        let rate = format!("{:.4} requests/s", record.per_second);
        let n = record.requests;
        say(&format!(
            "  {} {} {} x{}: {rate}, n={n}",
            record.label, record.scenario, record.jobs, record.connections
        ));
        self.records.push(record);
        Ok(())
    }
}

/// Fills both databases with the same rows, at the same time.
async fn seed_all(options: &CompareArguments, data: &Dataset, peer: bool) -> Result<(), StepError> {
    let (own, other) = (database_url(options, "own"), database_url(options, "peer"));
    let second = async { if peer { seed::execute(&other, data).await.map(|_| ()) } else { Ok(()) } };
    let (first, second) = tokio::join!(seed::execute(&own, data), second);
    first?;
    second?;
    Ok(())
}

fn database_url(options: &CompareArguments, name: &str) -> String {
    format!("{}/freezer_bench_{name}", options.mysql.trim_end_matches('/'))
}

fn own_setup(
    options: &CompareArguments,
    name: &str,
    port: u16,
    connection: &str,
    authentication: Authentication,
) -> Setup {
    Setup {
        label: OWN.to_owned(),
        directory: absolute(&options.directory).join(name),
        connection: connection.to_owned(),
        port: options.port + port,
        kind: ServiceKind::Own { binaries: options.binaries.clone(), authentication },
    }
}

fn peer_setup(options: &CompareArguments, name: &str, connection: &str) -> Option<Setup> {
    Some(Setup {
        label: PEER.to_owned(),
        directory: absolute(&options.directory).join(name),
        connection: connection.to_owned(),
        port: options.port + 1,
        kind: ServiceKind::Peer {
            environment: absolute(options.peer.as_ref()?),
            wsgi: absolute(&options.peer_wsgi),
        },
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Makes an empty database.
///
/// # Errors
/// [`DatabaseError`]
pub fn recreate(server: &str, name: &str) -> Result<(), DatabaseError> {
    let database = Database::from_url(&format!("{}/mysql", server.trim_end_matches('/')))?;
    let sql = format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4;");
    database.execute(|out| out.write_all(sql.as_bytes())).map(|_| ())
}
