//! The result of one measurement, as stored in files.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mariadb::Statements;
use crate::stats::Latencies;

/// The result of a measurement. Latencies are in milliseconds. CPU times are microseconds per request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BenchRecord {
    /// The service.
    pub label: String,
    /// The database of the service: MariaDB or SQLite.
    pub engine: String,
    /// The name of the scenario or of the step.
    pub scenario: String,
    /// The number of jobs in the project.
    pub jobs: u64,
    /// The number of backups in the project.
    pub backups: u64,
    /// The number of connections.
    pub connections: u16,
    /// Whether each request opened a connection.
    pub new_connections: bool,
    /// The requests per second of an open loop. None means a closed loop.
    pub rate: Option<f64>,
    /// The number of correct answers. The figures below include only these.
    pub requests: u64,
    /// The number of requests without a correct answer.
    pub errors: u64,
    /// The first error.
    pub first_error: Option<String>,
    /// The time from the first request to the last answer.
    pub seconds: f64,
    /// The number of correct answers per second.
    pub per_second: f64,
    /// The latency that half of the requests did not exceed.
    pub p50: Option<f64>,
    /// The same for 90 % of the requests. None if there are fewer than 10 requests.
    pub p90: Option<f64>,
    /// The same for 99 % of the requests. None if there are fewer than 100 requests.
    pub p99: Option<f64>,
    /// The maximum latency.
    pub max: Option<f64>,
    /// The user and system time of the service's processes.
    pub server_cpu: Option<f64>,
    /// The same for the database's process.
    pub database_cpu: Option<f64>,
    /// The same for this program.
    pub driver_cpu: f64,
    /// The resident memory of the service's processes at the end, in KiB.
    pub rss_kib: Option<u64>,
    /// The same with shared pages divided among their processes, in KiB.
    pub pss_kib: Option<u64>,
    /// The resident memory at the start, in KiB.
    pub rss_before_kib: Option<u64>,
    /// The peak of resident memory between start and end, in KiB.
    pub peak_kib: Option<u64>,
    /// The number of the service's processes.
    pub processes: Option<usize>,
    /// The number of connections that were opened.
    pub connects: u64,
    /// The load average of the machine at the end.
    pub load_average: Option<f64>,
    /// The SQL of one request, if it was counted.
    pub statements: Option<Statements>,
    /// For a scenario with rounds: the number of rounds, and the number of correct ones.
    pub rounds: Option<(u64, u64)>,
}

impl BenchRecord {
    /// Sets the figures of a load.
    pub fn set_answers(
        &mut self,
        latencies: &Latencies,
        errors: u64,
        first_error: Option<String>,
        elapsed: Duration,
    ) {
        self.requests = latencies.count();
        self.errors = errors;
        self.first_error = first_error;
        self.seconds = elapsed.as_secs_f64();
        self.per_second = self.requests as f64 / self.seconds.max(1e-9);
        self.p50 = latencies.percentile(50);
        self.p90 = latencies.percentile(90);
        self.p99 = latencies.percentile(99);
        self.max = latencies.max();
    }

    /// Returns the number of statements per request, including BEGIN and COMMIT.
    pub fn questions(&self) -> Option<f64> {
        self.statements.as_ref().map(|statements| statements.questions)
    }
}
