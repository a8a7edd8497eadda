//! Which rows a job should have: a link for each entry of its list, to an action that means the same, and actions that are
//! still to be made for that.

use std::collections::{HashMap, HashSet};

use super::links::LinkRow;
use super::list::{ActionList, Definition, EntryContent, EntryOptions};
use super::rows::NewAction;
use super::{ExistingRows, JobRow};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::migrations::moves::column_charsets::ColumnCharsets;
use crate::query::stored_actions::{StoredAction, get_many_stored};

/// Ids that one query asks for: SQLite takes 32,766 values.
const IDS: usize = 1_000;

/// Width of `actions.id`.
const ID_WIDTH: usize = 36;

/// What a job should have.
pub(super) struct WantedRows {
    pub(super) links: Vec<LinkRow>,
    /// The text that goes to `freezer_leftovers`, and its number of values.
    pub(super) leftover: Option<(String, u64)>,
    /// An entry refers to an action that is not there. A later job may define it.
    pub(super) unresolved: bool,
}

/// What jobs find in `actions`.
pub(super) struct KnownActions {
    dialect: Dialect,
    /// Actions by id, live or not.
    stored: HashMap<String, StoredAction>,
    /// Ids that a new action cannot have, [`folded`](KnownActions::folded).
    taken: HashSet<String>,
    /// Characters that the columns of `actions` can hold.
    held: ColumnCharsets,
}

impl KnownActions {
    /// EntryContent for all actions that the jobs' entries or links name, and for those that were made of them before.
    pub(super) async fn of(
        db: &mut Db,
        jobs: &[&JobRow],
        found: &ExistingRows,
    ) -> Result<KnownActions, StoreError> {
        let mut ids: Vec<String> = Vec::new();
        for job in jobs {
            ids.extend(job.given_ids().map(str::to_owned));
            ids.extend((0..job.list.entries().len()).map(|position| job.derived("action", position, 0)));
            if matches!(job.list, ActionList::Unsaid) {
                ids.extend(found.links(job).iter().map(|link| link.action_id.clone()));
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let held = ColumnCharsets::of(db, "actions").await?;
        let mut known =
            KnownActions { dialect: db.dialect(), stored: HashMap::new(), taken: HashSet::new(), held };
        for ids in ids.chunks(IDS) {
            for action in get_many_stored(db, ids.to_vec()).await? {
                known.taken.insert(known.folded(&action.fields.action_id));
                known.stored.insert(action.fields.action_id.clone(), action);
            }
        }
        Ok(known)
    }

    /// An id in the one form of all that the database takes for it.
    pub(super) fn folded(&self, id: &str) -> String {
        match self.dialect {
            Dialect::MySql => id.to_ascii_lowercase(),
            Dialect::Sqlite => id.to_owned(),
        }
    }

    pub(super) fn is_taken(&self, folded: &str) -> bool {
        self.taken.contains(folded)
    }

    /// The action of an id, if a job may be linked to it.
    fn usable(&self, job: &JobRow, id: &str) -> Option<&StoredAction> {
        self.stored.get(id).filter(|action| is_usable(job, action))
    }
}

/// A live job needs a live action of its project. A deleted one may have a deleted action, as when that was made for it.
fn is_usable(job: &JobRow, action: &StoredAction) -> bool {
    action.project_id == job.project_id && (action.is_live || !job.is_live())
}

/// Whether a new action may have an id: every collation tells such apart, but for the case of letters.
pub(super) fn can_be_given(id: &str) -> bool {
    id.len() <= ID_WIDTH && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Plans the rows of a job. New actions go to the end of `actions`.
pub(super) async fn of<'a>(
    db: &mut Db,
    job: &'a JobRow,
    known: &KnownActions,
    there: &[LinkRow],
    actions: &mut Vec<NewAction<'a>>,
) -> Result<WantedRows, StoreError> {
    if matches!(job.list, ActionList::Unsaid) {
        // made by a later release while the old column was still there; without its action a link is of no use
        let reachable = |link: &&LinkRow| known.taken.contains(&known.folded(&link.action_id));
        let links = there.iter().filter(reachable).cloned().collect();
        return Ok(WantedRows { links, leftover: None, unresolved: false });
    }
    let mut planner = JobPlanner { job, known, first: actions.len(), actions };
    let (mut links, mut unresolved) = (Vec::new(), false);
    for (position, entry) in job.list.entries().iter().enumerate() {
        let user_id = entry.user_id().unwrap_or(&job.user_id);
        let at = EntryContext { position, user_id };
        let action_id = match entry.content() {
            EntryContent::Definition(definition) => {
                Some(planner.definition(db, at, entry.given_id(), definition).await?)
            }
            EntryContent::Reference { id, options } => {
                let found = planner.reference(db, at, id, options).await?;
                unresolved |= found.is_none();
                found
            }
            EntryContent::Nothing => None,
        };
        if let Some(action_id) = action_id {
            let id = job.derived("link", position, 0);
            links.push(LinkRow {
                id,
                action_id,
                position: Some(position as i64),
                deleted: job.deleted.or(Some(0)),
            });
        }
    }
    let is_used = |at| links.iter().any(|link| link.position == Some(at as i64));
    let leftover = job.list.leftover(job.text.as_deref(), is_used);
    Ok(WantedRows { links, leftover, unresolved })
}

/// Where an entry is, and whose an action is that it becomes.
#[derive(Clone, Copy)]
struct EntryContext<'a> {
    position: usize,
    user_id: &'a str,
}

struct JobPlanner<'a, 'b> {
    job: &'a JobRow,
    known: &'b KnownActions,
    /// Where the new actions of this job begin.
    first: usize,
    actions: &'b mut Vec<NewAction<'a>>,
}

impl<'a> JobPlanner<'a, '_> {
    /// The action that a definition becomes: one that is there and means the same, or a new one.
    async fn definition(
        &mut self,
        db: &mut Db,
        at: EntryContext<'a>,
        given: Option<&str>,
        definition: Definition<'a>,
    ) -> Result<String, StoreError> {
        let mut given = given;
        if let Some(id) = given {
            let stored = self.known.usable(self.job, id);
            if stored.is_some_and(|stored| definition.is(stored, &self.known.held)) {
                return Ok(id.to_owned());
            }
            if let Some(new) = self.own(id) {
                if definition.is(&new.as_stored(), &self.known.held) {
                    return Ok(id.to_owned());
                }
                given = None;
            }
        }
        let free = given.filter(|id| can_be_given(id) && !self.known.is_taken(&self.known.folded(id)));
        let id = match free.filter(|id| !self.is_own(id)) {
            Some(id) => id.to_owned(),
            None => match self.derived(db, at.position, &definition).await? {
                DerivedId::Stored(id) => return Ok(id),
                DerivedId::Free(id) => id,
            },
        };
        self.actions.push(NewAction::new(self.job, definition, id.clone(), at.user_id, &self.known.held));
        Ok(id)
    }

    /// The action that a reference means; an action of its own if the entry says something else of tries.
    async fn reference(
        &mut self,
        db: &mut Db,
        at: EntryContext<'a>,
        id: &str,
        options: EntryOptions,
    ) -> Result<Option<String>, StoreError> {
        let new = self.own(id).map(NewAction::as_stored);
        let Some(stored) = new.as_ref().or_else(|| self.known.usable(self.job, id)) else { return Ok(None) };
        let as_stored = Definition::of(stored);
        let wanted = as_stored.clone().with(options);
        if wanted == as_stored {
            return Ok(Some(id.to_owned()));
        }
        self.definition(db, at, None, wanted).await.map(Some)
    }

    /// A new action of this job.
    fn own(&self, id: &str) -> Option<&NewAction<'a>> {
        self.actions[self.first..].iter().find(|action| action.id == id)
    }

    fn is_own(&self, id: &str) -> bool {
        let id = self.known.folded(id);
        self.actions[self.first..].iter().any(|action| self.known.folded(&action.id) == id)
    }

    /// The action of an earlier run, or an id that is free.
    async fn derived(
        &self,
        db: &mut Db,
        position: usize,
        definition: &Definition<'_>,
    ) -> Result<DerivedId, StoreError> {
        let mut attempt = 0;
        loop {
            let id = self.job.derived("action", position, attempt);
            let fresh = match attempt {
                0 => None,
                _ => get_many_stored(db, vec![id.clone()]).await?.pop(),
            };
            match fresh.as_ref().or_else(|| self.known.stored.get(&id)) {
                Some(action) if is_usable(self.job, action) && definition.is(action, &self.known.held) => {
                    return Ok(DerivedId::Stored(id));
                }
                Some(_) => attempt += 1,
                None => return Ok(DerivedId::Free(id)),
            }
        }
    }
}

enum DerivedId {
    Stored(String),
    Free(String),
}
