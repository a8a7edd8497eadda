//! Backups: the catalogue of all reported backups.

use axum::response::Response;
use freezer_store::query::backups;
use freezer_store::read;
use serde_json::json;

use crate::api::extract::{Body, Call, PathIds, log_change};
use crate::api::paging::ListQuery;
use crate::api::search::{self, TimeConditions};
use crate::api::{response, v2::into_document};
use crate::error::Error;
use crate::service::{self, backups::RecordedBackup};
use crate::validate::Document;

/// `GET /v2/{project_id}/backups`
pub async fn list(call: Call, query: ListQuery, Body(body): Body) -> Result<Response, Error> {
    let search = search::parse(&body, TimeConditions::Supported, call.app.http.max_conditions)?;
    let scope = call.scope();
    let _slot = call.app.queues.scan_slot(&scope, &search, &query.page).await?;
    let found =
        read!(call.store()?, "backups.list", |db| backups::list(db, &scope, &search, &query.page).await)?;
    query.answer("backups", &found, |backup| &backup.backup_id)
}

/// `POST /v2/{project_id}/backups`
pub async fn create(call: Call, Body(body): Body) -> Result<Response, Error> {
    let document = into_document(&call, Document::Backup, body)?;
    let RecordedBackup { backup_id, is_new } = service::backups::create(call.change()?, document).await?;
    match is_new {
        true => log_change!(call, "backup created", backup_id),
        false => log_change!(call, "backup reported again, and not stored again", backup_id),
    }
    response::created(&json!({"backup_id": backup_id}))
}

/// `GET /v2/{project_id}/backups/{backup_id}`
pub async fn show(call: Call, PathIds([backup_id]): PathIds<1>) -> Result<Response, Error> {
    let scope = call.scope();
    let found = read!(call.store()?, "backups.show", |db| backups::get(db, &scope, &backup_id).await)?;
    response::ok(&found.ok_or(Error::Absent)?)
}

/// `PATCH /v2/{project_id}/backups/{backup_id}`
pub async fn update(
    call: Call,
    PathIds([backup_id]): PathIds<1>,
    Body(body): Body,
) -> Result<Response, Error> {
    let patch = into_document(&call, Document::BackupPatch, body)?;
    let backup = service::backups::update(call.change()?, &backup_id, patch).await?;
    log_change!(call, "backup updated", backup_id);
    response::ok(&backup)
}

/// `DELETE /v2/{project_id}/backups/{backup_id}`
pub async fn delete(call: Call, PathIds([backup_id]): PathIds<1>) -> Result<Response, Error> {
    service::backups::delete(call.change()?, &backup_id).await?;
    log_change!(call, "backup deleted", backup_id);
    Ok(response::no_content())
}
