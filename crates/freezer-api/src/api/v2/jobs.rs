//! Jobs: which actions run on which client, and when.

use axum::response::Response;
use freezer_store::Scope;
use freezer_store::model::Job;
use serde_json::json;

use crate::api::extract::{Body, Call, PathIds, log_change};
use crate::api::paging::ListQuery;
use crate::api::search::{self, Times};
use crate::api::{response, v2::document};
use crate::error::Error;
use crate::policy;
use crate::service;
use crate::service::Replaced;
use crate::service::job_events::{self, Event};
use crate::service::job_reads;
use crate::validate::Document;

/// `GET /v2/{project_id}/jobs`: what every scheduler asks once a minute.
///
/// # Errors
/// [`Error`]
pub async fn list(call: Call, query: ListQuery, Body(body): Body) -> Result<Response, Error> {
    let search = search::parse(&body, Times::Unknown)?;
    let sees_all = call.may(&policy::jobs::GET_ALL_PROJECTS).await?;
    let scope = if query.all_projects && sees_all { Scope::AllProjects } else { call.scope() };
    let mut found = job_reads::list(&call.app.store, &call.app.queues, &scope, &search, &query.page).await?;
    found.documents = visible(&call, sees_all, found.documents).await?;
    query.answer("jobs", &found, |job| &job.job_id)
}

/// Jobs as the caller may see them: without what runs on other projects' nodes.
async fn visible(call: &Call, sees_all: bool, jobs: Vec<Job>) -> Result<Vec<Job>, Error> {
    match sees_all {
        true => Ok(jobs),
        false => job_reads::hide_foreign_pids(&call.app.store, call.context.own_project(), jobs).await,
    }
}

/// `POST /v2/{project_id}/jobs`
///
/// # Errors
/// [`Error`]
pub async fn create(call: Call, Body(body): Body) -> Result<Response, Error> {
    let document = document(&call, Document::Job, &body)?;
    let job_id = service::jobs::create(call.change(), document).await?;
    log_change!(call, "job created", job_id);
    response::created(&json!({"job_id": job_id}))
}

/// `GET /v2/{project_id}/jobs/{job_id}`
///
/// # Errors
/// [`Error`]
pub async fn show(call: Call, PathIds([job_id]): PathIds<1>) -> Result<Response, Error> {
    let sees_all = call.may(&policy::jobs::GET_ALL_PROJECTS).await?;
    // a central scheduler reads a job without knowing whose it is
    let scope = if sees_all { Scope::AllProjects } else { call.scope() };
    let job = job_reads::show(&call.app.store, &call.app.queues, &scope, job_id).await?;
    let jobs = visible(&call, sees_all, vec![job.ok_or(Error::Absent)?]).await?;
    response::ok(&jobs.first())
}

/// `PATCH /v2/{project_id}/jobs/{job_id}`
///
/// # Errors
/// [`Error`]
pub async fn update(call: Call, PathIds([job_id]): PathIds<1>, Body(body): Body) -> Result<Response, Error> {
    let patch = document(&call, Document::JobPatch, &body)?;
    service::jobs::update(call.change(), &job_id, patch).await?;
    log_change!(call, "job updated", job_id);
    response::ok(&json!({"job_id": job_id, "version": 0}))
}

/// `POST /v2/{project_id}/jobs/{job_id}`
///
/// # Errors
/// [`Error`]
pub async fn replace(call: Call, PathIds([job_id]): PathIds<1>, Body(body): Body) -> Result<Response, Error> {
    let document = document(&call, Document::JobReplace, &body)?;
    match service::jobs::replace(call.change(), &job_id, document).await? {
        Replaced::Created => log_change!(call, "job created", job_id),
        Replaced::Replaced => log_change!(call, "job replaced", job_id),
    }
    response::created(&json!({"job_id": job_id, "version": job_id}))
}

/// `DELETE /v2/{project_id}/jobs/{job_id}`
///
/// # Errors
/// [`Error`]
pub async fn delete(call: Call, PathIds([job_id]): PathIds<1>) -> Result<Response, Error> {
    if service::jobs::delete(call.change(), &job_id).await? {
        log_change!(call, "job deleted", job_id);
    }
    Ok(response::no_content())
}

/// `POST /v2/{project_id}/jobs/{job_id}/event`
///
/// # Errors
/// [`Error`]
pub async fn create_event(
    call: Call,
    PathIds([job_id]): PathIds<1>,
    Body(body): Body,
) -> Result<Response, Error> {
    let event = Event::named(&body)?;
    let result = job_events::request(call.change(), &job_id, event).await?;
    log_change!(call, "job event requested", job_id);
    response::accepted(&json!({"result": result}))
}
