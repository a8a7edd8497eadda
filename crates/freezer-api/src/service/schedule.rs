//! Changes of the schedule of a job: which keys a patch keeps and which it replaces.

use serde_json::{Map, Value};

/// Returns whether a key tells when a job runs. These keys belong together: if "every 5 minutes" replaces "every day at
/// 10", the hour must be removed.
pub(super) fn says_when(key: &str) -> bool {
    key.starts_with("schedule_")
}

/// Merges a patch into a schedule. Missing keys are kept. If the patch contains any `schedule_*` key, it replaces all
/// of them.
pub fn merge(schedule: &mut Map<String, Value>, patch: Map<String, Value>) {
    if patch.keys().any(|key| says_when(key)) {
        schedule.retain(|key, _| !says_when(key));
    }
    schedule.extend(patch);
}

/// Gives a job the schedule of a session that it joins. The session alone determines the times, even if it has none. A
/// pending event is removed: usually it is the `stop` from leaving another session, and it would stop the job in this
/// one.
pub fn adopt(schedule: &mut Map<String, Value>, of_session: &Map<String, Value>) {
    schedule.retain(|key, _| !says_when(key) && key != "event");
    schedule.extend(of_session.iter().map(|(key, value)| (key.clone(), value.clone())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_patch_keeps_keys_that_it_does_not_contain() {
        let mut schedule =
            map(json!({"schedule_hour": "10", "schedule_day": "*", "status": "running", "time_created": 5}));
        merge(&mut schedule, map(json!({"status": "completed", "result": "success"})));
        assert_eq!(
            Value::Object(schedule),
            json!({"schedule_hour": "10", "schedule_day": "*", "status": "completed", "time_created": 5,
                "result": "success"})
        );
    }

    #[test]
    fn one_key_of_when_replaces_all_of_when() {
        let mut schedule = map(json!({"schedule_hour": "10", "schedule_day": "*", "event": "start"}));
        merge(&mut schedule, map(json!({"schedule_interval": "5 minutes"})));
        assert_eq!(Value::Object(schedule), json!({"event": "start", "schedule_interval": "5 minutes"}));
    }

    #[test]
    fn a_job_that_joins_a_session_runs_when_the_session_says() {
        let mut schedule = map(json!({"schedule_hour": "10", "status": "scheduled", "event": "stop"}));
        adopt(&mut schedule, &map(json!({})));
        assert_eq!(Value::Object(schedule), json!({"status": "scheduled"}));
    }
}
