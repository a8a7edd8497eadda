//! The table `job_actions`: which actions a job has, in their order. A row of it is a link.
//!
//! This module has all statements of the service on it. `joins.rs` has the conditions with which queries of jobs and actions
//! join it, and `sizes.rs` calculates how large the actions of jobs are. (`migrations/moves/job_actions` fills the table, and
//! `maintenance/links.rs` checks it.)

mod joins;
mod sizes;

pub(super) use joins::{
    action_of_link, action_of_this_job, actions_of_job, link_of_action, link_of_job, place_in_job,
};
pub(super) use sizes::of_actions;

pub use sizes::larger_with;

use sea_query::{Expr, ExprTrait, Order, Query};

use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::tables::{JobActions, Jobs};

/// An entry of a job's list of actions: the row id of the link, and its action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Primary key of the `job_actions` row.
    pub id: String,
    /// The action.
    pub action_id: String,
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
    db.read(&select).await
}

/// Returns whether the links of a job are those of its creation, to the second. Returns false if it has no
/// links.
pub async fn are_first(db: &mut Db, job_id: &str) -> Result<bool, StoreError> {
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
pub async fn replace(db: &mut Db, job_id: &str, links: &[Link], now: Timestamp) -> Result<(), StoreError> {
    let mut delete = Query::delete();
    delete.from_table(JobActions::Table).and_where(Expr::col(JobActions::JobId).eq(job_id));
    db.execute(&delete).await?;
    insert(db, job_id, links, now).await
}

/// Maximum number of links in one statement. Databases limit the number of placeholders.
const LINKED_AT_ONCE: usize = 1_000;

/// Stores the list of actions of a job that has none.
pub(super) async fn insert(
    db: &mut Db,
    job_id: &str,
    links: &[Link],
    now: Timestamp,
) -> Result<(), StoreError> {
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

/// Marks the links of a job as deleted.
pub(super) async fn delete_of_job(db: &mut Db, job_id: &str, now: Timestamp) -> Result<(), StoreError> {
    delete(db, JobActions::JobId, job_id, now).await
}

/// Marks the links of an action as deleted, in all jobs.
pub(super) async fn delete_of_action(db: &mut Db, action_id: &str, now: Timestamp) -> Result<(), StoreError> {
    delete(db, JobActions::ActionId, action_id, now).await
}

async fn delete(db: &mut Db, column: JobActions, id: &str, now: Timestamp) -> Result<(), StoreError> {
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
