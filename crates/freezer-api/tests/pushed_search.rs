//! The database may skip rows that cannot match a search. It must never skip a matching row, and the service must never
//! return a row that does not match. This must hold for all contents of the rows.
//!
//! Searches for backups use terms (`freezer-store/src/search/terms.rs`). The rows of this test have terms in all
//! possible states.
//!
//! The rows are made of a few words that databases confuse (case, accents, trailing spaces, numbers and texts) and of
//! JSON in several spellings, which may be invalid. The test inserts them directly into the tables. The searches use
//! the same words. The results of each list are compared with `Search::accepts` for all documents.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod support;

use freezer_api::app::SharedApp;
use freezer_store::model::NewBackup;
use freezer_store::query::{Listed, Page, actions, backups, clients, jobs, sessions};
use freezer_store::{Scope, Search, StoreError, Timestamp, read, single};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde::Serialize;
use serde_json::{Value, json};
use support::{Engine, Options, TestApp, TestDatabase, bounded, with_database};

/// Number of rows in each table, and number of searches for each list.
const ROWS: usize = 60;
const SEARCHES: usize = 60;

const WORDS: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "a ",
    "ä",
    "é",
    "É",
    "e",
    "ß",
    "ss",
    "1",
    "1.0",
    "0",
    "true",
    "null",
    "%",
    "_",
    "a/b",
    "a\\b",
    "\"",
    "a\"b",
    "\u{1f319}",
    "completed",
    "Completed",
    "completed ",
    "p1",
    "p2",
    "\n",
];
const KEYS: &[&str] = &[
    "status",
    "event",
    "description",
    "mode",
    "container",
    "timeout",
    "priority",
    "session_tag",
    "hold_off",
    "time_start",
    "mandatory",
    "max_retries",
    "client_id",
    "job_id",
    "session_id",
    "action_id",
    "backup_id",
    "project_id",
    "user_id",
    "uuid",
    "hostname",
    "trust_id",
    "job_schedule",
    "job_actions",
    "freezer_action",
    "backup_metadata",
    "schedule",
    "jobs",
    "client",
    "supported_modes",
    "a",
    "A",
    "é",
    "a/b",
    "a\"b",
    "a\\b",
    "",
    "time_stamp",
];

/// Limits of searches by time.
const TIMES: &[f64] =
    &[1.0, 0.0, -0.0, -1.0, 1.5, 5e-324, 100.0, 1_795_341_600.0, 1e300, -1e300, f64::MAX, f64::MIN];

/// Generates time stamps in every form that a client may have stored.
fn time_stamp() -> impl Strategy<Value = Value> {
    let stamps = [
        "1",
        "0",
        "-0.0",
        "-1",
        "1.0",
        "1.5",
        "100",
        "101",
        "1795341600",
        "1795341600.25",
        "1e300",
        "-1e300",
        "1e999",
        "-1e999",
        "9007199254740993",
        "123456789012345678901234567890",
        "null",
        "true",
        "false",
        "[1]",
        "[]",
        "{\"time_stamp\":1}",
        "\"1\"",
        "\" 100 \"",
        "\"1.5\"",
        "\"-1\"",
        "\"inf\"",
        "\"-inf\"",
        "\"NaN\"",
        "\"1e400\"",
        "\"\"",
        "\"now\"",
        "\"2026-11-22T10:00:00\"",
    ];
    proptest::sample::select(stamps.to_vec()).prop_map(|text| serde_json::from_str(text).unwrap())
}

/// Generates a schedule of a job with or without a status, next to other relevant keys.
fn schedule() -> impl Strategy<Value = Value> {
    let status = proptest::sample::select(vec![
        json!("completed"),
        json!("completed"),
        json!("completed"),
        json!("Completed"),
        json!("completed "),
        json!("running"),
        json!(null),
        json!(["completed"]),
    ]);
    (object(), status, 0..6_u8).prop_map(|(object, status, kind)| match kind {
        0 => object,
        1 => json!({"nested": {"status": status}}),
        2 => json!({"status": "running", "note": "\"status\": \"completed\""}),
        3 => json!({"event": "", "status": status, "result": "success"}),
        4 => json!({"status": status}),
        _ => {
            let mut object = object;
            object["status"] = status;
            object
        }
    })
}

/// Generates metadata with a time stamp, without one, or with one that is not used.
fn stamped() -> impl Strategy<Value = Value> {
    (object(), time_stamp(), 0..10_u8).prop_map(|(mut metadata, stamp, kind)| {
        match kind {
            0 => {}
            1 => metadata["nested"] = json!({"time_stamp": stamp}),
            _ => metadata["time_stamp"] = stamp,
        }
        metadata
    })
}

fn word() -> impl Strategy<Value = String> {
    proptest::sample::select(WORDS).prop_map(str::to_owned)
}

fn key() -> impl Strategy<Value = String> {
    proptest::sample::select(KEYS).prop_map(str::to_owned)
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => word().prop_map(Value::from),
        1 => Just(Value::Null),
        2 => proptest::sample::select(vec![json!(1), json!(1.0), json!(0), json!(true), json!(false), json!(1.5),
             json!(-1), json!(4_294_967_297_u64), json!(1e300)]),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::vec((key(), inner), 0..3)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    proptest::collection::vec((key(), prop_oneof![3 => leaf().boxed(), 1 => tree().boxed()]), 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// Generates JSON as different clients write it.
fn text() -> impl Strategy<Value = Option<String>> {
    spelled(object())
}

fn spelled(document: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<String>> {
    let spelled = (document, 0..5_u8).prop_map(|(value, style)| match style {
        0 | 1 => value.to_string(),
        2 => serde_json::to_string_pretty(&value).unwrap(),
        3 => value.to_string().replace("\":", "\": ").replace('/', "\\/"),
        _ => escaped(&value.to_string()),
    });
    prop_oneof![
        12 => spelled.prop_map(Some),
        1 => proptest::sample::select(vec!["", "null", "\"\"", "[]", "{", "{\"a\":\"a\"", "[{\"status\":\"completed\"}]",
             "{\"status\":\"completed\"} x", "{\"status\":\"completed\",}", "{\"x\":\"\u{1}\",\"status\":\"completed\"}",
             " {\"status\": \"completed\"}", "{\"a\\\"status\":\"completed\"}", "1"])
            .prop_map(|text| Some(text.to_owned())),
        1 => Just(None),
    ]
}

/// Returns the JSON with every letter in strings as an escape.
fn escaped(json: &str) -> String {
    let (mut out, mut inside, mut literal) = (String::new(), false, false);
    for c in json.chars() {
        match c {
            _ if literal => literal = false,
            '"' => inside = !inside,
            '\\' => literal = true,
            c if inside && c.is_alphabetic() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

fn search() -> impl Strategy<Value = Search> {
    let pairs = |most| {
        proptest::collection::vec((key(), prop_oneof![5 => leaf().boxed(), 1 => tree().boxed()]), 0..most)
    };
    let texts = || proptest::collection::vec(word(), 0..2);
    let time = || proptest::option::weighted(0.08, proptest::sample::select(TIMES));
    (
        pairs(3),
        pairs(3),
        prop_oneof![4 => Just(Vec::new()).boxed(), 1 => texts().boxed()],
        prop_oneof![4 => Just(Vec::new()).boxed(), 1 => texts().boxed()],
        time(),
        time(),
    )
        .prop_map(|(matches, match_not, texts, texts_not, time_after, time_before)| Search {
            matches,
            match_not,
            texts,
            texts_not,
            time_after,
            time_before,
        })
}

/// A value of a row.
enum Cell {
    Text(Option<String>),
    Int(Option<i64>),
}

struct Rows {
    runner: TestRunner,
    engine: Engine,
}

impl Rows {
    fn draw<T: std::fmt::Debug>(&mut self, strategy: impl Strategy<Value = T>) -> T {
        strategy.new_tree(&mut self.runner).expect("a value").current()
    }

    fn word(&mut self) -> Cell {
        Cell::Text(Some(self.draw(word())))
    }

    fn blank(&mut self) -> Cell {
        Cell::Text(self.draw(proptest::option::of(word())))
    }

    fn int(&mut self) -> Cell {
        Cell::Int(self.draw(proptest::option::of(-1..2_i64)))
    }

    fn json(&mut self) -> Cell {
        Cell::Text(self.draw(text()))
    }

    fn literal(&self, cell: &Cell) -> String {
        match (cell, self.engine) {
            (Cell::Int(Some(number)), _) => number.to_string(),
            (Cell::Int(None) | Cell::Text(None), _) => "NULL".to_owned(),
            (Cell::Text(Some(text)), engine) => {
                let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
                match engine {
                    Engine::Sqlite => format!("CAST(x'{hex}' AS TEXT)"),
                    Engine::MariaDb | Engine::MySql => format!("CONVERT(x'{hex}' USING utf8mb4)"),
                }
            }
        }
    }

    /// Inserts a row in project p1 that was created at second `n` / 3 or that has no time. Returns its id.
    fn insert(&mut self, table: &str, n: usize, cells: Vec<(&str, Cell)>) -> String {
        let time = match n % 10 {
            9 => "NULL".to_owned(),
            _ => format!("'2026-01-01 00:00:{:02}'", n / 3),
        };
        let (columns, values): (Vec<_>, Vec<_>) =
            cells.iter().map(|(column, cell)| (*column, self.literal(cell))).unzip();
        let owner = if table == "job_actions" || table == "user_credentials" { "" } else { "project_id, " };
        let project = if owner.is_empty() { "" } else { "'p1', " };
        format!(
            "INSERT INTO {table} (id, {owner}deleted, created_at, {}) VALUES ('{table}-{n}', {project}0, {time}, {});\n",
            columns.join(", "),
            values.join(", ")
        )
    }

    fn all(&mut self) -> String {
        let mut sql = String::new();
        for n in 0..ROWS {
            let cells = vec![
                ("user_id", self.word()),
                ("uuid", self.word()),
                ("client_id", self.word()),
                ("hostname", self.blank()),
                ("description", self.blank()),
                ("is_central", Cell::Int(Some(0))),
                ("supported_modes", Cell::Text(Some(r#"["fs", "a"]"#.to_owned()))),
            ];
            // Two live clients cannot have the same name, so each gets its own.
            let mut cells = cells;
            cells[2].1 = Cell::Text(Some(format!("{}-{n}", WORDS[n % WORDS.len()])));
            sql.push_str(&self.insert("clients", n, cells));
            let cells = vec![
                ("user_id", self.word()),
                ("description", self.blank()),
                ("session_tag", self.int()),
                ("result", self.blank()),
                ("hold_off", self.int()),
                ("status", self.blank()),
                ("time_start", self.int()),
                ("schedule", self.json()),
                ("job", self.json()),
            ];
            sql.push_str(&self.insert("sessions", n, cells));
            let cells = vec![
                ("user_id", self.word()),
                ("schedule", Cell::Text(self.draw(spelled(schedule())))),
                ("client_id", self.word()),
                ("session_id", self.blank()),
                ("session_tag", self.int()),
                ("description", self.blank()),
            ];
            sql.push_str(&self.insert("jobs", n, cells));
            let cells = vec![
                ("user_id", self.word()),
                ("action", self.word()),
                ("actionmode", self.blank()),
                ("container", self.blank()),
                ("timeout", self.int()),
                ("priority", self.int()),
                ("max_retries", self.int()),
                ("mandatory", self.int()),
                ("backup_metadata", self.json()),
            ];
            sql.push_str(&self.insert("actions", n, cells));
            let job = self.draw(0..=n);
            let cells = vec![
                ("job_id", Cell::Text(Some(format!("jobs-{job}")))),
                ("action_id", Cell::Text(Some(format!("actions-{n}")))),
                ("position", Cell::Int(Some(n as i64))),
            ];
            sql.push_str(&self.insert("job_actions", n, cells));
            if n % 7 == 0 {
                let cells = vec![
                    ("job_id", Cell::Text(Some(format!("jobs-{n}")))),
                    ("trust_id", self.word()),
                    ("trustor_user_id", self.word()),
                ];
                sql.push_str(&self.insert("user_credentials", n, cells));
            }
            let metadata = Cell::Text(self.draw(spelled(stamped())));
            let cells =
                vec![("user_id", self.word()), ("status", self.word()), ("backup_metadata", metadata)];
            sql.push_str(&self.insert("backups", n, cells));
        }
        sql
    }
}

#[derive(Debug, Clone, Copy)]
enum Noun {
    Clients,
    Sessions,
    Jobs,
    Actions,
    Backups,
}

impl Noun {
    /// Returns the documents with their ids.
    async fn list(self, app: &SharedApp, search: &Search, page: &Page) -> Vec<(String, Value)> {
        let (store, scope) = (&app.store, Scope::project("p1"));
        fn all<T: Serialize>(
            found: Result<Listed<T>, StoreError>,
            id: impl Fn(&T) -> &str,
        ) -> Vec<(String, Value)> {
            let documents = found.expect("a list").documents;
            documents.iter().map(|one| (id(one).to_owned(), serde_json::to_value(one).unwrap())).collect()
        }
        match self {
            Noun::Clients => {
                all(read!(store, "t", |db| clients::list(db, &scope, search, page).await), |c| &c.uuid)
            }
            Noun::Sessions => {
                all(read!(store, "t", |db| sessions::list(db, &scope, search, page).await), |s| &s.session_id)
            }
            Noun::Jobs => {
                all(read!(store, "t", |db| jobs::list(db, &scope, search, page).await), |j| &j.job_id)
            }
            Noun::Actions => {
                all(read!(store, "t", |db| actions::list(db, &scope, search, page).await), |a| &a.action_id)
            }
            Noun::Backups => {
                all(read!(store, "t", |db| backups::list(db, &scope, search, page).await), |b| &b.backup_id)
            }
        }
    }

    /// Returns the keys that are only searched at the top level of such a document.
    fn identity(self) -> &'static [&'static str] {
        match self {
            Noun::Clients => &["project_id", "user_id"],
            Noun::Sessions => &["session_id", "project_id", "user_id"],
            Noun::Jobs => &["client_id", "job_id", "session_id", "project_id", "user_id"],
            Noun::Actions => &["action_id", "project_id", "user_id"],
            Noun::Backups => &["backup_id", "project_id", "user_id"],
        }
    }
}

/// Returns every key with its value at all levels.
fn pairs_of(document: &Value) -> Vec<(String, Value)> {
    match document {
        Value::Object(map) => {
            let inner = map.values().flat_map(pairs_of);
            map.iter().map(|(key, value)| (key.clone(), value.clone())).chain(inner).collect()
        }
        Value::Array(items) => items.iter().flat_map(pairs_of).collect(),
        _ => Vec::new(),
    }
}

fn ids(found: &[(String, Value)]) -> Vec<&str> {
    found.iter().map(|(id, _)| id.as_str()).collect()
}

/// Puts the search terms of the backups into all possible states: created by a sync or by the service, outdated because
/// the metadata was changed directly, missing, and too many.
async fn spread_search_terms(app: &TestApp, rows: &mut Rows) {
    app.store().sync().await.expect("terms are made");
    let (scope, mut sql) = (Scope::project("p1"), String::new());
    let engine_is_sqlite = rows.engine == Engine::Sqlite;
    for n in 0..ROWS {
        let id = format!("backups-{n}");
        match n % 6 {
            0 | 1 => {
                let metadata = Cell::Text(rows.draw(spelled(stamped())));
                let literal = rows.literal(&metadata);
                sql.push_str(&format!("UPDATE backups SET backup_metadata = {literal} WHERE id = '{id}';\n"));
            }
            2 | 3 => {
                let Value::Object(mut metadata) = rows.draw(stamped()) else { unreachable!() };
                if n % 12 == 2 {
                    metadata.extend((0..300).map(|n| (format!("key {n}"), json!(n))));
                }
                let new = NewBackup { status: rows.draw(word()), metadata };
                let now = Timestamp(1_800_000_000);
                let done: Result<bool, StoreError> =
                    single!(app.store(), "t", |db| backups::update(db, &scope, &id, &new, now).await);
                assert!(done.expect("a change"));
            }
            4 => {
                // An earlier release writes terms, but not the time, so the time of the previous metadata remains.
                let unmade = [
                    "fz_search_terms = NULL, fz_search_crc = NULL",
                    "fz_time_crc = NULL, fz_time = NULL",
                    "fz_time_crc = 7",
                    "fz_time_crc = 7, fz_time = 1",
                ][n / 6 % 4];
                let when = if engine_is_sqlite && unmade.contains("7") {
                    "fz_time_crc = NULL, fz_time = NULL"
                } else {
                    unmade
                };
                sql.push_str(&format!("UPDATE backups SET {when} WHERE id = '{id}';\n"));
            }
            _ => {}
        }
    }
    app.database().run(&sql).await;
}

/// Compares the result of a search in pages of several kinds with `Search::accepts`.
async fn finds_what_it_means(app: &TestApp, noun: Noun, documents: &[(String, Value)], search: &Search) {
    let accepted = |found: &&(String, Value)| search.accepts(&found.1, noun.identity());
    let wanted: Vec<&str> = documents.iter().filter(accepted).map(|(id, _)| id.as_str()).collect();
    let listed = async |page: Page| {
        let found = noun.list(app.app(), search, &page).await;
        found.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(listed(Page::at(1_000, 0)).await, wanted, "{noun:?}: {search:?}");
    assert_eq!(listed(Page::at(2, 0)).await, wanted[..wanted.len().min(2)], "{noun:?}, a page: {search:?}");
    assert_eq!(
        listed(Page::at(2, 1)).await,
        wanted[wanted.len().min(1)..wanted.len().min(3)],
        "{noun:?}, an offset: {search:?}"
    );
    let mut newest = wanted.clone();
    newest.reverse();
    let first = Page { newest_first: true, ..Page::at(3, 0) };
    assert_eq!(listed(first).await, newest[..newest.len().min(3)], "{noun:?}, back: {search:?}");
    for newest_first in [false, true] {
        let marker = documents.len() / 2;
        let mut behind: Vec<&(String, Value)> = match newest_first {
            false => documents[marker + 1..].iter().collect(),
            true => documents[..marker].iter().rev().collect(),
        };
        behind.retain(|found| accepted(found));
        let behind: Vec<&str> = behind.iter().map(|(id, _)| id.as_str()).collect();
        let page = Page { newest_first, marker: Some(documents[marker].0.clone()), ..Page::at(1_000, 0) };
        assert_eq!(listed(page).await, behind, "{noun:?}, behind a marker, {newest_first}: {search:?}");
    }
    let counting = Page { count: true, ..Page::at(1, 0) };
    let (store, scope) = (app.store(), Scope::project("p1"));
    let count = match noun {
        Noun::Backups => {
            read!(store, "t", |db| backups::list(db, &scope, search, &counting).await).map(|page| page.count)
        }
        _ => read!(store, "t", |db| jobs::list(db, &scope, search, &counting).await).map(|page| page.count),
    };
    assert_eq!(count.unwrap(), Some(wanted.len() as u64), "{noun:?}: {search:?}");
}

/// Searches for every range of times, alone and with another condition.
async fn times_are_found(app: &TestApp, documents: &[(String, Value)]) {
    let bounds = || TIMES.iter().copied().map(Some).chain([None]);
    for (after, time_after) in bounds().enumerate() {
        for (before, time_before) in bounds().enumerate() {
            let mut search = Search { time_after, time_before, ..Search::default() };
            finds_what_it_means(app, Noun::Backups, documents, &search).await;
            match (after + before) % 3 {
                0 => search.matches = vec![("status".to_owned(), json!("completed"))],
                1 => search.match_not = vec![("status".to_owned(), json!("a"))],
                _ => search.texts = vec!["A".to_owned()],
            }
            finds_what_it_means(app, Noun::Backups, documents, &search).await;
        }
    }
}

/// Counts the backups without a pair of one of them, with and without a second pair and a range of times.
async fn absences_are_counted(app: &TestApp, documents: &[(String, Value)]) {
    let (store, scope, counting) =
        (app.store(), Scope::project("p1"), Page { count: true, ..Page::at(1, 0) });
    let mut found_some = 0;
    for (n, (_, document)) in documents.iter().enumerate() {
        let pairs = pairs_of(document);
        for (m, pair) in pairs.iter().rev().take(8).enumerate() {
            let mut search = Search { match_not: vec![pair.clone()], ..Search::default() };
            match (n + m) % 4 {
                0 => {}
                1 => search.match_not.push(pairs[m % pairs.len()].clone()),
                2 => search.time_after = Some(TIMES[(n + m) % TIMES.len()]),
                _ => search.time_before = Some(TIMES[n % TIMES.len()]),
            }
            let accepted = |found: &&(String, Value)| search.accepts(&found.1, Noun::Backups.identity());
            let wanted = documents.iter().filter(accepted).count();
            let found = read!(store, "t", |db| backups::list(db, &scope, &search, &counting).await).unwrap();
            assert_eq!(found.count, Some(wanted as u64), "{search:?}");
            found_some += usize::from(wanted > 0 && wanted < documents.len());
        }
    }
    assert!(found_some > 2 * documents.len(), "only {found_some} searches choose among the backups");
}

/// Checks the polls of every client with all schedules of its jobs.
async fn polls_are_found(app: &TestApp, documents: &[(String, Value)]) {
    for client in WORDS {
        let mut search = Search {
            matches: vec![("client_id".to_owned(), json!(client))],
            match_not: vec![("status".to_owned(), json!("completed"))],
            ..Search::default()
        };
        finds_what_it_means(app, Noun::Jobs, documents, &search).await;
        search.match_not.push(("event".to_owned(), json!("")));
        finds_what_it_means(app, Noun::Jobs, documents, &search).await;
        search.matches.clear();
        finds_what_it_means(app, Noun::Jobs, documents, &search).await;
    }
    for at_once in 1..=jobs::POLLS_AT_ONCE {
        for clients in WORDS.chunks(at_once) {
            polls_at_once_are_found(app, documents, clients).await;
        }
    }
}

/// Sends polls that share a statement. With large pages, one statement returns the whole answer. With small pages, it
/// returns a part of it.
async fn polls_at_once_are_found(app: &TestApp, documents: &[(String, Value)], clients: &[&str]) {
    for limit in [1, 3, 100] {
        let poll = |client: &&str| jobs::Poll {
            client_id: (*client).to_owned(),
            limit,
            look_ahead: limit == 3,
            max_bytes: u64::MAX,
            readable: u64::MAX,
        };
        let polls: Vec<jobs::Poll> = clients.iter().map(poll).collect();
        let rows = read!(app.store(), "t", |db| jobs::rows_of_polls(db, "p1", &polls).await).unwrap();
        for (poll, rows) in polls.iter().zip(rows) {
            let Some(page) = rows.and_then(|rows| rows.page(poll).unwrap()) else { continue };
            let search = Search {
                matches: vec![("client_id".to_owned(), json!(poll.client_id))],
                match_not: vec![("status".to_owned(), json!("completed"))],
                ..Search::default()
            };
            let mut wanted: Vec<&str> = documents
                .iter()
                .filter(|(_, job)| search.accepts(job, Noun::Jobs.identity()))
                .map(|(id, _)| id.as_str())
                .collect();
            let limit = usize::try_from(limit).unwrap();
            assert_eq!(page.more, poll.look_ahead && wanted.len() > limit, "{poll:?}");
            wanted.truncate(limit);
            let found: Vec<&str> = page.documents.iter().map(|job| job.job_id.as_str()).collect();
            assert_eq!(found, wanted, "{poll:?}");
        }
    }
}

async fn every_search_finds_what_it_means(database: &TestDatabase, engine: Engine) {
    let app = TestApp::start(database, Options::default()).await;
    let mut rows = Rows { runner: TestRunner::deterministic(), engine };
    database.run(&rows.all()).await;
    spread_search_terms(&app, &mut rows).await;
    for noun in [Noun::Clients, Noun::Sessions, Noun::Jobs, Noun::Actions, Noun::Backups] {
        let whole = Page::at(1_000, 0);
        let documents = noun.list(app.app(), &Search::default(), &whole).await;
        assert_eq!(documents.len(), ROWS, "{noun:?}");
        let mut found_some = 0;
        for _ in 0..SEARCHES {
            let mut search = rows.draw(search());
            // Most random pairs match no row, so some pairs are taken from the documents.
            let one = rows.draw(0..ROWS);
            for pair in pairs_of(&documents[one].1) {
                match rows.draw(0..40) {
                    0 => search.matches = vec![pair],
                    1 => search.matches.push(pair),
                    2 | 3 => search.match_not.push(pair),
                    4 => search.matches.clear(),
                    _ => {}
                }
            }
            let mut wanted = documents.clone();
            wanted.retain(|(_, document)| search.accepts(document, noun.identity()));
            found_some += usize::from(!wanted.is_empty() && wanted.len() < ROWS);
            let found = noun.list(app.app(), &search, &whole).await;
            assert_eq!(ids(&found), ids(&wanted), "{noun:?}: {search:?}\n{wanted:#?}");
            assert_eq!(found, wanted, "{noun:?}: {search:?}");
            let page = noun.list(app.app(), &search, &Page::at(2, 1)).await;
            let end = wanted.len().min(3);
            assert_eq!(ids(&page), ids(&wanted[end.min(1)..end]), "{noun:?}, second and third: {search:?}");
            let marker = documents[ROWS / 2].0.clone();
            let at = documents.iter().position(|(id, _)| *id == marker).unwrap();
            let before: Vec<(String, Value)> = documents[..at].iter().rev().cloned().collect();
            let wanted: Vec<&str> = before
                .iter()
                .filter(|(_, document)| search.accepts(document, noun.identity()))
                .map(|(id, _)| id.as_str())
                .collect();
            let page = Page { marker: Some(marker), newest_first: true, ..Page::at(1_000, 0) };
            assert_eq!(
                ids(&noun.list(app.app(), &search, &page).await),
                wanted,
                "{noun:?}, back: {search:?}"
            );
        }
        match noun {
            Noun::Backups => {
                times_are_found(&app, &documents).await;
                absences_are_counted(&app, &documents).await;
            }
            Noun::Jobs => polls_are_found(&app, &documents).await,
            _ => {}
        }
        assert!(
            found_some > SEARCHES / 10,
            "{noun:?}: only {found_some} searches choose among the documents"
        );
    }
}

#[test]
fn sqlite() {
    with_database(Engine::Sqlite, "pushed_search", |runtime, database| {
        runtime.block_on(bounded(every_search_finds_what_it_means(database, Engine::Sqlite)));
    });
}

#[test]
fn mariadb() {
    with_database(Engine::MariaDb, "pushed_search", |runtime, database| {
        runtime.block_on(bounded(every_search_finds_what_it_means(database, Engine::MariaDb)));
    });
}
