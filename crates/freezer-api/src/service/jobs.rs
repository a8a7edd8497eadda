//! Jobs: creating, patching, replacing and deleting them, each in one transaction. If a job gets a client whose jobs
//! need a trust, it gets a trust (`trusts`).

use freezer_store::model::JobFields;
use freezer_store::query::{actions, clients, jobs, user_credentials};
use freezer_store::transaction;
use serde_json::{Map, Value};

use super::job_actions::{self, Checked, entries};
use super::job_patch::apply;
use super::job_reports;
use super::trusts::{self, JobWriteError, with_trust};
use super::{Change, Replaced, given_or_new, int, object, text};
use crate::error::Error;

/// Creates a job with its actions and returns its id.
///
/// # Errors
/// [`Error::Unprocessable`] for an unknown client or action; `Duplicate` if the id exists; if the job needs a trust,
/// [`Error::TrustRefused`], [`Error::KeystoneUnavailable`] and [`Error::Unauthenticated`].
pub async fn create(change: Change<'_>, document: &Map<String, Value>) -> Result<String, Error> {
    let job_id = given_or_new(document, "job_id", change.ids);
    let entries = entries(document, change.ids)?.unwrap_or_default();
    let fields = new_fields(document, change.now.0);
    change.fits("job_schedule", &fields.schedule)?;
    with_trust(change, |trust| {
        Box::pin(async {
            transaction!(change.store, "jobs.create", |db| {
                let Change { project_id, user_id, now, .. } = change;
                let links =
                    job_actions::settle(db, &change, &fields.client_id, &entries, Checked::All).await?;
                jobs::create(db, project_id, user_id, &job_id, &fields, &links, now).await?;
                trust.attach(db, &job_id, &fields.client_id).await
            })
        })
    })
    .await?;
    Ok(job_id)
}

/// Changes the keys of a job that the patch contains, and keeps the others. Only changed values are checked: the client
/// and the actions of the job may be deleted, or may no longer be compatible. `document` is the whole body, and `patch`
/// is the part of it to store.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unprocessable`] for an unknown client or action; the errors of [`create`] about trusts
/// if the job moves to another client.
pub async fn update(
    change: Change<'_>,
    job_id: &str,
    document: &Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), Error> {
    let entries = entries(patch, change.ids)?;
    with_trust(change, |trust| {
        Box::pin(async {
            transaction!(change.store, "jobs.update", |db| {
                let scope = change.scope();
                let Some(mut fields) = jobs::get_for_update(db, &scope, job_id).await? else {
                    return Err(JobWriteError::from(Error::not_found("job", job_id)));
                };
                let old_client = fields.client_id.clone();
                let mut patch = patch.clone();
                job_reports::drop_stale(db, &change, job_id, &fields, document, &mut patch).await?;
                let old = fields.schedule.clone();
                apply(&mut fields, &patch);
                change.fits_over("job_schedule", &fields.schedule, &old)?;
                let moves = fields.client_id != old_client;
                match entries.as_ref().filter(|_| patch.contains_key("job_actions")) {
                    Some(entries) => {
                        let had = jobs::action_ids(db, job_id).await?;
                        let checked = if moves { Checked::All } else { Checked::AllBut(&had) };
                        let links =
                            job_actions::settle(db, &change, &fields.client_id, entries, checked).await?;
                        if !links.iter().map(|link| &link.action_id).eq(&had) {
                            jobs::replace_actions(db, job_id, &links, change.now).await?;
                        }
                    }
                    None if moves => move_to_client(db, &change, &fields.client_id, job_id).await?,
                    _ => {}
                }
                jobs::update(db, &scope, job_id, &fields, change.now).await?;
                // Patches of schedulers never move a job. Their tokens come from a trust, so they could not create one.
                if moves { trust.attach(db, job_id, &fields.client_id).await } else { Ok(()) }
            })
        })
    })
    .await
}

/// Creates a job under an id, or replaces the document of an existing one. Its creator and its trust are kept.
///
/// # Errors
/// As [`create`].
pub async fn replace(
    change: Change<'_>,
    job_id: &str,
    document: &Map<String, Value>,
) -> Result<Replaced, Error> {
    let entries = entries(document, change.ids)?.unwrap_or_default();
    with_trust(change, |trust| {
        Box::pin(async {
            transaction!(change.store, "jobs.replace", |db| {
                let Change { project_id, user_id, now, .. } = change;
                let scope = change.scope();
                if jobs::was_created(db, &scope, job_id, now).await? {
                    return Ok(Replaced::Created);
                }
                let old = jobs::get_for_update(db, &scope, job_id).await?;
                let fields = if old.is_some() { whole_fields(document) } else { new_fields(document, now.0) };
                change.fits("job_schedule", &fields.schedule)?;
                let links =
                    job_actions::settle(db, &change, &fields.client_id, &entries, Checked::All).await?;
                let done = if old.is_some() {
                    jobs::update(db, &scope, job_id, &fields, now).await?;
                    jobs::replace_actions(db, job_id, &links, now).await?;
                    Replaced::Replaced
                } else {
                    jobs::create(db, project_id, user_id, job_id, &fields, &links, now).await?;
                    Replaced::Created
                };
                if old.is_none_or(|old| old.client_id != fields.client_id) {
                    trust.attach(db, job_id, &fields.client_id).await?;
                }
                Ok::<_, JobWriteError>(done)
            })
        })
    })
    .await
}

/// Deletes a job with its links and the row of its trust. If it is the last job of the trust, the trust is deleted,
/// too. Returns false if the project has no such job.
pub async fn delete(change: Change<'_>, job_id: &str) -> Result<bool, Error> {
    let (deleted, credentials) = transaction!(change.store, "jobs.delete", |db| {
        let credentials = user_credentials::get_to_delete(db, job_id, change.now).await?;
        if !jobs::delete(db, &change.scope(), job_id, change.now).await? {
            return Ok((false, None));
        }
        user_credentials::delete(db, job_id, change.now).await?;
        Ok::<_, Error>((true, credentials))
    })?;
    if let Some(credentials) = credentials {
        trusts::release(&change, &credentials).await;
    }
    Ok(deleted)
}

/// Checks that the new client of a job exists and supports the job's actions.
async fn move_to_client(
    db: &mut freezer_store::Db,
    change: &Change<'_>,
    client_id: &str,
    job_id: &str,
) -> Result<(), Error> {
    let Some(client) = clients::get(db, &change.scope(), client_id).await? else {
        return Err(Error::Unprocessable(format!("Client not found with ID {client_id}")));
    };
    for action in actions::get_of_job(db, &change.scope(), job_id).await? {
        super::clients::check_capabilities(&client, &action.freezer_action)?;
    }
    Ok(())
}

fn whole_fields(document: &Map<String, Value>) -> JobFields {
    JobFields {
        client_id: text(document, "client_id").unwrap_or_default(),
        session_id: text(document, "session_id").unwrap_or_default(),
        session_tag: int(document, "session_tag").or(Some(0)),
        // A missing text is stored as "", and null as null, as in the Python service.
        description: match document.get("description") {
            None => Some(String::new()),
            Some(_) => text(document, "description"),
        },
        schedule: object(document, "job_schedule").unwrap_or_default(),
    }
}

/// Returns the fields of a new job. It has neither started nor ended, even if the document contains such times.
fn new_fields(document: &Map<String, Value>, now: i64) -> JobFields {
    let mut fields = whole_fields(document);
    for (key, time) in [("time_created", now), ("time_started", -1), ("time_ended", -1)] {
        fields.schedule.insert(key.to_owned(), time.into());
    }
    fields
}
