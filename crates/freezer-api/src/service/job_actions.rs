//! The actions of a job: inline definitions, which become actions, and references to existing actions.

use std::collections::HashMap;

use freezer_store::model::{ActionDefinition, ActionFields};
use freezer_store::query::jobs::Link;
use freezer_store::query::{actions, clients};
use freezer_store::{Db, stored_size};
use serde_json::{Map, Value};

use super::clients::check_capabilities;
use super::{Change, object, text};
use crate::clock::Ids;
use crate::error::Error;

/// An entry of `job_actions`, with the ids that it will need.
#[derive(Debug, Clone)]
pub struct Entry {
    link_id: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Refers to an existing action. If the entry contains a definition, it must be equal to the stored one.
    Reference { action_id: String, definition: Option<Map<String, Value>> },
    /// Defines a new action.
    Inline { action_id: String, new: Box<ActionDefinition> },
}

/// Maximum size of `action_defaults` in bytes after they are copied into every action of a job. Otherwise, a small body
/// could fill the memory.
const MAX_DEFAULTS: usize = 1 << 20;

/// Reads `job_actions`, and sets the missing keys of each action from `action_defaults`. Returns `None` if the document
/// has no `job_actions`.
///
/// # Errors
/// [`Error::BadDocument`] if the defaults would become too large.
pub fn entries(document: &Map<String, Value>, ids: &Ids) -> Result<Option<Vec<Entry>>, Error> {
    let Some(entries) = document.get("job_actions") else { return Ok(None) };
    let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
    let defaults = object(document, "action_defaults").unwrap_or_default();
    if !defaults.is_empty() {
        let size = serde_json::to_string(&defaults).map_or(usize::MAX, |text| text.len());
        if size.saturating_mul(entries.len()) > MAX_DEFAULTS {
            return Err(Error::BadDocument(format!(
                "action_defaults: too large for {} actions ({MAX_DEFAULTS} bytes in all)",
                entries.len()
            )));
        }
    }
    Ok(Some(entries.iter().filter_map(Value::as_object).map(|entry| read(entry, &defaults, ids)).collect()))
}

fn read(entry: &Map<String, Value>, defaults: &Map<String, Value>, ids: &Ids) -> Entry {
    let mut definition = object(entry, "freezer_action");
    if let Some(definition) = &mut definition {
        for (key, value) in defaults {
            if definition.get(key).is_none_or(Value::is_null) {
                definition.insert(key.clone(), value.clone());
            }
        }
    }
    let kind = match text(entry, "action_id").filter(|id| !id.is_empty()) {
        Some(action_id) => Kind::Reference { action_id, definition },
        None => Kind::Inline {
            action_id: ids.document(),
            new: Box::new(super::actions::definition(entry, definition.unwrap_or_default())),
        },
    };
    Entry { link_id: ids.document(), kind }
}

/// The actions that the client must exist for and support.
#[derive(Clone, Copy)]
pub enum Checked<'a> {
    /// All actions of a job that is new, or that moves to another client.
    All,
    /// All actions except for these, which the job already has.
    AllBut(&'a [String]),
}

/// Checks that the client exists and supports the actions, then creates the inline ones. Returns the links of the job,
/// in order.
///
/// # Errors
/// [`Error::Unprocessable`] for an unknown client or action, a changed definition, or an action that the client does
/// not support; [`Error::DocumentTooLarge`] and [`Error::TooManyActions`].
pub async fn settle(
    db: &mut Db,
    change: &Change<'_>,
    client_id: &str,
    entries: &[Entry],
    checked: Checked<'_>,
) -> Result<Vec<Link>, Error> {
    let scope = change.scope();
    // A job that gets no further action does not become larger.
    let grows = checked.grows(entries);
    if grows && entries.len() > change.max_job_actions {
        return Err(Error::TooManyActions { number: entries.len(), limit: change.max_job_actions });
    }
    let references = entries.iter().filter_map(Entry::reference).map(str::to_owned).collect();
    // If a job gets more actions, they are locked, so that they cannot grow at the same time.
    let stored = actions::get_many(db, &scope, references, grows).await?;
    let stored: HashMap<&str, &ActionFields> =
        stored.iter().map(|action| (action.action_id.as_str(), action)).collect();
    let mut to_check = Vec::with_capacity(entries.len());
    let mut bytes = 0_usize;
    for (at, entry) in entries.iter().enumerate() {
        let definition = definition(entry, &stored)?;
        if let Kind::Inline { .. } = entry.kind {
            change.fits(&format!("job_actions[{at}].freezer_action"), definition)?;
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
    let mut links = Vec::with_capacity(entries.len());
    for Entry { link_id, kind } in entries {
        let action_id = match kind {
            Kind::Reference { action_id, .. } => action_id,
            Kind::Inline { action_id, new } => {
                let Change { project_id, user_id, now, .. } = *change;
                actions::create(db, project_id, user_id, action_id, new, now).await?;
                action_id
            }
        };
        links.push(Link { id: link_id.clone(), action_id: action_id.clone() });
    }
    Ok(links)
}

impl Entry {
    /// Returns the id of the action that the entry refers to.
    fn reference(&self) -> Option<&str> {
        match &self.kind {
            Kind::Reference { action_id, .. } => Some(action_id),
            Kind::Inline { .. } => None,
        }
    }
}

impl Checked<'_> {
    fn includes(self, entry: &Entry) -> bool {
        match (self, entry.reference()) {
            (Checked::AllBut(had), Some(action_id)) => !had.iter().any(|id| id == action_id),
            _ => true,
        }
    }

    /// Returns whether the job gets a new action, or one of its actions once more.
    fn grows(self, entries: &[Entry]) -> bool {
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

/// Returns the definition that an entry will run.
fn definition<'a>(
    entry: &'a Entry,
    stored: &HashMap<&str, &'a ActionFields>,
) -> Result<&'a Map<String, Value>, Error> {
    match &entry.kind {
        Kind::Inline { new, .. } => Ok(&new.freezer_action),
        Kind::Reference { action_id, definition } => {
            let Some(action) = stored.get(action_id.as_str()) else {
                return Err(Error::Unprocessable(format!("Action id: {action_id} not found.")));
            };
            match definition {
                Some(given) if !action.is_defined_as(given) => Err(Error::Unprocessable(format!(
                    "Action id: {action_id} is defined otherwise. Update that action, or leave action_id out to \
                     create another."
                ))),
                _ => Ok(&action.freezer_action),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(ids: &[&str]) -> Vec<Entry> {
        let entry = |id: &&str| Entry {
            link_id: "l".to_owned(),
            kind: Kind::Reference { action_id: (*id).to_owned(), definition: None },
        };
        ids.iter().map(entry).collect()
    }

    #[test]
    fn a_job_grows_with_each_further_place_of_an_action() {
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
