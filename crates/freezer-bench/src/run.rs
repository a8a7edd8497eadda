//! `run`: one measurement of one scenario against one service: warm-up, load with CPU time around it, memory, then
//! SQL statements of a fixed number of requests with nothing else going on.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::http::{Authority, HttpError};
use crate::load::{Load, Outcome};
use crate::mariadb::{Database, DatabaseError, StatementCount, Statements};
use crate::process::{self, ProcessError};
use crate::scenario::Scenario;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct RunArguments {
    /// The service: http://HOST:PORT
    #[arg(long)]
    pub url: String,
    /// Name of the service in the table.
    #[arg(long, default_value = "freezer-api")]
    pub label: String,
    /// What is asked.
    #[arg(long, value_enum)]
    pub scenario: Scenario,
    /// The data set, as it was seeded.
    #[command(flatten)]
    pub data: Dataset,
    /// Connections at the same time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: u16,
    /// A new connection for each request, as schedulers open them; without it connections are kept.
    #[arg(long)]
    pub new_connections: bool,
    /// Seconds in which requests begin.
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    pub seconds: f64,
    /// At most so many requests.
    #[arg(long)]
    pub requests: Option<u64>,
    /// Open loop: so many requests are due each second, and latency counts from when a request was due. Without it,
    /// closed loop.
    #[arg(long, value_parser = positive)]
    pub rate: Option<f64>,
    /// Seconds of warm-up, in a closed loop with the same connections.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub warmup: f64,
    /// Seconds that one request may take.
    #[arg(long, default_value_t = 120.0, value_parser = positive)]
    pub timeout: f64,
    /// Process of the service, with its children; more than one by commas.
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Process of the database; without it, what --mysql-status finds out.
    #[arg(long, value_name = "PID")]
    pub database_pid: Option<u32>,
    /// The service's database, to count statements: mysql://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    pub mysql_status: Option<String>,
    /// Requests whose statements are counted; 0: none.
    #[arg(long, default_value_t = 20)]
    pub sql_requests: u64,
    /// Appends the result to this file, as one line of JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// The result of a measurement. Latencies are milliseconds, CPU times microseconds of one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The service.
    pub label: String,
    /// Name of the [`Scenario`].
    pub scenario: String,
    /// Jobs in the project.
    pub jobs: u64,
    /// Connections at the same time.
    pub connections: u16,
    /// Whether each request had its own connection.
    pub new_connections: bool,
    /// Requests per second of an open loop; none: closed loop.
    pub rate: Option<f64>,
    /// Right answers; the figures below are theirs.
    pub requests: u64,
    /// Requests without a right answer.
    pub errors: u64,
    /// What was wrong with the first of them.
    pub first_error: Option<String>,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Right answers per second.
    pub per_second: f64,
    /// Latency that half of the requests did not exceed.
    pub p50: Option<f64>,
    /// The same of nine in ten; none with fewer than 10 requests.
    pub p90: Option<f64>,
    /// The same of 99 in a hundred; none with fewer than 100 requests.
    pub p99: Option<f64>,
    /// Largest latency.
    pub max: Option<f64>,
    /// User and system time of the service's processes.
    pub server_cpu: Option<f64>,
    /// The same of the database's.
    pub database_cpu: Option<f64>,
    /// Of this program, to see how much of the machine it took.
    pub driver_cpu: f64,
    /// Resident memory of the service's processes at the end, KiB.
    pub rss_kib: Option<u64>,
    /// The same with shared pages divided, KiB.
    pub pss_kib: Option<u64>,
    /// The service's processes.
    pub processes: Option<usize>,
    /// Connections that were opened.
    pub connects: u64,
    /// The machine's load average at the end.
    pub load_average: Option<f64>,
    /// SQL of one request, where it was counted.
    pub statements: Option<Statements>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The URL of the service.
    #[error("--url: {0}")]
    Url(#[from] HttpError),
    /// The database does not tell its counters.
    #[error("--mysql-status: {0}")]
    Database(#[from] DatabaseError),
    /// A process is gone.
    #[error("--pid, --database-pid: {0}")]
    Process(#[from] ProcessError),
    /// Nothing that could be measured.
    #[error(
        "the warm-up had no right answer, {errors} errors, the first: {first}; is the service up, and the project \
         seeded with the same --jobs, --clients and --sessions?"
    )]
    WarmUp {
        /// How many.
        errors: u64,
        /// What the first was.
        first: String,
    },
    /// A wrong answer while statements were counted: the count would be wrong too.
    #[error("counting statements: {0}")]
    Counting(String),
}

/// CPU time used so far.
struct CpuTimes {
    server: Option<Duration>,
    database: Option<Duration>,
    driver: Duration,
}

/// Measures.
///
/// # Errors
/// [`RunError`]; wrong answers during the measurement are no error here, but counted in the result.
pub async fn execute(arguments: &RunArguments) -> Result<Record, RunError> {
    let database = arguments.mysql_status.as_deref().map(Database::of_url).transpose()?;
    let database_pid = match (&database, arguments.database_pid) {
        (_, Some(pid)) => Some(pid),
        (Some(database), None) => database.server_pid()?,
        (None, None) => None,
    };
    let load = Load {
        server: Authority::of_url(&arguments.url)?,
        scenario: arguments.scenario,
        data: arguments.data.clone(),
        connections: arguments.connections.into(),
        new_connections: arguments.new_connections,
        rate: arguments.rate,
        duration: Duration::from_secs_f64(arguments.seconds),
        requests: arguments.requests,
        timeout: Duration::from_secs_f64(arguments.timeout),
    };
    warm_up(&load, arguments.warmup).await?;

    let before = cpu_times(&arguments.pid, database_pid)?;
    let outcome = load.clone().drive().await;
    let after = cpu_times(&arguments.pid, database_pid)?;
    let memory = match arguments.pid.as_slice() {
        [] => None,
        pids => Some(process::memory(pids)?),
    };
    let load_average = process::load_average();
    let statements = match database {
        Some(database) if arguments.sql_requests > 0 => {
            Some(count_statements(&database, &load, arguments.sql_requests).await?)
        }
        _ => None,
    };

    let requests = outcome.latencies.count();
    let each = |before: Duration, after: Duration| {
        after.saturating_sub(before).as_secs_f64() * 1e6 / (requests + outcome.errors).max(1) as f64
    };
    Ok(Record {
        label: arguments.label.clone(),
        scenario: arguments.scenario.name().to_owned(),
        jobs: arguments.data.jobs,
        connections: arguments.connections,
        new_connections: arguments.new_connections,
        rate: arguments.rate,
        requests,
        errors: outcome.errors,
        seconds: outcome.elapsed.as_secs_f64(),
        per_second: requests as f64 / outcome.elapsed.as_secs_f64(),
        p50: outcome.latencies.percentile(50),
        p90: outcome.latencies.percentile(90),
        p99: outcome.latencies.percentile(99),
        max: outcome.latencies.max(),
        server_cpu: before.server.zip(after.server).map(|(before, after)| each(before, after)),
        database_cpu: before.database.zip(after.database).map(|(before, after)| each(before, after)),
        driver_cpu: each(before.driver, after.driver),
        rss_kib: memory.map(|memory| memory.rss),
        pss_kib: memory.and_then(|memory| memory.pss),
        processes: memory.map(|memory| memory.processes),
        connects: outcome.connects,
        load_average,
        statements,
        first_error: outcome.first_error,
    })
}

async fn warm_up(load: &Load, seconds: f64) -> Result<(), RunError> {
    let duration = Duration::from_secs_f64(seconds);
    let outcome = Load { duration, rate: None, requests: None, ..load.clone() }.drive().await;
    match outcome {
        Outcome { errors, first_error: Some(first), latencies, .. } if latencies.count() == 0 => {
            Err(RunError::WarmUp { errors, first })
        }
        _ => Ok(()),
    }
}

async fn count_statements(database: &Database, load: &Load, requests: u64) -> Result<Statements, RunError> {
    let one_by_one = Load { connections: 1, rate: None, requests: Some(requests), ..load.clone() };
    let patient = Load { duration: load.timeout * 10, ..one_by_one };
    let count = StatementCount::begin(database)?;
    let outcome = patient.drive().await;
    let statements = count.end(outcome.latencies.count())?;
    match outcome.first_error {
        Some(error) => Err(RunError::Counting(error)),
        None => Ok(statements),
    }
}

fn cpu_times(server: &[u32], database: Option<u32>) -> Result<CpuTimes, ProcessError> {
    Ok(CpuTimes {
        server: if server.is_empty() { None } else { Some(process::cpu_time(server)?) },
        database: database.map(|pid| process::cpu_time(&[pid])).transpose()?,
        driver: process::cpu_time(&[std::process::id()])?,
    })
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() && number < 1e9 => Ok(number),
        _ => Err("must be a number above 0".to_owned()),
    }
}
