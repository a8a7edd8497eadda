//! The rules that a schema cannot express: those about the whole body, or about two of its values.
//!
//! Rules after the schema may rely on its types. Rules that need the database, such as whether an action,
//! client or session exists, are elsewhere.

use serde_json::{Map, Value};

use super::message::{at, member, not_of_type, required};
use super::{Document, Invalid};

/// The statuses in which a backup may have no location.
const WITHOUT_LOCATION: [&str; 3] = ["creating", "error", "deleting"];

/// Checks for an empty body before the schema, if the Python service does so.
pub(super) fn check_empty(kind: Document, body: &Value) -> Result<(), Invalid> {
    let asked = matches!(
        kind,
        Document::Client
            | Document::Action
            | Document::Session
            | Document::SessionReplace
            | Document::Backup
            | Document::BackupPatch
    );
    let nothing = match body {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    };
    if asked && nothing {
        return Err(Invalid { field: String::new(), message: "Missing request body".to_owned() });
    }
    Ok(())
}

/// Checks the rules after the schema.
pub(super) fn check(kind: Document, body: &Value) -> Result<(), Invalid> {
    let Some(body) = body.as_object() else { return Ok(()) };
    match kind {
        Document::Job | Document::JobPatch | Document::JobReplace => job(body),
        Document::Backup => backup(body),
        _ => Ok(()),
    }
}

fn job(job: &Map<String, Value>) -> Result<(), Invalid> {
    let defaults = job.get("action_defaults").and_then(Value::as_object);
    if defaults.is_some_and(|defaults| !defaults.is_empty()) && !job.contains_key("job_actions") {
        return Err(at("action_defaults", "there are no job_actions in the request to fill in"));
    }
    let default =
        defaults.and_then(|defaults| defaults.get("action")).is_some_and(|action| !action.is_null());
    let Some(Value::Array(entries)) = job.get("job_actions") else { return Ok(()) };
    for (position, entry) in entries.iter().enumerate() {
        job_action(&format!("job_actions[{position}]"), entry, default)?;
    }
    Ok(())
}

/// An entry without the id of an action defines one, so it must contain the operation.
fn job_action(path: &str, entry: &Value, default: bool) -> Result<(), Invalid> {
    let referenced = entry.get("action_id").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
    let Some(freezer_action) = entry.get("freezer_action") else {
        return if referenced { Ok(()) } else { Err(required(path, "freezer_action")) };
    };
    let path = member(path, "freezer_action");
    match freezer_action.get("action") {
        _ if default => Ok(()),
        None if referenced => Ok(()),
        None => Err(required(&path, "action")),
        Some(Value::Null) => Err(at(&member(&path, "action"), &not_of_type(&Value::Null, &["string"]))),
        Some(_) => Ok(()),
    }
}

/// An existing backup must have a location.
fn backup(backup: &Map<String, Value>) -> Result<(), Invalid> {
    let status = backup.get("status").and_then(Value::as_str).unwrap_or("available");
    if WITHOUT_LOCATION.contains(&status) {
        return Ok(());
    }
    for key in ["container", "hostname"] {
        match backup.get(key) {
            None => return Err(required("", key)),
            Some(Value::Null) => return Err(at(key, &not_of_type(&Value::Null, &["string"]))),
            Some(_) => {}
        }
    }
    Ok(())
}
