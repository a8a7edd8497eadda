//! Jobs: the actions that run on a client, with their schedule.

use axum::response::Response;
use freezer_store::model::Job;
use freezer_store::{Scope, Store};
use serde_json::Value;

use crate::api::budget;
use crate::api::extract::{Body, Call, PathIds, log_change, log_failure};
use crate::api::paging::ListQuery;
use crate::api::response;
use crate::api::search::{self, TimeConditions};
use crate::api::v2::answers::{JobCreated, JobEventRequested, JobReplaced, JobUpdated};
use crate::error::Error;
use crate::policy;
use crate::service;
use crate::service::job_events::{self, Event, RequestedEvent};
use crate::service::job_reads;
use crate::service::jobs::JobChange;
use crate::service::{Change, Replaced};
use crate::validate::documents::JobPatch;

/// `GET /v2/{project_id}/jobs`. Every scheduler sends this request once a minute.
pub async fn list(call: Call, query: ListQuery, Body(body): Body) -> Result<Response, Error> {
    let search = search::parse(&body, TimeConditions::Unsupported, call.app.http.max_conditions)?;
    let sees_all = call.may(&policy::jobs::GET_ALL_PROJECTS).await?;
    let scope = if query.all_projects && sees_all { Scope::AllProjects } else { call.scope() };
    let caller = (!sees_all).then(|| call.context.own_project());
    let (call, query, scope, search) = (&call, &query, &scope, &search);
    budget::answer(call, query.page.max_bytes, |max_bytes| async move {
        let store = &call.store()?.reading_up_to(max_bytes);
        let jobs = search::job_query(scope.clone(), search.clone(), query.page_up_to(max_bytes));
        let mut found = job_reads::list(store, &call.app.queues, &jobs, caller).await?;
        hide_pids(call, sees_all, &mut found.documents).await?;
        query.draft("jobs", &found, |job| &job.job_id)
    })
    .await
}

/// Removes the process ids on nodes of other projects, unless the caller may see the jobs of all projects.
async fn hide_pids(call: &Call, sees_all: bool, jobs: &mut [Job]) -> Result<(), Error> {
    match sees_all {
        true => Ok(()),
        false => job_reads::hide_foreign_pids(call.store()?, call.context.own_project(), jobs).await,
    }
}

/// `POST /v2/{project_id}/jobs`
pub async fn create(call: Call, Body(body): Body) -> Result<Response, Error> {
    let document = call.app.validators.job(body)?;
    let client = document.client_id.clone();
    let job_id = service::jobs::create(call.change()?, document).await?;
    log_change!(call, "job created", job_id, client);
    response::created(&JobCreated { job_id: &job_id })
}

/// `GET /v2/{project_id}/jobs/{job_id}`
pub async fn show(call: Call, PathIds([job_id]): PathIds<1>) -> Result<Response, Error> {
    let sees_all = call.may(&policy::jobs::GET_ALL_PROJECTS).await?;
    // a central scheduler does not know the project of the job that it reads
    let scope = if sees_all { Scope::AllProjects } else { call.scope() };
    let (call, scope, job_id) = (&call, &scope, &job_id);
    budget::document(call, |max_bytes| async move {
        let store = &call.store()?.reading_up_to(max_bytes);
        let job = job_reads::show(store, &call.app.queues, scope, job_id.clone()).await?;
        let mut job = job.ok_or(Error::Absent)?;
        hide_pids(call, sees_all, std::slice::from_mut(&mut job)).await?;
        response::ok(&job)
    })
    .await
}

/// `PATCH /v2/{project_id}/jobs/{job_id}`
pub async fn update(call: Call, PathIds([job_id]): PathIds<1>, Body(body): Body) -> Result<Response, Error> {
    let (call, job_id, body) = (&call, &job_id, &body);
    budget::change(call, budget::FIRST_BYTES, |limits| async move {
        let store = &limits.applied_to(call.store()?);
        let patch = valid_patch(call, store, job_id, body).await?;
        let change = Change { store, ..call.change()? };
        let JobChange { client_id, run } = service::jobs::update(change, job_id, patch).await?;
        let (status_before, status, result) = (run.status_before(), run.status(), run.result());
        match run.has_failed() {
            true => {
                log_failure!(call, "job failed", job_id, client = client_id, status_before, status, result)
            }
            false => log_change!(
                call,
                "job updated",
                job_id,
                client = client_id,
                status_before,
                status,
                result,
                event = run.event()
            ),
        }
        response::ok(&JobUpdated { job_id, version: 0 })
    })
    .await
}

/// Validates a patch. If the whole patch is invalid, only the part that changes the job must be valid, because clients may send
/// back all values that the service shows.
async fn valid_patch<'b>(
    call: &Call,
    store: &Store,
    job_id: &str,
    body: &'b Value,
) -> Result<JobPatch<'b>, Error> {
    let validators = &call.app.validators;
    let refused = match validators.job_patch(body) {
        Ok(patch) => return Ok(patch),
        Err(refused) => refused.into(),
    };
    let Some(sent) = body.as_object() else { return Err(refused) };
    let shown = job_reads::show(store, &call.app.queues, &call.scope(), job_id.to_owned()).await?;
    match shown.and_then(|job| serde_json::to_value(job).ok()) {
        Some(Value::Object(shown)) => Ok(validators.job_changes(sent, &shown)?),
        _ => Err(refused),
    }
}

/// `POST /v2/{project_id}/jobs/{job_id}`
pub async fn replace(call: Call, PathIds([job_id]): PathIds<1>, Body(body): Body) -> Result<Response, Error> {
    let document = &call.app.validators.job_replace(body)?;
    let (call, job_id) = (&call, &job_id);
    budget::change(call, budget::FIRST_BYTES, |limits| async move {
        let store = &limits.applied_to(call.store()?);
        let change = Change { store, ..call.change()? };
        let client = document.client_id.as_deref();
        match service::jobs::replace(change, job_id, document).await? {
            Replaced::Created => log_change!(call, "job created", job_id, client),
            Replaced::Replaced => log_change!(call, "job replaced", job_id, client),
        }
        response::created(&JobReplaced { job_id, version: job_id })
    })
    .await
}

/// `DELETE /v2/{project_id}/jobs/{job_id}`
pub async fn delete(call: Call, PathIds([job_id]): PathIds<1>) -> Result<Response, Error> {
    if service::jobs::delete(call.change()?, &job_id).await? {
        log_change!(call, "job deleted", job_id);
    }
    Ok(response::no_content())
}

/// `POST /v2/{project_id}/jobs/{job_id}/event`
pub async fn create_event(
    call: Call,
    PathIds([job_id]): PathIds<1>,
    Body(body): Body,
) -> Result<Response, Error> {
    let event = Event::from_body(&body)?;
    let (call, job_id) = (&call, &job_id);
    budget::change(call, budget::FIRST_BYTES, |limits| async move {
        let store = &limits.applied_to(call.store()?);
        let change = Change { store, ..call.change()? };
        let RequestedEvent { result, is_new, job } = job_events::request(change, job_id, event).await?;
        let (event, client, status_before) = (event.name(), &job.client_id, job.run.status_before());
        match is_new {
            true => {
                let status = job.run.status();
                log_change!(call, "job event requested", job_id, event, client, status_before, status);
            }
            false => log_change!(call, "job event was already requested", job_id, event, client),
        }
        response::accepted(&JobEventRequested { result: &result })
    })
    .await
}
