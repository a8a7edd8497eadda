//! Sessions: creating, patching, replacing and deleting them, and their jobs. `session_actions.rs` has starts and ends.
//!
//! If a change affects a session and a job, the row of the session must be locked first, then that of the job.

use freezer_store::model::SessionFields;
use freezer_store::query::{jobs, sessions};
use freezer_store::single;
use freezer_store::transaction;
use serde_json::{Map, Value, json};

use super::{Change, Replaced, int, object, schedule, text};
use crate::error::Error;

/// Creates a session and returns its id, which the server always chooses.
pub async fn create(change: Change<'_>, document: &Map<String, Value>) -> Result<String, Error> {
    let session_id = change.ids.document();
    let mut fields = SessionFields::default();
    apply(&mut fields, document);
    // A new session is active and has no jobs, even if the document contains other values.
    fields.status = Some("active".to_owned());
    fields.jobs = None;
    change.fits("schedule", &fields.schedule)?;
    single!(change.store, "sessions.create", |db| {
        let Change { project_id, user_id, now, .. } = change;
        Ok::<_, Error>(sessions::create(db, project_id, user_id, &session_id, &fields, now, true).await?)
    })?;
    Ok(session_id)
}

/// Changes the fields of a session that the patch contains, and keeps the others. Jobs are merged by their ids.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such session.
pub async fn update(change: Change<'_>, session_id: &str, patch: &Map<String, Value>) -> Result<(), Error> {
    transaction!(change.store, "sessions.update", |db| {
        let scope = change.scope();
        let Some(mut fields) = sessions::get_for_update(db, &scope, session_id).await? else {
            return Err(Error::not_found("session", session_id));
        };
        let old = fields.clone();
        apply(&mut fields, patch);
        if let Some(patched) = object(patch, "jobs") {
            fields.jobs.get_or_insert_default().extend(patched);
        }
        fits(&change, &fields, &old)?;
        sessions::update(db, &scope, session_id, &fields, change.now).await?;
        Ok(())
    })
}

/// Creates a session under an id, or replaces an existing one. Its jobs are those of the document. Other fields that
/// the document does not contain are kept, as in 19.0.0, and so is the creator.
///
/// # Errors
/// `Duplicate` if the id belongs to another project.
pub async fn replace(
    change: Change<'_>,
    session_id: &str,
    document: &Map<String, Value>,
) -> Result<Replaced, Error> {
    transaction!(change.store, "sessions.replace", |db| {
        let Change { project_id, user_id, now, .. } = change;
        let scope = change.scope();
        let stored = sessions::get_for_update(db, &scope, session_id).await?;
        let there = stored.is_some();
        let old = stored.clone().unwrap_or_default();
        let mut fields = stored.unwrap_or_else(|| SessionFields { status: None, ..SessionFields::default() });
        apply(&mut fields, document);
        fields.jobs = object(document, "jobs");
        fits(&change, &fields, &old)?;
        if there {
            let created = sessions::was_created(db, &scope, session_id, now).await?;
            sessions::update(db, &scope, session_id, &fields, now).await?;
            return Ok(if created { Replaced::Created } else { Replaced::Replaced });
        }
        sessions::create(db, project_id, user_id, session_id, &fields, now, false).await?;
        Ok::<_, Error>(Replaced::Created)
    })
}

/// Deletes a session. Returns false if the project has no such session.
pub async fn delete(change: Change<'_>, session_id: &str) -> Result<bool, Error> {
    transaction!(change.store, "sessions.delete", |db| {
        Ok::<_, Error>(sessions::delete(db, &change.scope(), session_id, change.now).await?)
    })
}

/// Adds a job to a session: the session stores the state of the job, and the job gets the id, tag and schedule of the
/// session.
///
/// # Errors
/// [`Error::NotFound`] if the session or the job does not exist.
pub async fn add_job(change: Change<'_>, session_id: &str, job_id: &str) -> Result<(), Error> {
    transaction!(change.store, "sessions.add_job", |db| {
        let scope = change.scope();
        let Some(mut session) = sessions::get_for_update(db, &scope, session_id).await? else {
            return Err(Error::not_found("session", session_id));
        };
        let Some(mut job) = jobs::get_for_update(db, &scope, job_id).await? else {
            return Err(Error::not_found("job", job_id));
        };
        let old = session.clone();
        let state = |key: &str| job.schedule.get(key).cloned().unwrap_or_else(|| "".into());
        let entry = json!({
            "client_id": job.client_id,
            "status": state("status"),
            "result": state("result"),
            "time_started": state("time_started"),
            "time_ended": state("time_ended"),
        });
        session.jobs.get_or_insert_default().insert(job_id.to_owned(), entry);
        fits(&change, &session, &old)?;
        job.session_id = session_id.to_owned();
        job.session_tag = Some(session.session_tag);
        schedule::adopt(&mut job.schedule, &session.schedule);
        sessions::update(db, &scope, session_id, &session, change.now).await?;
        jobs::update(db, &scope, job_id, &job, change.now).await?;
        Ok(())
    })
}

/// Removes a job from a session and requests it to stop. A job that was deleted, or that has joined another session, is
/// not changed, because clients repeat the request until it succeeds.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such session.
pub async fn remove_job(change: Change<'_>, session_id: &str, job_id: &str) -> Result<(), Error> {
    transaction!(change.store, "sessions.remove_job", |db| {
        let scope = change.scope();
        let Some(mut session) = sessions::get_for_update(db, &scope, session_id).await? else {
            return Err(Error::not_found("session", session_id));
        };
        let entry = session.jobs.as_mut().and_then(|jobs| jobs.shift_remove(job_id));
        if entry.is_some() {
            sessions::update(db, &scope, session_id, &session, change.now).await?;
        }
        let Some(mut job) = jobs::get_for_update(db, &scope, job_id).await? else { return Ok(()) };
        if job.session_id == session_id {
            job.session_id = String::new();
            job.session_tag = Some(0);
            job.schedule.insert("event".to_owned(), "stop".into());
            jobs::update(db, &scope, job_id, &job, change.now).await?;
        }
        Ok(())
    })
}

/// Rejects a session that is too large.
fn fits(change: &Change<'_>, new: &SessionFields, old: &SessionFields) -> Result<(), Error> {
    change.fits_over("schedule", &new.schedule, &old.schedule)?;
    let none = Map::new();
    change.fits_over("jobs", new.jobs.as_ref().unwrap_or(&none), old.jobs.as_ref().unwrap_or(&none))
}

/// Writes the fields that a document contains. Null counts as missing, except for texts.
fn apply(fields: &mut SessionFields, document: &Map<String, Value>) {
    for (key, field) in [
        ("description", &mut fields.description),
        ("status", &mut fields.status),
        ("result", &mut fields.result),
    ] {
        if document.contains_key(key) {
            *field = text(document, key);
        }
    }
    for (key, field) in [
        ("session_tag", &mut fields.session_tag),
        ("hold_off", &mut fields.hold_off),
        ("time_start", &mut fields.time_start),
        ("time_end", &mut fields.time_end),
        ("time_started", &mut fields.time_started),
        ("time_ended", &mut fields.time_ended),
    ] {
        if let Some(number) = int(document, key) {
            *field = number;
        }
    }
    if let Some(schedule) = object(document, "schedule") {
        fields.schedule = schedule;
    }
}
