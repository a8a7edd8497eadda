//! Counts the entries of the jobs' lists that an upgrade cannot move. Works on the tables of every release: of `actions` it reads
//! only columns that all have.

use std::collections::{HashMap, HashSet};

use sea_query::{Expr, ExprTrait, Query};

use super::list::{EntryContent, ListEntry};
use super::plan::can_be_given;
use super::{JobRow, read};
use crate::error::StoreError;
use crate::exec::Db;
use crate::tables::Actions;

/// Ids that one query asks for.
const IDS: usize = 1_000;

/// What a batch will leave over.
pub(in crate::migrations) struct UnmovableBatch {
    pub(in crate::migrations) last: String,
    /// OldJobs, and how many values of theirs.
    pub(in crate::migrations) jobs: Vec<(String, u64)>,
    /// References that find no action, unless a job defines one.
    pub(in crate::migrations) unresolved: Vec<Unresolved>,
}

/// An entry that refers to an action which no row has.
pub(in crate::migrations) struct Unresolved {
    pub(in crate::migrations) job_id: String,
    pub(in crate::migrations) project_id: String,
    pub(in crate::migrations) action_id: String,
}

/// What one batch behind the job `after` will leave over.
pub(in crate::migrations) async fn unmovable(
    db: &mut Db,
    after: Option<&str>,
) -> Result<Option<UnmovableBatch>, StoreError> {
    let jobs = read(db, after).await?;
    let Some(last) = jobs.last().map(|job| job.id.clone()) else { return Ok(None) };
    let stored = stored(db, jobs.iter().flat_map(JobRow::given_ids).collect()).await?;
    let mut found = UnmovableBatch { last, jobs: Vec::new(), unresolved: Vec::new() };
    for job in &jobs {
        let entries = job.list.entries();
        let is_used = |at: usize| match entries[at].content() {
            EntryContent::Definition(_) => true,
            EntryContent::Reference { id, .. } => match stored.get(id) {
                Some((project_id, is_live)) => *project_id == job.project_id && (*is_live || !job.is_live()),
                None => can_be_given(id),
            },
            EntryContent::Nothing => false,
        };
        if let Some((_, values)) = job.list.leftover(job.text.as_deref(), is_used) {
            found.jobs.push((job.id.clone(), values));
        }
        let references = entries.iter().filter(|entry| !entry.loses_something()).filter_map(reference);
        for id in references.filter(|id| !stored.contains_key(*id) && can_be_given(id)) {
            found.unresolved.push(Unresolved {
                job_id: job.id.clone(),
                project_id: job.project_id.clone(),
                action_id: id.to_owned(),
            });
        }
    }
    Ok(Some(found))
}

fn reference(entry: &ListEntry) -> Option<&str> {
    match entry.content() {
        EntryContent::Reference { id, .. } => Some(id),
        _ => None,
    }
}

/// In one batch behind the job `after`: which of these actions jobs define, and in which project. The first that does
/// so gets the id.
pub(in crate::migrations) async fn definers(
    db: &mut Db,
    action_ids: &HashSet<String>,
    after: Option<&str>,
) -> Result<Option<(String, Vec<(String, String)>)>, StoreError> {
    let jobs = read(db, after).await?;
    let Some(last) = jobs.last().map(|job| job.id.clone()) else { return Ok(None) };
    let mut defined = Vec::new();
    for job in &jobs {
        let entries = job.list.entries().iter().filter(|entry| entry.names_an_action());
        let ids = entries.filter_map(ListEntry::given_id).filter(|id| action_ids.contains(*id));
        defined.extend(ids.map(|id| (id.to_owned(), job.project_id.clone())));
    }
    Ok(Some((last, defined)))
}

/// Project of actions, and whether they are live, by id.
async fn stored(db: &mut Db, mut ids: Vec<&str>) -> Result<HashMap<String, (String, bool)>, StoreError> {
    ids.sort_unstable();
    ids.dedup();
    let doing = db.doing();
    let at = |error| StoreError::from_driver(doing, error);
    let mut stored = HashMap::new();
    for ids in ids.chunks(IDS) {
        let mut select = Query::select();
        select
            .columns([Actions::Id, Actions::ProjectId, Actions::Deleted])
            .from(Actions::Table)
            .and_where(Expr::col(Actions::Id).is_in(ids.iter().copied()));
        for row in db.select(&select).await? {
            let (id, project_id) = (row.string(0).map_err(at)?, row.string(1).map_err(at)?);
            stored.insert(id, (project_id, row.int(2).map_err(at)? == Some(0)));
        }
    }
    Ok(stored)
}
