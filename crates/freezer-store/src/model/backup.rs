//! A backup: one row of the catalogue.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A backup in the form that clients read.
#[derive(Debug, Clone, Serialize)]
pub struct Backup {
    /// Owner.
    pub project_id: String,
    /// Primary key, created by the server.
    pub backup_id: String,
    /// The user that recorded it.
    pub user_id: String,
    /// `creating`, `available`, `restoring`, `error`, `deleting` or `deleted`.
    pub status: String,
    /// The agent's description of it, with all keys.
    pub backup_metadata: Box<RawValue>,
}

/// The stored part of a backup.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBackup {
    /// State of the backup.
    pub status: String,
    /// The agent's description of it, with all keys.
    pub metadata: Map<String, Value>,
}

impl NewBackup {
    /// Returns the job that created it, if the metadata contains one that fits the column.
    pub(crate) fn job_id(&self) -> Option<&str> {
        self.metadata.get("job_id").and_then(Value::as_str)
    }
}
