//! Inserts of new actions, with their terms and report rows.

use std::collections::BTreeSet;

use super::{TABLE, defined};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::model::ActionDefinition;
use crate::query::action_reports;
use crate::query::action_terms::{self, TermsChange};
use crate::scope::Scope;
use crate::tables::Actions;

/// Stores a new action and its report row.
///
/// # Errors
/// [`StoreError::Duplicate`] if the id is in use.
pub async fn create(
    db: &mut Db,
    project_id: &str,
    user_id: &str,
    action_id: &str,
    new: &ActionDefinition,
    now: Timestamp,
) -> Result<(), StoreError> {
    create_all(db, project_id, user_id, &[(action_id, new)], now).await
}

/// Stores new actions, given by their ids and definitions, and their report rows. Statements write many of
/// them at once.
///
/// # Errors
/// [`StoreError::Duplicate`], with the first id that is in use.
pub async fn create_all(
    db: &mut Db,
    project_id: &str,
    user_id: &str,
    mut new: &[(&str, &ActionDefinition)],
    now: Timestamp,
) -> Result<(), StoreError> {
    while !new.is_empty() {
        let (some, others) = new.split_at(fitting(new));
        create_some(db, project_id, user_id, some, now).await?;
        new = others;
    }
    Ok(())
}

/// Maximum number of actions in one statement.
const INSERTED_AT_ONCE: usize = 100;
/// Maximum size of the definitions in one statement, unless a single one is larger. The smallest limit that
/// servers have by default is 16 MiB.
const INSERTED_BYTES: usize = 1 << 20;

/// Returns how many of the first actions one statement can insert: at least one.
fn fitting(new: &[(&str, &ActionDefinition)]) -> usize {
    let mut bytes = 0_usize;
    let fits = |(_, new): &&(&str, &ActionDefinition)| {
        bytes = bytes.saturating_add(json::stored_size(&new.freezer_action));
        bytes <= INSERTED_BYTES
    };
    new.iter().take(INSERTED_AT_ONCE).take_while(fits).count().max(1).min(new.len())
}

async fn create_some(
    db: &mut Db,
    project_id: &str,
    user_id: &str,
    new: &[(&str, &ActionDefinition)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut ids: Vec<&str> = new.iter().map(|(id, _)| *id).collect();
    let created = TABLE.created_among(db, &Scope::project(project_id), &ids, now).await?;
    ids.retain(|id| !created.contains(*id));
    let has_terms = db.has_action_terms().await?;
    let mut rows = Vec::with_capacity(new.len());
    let mut changes = Vec::new();
    for (action_id, new) in new.iter().filter(|(id, _)| !created.contains(*id)) {
        let text = json::to_text(&new.freezer_action);
        let mut values = defined(new, &text);
        values.push((Actions::UserId, user_id.into()));
        if has_terms {
            let found = action_terms::of_definition(action_id, new, &text);
            values.extend(action_terms::stored(action_id, project_id, new, &text, &found));
            let (project_id, action_id) = (project_id.to_owned(), (*action_id).to_owned());
            changes.push(TermsChange { project_id, action_id, old: BTreeSet::new(), new: found });
        }
        rows.push((*action_id, values));
    }
    if rows.len() < 2 || !TABLE.insert_together(db, project_id, &rows, now).await? {
        for (at, (action_id, values)) in rows.into_iter().enumerate() {
            match TABLE.insert_new(db, action_id, project_id, &values, now).await {
                Err(error) if error.is_duplicate() => {}
                done => {
                    done?;
                    continue;
                }
            }
            if let Some(change) = changes.get_mut(at) {
                // The table still has the terms of the deleted action.
                change.old = action_terms::of_deleted(db, project_id, action_id).await?;
                change.old.retain(|term| !change.new.contains(term));
            }
            TABLE.revive(db, action_id, project_id, values, now).await?;
        }
    }
    action_terms::write(db, &changes.iter().collect::<Vec<_>>()).await?;
    action_reports::create(db, project_id, user_id, &ids, now).await
}
