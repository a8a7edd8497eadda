//! The document of an action.

use freezer_store::model::ActionColumns;
use serde_json::{Map, Value};

use super::BodyKeys;
use crate::validate::limits::{to_bool, to_int, to_text};

/// An action in a POST, a PATCH or a replacement, or an entry of `job_actions`.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionDocument {
    /// The id that the caller chose, or in `job_actions` the id of an existing action. `""` counts as absent. Ignored in a
    /// PATCH and a replacement.
    pub action_id: Option<String>,
    /// Number of an agent's retries.
    pub max_retries: Option<i64>,
    /// Seconds between two attempts.
    pub max_retries_interval: Option<i64>,
    /// Whether a failure ends the job. Agents send this key in `freezer_action` ([`mandatory`]), other clients send it here.
    pub mandatory: Option<bool>,
    /// The definition with all keys. Absent only in a PATCH, and in an entry of `job_actions` that refers to an action.
    pub freezer_action: Option<Map<String, Value>>,
}

impl ActionDocument {
    pub(in crate::validate) fn read(body: Map<String, Value>) -> ActionDocument {
        let mut body = BodyKeys(body);
        ActionDocument {
            action_id: body.id("action_id"),
            max_retries: body.int("max_retries"),
            max_retries_interval: body.int("max_retries_interval"),
            mandatory: body.bool("mandatory"),
            freezer_action: body.object("freezer_action"),
        }
    }
}

/// Returns the values of the keys of `freezer_action` that have columns. The keys stay in the map, which is stored and shown
/// as clients sent it.
pub fn columns(freezer_action: &Map<String, Value>) -> ActionColumns {
    let text = |key| freezer_action.get(key).and_then(to_text);
    let int = |key| freezer_action.get(key).and_then(to_int).map(i64::from);
    ActionColumns {
        action: text("action").unwrap_or_default(),
        mode: text("mode"),
        path_to_backup: text("path_to_backup"),
        backup_name: text("backup_name"),
        container: text("container"),
        log_file: text("log_file"),
        timeout: int("timeout"),
        priority: int("priority"),
    }
}

/// Returns the key `mandatory` of `freezer_action`.
pub fn mandatory(freezer_action: &Map<String, Value>) -> Option<bool> {
    freezer_action.get("mandatory").and_then(to_bool)
}
