//! Sizes of jobs with their actions, calculated by the database, so that large actions are not sent only to be measured.

use std::collections::HashMap;

use sea_query::{Expr, ExprTrait, Func, JoinType, Order, Query, SelectStatement};

use crate::error::StoreError;
use crate::exec::Db;
use crate::query::listing;
use crate::tables::{Actions, JobActions as Links};

/// Returns a job that uses an action and whose actions exceed `limit` bytes together if the definition of this
/// action has `size` bytes, if there is such a job. The number of its places is compared first, then the jobs
/// are measured in batches, so the first job that is too large ends the search.
pub async fn larger_with(
    db: &mut Db,
    action_id: &str,
    size: usize,
    limit: usize,
) -> Result<Option<String>, StoreError> {
    let each = size.saturating_add(listing::KEYS) as u64;
    let of_places = |(_, places): &(String, u64)| places.saturating_mul(each);
    let limit = limit as u64;
    let most = places(db, action_id, None).await?;
    if let Some(job) = most.into_iter().find(|job| of_places(job) > limit) {
        return Ok(Some(job.0));
    }
    let mut after = String::new();
    loop {
        let using = places(db, action_id, Some(&after)).await?;
        for some in using.chunks(MEASURED_AT_ONCE) {
            let jobs = some.iter().map(|(job_id, _)| job_id.as_str()).collect();
            let others = of_actions(db, jobs, Some(action_id)).await?;
            let is_larger = |job: &&(String, u64)| {
                of_places(job).saturating_add(others.get(&job.0).copied().unwrap_or(0)) > limit
            };
            if let Some((job_id, _)) = some.iter().find(is_larger) {
                return Ok(Some(job_id.clone()));
            }
        }
        match using.into_iter().last() {
            Some((last, _)) => after = last,
            None => return Ok(None),
        }
    }
}

/// Maximum number of jobs that a statement counts the places of, and of jobs that a statement measures.
const COUNTED_AT_ONCE: u64 = 4_096;
const MEASURED_AT_ONCE: usize = 64;

/// Returns jobs that use an action, with the number of its places in each: those after an id, or the job with
/// the most places.
async fn places(db: &mut Db, action_id: &str, after: Option<&str>) -> Result<Vec<(String, u64)>, StoreError> {
    let mut select = Query::select();
    select
        .column(Links::JobId)
        .expr_as(Func::count(Expr::val(1)), PLACES)
        .from(Links::Table)
        .and_where(Expr::col(Links::ActionId).eq(action_id))
        .and_where(Expr::col(Links::Deleted).eq(false))
        .group_by_col(Links::JobId);
    match after {
        Some(after) => {
            let rest = Expr::col(Links::JobId).gt(after);
            select.and_where(rest).order_by(Links::JobId, Order::Asc).limit(COUNTED_AT_ONCE);
        }
        None => drop(select.order_by(PLACES, Order::Desc).limit(1)),
    }
    read_numbers(db, &select).await
}

/// Returns the size of the actions of each job, except the given action. An action that a job has many times
/// is measured once.
pub(in crate::query) async fn of_actions(
    db: &mut Db,
    jobs: Vec<&str>,
    except: Option<&str>,
) -> Result<HashMap<String, u64>, StoreError> {
    const LINKED: &str = "linked";
    let mut linked = Query::select();
    linked
        .columns([Links::JobId, Links::ActionId])
        .expr_as(Func::count(Expr::val(1)), PLACES)
        .from(Links::Table)
        .and_where(Expr::col(Links::JobId).is_in(listing::padded(jobs)))
        .and_where(Expr::col(Links::Deleted).eq(false))
        .group_by_columns([Links::JobId, Links::ActionId]);
    if let Some(action_id) = except {
        linked.and_where(Expr::col(Links::ActionId).ne(action_id));
    }
    let live = Expr::col((Actions::Table, Actions::Id))
        .equals((LINKED, Links::ActionId))
        .and(Expr::col((Actions::Table, Actions::Deleted)).eq(false));
    let size = length().add(listing::KEYS as i64).mul(Expr::col((LINKED, PLACES)));
    let mut select = Query::select();
    select
        .column((LINKED, Links::JobId))
        .expr(Func::sum(size))
        .from_subquery(linked, LINKED)
        .join(JoinType::InnerJoin, Actions::Table, live)
        .group_by_col((LINKED, Links::JobId));
    Ok(read_numbers(db, &select).await?.into_iter().collect())
}

/// Name of the column with the number of an action's places in a job.
const PLACES: &str = "places";

/// Reads rows of an id and a number that is not negative.
async fn read_numbers(db: &mut Db, select: &SelectStatement) -> Result<Vec<(String, u64)>, StoreError> {
    let rows = db.read::<(String, Option<i64>)>(select).await?;
    let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
    Ok(rows.into_iter().map(|(id, found)| (id, number(found))).collect())
}

/// The size of the joined action's definition.
fn length() -> Expr {
    let length = Func::cust("OCTET_LENGTH").arg(Expr::col((Actions::Table, Actions::BackupMetadata)));
    Func::coalesce([length.into(), Expr::val(0)]).into()
}
