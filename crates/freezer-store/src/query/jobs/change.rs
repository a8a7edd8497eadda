//! Changes of `jobs`, and the locked row of a job.

use sea_query::{Expr, ExprTrait, LockType, Query};

use super::{TABLE, TEXTS};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::model::JobFields;
use crate::query::Values;
use crate::query::job_actions::{self, Link};
use crate::query::within::{check_tree, read_within};
use crate::scope::Scope;
use crate::tables::{Column, Jobs, StoredJob};

/// Returns the columns of a job of the scope and locks its row until the transaction ends.
pub async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    job_id: &str,
) -> Result<Option<JobFields>, StoreError> {
    let mut select = TABLE.live::<StoredJob>(TABLE.in_scope(scope));
    select.and_where(Expr::col(Jobs::Id).eq(job_id)).lock(LockType::Update);
    let stored = read_within::<StoredJob, _>(db, &select, ("job", job_id), TEXTS).await?;
    let Some(row) = stored else { return Ok(None) };
    check_tree(db.doing(), db.tree_limit(), ("job", job_id), &[row.schedule.as_deref()])?;
    Ok(Some(JobFields {
        schedule: json::tree_to_change(row.schedule, Jobs::Schedule.of_row(&row.job_id)).await,
        client_id: row.client_id,
        session_id: row.session_id.unwrap_or_default(),
        session_tag: row.session_tag,
        description: row.description,
    }))
}

/// Returns whether a job of the scope exists and has this client.
pub async fn has_client(
    db: &mut Db,
    scope: &Scope,
    job_id: &str,
    client_id: &str,
) -> Result<bool, StoreError> {
    let mut select = Query::select();
    select
        .column(Jobs::ClientId)
        .from(Jobs::Table)
        .and_where(Expr::col(Jobs::Id).eq(job_id))
        .and_where(Expr::col(Jobs::Deleted).eq(false))
        .cond_where(TABLE.in_scope(scope));
    let stored: Option<Option<String>> = db.read_one(&select).await?;
    Ok(stored.flatten().is_some_and(|stored| stored == client_id))
}

/// Stores a new job with its actions and its trust, if any.
///
/// # Errors
/// [`StoreError::Duplicate`] if the id is in use.
pub async fn create(
    db: &mut Db,
    project_id: &str,
    user_id: &str,
    job_id: &str,
    new: &JobFields,
    links: &[Link],
    now: Timestamp,
) -> Result<(), StoreError> {
    if TABLE.was_created(db, &Scope::project(project_id), job_id, now).await? {
        return Ok(());
    }
    let mut values = described(new);
    values.push((Jobs::UserId, user_id.into()));
    TABLE.insert(db, job_id, project_id, values, now, false).await?;
    job_actions::insert(db, job_id, links, now).await
}

/// Returns whether an earlier run of this body created the job (`repeat.rs`).
pub async fn was_created(db: &mut Db, scope: &Scope, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    TABLE.was_created(db, scope, id, now).await
}

/// Returns whether an earlier run of this body, or another request in the same second, changed the job
/// (`repeat.rs`).
pub async fn was_updated(db: &mut Db, scope: &Scope, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    TABLE.was_updated(db, scope, id, now).await
}

/// Replaces all columns of a job. Returns false if the scope has no such job.
pub async fn update(
    db: &mut Db,
    scope: &Scope,
    job_id: &str,
    new: &JobFields,
    now: Timestamp,
) -> Result<bool, StoreError> {
    TABLE.update(db, scope, job_id, described(new), now).await
}

/// Deletes a job with its links. Returns false if the scope has no such job.
pub async fn delete(db: &mut Db, scope: &Scope, job_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    if !TABLE.delete(db, scope, job_id, now).await? {
        return Ok(false);
    }
    job_actions::delete_of_job(db, job_id, now).await?;
    Ok(true)
}

fn described(new: &JobFields) -> Values<Jobs> {
    vec![
        (Jobs::Schedule, json::to_text(&new.schedule).into()),
        (Jobs::ClientId, new.client_id.as_str().into()),
        (Jobs::SessionId, new.session_id.as_str().into()),
        (Jobs::SessionTag, Expr::value(new.session_tag)),
        (Jobs::Description, Expr::value(new.description.clone())),
    ]
}
