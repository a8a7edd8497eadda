//! Reports of runs: which patches of a job are reports, and which parts of a report are ignored.
//!
//! Schedulers before 19.0.0 report a run by sending the whole job document back, as they read it when they learnt of the
//! job. Since then its client may have been deleted or changed, its actions edited or deleted, and the job may have
//! joined a session. Values that such a scheduler can have read earlier are stale: they are ignored. Values that no
//! scheduler can have read are edits by a user, handled as in every other patch.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;

use freezer_store::Db;
use freezer_store::model::JobFields;
use freezer_store::query::{actions, clients, job_actions, jobs};
use serde_json::{Map, Value};

use super::Change;
use crate::error::Error;
use crate::validate::documents::{ActionDocument, JobDocument, JobPatch};

/// Keys of a schedule that a scheduler sets. `event` is not among them: users set it.
/// Source: `RUNTIME_SCHEDULE_KEYS` of freezer-scheduler 19.0.0.
const RUN_KEYS: [&str; 5] = ["status", "result", "time_started", "time_ended", "current_pid"];

/// A patch that reports a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    /// A state of the run that differs from the stored one.
    New,
    /// The stored state again.
    Repeated,
}

impl Report {
    fn read(job_id: &str, document: &Map<String, Value>, stored: &Map<String, Value>) -> Option<Report> {
        if !is_whole(job_id, document) && !has_keys_of_19(document) {
            return None;
        }
        let sent = document.get("job_schedule").and_then(Value::as_object)?;
        let differs = |key: &&str| sent.get(*key).is_some_and(|sent| stored.get(*key) != Some(sent));
        if RUN_KEYS.iter().any(differs) {
            return Some(Report::New);
        }
        let status = sent.get("status").and_then(Value::as_str);
        status.filter(|status| !status.is_empty()).map(|_| Report::Repeated)
    }
}

/// Returns whether a patch is a whole job document.
fn is_whole(job_id: &str, document: &Map<String, Value>) -> bool {
    // `action_defaults` are not part of a job document
    !document.contains_key("action_defaults")
        && match document.get("job_id") {
            Some(id) => id.as_str() == Some(job_id),
            None => document.contains_key("client_id") && document.contains_key("job_actions"),
        }
}

/// Returns whether a patch has exactly the keys of a report of freezer-scheduler 19.0.0.
fn has_keys_of_19(document: &Map<String, Value>) -> bool {
    let keys = ["job_schedule", "session_id", "session_tag"];
    document.len() == keys.len() && keys.iter().all(|key| document.contains_key(*key))
}

/// Returns the changes of a patch. If the patch is a report, its stale values are removed and logged.
pub async fn current_changes(
    db: &mut Db,
    change: &Change<'_>,
    job_id: &str,
    fields: &JobFields,
    patch: &JobPatch<'_>,
) -> Result<JobDocument, Error> {
    let mut changes = patch.changes.clone();
    let Some(mut report) = Report::read(job_id, patch.sent, &fields.schedule) else { return Ok(changes) };
    if report == Report::Repeated && jobs::was_updated(db, &change.scope(), job_id, change.now).await? {
        // an earlier run of this body has stored the state
        report = Report::New;
    }
    let mut ignored = Vec::new();
    if changes.session_id.as_ref().is_some_and(|sent| *sent != fields.session_id) {
        changes.session_id = None;
        changes.session_tag = None;
        ignored.push("session_id");
    }
    if report == Report::New
        && let Some(client_id) = changes.client_id.as_ref().filter(|sent| **sent != fields.client_id)
        && clients::ever_had(db, &change.scope(), client_id).await?
    {
        changes.client_id = None;
        ignored.push("client_id");
    }
    // a scheduler cannot have read `{}`, because the service shows a list
    let is_list = patch.sent.get("job_actions").is_some_and(Value::is_array);
    if let Some(entries) = changes.actions.as_ref().filter(|_| is_list) {
        match check_actions(db, change, job_id, report, entries).await? {
            ReportedActions::Current => {}
            ReportedActions::Unchanged => changes.actions = None,
            ReportedActions::Stale => {
                changes.actions = None;
                ignored.push("job_actions");
            }
        }
    }
    if !ignored.is_empty() {
        let ignored = ignored.join(", ");
        tracing::warn!(
            job_id,
            ignored,
            "a report of a run contains values that differ from the job; they are ignored"
        );
    }
    Ok(changes)
}

/// The way in which `job_actions` of a report are handled.
enum ReportedActions {
    /// As in every other patch.
    Current,
    /// Ignored, because the job has these actions already.
    Unchanged,
    /// Ignored, because the scheduler may have read these actions before they changed.
    Stale,
}

async fn check_actions(
    db: &mut Db,
    change: &Change<'_>,
    job_id: &str,
    report: Report,
    entries: &[ActionDocument],
) -> Result<ReportedActions, Error> {
    let links = job_actions::action_ids(db, job_id).await?;
    let Some(sent) = entries.iter().map(id_and_definition).collect::<Option<Vec<_>>>() else {
        return check_actions_without_ids(db, change, &links, entries).await;
    };
    let scope = change.scope();
    let ids: Vec<String> = sent.iter().map(|(id, _)| (*id).to_owned()).collect();
    if !ids.is_empty() {
        let mut same = HashSet::new();
        actions::for_each(db, &scope, ids.clone(), false, |action| {
            let is_same = |(id, given): &(&str, &Map<String, Value>)| {
                *id == action.action_id && action.is_defined_as(given)
            };
            same.extend(sent.iter().enumerate().filter(|(_, entry)| is_same(entry)).map(|(at, _)| at));
            ControlFlow::Continue(())
        })
        .await?;
        let histories = actions::histories(db, &scope, ids.clone()).await?;
        let mut is_stale = false;
        for (at, (id, _)) in sent.into_iter().enumerate() {
            if same.contains(&at) {
                continue;
            }
            if !histories.iter().any(|history| history.action_id == id && history.has_changed) {
                return Ok(ReportedActions::Current);
            }
            is_stale = true;
        }
        if is_stale {
            return Ok(ReportedActions::Stale);
        }
    }
    if report == Report::Repeated || ids == links {
        return Ok(ReportedActions::Current);
    }
    let (sent, had): (BTreeSet<_>, BTreeSet<_>) = (ids.iter().collect(), links.iter().collect());
    let is_edit = sent != had && (sent.is_subset(&had) || sent.is_superset(&had));
    // if the list of actions was never replaced, a scheduler cannot have read another one
    let is_current = is_edit && job_actions::are_first(db, job_id).await?;
    Ok(if is_current { ReportedActions::Current } else { ReportedActions::Stale })
}

/// Returns the id and the definition of an entry. Every entry of a job document has both.
fn id_and_definition(entry: &ActionDocument) -> Option<(&str, &Map<String, Value>)> {
    Some((entry.action_id.as_deref()?, entry.freezer_action.as_ref()?))
}

/// Checks a list in which an entry has no id or no definition. If all entries have no id, and their definitions are those of
/// the job's actions, the list is unchanged.
async fn check_actions_without_ids(
    db: &mut Db,
    change: &Change<'_>,
    links: &[String],
    entries: &[ActionDocument],
) -> Result<ReportedActions, Error> {
    if entries.len() != links.len() || entries.iter().any(|entry| entry.action_id.is_some()) {
        return Ok(ReportedActions::Current);
    }
    let mut same = 0;
    actions::for_each(db, &change.scope(), links.to_vec(), false, |action| {
        let of_action = links.iter().zip(entries).filter(|(id, _)| **id == action.action_id);
        let (number, equal) = of_action.fold((0, 0), |(number, equal), (_, entry)| {
            let given = entry.freezer_action.as_ref();
            (number + 1, equal + usize::from(given.is_some_and(|given| action.is_defined_as(given))))
        });
        same += equal;
        if equal == number { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .await?;
    Ok(if same == links.len() { ReportedActions::Unchanged } else { ReportedActions::Current })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn reports_of_runs_are_recognized() {
        let stored = map(
            json!({"status": "scheduled", "time_started": -1, "event": "", "schedule_interval": "1 days"}),
        );
        let whole = |schedule: Value| json!({"job_id": "j1", "job_actions": [], "job_schedule": schedule});
        let without_id =
            |schedule: Value| json!({"client_id": "n", "job_actions": [], "job_schedule": schedule});
        let of_19 = |schedule: Value| json!({"session_id": "", "session_tag": 0, "job_schedule": schedule});
        for document in [whole, without_id, of_19] {
            for (schedule, expected) in [
                (json!({"status": "running"}), Some(Report::New)),
                (json!({"status": "scheduled", "result": "success"}), Some(Report::New)),
                (json!({"time_started": 7}), Some(Report::New)),
                (json!({"time_ended": 7}), Some(Report::New)),
                (json!({"current_pid": 7}), Some(Report::New)),
                (json!({"status": "scheduled", "time_started": -1}), Some(Report::Repeated)),
                (json!({"time_started": -1, "event": "start"}), None),
                (json!({"schedule_interval": "2 days"}), None),
                (json!(5), None),
            ] {
                let document = map(document(schedule));
                assert_eq!(Report::read("j1", &document, &stored), expected, "{document:?}");
            }
        }
        let run = json!({"status": "running"});
        for document in [
            json!({"job_id": "j2", "job_actions": [], "job_schedule": run}),
            json!({"client_id": "n", "job_schedule": run}),
            json!({"session_id": "s", "job_schedule": run}),
            json!({"job_id": "j1", "action_defaults": {"mode": "fs"}, "job_schedule": run}),
            json!({"job_schedule": run}),
        ] {
            assert_eq!(Report::read("j1", &map(document.clone()), &stored), None, "{document}");
        }
    }
}
