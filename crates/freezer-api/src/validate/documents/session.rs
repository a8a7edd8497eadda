//! The document of a session.

use serde_json::{Map, Value};

use super::BodyKeys;

/// A session in a POST, a PATCH or a replacement.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionDocument {
    /// Free text. Null clears it.
    pub description: Option<Option<String>>,
    /// Number of the current run.
    pub session_tag: Option<i64>,
    /// How long other jobs may join a run, in seconds.
    pub hold_off: Option<i64>,
    /// `active`, `running` or `completed`. Null clears it.
    pub status: Option<Option<String>>,
    /// Result of the last run. Null clears it.
    pub result: Option<Option<String>>,
    /// Seconds since 1970, or -1.
    pub time_start: Option<i64>,
    /// Seconds since 1970, or -1.
    pub time_end: Option<i64>,
    /// Seconds since 1970, or -1.
    pub time_started: Option<i64>,
    /// Seconds since 1970, or -1.
    pub time_ended: Option<i64>,
    /// The whole schedule.
    pub schedule: Option<Map<String, Value>>,
    /// The session's jobs by id. Ignored in a POST.
    pub jobs: Option<Map<String, Value>>,
}

impl SessionDocument {
    pub(in crate::validate) fn read(body: Map<String, Value>) -> SessionDocument {
        let mut body = BodyKeys(body);
        SessionDocument {
            description: body.nullable_text("description"),
            session_tag: body.int("session_tag"),
            hold_off: body.int("hold_off"),
            status: body.nullable_text("status"),
            result: body.nullable_text("result"),
            time_start: body.int("time_start"),
            time_end: body.int("time_end"),
            time_started: body.int("time_started"),
            time_ended: body.int("time_ended"),
            schedule: body.object("schedule"),
            jobs: body.object("jobs"),
        }
    }
}
