//! Computes the rows of a job: a link for each entry of its list to an action with the same meaning, and the
//! actions that must be created for this.

use std::collections::{HashMap, HashSet};

use super::equal_ids::EqualIds;
use super::links::LinkRow;
use super::list::{ActionList, Definition, EntryContent, EntryOptions};
use super::rows::NewAction;
use super::{ExistingRows, JobRow};
use crate::error::StoreError;
use crate::exec::Db;
use crate::migrations::moves::column_charsets::ColumnCharsets;
use crate::query::stored_actions::{ComparedAction, get_many_stored};

/// Number of ids in one query. SQLite allows 32,766 values.
const IDS: usize = 1_000;

/// Width of `actions.id`.
const ID_WIDTH: usize = 36;

/// The expected rows of a job.
pub(super) struct WantedRows {
    pub(super) links: Vec<LinkRow>,
    /// The text that goes to `freezer_leftovers`, and its number of values.
    pub(super) leftover: Option<(String, u64)>,
    /// Whether an entry refers to a missing action, which a later job may define.
    pub(super) unresolved: bool,
}

/// The existing actions that jobs refer to.
pub(super) struct KnownActions {
    equal: EqualIds,
    /// Actions by id, live or deleted.
    stored: HashMap<String, ComparedAction>,
    /// Existing ids, [`folded`](KnownActions::folded). A new action must not use them.
    taken: HashSet<String>,
    /// The characters that the columns of `actions` can store.
    held: ColumnCharsets,
}

impl KnownActions {
    /// Reads all actions that the entries or links of these jobs name, and those that an earlier run created for
    /// them.
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
        let equal = EqualIds::of_actions(db).await?;
        let mut known = KnownActions { equal, stored: HashMap::new(), taken: HashSet::new(), held };
        for ids in ids.chunks(IDS) {
            for action in get_many_stored(db, ids.to_vec()).await? {
                known.stored.insert(action.fields.action_id.clone(), action);
            }
        }
        let all = ids.iter().chain(known.stored.keys());
        known.equal.add(db, all.map(String::as_str)).await?;
        known.taken = known.stored.keys().map(|id| known.equal.key(id)).collect();
        Ok(known)
    }

    /// Returns the canonical form of all ids that the database considers equal.
    pub(super) fn folded(&self, id: &str) -> String {
        self.equal.key(id)
    }

    pub(super) fn is_taken(&self, folded: &str) -> bool {
        self.taken.contains(folded)
    }

    /// Returns the action with this id, if the job may be linked to it.
    fn usable(&self, job: &JobRow, id: &str) -> Option<&ComparedAction> {
        self.stored.get(id).filter(|action| is_usable(job, action))
    }
}

/// A live job needs a live action of its project. A deleted job may have a deleted action, for example one that
/// was created for it.
fn is_usable(job: &JobRow, action: &ComparedAction) -> bool {
    action.project_id == job.project_id && (action.is_live || !job.is_live())
}

/// Returns whether a new action may have this id: all collations must distinguish such ids, except for case.
pub(super) fn can_be_given(id: &str) -> bool {
    id.len() <= ID_WIDTH && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Plans the rows of a job. Appends new actions to `actions`.
pub(super) async fn of<'a>(
    db: &mut Db,
    job: &'a JobRow,
    known: &KnownActions,
    there: &[LinkRow],
    actions: &mut Vec<NewAction<'a>>,
) -> Result<WantedRows, StoreError> {
    if matches!(job.list, ActionList::Unsaid) {
        // A later release created these links while the old column still existed. A link without its action is
        // useless.
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

/// The position of an entry, and the owner of its new action.
#[derive(Clone, Copy)]
struct EntryContext<'a> {
    position: usize,
    user_id: &'a str,
}

struct JobPlanner<'a, 'b> {
    job: &'a JobRow,
    known: &'b KnownActions,
    /// Index of the first new action of this job.
    first: usize,
    actions: &'b mut Vec<NewAction<'a>>,
}

impl<'a> JobPlanner<'a, '_> {
    /// Returns the action for a definition: an existing one with the same meaning, or a new one.
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

    /// Returns the action for a reference. If the entry has other options, this is a new action.
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

    /// Returns a new action of this job.
    fn own(&self, id: &str) -> Option<&NewAction<'a>> {
        self.actions[self.first..].iter().find(|action| action.id == id)
    }

    fn is_own(&self, id: &str) -> bool {
        let id = self.known.folded(id);
        self.actions[self.first..].iter().any(|action| self.known.folded(&action.id) == id)
    }

    /// Returns the action of an earlier run, or a free id.
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
