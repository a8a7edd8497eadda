//! An action: the definition of an agent's operation, which several jobs can use.
//!
//! `freezer_action` is open: answers contain every key that a client sent. Eight of its keys have columns of
//! their own, which have priority, as in the Python service. The other keys are stored in the JSON text of
//! `backup_metadata`. An empty column means that the key is absent, unless the JSON contains the key.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An action in `GET /actions/{id}` and in a job's `job_actions`.
#[derive(Debug, Clone, Serialize)]
pub struct Action {
    /// Owner.
    pub project_id: String,
    /// Primary key.
    pub action_id: String,
    /// The user that created it.
    pub user_id: String,
    /// Number of an agent's retries. An empty column means that the key is absent, because agents add 1 to
    /// the value and fail on null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i64>,
    /// Seconds between two attempts. An empty column works as above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries_interval: Option<i64>,
    /// Whether a failure ends the job.
    pub mandatory: bool,
    /// The definition with all keys.
    pub freezer_action: Box<RawValue>,
    /// `freezer_action.timeout`, seconds.
    #[serde(skip)]
    pub timeout: Option<i64>,
}

/// The fields of an action that a change starts from. A job's requirements are checked with them, too.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionFields {
    /// Number of an agent's retries.
    pub action_id: String,
    /// Seconds between two attempts.
    pub max_retries: Option<i64>,
    /// Seconds between two tries.
    pub max_retries_interval: Option<i64>,
    /// Whether a failure ends the job.
    pub mandatory: bool,
    /// The definition with all keys.
    pub freezer_action: Map<String, Value>,
}

/// An action in `GET /actions`. As in 19.0.0, `timeout` is repeated at the top level.
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

/// The keys of `freezer_action` that have columns, as values of these columns. The service converts values of
/// other types.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActionColumns {
    /// `action`, which is required.
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
    /// Returns the keys that have columns, with these values. If the JSON lacks them, they are shown in this
    /// order.
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

/// A complete action for storing.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionDefinition {
    /// Number of an agent's retries.
    pub max_retries: i64,
    /// Seconds between two attempts.
    pub max_retries_interval: i64,
    /// Whether a failure ends the job.
    pub mandatory: bool,
    /// The definition with all keys.
    pub freezer_action: Map<String, Value>,
    /// The keys of the definition that have columns.
    pub columns: ActionColumns,
}

impl ActionDefinition {
    /// Default number of retries (upstream's column default).
    pub const MAX_RETRIES: i64 = 5;
    /// Default of the seconds between attempts (upstream's column default).
    pub const MAX_RETRIES_INTERVAL: i64 = 6;
}

impl ActionFields {
    /// Returns whether a definition equals the stored one. Absent and null are equal: former releases
    /// returned null for each empty column, and clients send values back as they read them.
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
