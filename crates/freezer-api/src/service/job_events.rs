//! Events of a job: a user asks for a start, stop or abort; the job's scheduler reads it at its next poll.

use freezer_store::Db;
use freezer_store::query::{actions, clients, jobs};
use freezer_store::transaction;
use serde_json::{Map, Value};

use super::Change;
use super::clients::check_start;
use crate::error::Error;

/// What can be asked of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Run now.
    Start,
    /// Do not run any more.
    Stop,
    /// End the run that is under way.
    Abort,
}

impl Event {
    /// The event that a body names: its first key.
    ///
    /// # Errors
    /// [`Error::BadDocument`] where it names none, or one that jobs do not know.
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

/// Asks an event of a job. Returns `success`, or that it was asked before and nothing changed.
///
/// # Errors
/// [`Error::NotFound`] where the project has no such job; [`Error::Unprocessable`] for a start of a job whose client is
/// gone or can no longer do it.
pub async fn request(change: Change<'_>, job_id: &str, event: Event) -> Result<String, Error> {
    transaction!(change.store, "jobs.event", |db| {
        let scope = change.scope();
        let Some(mut fields) = jobs::get_for_update(db, &scope, job_id).await? else {
            return Err(Error::not_found("job", job_id));
        };
        if !apply(&mut fields.schedule, event) {
            // an earlier run of this body may have requested it
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

/// Whether the job's client is there and can do all of it. A start would otherwise wait for a poll that never comes;
/// stop and abort are not asked: a job must be stopped whatever became of its client.
async fn check_client(db: &mut Db, change: &Change<'_>, client_id: &str, job_id: &str) -> Result<(), Error> {
    let Some(client) = clients::get(db, &change.scope(), client_id).await? else {
        return Err(Error::Unprocessable(format!("Client not found with ID {client_id}")));
    };
    for action in actions::get_of_job(db, &change.scope(), job_id).await? {
        check_start(&client, &action.freezer_action)?;
    }
    Ok(())
}

/// False where the event was requested before. A start forgets how the last run went.
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
