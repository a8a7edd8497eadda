//! Answers to changes: ids, versions and results. The fields are sent in the order of declaration.
//!
//! Not here: answers that are stored documents (`freezer_store::model`), lists and errors (`response`).

use serde::Serialize;

/// The answer to a registration.
#[derive(Serialize)]
pub struct ClientCreated<'a> {
    /// Name of the client.
    pub client_id: &'a str,
}

/// The answer to a new action.
#[derive(Serialize)]
pub struct ActionCreated<'a> {
    /// The new id.
    pub action_id: &'a str,
}

/// The answer to a PATCH of an action, and to a POST to its path.
#[derive(Serialize)]
pub struct ActionChanged<'a> {
    /// The action.
    pub action_id: &'a str,
    /// The id again, as in 19.0.0. The command-line client prints it.
    pub version: &'a str,
}

/// The answer to a new job.
#[derive(Serialize)]
pub struct JobCreated<'a> {
    /// The new id.
    pub job_id: &'a str,
}

/// The answer to a PATCH of a job.
#[derive(Serialize)]
pub struct JobUpdated<'a> {
    /// The job.
    pub job_id: &'a str,
    /// Always 0.
    pub version: u32,
}

/// The answer to a POST to the path of a job.
#[derive(Serialize)]
pub struct JobReplaced<'a> {
    /// The job.
    pub job_id: &'a str,
    /// The id again.
    pub version: &'a str,
}

/// The answer to an event of a job.
#[derive(Serialize)]
pub struct JobEventRequested<'a> {
    /// `success`, or a text that says that the event is already pending.
    pub result: &'a str,
}

/// The answer to a new session.
#[derive(Serialize)]
pub struct SessionCreated<'a> {
    /// The new id.
    pub session_id: &'a str,
}

/// The answer to a PATCH of a session.
#[derive(Serialize)]
pub struct SessionUpdated<'a> {
    /// The session.
    pub session_id: &'a str,
    /// Always 0.
    pub version: u32,
}

/// The answer to a POST to the path of a session.
#[derive(Serialize)]
pub struct SessionReplaced<'a> {
    /// The session.
    pub session_id: &'a str,
    /// The id again.
    pub version: &'a str,
}

/// The answer to an action of a session.
#[derive(Serialize)]
pub struct SessionActionDone {
    /// `success`, `hold-off` or `out-of-sync`.
    pub result: &'static str,
    /// The session's tag after the action.
    pub session_tag: i64,
}

/// The answer to a report of a backup.
#[derive(Serialize)]
pub struct BackupCreated<'a> {
    /// Id of the backup, which may have been recorded before.
    pub backup_id: &'a str,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn text(answer: &impl Serialize) -> String {
        serde_json::to_string(answer).unwrap()
    }

    #[test]
    fn ids_come_before_versions_and_results_before_tags() {
        let id = "i1";
        for (answer, expected) in [
            (text(&ActionChanged { action_id: id, version: id }), r#"{"action_id":"i1","version":"i1"}"#),
            (text(&JobUpdated { job_id: id, version: 0 }), r#"{"job_id":"i1","version":0}"#),
            (text(&JobReplaced { job_id: id, version: id }), r#"{"job_id":"i1","version":"i1"}"#),
            (text(&SessionUpdated { session_id: id, version: 0 }), r#"{"session_id":"i1","version":0}"#),
            (text(&SessionReplaced { session_id: id, version: id }), r#"{"session_id":"i1","version":"i1"}"#),
            (
                text(&SessionActionDone { result: "success", session_tag: 7 }),
                r#"{"result":"success","session_tag":7}"#,
            ),
        ] {
            assert_eq!(answer, expected);
        }
    }
}
