//! Events of a job: a user requests a start, stop or abort, and the scheduler of the job reads it with its next poll.

use freezer_store::Db;
use freezer_store::query::{actions, clients, jobs};
use freezer_store::transaction;
use serde_json::{Map, Value};

use super::Change;
use super::clients::check_start;
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
    /// Returns the event in a body, which is its first key.
    ///
    /// # Errors
    /// [`Error::BadDocument`] for a body without an event, or with an unknown one.
    pub fn named(body: &Value) -> Result<Event, Error> {
        let name = body.as_object().and_then(|body| body.keys().next());
        match name.map(String::as_str) {
            Some("start") => Ok(Event::Start),
            Some("stop") => Ok(Event::Stop),
            Some("abort") => Ok(Event::Abort),
            Some(_) => Err(Error::BadDocument("Bad Action Method".to_owned())),
            None => Err(Error::BadDocument("Bad event request format".to_owned())),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Event::Start => "start",
            Event::Stop => "stop",
            Event::Abort => "abort",
        }
    }
}

/// Requests an event of a job. Returns `success`, or a text that the event is already requested and nothing has
/// changed.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such job; [`Error::Unprocessable`] for a start of a job whose client does
/// not exist or no longer supports its actions.
pub async fn request(change: Change<'_>, job_id: &str, event: Event) -> Result<String, Error> {
    transaction!(change.store, "jobs.event", |db| {
        let scope = change.scope();
        let Some(mut fields) = jobs::get_for_update(db, &scope, job_id).await? else {
            return Err(Error::not_found("job", job_id));
        };
        if !apply(&mut fields.schedule, event) {
            // An earlier run of this transaction may have requested it.
            return Ok(if db.is_repeat() {
                "success".to_owned()
            } else {
                format!("{} already requested", event.word())
            });
        }
        if event == Event::Start {
            check_client(db, &change, &fields.client_id, job_id).await?;
        }
        jobs::update(db, &scope, job_id, &fields, change.now).await?;
        Ok("success".to_owned())
    })
}

/// Checks that the job's client exists and supports all actions of the job. Otherwise, a start would wait for a poll
/// that never comes. Stop and abort do not need this check, because a job must be stopped even if its client was
/// deleted.
async fn check_client(db: &mut Db, change: &Change<'_>, client_id: &str, job_id: &str) -> Result<(), Error> {
    let Some(client) = clients::get(db, &change.scope(), client_id).await? else {
        return Err(Error::Unprocessable(format!("Client not found with ID {client_id}")));
    };
    for action in actions::get_of_job(db, &change.scope(), job_id).await? {
        check_start(&client, &action.freezer_action)?;
    }
    Ok(())
}

/// Stores the event, and returns false if it was already requested. A start removes the result of the last run.
fn apply(schedule: &mut Map<String, Value>, event: Event) -> bool {
    if schedule.get("event").and_then(Value::as_str) == Some(event.word()) {
        return false;
    }
    schedule.insert("event".to_owned(), event.word().into());
    if event == Event::Start {
        schedule.insert("status".to_owned(), "".into());
        schedule.insert("result".to_owned(), "".into());
    }
    true
}
