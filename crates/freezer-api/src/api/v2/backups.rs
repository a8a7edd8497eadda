//! Backups: the catalogue of all reported backups.

use axum::response::Response;
use freezer_store::query::backups;
use freezer_store::read;
use serde_json::Value;

use crate::api::budget;
use crate::api::extract::{Body, Call, PathIds, log_change};
use crate::api::paging::ListQuery;
use crate::api::response;
use crate::api::search::{self, TimeConditions};
use crate::api::v2::answers::BackupCreated;
use crate::error::Error;
use crate::service::{self, Change, backups::RecordedBackup};

/// `GET /v2/{project_id}/backups`
pub async fn list(call: Call, query: ListQuery, Body(body): Body) -> Result<Response, Error> {
    let search = search::parse(&body, TimeConditions::Supported, call.app.http.max_conditions)?;
    let scope = call.scope();
    let (call, query, scope, search) = (&call, &query, &scope, &search);
    budget::answer(call, query.page.max_bytes, |max_bytes| async move {
        let (page, store) = (query.page_up_to(max_bytes), &call.store()?.reading_up_to(max_bytes));
        let _slot = call.app.queues.scans().slot(scope, search, &page, call.deadline()).await?;
        let found = read!(store, "backups.list", |db| backups::list(db, scope, search, &page).await)?;
        query.draft("backups", &found, |backup| &backup.backup_id)
    })
    .await
}

/// `POST /v2/{project_id}/backups`
pub async fn create(call: Call, Body(body): Body) -> Result<Response, Error> {
    let document = call.app.validators.backup(body)?;
    let text = |key: &str| document.metadata.get(key).and_then(Value::as_str).map(str::to_owned);
    let (host, name, job) = (text("hostname"), text("backup_name"), text("job_id"));
    let RecordedBackup { backup_id, is_new } = service::backups::create(call.change()?, document).await?;
    match is_new {
        true => log_change!(call, "backup created", backup_id, host, name, job),
        false => log_change!(call, "backup reported again, and not stored again", backup_id),
    }
    response::created(&BackupCreated { backup_id: &backup_id })
}

/// `GET /v2/{project_id}/backups/{backup_id}`
pub async fn show(call: Call, PathIds([backup_id]): PathIds<1>) -> Result<Response, Error> {
    let scope = call.scope();
    let (call, scope, backup_id) = (&call, &scope, &backup_id);
    budget::document(call, |max_bytes| async move {
        let store = &call.store()?.reading_up_to(max_bytes);
        let found = read!(store, "backups.show", |db| backups::get(db, scope, backup_id).await)?;
        response::ok(&found.ok_or(Error::Absent)?)
    })
    .await
}

/// `PATCH /v2/{project_id}/backups/{backup_id}`
pub async fn update(
    call: Call,
    PathIds([backup_id]): PathIds<1>,
    Body(body): Body,
) -> Result<Response, Error> {
    let patch = &call.app.validators.backup_patch(body)?;
    let (call, backup_id) = (&call, &backup_id);
    budget::change(call, budget::FIRST_ANSWER, |limits| async move {
        let store = &limits.applied_to(call.store()?);
        let change = Change { store, ..call.change()? };
        let backup = service::backups::update(change, backup_id, patch, limits.bytes).await?;
        log_change!(call, "backup updated", backup_id);
        response::ok(&backup)
    })
    .await
}

/// `DELETE /v2/{project_id}/backups/{backup_id}`
pub async fn delete(call: Call, PathIds([backup_id]): PathIds<1>) -> Result<Response, Error> {
    service::backups::delete(call.change()?, &backup_id).await?;
    log_change!(call, "backup deleted", backup_id);
    Ok(response::no_content())
}
