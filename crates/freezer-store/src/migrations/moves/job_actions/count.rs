//! Counts the entries of job lists that an upgrade cannot move. This works on the tables of all releases,
//! because it only reads columns of `actions` that all of them have.

use std::collections::{HashMap, HashSet};

use sea_query::{ExprTrait, Query};

use super::equal_ids::EqualIds;
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
    /// Whether the job is live. Then the action must be live, too.
    pub(in crate::migrations) is_live: bool,
}

/// A definition that gives an id to a new action.
pub(in crate::migrations) struct Definer {
    pub(in crate::migrations) action_id: String,
    pub(in crate::migrations) project_id: String,
    pub(in crate::migrations) is_live: bool,
}

/// Returns the entries that cannot be moved in one batch after the job `after`.
pub(in crate::migrations) async fn unmovable(
    db: &mut Db,
    equal: &mut EqualIds,
    after: Option<&str>,
) -> Result<Option<UnmovableBatch>, StoreError> {
    let jobs = read(db, after).await?;
    let Some(last) = jobs.last().map(|job| job.id.clone()) else { return Ok(None) };
    let stored = stored(db, equal, jobs.iter().flat_map(JobRow::given_ids).collect()).await?;
    equal.add(db, stored.keys().map(String::as_str).chain(jobs.iter().flat_map(JobRow::given_ids))).await?;
    let taken: HashSet<String> = stored.keys().map(|id| equal.key(id)).collect();
    // An action whose id is only considered equal is another one, and prevents a new action with this id.
    let can_be_defined = |id: &str| can_be_given(id) && !taken.contains(&equal.key(id));
    let mut found = UnmovableBatch { last, jobs: Vec::new(), unresolved: Vec::new() };
    for job in &jobs {
        let entries = job.list.entries();
        let is_used = |at: usize| match entries[at].content() {
            EntryContent::Definition(_) => true,
            EntryContent::Reference { id, .. } => match stored.get(id) {
                Some((project_id, is_live)) => *project_id == job.project_id && (*is_live || !job.is_live()),
                None => can_be_defined(id),
            },
            EntryContent::Nothing => false,
        };
        if let Some((_, values)) = job.list.leftover(job.text.as_deref(), is_used) {
            found.jobs.push((job.id.clone(), values));
        }
        let references = entries.iter().filter(|entry| !entry.loses_something()).filter_map(reference);
        for id in references.filter(|id| can_be_defined(id)) {
            found.unresolved.push(Unresolved {
                job_id: job.id.clone(),
                project_id: job.project_id.clone(),
                action_id: id.to_owned(),
                is_live: job.is_live(),
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

/// Returns the definitions in jobs of one batch after the job `after` whose ids have one of these keys, in order. The
/// first definition gets the id.
pub(in crate::migrations) async fn definers(
    db: &mut Db,
    equal: &mut EqualIds,
    keys: &HashSet<String>,
    after: Option<&str>,
) -> Result<Option<(String, Vec<Definer>)>, StoreError> {
    let jobs = read(db, after).await?;
    let Some(last) = jobs.last().map(|job| job.id.clone()) else { return Ok(None) };
    equal.add(db, jobs.iter().flat_map(JobRow::given_ids)).await?;
    let mut defined = Vec::new();
    for job in &jobs {
        let entries = job.list.entries().iter().filter(|entry| entry.names_an_action());
        let ids = entries.filter_map(ListEntry::given_id).filter(|id| can_be_given(id));
        defined.extend(ids.filter(|id| keys.contains(&equal.key(id))).map(|id| Definer {
            action_id: id.to_owned(),
            project_id: job.project_id.clone(),
            is_live: job.is_live(),
        }));
    }
    Ok(Some((last, defined)))
}

/// Returns the project of each action and whether it is live, by id.
async fn stored(
    db: &mut Db,
    equal: &EqualIds,
    mut ids: Vec<&str>,
) -> Result<HashMap<String, (String, bool)>, StoreError> {
    ids.sort_unstable();
    ids.dedup();
    let mut stored = HashMap::new();
    for ids in ids.chunks(IDS) {
        let mut select = Query::select();
        select
            .columns([Actions::Id, Actions::ProjectId, Actions::Deleted])
            .from(Actions::Table)
            .and_where(equal.id_of_actions().is_in(ids.iter().copied()));
        for (id, project_id, deleted) in db.read::<(String, String, Option<i64>)>(&select).await? {
            stored.insert(id, (project_id, deleted == Some(0)));
        }
    }
    Ok(stored)
}
