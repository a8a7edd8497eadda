//! An action: the definition of what an agent does, shared by the jobs that name it.
//!
//! `freezer_action` is open: every key that a client sent comes back. Eight of its keys have columns of
//! their own; for those the column is the truth (the Python service reads it so), the rest lives in the
//! JSON text of `backup_metadata`. An empty column is no key, unless the JSON names it.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An action as `GET /actions/{id}` and a job's `job_actions` show it.
#[derive(Debug, Clone, Serialize)]
pub struct Action {
    /// Owner.
    pub project_id: String,
    /// Primary key.
    pub action_id: String,
    /// Who created it.
    pub user_id: String,
    /// How often an agent tries again. An empty column is no key: agents add 1 to the value and fail on null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i64>,
    /// Seconds between two tries; the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries_interval: Option<i64>,
    /// Whether a failure ends the job.
    pub mandatory: bool,
    /// The definition, all keys.
    pub freezer_action: Box<RawValue>,
    /// `freezer_action.timeout`, seconds.
    #[serde(skip)]
    pub timeout: Option<i64>,
}

/// What a change of an action starts from, and what a job's demands are checked with.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionFields {
    /// Primary key.
    pub action_id: String,
    /// How often an agent tries again.
    pub max_retries: Option<i64>,
    /// Seconds between two tries.
    pub max_retries_interval: Option<i64>,
    /// Whether a failure ends the job.
    pub mandatory: bool,
    /// The definition, all keys.
    pub freezer_action: Map<String, Value>,
}

/// An action as `GET /actions` lists it: `timeout` once more at the top, as 19.0.0 shows it.
#[derive(Debug, Clone, Serialize)]
pub struct ActionInList {
    /// `freezer_action.timeout`, seconds.
    pub timeout: Option<i64>,
    /// The action.
    #[serde(flatten)]
    pub action: Action,
}

impl From<Action> for ActionInList {
    fn from(action: Action) -> Self {
        ActionInList { timeout: action.timeout, action }
    }
}

/// The keys of `freezer_action` that have columns, as their columns take them. How a value of another
/// type becomes one is the service's business.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActionColumns {
    /// `action`; the one that must be there.
    pub action: String,
    /// `mode`.
    pub mode: Option<String>,
    /// `path_to_backup`.
    pub path_to_backup: Option<String>,
    /// `backup_name`.
    pub backup_name: Option<String>,
    /// `container`.
    pub container: Option<String>,
    /// `log_file`.
    pub log_file: Option<String>,
    /// `timeout`, seconds.
    pub timeout: Option<i64>,
    /// `priority`.
    pub priority: Option<i64>,
}

impl ActionColumns {
    /// Returns the keys that have columns, with these values, in the order in which they are shown if the JSON lacks them.
    pub(crate) fn named(texts: [Value; 6], numbers: [Value; 2]) -> [(&'static str, Value); 8] {
        let [backup_name, action, mode, container, path_to_backup, log_file] = texts;
        let [timeout, priority] = numbers;
        [
            ("backup_name", backup_name),
            ("action", action),
            ("mode", mode),
            ("container", container),
            ("timeout", timeout),
            ("priority", priority),
            ("path_to_backup", path_to_backup),
            ("log_file", log_file),
        ]
    }
}

/// A whole action, to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionDefinition {
    /// How often an agent tries again.
    pub max_retries: i64,
    /// Seconds between two tries.
    pub max_retries_interval: i64,
    /// Whether a failure ends the job.
    pub mandatory: bool,
    /// The definition, all keys.
    pub freezer_action: Map<String, Value>,
    /// Those of its keys that have columns.
    pub columns: ActionColumns,
}

impl ActionDefinition {
    /// Tries of an agent where the client names none (upstream's column default).
    pub const MAX_RETRIES: i64 = 5;
    /// Seconds between tries where the client names none (upstream's column default).
    pub const MAX_RETRIES_INTERVAL: i64 = 6;
}

impl ActionFields {
    /// Whether a definition is the one stored. Absent and null are the same: former releases showed null for each empty
    /// column, and clients send back what they read.
    pub fn is_defined_as(&self, freezer_action: &Map<String, Value>) -> bool {
        let differs = |left: &Map<String, Value>, right: &Map<String, Value>| {
            left.iter().any(|(key, value)| {
                let other = right.get(key).unwrap_or(&Value::Null);
                !matches!(key.as_str(), "_version" | "user_id") && !crate::search::same(value, other)
            })
        };
        !differs(&self.freezer_action, freezer_action) && !differs(freezer_action, &self.freezer_action)
    }
}
