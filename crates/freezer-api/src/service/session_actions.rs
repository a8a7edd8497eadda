//! The protocol of a session: its jobs, on different nodes, start together and end one by one.
//!
//! The scheduler of each node asks to start its job and sends the tag that it knows (T′). The result depends on the
//! session's tag (T) and on its hold-off (H), in seconds since the last start:
//!
//! | | within H | after H |
//! |---|---|---|
//! | T′ > T | an error | an error |
//! | T′ = T | `hold-off`: this run has begun, wait | `success`: a new run, T + 1 |
//! | T′ < T | `success`: joins the run that has begun | `out-of-sync`: came too late |
//!
//! If the clock was ahead when the run began, its start lies in the future. A start that is further away than H counts
//! as one after H. A nearer one is set to now, so the run is never held off for longer than H.
//!
//! Many nodes send actions at the same time. Starts and ends read and write the session under one row lock, so none of
//! them is lost. Actions that wait for this lock share a transaction. Source of the protocol: freezer-scheduler 19.0.0
//! and the answers of freezer-api 19.0.0.

use freezer_store::model::SessionFields;
use freezer_store::query::sessions;
use freezer_store::{Scope, Store, StoreError, Timestamp, transaction};
use serde_json::{Map, Value};

use super::Change;
use super::batcher::{BatchLimits, Batcher};
use crate::error::Error;

/// An action that a scheduler sends to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A job is going to run.
    Start {
        /// The job.
        job_id: String,
        /// The tag of the session that the job knows.
        current_tag: i64,
    },
    /// A job has run.
    End {
        /// The job.
        job_id: String,
        /// `success` or `fail`.
        result: String,
    },
}

impl Action {
    /// Returns the action in a body: its first key, with its parameters.
    ///
    /// # Errors
    /// [`Error::BadDocument`] with the name of the missing parameter; [`Error::NoSuchAction`].
    pub fn named(body: &Value) -> Result<Action, Error> {
        let Some((name, parameters)) = body.as_object().and_then(|body| body.iter().next()) else {
            return Err(Error::BadDocument("Bad action request format".to_owned()));
        };
        let parameter = |key: &str| parameters.get(key).filter(|value| !value.is_null());
        let missing = |key: &str, what: &str| Error::BadDocument(format!("{name}.{key}: must be {what}"));
        let text = |key: &str| match parameter(key) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(missing(key, "a text")),
        };
        match name.as_str() {
            "start" => Ok(Action::Start {
                job_id: text("job_id")?,
                current_tag: parameter("current_tag")
                    .and_then(whole)
                    .ok_or_else(|| missing("current_tag", "a whole number"))?,
            }),
            "end" => {
                let result = text("result")?;
                if result.chars().count() > 255 {
                    return Err(missing("result", "at most 255 characters long"));
                }
                Ok(Action::End { job_id: text("job_id")?, result })
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
    /// The tag of the session after the action.
    pub session_tag: i64,
}

/// Executes the actions of sessions, several of one session in one transaction. A key is a project and a session.
pub type ActionExecutor = Batcher<(String, String), (Action, Timestamp), Result<Outcome, Error>>;

/// Maximum number of actions in one transaction. The session's row is locked during the transaction, and the number of
/// actions hardly affects its duration.
const BATCH: usize = 100;

/// Creates the executor. Each session has one worker, because a second one would only wait for the row lock.
pub fn executor(store: &Store) -> ActionExecutor {
    let store = store.clone();
    Batcher::new(
        BatchLimits { batch: BATCH, workers: 1, backlog: 1 },
        move |(project_id, session_id): (String, String), actions: Vec<(Action, Timestamp)>, deadline| {
            let store = store.until(deadline);
            async move { execute_all(&store, &project_id, &session_id, &actions).await }
        },
    )
}

/// Executes an action on a session. Actions that arrive at the same time share a transaction, in the order of their
/// arrival. Each has its own answer.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such session; [`Error::BadDocument`] for a job that is not in the session,
/// or a tag that the session has not reached.
pub async fn execute(change: Change<'_>, session_id: &str, action: Action) -> Result<Outcome, Error> {
    let key = (change.project_id.to_owned(), session_id.to_owned());
    let deadline = change.store.deadline();
    let executed = change.queues.session_actions.submit(key, (action, change.now), deadline).await;
    executed.map_err(|no_answer| no_answer.of_write("sessions.action"))?
}

async fn execute_all(
    store: &Store,
    project_id: &str,
    session_id: &str,
    actions: &[(Action, Timestamp)],
) -> Vec<Result<Outcome, Error>> {
    let done = transaction!(store, "sessions.action", |db| {
        let scope = Scope::project(project_id);
        let Some(mut session) = sessions::get_for_update(db, &scope, session_id).await? else {
            return Ok::<_, StoreError>(None);
        };
        let mut changed_at = None;
        let mut outcomes = Vec::with_capacity(actions.len());
        for (action, now) in actions {
            let applied = match was_applied(&session, action, now.0) {
                true if db.is_repeat() => Ok(("success", false)),
                _ => apply(&mut session, action, now.0),
            };
            outcomes.push(applied.map(|(result, changed)| {
                changed_at = if changed { Some(*now) } else { changed_at };
                Outcome { result, session_tag: session.session_tag }
            }));
        }
        if let Some(now) = changed_at {
            sessions::update(db, &scope, session_id, &session, now).await?;
        }
        Ok(Some(outcomes))
    });
    match done {
        Ok(Some(outcomes)) => outcomes,
        Ok(None) => actions.iter().map(|_| Err(Error::not_found("session", session_id))).collect(),
        Err(error) => actions.iter().map(|_| Err(error.clone().into())).collect(),
    }
}

/// Parses a tag. It is only compared, so it is not rounded like a value of a column: 1.5 is neither run 1 nor run 2.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Returns whether a session looks as if an action was already applied to it. This is possible if a transaction runs
/// again after a lost answer. An end also counts as applied if the job has started again since, because it belongs to
/// the previous run.
fn was_applied(session: &SessionFields, action: &Action, now: i64) -> bool {
    let job = |job_id: &str| session.jobs.as_ref().and_then(|jobs| jobs.get(job_id));
    let time = |job: &Value, key: &str| job.get(key).and_then(Value::as_i64);
    match action {
        Action::Start { job_id, current_tag } => {
            session.session_tag == current_tag.saturating_add(1)
                && session.time_start == now
                && job(job_id).is_some_and(|job| time(job, "time_started") == Some(now))
        }
        Action::End { job_id, result } => job(job_id).is_some_and(|job| {
            let ended = time(job, "time_ended") == Some(now)
                && job.get("result").and_then(Value::as_str) == Some(result.as_str());
            ended || time(job, "time_started").is_some_and(|started| started > now)
        }),
    }
}

/// Applies an action. Returns the answer, and whether the session changed.
fn apply(session: &mut SessionFields, action: &Action, now: i64) -> Result<(&'static str, bool), Error> {
    match action {
        Action::Start { job_id, current_tag } => start(session, job_id, *current_tag, now),
        Action::End { job_id, result } => {
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
    // This is later than now if the clock was fast when the run began.
    let time_start = session.time_start.min(now);
    match (held_off, job_tag == session.session_tag) {
        (true, true) => {
            let is_ahead = time_start != session.time_start;
            session.time_start = time_start;
            Ok(("hold-off", is_ahead))
        }
        (true, false) => {
            job_started(session, job_id, now)?;
            session.time_start = time_start;
            Ok(("success", true))
        }
        (false, true) => {
            job_started(session, job_id, now)?;
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
    let job = job_of(session, job_id)?;
    job.insert("status".to_owned(), "completed".into());
    job.insert("result".to_owned(), result.into());
    job.insert("time_ended".to_owned(), now.into());
    let is = |job: &Value, key: &str, word: &str| job.get(key).and_then(Value::as_str) == Some(word);
    let jobs = session.jobs.iter().flat_map(Map::values);
    let all_completed = jobs.clone().all(|job| is(job, "status", "completed"));
    if all_completed && session.status.as_deref() != Some("completed") {
        let all_succeeded = jobs.clone().all(|job| is(job, "result", "success"));
        session.result = Some(if all_succeeded { "success" } else { "fail" }.to_owned());
        session.status = Some("completed".to_owned());
        session.time_end = now;
    }
    Ok(())
}

fn job_started(session: &mut SessionFields, job_id: &str, now: i64) -> Result<(), Error> {
    let job = job_of(session, job_id)?;
    job.insert("status".to_owned(), "running".into());
    job.insert("result".to_owned(), "".into());
    job.insert("time_started".to_owned(), now.into());
    Ok(())
}

fn job_of<'a>(session: &'a mut SessionFields, job_id: &str) -> Result<&'a mut Map<String, Value>, Error> {
    let job = session.jobs.as_mut().and_then(|jobs| jobs.get_mut(job_id)).map(|job| {
        // An entry that could not be read is null.
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

    fn start_of(session: &mut SessionFields, tag: i64, now: i64) -> Result<(&'static str, bool), String> {
        let action = Action::Start { job_id: "a".to_owned(), current_tag: tag };
        apply(session, &action, now).map_err(|error| error.to_string())
    }

    #[test]
    fn the_table_of_starts() {
        let last = 1_000;
        for (tag, now, expected, tag_after) in [
            (5, last + 30, Ok(("hold-off", false)), 5),
            (4, last + 30, Ok(("success", true)), 5),
            (0, last + 30, Ok(("success", true)), 5),
            (5, last + 31, Ok(("success", true)), 6),
            (4, last + 31, Ok(("out-of-sync", false)), 5),
        ] {
            let mut session = session(5, last, two_jobs());
            assert_eq!(start_of(&mut session, tag, now), expected, "tag {tag} at {now}");
            assert_eq!(session.session_tag, tag_after, "tag {tag} at {now}");
        }
        let mut session = session(5, last, two_jobs());
        assert!(start_of(&mut session, 6, last).unwrap_err().contains("too high"));
    }

    #[test]
    fn a_run_that_began_while_the_clock_was_ahead_is_held_off_no_longer_than_others() {
        let last = 100_000;
        for (now, tag, expected, began) in [
            // The start is further ahead than the hold-off, so it counts as after the hold-off.
            (last - 31, 5, ("success", true), last - 31),
            (last - 86_400, 5, ("success", true), last - 86_400),
            (last - 31, 4, ("out-of-sync", false), last),
            // The start is nearer, so the hold-off begins now.
            (last - 30, 5, ("hold-off", true), last - 30),
            (last - 1, 5, ("hold-off", true), last - 1),
            (last - 30, 4, ("success", true), last - 30),
            (last, 5, ("hold-off", false), last),
        ] {
            let mut session = session(5, last, two_jobs());
            assert_eq!(start_of(&mut session, tag, now), Ok(expected), "tag {tag} at {now}");
            assert_eq!(session.time_start, began, "tag {tag} at {now}");
            let later = now.max(session.time_start) + 31;
            let tag = session.session_tag;
            assert_eq!(start_of(&mut session, tag, later), Ok(("success", true)), "at {later}");
        }
    }

    #[test]
    fn the_first_start_ever_begins_a_run() {
        let mut session = session(0, -1, two_jobs());
        assert_eq!(start_of(&mut session, 0, 1_795_000_000), Ok(("success", true)));
        assert_eq!((session.session_tag, session.time_start), (1, 1_795_000_000));
        assert_eq!(session.status.as_deref(), Some("running"));
        assert_eq!(session.jobs.unwrap()["a"]["status"], "running");
    }

    #[test]
    fn an_action_that_was_stored_is_recognized_when_its_answer_was_lost() {
        // Without a hold-off, a repeated start would be out of sync with itself.
        let mut run = SessionFields { hold_off: 0, ..session(5, 1_000, two_jobs()) };
        let start = Action::Start { job_id: "a".to_owned(), current_tag: 5 };
        assert!(!was_applied(&run, &start, 2_000));
        apply(&mut run, &start, 2_000).unwrap();
        assert_eq!(apply(&mut run.clone(), &start, 2_001).unwrap().0, "out-of-sync");
        assert!(was_applied(&run, &start, 2_000));
        let other = Action::Start { job_id: "b".to_owned(), current_tag: 5 };
        assert!(!was_applied(&run, &other, 2_000), "another job joins");
        let end = Action::End { job_id: "a".to_owned(), result: "fail".to_owned() };
        assert!(!was_applied(&run, &end, 2_010));
        apply(&mut run, &end, 2_010).unwrap();
        assert!(was_applied(&run, &end, 2_010));
        // The next run has begun. The end of the previous run must not end its job.
        apply(&mut run, &Action::Start { job_id: "a".to_owned(), current_tag: 6 }, 2_020).unwrap();
        assert!(was_applied(&run, &end, 2_010));
        assert!(!was_applied(&run, &end, 2_030));
    }

    #[test]
    fn a_job_outside_the_session_starts_nothing() {
        let mut empty = session(0, -1, Value::Null);
        assert_eq!(start_of(&mut empty, 0, 100), Err("job_id not found in session".to_owned()));
        assert_eq!((empty.session_tag, empty.time_start), (0, -1));
    }

    #[test]
    fn a_session_completes_when_its_last_job_does_and_fails_when_any_failed() {
        let mut session = session(1, 1_000, two_jobs());
        let end = |job: &str, result: &str| Action::End { job_id: job.to_owned(), result: result.to_owned() };
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
            let error = Action::named(&body).unwrap_err().to_string();
            assert!(error.contains(named), "{body}: {error}");
        }
        let with_text = json!({"start": {"job_id": "a", "current_tag": "0"}});
        let expected = Action::Start { job_id: "a".to_owned(), current_tag: 0 };
        assert_eq!(Action::named(&with_text).unwrap(), expected);
    }
}
