//! The JSON list in `jobs.job_actions` becomes rows of `job_actions`, and of `actions` where needed.
//!
//! In the releases before 19.0.0 the list was what a job ran: each entry holds the whole definition, with or without the
//! id of an action that is said to be the same, and schedulers read tries and `mandatory` from the entry. So the entry
//! decides:
//!
//! - an entry whose action is there, alive, in the job's project, and means the same, becomes a link to it;
//! - any other entry with a definition becomes an action of its own and a link to that one. (Upstream links to the
//!   action of that id whatever it says by now, also to a deleted one.)
//! - an entry without a definition becomes a link to the live action of its id, as upstream does;
//! - what remains of the list is kept in `freezer_leftovers`.
//!
//! As long as the column exists, it alone decides: links that say something else are of an earlier upgrade, before a backup
//! was loaded again, and are replaced. Ids are derived from job and position, so that a move that is run again makes the
//! same rows, and changes nothing if they are there.
//!
//! Here: which jobs a batch has, and how its rows get what they should be. What an entry says is in `list.rs`, which rows
//! a job should have in `plan.rs`, links in `links.rs`, new actions in `rows.rs`; `count.rs` counts before an upgrade.

mod count;
mod links;
mod list;
mod plan;
mod rows;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use sea_query::{Expr, ExprTrait, Iden, Order, Query};
use uuid::Uuid;

use self::links::LinkRow;
use self::list::ActionList;
use self::plan::{KnownActions, WantedRows};
use super::leftovers::{Kept, LeftoverColumn};
use super::{BATCH, BatchResult, Unmoved};
use crate::error::{DriverError, StoreError};
use crate::exec::Db;
use crate::row::Row;

pub(in crate::migrations) use self::count::{Unresolved, definers, unmovable};
pub(in crate::migrations) use self::links::remove_orphans;

/// Namespace of the ids that a move makes; drawn once, never to change.
const MOVED: Uuid = Uuid::from_u128(0x3d0c_58a1_9a0f_4b7a_8f0e_6a3f_54d1_c9e2);

/// Bytes of JSON that a batch ends at: parsed, they take a few times that in memory.
const BATCH_BYTES: usize = 4 << 20;

/// Where the parts of a list are that have no place elsewhere.
pub(in crate::migrations) const COLUMN: LeftoverColumn =
    LeftoverColumn { table: "jobs", column: "job_actions" };

/// The table as it was, with the column that goes.
#[derive(Iden, Clone, Copy)]
#[iden = "jobs"]
enum OldJobs {
    Table,
    Id,
    ProjectId,
    UserId,
    JobActions,
    Deleted,
    CreatedAt,
    UpdatedAt,
    DeletedAt,
}

/// A job and what its list says.
struct JobRow {
    id: String,
    project_id: String,
    user_id: String,
    text: Option<String>,
    list: ActionList,
    deleted: Option<i64>,
    /// created_at, updated_at, deleted_at, as the engine writes them.
    times: [Option<String>; 3],
}

impl JobRow {
    fn is_live(&self) -> bool {
        self.deleted == Some(0)
    }

    /// An id that is always the same for an entry; `attempt` tells several apart.
    fn derived(&self, what: &str, position: usize, attempt: usize) -> String {
        let mut name = format!("{what}\0{}\0{position}", self.id);
        if attempt > 0 {
            name.push_str(&format!("\0{attempt}"));
        }
        Uuid::new_v5(&MOVED, name.as_bytes()).simple().to_string()
    }

    /// The ids of actions that its entries give.
    fn given_ids(&self) -> impl Iterator<Item = &str> {
        self.list.entries().iter().filter_map(list::ListEntry::given_id)
    }
}

/// What a batch of jobs has in the tables.
struct ExistingRows {
    links: HashMap<String, Vec<LinkRow>>,
    leftovers: HashMap<String, String>,
}

impl ExistingRows {
    async fn of(db: &mut Db, jobs: &[JobRow]) -> Result<ExistingRows, StoreError> {
        let ids = || jobs.iter().map(|job| job.id.as_str());
        Ok(ExistingRows { links: links::of(db, ids()).await?, leftovers: COLUMN.of(db, ids()).await? })
    }

    fn links(&self, job: &JobRow) -> &[LinkRow] {
        self.links.get(&job.id).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Moves one batch behind the job `after`.
pub(in crate::migrations) async fn batch(
    db: &mut Db,
    after: Option<&str>,
) -> Result<Option<BatchResult>, StoreError> {
    let jobs = read(db, after).await?;
    let Some(last) = jobs.last().map(|job| job.id.clone()) else { return Ok(None) };
    let found = ExistingRows::of(db, &jobs).await?;
    let mut done = BatchResult::new(last, jobs.len() as u64);
    let mut waiting: Vec<&JobRow> = jobs.iter().collect();
    while !waiting.is_empty() {
        waiting = wave(db, waiting, &found, &mut done).await?;
    }
    Ok(Some(done))
}

/// Moves the jobs that name no new id which an earlier one of them names too, and gives the others: they see what was made
/// here. Mostly there are two waves, since an id is new only once.
async fn wave<'a>(
    db: &mut Db,
    waiting: Vec<&'a JobRow>,
    found: &ExistingRows,
    done: &mut BatchResult,
) -> Result<Vec<&'a JobRow>, StoreError> {
    let known = KnownActions::of(db, &waiting, found).await?;
    let mut named: HashSet<String> = HashSet::new();
    let (mut now, mut later) = (Vec::new(), Vec::new());
    for job in waiting {
        let ids = || job.given_ids().map(|id| known.folded(id));
        let waits = ids().any(|id| named.contains(&id));
        // also those of a job that waits: an earlier job goes first
        named.extend(ids().filter(|id| !known.is_taken(id)));
        if waits { later.push(job) } else { now.push(job) }
    }
    let mut actions = Vec::new();
    let mut changed = Vec::new();
    for job in now {
        let WantedRows { links, leftover, unresolved } =
            plan::of(db, job, &known, found.links(job), &mut actions).await?;
        done.unresolved |= unresolved;
        let value = leftover.as_ref().map(|(value, _)| value.as_str());
        if found.leftovers.get(&job.id).map(String::as_str) != value {
            COLUMN.set(db, &job.id, value).await?;
        }
        if let Some((_, values)) = leftover {
            done.kept += Kept { values, rows: 1 };
        }
        if links != found.links(job) {
            changed.push((job, links));
        }
    }
    rows::insert(db, &actions).await?;
    links::replace(db, &changed).await?;
    Ok(later)
}

/// The jobs of one batch whose rows are not what their list says.
pub(super) async fn unmoved(
    db: &mut Db,
    after: Option<&str>,
    unmoved: &mut Unmoved,
) -> Result<Option<String>, StoreError> {
    let jobs = read(db, after).await?;
    let found = ExistingRows::of(db, &jobs).await?;
    let known = KnownActions::of(db, &jobs.iter().collect::<Vec<_>>(), &found).await?;
    for job in &jobs {
        let mut actions = Vec::new();
        let wanted = plan::of(db, job, &known, found.links(job), &mut actions).await?;
        let leftover = wanted.leftover.map(|(value, _)| value);
        if !actions.is_empty()
            || wanted.links != found.links(job)
            || found.leftovers.get(&job.id) != leftover.as_ref()
        {
            unmoved.add(&job.id);
        }
    }
    Ok(jobs.into_iter().next_back().map(|job| job.id))
}

async fn read(db: &mut Db, after: Option<&str>) -> Result<Vec<JobRow>, StoreError> {
    let mut select = Query::select();
    select
        .columns([OldJobs::Id, OldJobs::ProjectId, OldJobs::UserId, OldJobs::JobActions, OldJobs::Deleted])
        .columns([OldJobs::CreatedAt, OldJobs::UpdatedAt, OldJobs::DeletedAt])
        .from(OldJobs::Table)
        .order_by(OldJobs::Id, Order::Asc)
        .limit(BATCH);
    if let Some(after) = after {
        select.and_where(Expr::col(OldJobs::Id).gt(after));
    }
    let (mut jobs, mut bytes) = (Vec::new(), 0);
    db.select_each(&select, |row| {
        let job =
            read_job(&row).map_err(|error| StoreError::from_driver("schema.move_job_actions", error))?;
        bytes += job.text.as_ref().map_or(0, String::len);
        jobs.push(job);
        Ok(if bytes < BATCH_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })
    .await?;
    Ok(jobs)
}

fn read_job(row: &Row) -> Result<JobRow, DriverError> {
    let text = row.text_of_bytes(3)?;
    Ok(JobRow {
        id: row.string(0)?,
        project_id: row.string(1)?,
        user_id: row.string(2)?,
        list: ActionList::read(text.as_deref()),
        text,
        deleted: row.int(4)?,
        times: [row.text(5)?, row.text(6)?, row.text(7)?],
    })
}
