//! The actions of a job: inline definitions, which become actions, and references to existing actions.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use freezer_store::model::{ActionDefinition, ActionFields, Client};
use freezer_store::query::job_actions::Link;
use freezer_store::query::{actions, clients};
use freezer_store::{Db, stored_size};
use serde_json::{Map, Value};

use super::Change;
use super::clients::check_capabilities;
use crate::clock::Ids;
use crate::error::Error;
use crate::validate::documents::{ActionDocument, JobDocument};

/// An entry of `job_actions`, with the ids for the rows that may be stored for it.
#[derive(Debug, Clone)]
pub struct JobActionEntry {
    link_id: String,
    action: EntryAction,
}

#[derive(Debug, Clone)]
enum EntryAction {
    /// Refers to an action that must exist. If the entry has a definition, it must be equal to the stored one.
    Reference { action_id: String, definition: Option<Map<String, Value>> },
    /// Defines a new action.
    Inline { action_id: String, new: Box<ActionDefinition> },
}

/// Maximum number of bytes of `action_defaults` when they are copied into every action of a job. Without this limit, a small
/// body could fill the memory.
const MAX_DEFAULTS: usize = 1 << 20;

/// Returns the entries of `job_actions`. Keys that a definition does not have are taken from `action_defaults`. Returns none if
/// the document has no `job_actions`.
///
/// # Errors
/// [`Error::BadDocument`] if the copied defaults would be too large.
pub fn entries(document: &JobDocument, ids: &Ids) -> Result<Option<Vec<JobActionEntry>>, Error> {
    let JobDocument { actions: Some(actions), action_defaults: defaults, .. } = document else {
        return Ok(None);
    };
    if !defaults.is_empty() {
        let size = serde_json::to_string(defaults).map_or(usize::MAX, |text| text.len());
        if size.saturating_mul(actions.len()) > MAX_DEFAULTS {
            return Err(Error::BadDocument(format!(
                "action_defaults: too large for {} actions (at most {MAX_DEFAULTS} bytes in total)",
                actions.len()
            )));
        }
    }
    Ok(Some(actions.iter().map(|action| entry(action.clone(), defaults, ids)).collect()))
}

fn entry(mut document: ActionDocument, defaults: &Map<String, Value>, ids: &Ids) -> JobActionEntry {
    if let Some(definition) = &mut document.freezer_action {
        for (key, value) in defaults {
            if definition.get(key).is_none_or(Value::is_null) {
                definition.insert(key.clone(), value.clone());
            }
        }
    }
    let action = match document.action_id.take() {
        Some(action_id) => EntryAction::Reference { action_id, definition: document.freezer_action },
        None => EntryAction::Inline {
            action_id: ids.document(),
            new: Box::new(super::actions::definition(document)),
        },
    };
    JobActionEntry { link_id: ids.document(), action }
}

/// The actions that the client must support. If there are any, the client must exist.
#[derive(Clone, Copy)]
pub enum Checked<'a> {
    /// All actions, because the job is new or moves to another client.
    All,
    /// All actions except for these, which the job has already.
    AllBut(&'a [String]),
}

/// Checks that the client exists and supports the actions, and stores the inline actions. Returns the links of the job in
/// their order.
///
/// # Errors
/// [`Error::Unprocessable`] for an unknown client, and for an action that is unknown, has a different definition, or is not
/// supported by the client; [`Error::DocumentTooLarge`] and [`Error::TooManyActions`].
pub async fn store(
    db: &mut Db,
    change: &Change<'_>,
    client_id: &str,
    entries: &[JobActionEntry],
    checked: Checked<'_>,
) -> Result<Vec<Link>, Error> {
    let scope = change.scope();
    // a job that gets no additional action is not larger than before
    let grows = checked.grows(entries);
    if grows && entries.len() > change.max_job_actions {
        return Err(Error::TooManyActions { number: entries.len(), limit: change.max_job_actions });
    }
    let is_checked = matches!(checked, Checked::All) || entries.iter().any(|entry| checked.includes(entry));
    let client = match is_checked {
        true => clients::get(db, &scope, client_id).await?,
        false => None,
    };
    let mut used = UsedActions::new(entries, client.as_ref());
    let references: Vec<String> = used.entries.keys().map(|id| (*id).to_owned()).collect();
    let largest = if grows { change.max_document } else { usize::MAX };
    // if the job gets additional actions, they are locked, so another transaction cannot enlarge them at the same time
    actions::for_each(db, &scope, references, grows, |action| {
        used.add(&action);
        if used.bytes > largest { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await?;
    let mut bytes = used.bytes;
    if bytes <= largest {
        for (at, entry) in entries.iter().enumerate() {
            match &entry.action {
                EntryAction::Reference { action_id, .. } => used.check(at, action_id)?,
                EntryAction::Inline { new, .. } => {
                    let field = format!("job_actions[{at}].freezer_action");
                    change.check_size(&field, &new.freezer_action)?;
                    bytes = bytes.saturating_add(stored_size(&new.freezer_action));
                }
            }
        }
    }
    if bytes > largest {
        let (field, limit) = ("job_actions".to_owned(), change.max_document);
        return Err(Error::DocumentTooLarge { field, limit });
    }
    if is_checked {
        let Some(client) = &client else {
            return Err(Error::Unprocessable(format!("Client not found with ID {client_id}")));
        };
        for entry in entries.iter().filter(|entry| checked.includes(entry)) {
            match &entry.action {
                EntryAction::Reference { action_id, .. } => used.check_client(action_id)?,
                EntryAction::Inline { new, .. } => check_capabilities(client, &new.freezer_action)?,
            }
        }
    }
    let new: Vec<_> = entries.iter().filter_map(JobActionEntry::inline).collect();
    actions::create_all(db, change.project_id, change.user_id, &new, change.now).await?;
    let link = |JobActionEntry { link_id, action }: &JobActionEntry| {
        let (EntryAction::Reference { action_id, .. } | EntryAction::Inline { action_id, .. }) = action;
        Link { id: link_id.clone(), action_id: action_id.clone() }
    };
    Ok(entries.iter().map(link).collect())
}

/// The position of an entry, and the definition that it has.
type UsedAt<'a> = (usize, Option<&'a Map<String, Value>>);

/// What a job needs to know about the existing actions that it uses. Their definitions are read one at a time, because together
/// they may be larger than a job may be.
struct UsedActions<'a> {
    /// The positions of their entries, and the definitions that these have.
    entries: HashMap<&'a str, Vec<UsedAt<'a>>>,
    client: Option<&'a Client>,
    /// The actions that exist, and the reason why the client does not support an action.
    found: HashMap<&'a str, Option<Error>>,
    /// The positions of entries whose definition is not that of the action.
    different: HashSet<usize>,
    /// Size of the definitions. An action counts for each of its entries.
    bytes: usize,
}

impl<'a> UsedActions<'a> {
    fn new(entries: &'a [JobActionEntry], client: Option<&'a Client>) -> UsedActions<'a> {
        let mut of_action: HashMap<_, Vec<_>> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            if let EntryAction::Reference { action_id, definition } = &entry.action {
                of_action.entry(action_id.as_str()).or_default().push((at, definition.as_ref()));
            }
        }
        let (found, different) = (HashMap::new(), HashSet::new());
        UsedActions { entries: of_action, client, found, different, bytes: 0 }
    }

    fn add(&mut self, action: &ActionFields) {
        let Some((id, entries)) = self.entries.get_key_value(action.action_id.as_str()) else { return };
        let differs = |(_, given): &&UsedAt<'a>| given.is_some_and(|given| !action.is_defined_as(given));
        self.different.extend(entries.iter().filter(differs).map(|(at, _)| at));
        let size = stored_size(&action.freezer_action).saturating_mul(entries.len());
        self.bytes = self.bytes.saturating_add(size);
        let client = self.client.map(|client| check_capabilities(client, &action.freezer_action));
        self.found.insert(id, client.and_then(Result::err));
    }

    /// Checks that the action of an entry exists and has the definition that is given in this entry.
    fn check(&self, at: usize, action_id: &str) -> Result<(), Error> {
        if !self.found.contains_key(action_id) {
            return Err(Error::Unprocessable(format!("Action id: {action_id} not found.")));
        }
        if self.different.contains(&at) {
            return Err(Error::Unprocessable(format!(
                "Action id: {action_id} already exists with a different definition. Update the action directly, \
                 or omit action_id to create a new one."
            )));
        }
        Ok(())
    }

    /// Checks that the client supports an action.
    fn check_client(&mut self, action_id: &str) -> Result<(), Error> {
        self.found.get_mut(action_id).and_then(Option::take).map_or(Ok(()), Err)
    }
}

impl JobActionEntry {
    /// Returns the id of the existing action that the entry refers to.
    pub fn reference(&self) -> Option<&str> {
        match &self.action {
            EntryAction::Reference { action_id, .. } => Some(action_id),
            EntryAction::Inline { .. } => None,
        }
    }

    /// The new action that it defines, and its id.
    fn inline(&self) -> Option<(&str, &ActionDefinition)> {
        match &self.action {
            EntryAction::Reference { .. } => None,
            EntryAction::Inline { action_id, new } => Some((action_id, new)),
        }
    }
}

impl Checked<'_> {
    fn includes(self, entry: &JobActionEntry) -> bool {
        match (self, entry.reference()) {
            (Checked::AllBut(had), Some(action_id)) => !had.iter().any(|id| id == action_id),
            _ => true,
        }
    }

    /// Returns whether the job gets an action that it does not have, or one of its actions once more.
    fn grows(self, entries: &[JobActionEntry]) -> bool {
        let Checked::AllBut(had) = self else { return true };
        let mut left: HashMap<&str, usize> = HashMap::with_capacity(had.len());
        for id in had {
            *left.entry(id).or_default() += 1;
        }
        !entries.iter().all(|entry| {
            let left = entry.reference().and_then(|id| left.get_mut(id)).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(ids: &[&str]) -> Vec<JobActionEntry> {
        let entry = |id: &&str| JobActionEntry {
            link_id: "l".to_owned(),
            action: EntryAction::Reference { action_id: (*id).to_owned(), definition: None },
        };
        ids.iter().map(entry).collect()
    }

    #[test]
    fn a_job_grows_with_each_additional_entry_of_an_action() {
        let had = ["a", "b", "a"].map(str::to_owned);
        for (ids, grows) in [
            (&[][..], false),
            (&["a"], false),
            (&["b", "a", "a"], false),
            (&["a", "a", "a"], true),
            (&["b", "b"], true),
            (&["a", "c"], true),
        ] {
            assert_eq!(Checked::AllBut(&had).grows(&entries(ids)), grows, "{ids:?}");
            assert!(Checked::All.grows(&entries(ids)));
        }
    }
}
