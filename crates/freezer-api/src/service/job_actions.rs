//! The actions of a job: inline definitions, which become actions, and references to existing actions.

use std::collections::HashMap;

use freezer_store::model::{ActionDefinition, ActionFields};
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
    let references = entries.iter().filter_map(JobActionEntry::reference).map(str::to_owned).collect();
    // if the job gets additional actions, they are locked, so another transaction cannot enlarge them at the same time
    let stored = actions::get_many(db, &scope, references, grows).await?;
    let stored: HashMap<&str, &ActionFields> =
        stored.iter().map(|action| (action.action_id.as_str(), action)).collect();
    let mut to_check = Vec::with_capacity(entries.len());
    let mut bytes = 0_usize;
    for (at, entry) in entries.iter().enumerate() {
        let definition = definition(entry, &stored)?;
        if let EntryAction::Inline { .. } = entry.action {
            change.check_size(&format!("job_actions[{at}].freezer_action"), definition)?;
        }
        if grows {
            bytes = bytes.saturating_add(stored_size(definition));
        }
        if checked.includes(entry) {
            to_check.push(definition);
        }
    }
    if bytes > change.max_document {
        let (field, limit) = ("job_actions".to_owned(), change.max_document);
        return Err(Error::DocumentTooLarge { field, limit });
    }
    if matches!(checked, Checked::All) || !to_check.is_empty() {
        let Some(client) = clients::get(db, &scope, client_id).await? else {
            return Err(Error::Unprocessable(format!("Client not found with ID {client_id}")));
        };
        for definition in to_check {
            check_capabilities(&client, definition)?;
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

impl JobActionEntry {
    /// Returns the id of the existing action that the entry refers to.
    fn reference(&self) -> Option<&str> {
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

/// Returns the definition of the action that an entry runs.
fn definition<'a>(
    entry: &'a JobActionEntry,
    stored: &HashMap<&str, &'a ActionFields>,
) -> Result<&'a Map<String, Value>, Error> {
    match &entry.action {
        EntryAction::Inline { new, .. } => Ok(&new.freezer_action),
        EntryAction::Reference { action_id, definition } => {
            let Some(action) = stored.get(action_id.as_str()) else {
                return Err(Error::Unprocessable(format!("Action id: {action_id} not found.")));
            };
            match definition {
                Some(given) if !action.is_defined_as(given) => Err(Error::Unprocessable(format!(
                    "Action id: {action_id} already exists with a different definition. Update the action directly, \
                     or omit action_id to create a new one."
                ))),
                _ => Ok(&action.freezer_action),
            }
        }
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
