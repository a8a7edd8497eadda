//! Jobs: which actions run on which client, and when.

use axum::response::Response;
use freezer_store::Scope;
use freezer_store::query::jobs;
use freezer_store::read;
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
use crate::validate::Document;

/// `GET /v2/{project_id}/jobs`: what every scheduler asks once a minute.
///
/// # Errors
/// [`Error`]
pub async fn list(call: Call, query: ListQuery, Body(body): Body) -> Result<Response, Error> {
    let search = search::parse(&body, Times::Unknown)?;
    let sees_all = call.may(&policy::jobs::GET_ALL_PROJECTS).await?;
    let scope = if query.all_projects && sees_all { Scope::AllProjects } else { call.scope() };
    let own = call.context.own_project();
    let found = read!(call.app.store, "jobs.list", |db| {
        let mut found = jobs::list(db, &scope, &search, &query.page).await?;
        if !sees_all {
            jobs::hide_foreign_pids(db, own, &mut found.documents).await?;
        }
        Ok::<_, Error>(found)
    })?;
    query.answer("jobs", &found, |job| &job.job_id)
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
    let own = call.context.own_project();
    let job = read!(call.app.store, "jobs.show", |db| {
        let mut job = jobs::get(db, &scope, &job_id).await?.ok_or(Error::Absent)?;
        if !sees_all {
            jobs::hide_foreign_pids(db, own, std::slice::from_mut(&mut job)).await?;
        }
        Ok::<_, Error>(job)
    })?;
    response::ok(&job)
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
