//! Actions: definitions that several jobs can use.

use axum::response::Response;
use freezer_store::model::ActionInList;
use freezer_store::query::actions;
use freezer_store::{Store, read};
use serde_json::Value;

use crate::api::budget;
use crate::api::extract::{Body, Call, PathIds, log_change};
use crate::api::paging::ListQuery;
use crate::api::response;
use crate::api::search::{self, TimeConditions};
use crate::api::v2::answers::{ActionChanged, ActionCreated};
use crate::error::Error;
use crate::service;
use crate::service::{Change, Replaced};
use crate::validate::documents::ActionDocument;

/// `GET /v2/{project_id}/actions`
pub async fn list(call: Call, query: ListQuery, Body(body): Body) -> Result<Response, Error> {
    let search = search::parse(&body, TimeConditions::Unsupported, call.app.http.max_conditions)?;
    let scope = call.scope();
    let (call, query, scope, search) = (&call, &query, &scope, &search);
    budget::answer(call, query.page.max_bytes, |max_bytes| async move {
        let (page, store) = (query.page_up_to(max_bytes), &call.store()?.reading_up_to(max_bytes));
        let _slot = call.app.queues.scans().slot(scope, search, &page, call.deadline()).await?;
        let found = read!(store, "actions.list", |db| actions::list(db, scope, search, &page).await)?;
        let found = found.map(ActionInList::from);
        query.draft("actions", &found, |listed| &listed.action.action_id)
    })
    .await
}

/// `POST /v2/{project_id}/actions`
pub async fn create(call: Call, Body(body): Body) -> Result<Response, Error> {
    let document = call.app.validators.action(body)?;
    let action_id = service::actions::create(call.change()?, document).await?;
    log_change!(call, "action created", action_id);
    response::created(&ActionCreated { action_id: &action_id })
}

/// `GET /v2/{project_id}/actions/{action_id}`
pub async fn show(call: Call, PathIds([action_id]): PathIds<1>) -> Result<Response, Error> {
    let scope = call.scope();
    let (call, scope, action_id) = (&call, &scope, &action_id);
    budget::document(call, |max_bytes| async move {
        let store = &call.store()?.reading_up_to(max_bytes);
        let found = read!(store, "actions.show", |db| actions::get(db, scope, action_id).await)?;
        response::ok(&found.ok_or(Error::Absent)?)
    })
    .await
}

/// `PATCH /v2/{project_id}/actions/{action_id}`
pub async fn update(
    call: Call,
    PathIds([action_id]): PathIds<1>,
    Body(body): Body,
) -> Result<Response, Error> {
    let (call, action_id, body) = (&call, &action_id, &body);
    budget::change(call, budget::FIRST_BYTES, |limits| async move {
        let store = &limits.applied_to(call.store()?);
        let patch = &valid_patch(call, store, action_id, body).await?;
        let change = Change { store, ..call.change()? };
        service::actions::update(change, action_id, patch).await?;
        log_change!(call, "action updated", action_id);
        response::ok(&ActionChanged { action_id, version: action_id })
    })
    .await
}

/// Validates a patch. If the whole patch is invalid, only the part that changes the action must be valid, because clients may
/// send back all values that the service shows.
async fn valid_patch(
    call: &Call,
    store: &Store,
    action_id: &str,
    body: &Value,
) -> Result<ActionDocument, Error> {
    let validators = &call.app.validators;
    let refused = match validators.action_patch(body.clone()) {
        Ok(patch) => return Ok(patch),
        Err(refused) => refused.into(),
    };
    let Some(sent) = body.as_object() else { return Err(refused) };
    let scope = &call.scope();
    let shown = read!(store, "actions.show", |db| actions::get(db, scope, action_id).await)?;
    match shown.and_then(|action| serde_json::to_value(action).ok()) {
        Some(Value::Object(shown)) => Ok(validators.action_changes(sent.clone(), &shown)?),
        _ => Err(refused),
    }
}

/// `POST /v2/{project_id}/actions/{action_id}`
pub async fn replace(
    call: Call,
    PathIds([action_id]): PathIds<1>,
    Body(body): Body,
) -> Result<Response, Error> {
    let document = &call.app.validators.action_replace(body)?;
    let (call, action_id) = (&call, &action_id);
    budget::change(call, budget::FIRST_BYTES, |limits| async move {
        let store = &limits.applied_to(call.store()?);
        let change = Change { store, ..call.change()? };
        match service::actions::replace(change, action_id, document.clone()).await? {
            Replaced::Created => log_change!(call, "action created", action_id),
            Replaced::Replaced => log_change!(call, "action replaced", action_id),
        }
        response::created(&ActionChanged { action_id, version: action_id })
    })
    .await
}

/// `DELETE /v2/{project_id}/actions/{action_id}`
pub async fn delete(call: Call, PathIds([action_id]): PathIds<1>) -> Result<Response, Error> {
    if service::actions::delete(call.change()?, &action_id).await? {
        log_change!(call, "action deleted", action_id);
    }
    Ok(response::no_content())
}
