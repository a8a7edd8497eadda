//! A job: the actions that run on a client, with their schedule.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Action, StoredTrust};
use crate::json;

/// A job in the form that clients read.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// Primary key.
    pub job_id: String,
    /// Owner.
    pub project_id: String,
    /// The user that created it.
    pub user_id: String,
    /// The schedule and the state of its runs. `event` is always present, because a scheduler reads it
    /// without a default, and one job without it fails the whole poll.
    pub job_schedule: Box<RawValue>,
    /// Name of the client that runs the job.
    pub client_id: String,
    /// Session it belongs to, or "".
    pub session_id: Option<String>,
    /// Tag of the session's run that the job joined last.
    pub session_tag: Option<i64>,
    /// Free text.
    pub description: Option<String>,
    /// The actions in the order of execution.
    pub job_actions: Vec<Action>,
    /// Trust for a central scheduler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_credentials: Option<StoredTrust>,
}

impl Job {
    /// Returns whether the schedule may contain a process id. An escape in the text can hide any key.
    pub fn shows_pid(&self) -> bool {
        let schedule = self.job_schedule.get();
        schedule.contains("current_pid") || schedule.contains('\\')
    }

    /// Removes the process id from the schedule.
    pub fn hide_pid(&mut self) {
        json::remove_key(&mut self.job_schedule, "current_pid");
    }
}

/// The columns of a job that a write sets. Actions and credentials have rows of their own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobFields {
    /// Name of the client that runs the job.
    pub client_id: String,
    /// Session it belongs to, or "".
    pub session_id: String,
    /// Tag of the session's run.
    pub session_tag: Option<i64>,
    /// Free text.
    pub description: Option<String>,
    /// The whole schedule.
    pub schedule: Map<String, Value>,
}
