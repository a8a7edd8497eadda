//! A session: jobs on several nodes that run together.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A session in the form that clients read.
#[derive(Debug, Clone, Serialize)]
pub struct Session {
    /// Owner.
    pub project_id: String,
    /// Primary key.
    pub session_id: String,
    /// The user that created it.
    pub user_id: String,
    /// Free text.
    pub description: Option<String>,
    /// Number of the current run. It increases at each start.
    pub session_tag: Option<i64>,
    /// Result of the last run: `success`, `fail` or "".
    pub result: Option<String>,
    /// How long after the start of a run other jobs may join it, in seconds.
    pub hold_off: Option<i64>,
    /// `active`, `running` or `completed`.
    pub status: Option<String>,
    /// Kept for old clients, seconds since 1970 or -1.
    pub time_ended: Option<i64>,
    /// Kept for old clients, seconds since 1970 or -1.
    pub time_started: Option<i64>,
    /// End of the last run, seconds since 1970, or -1.
    pub time_end: Option<i64>,
    /// Start of the last run, seconds since 1970, or -1.
    pub time_start: Option<i64>,
    /// The schedule, always an object, because the web UI reads its keys without a check.
    pub schedule: Box<RawValue>,
    /// The session's jobs by id, with their state in the current run. Absent if it never had a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Box<RawValue>>,
}

/// All columns of a session, as a write stores them.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionFields {
    /// Free text.
    pub description: Option<String>,
    /// Number of the current run.
    pub session_tag: i64,
    /// How long other jobs may join, in seconds.
    pub hold_off: i64,
    /// `active`, `running` or `completed`.
    pub status: Option<String>,
    /// Result of the last run.
    pub result: Option<String>,
    /// Seconds since 1970, or -1.
    pub time_start: i64,
    /// Seconds since 1970, or -1.
    pub time_end: i64,
    /// Seconds since 1970, or -1.
    pub time_started: i64,
    /// Seconds since 1970, or -1.
    pub time_ended: i64,
    /// The schedule.
    pub schedule: Map<String, Value>,
    /// Its jobs by id.
    pub jobs: Option<Map<String, Value>>,
}

impl Default for SessionFields {
    fn default() -> Self {
        SessionFields {
            description: None,
            session_tag: 0,
            hold_off: SessionFields::HOLD_OFF,
            status: Some("active".to_owned()),
            result: None,
            time_start: -1,
            time_end: -1,
            time_started: -1,
            time_ended: -1,
            schedule: Map::new(),
            jobs: None,
        }
    }
}

impl SessionFields {
    /// Default hold-off in seconds (upstream's column default).
    pub const HOLD_OFF: i64 = 30;
}
