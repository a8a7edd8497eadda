//! The results that matter as a Markdown table: one line for each goal, with both services, their ratio, and whether the
//! goal is met. What was not measured has no line.

use crate::record::Record;
use crate::stats::median;
use crate::suite::{BUSY, FLOOR, OWN, PEER};

/// Below so many requests, a figure says from how many it comes.
const FEW: u64 = 100;

/// Which measurements a line is about.
#[derive(Debug, Clone, Copy)]
struct Query<'a> {
    scenario: &'a str,
    engine: &'a str,
    /// Any, where none.
    jobs: Option<u64>,
    /// Any, where none.
    connections: Option<u16>,
    new: bool,
}

impl<'a> Query<'a> {
    fn new(scenario: &'a str) -> Query<'a> {
        Query { scenario, engine: "MariaDB", jobs: None, connections: None, new: true }
    }

    fn of<'r>(&self, records: &'r [Record], label: &str) -> Vec<&'r Record> {
        let wanted = |record: &&Record| {
            record.label == label
                && record.scenario == self.scenario
                && record.engine == self.engine
                && record.new_connections == self.new
                && self.jobs.is_none_or(|jobs| record.jobs == jobs)
                && self.connections.is_none_or(|connections| record.connections == connections)
        };
        records.iter().filter(wanted).collect()
    }
}

/// What is compared, and how a better one looks.
type Metric = fn(&Record) -> Option<f64>;

/// When a line is good.
#[derive(Debug, Clone, Copy)]
enum Goal {
    /// So many times better than the other service.
    Times(f64),
    /// Ours is no larger.
    AtMost(f64),
    /// Only for information.
    None,
}

/// One line, before it is text.
struct Line {
    what: String,
    unit: &'static str,
    own: Option<f64>,
    peer: Option<f64>,
    few: Option<u64>,
    /// Whether more is better.
    more: bool,
    goal: Goal,
}

impl Line {
    fn ratio(&self) -> Option<f64> {
        let (own, peer) = (self.own?, self.peer?);
        let ratio = if self.more { own / peer } else { peer / own };
        ratio.is_finite().then_some(ratio)
    }

    fn markdown(&self) -> String {
        let figure = |value: Option<f64>| {
            value.map_or("–".to_owned(), |value| {
                format!("{} {}", number(value), self.unit).trim().to_owned()
            })
        };
        let few = self.few.filter(|_| self.peer.is_some()).map(|n| format!(" (n={n})")).unwrap_or_default();
        let (goal, met) = match self.goal {
            Goal::None => (String::new(), None),
            Goal::Times(times) => (format!("≥ {}x", number(times)), self.ratio().map(|ratio| ratio >= times)),
            Goal::AtMost(most) => (
                format!("≤ {} {}", number(most), self.unit).trim().to_owned(),
                self.own.map(|own| own <= most),
            ),
        };
        let met = met.map_or("", |met| if met { "yes" } else { "**no**" });
        let ratio = self.ratio().map_or("–".to_owned(), |ratio| format!("{}x", number(ratio)));
        let (own, peer) = (figure(self.own), figure(self.peer));
        format!("| {} | {own} | {peer}{few} | {ratio} | {goal} | {met} |\n", self.what)
    }
}

/// The whole table, with the machine's load in words below it.
pub fn markdown(records: &[Record]) -> String {
    let mut text =
        "| | this service | freezer-api 19.0.0 | ratio | goal | met |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for line in lines(records) {
        text.push_str(&line.markdown());
    }
    let loads: Vec<f64> = records.iter().filter_map(|record| record.load_average).collect();
    if let (Some(middle), Some(most)) =
        (median(loads.iter().copied()), loads.iter().copied().reduce(f64::max))
    {
        text.push_str(&format!("\nLoad average of the machine: median {middle:.1}, at most {most:.1}.\n"));
    }
    let (mut rounds, mut wrong) = (String::new(), String::new());
    for record in records {
        if let Some((all, right)) = record.rounds {
            rounds.push_str(&format!("Sessions of {}: {right} of {all} rounds ended right.\n", record.label));
        }
        if let Some(first) = &record.first_error {
            let (label, scenario, errors) = (&record.label, &record.scenario, record.errors);
            wrong.push_str(&format!("{label}, {scenario}: {errors} errors, the first: {first}\n"));
        }
    }
    for part in [rounds, wrong].iter().filter(|part| !part.is_empty()) {
        text.push('\n');
        text.push_str(part);
    }
    text
}

/// `whole` with `part` between its two marks; none where it has no marks.
pub fn between(whole: &str, part: &str) -> Option<String> {
    let begin = whole.find("<!-- benchmark")?;
    let begin = begin + whole.get(begin..)?.find('\n')? + 1;
    let end = begin + whole.get(begin..)?.find("<!-- /benchmark")?;
    Some(format!("{}\n{}\n\n{}", whole.get(..begin)?, part.trim(), whole.get(end..)?))
}

fn number(value: f64) -> String {
    match value {
        _ if value >= 1_000.0 => grouped(&format!("{value:.0}")),
        _ if value >= 100.0 || value == value.round() => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Collects the lines of what was measured.
struct Lines<'a> {
    records: &'a [Record],
    lines: Vec<Line>,
}

impl Lines<'_> {
    fn add(
        &mut self,
        what: &str,
        query: Query<'_>,
        unit: &'static str,
        metric: Metric,
        more: bool,
        goal: Goal,
    ) {
        let middle = |label| median(query.of(self.records, label).into_iter().filter_map(metric));
        let (own, peer) = (middle(OWN), middle(PEER));
        let asked: u64 = query.of(self.records, PEER).iter().map(|record| record.requests).sum();
        let few = (0 < asked && asked < FEW).then_some(asked);
        if own.is_some() || peer.is_some() {
            self.lines.push(Line { what: what.to_owned(), unit, own, peer, few, more, goal });
        }
    }

    fn rate(&mut self, what: &str, query: Query<'_>, times: Option<f64>) {
        let goal = times.map_or(Goal::None, Goal::Times);
        self.add(what, query, "/s", |record| Some(record.per_second), true, goal);
    }

    /// A figure of ours alone.
    fn own(&mut self, what: String, unit: &'static str, own: Option<f64>, goal: Goal) {
        if own.is_some() {
            self.lines.push(Line { what, unit, own, peer: None, few: None, more: false, goal });
        }
    }
}

const MIB: f64 = 1_024.0;

fn lines(records: &[Record]) -> Vec<Line> {
    let mut lines = Lines { records, lines: Vec::new() };
    reads(&mut lines);
    polls(&mut lines);
    writes(&mut lines);
    whole(&mut lines);
    lines.lines
}

fn reads(lines: &mut Lines<'_>) {
    let get = Query { connections: Some(8), ..Query::new("get_job") };
    let busy = Query { connections: Some(BUSY), ..get };
    lines.rate("GET one job, 8 connections", get, Some(50.0));
    lines.rate(&format!("GET one job, {BUSY} connections"), busy, Some(50.0));
    lines.rate("GET one job, 8 connections, kept open", Query { new: false, ..get }, None);
    for query in [get, busy] {
        let what = format!("GET one job: CPU of the service, {} connections", query.connections.unwrap_or(8));
        lines.add(&what, query, "µs", |r| r.server_cpu, false, Goal::AtMost(80.0));
    }
    lines.add(
        "GET one job: CPU, connections kept open",
        Query { new: false, ..get },
        "µs",
        |r| r.server_cpu,
        false,
        Goal::None,
    );
    lines.add("GET one job: SQL statements", get, "", Record::questions, false, Goal::AtMost(2.0));
    lines.rate("list 10 of 1,000 jobs, 8 connections", Query::new("list"), Some(50.0));
    let search = Query::new("search_backups");
    let backups = search.of(lines.records, OWN).first().map_or(0, |record| record.backups);
    let of = format!("of {} backups", number(backups as f64));
    lines.add(
        &format!("search {of} by a key without a column: p50"),
        search,
        "ms",
        |r| r.p50,
        false,
        Goal::Times(100.0),
    );
    lines.add(&format!("search {of}: growth of memory"), search, "MiB", growth, false, Goal::None);
}

fn growth(record: &Record) -> Option<f64> {
    Some(record.peak_kib?.saturating_sub(record.rss_before_kib?) as f64 / MIB)
}

fn polls(lines: &mut Lines<'_>) {
    let poll = Query { connections: Some(1), ..Query::new("poll") };
    let mut sizes: Vec<u64> = poll.of(lines.records, OWN).iter().map(|record| record.jobs).collect();
    sizes.dedup();
    for size in &sizes {
        let of = Query { jobs: Some(*size), ..poll };
        let what = format!("a scheduler's poll among {} jobs: p50", number(*size as f64));
        lines.add(&what, of, "ms", |r| r.p50, false, Goal::None);
    }
    for (size, goal) in [(100, None), (1_000, Some(3_000.0)), (10_000, Some(30_000.0))] {
        for connections in [8, BUSY] {
            let of = Query { jobs: Some(size), connections: Some(connections), ..poll };
            let what =
                format!("a scheduler's poll among {} jobs, {connections} connections", number(size as f64));
            lines.rate(&what, of, goal);
        }
    }
    for size in [1_000, 10_000] {
        let of = Query { jobs: Some(size), ..Query::new("poll_one") };
        let what = format!("the same of a node with one job, among {} jobs", number(size as f64));
        lines.rate(&what, of, None);
    }
    let p50 = |size: Option<&u64>| {
        let of = Query { jobs: Some(*size?), ..poll };
        median(of.of(lines.records, OWN).into_iter().filter_map(|record| record.p50))
    };
    let (first, last) = (sizes.first().copied().unwrap_or(0), sizes.last().copied().unwrap_or(0));
    let flat = p50(sizes.last()).zip(p50(sizes.first())).map(|(last, first)| last / first);
    let what = format!("p50 of the poll: {} jobs against {}", number(last as f64), number(first as f64));
    lines.own(what, "x", flat.filter(|_| first != last), Goal::AtMost(1.5));
}

fn writes(lines: &mut Lines<'_>) {
    let post = Query { connections: Some(8), ..Query::new("post_backup") };
    let (kept, busy) = (Query { new: false, ..post }, Query { connections: Some(BUSY), ..post });
    lines.rate("POST a backup, 8 connections", post, Some(20.0));
    lines.rate(&format!("POST a backup, {BUSY} connections"), busy, Some(20.0));
    lines.rate("POST a backup, 8 connections, kept open", kept, Some(20.0));
    lines.add("POST a backup: SQL statements", post, "", Record::questions, false, Goal::AtMost(1.0));
    lines.add("POST a backup: commits", post, "", commits, false, Goal::AtMost(1.0));
    let rate = |label: &str, query: Query<'_>| {
        median(query.of(lines.records, label).into_iter().map(|record| record.per_second))
    };
    let floor = rate(FLOOR, kept);
    for (what, query) in [("", post), (", kept open", kept)] {
        let part = rate(OWN, query).zip(floor).map(|(own, floor)| 100.0 * own / floor);
        let what = format!("POST a backup{what}: part of what the bare driver inserts");
        lines.own(what, "%", part, Goal::None);
    }
    let rounds = Query::new("session_round");
    lines.rate("50 nodes start and end one session", rounds, Some(10.0));
    let wrong = |record: &Record| record.rounds.map(|(all, right)| (all - right) as f64);
    lines.add("sessions that lost a node's start or end", rounds, "", wrong, false, Goal::AtMost(0.0));
}

/// Autocommit included.
fn commits(record: &Record) -> Option<f64> {
    record.statements.as_ref()?.counters.get("Handler_commit").copied()
}

fn whole(lines: &mut Lines<'_>) {
    let start = Query { new: false, ..Query::new("start") };
    lines.add(
        "start of the process to the first answer: p50",
        start,
        "ms",
        |r| r.p50,
        false,
        Goal::AtMost(100.0),
    );
    let memory = Query { new: false, ..Query::new("memory after all") };
    let rss = |record: &Record| Some(record.rss_kib? as f64 / MIB);
    lines.add("resident memory after all this", memory, "MiB", rss, false, Goal::AtMost(40.0));
    // a difference of two small figures: the least of each, which others on the machine have disturbed least
    let cpu = |scenario| {
        let query = Query { new: false, ..Query::new(scenario) };
        query.of(lines.records, OWN).into_iter().filter_map(|record| record.server_cpu).reduce(f64::min)
    };
    let token = cpu("get_job, token").zip(cpu("get_job, headers")).map(|(token, headers)| token - headers);
    lines.own("a token that is in the cache: CPU of the service".to_owned(), "µs", token, Goal::AtMost(10.0));
    for (scenario, what) in [
        ("get_job", "GET one job"),
        ("poll", "poll among 1,000 jobs"),
        ("list", "list 10 of 1,000 jobs"),
        ("post_backup", "POST a backup"),
    ] {
        let query = Query { engine: "SQLite", ..Query::new(scenario) };
        lines.rate(&format!("SQLite: {what}, 8 connections"), query, None);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::report::table::tests::record;

    fn measured(label: &str, scenario: &str, per_second: f64) -> Record {
        let (scenario, engine) = (scenario.to_owned(), "MariaDB".to_owned());
        Record { scenario, engine, first_error: None, ..record(label, per_second, 50.0) }
    }

    fn line<'a>(text: &'a str, what: &str) -> &'a str {
        text.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("no line {what} in {text}"))
    }

    #[test]
    fn a_line_has_both_services_their_ratio_and_the_goal() {
        let records = [
            measured(OWN, "get_job", 9_000.0),
            measured(OWN, "get_job", 12_000.0),
            measured(OWN, "get_job", 10_000.0),
            measured(PEER, "get_job", 100.0),
        ];
        let text = markdown(&records);
        assert_eq!(
            line(&text, "GET one job, 8"),
            "| GET one job, 8 connections | 10,000 /s | 100 /s | 100x | ≥ 50x | yes |"
        );
        assert_eq!(
            line(&text, "GET one job: CPU of"),
            "| GET one job: CPU of the service, 8 connections | 50 µs | 50 µs | 1x | ≤ 80 µs | yes |"
        );
        let slow = [measured(OWN, "get_job", 4_000.0), measured(PEER, "get_job", 100.0)];
        assert!(line(&markdown(&slow), "GET one job, 8").ends_with("| 40x | ≥ 50x | **no** |"));
    }

    #[test]
    fn loads_of_several_sizes_have_a_line_each() {
        let busy = |label, rate| Record { connections: BUSY, ..measured(label, "post_backup", rate) };
        let few = [measured(OWN, "post_backup", 300.0), measured(PEER, "post_backup", 20.0)];
        let text = markdown(&[few.to_vec(), vec![busy(OWN, 600.0), busy(PEER, 20.0)]].concat());
        assert!(line(&text, "POST a backup, 8").contains("| 15x | ≥ 20x | **no** |"), "{text}");
        assert!(line(&text, "POST a backup, 32").contains("| 30x | ≥ 20x | yes |"), "{text}");
    }

    #[test]
    fn a_table_takes_the_place_of_the_last_one() {
        let readme = "a\n<!-- benchmark: x -->\n<!-- /benchmark -->\nb\n";
        let once = between(readme, "| 1 |\n").unwrap();
        assert_eq!(once, "a\n<!-- benchmark: x -->\n\n| 1 |\n\n<!-- /benchmark -->\nb\n");
        assert_eq!(between(&once, "| 1 |\n").unwrap(), once);
        assert_eq!(between("no marks", "x"), None);
    }

    #[test]
    fn numbers_have_about_three_digits_that_count() {
        for (value, text) in
            [(1_234_567.8, "1,234,568"), (999.6, "1000"), (12.34, "12.3"), (0.5, "0.50"), (2.0, "2")]
        {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn few_requests_are_told() {
        let mut records = [measured(OWN, "poll", 4_000.0), measured(PEER, "poll", 0.5)];
        records[1].requests = 3;
        let text = markdown(&records);
        assert!(line(&text, "among 1,000 jobs, 8").contains("| 0.50 /s (n=3) | 8,000x |"), "{text}");
    }

    #[test]
    fn a_curve_that_is_not_flat_misses_its_goal() {
        let of = |jobs, p50| Record { jobs, p50: Some(p50), connections: 1, ..measured(OWN, "poll", 1.0) };
        let flat = markdown(&[of(100, 1.0), of(1_000, 1.1), of(100_000, 1.4)]);
        assert!(
            line(&flat, "100,000 jobs against 100").contains("| 1.40 x | – | – | ≤ 1.50 x | yes |"),
            "{flat}"
        );
        let steep = markdown(&[of(100, 1.0), of(100_000, 1.6)]);
        assert!(line(&steep, "100,000 jobs against 100").ends_with("| **no** |"), "{steep}");
    }

    #[test]
    fn lost_sessions_and_errors_are_told() {
        let lost = Record { rounds: Some((5, 2)), jobs: 50, ..measured(PEER, "session_round", 100.0) };
        let own = Record { rounds: Some((20, 20)), jobs: 50, ..measured(OWN, "session_round", 2_000.0) };
        let text = markdown(&[own, Record { errors: 3, first_error: Some("lost".to_owned()), ..lost }]);
        assert!(line(&text, "lost a node").contains("| 0 | 3 |"), "{text}");
        assert!(text.contains("Sessions of Python: 2 of 5 rounds"), "{text}");
        assert!(text.contains("3 errors, the first: lost"), "{text}");
    }
}
