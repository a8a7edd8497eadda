//! Counts the entries of job lists that an upgrade cannot move. This works on the tables of all releases,
//! because it only reads columns of `actions` that all of them have.

use std::collections::{HashMap, HashSet};

use sea_query::{Expr, ExprTrait, Query};

use super::list::{EntryContent, ListEntry};
use super::plan::can_be_given;
use super::{JobRow, read};
use crate::error::StoreError;
use crate::exec::Db;
use crate::tables::Actions;

/// Number of ids in one query.
const IDS: usize = 1_000;

/// Entries of a batch that cannot be moved.
pub(in crate::migrations) struct UnmovableBatch {
    pub(in crate::migrations) last: String,
    /// Jobs with their number of such values.
    pub(in crate::migrations) jobs: Vec<(String, u64)>,
    /// References to missing actions, unless a job defines them.
    pub(in crate::migrations) unresolved: Vec<Unresolved>,
}

/// An entry that refers to a missing action.
pub(in crate::migrations) struct Unresolved {
    pub(in crate::migrations) job_id: String,
    pub(in crate::migrations) project_id: String,
    pub(in crate::migrations) action_id: String,
}

/// Returns the entries that cannot be moved in one batch after the job `after`.
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

/// Returns which of these actions are defined by jobs of one batch after the job `after`, and in which project.
/// The first definition gets the id.
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

/// Returns the project of each action and whether it is live, by id.
async fn stored(db: &mut Db, mut ids: Vec<&str>) -> Result<HashMap<String, (String, bool)>, StoreError> {
    ids.sort_unstable();
    ids.dedup();
    let mut stored = HashMap::new();
    for ids in ids.chunks(IDS) {
        let mut select = Query::select();
        select
            .columns([Actions::Id, Actions::ProjectId, Actions::Deleted])
            .from(Actions::Table)
            .and_where(Expr::col(Actions::Id).is_in(ids.iter().copied()));
        for (id, project_id, deleted) in db.read::<(String, String, Option<i64>)>(&select).await? {
            stored.insert(id, (project_id, deleted == Some(0)));
        }
    }
    Ok(stored)
}
