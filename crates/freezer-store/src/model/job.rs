//! A job: which actions run on which client, and when.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Action, UserCredentials};
use crate::json;

/// A job as clients read it.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// Primary key.
    pub job_id: String,
    /// Owner.
    pub project_id: String,
    /// Who created it.
    pub user_id: String,
    /// When it runs and what became of it. `event` is always there: a scheduler indexes it without a
    /// default, and one job without it ends the poll for all.
    pub job_schedule: Box<RawValue>,
    /// Name of the client that runs it.
    pub client_id: String,
    /// Session it belongs to, or "".
    pub session_id: Option<String>,
    /// Tag of the session's run that the job last joined.
    pub session_tag: Option<i64>,
    /// Free text.
    pub description: Option<String>,
    /// What it runs, in order.
    pub job_actions: Vec<Action>,
    /// Trust for a central scheduler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_credentials: Option<UserCredentials>,
}

impl Job {
    /// Whether the schedule may hold a process id; with an escape in it, any key may.
    pub fn shows_pid(&self) -> bool {
        let schedule = self.job_schedule.get();
        schedule.contains("current_pid") || schedule.contains('\\')
    }

    /// Takes the process id out of the schedule.
    pub(crate) fn hide_pid(&mut self) {
        json::remove_key(&mut self.job_schedule, "current_pid");
    }
}

/// The columns of a job that a write sets; actions and credentials are rows of their own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobFields {
    /// Client that runs it.
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
