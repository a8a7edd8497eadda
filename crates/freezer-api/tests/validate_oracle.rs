//! Compares the validation of documents with freezer-api 19.0.0. Valid bodies are changed systematically and by a
//! seeded generator, and the document classes of the Python service validate each result. This service must come to the
//! same result, except for the differences in [`DECIDED`]. Each of these differences must occur, so that outdated ones
//! are detected.
//!
//! `FREEZER_TEST_PYTHON` must be the path of a Python interpreter with `freezer-api` 19.0.0 (`pip install
//! freezer-api==19.0.0`). Otherwise, the test prints a note and passes.
//!
//! The unit tests of the module cover the error texts. Errors of the database are not tested here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise and says what it skips"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use freezer_api::validate::{Document, Validators};
use serde_json::{Map, Value, json};

/// Number of bodies with random changes. Both services accept about a third of them.
const BODIES: usize = 8_000;

/// A body that only this service rejects.
struct Case<'a> {
    kind: Document,
    body: &'a Value,
    /// The field with the error.
    field: &'a str,
    /// The text of the error.
    message: &'a str,
}

impl Case<'_> {
    /// Returns the value at `field`, which is the field of the error or one of its parents.
    fn at(&self, field: &str) -> Option<&Value> {
        let pointer = format!("/{}", field.replace(['.', '['], "/").replace(']', ""));
        self.body.pointer(&pointer)
    }

    fn value(&self) -> &Value {
        self.at(self.field).unwrap_or(&Value::Null)
    }

    fn last(&self) -> &str {
        self.field.rsplit('.').next().unwrap_or_default()
    }

    fn is_job(&self) -> bool {
        matches!(self.kind, Document::Job | Document::JobPatch | Document::JobReplace)
    }

    fn is_session(&self) -> bool {
        matches!(self.kind, Document::Session | Document::SessionPatch | Document::SessionReplace)
    }
}

/// An intended difference.
struct Difference {
    /// A description of the difference and its reason.
    reason: &'static str,
    refused: Refused,
}

enum Refused {
    /// Only this service rejects a field. The Python classes accept it, but the database then fails or stores another
    /// value.
    Here(fn(&Case<'_>) -> bool),
    /// Only Python rejects the body. This function removes the cause and returns whether it existed. Without these
    /// causes, Python must accept the body.
    There(fn(Document, &mut Value) -> bool),
}
use Refused::{Here, There};

/// The keys with an INT column and without a type in Python's schemas.
const UNTYPED_INTEGERS: [&str; 7] =
    ["timeout", "priority", "max_retries", "max_retries_interval", "hold_off", "time_start", "time_end"];
/// The other keys with an INT column.
const INTEGERS: [&str; 3] = ["session_tag", "time_started", "time_ended"];

const UNREAD: [&str; 4] = ["user_credentials", "_version", "session_name", "project_id"];

const DECIDED: &[Difference] = &[
    Difference {
        reason: "a text or list that its column cannot hold: there the database's error, a 500",
        refused: Here(|case| {
            let ids = ["uuid", "job_id", "action_id", "session_id"];
            let max = if ids.contains(&case.last()) { 36 } else { 255 };
            let width = match case.value() {
                Value::String(text) => text.chars().count(),
                // This is the length in Python, which writes a space after each comma.
                Value::Array(list) => case.value().to_string().len() + list.len() - 1,
                _ => 0,
            };
            width > max && !case.field.contains("schedule")
        }),
    },
    Difference {
        reason: "a number outside the 32 bits of its column: there the database's error",
        refused: Here(|case| {
            (UNTYPED_INTEGERS.contains(&case.last()) || INTEGERS.contains(&case.last()))
                && !case.field.contains("schedule")
                && case.value().as_f64().is_some_and(|number| number.abs() > 2_147_483_647.0)
        }),
    },
    Difference {
        reason: "a value that no INT column keeps, or a boolean: there the database's error, or 1",
        refused: Here(|case| {
            UNTYPED_INTEGERS.contains(&case.last())
                && match case.value() {
                    Value::String(text) => text.trim().parse::<f64>().is_err(),
                    value => value.is_boolean() || value.is_array() || value.is_object(),
                }
        }),
    },
    Difference {
        reason: "a list or an object for a text column: there the database's error",
        refused: Here(|case| {
            matches!(case.last(), "mode" | "path_to_backup" | "backup_name" | "container" | "log_file")
                && case.field.contains("freezer_action.")
                && (case.value().is_array() || case.value().is_object())
        }),
    },
    Difference {
        reason: "a session's description, status or result that is no text: there made text by the database",
        refused: Here(|case| {
            case.is_session()
                && matches!(case.field, "description" | "status" | "result")
                && !case.value().is_string()
                && !case.value().is_null()
        }),
    },
    Difference {
        reason: "a line feed at the end of a matched text: Python's `$` lets it through",
        refused: Here(|case| {
            case.message.contains(" does not match ")
                && case.value().as_str().is_some_and(|text| text.ends_with('\n'))
        }),
    },
    Difference {
        reason: "a freezer_action that is no object: there an internal error after validation",
        refused: Here(|case| case.last() == "freezer_action" && !case.value().is_object()),
    },
    Difference {
        reason: "an action to create without a text for `action`: there the database's error, or a nameless action",
        refused: Here(|case| {
            let Some(entry) = case.field.strip_suffix(".freezer_action.action") else {
                return case.field == "freezer_action.action"
                    && case.value().as_str().is_none_or(str::is_empty);
            };
            let given =
                |value: Option<&Value>| value.is_some_and(|value| ![json!(null), json!("")].contains(value));
            case.value().is_null()
                && !given(case.body.pointer("/action_defaults/action"))
                && !given(case.at(&format!("{entry}.action_id")))
        }),
    },
    Difference {
        reason: "0, false, [] or {} for an id: there taken as no id",
        refused: Here(|case| {
            matches!(case.last(), "action_id" | "job_id")
                && [json!(0), json!(0.0), json!(false), json!([]), json!({})].contains(case.value())
        }),
    },
    Difference {
        reason: "the id of a job's action that is no text: there looked for in the database (422 or an error)",
        refused: Here(|case| {
            case.is_job()
                && case.last() == "action_id"
                && !case.value().is_string()
                && !case.value().is_null()
        }),
    },
    Difference {
        reason: "job_actions that is the empty text: there taken as no actions",
        refused: Here(|case| case.field == "job_actions" && *case.value() == json!("")),
    },
    Difference {
        reason: "an unknown key in the PATCH of a session: there an internal error",
        refused: Here(|case| {
            let known = bases(Document::Session);
            case.kind == Document::SessionPatch
                && !case.field.contains("schedule.")
                && case.message.contains("Additional properties are not allowed")
                && !known.iter().any(|session| session.get(case.field).is_some())
        }),
    },
    Difference {
        reason: "a session's jobs that are no map of objects: there dropped, or kept to fail later",
        refused: Here(|case| {
            matches!(case.kind, Document::SessionPatch | Document::SessionReplace)
                && (case.field == "jobs" || case.field.starts_with("jobs."))
                && !case.value().is_object()
                && ![json!([]), json!(null)].contains(&case.body["jobs"])
        }),
    },
    Difference {
        reason: "`mandatory` that is no boolean: there dropped, or an error of the database layer",
        refused: Here(|case| {
            case.last() == "mandatory" && !case.value().is_boolean() && !case.value().is_null()
        }),
    },
    Difference {
        reason: "a number of a schedule beyond 64 bits: not every client can read it",
        refused: Here(|case| {
            case.field.contains("schedule.")
                && case.value().as_f64().is_some_and(|number| number.abs() > 9e18)
        }),
    },
    Difference {
        reason: "a default that would be wrong in an action is wrong even if every action has its own",
        refused: Here(|case| case.field.starts_with("action_defaults.") && !case.value().is_null()),
    },
    Difference {
        reason: "keys that the service does not read are not checked",
        refused: There(|_, body| remove(body, &UNREAD, |_| true)),
    },
    Difference {
        reason: "null for the retries or `mandatory` of a job's action is absent, as it may be so returned",
        refused: There(|_, body| {
            in_entries(body, |entry| {
                remove(entry, &["max_retries", "max_retries_interval", "mandatory"], Value::is_null)
            })
        }),
    },
    Difference {
        reason: "the status `restoring`, of the release notes, is known",
        refused: There(|kind, body| {
            let backup = matches!(kind, Document::Backup | Document::BackupPatch);
            let found = backup && body["status"] == "restoring";
            if found {
                body["status"] = json!("available");
            }
            found
        }),
    },
    Difference {
        reason: "a key of freezer_action beside it is out of place and not read: there checked, then dropped",
        refused: There(|kind, body| match kind {
            Document::Action | Document::ActionPatch | Document::ActionReplace => {
                remove(body, &STRAY, |_| true)
            }
            _ => in_entries(body, |entry| remove(entry, &STRAY, |_| true)),
        }),
    },
    Difference {
        reason: "action_defaults beside the bare id of an action: there a KeyError, answered as a missing body",
        refused: There(|_, body| {
            let defaults = body["action_defaults"].as_object().is_some_and(|defaults| !defaults.is_empty());
            let Some(Value::Array(entries)) = body.get_mut("job_actions").filter(|_| defaults) else {
                return false;
            };
            let before = entries.len();
            entries.retain(|entry| entry.get("freezer_action").is_some());
            entries.len() < before
        }),
    },
];

const STRAY: [&str; 7] = [
    "action",
    "mode",
    "path_to_backup",
    "backup_name",
    "container",
    "restore_abs_path",
    "cindernative_freezer_only",
];

/// Removes these keys from an object if their value satisfies `so`. Returns whether it removed any.
fn remove(object: &mut Value, keys: &[&str], so: fn(&Value) -> bool) -> bool {
    let Value::Object(map) = object else { return false };
    let before = map.len();
    map.retain(|key, value| !(keys.contains(&key.as_str()) && so(value)));
    map.len() < before
}

/// Changes every entry of a job's actions. Returns whether an entry changed.
fn in_entries(body: &mut Value, change: impl Fn(&mut Value) -> bool) -> bool {
    let mut found = false;
    for entry in body.get_mut("job_actions").and_then(Value::as_array_mut).into_iter().flatten() {
        found |= change(entry);
    }
    found
}

/// SplitMix64: a small generator with a seed, with the same results on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

fn bases(kind: Document) -> Vec<Value> {
    let schedule = json!({
        "time_created": 1, "time_started": -1, "time_ended": -1, "event": "", "status": "scheduled",
        "result": "", "schedule_date": "2026-02-28T23:59:59", "schedule_interval": "5 minutes",
        "schedule_start_date": "2026-02-28T23:59:59Z", "schedule_end_date": "2026-12-31T00:00:00+05:30",
        "schedule_year": "2026", "schedule_month": "1", "schedule_day_of_week": "mon", "current_pid": 7,
    });
    let freezer_action = json!({
        "action": "backup", "mode": "fs", "storage": "local", "backup_name": "b", "container": "c",
        "path_to_backup": "/x", "timeout": 5, "priority": 1, "log_file": "/l", "restore_abs_path": null,
        "cindernative_freezer_only": true, "mandatory": true,
    });
    let entry = json!({
        "max_retries": 2, "max_retries_interval": 5, "mandatory": false, "freezer_action": freezer_action,
    });
    match kind {
        Document::Client => vec![
            json!({"client_id": "n"}),
            json!({
                "client_id": "project_node1.example.org", "hostname": "node1", "description": "d", "uuid": "u",
                "supported_actions": ["backup", "restore"], "supported_modes": ["fs"],
                "supported_storages": ["local"], "supported_engines": ["tar"], "is_central": false,
            }),
        ],
        Document::Job | Document::JobPatch | Document::JobReplace => vec![
            json!({"client_id": "n", "job_actions": []}),
            json!({
                "description": "d", "client_id": "n", "job_schedule": schedule, "job_actions": [entry],
                "session_id": "", "session_tag": 0, "job_id": "j1", "user_id": "u", "project_id": "p",
            }),
            json!({
                "client_id": "n", "action_defaults": {"mode": "fs", "action": "backup", "log_file": "/l"},
                "job_actions": [{"freezer_action": {"container": "c"}}, {"action_id": "a1", "freezer_action": {}}],
            }),
            json!({"client_id": "n", "job_actions": [entry, {"action_id": "a1"}], "job_schedule": {}}),
        ],
        Document::Action | Document::ActionPatch | Document::ActionReplace => vec![
            json!({"freezer_action": {"action": "exec"}}),
            json!({
                "action_id": "a1", "max_retries": 2, "max_retries_interval": 5, "mandatory": true,
                "user_id": "u", "project_id": "p", "freezer_action": freezer_action,
            }),
        ],
        Document::Session | Document::SessionPatch | Document::SessionReplace => vec![
            json!({"schedule": {}, "session_tag": 0}),
            json!({
                "schedule": schedule, "session_tag": 1, "session_id": "s", "description": "d", "hold_off": 60,
                "status": "active", "result": null, "time_start": -1, "time_end": -1, "time_started": -1,
                "time_ended": -1, "jobs": {"j1": {"client_id": "n", "status": "running"}},
                "user_id": "u", "project_id": "p",
            }),
        ],
        Document::Backup => vec![
            json!({"backup_name": "b", "container": "c", "hostname": "h", "time_stamp": 1, "job_id": "j"}),
            json!({"backup_name": "b", "status": "creating", "container": null}),
            json!({"backup_name": "b", "container": "c", "hostname": "h", "status": "available"}),
        ],
        Document::BackupPatch => vec![
            json!({"status": "error"}),
            json!({"backup_metadata": {"x": 1, "job_id": "j"}, "container": "new", "job_id": "j"}),
        ],
    }
}

/// Returns values of every type and of every word list, valid and invalid.
fn values() -> Vec<Value> {
    let texts = [
        "",
        "a",
        "a b",
        "a-1_b",
        "a\n",
        "\n",
        "é",
        "e\u{301}",
        "\u{663}",
        "x_",
        "_",
        "-",
        ".",
        "a.",
        "a..b",
        "a-",
        "-a",
        "a_b_c.d",
        "5",
        "5\n",
        "\u{1d7d8}",
        "\u{216b}",
        "²",
        "soon",
        "zap",
        "backup",
        "exec",
        "fs",
        "nova",
        "local",
        "tar",
        "continuous",
        "5 days",
        "5  weeks",
        "5days",
        "5 day",
        "\u{663} hours",
        "5 minutes\n",
        "2026",
        "\u{662}\u{660}\u{662}\u{666}",
        "20261",
        "2026-02-28T23:59:59",
        "2026-2-28T23:59:59",
        "-12026-01-01T00:00:00Z",
        "2026-01-01T24:00:00",
        "2026-01-01T00:00:00.25-23:59",
        "2026-01-01T00:00:00\n",
        "start",
        "abort",
        "completed",
        "running",
        "stop",
        "remove",
        "scheduled",
        "aborting",
        "removed",
        "success",
        "fail",
        "aborted",
        "restore",
        "info",
        "admin",
        "mongo",
        "mysql",
        "sqlserver",
        "cinder",
        "glance",
        "cindernative",
        "swift",
        "ssh",
        "s3",
        "ftp",
        "ftps",
        "rsync",
        "rsyncv2",
        "osbrick",
        "creating",
        "available",
        "restoring",
        "error",
        "deleting",
        "deleted",
    ];
    let mut values: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    values.extend(
        ["x".repeat(36), "x".repeat(37), "x".repeat(63), "x".repeat(64), "x".repeat(255), "x".repeat(256)]
            .map(Value::from),
    );
    values.extend([
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.0),
        json!(1.5),
        json!(1e3),
        json!(2_147_483_647_i64),
        json!(2_147_483_648_i64),
        json!(-2_147_483_649_i64),
        json!(i64::MAX),
        json!(u64::MAX),
        json!([]),
        json!([1]),
        json!(["backup"]),
        json!(["tar", "zap"]),
        json!(["backup", "restore", "info", "admin", "exec"]),
        json!(["fs", "mongo", "mysql", "sqlserver", "cinder", "glance", "cindernative", "nova"]),
        json!(["local", "swift", "ssh", "s3", "ftp", "ftps"]),
        json!(["tar", "rsync", "rsyncv2", "nova", "osbrick", "glance"]),
        json!(vec!["backup"; 40]),
        json!([{}]),
        json!([{"action_id": "a1"}]),
        json!([{"freezer_action": {}}]),
        json!([{"freezer_action": {"action": "exec"}}]),
        json!({}),
        json!({"a": 1}),
        json!({"a": {}}),
        json!({"action": "zap"}),
        json!({"action": "exec", "mode": "nova"}),
        json!({"mode": null}),
        json!({"trust_id": "t", "trustor_user_id": "u"}),
        json!({"schedule_interval": "1 days"}),
    ]);
    values
}

/// Keys of every document. Depending on the object, they are right or wrong.
const KEYS: [&str; 62] = [
    "client_id",
    "hostname",
    "description",
    "uuid",
    "supported_actions",
    "supported_modes",
    "supported_storages",
    "supported_engines",
    "is_central",
    "job_id",
    "job_actions",
    "job_schedule",
    "session_id",
    "session_tag",
    "session_name",
    "user_id",
    "project_id",
    "_version",
    "user_credentials",
    "action_defaults",
    "action_id",
    "freezer_action",
    "action",
    "mode",
    "path_to_backup",
    "backup_name",
    "container",
    "restore_abs_path",
    "cindernative_freezer_only",
    "timeout",
    "priority",
    "log_file",
    "mandatory",
    "max_retries",
    "max_retries_interval",
    "schedule",
    "hold_off",
    "status",
    "result",
    "time_start",
    "time_end",
    "time_started",
    "time_ended",
    "time_created",
    "jobs",
    "event",
    "schedule_date",
    "schedule_interval",
    "schedule_start_date",
    "schedule_end_date",
    "schedule_year",
    "schedule_month",
    "schedule_day",
    "schedule_hour",
    "current_pid",
    "backup_metadata",
    "backup_id",
    "colour",
    "0",
    "a.b",
    "deleted",
    "last_start",
];

/// Collects all places in the value as JSON pointers of plain keys.
fn places(value: &Value, here: &str, out: &mut Vec<String>) {
    out.push(here.to_owned());
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, child)| places(child, &format!("{here}/{key}"), out))
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, child)| places(child, &format!("{here}/{at}"), out));
        }
        _ => {}
    }
}

fn mutate(body: &mut Value, random: &mut Random, values: &[Value]) {
    let mut all = Vec::new();
    places(body, "", &mut all);
    let pointer = random.pick(&all).clone();
    let choice = random.below(100);
    // The whole body is only one of many places, and an invalid body is not a useful case.
    if pointer.is_empty() && choice < 90 || choice < 25 {
        let objects: Vec<&String> =
            all.iter().filter(|place| body.pointer(place).is_some_and(Value::is_object)).collect();
        if let Some(Value::Object(map)) =
            objects.first().map(|_| *random.pick(&objects)).and_then(|p| body.pointer_mut(p))
        {
            map.insert((*random.pick(&KEYS)).to_owned(), random.pick(values).clone());
        }
    } else if choice < 40 {
        let Some((parent, key)) = pointer.rsplit_once('/') else { return };
        match body.pointer_mut(parent) {
            Some(Value::Object(map)) => drop(map.shift_remove(key)),
            Some(Value::Array(list)) => drop(list.pop()),
            _ => {}
        }
    } else if let Some(place) = body.pointer_mut(&pointer) {
        match place {
            Value::String(text) if choice < 50 => *text += if choice < 46 { "\n" } else { "é" },
            place => *place = random.pick(values).clone(),
        }
    }
}

fn generate() -> Vec<(Document, Value)> {
    let mut random = Random(19);
    let values = values();
    let mut bodies = Vec::new();
    // Each value is inserted at each place of the longest body of each document.
    for kind in [Document::Client, Document::Job, Document::Action, Document::Session, Document::Backup] {
        let Some(base) = bases(kind).into_iter().max_by_key(|body| body.to_string().len()) else { continue };
        let mut all = Vec::new();
        places(&base, "", &mut all);
        for place in &all {
            for value in &values {
                let mut body = base.clone();
                *body.pointer_mut(place).unwrap() = value.clone();
                bodies.push((kind, body));
            }
        }
    }
    // Any document is changed in one to three places.
    for kind in Document::ALL {
        bodies.extend(bases(kind).into_iter().map(|body| (kind, body)));
    }
    for _ in 0..BODIES {
        let kind = *random.pick(&Document::ALL);
        let mut body = random.pick(&bases(kind)).clone();
        for _ in 0..=random.below(3) {
            mutate(&mut body, &mut random, &values);
        }
        bodies.push((kind, body));
    }
    // Random changes reach these cases too rarely.
    let job = |more: Value| {
        let mut job = json!({"client_id": "n", "job_actions": []});
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (Document::Job, job)
    };
    bodies.push(job(json!({"action_defaults": {"mode": "fs"}, "job_actions": [{"action_id": "a"}]})));
    bodies.push(job(json!({"job_schedule": {"current_pid": u64::MAX}})));
    bodies.push(job(json!({"job_actions": [{"action_id": "a", "max_retries": null}]})));
    bodies
}

/// Returns the answers of the script to these lines, one per line, or `None` without Python.
fn ask(lines: &[String], name: &str) -> Option<Vec<Value>> {
    let Some(python) = std::env::var_os("FREEZER_TEST_PYTHON") else {
        eprintln!("skipped: FREEZER_TEST_PYTHON names no Python with freezer-api 19.0.0");
        return None;
    };
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (questions, answers) = (folder.join(format!("{name}.in")), folder.join(format!("{name}.out")));
    std::fs::write(&questions, lines.join("\n")).unwrap();
    let mut child = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/validate.py"))
        .stdin(Stdio::from(File::open(&questions).unwrap()))
        .stdout(Stdio::from(File::create(&answers).unwrap()))
        .spawn()
        .expect("FREEZER_TEST_PYTHON can be run");
    let limit = Instant::now() + Duration::from_secs(300);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the oracle did not answer in five minutes");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "the oracle failed: {status}");
    let text = std::fs::read_to_string(&answers).unwrap();
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), lines.len(), "one answer to each question");
    Some(answers)
}

#[test]
fn the_same_bodies_are_accepted() {
    let bodies = generate();
    let line = |kind: Document, body: &Value| json!([format!("{kind:?}"), body]).to_string();
    let lines: Vec<String> = bodies.iter().map(|(kind, body)| line(*kind, body)).collect();
    let Some(answers) = ask(&lines, "validate-bodies") else { return };
    let validators = Validators::new().unwrap();
    let (mut both, mut neither) = (0, 0);
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    let mut open = Vec::new();
    let mut repaired = Vec::new();
    for ((kind, body), answer) in bodies.iter().zip(&answers) {
        match (answer[0].as_bool().unwrap(), validators.check(*kind, body)) {
            (true, Ok(())) => both += 1,
            (false, Err(_)) => neither += 1,
            (true, Err(error)) => {
                let case = Case { kind: *kind, body, field: &error.field, message: &error.message };
                let known = |known: &Difference| matches!(known.refused, Here(applies) if applies(&case));
                match DECIDED.iter().position(known) {
                    Some(known) => *seen.entry(known).or_default() += 1,
                    None => open.push(format!("{kind:?} {body}\n    refused here alone: {error}")),
                }
            }
            (false, Ok(())) => {
                let mut body = body.clone();
                for (at, known) in DECIDED.iter().enumerate() {
                    if matches!(known.refused, There(repair) if repair(*kind, &mut body)) {
                        *seen.entry(at).or_default() += 1;
                    }
                }
                repaired.push(line(*kind, &body));
            }
        }
    }
    let answers = ask(&repaired, "validate-repaired").unwrap();
    for (line, answer) in repaired.iter().zip(&answers).filter(|(_, answer)| answer[0] == json!(false)) {
        open.push(format!("{line} without its decided differences\n    refused there alone: {}", answer[1]));
    }
    let decided: Map<String, Value> = DECIDED
        .iter()
        .enumerate()
        .map(|(at, known)| (known.reason.to_owned(), json!(seen.get(&at))))
        .collect();
    eprintln!(
        "{} bodies: {both} accepted by both, {neither} refused by both, decided: {decided:#?}",
        bodies.len()
    );
    assert!(open.is_empty(), "{} differences, first:\n{}", open.len(), open[..open.len().min(8)].join("\n"));
    assert!(decided.values().all(|count| !count.is_null()), "a decided difference did not occur");
    assert!(both > bodies.len() / 5 && neither > bodies.len() / 5, "the generator has become one-sided");
}

/// Identifiers may contain the same characters, except for those that are newer than Python's Unicode.
#[test]
fn identifiers_accept_the_same_characters() {
    let Some(answers) = ask(&[json!(["words", null]).to_string()], "validate-words") else { return };
    let ranges = |value: &Value| -> Vec<(u32, u32)> {
        let ends = |range: &Value| {
            (
                u32::try_from(range[0].as_u64().unwrap()).unwrap(),
                u32::try_from(range[1].as_u64().unwrap()).unwrap(),
            )
        };
        value.as_array().unwrap().iter().map(ends).collect()
    };
    let within = |ranges: &[(u32, u32)], code: u32| {
        ranges.iter().any(|(first, last)| (*first..=*last).contains(&code))
    };
    let (words, unassigned) = (ranges(&answers[0][0]), ranges(&answers[0][1]));
    assert!(words.len() > 500, "{} ranges", words.len());
    let validators = Validators::new().unwrap();
    let mut checked = 0;
    // Both ends of each range with their neighbours, and the beginning of the first plane.
    let ends = words.iter().flat_map(|(first, last)| [first.wrapping_sub(1), *first, *last, last + 1]);
    for code in (0..0x3000).chain(ends) {
        let Some(character) = char::from_u32(code) else { continue };
        let body = json!({"action_id": character.to_string(), "freezer_action": {"action": "exec"}});
        let here = validators.check(Document::Action, &body).is_ok();
        if !within(&unassigned, code) {
            assert_eq!(here, within(&words, code), "U+{code:04X}");
            checked += 1;
        }
    }
    assert!(checked > 12_000, "{checked} characters");
}
