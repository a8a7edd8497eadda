//! Clients: nodes that are registered with the service.

use axum::response::Response;
use freezer_store::query::clients::{self, Registered};
use freezer_store::read;

use crate::api::budget;
use crate::api::extract::{Body, Call, PathIds, log_change};
use crate::api::paging::ListQuery;
use crate::api::response;
use crate::api::search::{self, TimeConditions};
use crate::api::v2::answers::ClientCreated;
use crate::error::Error;
use crate::policy;
use crate::service;
use crate::validate::documents::ClientDocument;

/// `GET /v2/{project_id}/clients`
pub async fn list(call: Call, query: ListQuery, Body(body): Body) -> Result<Response, Error> {
    let search = search::parse(&body, TimeConditions::Unsupported, call.app.http.max_conditions)?;
    let scope = call.scope();
    let (call, query, scope, search) = (&call, &query, &scope, &search);
    budget::answer(call, query.page.max_bytes, |max_bytes| async move {
        let (page, store) = (query.page_up_to(max_bytes), call.store()?);
        let _slot = call.app.queues.scans().slot(scope, search, &page, call.deadline()).await?;
        let found = read!(store, "clients.list", |db| clients::list(db, scope, search, &page).await)?;
        query.draft("clients", &found, |client| &client.uuid)
    })
    .await
}

/// `POST /v2/{project_id}/clients`
pub async fn create(call: Call, Body(body): Body) -> Result<Response, Error> {
    let document = call.app.validators.client(body)?;
    check_central(&call, &document).await?;
    let (registered, client_id) = service::clients::register(call.change()?, document).await?;
    match registered {
        Registered::Created => log_change!(call, "client registered", client_id),
        Registered::Updated => log_change!(call, "client updated", client_id),
        Registered::Unchanged | Registered::Foreign => {}
    }
    response::created(&ClientCreated { client_id: &client_id })
}

/// Checks the policy for [`create`]. An invalid body needs no further rule.
pub async fn check_create(call: Call, Body(body): Body) -> Result<(), Error> {
    match call.app.validators.client(body) {
        Ok(document) => check_central(&call, &document).await,
        Err(_) => Ok(()),
    }
}

async fn check_central(call: &Call, document: &ClientDocument) -> Result<(), Error> {
    if document.is_central {
        call.require(&policy::clients::CREATE_CENTRAL).await?;
    }
    Ok(())
}

/// `GET /v2/{project_id}/clients/{client_id}`
pub async fn show(call: Call, PathIds([client_id]): PathIds<1>) -> Result<Response, Error> {
    let scope = call.scope();
    let (call, scope, client_id) = (&call, &scope, &client_id);
    budget::document(call, |_| async move {
        let store = call.store()?;
        let found = read!(store, "clients.show", |db| clients::get(db, scope, client_id).await)?;
        response::ok(&found.ok_or(Error::Absent)?)
    })
    .await
}

/// `DELETE /v2/{project_id}/clients/{client_id}`
pub async fn delete(call: Call, PathIds([client_id]): PathIds<1>) -> Result<Response, Error> {
    if service::clients::delete(call.change()?, &client_id).await? {
        log_change!(call, "client deleted", client_id);
    }
    Ok(response::no_content())
}
