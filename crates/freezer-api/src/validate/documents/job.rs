//! The document of a job.

use serde_json::{Map, Value};

use super::{ActionDocument, BodyKeys};

/// A job in a POST or a replacement, or the changes in a PATCH.
#[derive(Debug, Clone, PartialEq)]
pub struct JobDocument {
    /// The id that the caller chose. `""` counts as absent. Ignored in a PATCH and a replacement.
    pub job_id: Option<String>,
    /// Name of the client that runs the job. Absent only in a PATCH.
    pub client_id: Option<String>,
    /// Session it belongs to. `""` and null both mean that it belongs to no session, so null is read as `""`.
    pub session_id: Option<String>,
    /// Tag of the session's run.
    pub session_tag: Option<i64>,
    /// Free text. Null clears it.
    pub description: Option<Option<String>>,
    /// The schedule. A PATCH contains only its changes.
    pub schedule: Option<Map<String, Value>>,
    /// The actions in the order of execution. Absent only in a PATCH.
    pub actions: Option<Vec<ActionDocument>>,
    /// Keys for the definitions that lack them. Empty if absent.
    pub action_defaults: Map<String, Value>,
}

/// A PATCH of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPatch<'b> {
    /// The part that may be stored: the whole body, or only the part that differs from the job if the rest is invalid.
    pub changes: JobDocument,
    /// The body as it was sent, with its unknown and unchanged keys. It is never stored. Its keys and its schedule show whether
    /// a scheduler reports a run (`service/job_reports.rs`).
    pub sent: &'b Map<String, Value>,
}

impl JobDocument {
    pub(in crate::validate) fn read(body: Map<String, Value>) -> JobDocument {
        let mut body = BodyKeys(body);
        JobDocument {
            job_id: body.id("job_id"),
            client_id: body.text("client_id"),
            session_id: body.nullable_text("session_id").map(Option::unwrap_or_default),
            session_tag: body.int("session_tag"),
            description: body.nullable_text("description"),
            schedule: body.object("job_schedule"),
            actions: body.list("job_actions").map(actions),
            action_defaults: body.object("action_defaults").unwrap_or_default(),
        }
    }
}

fn actions(entries: Vec<Value>) -> Vec<ActionDocument> {
    let read = |entry| match entry {
        Value::Object(entry) => Some(ActionDocument::read(entry)),
        _ => None,
    };
    entries.into_iter().filter_map(read).collect()
}

/// Returns whether a key of a schedule determines the times at which a job runs. These keys belong together: if "every 5
/// minutes" replaces "every day at 10", the hour must not stay.
pub fn is_time_key(key: &str) -> bool {
    key.starts_with("schedule_")
}
