//! The JSON list in `jobs.job_actions` becomes rows of `job_actions`, and of `actions` where needed.
//!
//! In the releases before 19.0.0 the list was what a job ran: each entry holds the whole definition, with or without the
//! id of an action that is said to be the same. So the definition decides:
//!
//! - an entry whose action is there, alive, in the job's project, and defined the same, becomes a link to it;
//! - any other entry that names an action becomes an action of its own and a link to that one. (Upstream links to the
//!   action of that id whatever it says by now, also to a deleted one.)
//! - an entry that names none is left out, as upstream does, and what is no list of objects gives no actions at all; the
//!   text is then kept in `freezer_leftovers`.
//!
//! Ids are derived from job and position, so that a move which is run again makes the same rows.
//!
//! Here: which jobs a batch has, and what becomes of each entry. The statements that write are in `rows.rs`.

mod rows;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use sea_query::{Expr, ExprTrait, Iden, Order, Query};
use serde_json::{Map, Value};
use uuid::Uuid;

use self::rows::{NewAction, NewLink, Target};
use super::{BATCH, leftovers};
use crate::error::{DriverError, StoreError};
use crate::exec::Db;
use crate::model::ActionFields;
use crate::query;
use crate::row::Row;
use crate::scope::Scope;
use crate::tables::{Actions, JobActions};

/// Namespace of the ids that a move makes; drawn once, never to change.
const MOVED: Uuid = Uuid::from_u128(0x3d0c_58a1_9a0f_4b7a_8f0e_6a3f_54d1_c9e2);

/// Bytes of JSON that a batch ends at: parsed, they take a few times that in memory.
const BATCH_BYTES: usize = 4 << 20;

/// Ids that one query asks for: SQLite takes 32,766 values.
const IDS: usize = 1_000;

/// The table as it was, with the column that goes.
#[derive(Iden, Clone, Copy)]
enum Jobs {
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

struct Job {
    id: String,
    project_id: String,
    user_id: String,
    text: Option<String>,
    deleted: Option<i64>,
    /// created_at, updated_at, deleted_at, as the engine writes them.
    times: [Option<String>; 3],
}

/// A job and what its list holds.
struct Parsed<'a> {
    job: &'a Job,
    entries: Vec<Map<String, Value>>,
}

impl Parsed<'_> {
    /// The ids of actions that its entries give.
    fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(given_id)
    }

    /// Those of them that a new action may get.
    fn ids_to_give(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|entry| names_an_action(entry)).filter_map(given_id)
    }
}

/// Moves one batch behind the job `after`; gives the last job of it, and how many it had.
pub(in crate::migrations) async fn batch(
    db: &mut Db,
    after: Option<&str>,
) -> Result<Option<(String, u64)>, StoreError> {
    let jobs = read(db, after).await?;
    let Some(last) = jobs.last().map(|job| job.id.clone()) else { return Ok(None) };
    let done = linked(db, &jobs).await?;
    let mut waiting = Vec::new();
    for job in jobs.iter().filter(|job| !done.contains(&job.id)) {
        if let Some(entries) = parse(db, job).await? {
            waiting.push(Parsed { job, entries });
        }
    }
    let mut tried = HashSet::new();
    while !waiting.is_empty() {
        waiting = wave(db, waiting, &mut tried).await?;
    }
    Ok(Some((last, jobs.len() as u64)))
}

async fn read(db: &mut Db, after: Option<&str>) -> Result<Vec<Job>, StoreError> {
    let mut select = Query::select();
    select
        .columns([Jobs::Id, Jobs::ProjectId, Jobs::UserId, Jobs::JobActions, Jobs::Deleted])
        .columns([Jobs::CreatedAt, Jobs::UpdatedAt, Jobs::DeletedAt])
        .from(Jobs::Table)
        .order_by(Jobs::Id, Order::Asc)
        .limit(BATCH);
    if let Some(after) = after {
        select.and_where(Expr::col(Jobs::Id).gt(after));
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

fn read_job(row: &Row) -> Result<Job, DriverError> {
    Ok(Job {
        id: row.string(0)?,
        project_id: row.string(1)?,
        user_id: row.string(2)?,
        text: row.text(3)?,
        deleted: row.int(4)?,
        times: [row.text(5)?, row.text(6)?, row.text(7)?],
    })
}

/// Jobs that have links already: their batch was moved by an earlier run, all of it or nothing.
async fn linked(db: &mut Db, jobs: &[Job]) -> Result<HashSet<String>, StoreError> {
    let mut select = Query::select();
    select
        .distinct()
        .column(JobActions::JobId)
        .from(JobActions::Table)
        .and_where(Expr::col(JobActions::JobId).is_in(jobs.iter().map(|job| job.id.as_str())));
    let rows = db.select(&select).await?;
    rows.iter().map(first_text).collect()
}

fn first_text(row: &Row) -> Result<String, StoreError> {
    row.string(0).map_err(|error| StoreError::from_driver("schema.move_job_actions", error))
}

/// The entries of a job's list, `None` where it has none. A text of which something has no place in the new layout is
/// kept.
async fn parse(db: &mut Db, job: &Job) -> Result<Option<Vec<Map<String, Value>>>, StoreError> {
    let Some(text) =
        job.text.as_deref().filter(|text| !matches!(text.trim(), "" | "null" | "\"\"" | "[]" | "{}"))
    else {
        return Ok(None);
    };
    let Ok(entries) = serde_json::from_str::<Vec<Map<String, Value>>>(text) else {
        tracing::warn!(job = job.id, "job_actions is no list of objects; kept in {}", leftovers::TABLE);
        leftovers::keep(db, "jobs", &job.id, "job_actions", text).await?;
        return Ok(None);
    };
    Ok(Some(entries))
}

/// What the jobs of a wave find in `actions`.
struct Known {
    /// Live actions and their projects, by id.
    live: HashMap<String, (String, ActionFields)>,
    /// Ids that cannot be given to a new action.
    taken: HashSet<String>,
}

/// Moves the jobs that name no new id which an earlier one of them names too, and gives the others: they see what was made
/// here. Mostly there are two waves, since an id is new only once. `tried` are the ids that earlier waves of the batch gave
/// away, or found out to be taken.
async fn wave<'a>(
    db: &mut Db,
    waiting: Vec<Parsed<'a>>,
    tried: &mut HashSet<String>,
) -> Result<Vec<Parsed<'a>>, StoreError> {
    let known = known(db, &waiting, tried).await?;
    let mut named: HashSet<String> = HashSet::new();
    let (mut now, mut later) = (Vec::new(), Vec::new());
    for parsed in waiting {
        let waits = parsed.ids().any(|id| named.contains(id));
        let new = parsed.ids_to_give().filter(|id| !known.taken.contains(*id)).map(str::to_owned);
        // also those of a job that waits: an earlier job goes first
        if waits {
            named.extend(new);
            later.push(parsed);
        } else {
            let new: Vec<String> = new.collect();
            named.extend(new.iter().cloned());
            tried.extend(new);
            now.push(parsed);
        }
    }
    let (mut actions, mut links) = (Vec::new(), Vec::new());
    for parsed in &now {
        if !plan(parsed, &known, &mut actions, &mut links) {
            let (job, text) = (parsed.job, parsed.job.text.as_deref().unwrap_or_default());
            tracing::warn!(
                job = job.id,
                "an entry of job_actions names no action; kept in {}",
                leftovers::TABLE
            );
            leftovers::keep(db, "jobs", &job.id, "job_actions", text).await?;
        }
    }
    rows::insert(db, actions, &links).await?;
    Ok(later)
}

async fn known(db: &mut Db, waiting: &[Parsed<'_>], tried: &HashSet<String>) -> Result<Known, StoreError> {
    let mut ids: Vec<&str> = waiting.iter().flat_map(Parsed::ids).collect();
    ids.sort_unstable();
    ids.dedup();
    let (mut live, mut taken) = (HashMap::new(), tried.clone());
    for ids in ids.chunks(IDS) {
        let mut select = Query::select();
        select
            .column(Actions::Id)
            .from(Actions::Table)
            .and_where(Expr::col(Actions::Id).is_in(ids.iter().copied()));
        for row in db.select(&select).await? {
            taken.insert(first_text(&row)?);
        }
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        for found in query::actions::get_many_with_projects(db, &Scope::AllProjects, ids).await? {
            live.insert(found.1.action_id.clone(), found);
        }
    }
    Ok(Known { live, taken })
}

/// Plans the rows of a job; false where an entry becomes none.
fn plan<'a>(
    parsed: &'a Parsed<'_>,
    known: &Known,
    actions: &mut Vec<NewAction<'a>>,
    links: &mut Vec<NewLink<'a>>,
) -> bool {
    let job = parsed.job;
    let mut own: HashSet<&str> = HashSet::new();
    let mut all_moved = true;
    for (position, entry) in parsed.entries.iter().enumerate() {
        let given = given_id(entry);
        let stored = given.and_then(|id| known.live.get(id));
        let to = match stored.filter(|(project_id, _)| *project_id == job.project_id) {
            Some((_, action)) if says_the_same(entry, action) => Target::Stored(action.action_id.clone()),
            _ if names_an_action(entry) => {
                let free = given.filter(|id| !known.taken.contains(*id) && own.insert(id));
                actions.push(NewAction::new(job, position, entry, free));
                Target::New(actions.len() - 1)
            }
            _ => {
                all_moved = false;
                continue;
            }
        };
        links.push(NewLink { job, position, to });
    }
    all_moved
}

fn given_id(entry: &Map<String, Value>) -> Option<&str> {
    entry.get("action_id").and_then(Value::as_str).filter(|id| !id.is_empty())
}

/// Whether an entry says what to do: an action without that cannot be stored, nor run.
fn names_an_action(entry: &Map<String, Value>) -> bool {
    let action = entry.get("freezer_action").and_then(|definition| definition.get("action"));
    action.and_then(Value::as_str).is_some_and(|action| !action.is_empty())
}

fn says_the_same(entry: &Map<String, Value>, action: &ActionFields) -> bool {
    let same_number = |key: &str, stored: Option<i64>| match entry.get(key).and_then(Value::as_i64) {
        Some(said) => stored == Some(said),
        None => true,
    };
    let same_definition = match entry.get("freezer_action").and_then(Value::as_object) {
        Some(definition) => action.is_defined_as(definition),
        None => true,
    };
    same_definition
        && same_number("max_retries", action.max_retries)
        && same_number("max_retries_interval", action.max_retries_interval)
}
