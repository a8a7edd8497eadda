//! The protocol of a session: its jobs run on different nodes, start together and end one by one.
//!
//! The scheduler of each node requests the start of its job with the tag that it knows (T′). The service compares this tag
//! with the session's tag (T). H is the session's hold-off in seconds, which begins with the last start:
//!
//! | | within H | after H |
//! |---|---|---|
//! | T′ > T | an error | an error |
//! | T′ = T | `hold-off`: this run has begun already | `success`: a new run begins, with T + 1 |
//! | T′ < T | `success`: the job joins the current run | `out-of-sync`: the job is too late |
//!
//! If the clock was ahead when the run began, the stored start is in the future. If it is more than H seconds in the future,
//! the hold-off counts as over. Otherwise the stored start is set to the current time, so the hold-off never lasts longer
//! than H.
//!
//! Many nodes send their requests at the same moment. Starts and ends read and write the session while its row is locked, so
//! no change is lost. Requests that wait for this lock share a transaction. Source of the protocol: freezer-scheduler 19.0.0
//! and the answers of freezer-api 19.0.0.

use std::sync::Arc;

use freezer_store::model::SessionFields;
use freezer_store::query::sessions;
use freezer_store::{Scope, Store, StoreError, Timestamp, transaction};
use serde_json::{Map, Value};

use super::Change;
use super::answers::Answers;
use super::batcher::{BatchLimits, Batcher};
use super::run_log::RunChange;
use super::sessions::run_state;
use crate::error::Error;

/// A message of a scheduler to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionAction {
    /// A job is ready to run.
    Start {
        /// The job.
        job_id: String,
        /// The session's tag that the job knows.
        current_tag: i64,
    },
    /// A run of a job has ended.
    End {
        /// The job.
        job_id: String,
        /// `success` or `fail`.
        result: String,
    },
}

impl SessionAction {
    /// Reads the action from the first key of a body, and its parameters from the value.
    ///
    /// # Errors
    /// [`Error::BadDocument`] with the name of a missing or invalid parameter; [`Error::NoSuchAction`].
    pub fn from_body(body: &Value) -> Result<SessionAction, Error> {
        let Some((name, parameters)) = body.as_object().and_then(|body| body.iter().next()) else {
            return Err(Error::BadDocument("Bad action request format".to_owned()));
        };
        let parameter = |key: &str| parameters.get(key).filter(|value| !value.is_null());
        let invalid =
            |key: &str, expected: &str| Error::BadDocument(format!("{name}.{key}: must be {expected}"));
        let text = |key: &str| match parameter(key) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(invalid(key, "a string")),
        };
        match name.as_str() {
            "start" => Ok(SessionAction::Start {
                job_id: text("job_id")?,
                current_tag: parameter("current_tag")
                    .and_then(whole)
                    .ok_or_else(|| invalid("current_tag", "a whole number"))?,
            }),
            "end" => {
                let result = text("result")?;
                if result.chars().count() > 255 {
                    return Err(invalid("result", "at most 255 characters long"));
                }
                Ok(SessionAction::End { job_id: text("job_id")?, result })
            }
            _ => Err(Error::NoSuchAction("Bad Action Method".to_owned())),
        }
    }
}

/// The answer of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `success`, `hold-off` or `out-of-sync`.
    pub result: &'static str,
    /// The session's tag after the action.
    pub session_tag: i64,
    /// The change of the session's run.
    pub run: RunChange,
}

/// Executes the actions of sessions, several of one session in one transaction. A key is a project and a session.
pub type ActionExecutor = Batcher<(String, String), (SessionAction, Timestamp), Result<Outcome, Error>>;

/// Maximum number of actions in one transaction. The session's row is locked during the transaction, and the number of
/// actions hardly affects its duration.
const BATCH: usize = 100;

/// Creates the executor. Each session has one worker, because a second one would only wait for the row lock.
pub fn executor(store: &Store, memory: Arc<Answers>) -> ActionExecutor {
    let store = store.clone();
    Batcher::new(
        BatchLimits { batch: BATCH, workers: 1, backlog: 1 },
        move |(project_id, session_id): (String, String),
              actions: Vec<(SessionAction, Timestamp)>,
              deadline| {
            let store = store.of(&project_id).until(deadline).for_requests(actions.len());
            let store = store.changing([("sessions", session_id.as_str())]);
            let memory = memory.clone();
            async move { execute_within(&memory, &store, &(project_id, session_id), &actions).await }
        },
    )
}

/// Executes an action on a session. Actions that arrive at the same time share a transaction, in the order of their arrival.
/// Each has its own answer.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such session; [`Error::BadDocument`] if the job does not belong to the session,
/// or if the job's tag is greater than the session's.
pub async fn execute(change: Change<'_>, session_id: &str, action: SessionAction) -> Result<Outcome, Error> {
    let key = (change.project_id.to_owned(), session_id.to_owned());
    let deadline = change.store.deadline();
    let executed = change.queues.session_actions.submit(key, (action, change.now), deadline).await;
    executed.map_err(|no_answer| no_answer.into_write_error("sessions.action"))?
}

/// Memory of a session up to which its actions need no part of the budget.
const FREE_TREE: u64 = 4 << 20;

/// Executes actions on a session. If the session takes much memory, they wait for a part of the budget.
async fn execute_within(
    memory: &Answers,
    store: &Store,
    session: &(String, String),
    actions: &[(SessionAction, Timestamp)],
) -> Vec<Result<Outcome, Error>> {
    let all = |error: &dyn Fn() -> Error| actions.iter().map(|_| Err(error())).collect();
    let (scope, mut tree, mut held) = (Scope::project(&session.0), FREE_TREE, None);
    loop {
        let needed = match execute_all(&store.building_up_to(tree), session, actions).await {
            Ok(outcomes) => return outcomes,
            Err(StoreError::TreeTooLarge { memory, .. }) if memory > tree => memory,
            Err(error) => return all(&|| error.clone().into()),
        };
        // given back before more is taken
        drop(held.take());
        let bytes = usize::try_from(needed).unwrap_or(usize::MAX);
        match memory.hold(&scope, bytes, store.deadline()).await {
            Ok(part) => held = Some(part),
            Err(busy) => return all(&|| busy.into()),
        }
        tree = needed;
    }
}

async fn execute_all(
    store: &Store,
    (project_id, session_id): &(String, String),
    actions: &[(SessionAction, Timestamp)],
) -> Result<Vec<Result<Outcome, Error>>, StoreError> {
    let done = transaction!(store, "sessions.action", |db| {
        let scope = Scope::project(project_id);
        let Some(mut session) = sessions::get_for_update(db, &scope, session_id).await? else {
            return Ok::<_, StoreError>(None);
        };
        let mut changed_at = None;
        let mut outcomes = Vec::with_capacity(actions.len());
        for (action, now) in actions {
            let before = run_state(&session);
            let applied = match was_applied(&session, action, now.0) {
                true if db.is_repeat() => Ok(("success", false)),
                _ => apply(&mut session, action, now.0),
            };
            outcomes.push(applied.map(|(result, changed)| {
                changed_at = if changed { Some(*now) } else { changed_at };
                let run = RunChange { before, after: run_state(&session) };
                Outcome { result, session_tag: session.session_tag, run }
            }));
        }
        if let Some(now) = changed_at {
            sessions::update(db, &scope, session_id, &session, now).await?;
        }
        Ok(Some(outcomes))
    });
    Ok(done?
        .unwrap_or_else(|| actions.iter().map(|_| Err(Error::not_found("session", session_id))).collect()))
}

/// Returns a whole number. Tags are only compared and never stored, so a fraction is not rounded as it would be for a column:
/// 1.5 is invalid.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Returns whether the action was applied to this session already. This can be the case if the transaction runs again after its
/// answer was lost. An end also counts as applied if the job has started again since then, because the end belongs to the
/// previous run.
fn was_applied(session: &SessionFields, action: &SessionAction, now: i64) -> bool {
    let job = |job_id: &str| session.jobs.as_ref().and_then(|jobs| jobs.get(job_id));
    let time = |job: &Value, key: &str| job.get(key).and_then(Value::as_i64);
    match action {
        SessionAction::Start { job_id, current_tag } => {
            session.session_tag == current_tag.saturating_add(1)
                && session.time_start == now
                && job(job_id).is_some_and(|job| time(job, "time_started") == Some(now))
        }
        SessionAction::End { job_id, result } => job(job_id).is_some_and(|job| {
            let ended = time(job, "time_ended") == Some(now)
                && job.get("result").and_then(Value::as_str) == Some(result.as_str());
            ended || time(job, "time_started").is_some_and(|started| started > now)
        }),
    }
}

/// Applies an action. Returns the answer, and whether the session changed.
fn apply(
    session: &mut SessionFields,
    action: &SessionAction,
    now: i64,
) -> Result<(&'static str, bool), Error> {
    match action {
        SessionAction::Start { job_id, current_tag } => start(session, job_id, *current_tag, now),
        SessionAction::End { job_id, result } => {
            end(session, job_id, result, now)?;
            Ok(("success", true))
        }
    }
}

fn start(
    session: &mut SessionFields,
    job_id: &str,
    job_tag: i64,
    now: i64,
) -> Result<(&'static str, bool), Error> {
    if job_tag > session.session_tag {
        let tag = session.session_tag;
        return Err(Error::BadDocument(format!(
            "requested tag value too high. Session Tag: {tag} Job Tag: {job_tag}"
        )));
    }
    let since = now.saturating_sub(session.time_start);
    let held_off = since <= session.hold_off && since >= session.hold_off.saturating_neg();
    // later than now if the clock was ahead when the run began
    let time_start = session.time_start.min(now);
    match (held_off, job_tag == session.session_tag) {
        (true, true) => {
            let is_ahead = time_start != session.time_start;
            session.time_start = time_start;
            Ok(("hold-off", is_ahead))
        }
        (true, false) => {
            mark_started(session, job_id, now)?;
            session.time_start = time_start;
            Ok(("success", true))
        }
        (false, true) => {
            mark_started(session, job_id, now)?;
            session.session_tag += 1;
            session.time_start = now;
            session.status = Some("running".to_owned());
            session.result = Some(String::new());
            Ok(("success", true))
        }
        (false, false) => Ok(("out-of-sync", false)),
    }
}

fn end(session: &mut SessionFields, job_id: &str, result: &str, now: i64) -> Result<(), Error> {
    let job = session_job(session, job_id)?;
    job.insert("status".to_owned(), "completed".into());
    job.insert("result".to_owned(), result.into());
    job.insert("time_ended".to_owned(), now.into());
    let has = |job: &Value, key: &str, word: &str| job.get(key).and_then(Value::as_str) == Some(word);
    let jobs = session.jobs.iter().flat_map(Map::values);
    let all_completed = jobs.clone().all(|job| has(job, "status", "completed"));
    if all_completed && session.status.as_deref() != Some("completed") {
        let all_succeeded = jobs.clone().all(|job| has(job, "result", "success"));
        session.result = Some(if all_succeeded { "success" } else { "fail" }.to_owned());
        session.status = Some("completed".to_owned());
        session.time_end = now;
    }
    Ok(())
}

fn mark_started(session: &mut SessionFields, job_id: &str, now: i64) -> Result<(), Error> {
    let job = session_job(session, job_id)?;
    job.insert("status".to_owned(), "running".into());
    job.insert("result".to_owned(), "".into());
    job.insert("time_started".to_owned(), now.into());
    Ok(())
}

fn session_job<'a>(
    session: &'a mut SessionFields,
    job_id: &str,
) -> Result<&'a mut Map<String, Value>, Error> {
    let job = session.jobs.as_mut().and_then(|jobs| jobs.get_mut(job_id)).map(|job| {
        // an entry that is not readable is shown as null
        if !job.is_object() {
            *job = Value::Object(Map::new());
        }
        job
    });
    job.and_then(Value::as_object_mut)
        .ok_or_else(|| Error::BadDocument("job_id not found in session".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn session(tag: i64, time_start: i64, jobs: Value) -> SessionFields {
        SessionFields {
            session_tag: tag,
            time_start,
            hold_off: 30,
            jobs: jobs.as_object().cloned(),
            ..SessionFields::default()
        }
    }

    fn two_jobs() -> Value {
        json!({"a": {"status": "", "result": ""}, "b": {"status": "", "result": ""}})
    }

    fn start_job_a(session: &mut SessionFields, tag: i64, now: i64) -> Result<(&'static str, bool), String> {
        let action = SessionAction::Start { job_id: "a".to_owned(), current_tag: tag };
        apply(session, &action, now).map_err(|error| error.to_string())
    }

    #[test]
    fn starts_follow_the_table_of_the_protocol() {
        let last = 1_000;
        for (tag, now, expected, tag_after) in [
            (5, last + 30, Ok(("hold-off", false)), 5),
            (4, last + 30, Ok(("success", true)), 5),
            (0, last + 30, Ok(("success", true)), 5),
            (5, last + 31, Ok(("success", true)), 6),
            (4, last + 31, Ok(("out-of-sync", false)), 5),
        ] {
            let mut session = session(5, last, two_jobs());
            assert_eq!(start_job_a(&mut session, tag, now), expected, "tag {tag} at {now}");
            assert_eq!(session.session_tag, tag_after, "tag {tag} at {now}");
        }
        let mut session = session(5, last, two_jobs());
        assert!(start_job_a(&mut session, 6, last).unwrap_err().contains("too high"));
    }

    #[test]
    fn a_clock_that_was_ahead_does_not_extend_the_hold_off() {
        let last = 100_000;
        for (now, tag, expected, began) in [
            // more than the hold-off ahead: the hold-off is over
            (last - 31, 5, ("success", true), last - 31),
            (last - 86_400, 5, ("success", true), last - 86_400),
            (last - 31, 4, ("out-of-sync", false), last),
            // less: the hold-off begins now
            (last - 30, 5, ("hold-off", true), last - 30),
            (last - 1, 5, ("hold-off", true), last - 1),
            (last - 30, 4, ("success", true), last - 30),
            (last, 5, ("hold-off", false), last),
        ] {
            let mut session = session(5, last, two_jobs());
            assert_eq!(start_job_a(&mut session, tag, now), Ok(expected), "tag {tag} at {now}");
            assert_eq!(session.time_start, began, "tag {tag} at {now}");
            let later = now.max(session.time_start) + 31;
            let tag = session.session_tag;
            assert_eq!(start_job_a(&mut session, tag, later), Ok(("success", true)), "at {later}");
        }
    }

    #[test]
    fn the_first_start_begins_a_run() {
        let mut session = session(0, -1, two_jobs());
        assert_eq!(start_job_a(&mut session, 0, 1_795_000_000), Ok(("success", true)));
        assert_eq!((session.session_tag, session.time_start), (1, 1_795_000_000));
        assert_eq!(session.status.as_deref(), Some("running"));
        assert_eq!(session.jobs.unwrap()["a"]["status"], "running");
    }

    #[test]
    fn an_action_that_was_stored_is_recognized_when_its_answer_was_lost() {
        // without a hold-off, the repeated start would be answered with out-of-sync
        let mut run = SessionFields { hold_off: 0, ..session(5, 1_000, two_jobs()) };
        let start = SessionAction::Start { job_id: "a".to_owned(), current_tag: 5 };
        assert!(!was_applied(&run, &start, 2_000));
        apply(&mut run, &start, 2_000).unwrap();
        assert_eq!(apply(&mut run.clone(), &start, 2_001).unwrap().0, "out-of-sync");
        assert!(was_applied(&run, &start, 2_000));
        let other = SessionAction::Start { job_id: "b".to_owned(), current_tag: 5 };
        assert!(!was_applied(&run, &other, 2_000), "another job joins");
        let end = SessionAction::End { job_id: "a".to_owned(), result: "fail".to_owned() };
        assert!(!was_applied(&run, &end, 2_010));
        apply(&mut run, &end, 2_010).unwrap();
        assert!(was_applied(&run, &end, 2_010));
        // the next run has begun: the end of the previous run must not end its job
        apply(&mut run, &SessionAction::Start { job_id: "a".to_owned(), current_tag: 6 }, 2_020).unwrap();
        assert!(was_applied(&run, &end, 2_010));
        assert!(!was_applied(&run, &end, 2_030));
    }

    #[test]
    fn a_job_outside_the_session_starts_nothing() {
        let mut empty = session(0, -1, Value::Null);
        assert_eq!(start_job_a(&mut empty, 0, 100), Err("job_id not found in session".to_owned()));
        assert_eq!((empty.session_tag, empty.time_start), (0, -1));
    }

    #[test]
    fn a_session_completes_when_its_last_job_does_and_fails_when_any_failed() {
        let mut session = session(1, 1_000, two_jobs());
        let end = |job: &str, result: &str| SessionAction::End {
            job_id: job.to_owned(),
            result: result.to_owned(),
        };
        apply(&mut session, &end("a", "fail"), 1_010).unwrap();
        assert_eq!(session.status.as_deref(), Some("active"));
        apply(&mut session, &end("b", "success"), 1_020).unwrap();
        assert_eq!((session.status.as_deref(), session.result.as_deref()), (Some("completed"), Some("fail")));
        assert_eq!(session.time_end, 1_020);
    }

    #[test]
    fn parameters_that_are_missing_or_wrong_are_named() {
        for (body, named) in [
            (json!({"start": {"job_id": "a", "current_tag": "x"}}), "start.current_tag"),
            (json!({"start": {"job_id": "a", "current_tag": 1.5}}), "start.current_tag"),
            (json!({"start": {"job_id": "a", "current_tag": true}}), "start.current_tag"),
            (json!({"start": {}}), "start.job_id"),
            (json!({"start": null}), "start.job_id"),
            (json!({"end": {"job_id": "a"}}), "end.result"),
            (json!({}), "Bad action request format"),
            (json!([1]), "Bad action request format"),
        ] {
            let error = SessionAction::from_body(&body).unwrap_err().to_string();
            assert!(error.contains(named), "{body}: {error}");
        }
        let with_text = json!({"start": {"job_id": "a", "current_tag": "0"}});
        let expected = SessionAction::Start { job_id: "a".to_owned(), current_tag: 0 };
        assert_eq!(SessionAction::from_body(&with_text).unwrap(), expected);
    }
}
