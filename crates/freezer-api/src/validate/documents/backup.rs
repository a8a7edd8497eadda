//! The document of a backup.

use serde_json::{Map, Value};

/// A backup in a POST, or the changes in a PATCH.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupDocument {
    /// State of the backup.
    pub status: Option<String>,
    /// The agent's description of the backup, with all keys in the order in which they were sent. A PATCH contains only its
    /// changes.
    pub metadata: Map<String, Value>,
}

impl BackupDocument {
    /// Reads a POST: the body without the status is the metadata.
    pub(in crate::validate) fn read(mut body: Map<String, Value>) -> BackupDocument {
        // not `remove`, which changes the order of the other keys
        let status = match body.shift_remove("status") {
            Some(Value::String(status)) => Some(status),
            _ => None,
        };
        BackupDocument { status, metadata: body }
    }

    /// Reads a PATCH. The keys of the metadata may be in `backup_metadata`, or at the top level, because agents of 19.0.0 send
    /// them there. A key in both has the value of `backup_metadata`.
    pub(in crate::validate) fn read_patch(mut body: Map<String, Value>) -> BackupDocument {
        for read_only in ["user_id", "backup_id", "project_id"] {
            body.shift_remove(read_only);
        }
        let nested = body.shift_remove("backup_metadata");
        let mut document = BackupDocument::read(body);
        if let Some(Value::Object(nested)) = nested {
            document.metadata.extend(nested);
        }
        document
    }
}
