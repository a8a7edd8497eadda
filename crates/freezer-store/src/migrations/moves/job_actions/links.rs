//! Reads and replaces rows of `job_actions`.

use std::collections::{HashMap, HashSet};

use sea_query::{Alias, Expr, ExprTrait, Order, Query};

use super::JobRow;
use super::list::ActionList;
use crate::error::StoreError;
use crate::exec::Db;
use crate::migrations::moves::BATCH;
use crate::tables::JobActions;

/// Number of rows in one INSERT.
const ROWS: usize = 200;

/// A row of `job_actions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkRow {
    pub(super) id: String,
    pub(super) action_id: String,
    pub(super) position: Option<i64>,
    pub(super) deleted: Option<i64>,
}

/// Returns the links of jobs in order.
pub(super) async fn of(
    db: &mut Db,
    job_ids: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, Vec<LinkRow>>, StoreError> {
    let mut select = Query::select();
    select
        .columns([
            JobActions::JobId,
            JobActions::Id,
            JobActions::ActionId,
            JobActions::Position,
            JobActions::Deleted,
        ])
        .from(JobActions::Table)
        .and_where(Expr::col(JobActions::JobId).is_in(job_ids))
        .order_by(JobActions::Position, Order::Asc)
        .order_by(JobActions::Id, Order::Asc);
    let rows = db.read::<(String, String, String, Option<i64>, Option<i64>)>(&select).await?;
    let mut links: HashMap<String, Vec<LinkRow>> = HashMap::new();
    for (job_id, id, action_id, position, deleted) in rows {
        links.entry(job_id).or_default().push(LinkRow { id, action_id, position, deleted });
    }
    Ok(links)
}

/// Replaces the links of each job.
pub(super) async fn replace(db: &mut Db, jobs: &[(&JobRow, Vec<LinkRow>)]) -> Result<(), StoreError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let mut delete = Query::delete();
    delete
        .from_table(JobActions::Table)
        .and_where(Expr::col(JobActions::JobId).is_in(jobs.iter().map(|(job, _)| job.id.as_str())));
    db.execute(&delete).await?;
    let (unsaid, said): (Vec<_>, Vec<_>) = jobs
        .iter()
        .flat_map(|(job, links)| links.iter().map(move |link| (*job, link)))
        .partition(|(job, _)| matches!(job.list, ActionList::Unsaid));
    // If a job without a list and a job with a list have the same row, the latter gets it.
    let owned: HashSet<&str> = said.iter().map(|(_, link)| link.id.as_str()).collect();
    let unsaid = unsaid.into_iter().filter(|(_, link)| !owned.contains(link.id.as_str()));
    let links: Vec<(&JobRow, &LinkRow)> = unsaid.chain(said.iter().copied()).collect();
    for some in links.chunks(ROWS) {
        // An earlier upgrade created these rows, and they now belong to other jobs.
        let mut delete = Query::delete();
        delete
            .from_table(JobActions::Table)
            .and_where(Expr::col(JobActions::Id).is_in(some.iter().map(|(_, link)| link.id.as_str())));
        db.execute(&delete).await?;
        let mut insert = Query::insert();
        insert.into_table(JobActions::Table).columns([
            JobActions::Id,
            JobActions::JobId,
            JobActions::ActionId,
            JobActions::Position,
            JobActions::Deleted,
        ]);
        for (job, link) in some {
            insert.values_panic([
                link.id.as_str().into(),
                job.id.as_str().into(),
                link.action_id.as_str().into(),
                Expr::value(link.position),
                Expr::value(link.deleted),
            ]);
        }
        db.execute(&insert).await?;
    }
    Ok(())
}

/// Removes links of jobs that do not exist, in one batch after the job `after`. An earlier upgrade created them,
/// before a backup of the database was restored. Returns the last job of the batch and the number of jobs.
pub(in crate::migrations) async fn remove_orphans(
    db: &mut Db,
    after: Option<&str>,
) -> Result<Option<(String, u64)>, StoreError> {
    let mut select = Query::select();
    select
        .distinct()
        .column(JobActions::JobId)
        .from(JobActions::Table)
        .order_by(JobActions::JobId, Order::Asc)
        .limit(BATCH);
    if let Some(after) = after {
        select.and_where(Expr::col(JobActions::JobId).gt(after));
    }
    let jobs = db.read::<String>(&select).await?;
    let Some(last) = jobs.last().cloned() else { return Ok(None) };
    // The server decides which ids are equal, because its collation does when it links rows.
    let mut job = Query::select();
    job.expr(Expr::val(1)).from(Alias::new("jobs")).and_where(
        Expr::col((Alias::new("jobs"), Alias::new("id"))).equals((JobActions::Table, JobActions::JobId)),
    );
    let mut delete = Query::delete();
    delete
        .from_table(JobActions::Table)
        .and_where(Expr::col(JobActions::JobId).is_in(jobs.iter().map(String::as_str)))
        .and_where(Expr::exists(job).not());
    db.execute(&delete).await?;
    Ok(Some((last, jobs.len() as u64)))
}
