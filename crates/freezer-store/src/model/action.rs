//! An action: the definition of an agent's operation, which several jobs can use.
//!
//! `freezer_action` is open: answers contain every key that a client sent. All keys are stored in the JSON text of
//! `backup_metadata`. Eight of them also have columns of their own, which have priority, as in the Python service. If
//! such a column is empty, the value in the JSON is shown: an upgrade leaves values there that the column cannot
//! store, such as long texts.

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
    /// Keys with a column that is empty, because it cannot store the value.
    pub only_in_json: Vec<&'static str>,
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
    /// Empties the column of a key. `action` must have a value, so its column gets `""`.
    pub fn clear(&mut self, key: &str) {
        match key {
            "action" => self.action.clear(),
            "mode" => self.mode = None,
            "path_to_backup" => self.path_to_backup = None,
            "backup_name" => self.backup_name = None,
            "container" => self.container = None,
            "log_file" => self.log_file = None,
            "timeout" => self.timeout = None,
            "priority" => self.priority = None,
            _ => {}
        }
    }

    /// Returns the keys with the values of these columns. Null is an empty column.
    pub(crate) fn shown(&self) -> [(&'static str, Value); 8] {
        let ActionColumns {
            action,
            mode,
            path_to_backup,
            backup_name,
            container,
            log_file,
            timeout,
            priority,
        } = self;
        let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
        let number = |number: &Option<i64>| number.map_or(Value::Null, Value::from);
        ActionColumns::named(
            [
                text(backup_name),
                action.as_str().into(),
                text(mode),
                text(container),
                text(path_to_backup),
                text(log_file),
            ],
            [number(timeout), number(priority)],
        )
    }

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
