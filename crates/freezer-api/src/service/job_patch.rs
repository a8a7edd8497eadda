//! Patches of jobs: what a patch changes, and so what must be checked.
//!
//! Schedulers before 19.0.0 report a run by sending the whole job document back, as they read it when they learnt of the
//! job. Meanwhile its client may be gone or able to do less, and its actions may be edited or deleted. Such a report
//! ([`reports_run`]) changes the run alone: the job's client and actions stay as they are, and are not checked.
//!
//! Not here: how a schedule is merged (`schedule`), which actions an entry names (`job_actions`), and the transaction
//! (`jobs`).

use freezer_store::model::JobFields;
use serde_json::{Map, Value};

use super::schedule::{self, says_when};
use super::{int, object, text};

/// What a scheduler says of a run. Not `event`, which is what users ask of a scheduler.
/// Source: `RUNTIME_SCHEDULE_KEYS` of freezer-scheduler 19.0.0.
const OF_A_RUN: [&str; 5] = ["status", "result", "time_started", "time_ended", "current_pid"];

/// Whether a patch is the document of this job, as a scheduler read it, with another state of its run.
///
/// A user who edits such a document leaves the run as it is, or defines new actions, which have no ids.
pub fn reports_run(job_id: &str, patch: &Map<String, Value>, stored: &Map<String, Value>) -> bool {
    let is_its_document = patch.get("job_id").and_then(Value::as_str) == Some(job_id);
    let sent = patch.get("job_schedule");
    let differs = |key: &&str| {
        let sent = sent.and_then(|schedule| schedule.get(*key));
        sent.is_some_and(|sent| stored.get(*key) != Some(sent))
    };
    is_its_document && OF_A_RUN.iter().any(differs) && names_actions_only(patch)
}

/// Whether every action that a patch lists has an id.
fn names_actions_only(patch: &Map<String, Value>) -> bool {
    let entries = patch.get("job_actions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    entries.iter().all(|entry| {
        let id = entry.get("action_id").and_then(Value::as_str);
        id.is_some_and(|id| !id.is_empty())
    })
}

/// The part of a patch that changes the job as it is shown. Keys of `schedule_*` belong together: they stay if any of
/// them changes. What is left out need not be a valid document: older releases stored values that are refused today, and
/// a scheduler sends them back.
pub fn changed_part(
    job_id: &str,
    patch: &Map<String, Value>,
    shown: &Map<String, Value>,
) -> Map<String, Value> {
    let empty = Map::new();
    let shown_schedule = shown.get("job_schedule").and_then(Value::as_object).unwrap_or(&empty);
    let is_report = reports_run(job_id, patch, shown_schedule);
    let mut changed = patch.clone();
    changed.retain(|key, value| {
        shown.get(key) != Some(value) && !(is_report && matches!(key.as_str(), "client_id" | "job_actions"))
    });
    if let Some(Value::Object(schedule)) = changed.get_mut("job_schedule") {
        let when = |schedule: &Map<String, Value>| -> Map<String, Value> {
            let keys = schedule.iter().filter(|(key, _)| says_when(key));
            keys.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let same_times = when(schedule) == when(shown_schedule);
        schedule.retain(|key, value| match says_when(key) {
            true => !same_times,
            false => shown_schedule.get(key) != Some(value),
        });
    }
    changed
}

/// Merges a patch into the columns of a job. Its actions are rows of their own.
pub fn apply(fields: &mut JobFields, patch: &Map<String, Value>) {
    if let Some(client_id) = text(patch, "client_id") {
        fields.client_id = client_id;
    }
    if patch.contains_key("session_id") {
        fields.session_id = text(patch, "session_id").unwrap_or_default();
    }
    if let Some(tag) = int(patch, "session_tag") {
        fields.session_tag = Some(tag);
    }
    if patch.contains_key("description") {
        fields.description = text(patch, "description");
    }
    if let Some(patch) = object(patch, "job_schedule") {
        schedule::merge(&mut fields.schedule, patch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn document() -> Value {
        json!({
            "job_id": "j1", "client_id": "node-1", "session_id": "", "session_tag": null, "description": null,
            "job_schedule": {
                "time_created": 5, "time_started": -1, "time_ended": -1, "event": "", "status": "scheduled",
                "schedule_interval": "1 days", "schedule_month": 5,
            },
            "job_actions": [{"action_id": "a1", "freezer_action": {"action": "backup", "mode": "old"}}],
        })
    }

    fn with(pointer: &str, value: Value) -> Map<String, Value> {
        let mut document = document();
        let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
        document
            .pointer_mut(parent)
            .and_then(Value::as_object_mut)
            .map(|map| map.insert(key.to_owned(), value));
        map(document)
    }

    #[test]
    fn a_report_is_the_jobs_document_with_another_state_of_its_run() {
        let stored = map(document()["job_schedule"].clone());
        for (pointer, value) in [
            ("/job_schedule/status", json!("running")),
            ("/job_schedule/result", json!("success")),
            ("/job_schedule/time_started", json!(7)),
            ("/job_schedule/time_ended", json!(7)),
            ("/job_schedule/current_pid", json!(7)),
        ] {
            assert!(reports_run("j1", &with(pointer, value), &stored), "{pointer}");
        }
        for (pointer, value) in [
            ("/job_schedule/status", json!("scheduled")),
            ("/job_schedule/event", json!("start")),
            ("/job_schedule/schedule_interval", json!("2 days")),
            ("/job_actions", json!([])),
        ] {
            assert!(!reports_run("j1", &with(pointer, value), &stored), "{pointer}");
        }
        let mut running = with("/job_schedule/status", json!("running"));
        assert!(!reports_run("j2", &running, &stored), "another job");
        for entry in [json!({"freezer_action": {"action": "exec"}}), json!({"action_id": ""}), json!(5)] {
            running.insert("job_actions".to_owned(), json!([{"action_id": "a1"}, entry]));
            assert!(!reports_run("j1", &running, &stored), "{entry}");
        }
        running.remove("job_actions");
        assert!(reports_run("j1", &running, &stored));
        running.remove("job_id");
        assert!(!reports_run("j1", &running, &stored), "no document of a job");
    }

    #[test]
    fn what_a_patch_sends_back_is_no_change() {
        let shown = map(document());
        assert_eq!(changed_part("j1", &shown, &shown), Map::new());
        for (pointer, value, expected) in [
            ("/description", json!("x"), json!({"description": "x"})),
            ("/job_schedule/event", json!("start"), json!({"job_schedule": {"event": "start"}})),
            (
                "/job_schedule/schedule_interval",
                json!("2 days"),
                json!({"job_schedule": {"schedule_interval": "2 days", "schedule_month": 5}}),
            ),
            ("/job_actions", json!([]), json!({"job_actions": []})),
            ("/unknown", json!(1), json!({"unknown": 1})),
        ] {
            assert_eq!(Value::Object(changed_part("j1", &with(pointer, value), &shown)), expected);
        }
        let mut report = with("/job_schedule/status", json!("running"));
        report.insert("client_id".to_owned(), json!("gone"));
        report.insert(
            "job_actions".to_owned(),
            json!([{"action_id": "a1", "freezer_action": {"action": "x"}}]),
        );
        assert_eq!(
            Value::Object(changed_part("j1", &report, &shown)),
            json!({"job_schedule": {"status": "running"}})
        );
    }
}
