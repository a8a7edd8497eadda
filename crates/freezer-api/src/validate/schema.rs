//! The rules of each request document as JSON Schema draft 4, with the additional words of `keywords`.
//!
//! They follow the documents of freezer-api 19.0.0; doc comments mention differences. A property without
//! rules (`{}`) is one that a client may send but the service does not read, because the web UI and the
//! `freezer` command send back whole documents.
//!
//! Patterns use the dialect of Python, which error messages show. In Python, `\w` is any letter or number of
//! any script, and `\d` any decimal digit; [`engine`] translates them for the regex engine. One pattern is
//! stricter here: `$` is the end of the text, but in Python it also matches before a line feed at the end.
//! Most clients cannot use such an identifier in a URL, and a scheduler cannot parse such an interval.
//!
//! Rules about several values are in `rules`.

use freezer_store::model::Capabilities;
use serde_json::{Map, Value, json};

use super::Document;

/// The statuses in the code of 19.0.0, and `restoring`, which only its release notes contain.
const BACKUP_STATUSES: [&str; 6] = ["creating", "available", "restoring", "error", "deleting", "deleted"];

/// The names of job and session events, statuses and results in a schedule.
const EVENTS: [&str; 5] = ["", "stop", "start", "abort", "remove"];
const STATUSES: [&str; 7] = ["", "completed", "stop", "scheduled", "running", "aborting", "removed"];
const RESULTS: [&str; 4] = ["", "success", "fail", "aborted"];

const ID: &str = r"^[\w-]+$";
/// The id of an absent resource may be empty.
const ID_OR_EMPTY: &str = r"^[\w-]*$";
/// The labels of a host name, separated by dots.
const HOST: &str = concat!(
    r"([a-zA-Z\d]|[a-zA-Z\d][a-zA-Z\d\-]{0,61}[a-zA-Z\d])",
    r"(\.([a-zA-Z\d]|[a-zA-Z\d][a-zA-Z\d\-]{0,61}[a-zA-Z\d]))*"
);
/// An optional project before the host name.
const CLIENT_PREFIX: &str = r"(?:([\w\-]+)\_)?";
const DATE: &str = concat!(
    r"^(-?(?:[1-9][0-9]*)?[0-9]{4})-(1[0-2]|0[1-9])-(3[01]|0[1-9]|[12][0-9])",
    r"T(2[0-3]|[01][0-9]):([0-5][0-9]):([0-5][0-9])(\.[0-9]+)?(Z|[+-](?:2[0-3]|[01][0-9]):[0-5][0-9])?$"
);
const INTERVAL: &str = r"^(continuous|(\d+ +(weeks|days|hours|minutes|seconds)))$";
const YEAR: &str = r"^\d{4}$";

/// Keys of the service in the two closed documents. Clients send them back, but the service does not read
/// them.
const UNREAD: [&str; 5] = ["user_id", "project_id", "user_credentials", "_version", "session_name"];

/// The operation of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Create,
    Patch,
    Replace,
}

/// Returns the schema of a kind of document.
pub(super) fn of_kind(kind: Document) -> Value {
    match kind {
        Document::Client => client(),
        Document::Job => job(Use::Create),
        Document::JobPatch => job(Use::Patch),
        Document::JobReplace => job(Use::Replace),
        Document::Action => action(Use::Create),
        Document::ActionPatch => action(Use::Patch),
        Document::ActionReplace => action(Use::Replace),
        Document::Session => session(Use::Create),
        Document::SessionPatch => session(Use::Patch),
        Document::SessionReplace => session(Use::Replace),
        Document::Backup => backup(),
        Document::BackupPatch => backup_patch(),
    }
}

/// Translates a pattern from Python's dialect to the engine's. `\w` occurs only inside brackets.
fn engine(pattern: &str) -> String {
    pattern.replace(r"\w", r"\p{L}\p{N}_").replace(r"\d", r"\p{Nd}")
}

/// Returns the schema of a text with a pattern. `shown` is the pattern in error messages.
fn matching(pattern: &str, column: Option<&str>) -> Value {
    let mut schema = json!({"type": "string", "pattern": engine(pattern), "shown": pattern});
    if let Some(column) = column {
        schema["column"] = json!(column);
    }
    schema
}

/// Returns the schema with null as an additional value.
fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"].clone(), "null"]);
    schema
}

/// Returns the schema of an id that a client may choose. If it is null or empty, the service creates an id.
fn own_id(column: &str) -> Value {
    let mut schema = or_null(matching(ID_OR_EMPTY, Some(column)));
    schema["shown"] = json!(ID);
    schema
}

fn text(column: &str) -> Value {
    json!({"type": "string", "column": column})
}

fn integer(column: &str) -> Value {
    json!({"type": "integer", "column": column})
}

/// Returns the schema of any value that fits the column. 19.0.0 checks no type here, and the database
/// converts the value.
fn any_type(column: &str) -> Value {
    json!({"column": column})
}

fn words(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// Returns the schema of an object with only these properties.
fn closed(properties: Map<String, Value>) -> Value {
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

fn object(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    pairs.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect()
}

fn client() -> Value {
    let capability =
        |column: &str, names: &[&str]| json!({"type": "array", "items": words(names), "list_column": column});
    let id = format!("^{CLIENT_PREFIX}{HOST}$");
    // Without anchors the labels require one letter or digit anywhere, and this pattern is cheaper.
    let mut hostname = matching(r"[a-zA-Z\d]", Some("clients.hostname"));
    hostname["shown"] = json!(HOST);
    json!({
        "type": "object",
        "properties": {
            "client_id": matching(&id, Some("clients.client_id")),
            "hostname": hostname,
            "description": text("clients.description"),
            "uuid": text("clients.uuid"),
            "supported_actions": capability("clients.supported_actions", &Capabilities::ACTIONS),
            "supported_modes": capability("clients.supported_modes", &Capabilities::MODES),
            "supported_storages": capability("clients.supported_storages", &Capabilities::STORAGES),
            "supported_engines": capability("clients.supported_engines", &Capabilities::ENGINES),
            "is_central": {"type": "boolean"},
        },
        "required": ["client_id"],
    })
}

/// Returns the schema of the schedule of a job or session. A creation sets the three times itself and ignores
/// those of the client.
fn schedule(usage: Use, of_job: bool) -> Value {
    // The value is stored as JSON, so the parser sets the limit, not a column.
    let number = json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX});
    let time = if usage == Use::Create && of_job { json!({}) } else { number.clone() };
    let free = || json!({"type": "string"});
    closed(object([
        ("time_created", time.clone()),
        ("time_started", time.clone()),
        ("time_ended", time),
        ("event", words(&EVENTS)),
        ("status", words(&STATUSES)),
        ("result", words(&RESULTS)),
        ("schedule_date", matching(DATE, None)),
        ("schedule_interval", matching(INTERVAL, None)),
        ("schedule_start_date", matching(DATE, None)),
        ("schedule_end_date", matching(DATE, None)),
        ("schedule_year", matching(YEAR, None)),
        ("schedule_month", free()),
        ("schedule_day", free()),
        ("schedule_week", free()),
        ("schedule_day_of_week", free()),
        ("schedule_hour", free()),
        ("schedule_minute", free()),
        ("schedule_second", free()),
        ("current_pid", number),
    ]))
}

fn job(usage: Use) -> Value {
    let client_id = format!("^{CLIENT_PREFIX}{HOST}$");
    let mut properties = object([
        ("job_actions", json!({"container": "list", "items": job_action()})),
        ("job_schedule", schedule(usage, true)),
        ("job_id", if usage == Use::Create { own_id("jobs.id") } else { json!({}) }),
        ("client_id", matching(&client_id, Some("jobs.client_id"))),
        ("session_id", or_null(matching(ID_OR_EMPTY, Some("jobs.session_id")))),
        ("session_tag", integer("jobs.session_tag")),
        ("description", or_null(text("jobs.description"))),
        ("action_defaults", or_null(job_freezer_action())),
    ]);
    properties.extend(UNREAD.map(|key| (key.to_owned(), json!({}))));
    let mut schema = closed(properties);
    if usage != Use::Patch {
        schema["required"] = json!(["job_actions", "client_id"]);
    }
    schema
}

/// Returns the schema of an entry of `job_actions`: an action to create, or the id of an existing one.
///
/// Null means absent for the retries and `mandatory`. 19.0.0 rejects it, although it can return null itself
/// after a PATCH of the action.
fn job_action() -> Value {
    json!({
        "type": "object",
        "properties": {
            "action_id": or_null(text("actions.id")),
            "freezer_action": job_freezer_action(),
            "max_retries": or_null(integer("actions.max_retries")),
            "max_retries_interval": or_null(integer("actions.max_retries_interval")),
            "mandatory": {"type": ["boolean", "null"]},
        },
    })
}

/// Returns the schema of the definition in a job. Names of actions and modes are fixed only here, because
/// only here they are compared with a client's capabilities. `rules` checks a null `action`, which may have a
/// default.
fn job_freezer_action() -> Value {
    let with_null =
        |names: &[&str]| names.iter().map(|name| json!(name)).chain([Value::Null]).collect::<Vec<Value>>();
    json!({
        "type": "object",
        "properties": {
            "action": {
                "type": ["string", "null"], "enum": with_null(&Capabilities::ACTIONS), "shown": Capabilities::ACTIONS,
                "column": "actions.action",
            },
            "mode": {"type": ["string", "null"], "enum": with_null(&Capabilities::MODES), "column": "actions.actionmode"},
            "path_to_backup": or_null(text("actions.path_to_backup")),
            "backup_name": or_null(text("actions.backup_name")),
            "container": or_null(text("actions.container")),
            "restore_abs_path": {"type": ["string", "null"]},
            "cindernative_freezer_only": {"type": ["boolean", "null"]},
            "log_file": any_type("actions.log_file"),
            "timeout": any_type("actions.timeout"),
            "priority": any_type("actions.priority"),
            "mandatory": any_type("actions.mandatory"),
        },
    })
}

/// Returns the schema of a separate action. Its action and mode may be any words, as in 19.0.0. But 19.0.0
/// also looks for them at the top level of the document, and this service does not read misplaced keys.
fn action(usage: Use) -> Value {
    let mut freezer_action = json!({
        "type": "object",
        "properties": {
            "action": {"type": "string", "minLength": 1, "column": "actions.action"},
            "mode": any_type("actions.actionmode"),
            "path_to_backup": any_type("actions.path_to_backup"),
            "backup_name": any_type("actions.backup_name"),
            "container": any_type("actions.container"),
            "log_file": any_type("actions.log_file"),
            "timeout": any_type("actions.timeout"),
            "priority": any_type("actions.priority"),
            "mandatory": any_type("actions.mandatory"),
        },
    });
    if usage != Use::Patch {
        freezer_action["required"] = json!(["action"]);
    }
    let mut schema = json!({
        "type": "object",
        "properties": {
            "action_id": if usage == Use::Create { own_id("actions.id") } else { json!({}) },
            "max_retries": any_type("actions.max_retries"),
            "max_retries_interval": any_type("actions.max_retries_interval"),
            "mandatory": {"type": ["boolean", "null"]},
            "freezer_action": freezer_action,
        },
    });
    if usage != Use::Patch {
        schema["required"] = json!(["freezer_action"]);
    }
    schema
}

/// Returns the schema of a session. As in the Python service, an unknown key is only an error in a PATCH.
fn session(usage: Use) -> Value {
    // A new session has no jobs. Those of the document are not read and may have any value.
    let jobs = match usage {
        Use::Create => json!({}),
        Use::Replace | Use::Patch => {
            json!({"container": "map", "additionalProperties": {"type": "object"}})
        }
    };
    let mut properties = object([
        ("schedule", schedule(usage, false)),
        ("session_id", json!({})),
        ("session_tag", integer("sessions.session_tag")),
        ("description", or_null(text("sessions.description"))),
        ("hold_off", any_type("sessions.hold_off")),
        ("status", or_null(text("sessions.status"))),
        ("result", or_null(text("sessions.result"))),
        ("time_start", any_type("sessions.time_start")),
        ("time_end", any_type("sessions.time_end")),
        ("time_started", integer("sessions.time_started")),
        ("time_ended", integer("sessions.time_ended")),
        ("jobs", jobs),
    ]);
    properties.extend(UNREAD.map(|key| (key.to_owned(), json!({}))));
    match usage {
        Use::Create => json!({"type": "object", "properties": properties, "required": ["schedule"]}),
        Use::Replace => {
            json!({"type": "object", "properties": properties, "required": ["session_tag", "schedule"]})
        }
        Use::Patch => closed(properties),
    }
}

/// Returns the schema of a backup, whose metadata is the body itself. `rules` checks the parts that depend on
/// the status.
fn backup() -> Value {
    let name = || json!({"type": "string", "minLength": 1});
    json!({
        "type": "object",
        "properties": {
            "container": or_null(name()),
            "hostname": or_null(name()),
            "backup_name": name(),
            "status": words(&BACKUP_STATUSES),
            // Only a text is stored in the column. Other values stay in the metadata.
            "job_id": {"text_column": "backups.job_id"},
        },
        "required": ["backup_name"],
    })
}

/// Returns the schema of a change of a backup: its status, its metadata in their own key, or metadata as flat
/// keys. The caller checks the merged metadata as a [`Document::Backup`].
fn backup_patch() -> Value {
    let job_id = json!({"text_column": "backups.job_id"});
    json!({
        "type": "object",
        "properties": {
            "backup_metadata": {"type": "object", "properties": {"job_id": job_id.clone()}},
            "status": words(&BACKUP_STATUSES),
            "job_id": job_id,
        },
    })
}
