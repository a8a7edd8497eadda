//! Actions: creates, updates, replaces and deletes them.

use freezer_store::model::ActionDefinition;
use freezer_store::query::{actions, job_actions};
use freezer_store::{Db, stored_size, transaction};
use serde_json::{Map, Value};

use super::{Change, Extent, Replaced};
use crate::error::Error;
use crate::validate::documents::ActionDocument;
use crate::validate::documents::action::{columns, mandatory};

/// Creates an action and returns its id.
///
/// # Errors
/// `StoreError::Duplicate` if the id that the caller chose is already in use.
pub async fn create(change: Change<'_>, mut document: ActionDocument) -> Result<String, Error> {
    let action_id = document.action_id.take().unwrap_or_else(|| change.ids.document());
    let new = definition(document);
    change.check_size("freezer_action", &new.freezer_action)?;
    transaction!(change.store, "actions.create", |db| {
        let Change { project_id, user_id, now, .. } = change;
        Ok::<_, Error>(actions::create(db, project_id, user_id, &action_id, &new, now).await?)
    })?;
    Ok(action_id)
}

/// Applies a patch to an action. Fields that the patch does not name stay.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such action; [`Error::DocumentTooLarge`] if the action, or a job that uses
/// it, would be too large.
pub async fn update(change: Change<'_>, action_id: &str, patch: &ActionDocument) -> Result<(), Error> {
    let store = &change.store.changing([("actions", action_id)]);
    transaction!(store, "actions.update", |db| {
        let scope = change.scope();
        let Some(stored) = actions::get_for_update(db, &scope, action_id).await? else {
            return Err(Error::not_found("action", action_id));
        };
        let (old, mut freezer_action) = (Extent::of(&stored.freezer_action), stored.freezer_action);
        let changes = patch.freezer_action.clone().unwrap_or_default();
        // These values do not fit their columns, so they stay where they are.
        let is_kept = |key: &&str| changes.get(*key).is_none_or(|new| freezer_action.get(*key) == Some(new));
        let kept: Vec<&str> = stored.only_in_json.iter().copied().filter(is_kept).collect();
        freezer_action.extend(changes);
        change.check_growth("freezer_action", &freezer_action, old)?;
        let mut new = definition(ActionDocument {
            action_id: None,
            max_retries: patch.max_retries.or(stored.max_retries),
            max_retries_interval: patch.max_retries_interval.or(stored.max_retries_interval),
            mandatory: patch.mandatory.or(Some(stored.mandatory)),
            freezer_action: Some(freezer_action),
        });
        kept.into_iter().for_each(|key| new.columns.clear(key));
        check_jobs(db, &change, action_id, &new.freezer_action, old.bytes).await?;
        actions::update(db, &scope, action_id, &new, change.now).await?;
        Ok(())
    })
}

/// Refuses an action that becomes larger if a job that uses it would be too large.
async fn check_jobs(
    db: &mut Db,
    change: &Change<'_>,
    action_id: &str,
    new: &Map<String, Value>,
    old: usize,
) -> Result<(), Error> {
    let size = stored_size(new);
    if size <= old {
        return Ok(());
    }
    let limit = change.max_document;
    match job_actions::larger_with(db, action_id, size, limit).await? {
        Some(job_id) => {
            let field = format!("freezer_action: the job_actions of job {job_id}, which uses this action");
            Err(Error::DocumentTooLarge { field, limit })
        }
        None => Ok(()),
    }
}

/// Creates an action with this id, or replaces the existing one, which keeps its creator.
///
/// # Errors
/// `StoreError::Duplicate` if the id belongs to another project.
pub async fn replace(
    change: Change<'_>,
    action_id: &str,
    document: ActionDocument,
) -> Result<Replaced, Error> {
    let new = definition(document);
    change.check_size("freezer_action", &new.freezer_action)?;
    let store = &change.store.changing([("actions", action_id)]);
    transaction!(store, "actions.replace", |db| {
        let Change { project_id, user_id, now, .. } = change;
        if actions::was_created(db, &change.scope(), action_id, now).await? {
            return Ok(Replaced::Created);
        }
        if let Some(stored) = actions::get_for_update(db, &change.scope(), action_id).await? {
            let old = stored_size(&stored.freezer_action);
            check_jobs(db, &change, action_id, &new.freezer_action, old).await?;
            actions::update(db, &change.scope(), action_id, &new, now).await?;
            return Ok(Replaced::Replaced);
        }
        actions::create(db, project_id, user_id, action_id, &new, now).await?;
        Ok::<_, Error>(Replaced::Created)
    })
}

/// Deletes an action and removes it from the jobs that use it. Returns false if the project has no such action.
pub async fn delete(change: Change<'_>, action_id: &str) -> Result<bool, Error> {
    let store = &change.store.changing([("actions", action_id)]);
    transaction!(store, "actions.delete", |db| {
        Ok::<_, Error>(actions::delete(db, &change.scope(), action_id, change.now).await?)
    })
}

/// Returns the complete action that a document defines, with defaults for absent keys.
pub(super) fn definition(document: ActionDocument) -> ActionDefinition {
    let freezer_action = document.freezer_action.unwrap_or_default();
    ActionDefinition {
        max_retries: document.max_retries.unwrap_or(ActionDefinition::MAX_RETRIES),
        max_retries_interval: document.max_retries_interval.unwrap_or(ActionDefinition::MAX_RETRIES_INTERVAL),
        mandatory: document.mandatory.or_else(|| mandatory(&freezer_action)).unwrap_or(false),
        columns: columns(&freezer_action),
        freezer_action,
    }
}
