//! The table of all figures: medians of the repetitions, and ratios if there are two services.

use crate::record::BenchRecord;
use crate::stats::median;

const HEADINGS: [&str; 17] = [
    "scenario", "jobs", "conns", "service", "runs", "requests", "req/s", "p50 ms", "p90 ms", "p99 ms",
    "max ms", "CPU us", "DB us", "SQL", "RSS MiB", "load", "errors",
];
/// The columns with text. Numbers are aligned to the right.
const WORDS: [usize; 2] = [0, 3];

const NOTES: &str = "\
req/s, p50 … p99, CPU (of the service's processes) and DB (of the database's), in microseconds per request: medians of
the runs; requests and errors: sums; max: of all. SQL: the server's Questions per request (statements, BEGIN and COMMIT
included), and the rows and index entries read for them (Handler_read_*). RSS: resident memory at the end, behind the
slash with shared pages divided (PSS). conns: +new, a connection for each request; @R, open loop of R requests per
second. load: load average of the machine, lowest and highest. A ratio above 1 says how many times better the first
service is. On a noisy machine, read CPU first.
";

/// The key of a measurement, without the service.
type Measurement<'a> = (&'a str, &'a str, u64, u64, u16, bool, Option<u64>);

fn measurement(record: &BenchRecord) -> Measurement<'_> {
    let rate = record.rate.map(f64::to_bits);
    (
        &record.engine,
        &record.scenario,
        record.jobs,
        record.backups,
        record.connections,
        record.new_connections,
        rate,
    )
}

/// Returns the table of all results. Measurements and services are in the order of their first record.
pub fn table(records: &[BenchRecord]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned).to_vec()];
    let services = in_order(records.iter().map(|record| record.label.as_str()));
    for wanted in in_order(records.iter().map(measurement)) {
        let service_record: Vec<Vec<&BenchRecord>> = services
            .iter()
            .map(|label| {
                records.iter().filter(|r| measurement(r) == wanted && r.label == **label).collect::<Vec<_>>()
            })
            .filter(|runs| !runs.is_empty())
            .collect();
        lines.extend(service_record.iter().map(|runs| line(runs, records)));
        if let [first, others @ ..] = service_record.as_slice() {
            lines.extend(others.iter().map(|other| ratios(first, other, records)));
        }
    }
    let mut text = aligned(&lines);
    text.push('\n');
    text.push_str(NOTES);
    for record in records {
        if let Some(error) = &record.first_error {
            text.push_str(&format!("ERROR: {} {}: {error}\n", record.label, record.scenario));
        }
    }
    if let Some(foreign) = records.iter().filter_map(|r| r.statements.as_ref()).map(|s| s.foreign).max()
        && foreign > 0
    {
        text.push_str(&format!("SQL: others sent up to {foreign} statements in half a second; too high.\n"));
    }
    text
}

fn in_order<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

fn middle(runs: &[&BenchRecord], of: impl Fn(&BenchRecord) -> Option<f64>) -> Option<f64> {
    median(runs.iter().filter_map(|record| of(record)))
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// Returns the median over all runs of the scenario, because the number of statements does not depend on the connections.
fn statements(
    runs: &[&BenchRecord],
    all: &[BenchRecord],
    of: impl Fn(&BenchRecord) -> Option<f64>,
) -> Option<f64> {
    let first = runs.first()?;
    let same = |record: &&BenchRecord| {
        (&record.label, &record.engine, &record.scenario, record.jobs)
            == (&first.label, &first.engine, &first.scenario, first.jobs)
    };
    median(all.iter().filter(same).filter_map(of))
}

fn rows_read(record: &BenchRecord) -> Option<f64> {
    let counters = &record.statements.as_ref()?.counters;
    let read = counters.iter().filter(|(name, _)| name.starts_with("Handler_read_"));
    // `sum()` of no values would be -0.
    Some(read.fold(0.0, |sum, (_, count)| sum + count))
}

fn line(runs: &[&BenchRecord], all: &[BenchRecord]) -> Vec<String> {
    let Some(first) = runs.first() else { return Vec::new() };
    let new = if first.new_connections { "+new" } else { "" };
    let rate = first.rate.map(|rate| format!("@{rate}")).unwrap_or_default();
    let sql = match statements(runs, all, BenchRecord::questions) {
        None => "-".to_owned(),
        counted => {
            let rows = statements(runs, all, rows_read).unwrap_or(0.0);
            format!("{} ({rows:.0} rows)", number(counted))
        }
    };
    let mib = |kib: fn(&BenchRecord) -> Option<u64>| middle(runs, |r| kib(r).map(|kib| kib as f64 / 1_024.0));
    let memory = format!("{}/{}", number(mib(|r| r.rss_kib)), number(mib(|r| r.pss_kib)));
    let loads = || runs.iter().filter_map(|record| record.load_average);
    let load = format!("{:.1}-{:.1}", loads().fold(f64::INFINITY, f64::min), loads().fold(0.0, f64::max));
    vec![
        if first.engine == "SQLite" {
            format!("{} (SQLite)", first.scenario)
        } else {
            first.scenario.clone()
        },
        first.jobs.to_string(),
        format!("{}{new}{rate}", first.connections),
        first.label.clone(),
        runs.len().to_string(),
        runs.iter().map(|record| record.requests).sum::<u64>().to_string(),
        number(middle(runs, |record| Some(record.per_second))),
        number(middle(runs, |record| record.p50)),
        number(middle(runs, |record| record.p90)),
        number(middle(runs, |record| record.p99)),
        number(runs.iter().filter_map(|record| record.max).reduce(f64::max)),
        number(middle(runs, |record| record.server_cpu)),
        number(middle(runs, |record| record.database_cpu)),
        sql,
        memory,
        load,
        runs.iter().map(|record| record.errors).sum::<u64>().to_string(),
    ]
}

fn ratios(first: &[&BenchRecord], other: &[&BenchRecord], all: &[BenchRecord]) -> Vec<String> {
    let better = |fewer: Option<f64>, more: Option<f64>| match (fewer, more) {
        (Some(fewer), Some(more)) if fewer > 0.0 => format!("{}x", number(Some(more / fewer))),
        _ => "-".to_owned(),
    };
    let of = |value: fn(&BenchRecord) -> Option<f64>| better(middle(first, value), middle(other, value));
    let blank = String::new;
    let mut line = vec![blank(), blank(), blank(), "ratio".to_owned(), blank(), blank()];
    line.push(better(middle(other, |r| Some(r.per_second)), middle(first, |r| Some(r.per_second))));
    line.extend([of(|r| r.p50), of(|r| r.p90), of(|r| r.p99), blank()]);
    line.extend([of(|r| r.server_cpu), of(|r| r.database_cpu)]);
    line.push(better(
        statements(first, all, BenchRecord::questions),
        statements(other, all, BenchRecord::questions),
    ));
    line.push(of(|r| r.rss_kib.map(|kib| kib as f64)));
    line.extend([blank(), blank()]);
    line
}

fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let cell =
                if WORDS.contains(&column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            row.push_str(&cell);
            row.push_str("  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::mariadb::Statements;

    pub fn record(label: &str, per_second: f64, server_cpu: f64) -> BenchRecord {
        BenchRecord {
            label: label.to_owned(),
            scenario: "poll".to_owned(),
            jobs: 1_000,
            connections: 8,
            new_connections: true,
            rate: None,
            requests: 100,
            errors: 0,
            first_error: None,
            seconds: 1.0,
            per_second,
            p50: Some(2.0),
            p90: Some(3.0),
            p99: None,
            max: Some(4.0),
            server_cpu: Some(server_cpu),
            database_cpu: None,
            driver_cpu: 10.0,
            rss_kib: Some(2_048),
            pss_kib: None,
            processes: Some(1),
            connects: 100,
            load_average: Some(1.5),
            statements: None,
            ..BenchRecord::default()
        }
    }

    /// Returns the cells in the line of a service.
    fn cells(text: &str, service: &str) -> Vec<String> {
        let line = text.lines().find(|line| line.split_whitespace().any(|word| word == service)).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn medians_and_ratios() {
        let records = [
            record("rust", 900.0, 50.0),
            record("python", 10.0, 5_000.0),
            record("rust", 1_000.0, 40.0),
            record("python", 30.0, 9_000.0),
            record("rust", 5_000.0, 60.0),
            record("python", 20.0, 6_000.0),
        ];
        let text = table(&records);
        let rust = cells(&text, "rust");
        assert_eq!(rust[..7], ["poll", "1000", "8+new", "rust", "3", "300", "1000"], "{text}");
        assert_eq!(rust[11], "50.0", "{text}");
        let python = cells(&text, "python");
        assert_eq!((python[6].as_str(), python[11].as_str()), ("20.0", "6000"), "{text}");
        // The ratios are 1000/20 for requests and 6000/50 for CPU. Latencies are equal, and p99 and SQL are missing.
        assert_eq!(
            cells(&text, "ratio"),
            ["ratio", "50.0x", "1.00x", "1.00x", "-", "120x", "-", "-", "1.00x"],
            "{text}"
        );
    }

    #[test]
    fn statements_of_one_run_serve_all_of_its_scenario() {
        let counters = [("Com_select", 2.0), ("Handler_read_key", 11.0), ("Handler_read_next", 10.0)];
        let counters = counters.map(|(name, count)| (name.to_owned(), count)).into();
        let statements = Statements { requests: 20, questions: 2.0, counters, foreign: 0 };
        let counted =
            BenchRecord { connections: 1, statements: Some(statements), ..record("rust", 1.0, 1.0) };
        let text = table(&[counted.clone(), record("rust", 2.0, 2.0)]);
        assert_eq!(text.matches("2.00 (21 rows)").count(), 2, "{text}");
        let statements = counted.statements.map(|of| Statements { counters: [].into(), ..of });
        let text = table(&[BenchRecord { statements, ..record("rust", 1.0, 1.0) }]);
        assert!(text.contains("2.00 (0 rows)"), "{text}");
    }

    #[test]
    fn errors_are_named() {
        let failed =
            BenchRecord { errors: 3, first_error: Some("status 500".to_owned()), ..record("rust", 1.0, 1.0) };
        let text = table(&[failed]);
        assert!(text.contains("ERROR: rust poll: status 500"), "{text}");
        assert_eq!(cells(&text, "rust").last().unwrap(), "3");
    }
}
