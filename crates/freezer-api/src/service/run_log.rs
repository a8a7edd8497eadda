//! Log lines about runs: the state of a job or a session before and after a change.
//!
//! A run that ended with a failure is a WARNING, and every other change is at INFO. `api/v2/` writes the lines about other
//! changes.

use serde_json::{Map, Value};

/// The state of a run: of a job in its schedule, or of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunState {
    /// `scheduled`, `running`, `completed`, …
    pub status: String,
    /// `success`, `fail`, `aborted`, or empty.
    pub result: String,
    /// The event that a user has requested.
    pub event: String,
    /// The end of the last run.
    time_ended: Option<i64>,
}

/// A change of the state of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunChange {
    /// The state before the change.
    pub before: RunState,
    /// The state after the change.
    pub after: RunState,
}

impl RunState {
    /// Reads the state from the schedule of a job.
    pub fn of_schedule(schedule: &Map<String, Value>) -> RunState {
        let text = |key: &str| schedule.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        RunState {
            status: text("status"),
            result: text("result"),
            event: text("event"),
            time_ended: schedule.get("time_ended").and_then(Value::as_i64),
        }
    }

    /// Returns the state of a session.
    pub fn of_session(status: Option<&str>, result: Option<&str>, time_ended: i64) -> RunState {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        RunState {
            status: text(status),
            result: text(result),
            event: String::new(),
            time_ended: Some(time_ended),
        }
    }
}

impl RunChange {
    /// Returns whether a run has ended with a failure.
    pub fn has_failed(&self) -> bool {
        let RunChange { before, after } = self;
        let is_new = !is_failure(&before.result) || before.time_ended != after.time_ended;
        is_failure(&after.result) && after.status != "running" && is_new
    }

    /// Returns the status before the change, if it has changed.
    pub fn status_before(&self) -> Option<&str> {
        (self.before.status != self.after.status).then_some(self.before.status.as_str())
    }

    /// Returns the status after the change, unless it is empty before and after the change.
    pub fn status(&self) -> Option<&str> {
        let is_empty = self.before.status.is_empty() && self.after.status.is_empty();
        (!is_empty).then_some(self.after.status.as_str())
    }

    /// Returns the result, unless it is empty.
    pub fn result(&self) -> Option<&str> {
        Some(self.after.result.as_str()).filter(|result| !result.is_empty())
    }

    /// Returns the event, unless it is empty.
    pub fn event(&self) -> Option<&str> {
        Some(self.after.event.as_str()).filter(|event| !event.is_empty())
    }
}

/// Returns whether a result is a failure. Schedulers report `fail`.
pub fn is_failure(result: &str) -> bool {
    result.eq_ignore_ascii_case("fail") || result.eq_ignore_ascii_case("failed")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_failure_is_the_end_of_a_run() {
        let running = json!({"status": "running", "result": "", "time_ended": -1});
        let failed = |ended: i64| json!({"status": "scheduled", "result": "fail", "time_ended": ended});
        for (before, after, expected) in [
            (&running, &failed(7), true),
            (&failed(7), &failed(9), true),
            (&failed(7), &failed(7), false),
            (&running, &json!({"status": "completed", "result": "FAILED", "time_ended": 7}), true),
            (&running, &json!({"status": "completed", "result": "success", "time_ended": 7}), false),
            (&running, &json!({"status": "completed", "result": "aborted", "time_ended": 7}), false),
            // the next run has begun, and the result is still that of the last one
            (&failed(7), &json!({"status": "running", "result": "fail", "time_ended": -1}), false),
            (&json!({}), &json!({"result": 5}), false),
        ] {
            let state = |value: &Value| RunState::of_schedule(value.as_object().unwrap());
            let change = RunChange { before: state(before), after: state(after) };
            assert_eq!(change.has_failed(), expected, "{before} → {after}");
        }
    }
}
