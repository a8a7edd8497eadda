//! A backup: one row of the catalogue.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A backup as clients read it.
#[derive(Debug, Clone, Serialize)]
pub struct Backup {
    /// Owner.
    pub project_id: String,
    /// Primary key, the server's.
    pub backup_id: String,
    /// Who recorded it.
    pub user_id: String,
    /// `creating`, `available`, `restoring`, `error`, `deleting` or `deleted`.
    pub status: String,
    /// What the agent said of it, all keys.
    pub backup_metadata: Box<RawValue>,
}

/// What is stored of a backup.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBackup {
    /// State of the backup.
    pub status: String,
    /// What the agent said of it, all keys.
    pub metadata: Map<String, Value>,
}

impl NewBackup {
    /// The job that made it, where the metadata names one that fits the column.
    pub(crate) fn job_id(&self) -> Option<&str> {
        self.metadata.get("job_id").and_then(Value::as_str)
    }
}
