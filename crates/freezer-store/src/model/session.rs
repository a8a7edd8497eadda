//! A session: jobs on several nodes that run together.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A session as clients read it.
#[derive(Debug, Clone, Serialize)]
pub struct Session {
    /// Owner.
    pub project_id: String,
    /// Primary key.
    pub session_id: String,
    /// Who created it.
    pub user_id: String,
    /// Free text.
    pub description: Option<String>,
    /// Number of the current run; rises at each start.
    pub session_tag: Option<i64>,
    /// Result of the last run: `success`, `fail` or "".
    pub result: Option<String>,
    /// Seconds in which other jobs may join a run that has started.
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
    /// When it runs. Always an object: the web UI reads its keys unguarded.
    pub schedule: Box<RawValue>,
    /// Its jobs by id, with what each did in the current run; absent while it never had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Box<RawValue>>,
}

/// The columns of a session, all of them: what a write stores.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionFields {
    /// Free text.
    pub description: Option<String>,
    /// Number of the current run.
    pub session_tag: i64,
    /// Seconds in which other jobs may join.
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
    /// When it runs.
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
    /// Seconds of hold-off where the client names none (upstream's column default).
    pub const HOLD_OFF: i64 = 30;
}
