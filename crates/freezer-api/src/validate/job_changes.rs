//! Finds the part of a patch of a job that must be valid: its changes. Older releases stored values that are refused today,
//! and schedulers send these values back.

use serde_json::{Map, Value};

use super::documents::is_time_key;

/// Returns the part of a patch that differs from the job as it is shown. Keys of `schedule_*` belong together: all of them
/// are returned if one of them differs.
pub(super) fn changed_part(patch: &Map<String, Value>, shown: &Map<String, Value>) -> Map<String, Value> {
    let empty = Map::new();
    let shown_schedule = shown.get("job_schedule").and_then(Value::as_object).unwrap_or(&empty);
    let mut changed = patch.clone();
    changed.retain(|key, value| shown.get(key) != Some(value));
    if let Some(Value::Object(schedule)) = changed.get_mut("job_schedule") {
        let times = |schedule: &Map<String, Value>| -> Map<String, Value> {
            let keys = schedule.iter().filter(|(key, _)| is_time_key(key));
            keys.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let same_times = times(schedule) == times(shown_schedule);
        schedule.retain(|key, value| match is_time_key(key) {
            true => !same_times,
            false => shown_schedule.get(key) != Some(value),
        });
    }
    changed
}

/// Returns a patch without the entries of `job_actions` that the job shows. These entries do not have to be valid either.
pub(super) fn without_shown_actions(
    patch: &Map<String, Value>,
    shown: &Map<String, Value>,
) -> Map<String, Value> {
    let mut patch = patch.clone();
    let shown = shown.get("job_actions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if let Some(Value::Array(entries)) = patch.get_mut("job_actions") {
        entries.retain(|entry| !shown.contains(entry));
    }
    patch
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

    fn document_with(pointer: &str, value: Value) -> Map<String, Value> {
        let mut document = document();
        let (parent, key) = pointer.rsplit_once('/').unwrap_or_default();
        document
            .pointer_mut(parent)
            .and_then(Value::as_object_mut)
            .map(|map| map.insert(key.to_owned(), value));
        map(document)
    }

    #[test]
    fn unchanged_values_of_a_patch_are_no_change() {
        let shown = map(document());
        assert_eq!(changed_part(&shown, &shown), Map::new());
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
            assert_eq!(Value::Object(changed_part(&document_with(pointer, value), &shown)), expected);
        }
        let entry = json!({"action_id": "a1", "freezer_action": {"action": "x"}});
        let mut patch = map(json!({"job_actions": [shown["job_actions"][0], entry]}));
        patch = without_shown_actions(&patch, &shown);
        assert_eq!(patch["job_actions"], json!([entry]));
    }
}
