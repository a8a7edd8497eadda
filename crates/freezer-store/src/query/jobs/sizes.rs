//! Sizes of jobs with their actions, calculated by the database, so that large actions are not sent only to be measured.

use std::collections::HashMap;

use sea_query::{Expr, ExprTrait, Func, JoinType, Query};

use super::links::{live_action, live_link};
use crate::error::StoreError;
use crate::exec::Db;
use crate::query::{listing, unreadable};
use crate::tables::{Actions, JobActions as Links, Jobs};

/// Returns a job that uses an action and whose actions exceed `limit` bytes together, if there is one.
pub async fn larger_than(db: &mut Db, action_id: &str, limit: usize) -> Result<Option<String>, StoreError> {
    let using = Query::select()
        .column(Links::JobId)
        .from(Links::Table)
        .and_where(Expr::col(Links::ActionId).eq(action_id))
        .and_where(Expr::col(Links::Deleted).eq(false))
        .to_owned();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = Query::select();
    select
        .column((Links::Table, Links::JobId))
        .from(Links::Table)
        .join(JoinType::InnerJoin, Actions::Table, live_action())
        .and_where(Expr::col((Links::Table, Links::JobId)).in_subquery(using))
        .and_where(Expr::col((Links::Table, Links::Deleted)).eq(false))
        .group_by_col((Links::Table, Links::JobId))
        .and_having(bytes().gt(limit))
        .limit(1);
    let at = unreadable(db.doing());
    db.select_one(&select).await?.map(|row| row.string(0).map_err(&at)).transpose()
}

/// Returns the size of the actions of each job.
pub(super) async fn of_actions(db: &mut Db, jobs: &[&str]) -> Result<HashMap<String, u64>, StoreError> {
    let mut select = Query::select();
    select
        .column((Jobs::Table, Jobs::Id))
        .expr(bytes())
        .from(Jobs::Table)
        .join(JoinType::InnerJoin, Links::Table, live_link())
        .join(JoinType::InnerJoin, Actions::Table, live_action())
        .and_where(Expr::col((Jobs::Table, Jobs::Id)).is_in(listing::padded(jobs.to_vec())))
        .group_by_col((Jobs::Table, Jobs::Id));
    let at = unreadable(db.doing());
    let rows = db.select(&select).await?;
    let size = |row: &crate::row::Row| {
        let bytes = row.int(1).map_err(&at)?.and_then(|bytes| u64::try_from(bytes).ok());
        Ok((row.string(0).map_err(&at)?, bytes.unwrap_or(0)))
    };
    rows.iter().map(size).collect()
}

/// The total size of the joined actions, with the keys beside each definition.
fn bytes() -> Expr {
    let length = Func::cust("LENGTH").arg(Expr::col((Actions::Table, Actions::BackupMetadata)));
    let sum = Func::coalesce([Func::sum(Expr::from(length)).into(), Expr::val(0)]);
    Expr::from(sum).add(Expr::from(Func::count(Expr::val(1))).mul(listing::KEYS as i64))
}
