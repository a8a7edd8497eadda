//! Conditions and subqueries on links, for queries of jobs and of actions.

use sea_query::{
    Condition, Expr, ExprTrait, Func, IntoColumnRef, JoinType, Query, SelectStatement, SimpleExpr,
};

use crate::tables::{Actions, JobActions as Links, Jobs};

/// Returns the condition for the links of the current job that are not deleted.
pub(in crate::query) fn link_of_job() -> SimpleExpr {
    Expr::col((Links::Table, Links::JobId)).equals((Jobs::Table, Jobs::Id)).and(is_live())
}

/// Returns the condition for the links of an action that are not deleted.
pub(in crate::query) fn link_of_action(action_id: impl IntoColumnRef) -> Condition {
    Condition::all().add(Expr::col((Links::Table, Links::ActionId)).eq(Expr::col(action_id))).add(is_live())
}

/// Returns the condition for the action of the current link, if it is not deleted.
pub(in crate::query) fn action_of_link() -> SimpleExpr {
    Expr::col((Actions::Table, Actions::Id))
        .equals((Links::Table, Links::ActionId))
        .and(Expr::col((Actions::Table, Actions::Deleted)).eq(false))
}

/// Selects the actions of the current job, for a condition on them.
pub(in crate::query) fn action_of_this_job() -> SelectStatement {
    let mut select = Query::select();
    select
        .expr(Expr::val(1))
        .from(Links::Table)
        .join(JoinType::InnerJoin, Actions::Table, action_of_link())
        .and_where(Expr::col((Links::Table, Links::JobId)).equals((Jobs::Table, Jobs::Id)))
        .and_where(is_live());
    select
}

/// Selects the ids of a job's actions.
pub(in crate::query) fn actions_of_job(job_id: &str) -> SelectStatement {
    of_job(job_id).column(Links::ActionId).to_owned()
}

/// Selects the first place of the current action in a job.
pub(in crate::query) fn place_in_job(job_id: &str) -> SelectStatement {
    of_job(job_id)
        .expr(Func::min(Expr::col(Links::Position)))
        .and_where(Expr::col(Links::ActionId).equals((Actions::Table, Actions::Id)))
        .to_owned()
}

fn of_job(job_id: &str) -> SelectStatement {
    let mut select = Query::select();
    select
        .from(Links::Table)
        .and_where(Expr::col(Links::JobId).eq(job_id))
        .and_where(Expr::col(Links::Deleted).eq(false));
    select
}

fn is_live() -> SimpleExpr {
    Expr::col((Links::Table, Links::Deleted)).eq(false)
}
