//! The data of jobs in other tables: their actions (with `job_actions`) and their trusts, for many jobs in
//! one statement, and as a condition of a search.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sea_query::{Expr, ExprTrait, JoinType, Query, SelectStatement, SimpleExpr};
use sea_query_sqlx::SqlxValues;

use super::sizes;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::model::{Action, Job, StoredTrust};
use crate::query::{actions, listing, unreadable};
use crate::row::Row;
use crate::statement::{Fixed, argument};
use crate::tables::{Actions, JobActions as Links, Jobs, UserCredentials as Credentials};

/// Selects the actions of the current job, for a condition on them.
pub(super) fn its_actions() -> SelectStatement {
    let mut select = Query::select();
    select
        .expr(Expr::val(1))
        .from(Links::Table)
        .join(JoinType::InnerJoin, Actions::Table, live_action())
        .and_where(Expr::col((Links::Table, Links::JobId)).equals((Jobs::Table, Jobs::Id)))
        .and_where(Expr::col((Links::Table, Links::Deleted)).eq(false));
    select
}

/// Returns the condition for a job's link that is not deleted.
pub(super) fn live_link() -> SimpleExpr {
    Expr::col((Links::Table, Links::JobId))
        .equals((Jobs::Table, Jobs::Id))
        .and(Expr::col((Links::Table, Links::Deleted)).eq(false))
}

/// Returns the condition for a link's action that is not deleted.
pub(super) fn live_action() -> SimpleExpr {
    Expr::col((Actions::Table, Actions::Id))
        .equals((Links::Table, Links::ActionId))
        .and(Expr::col((Actions::Table, Actions::Deleted)).eq(false))
}

/// Adds the data of other tables to a query of jobs, in the order of [`Extras::add`]: one row for each link,
/// or one row with NULLs. There is no order, because MariaDB would sort the long texts in a file, which
/// doubles the time.
pub(super) fn join_extras(select: &mut SelectStatement) {
    let live_trust = Expr::col((Credentials::Table, Credentials::JobId))
        .equals((Jobs::Table, Jobs::Id))
        .and(Expr::col((Credentials::Table, Credentials::Deleted)).eq(false));
    // A link must never show another project's action, whichever rows the tables contain.
    let own_action = live_action()
        .and(Expr::col((Actions::Table, Actions::ProjectId)).equals((Jobs::Table, Jobs::ProjectId)));
    select
        .columns([
            (Credentials::Table, Credentials::Id),
            (Credentials::Table, Credentials::TrustId),
            (Credentials::Table, Credentials::TrustorUserId),
        ])
        .columns([(Links::Table, Links::Id), (Links::Table, Links::Position)])
        .column((Actions::Table, Actions::Id))
        .columns(actions::COLUMNS.map(|column| (Actions::Table, column)))
        .join(JoinType::LeftJoin, Credentials::Table, live_trust)
        .join(JoinType::LeftJoin, Links::Table, live_link())
        .join(JoinType::LeftJoin, Actions::Table, own_action);
}

/// Position of the action's definition in the columns of [`join_extras`].
pub(super) const DEFINITION: usize = 11;

/// The data of one job in other tables, collected from rows in any order.
#[derive(Default)]
pub(super) struct Extras {
    /// The actions with their sort keys: the position, and the link's id if two links share a position.
    actions: Vec<((Option<i64>, String), Action)>,
    /// The trust with the id of its row. If a job has several, the first counts.
    trust: Option<(String, StoredTrust)>,
}

impl Extras {
    /// Reads the columns of [`join_extras`], which begin at position `from`.
    pub(super) fn add(&mut self, doing: &'static str, row: &mut Row, from: usize) -> Result<(), StoreError> {
        let at = unreadable(doing);
        if let Some(id) = row.take_text(from).map_err(&at)?
            && self.trust.as_ref().is_none_or(|(other, _)| id < *other)
        {
            let trust_id = row.take_string(from + 1).map_err(&at)?;
            let trustor_user_id = row.take_string(from + 2).map_err(&at)?;
            self.trust = Some((id, StoredTrust { trust_id, trustor_user_id }));
        }
        let (Some(link), true) = (row.take_text(from + 3).map_err(&at)?, row.is_some(from + 5).map_err(&at)?)
        else {
            return Ok(());
        };
        // If a job has two trusts, each of its links occurs twice.
        if self.actions.iter().all(|((_, other), _)| *other != link) {
            let position = row.int(from + 4).map_err(&at)?;
            self.actions.push(((position, link), actions::read(doing, row, from + 4)?));
        }
        Ok(())
    }

    /// Adds the data to the job.
    pub(super) fn complete(mut self, job: &mut Job) {
        self.actions.sort_by(|(one, _), (other, _)| one.cmp(other));
        job.job_actions = self.actions.into_iter().map(|(_, action)| action).collect();
        job.user_credentials = self.trust.map(|(_, trust)| trust);
    }
}

/// Adds actions and trusts to the first of these jobs: as many as fit into `room` bytes, and at least one. Returns their
/// number. Usually this is one statement for all jobs.
pub(super) async fn complete(db: &mut Db, jobs: &mut [Job], room: u64) -> Result<usize, StoreError> {
    let ids: Vec<&str> = jobs.iter().map(|job| job.job_id.as_str()).collect();
    let (count, mut extras) = match extras_within(db, &ids, room).await? {
        Some(extras) => (jobs.len(), extras),
        // This is rare: the actions are larger than `room`.
        None => {
            let sizes = sizes::of_actions(db, &ids).await?;
            let mut bytes = 0_u64;
            let fitting = ids.iter().take_while(|id| {
                bytes = bytes.saturating_add(sizes.get(**id).copied().unwrap_or(0));
                bytes <= room
            });
            let count = fitting.count().max(1);
            let extras = extras_within(db, &ids[..count], u64::MAX).await?;
            (count, extras.unwrap_or_default())
        }
    };
    for job in &mut jobs[..count] {
        extras.remove(&job.job_id).unwrap_or_default().complete(job);
    }
    Ok(count)
}

/// Returns the data of several jobs from other tables, or none if their actions exceed `room` bytes.
async fn extras_within(
    db: &mut Db,
    jobs: &[&str],
    room: u64,
) -> Result<Option<HashMap<String, Extras>>, StoreError> {
    // One statement for each length that `padded` produces for usual pages.
    static OF: [(usize, Fixed); 4] = [
        (1, Fixed::new(extras_of_jobs::<1>)),
        (4, Fixed::new(extras_of_jobs::<4>)),
        (16, Fixed::new(extras_of_jobs::<16>)),
        (64, Fixed::new(extras_of_jobs::<64>)),
    ];
    if jobs.is_empty() {
        return Ok(Some(HashMap::new()));
    }
    let ids = listing::padded(jobs.to_vec());
    let doing = db.doing();
    let mut by_job: HashMap<String, Extras> = HashMap::with_capacity(jobs.len());
    let (mut bytes, mut fits) = (0_u64, true);
    let each = |mut row: Row| {
        bytes = bytes.saturating_add(row.length(1 + DEFINITION) as u64);
        fits = bytes <= room;
        if !fits {
            return Ok(ControlFlow::Break(()));
        }
        let job_id = row.take_string(0).map_err(unreadable(doing))?;
        by_job.entry(job_id).or_default().add(doing, &mut row, 1)?;
        Ok(ControlFlow::Continue(()))
    };
    match OF.iter().find(|(length, _)| *length == ids.len()) {
        Some((_, fixed)) => {
            db.select_each(&fixed.with(ids.into_iter().map(Into::into).collect()), each).await?;
        }
        None => db.select_each(&extras_of(ids.into_iter().map(Into::into).collect()), each).await?,
    }
    Ok(fits.then_some(by_job))
}

fn extras_of_jobs<const N: usize>(dialect: Dialect) -> (String, SqlxValues) {
    dialect.build(&extras_of((0..N).map(argument).collect()))
}

fn extras_of(jobs: Vec<Expr>) -> SelectStatement {
    let mut select = Query::select();
    select.column((Jobs::Table, Jobs::Id)).from(Jobs::Table);
    join_extras(&mut select);
    select.and_where(Expr::col((Jobs::Table, Jobs::Id)).is_in(jobs));
    select
}
