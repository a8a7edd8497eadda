//! The actions of jobs, over `job_actions`: of many jobs in one statement, and as a condition of a search.

use std::collections::HashMap;

use sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement, SimpleExpr};
use sea_query_sqlx::SqlxValues;

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::model::{Action, Job};
use crate::query::{actions, listing, unreadable};
use crate::statement::{Fixed, argument};
use crate::tables::{Actions, JobActions, Jobs};

/// The actions of the job at hand, for a condition on them.
pub(super) fn its_actions() -> SelectStatement {
    let mut select = Query::select();
    select
        .expr(Expr::val(1))
        .from(JobActions::Table)
        .join(JoinType::InnerJoin, Actions::Table, live_action())
        .and_where(Expr::col((JobActions::Table, JobActions::JobId)).equals((Jobs::Table, Jobs::Id)))
        .and_where(Expr::col((JobActions::Table, JobActions::Deleted)).eq(false));
    select
}

/// A link's action, where it is not deleted.
pub(super) fn live_action() -> SimpleExpr {
    Expr::col((Actions::Table, Actions::Id))
        .equals((JobActions::Table, JobActions::ActionId))
        .and(Expr::col((Actions::Table, Actions::Deleted)).eq(false))
}

/// Gives each job its actions: one statement for all.
pub(super) async fn add_actions(db: &mut Db, jobs: &mut [Job]) -> Result<(), StoreError> {
    let ids: Vec<String> = jobs.iter().map(|job| job.job_id.clone()).collect();
    let mut by_job = actions_of(db, ids).await?;
    for job in jobs {
        let mut found = by_job.remove(&job.job_id).unwrap_or_default();
        // A link can never show another project's action, whatever the rows say.
        found.retain(|action| action.project_id == job.project_id);
        job.job_actions = found;
    }
    Ok(())
}

/// Actions by the jobs that have them, each list in order.
async fn actions_of(db: &mut Db, ids: Vec<String>) -> Result<HashMap<String, Vec<Action>>, StoreError> {
    // a statement for each length that `padded` makes of usual pages
    static OF: [(usize, Fixed); 4] = [
        (1, Fixed::new(actions_of_jobs::<1>)),
        (4, Fixed::new(actions_of_jobs::<4>)),
        (16, Fixed::new(actions_of_jobs::<16>)),
        (64, Fixed::new(actions_of_jobs::<64>)),
    ];
    let mut by_job: HashMap<String, Vec<Action>> = HashMap::new();
    if ids.is_empty() {
        return Ok(by_job);
    }
    let ids = listing::padded(ids);
    let rows = match OF.iter().find(|(length, _)| *length == ids.len()) {
        Some((_, fixed)) => db.select(&fixed.with(ids.iter().map(|id| id.as_str().into()).collect())).await?,
        None => db.select(&links_with_actions(ids.iter().map(|id| id.as_str().into()).collect())).await?,
    };
    for row in rows {
        let job_id = row.string(0).map_err(unreadable(db.doing()))?;
        // the time of the action, which `read` does not look at, would be at 0
        by_job.entry(job_id).or_default().push(actions::read(db.doing(), &row, 0)?);
    }
    Ok(by_job)
}

fn actions_of_jobs<const N: usize>(dialect: Dialect) -> (String, SqlxValues) {
    dialect.build(&links_with_actions((0..N).map(argument).collect()))
}

fn links_with_actions(jobs: Vec<Expr>) -> SelectStatement {
    let mut select = Query::select();
    select
        .column((JobActions::Table, JobActions::JobId))
        .column((Actions::Table, Actions::Id))
        .columns(actions::COLUMNS.map(|column| (Actions::Table, column)))
        .from(JobActions::Table)
        .join(JoinType::InnerJoin, Actions::Table, live_action())
        .and_where(Expr::col((JobActions::Table, JobActions::JobId)).is_in(jobs))
        .and_where(Expr::col((JobActions::Table, JobActions::Deleted)).eq(false))
        .order_by((JobActions::Table, JobActions::JobId), Order::Asc)
        .order_by((JobActions::Table, JobActions::Position), Order::Asc);
    select
}
