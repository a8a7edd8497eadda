//! Jobs: creates, updates, replaces and deletes them, each in one transaction. If the jobs of a client need trusts, a job
//! gets one when it is created for this client or moves to it (`trusts`).

use freezer_store::model::JobFields;
use freezer_store::query::{clients, job_actions as job_links, jobs, user_credentials};
use freezer_store::{read, transaction};

use super::clients::{check_actions_of_job, check_capabilities};
use super::job_actions::{self, Checked, JobActionEntry, entries};
use super::job_reports;
use super::run_log::{RunChange, RunState};
use super::schedule;
use super::trusts::{self, JobWriteError, with_trust};
use super::{Change, Extent, Replaced};
use crate::error::Error;
use crate::validate::documents::{JobDocument, JobPatch};

/// Creates a job with its actions and returns its id.
///
/// # Errors
/// [`Error::Unprocessable`] for an unknown client or action; `StoreError::Duplicate` if the id is already in use; if the
/// job needs a trust, [`Error::TrustRefused`], [`Error::KeystoneUnavailable`] and [`Error::Unauthenticated`].
pub async fn create(change: Change<'_>, mut document: JobDocument) -> Result<String, Error> {
    let job_id = document.job_id.take().unwrap_or_else(|| change.ids.document());
    let entries = entries(&document, change.ids)?.unwrap_or_default();
    let fields = new_fields(&document, change.now.0);
    change.check_size("job_schedule", &fields.schedule)?;
    let store = &change.store.changing(used_rows(&job_id, &entries));
    with_trust(change, |trust| {
        Box::pin(async {
            transaction!(store, "jobs.create", |db| {
                let Change { project_id, user_id, now, .. } = change;
                let links =
                    job_actions::store(db, &change, &fields.client_id, &entries, Checked::All).await?;
                jobs::create(db, project_id, user_id, &job_id, &fields, &links, now).await?;
                trust.attach(db, &job_id, &fields.client_id).await
            })
        })
    })
    .await?;
    Ok(job_id)
}

/// A change of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobChange {
    /// The client of the job after the change.
    pub client_id: String,
    /// The state of its run.
    pub run: RunChange,
}

/// Applies a patch to a job. Fields that the patch does not name stay. Only the changes are checked: the job's client may
/// have been deleted, and its existing actions may no longer be supported by the client.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unprocessable`] for an unknown client or action; if the job moves to another client, the
/// errors of [`create`] about trusts.
pub async fn update(change: Change<'_>, job_id: &str, patch: JobPatch<'_>) -> Result<JobChange, Error> {
    let entries = entries(&patch.changes, change.ids)?;
    let locked =
        patched_rows(&change, job_id, entries.as_deref(), patch.changes.client_id.as_deref()).await?;
    let store = &change.store.changing(locked);
    with_trust(change, |trust| {
        Box::pin(async {
            transaction!(store, "jobs.update", |db| {
                let scope = change.scope();
                let Some(mut fields) = jobs::get_for_update(db, &scope, job_id).await? else {
                    return Err(JobWriteError::from(Error::not_found("job", job_id)));
                };
                let old_client = fields.client_id.clone();
                let changes = job_reports::current_changes(db, &change, job_id, &fields, &patch).await?;
                let entries = entries.as_ref().filter(|_| changes.actions.is_some());
                let old = Extent::of(&fields.schedule);
                let before = RunState::of_schedule(&fields.schedule);
                apply(&mut fields, changes);
                change.check_growth("job_schedule", &fields.schedule, old)?;
                let moves = fields.client_id != old_client;
                match entries {
                    Some(entries) => {
                        let had = job_links::action_ids(db, job_id).await?;
                        let checked = if moves { Checked::All } else { Checked::AllBut(&had) };
                        let links =
                            job_actions::store(db, &change, &fields.client_id, entries, checked).await?;
                        if !links.iter().map(|link| &link.action_id).eq(&had) {
                            job_links::replace(db, job_id, &links, change.now).await?;
                        }
                    }
                    None if moves => move_to_client(db, &change, &fields.client_id, job_id).await?,
                    _ => {}
                }
                jobs::update(db, &scope, job_id, &fields, change.now).await?;
                // only for a moved job: schedulers do not move jobs, and their tokens (from a trust) cannot create trusts
                if moves {
                    trust.attach(db, job_id, &fields.client_id).await?;
                }
                let after = RunState::of_schedule(&fields.schedule);
                Ok(JobChange { client_id: fields.client_id, run: RunChange { before, after } })
            })
        })
    })
    .await
}

/// Creates a job with this id, or replaces the existing one. A replaced job keeps its creator and its trust.
///
/// # Errors
/// As [`create`].
pub async fn replace(change: Change<'_>, job_id: &str, document: &JobDocument) -> Result<Replaced, Error> {
    let entries = entries(document, change.ids)?.unwrap_or_default();
    let store = &change.store.changing(used_rows(job_id, &entries));
    with_trust(change, |trust| {
        Box::pin(async {
            transaction!(store, "jobs.replace", |db| {
                let Change { project_id, user_id, now, .. } = change;
                let scope = change.scope();
                if jobs::was_created(db, &scope, job_id, now).await? {
                    return Ok(Replaced::Created);
                }
                let old = jobs::get_for_update(db, &scope, job_id).await?;
                let fields = if old.is_some() { whole_fields(document) } else { new_fields(document, now.0) };
                change.check_size("job_schedule", &fields.schedule)?;
                let links =
                    job_actions::store(db, &change, &fields.client_id, &entries, Checked::All).await?;
                let done = if old.is_some() {
                    jobs::update(db, &scope, job_id, &fields, now).await?;
                    job_links::replace(db, job_id, &links, now).await?;
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

/// Deletes a job with its links and the row of its trust, and deletes the trust if no other job uses it. Returns false if
/// the project has no such job.
pub async fn delete(change: Change<'_>, job_id: &str) -> Result<bool, Error> {
    let store = &change.store.changing([("jobs", job_id)]);
    let (deleted, credentials) = transaction!(store, "jobs.delete", |db| {
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

/// Returns the rows that a change of a job locks if it checks all of its actions: its own, and those of the actions that it
/// refers to.
fn used_rows<'a>(
    job_id: &'a str,
    entries: &'a [JobActionEntry],
) -> impl Iterator<Item = (&'static str, &'a str)> {
    let actions = entries.iter().filter_map(JobActionEntry::reference).map(|id| ("actions", id));
    std::iter::once(("jobs", job_id)).chain(actions)
}

/// Returns the rows that a patch of a job locks. If the patch names the client and the actions that the job already has, as
/// most reports of runs do, it locks only the job, so the reports of jobs with the same action do not wait for each other.
async fn patched_rows<'a>(
    change: &Change<'_>,
    job_id: &'a str,
    entries: Option<&'a [JobActionEntry]>,
    client_id: Option<&str>,
) -> Result<Vec<(&'static str, &'a str)>, Error> {
    let entries = entries.unwrap_or_default();
    if entries.iter().all(|entry| entry.reference().is_none()) {
        return Ok(vec![("jobs", job_id)]);
    }
    let used = read!(change.store, "jobs.used", |db| {
        let has_client = match client_id {
            Some(client_id) => jobs::has_client(db, &change.scope(), job_id, client_id).await?,
            None => true,
        };
        Ok::<_, Error>(if has_client { Some(job_links::action_ids(db, job_id).await?) } else { None })
    })?;
    let references = entries.iter().map(JobActionEntry::reference);
    let is_unchanged = used.is_some_and(|used| references.eq(used.iter().map(|id| Some(id.as_str()))));
    Ok(if is_unchanged { vec![("jobs", job_id)] } else { used_rows(job_id, entries).collect() })
}

/// Checks that the new client of a moved job exists and supports the job's actions.
async fn move_to_client(
    db: &mut freezer_store::Db,
    change: &Change<'_>,
    client_id: &str,
    job_id: &str,
) -> Result<(), Error> {
    let Some(client) = clients::get(db, &change.scope(), client_id).await? else {
        return Err(Error::Unprocessable(format!("Client not found with ID {client_id}")));
    };
    check_actions_of_job(db, &change.scope(), job_id, &client, check_capabilities).await
}

fn whole_fields(document: &JobDocument) -> JobFields {
    JobFields {
        client_id: document.client_id.clone().unwrap_or_default(),
        session_id: document.session_id.clone().unwrap_or_default(),
        session_tag: document.session_tag.or(Some(0)),
        // an absent description is stored as "", and null as null, as in the Python service
        description: document.description.clone().unwrap_or_else(|| Some(String::new())),
        schedule: document.schedule.clone().unwrap_or_default(),
    }
}

/// Returns the fields of a new job. Its times are those of a job that was created now and never ran, even if the document
/// has other values.
fn new_fields(document: &JobDocument, now: i64) -> JobFields {
    let mut fields = whole_fields(document);
    for (key, time) in [("time_created", now), ("time_started", -1), ("time_ended", -1)] {
        fields.schedule.insert(key.to_owned(), time.into());
    }
    fields
}

/// Merges the changes of a patch into the columns of a job. Actions are not columns, so they are not merged here.
fn apply(fields: &mut JobFields, changes: JobDocument) {
    let JobDocument { client_id, session_id, session_tag, description, schedule, .. } = changes;
    if let Some(client_id) = client_id {
        fields.client_id = client_id;
    }
    if let Some(session_id) = session_id {
        fields.session_id = session_id;
    }
    if session_tag.is_some() {
        fields.session_tag = session_tag;
    }
    if let Some(description) = description {
        fields.description = description;
    }
    if let Some(patch) = schedule {
        schedule::merge(&mut fields.schedule, patch);
    }
}
