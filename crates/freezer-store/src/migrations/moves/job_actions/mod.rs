//! Moves the JSON list in `jobs.job_actions` into rows of `job_actions`, and of `actions` if needed.
//!
//! In releases before 19.0.0, a job ran the actions of this list. Each entry contains the whole definition, and
//! possibly the id of an action that should be the same. Schedulers read retries and `mandatory` from the entry.
//! So the entry decides:
//!
//! - If the action of an entry is live, in the job's project, and has the same meaning, the entry becomes a link
//!   to it.
//! - Any other entry with a definition becomes a new action and a link to it. (Upstream links to the action with
//!   that id, even if it changed or was deleted.)
//! - An entry without a definition becomes a link to the live action with its id, as in upstream.
//! - The rest of the list is kept in `freezer_leftovers`. This includes entries with values that their columns cannot
//!   store, although the new action still shows these values from its JSON.
//!
//! While the column exists, only the column decides. If links differ from it, an earlier upgrade created them
//! before a backup was restored, and they are replaced. Ids are derived from job and position, so a repeated
//! move creates the same rows, and changes nothing if they exist.
//!
//! This file reads the jobs of a batch and writes the differences. `list.rs` parses entries, `plan.rs` computes
//! the rows of a job, `columns.rs` the columns of a definition, `links.rs` writes links, `rows.rs` writes new actions,
//! and `count.rs` counts before an upgrade. `equal_ids.rs` compares ids as the database does.

mod columns;
mod count;
mod equal_ids;
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
use crate::row::{LossyText, Row};

pub(in crate::migrations) use self::count::{Definer, Unresolved, definers, unmovable};
pub(in crate::migrations) use self::equal_ids::EqualIds;
pub(in crate::migrations) use self::links::remove_orphans;
pub(in crate::migrations) use self::list::kept_values;

/// Namespace of the ids that a move creates. It must never change.
const MOVED: Uuid = Uuid::from_u128(0x3d0c_58a1_9a0f_4b7a_8f0e_6a3f_54d1_c9e2);

/// Bytes of JSON after which a batch ends. Parsed, they take several times as much memory.
const BATCH_BYTES: usize = 4 << 20;

/// The leftovers of lists.
pub(in crate::migrations) const COLUMN: LeftoverColumn =
    LeftoverColumn { table: "jobs", column: "job_actions" };

/// The table of older releases, with the column that is dropped.
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

/// A job with its parsed list.
struct JobRow {
    id: String,
    project_id: String,
    user_id: String,
    text: Option<String>,
    list: ActionList,
    deleted: Option<i64>,
    /// created_at, updated_at and deleted_at, as text of the engine.
    times: [Option<String>; 3],
}

impl JobRow {
    fn is_live(&self) -> bool {
        self.deleted == Some(0)
    }

    /// Returns an id that is always the same for an entry. `attempt` distinguishes several ids.
    fn derived(&self, what: &str, position: usize, attempt: usize) -> String {
        let mut name = format!("{what}\0{}\0{position}", self.id);
        if attempt > 0 {
            name.push_str(&format!("\0{attempt}"));
        }
        Uuid::new_v5(&MOVED, name.as_bytes()).simple().to_string()
    }

    /// Returns the action ids of the entries.
    fn given_ids(&self) -> impl Iterator<Item = &str> {
        self.list.entries().iter().filter_map(list::ListEntry::given_id)
    }
}

/// The existing rows of a batch of jobs.
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

/// Moves one batch after the job `after`.
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

/// Moves the jobs whose new ids are not also in an earlier job, and returns the others, which then see the new
/// actions. Usually there are at most two waves, because an id is only new once.
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
        // This includes the ids of a waiting job, because an earlier job comes first.
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

/// Finds the jobs of one batch whose rows differ from their list.
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
    db.select_each(&select, |mut row| {
        let job =
            read_job(&mut row).map_err(|error| StoreError::from_driver("schema.move_job_actions", error))?;
        bytes += job.text.as_ref().map_or(0, String::len);
        jobs.push(job);
        Ok(if bytes < BATCH_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })
    .await?;
    Ok(jobs)
}

fn read_job(row: &mut Row) -> Result<JobRow, DriverError> {
    let (id, project_id, user_id, LossyText(text), deleted, times) = row.read()?;
    let list = ActionList::read(text.as_deref());
    Ok(JobRow { id, project_id, user_id, list, text, deleted, times })
}
