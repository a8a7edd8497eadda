//! The counters of a fleet's requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::FleetArguments;
use crate::record::BenchRecord;
use crate::stats::Latencies;

/// The goal for the latency of 99 % of the requests, in milliseconds.
const GOAL: f64 = 100.0;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// POST of a client.
    Register,
    /// GET of the node's jobs.
    Poll,
    /// PATCH of a job.
    Patch,
    /// POST of a backup.
    Backup,
}

const OPERATIONS: [(Operation, &str); 4] = [
    (Operation::Register, "register (POST client)"),
    (Operation::Poll, "poll (GET jobs)"),
    (Operation::Patch, "report (PATCH job)"),
    (Operation::Backup, "catalogue (POST backup)"),
];

#[derive(Debug, Default, Clone)]
struct Counts {
    latencies: Vec<Duration>,
    errors: u64,
}

/// The counters of all nodes.
#[derive(Debug, Default)]
pub struct FleetTally {
    counts: Mutex<([Counts; 4], Option<String>)>,
}

impl FleetTally {
    fn counts(&self) -> MutexGuard<'_, ([Counts; 4], Option<String>)> {
        // The counters are consistent after every step, so a panic of another thread does not matter.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a correct answer.
    pub fn add(&self, operation: Operation, latency: Duration) {
        if let Some(counts) = self.counts().0.get_mut(operation as usize) {
            counts.latencies.push(latency);
        }
    }

    /// Counts an error.
    pub fn fail(&self, operation: Operation, reason: String) {
        let mut counts = self.counts();
        if let Some(counts) = counts.0.get_mut(operation as usize) {
            counts.errors += 1;
        }
        counts.1.get_or_insert(reason);
    }

    /// Returns a line about the progress.
    pub fn progress(&self, elapsed: Duration) -> String {
        let counts = self.counts();
        let answered: usize = counts.0.iter().map(|counts| counts.latencies.len()).sum();
        let errors: u64 = counts.0.iter().map(|counts| counts.errors).sum();
        format!("fleet: {:.0} s, {answered} answers, {errors} errors", elapsed.as_secs_f64())
    }

    /// Writes the totals of all kinds to the record.
    pub fn whole(&self, record: &mut BenchRecord, elapsed: Duration) {
        let counts = self.counts();
        let all = counts.0.iter().flat_map(|counts| counts.latencies.iter().copied()).collect();
        let errors = counts.0.iter().map(|counts| counts.errors).sum();
        record.set_answers(&Latencies::new(all), errors, counts.1.clone(), elapsed);
    }

    /// Returns the table, followed by CPU time and memory.
    pub fn markdown(&self, arguments: &FleetArguments, record: &BenchRecord) -> String {
        let mut text = format!(
            "{} nodes for {} minutes, {:?} polls every {} s, {} runs of a job\n\n\
             | request | answers | errors | p50 ms | p90 ms | p99 ms | max ms |\n|---|---|---|---|---|---|---|\n",
            arguments.nodes,
            arguments.minutes,
            arguments.phase,
            arguments.interval,
            arguments.runs()
        );
        let mut row = |name: &str, errors: u64, latencies: &Latencies| {
            let figure = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.1}"));
            let [p50, p90, p99] = [50, 90, 99].map(|percent| figure(latencies.percentile(percent)));
            let (count, max) = (latencies.count(), figure(latencies.max()));
            text.push_str(&format!("| {name} | {count} | {errors} | {p50} | {p90} | {p99} | {max} |\n"));
        };
        let counts = self.counts();
        let mut all = Vec::new();
        for (operation, name) in OPERATIONS {
            if let Some(counts) = counts.0.get(operation as usize) {
                row(name, counts.errors, &Latencies::new(counts.latencies.clone()));
                all.extend(counts.latencies.iter().copied());
            }
        }
        row("all", record.errors, &Latencies::new(all));
        let asked = (record.requests + record.errors) as f64;
        let percent = |micros: Option<f64>| {
            micros.map_or("–".to_owned(), |each| format!("{:.1} %", each * asked / record.seconds / 1e4))
        };
        let mib =
            |kib: Option<u64>| kib.map_or("–".to_owned(), |kib| format!("{:.1}", kib as f64 / 1_024.0));
        text.push_str(&format!(
            "\n{:.0} requests/s. CPU of one core: service {}, database {}, this simulation {}. Memory of the service: \
             {} MiB, at most {} MiB. Load average {:.1}.\n",
            record.per_second,
            percent(record.server_cpu),
            percent(record.database_cpu),
            percent(Some(record.driver_cpu)),
            mib(record.rss_kib),
            mib(record.peak_kib),
            record.load_average.unwrap_or_default()
        ));
        let met = record.p99.is_some_and(|p99| p99 <= GOAL);
        text.push_str(&format!(
            "Goal: p99 of all ≤ {GOAL} ms: {}.\n",
            if met { "met" } else { "**not met**" }
        ));
        if let Some(first) = &record.first_error {
            text.push_str(&format!("First error: {first}\n"));
        }
        text
    }
}
