//! The result of one measurement, as it is kept in files.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::mariadb::Statements;
use crate::stats::Latencies;

/// The result of a measurement. Latencies are milliseconds, CPU times microseconds of one request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The service.
    pub label: String,
    /// Its database: MariaDB or SQLite.
    pub engine: String,
    /// What was asked; of `run`, the name of the scenario.
    pub scenario: String,
    /// Jobs in the project.
    pub jobs: u64,
    /// Backups in the project.
    pub backups: u64,
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
    /// Resident memory at the beginning, KiB.
    pub rss_before_kib: Option<u64>,
    /// Largest resident memory from the beginning to the end, KiB.
    pub peak_kib: Option<u64>,
    /// The service's processes.
    pub processes: Option<usize>,
    /// Connections that were opened.
    pub connects: u64,
    /// The machine's load average at the end.
    pub load_average: Option<f64>,
    /// SQL of one request, where it was counted.
    pub statements: Option<Statements>,
    /// Of a scenario with rounds: how many there were, and how many of them ended as they must.
    pub rounds: Option<(u64, u64)>,
}

impl Record {
    /// Takes in what a load counted.
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

    /// Statements of one request, BEGIN and COMMIT included.
    pub fn questions(&self) -> Option<f64> {
        self.statements.as_ref().map(|statements| statements.questions)
    }
}
