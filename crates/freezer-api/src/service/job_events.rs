//! Events of a job. A user requests a start, stop or abort, and the job's scheduler reads this event with its next poll.

use freezer_store::Db;
use freezer_store::query::{clients, jobs};
use freezer_store::transaction;
use serde_json::{Map, Value};

use super::Change;
use super::clients::{check_actions_of_job, check_start};
use super::jobs::JobChange;
use super::run_log::{RunChange, RunState};
use crate::error::Error;

/// An event that a user can request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Run now.
    Start,
    /// Do not run again.
    Stop,
    /// End the current run.
    Abort,
}

impl Event {
    /// Reads the event from the first key of a body.
    ///
    /// # Errors
    /// [`Error::BadDocument`] if the body has no key, or if its first key is not an event.
    pub fn from_body(body: &Value) -> Result<Event, Error> {
        let name = body.as_object().and_then(|body| body.keys().next());
        match name.map(String::as_str) {
            Some("start") => Ok(Event::Start),
            Some("stop") => Ok(Event::Stop),
            Some("abort") => Ok(Event::Abort),
            Some(_) => Err(Error::BadDocument("Bad Action Method".to_owned())),
            None => Err(Error::BadDocument("Bad event request format".to_owned())),
        }
    }

    /// Returns its name in a job.
    pub fn name(self) -> &'static str {
        match self {
            Event::Start => "start",
            Event::Stop => "stop",
            Event::Abort => "abort",
        }
    }
}

/// A requested event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedEvent {
    /// `success`, or a text that says that this event is already pending.
    pub result: String,
    /// Whether the request has changed the job.
    pub is_new: bool,
    /// The change of the job.
    pub job: JobChange,
}

/// Requests an event of a job.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such job; [`Error::Unprocessable`] if a start is requested, and the job's
/// client was deleted or does not support the job's actions any more.
pub async fn request(change: Change<'_>, job_id: &str, event: Event) -> Result<RequestedEvent, Error> {
    let store = &change.store.changing([("jobs", job_id)]);
    transaction!(store, "jobs.event", |db| {
        let scope = change.scope();
        let Some(mut fields) = jobs::get_for_update(db, &scope, job_id).await? else {
            return Err(Error::not_found("job", job_id));
        };
        let before = RunState::of_schedule(&fields.schedule);
        let is_changed = apply(&mut fields.schedule, event);
        // an earlier run of this body may have requested it
        let is_new = is_changed || db.is_repeat();
        let after = RunState::of_schedule(&fields.schedule);
        let requested = RequestedEvent {
            result: if is_new { "success".to_owned() } else { format!("{} already requested", event.name()) },
            is_new,
            job: JobChange { client_id: fields.client_id.clone(), run: RunChange { before, after } },
        };
        if !is_changed {
            return Ok(requested);
        }
        if event == Event::Start {
            check_client(db, &change, &fields.client_id, job_id).await?;
        }
        jobs::update(db, &scope, job_id, &fields, change.now).await?;
        Ok(requested)
    })
}

/// Checks that the job's client exists and supports all actions of the job. Otherwise a start would wait for a poll that
/// never comes. Stops and aborts are not checked, because it must be possible to stop a job even if its client was deleted.
async fn check_client(db: &mut Db, change: &Change<'_>, client_id: &str, job_id: &str) -> Result<(), Error> {
    let Some(client) = clients::get(db, &change.scope(), client_id).await? else {
        return Err(Error::Unprocessable(format!("Client not found with ID {client_id}")));
    };
    check_actions_of_job(db, &change.scope(), job_id, &client, check_start).await
}

/// Sets the event. Returns false if it is already pending. A start also clears the status and the result of the last run.
fn apply(schedule: &mut Map<String, Value>, event: Event) -> bool {
    if schedule.get("event").and_then(Value::as_str) == Some(event.name()) {
        return false;
    }
    schedule.insert("event".to_owned(), event.name().into());
    if event == Event::Start {
        schedule.insert("status".to_owned(), "".into());
        schedule.insert("result".to_owned(), "".into());
    }
    true
}
