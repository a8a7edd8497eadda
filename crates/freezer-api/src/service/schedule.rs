//! Changes of a job's schedule by patches and by sessions.

use serde_json::{Map, Value};

use crate::validate::documents::is_time_key;

/// Merges a patch into a schedule. Keys that the patch does not name stay. If the patch names a `schedule_*` key, it replaces
/// all keys of this kind.
pub fn merge(schedule: &mut Map<String, Value>, patch: Map<String, Value>) {
    if patch.keys().any(|key| is_time_key(key)) {
        schedule.retain(|key, _| !is_time_key(key));
    }
    schedule.extend(patch);
}

/// Gives a job the schedule of a session that it joins. The session alone determines the times, even if it has none. A pending
/// event is removed, because it is usually the `stop` from the session that the job has just left. It would stop the job in
/// the new session.
pub fn replace_with_session(schedule: &mut Map<String, Value>, session: &Map<String, Value>) {
    schedule.retain(|key, _| !is_time_key(key) && key != "event");
    schedule.extend(session.iter().map(|(key, value)| (key.clone(), value.clone())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_patch_keeps_keys_that_it_does_not_name() {
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
    fn one_time_key_replaces_all_time_keys() {
        let mut schedule = map(json!({"schedule_hour": "10", "schedule_day": "*", "event": "start"}));
        merge(&mut schedule, map(json!({"schedule_interval": "5 minutes"})));
        assert_eq!(Value::Object(schedule), json!({"event": "start", "schedule_interval": "5 minutes"}));
    }

    #[test]
    fn a_job_that_joins_a_session_gets_its_times() {
        let mut schedule = map(json!({"schedule_hour": "10", "status": "scheduled", "event": "stop"}));
        replace_with_session(&mut schedule, &map(json!({})));
        assert_eq!(Value::Object(schedule), json!({"status": "scheduled"}));
    }
}
