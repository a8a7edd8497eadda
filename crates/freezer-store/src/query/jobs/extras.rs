//! The data of jobs in other tables: their actions (with `job_actions`) and their trusts, for many jobs in
//! one statement, and as a condition of a search.

use std::collections::HashMap;
use std::ops::ControlFlow;

use sea_query::{Expr, ExprTrait, JoinType, Query, SelectStatement};
use sea_query_sqlx::SqlxValues;

use crate::dialect::Dialect;
use crate::error::{DriverError, StoreError};
use crate::exec::Db;
use crate::model::{Action, Job, StoredTrust};
use crate::query::listing::{self, Completed, CompletionLimits, ListedDocument};
use crate::query::{job_actions, unreadable, within};
use crate::row::{FromRow, Row};
use crate::statement::{Fixed, argument};
use crate::tables::{
    Actions, JobActions as Links, Jobs, StoredAction, StoredCredentials, StoredLink, TableRow,
    UserCredentials as Credentials,
};

/// The columns of [`join_extras`].
type ExtraColumns = (Option<StoredCredentials>, Option<StoredLink>, Option<StoredAction>);

/// Position of the size of the action's definition after these columns.
pub(super) const SIZE: usize = ExtraColumns::COUNT;

/// Maximum size of a definition that is read together with others.
const LARGEST_TOGETHER: u64 = 4 << 20;

/// Adds the data of other tables to a query of jobs, as [`ExtraColumns`]: one row for each link,
/// or one row with NULLs. There is no order, because MariaDB would sort the long texts in a file, which
/// doubles the time.
/// The definition of an action that is larger than `limit` is NULL. Its size is the last column, at [`SIZE`].
pub(super) fn join_extras(select: &mut SelectStatement, limit: u64) {
    let live_trust = Expr::col((Credentials::Table, Credentials::JobId))
        .equals((Jobs::Table, Jobs::Id))
        .and(Expr::col((Credentials::Table, Credentials::Deleted)).eq(false));
    let definition = (Actions::Table, Actions::BackupMetadata);
    let size = || within::size(std::iter::once(definition));
    // A link must never show another project's action, whichever rows the tables contain.
    let own_action = job_actions::action_of_link()
        .and(Expr::col((Actions::Table, Actions::ProjectId)).equals((Jobs::Table, Jobs::ProjectId)));
    select
        .columns(StoredCredentials::COLUMNS.iter().map(|column| (Credentials::Table, *column)))
        .columns(StoredLink::COLUMNS.iter().map(|column| (Links::Table, *column)))
        .exprs(StoredAction::COLUMNS.iter().map(|column| match column {
            Actions::BackupMetadata => within::text_within(definition, size(), limit),
            column => Expr::col((Actions::Table, *column)),
        }))
        .expr(size())
        .join(JoinType::LeftJoin, Credentials::Table, live_trust)
        .join(JoinType::LeftJoin, Links::Table, job_actions::link_of_job())
        .join(JoinType::LeftJoin, Actions::Table, own_action);
}

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
    pub(super) fn add(&mut self, row: &mut Row, from: usize) -> Result<(), DriverError> {
        let (trust, link, action) = ExtraColumns::from_row(row, from)?;
        if let Some(StoredCredentials { id, trust_id, trustor_user_id }) = trust
            && self.trust.as_ref().is_none_or(|(other, _)| id < *other)
        {
            self.trust = Some((id, StoredTrust { trust_id, trustor_user_id }));
        }
        let (Some(link), Some(action)) = (link, action) else { return Ok(()) };
        self.actions.push(((link.position, link.id), action.into()));
        Ok(())
    }

    /// Adds the data to the job.
    pub(super) fn complete(mut self, job: &mut Job) {
        self.actions.sort_by(|(one, _), (other, _)| one.cmp(other));
        // If a job has two trusts, each of its links occurs twice.
        self.actions.dedup_by(|(one, _), (other, _)| one.1 == other.1);
        job.job_actions = self.actions.into_iter().map(|(_, action)| action).collect();
        job.user_credentials = self.trust.map(|(_, trust)| trust);
    }
}

/// Adds actions and trusts to the first of these jobs, as many as fit into the room. Usually this is one statement for all jobs.
///
/// # Errors
/// [`StoreError::TooLarge`] if the first job is larger than the query may read, but not larger than any request may read.
pub(super) async fn complete(
    db: &mut Db,
    jobs: &mut [Job],
    room: CompletionLimits,
) -> Result<Completed, StoreError> {
    let ids: Vec<&str> = jobs.iter().map(|job| job.job_id.as_str()).collect();
    let (count, mut extras) = match extras_within(db, &ids, room.bytes).await? {
        Some(extras) => (jobs.len(), extras),
        // This is rare: the actions are larger than the room.
        None => {
            let sizes = job_actions::of_actions(db, ids.clone(), None).await?;
            let of_actions = |id: &str| sizes.get(id).copied().unwrap_or(0);
            let too_large = |job: &Job, limit: u64| {
                let bytes = of_actions(&job.job_id).saturating_add(job.size() as u64);
                let (doing, what, id) = (db.doing(), "job", job.job_id.clone());
                (bytes > limit).then_some(StoreError::TooLarge { doing, what, id, bytes })
            };
            let unreadable: Vec<StoreError> =
                jobs.iter().map_while(|job| too_large(job, room.readable)).collect();
            if !unreadable.is_empty() {
                return Ok(Completed::Unreadable(unreadable));
            }
            let mut bytes = 0_u64;
            let fitting = ids.iter().take_while(|id| {
                bytes = bytes.saturating_add(of_actions(id));
                bytes <= room.bytes
            });
            let count = fitting.count().max(1);
            if count == 1
                && let Some(error) = jobs.first().and_then(|job| too_large(job, db.read_limit()))
            {
                return Err(error);
            }
            let extras = extras_within(db, &ids[..count], u64::MAX).await?;
            (count, extras.unwrap_or_default())
        }
    };
    for job in &mut jobs[..count] {
        extras.remove(&job.job_id).unwrap_or_default().complete(job);
    }
    Ok(Completed::First(count))
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
    let largest = if room == u64::MAX { u64::MAX } else { LARGEST_TOGETHER };
    let doing = db.doing();
    let mut by_job: HashMap<String, Extras> = HashMap::with_capacity(jobs.len());
    let (mut bytes, mut fits) = (0_u64, true);
    let each = |mut row: Row| {
        let size = row.int(String::COUNT + SIZE).map_err(unreadable(doing))?;
        let size = size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
        bytes = bytes.saturating_add(size).saturating_add(listing::KEYS as u64);
        fits = bytes <= room && size <= largest;
        if !fits {
            return Ok(ControlFlow::Break(()));
        }
        let job_id: String = row.read().map_err(unreadable(doing))?;
        by_job.entry(job_id).or_default().add(&mut row, String::COUNT).map_err(unreadable(doing))?;
        Ok(ControlFlow::Continue(()))
    };
    match OF.iter().find(|(length, _)| *length == ids.len() && largest == LARGEST_TOGETHER) {
        Some((_, fixed)) => {
            db.select_each(&fixed.with(ids.into_iter().map(Into::into).collect()), each).await?;
        }
        None => {
            db.select_each(&extras_of(ids.into_iter().map(Into::into).collect(), largest), each).await?;
        }
    }
    Ok(fits.then_some(by_job))
}

fn extras_of_jobs<const N: usize>(dialect: Dialect) -> (String, SqlxValues) {
    dialect.build(&extras_of((0..N).map(argument).collect(), LARGEST_TOGETHER))
}

fn extras_of(jobs: Vec<Expr>, largest: u64) -> SelectStatement {
    let mut select = Query::select();
    select.column((Jobs::Table, Jobs::Id)).from(Jobs::Table);
    join_extras(&mut select, largest);
    select.and_where(Expr::col((Jobs::Table, Jobs::Id)).is_in(jobs));
    select
}
