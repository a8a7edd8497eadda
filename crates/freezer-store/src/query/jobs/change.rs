//! Changes of `jobs` and of their links to actions, `job_actions`, and the locked row of a job.

use sea_query::{Expr, ExprTrait, LockType, Order, Query};

use super::{COLUMNS, TABLE};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, StoredField};
use crate::model::JobFields;
use crate::query::{Values, unreadable};
use crate::scope::Scope;
use crate::tables::{JobActions, Jobs};

/// An entry of a job's list of actions: the row id of the link, and its action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Primary key of the `job_actions` row.
    pub id: String,
    /// The action.
    pub action_id: String,
}

/// Returns the columns of a job of the scope and locks its row until the transaction ends.
pub async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    job_id: &str,
) -> Result<Option<JobFields>, StoreError> {
    let mut select = Query::select();
    select
        .columns(COLUMNS)
        .from(Jobs::Table)
        .and_where(Expr::col(Jobs::Id).eq(job_id))
        .and_where(Expr::col(Jobs::Deleted).eq(false))
        .cond_where(scope.holds(Jobs::ProjectId))
        .lock(LockType::Update);
    let Some(row) = db.select_one(&select).await? else { return Ok(None) };
    let at = unreadable(db.doing());
    let schedule = row.text(2).map_err(&at)?;
    let place = StoredField { table: "jobs", column: "schedule", id: job_id };
    Ok(Some(JobFields {
        schedule: json::object_to_change(schedule.as_deref(), place),
        client_id: row.string(3).map_err(&at)?,
        session_id: row.string(4).map_err(&at)?,
        session_tag: row.int(5).map_err(&at)?,
        description: row.text(6).map_err(&at)?,
    }))
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
    insert_links(db, job_id, links, now).await
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

/// Returns the ids of a job's actions, in their order.
pub async fn action_ids(db: &mut Db, job_id: &str) -> Result<Vec<String>, StoreError> {
    let mut select = Query::select();
    select
        .column(JobActions::ActionId)
        .from(JobActions::Table)
        .and_where(Expr::col(JobActions::JobId).eq(job_id))
        .and_where(Expr::col(JobActions::Deleted).eq(false))
        .order_by(JobActions::Position, Order::Asc)
        .order_by(JobActions::Id, Order::Asc);
    let rows = db.select(&select).await?;
    let at = unreadable(db.doing());
    rows.iter().map(|row| row.string(0).map_err(&at)).collect()
}

/// Returns whether the links of a job are those of its creation, to the second. Returns false if it has no
/// links.
pub async fn has_first_actions(db: &mut Db, job_id: &str) -> Result<bool, StoreError> {
    let mut select = Query::select();
    select
        .column((JobActions::Table, JobActions::ActionId))
        .from(JobActions::Table)
        .inner_join(
            Jobs::Table,
            Expr::col((Jobs::Table, Jobs::Id)).equals((JobActions::Table, JobActions::JobId)),
        )
        .and_where(Expr::col((JobActions::Table, JobActions::JobId)).eq(job_id))
        .and_where(Expr::col((JobActions::Table, JobActions::Deleted)).eq(false))
        .and_where(
            Expr::col((JobActions::Table, JobActions::CreatedAt)).equals((Jobs::Table, Jobs::CreatedAt)),
        )
        .limit(1);
    Ok(db.select_one(&select).await?.is_some())
}

/// Replaces the list of actions of a job. The old links are removed permanently, as in the Python service.
/// Otherwise a job that is patched every day would collect them forever.
pub async fn replace_actions(
    db: &mut Db,
    job_id: &str,
    links: &[Link],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut delete = Query::delete();
    delete.from_table(JobActions::Table).and_where(Expr::col(JobActions::JobId).eq(job_id));
    db.execute(&delete).await?;
    insert_links(db, job_id, links, now).await
}

/// Deletes a job with its links. Returns false if the scope has no such job.
pub async fn delete(db: &mut Db, scope: &Scope, job_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    if !TABLE.delete(db, scope, job_id, now).await? {
        return Ok(false);
    }
    unlink(db, JobActions::JobId, job_id, now).await?;
    Ok(true)
}

/// Removes all actions from a job, or an action from all jobs, depending on the column.
pub(in crate::query) async fn unlink(
    db: &mut Db,
    column: JobActions,
    id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let stamp = db.dialect().datetime(now);
    let mut update = Query::update();
    update
        .table(JobActions::Table)
        .value(JobActions::Deleted, true)
        .value(JobActions::DeletedAt, stamp)
        .and_where(Expr::col(column).eq(id))
        .and_where(Expr::col(JobActions::Deleted).eq(false));
    db.execute(&update).await.map(|_| ())
}

/// Maximum number of links in one statement. Databases limit the number of placeholders.
const LINKED_AT_ONCE: usize = 1_000;

async fn insert_links(db: &mut Db, job_id: &str, links: &[Link], now: Timestamp) -> Result<(), StoreError> {
    let stamp = db.dialect().datetime(now);
    let links: Vec<(usize, &Link)> = links.iter().enumerate().collect();
    for some in links.chunks(LINKED_AT_ONCE) {
        let mut insert = Query::insert();
        insert.into_table(JobActions::Table).columns([
            JobActions::Id,
            JobActions::JobId,
            JobActions::ActionId,
            JobActions::Position,
            JobActions::Deleted,
            JobActions::CreatedAt,
        ]);
        for (position, link) in some {
            insert.values_panic([
                link.id.as_str().into(),
                job_id.into(),
                link.action_id.as_str().into(),
                (*position as i64).into(),
                false.into(),
                stamp.as_str().into(),
            ]);
        }
        db.execute(&insert).await?;
    }
    Ok(())
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
