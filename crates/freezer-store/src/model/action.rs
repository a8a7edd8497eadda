//! An action: the definition of what an agent does, shared by the jobs that name it.
//!
//! `freezer_action` is open: every key that a client sent comes back. Eight of its keys have columns of
//! their own; for those the column is the truth (the Python service reads it so), the rest lives in the
//! JSON text of `backup_metadata`.

use serde::Serialize;
use serde_json::{Map, Value};

/// An action as `GET /actions/{id}` and a job's `job_actions` show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// Owner.
    pub project_id: String,
    /// Primary key.
    pub action_id: String,
    /// Who created it.
    pub user_id: String,
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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionInList {
    /// `freezer_action.timeout`, seconds.
    pub timeout: Value,
    /// The action.
    #[serde(flatten)]
    pub action: Action,
}

impl From<Action> for ActionInList {
    fn from(action: Action) -> Self {
        let timeout = action.freezer_action.get("timeout").cloned().unwrap_or(Value::Null);
        ActionInList { timeout, action }
    }
}

/// What a client says of an action: creates, updates or replaces one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ActionDefinition {
    /// How often an agent tries again.
    pub max_retries: Option<i64>,
    /// Seconds between two tries.
    pub max_retries_interval: Option<i64>,
    /// Whether a failure ends the job.
    pub mandatory: Option<bool>,
    /// The definition's keys.
    pub freezer_action: Map<String, Value>,
}

impl ActionDefinition {
    /// Tries of an agent where the client names none (upstream's column default).
    pub const MAX_RETRIES: i64 = 5;
    /// Seconds between tries where the client names none (upstream's column default).
    pub const MAX_RETRIES_INTERVAL: i64 = 6;

    /// The value of a key that is stored in a VARCHAR column.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.freezer_action.get(key).and_then(Value::as_str)
    }

    /// The value of a key that is stored in an INT column; the Python service lets the database read
    /// a number out of a text, so a text of digits counts.
    pub(crate) fn int(&self, key: &str) -> Option<i64> {
        match self.freezer_action.get(key)? {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|f| f.round() as i64)),
            Value::String(text) => text.trim().parse().ok(),
            Value::Bool(flag) => Some(i64::from(*flag)),
            _ => None,
        }
    }

    /// Whether a failure ends the job; agents also say it inside `freezer_action`.
    pub(crate) fn is_mandatory(&self) -> bool {
        self.mandatory
            .or_else(|| self.freezer_action.get("mandatory").and_then(Value::as_bool))
            .unwrap_or(false)
    }

    /// Whether `stored` is what this definition says. Absent and null are the same (the stored
    /// definition shows null for each column that holds nothing).
    pub fn same_as(&self, stored: &Map<String, Value>) -> bool {
        let differs = |left: &Map<String, Value>, right: &Map<String, Value>| {
            left.iter().any(|(key, value)| {
                let other = right.get(key).unwrap_or(&Value::Null);
                !matches!(key.as_str(), "_version" | "user_id") && !crate::search::same(value, other)
            })
        };
        !differs(&self.freezer_action, stored) && !differs(stored, &self.freezer_action)
    }
}
