//! `run`: one measurement of one scenario against one service: warm-up, load with CPU time around it, memory, then
//! SQL statements of a fixed number of requests with nothing else going on.

use std::path::PathBuf;
use std::time::Duration;

use crate::dataset::Dataset;
use crate::http::{Authority, HttpError};
use crate::load::{Load, Outcome};
use crate::mariadb::{Database, DatabaseError, StatementCount, Statements};
use crate::process::{self, ProcessError};
use crate::record::Record;
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
    /// Seconds of warm-up, in a closed loop with the same connections; 0: none.
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
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
    /// Requests whose statements are counted, after the measurement; 0: none. With --requests and one connection, those
    /// of the measurement itself are counted instead.
    #[arg(long, default_value_t = 20)]
    pub sql_requests: u64,
    /// Appends the result to this file, as one line of JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The service's database, for the table.
    #[arg(long, default_value = "MariaDB")]
    pub engine: String,
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

/// What is measured of a service besides its answers.
#[derive(Debug, Clone, Default)]
pub struct Meters {
    /// Its processes.
    pub server: Vec<u32>,
    /// The database's process.
    pub database: Option<u32>,
}

/// Reads the meters around a load, and writes them into the record of it.
pub struct Metering<'a> {
    meters: &'a Meters,
    before: CpuTimes,
    rss_before: Option<u64>,
}

impl<'a> Metering<'a> {
    /// Begins.
    ///
    /// # Errors
    /// [`ProcessError`] where a process is gone.
    pub fn begin(meters: &'a Meters) -> Result<Metering<'a>, ProcessError> {
        let rss_before = match meters.server.as_slice() {
            [] => None,
            pids => {
                process::reset_peak(pids)?;
                Some(process::memory(pids)?.rss)
            }
        };
        Ok(Metering { meters, before: meters.cpu_times()?, rss_before })
    }

    /// Ends: CPU times are divided by the requests and errors of `record`.
    ///
    /// # Errors
    /// [`ProcessError`] where a process is gone.
    pub fn end(self, record: &mut Record) -> Result<(), ProcessError> {
        let after = self.meters.cpu_times()?;
        let asked = (record.requests + record.errors).max(1) as f64;
        let each =
            |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() * 1e6 / asked;
        record.server_cpu = self.before.server.zip(after.server).map(|(before, after)| each(before, after));
        record.database_cpu =
            self.before.database.zip(after.database).map(|(before, after)| each(before, after));
        record.driver_cpu = each(self.before.driver, after.driver);
        if !self.meters.server.is_empty() {
            let memory = process::memory(&self.meters.server)?;
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

impl Meters {
    fn cpu_times(&self) -> Result<CpuTimes, ProcessError> {
        Ok(CpuTimes {
            server: if self.server.is_empty() { None } else { Some(process::cpu_time(&self.server)?) },
            database: self.database.map(|pid| process::cpu_time(&[pid])).transpose()?,
            driver: process::own_cpu_time()?,
        })
    }
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
    if arguments.warmup > 0.0 {
        warm_up(&load, arguments.warmup).await?;
    }
    let database = database.filter(|_| arguments.sql_requests > 0);
    // a slow service need not be asked once more for its statements
    let (during, afterwards) = match arguments.requests {
        Some(_) if arguments.connections == 1 => (database, None),
        _ => (None, database),
    };

    let meters = Meters { server: arguments.pid.clone(), database: database_pid };
    let count = during.as_ref().map(StatementCount::begin).transpose()?;
    let metering = Metering::begin(&meters)?;
    let outcome = load.clone().drive().await;
    let mut record = Record {
        label: arguments.label.clone(),
        engine: arguments.engine.clone(),
        scenario: arguments.scenario.name().to_owned(),
        jobs: arguments.data.jobs,
        backups: arguments.data.backups,
        connections: arguments.connections,
        new_connections: arguments.new_connections,
        rate: arguments.rate,
        connects: outcome.connects,
        ..Record::default()
    };
    record.set_answers(&outcome.latencies, outcome.errors, outcome.first_error, outcome.elapsed);
    metering.end(&mut record)?;
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
