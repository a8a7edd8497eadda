//! `run`: measures one scenario with one service. After a warm-up, it measures the load, its CPU time and the memory. Then it
//! counts the SQL statements of a fixed number of requests, while nothing else uses the database.

use std::path::PathBuf;
use std::time::Duration;

use crate::dataset::Dataset;
use crate::http::{Authority, HttpError};
use crate::load::{Load, LoadResult};
use crate::mariadb::{Database, DatabaseError, StatementCount, Statements};
use crate::process::{self, ProcessError};
use crate::record::BenchRecord;
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
    /// The kind of requests.
    #[arg(long, value_enum)]
    pub scenario: Scenario,
    /// The data set, with the same values as for the seed.
    #[command(flatten)]
    pub data: Dataset,
    /// Number of connections.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: u16,
    /// Open a connection for each request, as schedulers do. Otherwise connections are kept.
    #[arg(long)]
    pub new_connections: bool,
    /// Duration in seconds. No request starts later.
    #[arg(long, default_value_t = 5.0, value_parser = positive)]
    pub seconds: f64,
    /// Maximum number of requests.
    #[arg(long)]
    pub requests: Option<u64>,
    /// Open loop: number of requests that are due each second. Latency counts from the due time. Without this option, the
    /// loop is closed.
    #[arg(long, value_parser = positive)]
    pub rate: Option<f64>,
    /// Seconds of warm-up in a closed loop with the same connections. 0 means no warm-up.
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    pub warmup: f64,
    /// Time limit of a request in seconds.
    #[arg(long, default_value_t = 120.0, value_parser = positive)]
    pub timeout: f64,
    /// Process of the service, including its children. Separate several with commas.
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Process of the database. By default, --mysql-status finds it.
    #[arg(long, value_name = "PID")]
    pub database_pid: Option<u32>,
    /// The service's database, to count statements: mysql://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    pub mysql_status: Option<String>,
    /// Number of requests whose statements are counted after the measurement. 0 means none. With --requests and one
    /// connection, the statements of the measurement itself are counted.
    #[arg(long, default_value_t = 20)]
    pub sql_requests: u64,
    /// Append the result to this file, as one line of JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Database of the service, for the table.
    #[arg(long, default_value = "MariaDB")]
    pub engine: String,
}

/// Why the measurement failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The URL of the service is invalid.
    #[error("--url: {0}")]
    Url(#[from] HttpError),
    /// The counters of the database cannot be read.
    #[error("--mysql-status: {0}")]
    Database(#[from] DatabaseError),
    /// A process has ended.
    #[error("--pid, --database-pid: {0}")]
    Process(#[from] ProcessError),
    /// No request of the warm-up got a correct answer.
    #[error(
        "the warm-up had no right answer, {errors} errors, the first: {first}; is the service up, and the project \
         seeded with the same --jobs, --clients and --sessions?"
    )]
    WarmUp {
        /// The number of errors.
        errors: u64,
        /// The first error.
        first: String,
    },
    /// There was a wrong answer while statements were counted, so the count would be wrong too.
    #[error("counting statements: {0}")]
    Counting(String),
}

/// The CPU times so far.
struct CpuTimes {
    server: Option<Duration>,
    database: Option<Duration>,
    driver: Duration,
}

/// The processes to measure during a load.
#[derive(Debug, Clone, Default)]
pub struct Processes {
    /// The processes of the service.
    pub server: Vec<u32>,
    /// The process of the database.
    pub database: Option<u32>,
}

/// Reads CPU time and memory before and after a load, and adds them to its record.
pub struct ProcessMeasurement<'a> {
    processes: &'a Processes,
    before: CpuTimes,
    rss_before: Option<u64>,
}

impl<'a> ProcessMeasurement<'a> {
    /// Reads the values before the load.
    ///
    /// # Errors
    /// If a process has ended.
    pub fn begin(processes: &'a Processes) -> Result<ProcessMeasurement<'a>, ProcessError> {
        let rss_before = match processes.server.as_slice() {
            [] => None,
            pids => {
                process::reset_peak(pids)?;
                Some(process::memory(pids)?.rss)
            }
        };
        Ok(ProcessMeasurement { processes, before: processes.cpu_times()?, rss_before })
    }

    /// Reads the values after the load and adds them to `record`. CPU times are divided by its requests and errors.
    ///
    /// # Errors
    /// If a process has ended.
    pub fn end(self, record: &mut BenchRecord) -> Result<(), ProcessError> {
        let after = self.processes.cpu_times()?;
        let asked = (record.requests + record.errors).max(1) as f64;
        let each =
            |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() * 1e6 / asked;
        record.server_cpu = self.before.server.zip(after.server).map(|(before, after)| each(before, after));
        record.database_cpu =
            self.before.database.zip(after.database).map(|(before, after)| each(before, after));
        record.driver_cpu = each(self.before.driver, after.driver);
        if !self.processes.server.is_empty() {
            let memory = process::memory(&self.processes.server)?;
            record.rss_before_kib = self.rss_before;
            record.rss_kib = Some(memory.rss);
            record.pss_kib = memory.pss;
            record.peak_kib = Some(memory.peak);
            record.processes = Some(memory.processes);
        }
        record.load_average = process::load_average();
        Ok(())
    }
}

impl Processes {
    fn cpu_times(&self) -> Result<CpuTimes, ProcessError> {
        Ok(CpuTimes {
            server: if self.server.is_empty() { None } else { Some(process::cpu_time(&self.server)?) },
            database: self.database.map(|pid| process::cpu_time(&[pid])).transpose()?,
            driver: process::own_cpu_time()?,
        })
    }
}

/// Runs the measurement. Wrong answers are part of the result, not errors.
pub async fn execute(arguments: &RunArguments) -> Result<BenchRecord, RunError> {
    let database = arguments.mysql_status.as_deref().map(Database::from_url).transpose()?;
    let database_pid = match (&database, arguments.database_pid) {
        (_, Some(pid)) => Some(pid),
        (Some(database), None) => database.server_pid()?,
        (None, None) => None,
    };
    let load = Load {
        server: Authority::from_url(&arguments.url)?,
        scenario: arguments.scenario,
        data: arguments.data.clone(),
        connections: arguments.connections.into(),
        new_connections: arguments.new_connections,
        rate: arguments.rate,
        duration: Duration::from_secs_f64(arguments.seconds),
        requests: arguments.requests,
        timeout: Duration::from_secs_f64(arguments.timeout),
    };
    if arguments.warmup > 0.0 {
        warm_up(&load, arguments.warmup).await?;
    }
    let database = database.filter(|_| arguments.sql_requests > 0);
    // If the number of requests is limited, the service is slow, so its statements are counted during the measurement.
    let (during, afterwards) = match arguments.requests {
        Some(_) if arguments.connections == 1 => (database, None),
        _ => (None, database),
    };

    let processes = Processes { server: arguments.pid.clone(), database: database_pid };
    let count = during.as_ref().map(StatementCount::begin).transpose()?;
    let measurement = ProcessMeasurement::begin(&processes)?;
    let outcome = load.clone().drive().await;
    let mut record = BenchRecord {
        label: arguments.label.clone(),
        engine: arguments.engine.clone(),
        scenario: arguments.scenario.name().to_owned(),
        jobs: arguments.data.jobs,
        backups: arguments.data.backups,
        connections: arguments.connections,
        new_connections: arguments.new_connections,
        rate: arguments.rate,
        connects: outcome.connects,
        ..BenchRecord::default()
    };
    record.set_answers(&outcome.latencies, outcome.errors, outcome.first_error, outcome.elapsed);
    measurement.end(&mut record)?;
    record.statements = match (count, afterwards) {
        (Some(count), _) => Some(count.end(record.requests + record.errors)?),
        (None, Some(database)) => Some(count_statements(&database, &load, arguments.sql_requests).await?),
        (None, None) => None,
    };
    Ok(record)
}

async fn warm_up(load: &Load, seconds: f64) -> Result<(), RunError> {
    let duration = Duration::from_secs_f64(seconds);
    let outcome = Load { duration, rate: None, requests: None, ..load.clone() }.drive().await;
    match outcome {
        LoadResult { errors, first_error: Some(first), latencies, .. } if latencies.count() == 0 => {
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

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() && number < 1e9 => Ok(number),
        _ => Err("must be a number above 0".to_owned()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    if text.parse() == Ok(0.0) {
        Ok(0.0)
    } else {
        positive(text).map_err(|_| "must be 0 or a number above".to_owned())
    }
}
