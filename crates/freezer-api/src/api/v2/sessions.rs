//! Sessions: groups of jobs on several nodes that run together.

use axum::response::Response;
use freezer_store::query::sessions;
use freezer_store::read;

use crate::api::budget;
use crate::api::extract::{Body, Call, PathIds, log_change, log_failure};
use crate::api::paging::ListQuery;
use crate::api::response;
use crate::api::search::{self, TimeConditions};
use crate::api::v2::answers::{SessionActionDone, SessionCreated, SessionReplaced, SessionUpdated};
use crate::error::Error;
use crate::service;
use crate::service::run_log;
use crate::service::session_actions::{self, Outcome, SessionAction};
use crate::service::{Change, Replaced};

/// `GET /v2/{project_id}/sessions`
pub async fn list(call: Call, query: ListQuery, Body(body): Body) -> Result<Response, Error> {
    let search = search::parse(&body, TimeConditions::Unsupported, call.app.http.max_conditions)?;
    let scope = call.scope();
    let (call, query, scope, search) = (&call, &query, &scope, &search);
    budget::answer(call, query.page.max_bytes, |max_bytes| async move {
        let (page, store) = (query.page_up_to(max_bytes), &call.store()?.reading_up_to(max_bytes));
        let _slot = call.app.queues.scans().slot(scope, search, &page, call.deadline()).await?;
        let found = read!(store, "sessions.list", |db| sessions::list(db, scope, search, &page).await)?;
        query.draft("sessions", &found, |session| &session.session_id)
    })
    .await
}

/// `POST /v2/{project_id}/sessions`
pub async fn create(call: Call, Body(body): Body) -> Result<Response, Error> {
    let document = call.app.validators.session(body)?;
    let session_id = service::sessions::create(call.change()?, document).await?;
    log_change!(call, "session created", session_id);
    response::created(&SessionCreated { session_id: &session_id })
}

/// `GET /v2/{project_id}/sessions/{session_id}`
pub async fn show(call: Call, PathIds([session_id]): PathIds<1>) -> Result<Response, Error> {
    let scope = call.scope();
    let (call, scope, session_id) = (&call, &scope, &session_id);
    budget::document(call, |max_bytes| async move {
        let store = &call.store()?.reading_up_to(max_bytes);
        let found = read!(store, "sessions.show", |db| sessions::get(db, scope, session_id).await)?;
        response::ok(&found.ok_or(Error::Absent)?)
    })
    .await
}

/// `PATCH /v2/{project_id}/sessions/{session_id}`
pub async fn update(
    call: Call,
    PathIds([session_id]): PathIds<1>,
    Body(body): Body,
) -> Result<Response, Error> {
    let patch = &call.app.validators.session_patch(body)?;
    let (call, session_id) = (&call, &session_id);
    budget::change(call, budget::FIRST_BYTES, |limits| async move {
        let store = &limits.applied_to(call.store()?);
        let change = Change { store, ..call.change()? };
        let run = service::sessions::update(change, session_id, patch).await?;
        let (status_before, status, result) = (run.status_before(), run.status(), run.result());
        match run.has_failed() {
            true => log_failure!(call, "session failed", session_id, status_before, status, result),
            false => log_change!(call, "session updated", session_id, status_before, status, result),
        }
        response::ok(&SessionUpdated { session_id, version: 0 })
    })
    .await
}

/// `POST /v2/{project_id}/sessions/{session_id}`
pub async fn replace(
    call: Call,
    PathIds([session_id]): PathIds<1>,
    Body(body): Body,
) -> Result<Response, Error> {
    let document = &call.app.validators.session_replace(body)?;
    let (call, session_id) = (&call, &session_id);
    budget::change(call, budget::FIRST_BYTES, |limits| async move {
        let store = &limits.applied_to(call.store()?);
        let change = Change { store, ..call.change()? };
        match service::sessions::replace(change, session_id, document).await? {
            Replaced::Created => log_change!(call, "session created", session_id),
            Replaced::Replaced => log_change!(call, "session replaced", session_id),
        }
        response::created(&SessionReplaced { session_id, version: session_id })
    })
    .await
}

/// `DELETE /v2/{project_id}/sessions/{session_id}`
pub async fn delete(call: Call, PathIds([session_id]): PathIds<1>) -> Result<Response, Error> {
    if service::sessions::delete(call.change()?, &session_id).await? {
        log_change!(call, "session deleted", session_id);
    }
    Ok(response::no_content())
}

/// `POST /v2/{project_id}/sessions/{session_id}/action`
pub async fn create_action(
    call: Call,
    PathIds([session_id]): PathIds<1>,
    Body(body): Body,
) -> Result<Response, Error> {
    let action = SessionAction::from_body(&body)?;
    let outcome = session_actions::execute(call.change()?, &session_id, action.clone()).await?;
    log_action(&call, &session_id, &action, &outcome);
    let Outcome { result, session_tag, .. } = outcome;
    response::accepted(&SessionActionDone { result, session_tag })
}

/// Logs an action of a session. The failure of a job, and that of the whole session, are at WARNING.
fn log_action(call: &Call, session_id: &str, action: &SessionAction, outcome: &Outcome) {
    let (answer, tag, run) = (outcome.result, outcome.session_tag, &outcome.run);
    let (status_before, status) = (run.status_before(), run.status());
    match action {
        SessionAction::Start { job_id: job, .. } => {
            log_change!(call, "session start requested", session_id, job, answer, tag, status_before, status);
        }
        SessionAction::End { job_id: job, result } if run_log::is_failure(result) => {
            log_failure!(call, "job of session failed", session_id, job, result, status_before, status);
        }
        SessionAction::End { job_id: job, result } => {
            log_change!(call, "job of session ended", session_id, job, result, status_before, status);
        }
    }
    if run.has_failed() {
        log_failure!(call, "session failed", session_id, status_before, status, result = run.result());
    }
}

/// `PUT /v2/{project_id}/sessions/{session_id}/jobs/{job_id}`
pub async fn add_job(call: Call, PathIds([session_id, job_id]): PathIds<2>) -> Result<Response, Error> {
    let (call, session_id, job_id) = (&call, &session_id, &job_id);
    budget::change(call, budget::FIRST_BYTES, |limits| async move {
        let store = &limits.applied_to(call.store()?);
        service::sessions::add_job(Change { store, ..call.change()? }, session_id, job_id).await?;
        log_change!(call, "job added to session", session_id, job = job_id);
        Ok(response::no_content())
    })
    .await
}

/// `DELETE /v2/{project_id}/sessions/{session_id}/jobs/{job_id}`
pub async fn remove_job(call: Call, PathIds([session_id, job_id]): PathIds<2>) -> Result<Response, Error> {
    let (call, session_id, job_id) = (&call, &session_id, &job_id);
    budget::change(call, budget::FIRST_BYTES, |limits| async move {
        let store = &limits.applied_to(call.store()?);
        service::sessions::remove_job(Change { store, ..call.change()? }, session_id, job_id).await?;
        log_change!(call, "job removed from session", session_id, job = job_id);
        Ok(response::no_content())
    })
    .await
}
