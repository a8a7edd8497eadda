//! Sessions: creates, updates, replaces and deletes them, and adds and removes their jobs. Starts and ends of runs are
//! in `session_actions.rs`.
//!
//! If a transaction changes a session and a job, it locks the session's row first, then the job's.

use freezer_store::model::SessionFields;
use freezer_store::query::{jobs, sessions};
use freezer_store::single;
use freezer_store::transaction;
use serde_json::{Map, json};

use super::run_log::{RunChange, RunState};
use super::{Change, Extent, Replaced, schedule};
use crate::error::Error;
use crate::validate::documents::SessionDocument;

/// Creates a session and returns its id, which the server always chooses.
pub async fn create(change: Change<'_>, document: SessionDocument) -> Result<String, Error> {
    let session_id = change.ids.document();
    let mut fields = SessionFields::default();
    apply(&mut fields, &document);
    // a new session is always active and has no jobs, even if the document says otherwise
    fields.status = Some("active".to_owned());
    fields.jobs = None;
    change.check_size("schedule", &fields.schedule)?;
    single!(change.store, "sessions.create", |db| {
        let Change { project_id, user_id, now, .. } = change;
        Ok::<_, Error>(sessions::create(db, project_id, user_id, &session_id, &fields, now, true).await?)
    })?;
    Ok(session_id)
}

/// Applies a patch to a session. Fields that the patch does not name stay. Jobs are merged by their ids.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such session.
pub async fn update(
    change: Change<'_>,
    session_id: &str,
    patch: &SessionDocument,
) -> Result<RunChange, Error> {
    let store = &change.store.changing([("sessions", session_id)]);
    transaction!(store, "sessions.update", |db| {
        let scope = change.scope();
        let Some(mut fields) = sessions::get_for_update(db, &scope, session_id).await? else {
            return Err(Error::not_found("session", session_id));
        };
        let old = extents(&fields);
        let before = run_state(&fields);
        apply(&mut fields, patch);
        if let Some(patched) = &patch.jobs {
            fields.jobs.get_or_insert_default().extend(patched.clone());
        }
        check_size(&change, &fields, old)?;
        sessions::update(db, &scope, session_id, &fields, change.now).await?;
        Ok(RunChange { before, after: run_state(&fields) })
    })
}

/// Creates a session with this id, or replaces the existing one. A replaced session gets the jobs of the document. Its
/// other fields stay if the document does not name them (as in 19.0.0), and its creator always stays.
///
/// # Errors
/// `StoreError::Duplicate` if the id belongs to another project.
pub async fn replace(
    change: Change<'_>,
    session_id: &str,
    document: &SessionDocument,
) -> Result<Replaced, Error> {
    let store = &change.store.changing([("sessions", session_id)]);
    transaction!(store, "sessions.replace", |db| {
        let Change { project_id, user_id, now, .. } = change;
        let scope = change.scope();
        let stored = sessions::get_for_update(db, &scope, session_id).await?;
        let exists = stored.is_some();
        let mut fields = stored.unwrap_or_else(|| SessionFields { status: None, ..SessionFields::default() });
        let old = extents(&fields);
        apply(&mut fields, document);
        fields.jobs.clone_from(&document.jobs);
        check_size(&change, &fields, old)?;
        if exists {
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
    let store = &change.store.changing([("sessions", session_id)]);
    transaction!(store, "sessions.delete", |db| {
        Ok::<_, Error>(sessions::delete(db, &change.scope(), session_id, change.now).await?)
    })
}

/// Adds a job to a session. The session stores the job's state, and the job gets the session's id, tag and schedule.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such session or job.
pub async fn add_job(change: Change<'_>, session_id: &str, job_id: &str) -> Result<(), Error> {
    wait_for_session(&change, session_id).await?;
    let store = &change.store.changing([("sessions", session_id), ("jobs", job_id)]);
    transaction!(store, "sessions.add_job", |db| {
        let scope = change.scope();
        let Some(mut session) = sessions::get_for_update(db, &scope, session_id).await? else {
            return Err(Error::not_found("session", session_id));
        };
        let Some(mut job) = jobs::get_for_update(db, &scope, job_id).await? else {
            return Err(Error::not_found("job", job_id));
        };
        let old = extents(&session);
        let state = |key: &str| job.schedule.get(key).cloned().unwrap_or_else(|| "".into());
        let entry = json!({
            "client_id": job.client_id,
            "status": state("status"),
            "result": state("result"),
            "time_started": state("time_started"),
            "time_ended": state("time_ended"),
        });
        session.jobs.get_or_insert_default().insert(job_id.to_owned(), entry);
        check_size(&change, &session, old)?;
        job.session_id = session_id.to_owned();
        job.session_tag = Some(session.session_tag);
        schedule::replace_with_session(&mut job.schedule, &session.schedule);
        sessions::update(db, &scope, session_id, &session, change.now).await?;
        jobs::update(db, &scope, job_id, &job, change.now).await?;
        Ok(())
    })
}

/// Removes a job from a session and requests a stop of the job. A job that was deleted, or that has joined another session
/// since then, does not change and is no error, because clients repeat this request until it succeeds.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such session.
pub async fn remove_job(change: Change<'_>, session_id: &str, job_id: &str) -> Result<(), Error> {
    wait_for_session(&change, session_id).await?;
    let store = &change.store.changing([("sessions", session_id), ("jobs", job_id)]);
    transaction!(store, "sessions.remove_job", |db| {
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

/// Waits until no other transaction locks the session. A change of a session and a job does this before it takes the turn of
/// the job, so that other changes of the job do not wait for the session.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such session.
async fn wait_for_session(change: &Change<'_>, session_id: &str) -> Result<(), Error> {
    let store = &change.store.changing([("sessions", session_id)]);
    transaction!(store, "sessions.lock", |db| {
        match sessions::get_for_update(db, &change.scope(), session_id).await? {
            Some(_) => Ok(()),
            None => Err(Error::not_found("session", session_id)),
        }
    })
}

/// Returns the state of the run of a session.
pub(super) fn run_state(fields: &SessionFields) -> RunState {
    RunState::of_session(fields.status.as_deref(), fields.result.as_deref(), fields.time_end)
}

/// Refuses a session that is too large.
fn check_size(change: &Change<'_>, new: &SessionFields, old: [Extent; 2]) -> Result<(), Error> {
    let [schedule, jobs] = old;
    change.check_growth("schedule", &new.schedule, schedule)?;
    change.check_growth("jobs", new.jobs.as_ref().unwrap_or(&Map::new()), jobs)
}

/// Returns the extents of the schedule and of the jobs of a session.
fn extents(fields: &SessionFields) -> [Extent; 2] {
    [&fields.schedule, fields.jobs.as_ref().unwrap_or(&Map::new())].map(Extent::of)
}

/// Sets the fields that a document names, except for its jobs. Null clears a text, and has no effect on other fields.
fn apply(fields: &mut SessionFields, document: &SessionDocument) {
    for (field, text) in [
        (&mut fields.description, &document.description),
        (&mut fields.status, &document.status),
        (&mut fields.result, &document.result),
    ] {
        if let Some(text) = text {
            field.clone_from(text);
        }
    }
    for (field, number) in [
        (&mut fields.session_tag, document.session_tag),
        (&mut fields.hold_off, document.hold_off),
        (&mut fields.time_start, document.time_start),
        (&mut fields.time_end, document.time_end),
        (&mut fields.time_started, document.time_started),
        (&mut fields.time_ended, document.time_ended),
    ] {
        if let Some(number) = number {
            *field = number;
        }
    }
    if let Some(schedule) = &document.schedule {
        fields.schedule.clone_from(schedule);
    }
}
