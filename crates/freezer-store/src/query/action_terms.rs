//! The table `fz_action_terms`: the terms of actions (`search/action_terms.rs`). Every change of an action
//! writes it, and searches for jobs read it (`jobs/candidates.rs`).

use std::collections::BTreeSet;

use sea_query::{Condition, Expr, ExprTrait, LockType, Query};

use super::{Values, listing};
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::model::{Action, ActionDefinition};
use crate::scope::Scope;
use crate::search::action_terms::{self as terms, ActionTerm};
use crate::tables::{Actions, Column, FzActionTerms};

/// Maximum number of rows of an INSERT, and of a DELETE.
const INSERTED_AT_ONCE: usize = 250;
const DELETED_AT_ONCE: usize = 100;

/// The terms of an action before and after a change.
pub(crate) struct TermsChange {
    pub(crate) project_id: String,
    pub(crate) action_id: String,
    /// The terms in the table.
    pub(crate) old: BTreeSet<ActionTerm>,
    /// The new terms.
    pub(crate) new: BTreeSet<ActionTerm>,
}

/// Updates the rows of actions. The rows of `actions` must be new or locked.
pub(crate) async fn write(db: &mut Db, entries: &[&TermsChange]) -> Result<(), StoreError> {
    let rows = |pick: fn(&TermsChange) -> Vec<ActionTerm>| -> Vec<(&TermsChange, ActionTerm)> {
        entries.iter().flat_map(|entry| pick(entry).into_iter().map(|term| (*entry, term))).collect()
    };
    let gone = rows(|entry| entry.old.difference(&entry.new).copied().collect());
    for some in gone.chunks(DELETED_AT_ONCE) {
        let mut any = Condition::any();
        for (entry, term) in some {
            any = any.add(
                Condition::all()
                    .add(Expr::col(FzActionTerms::Term).eq(*term))
                    .add(Expr::col(FzActionTerms::ProjectId).eq(entry.project_id.as_str()))
                    .add(Expr::col(FzActionTerms::ActionId).eq(entry.action_id.as_str())),
            );
        }
        db.execute(Query::delete().from_table(FzActionTerms::Table).cond_where(any)).await?;
    }
    let added = rows(|entry| entry.new.difference(&entry.old).copied().collect());
    for some in added.chunks(INSERTED_AT_ONCE) {
        let mut insert = Query::insert();
        // Rows from before the deletion of the action may exist.
        insert.replace().into_table(FzActionTerms::Table).columns([
            FzActionTerms::Term,
            FzActionTerms::ProjectId,
            FzActionTerms::ActionId,
        ]);
        for (entry, term) in some {
            insert.values_panic([
                (*term).into(),
                entry.project_id.as_str().into(),
                entry.action_id.as_str().into(),
            ]);
        }
        db.execute(&insert).await?;
    }
    Ok(())
}

/// Returns the terms of a definition. `text` is its stored JSON.
pub(super) fn of_definition(action_id: &str, new: &ActionDefinition, text: &str) -> BTreeSet<ActionTerm> {
    let place = Actions::BackupMetadata.of_row(action_id);
    terms::of_action(&Action {
        project_id: String::new(),
        action_id: action_id.to_owned(),
        user_id: String::new(),
        max_retries: Some(new.max_retries),
        max_retries_interval: Some(new.max_retries_interval),
        mandatory: new.mandatory,
        timeout: None,
        freezer_action: json::raw_object_with(Some(text.to_owned()), &new.columns.shown(), place),
    })
}

/// Returns the columns of an action that contain its terms.
pub(super) fn stored(
    action_id: &str,
    project_id: &str,
    new: &ActionDefinition,
    text: &str,
    found: &BTreeSet<ActionTerm>,
) -> Values<Actions> {
    let crc = terms::crc(action_id, project_id, new, text);
    vec![(Actions::FzTerms, Expr::value(terms::to_bytes(found))), (Actions::FzTermsCrc, crc.into())]
}

/// Returns the project of a live action in scope and its terms in the table. The row is locked until the
/// transaction ends.
pub(super) async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    action_id: &str,
) -> Result<Option<(String, BTreeSet<ActionTerm>)>, StoreError> {
    listed(db, scope, action_id, false).await
}

/// Returns the terms that the table has of a deleted action of the project, and locks its row. They stay until the
/// action is purged.
pub(super) async fn of_deleted(
    db: &mut Db,
    project_id: &str,
    action_id: &str,
) -> Result<BTreeSet<ActionTerm>, StoreError> {
    let found = listed(db, &Scope::project(project_id), action_id, true).await?;
    Ok(found.map(|(_, terms)| terms).unwrap_or_default())
}

async fn listed(
    db: &mut Db,
    scope: &Scope,
    action_id: &str,
    is_deleted: bool,
) -> Result<Option<(String, BTreeSet<ActionTerm>)>, StoreError> {
    let mut select = Query::select();
    select
        .columns([Actions::ProjectId, Actions::FzTerms])
        .from(Actions::Table)
        .and_where(Expr::col(Actions::Id).eq(action_id))
        .and_where(Expr::col(Actions::Deleted).eq(is_deleted))
        .cond_where(scope.holds(Actions::ProjectId))
        .lock(LockType::Update);
    let found = db.read_one::<(String, Option<Vec<u8>>)>(&select).await?;
    Ok(found.map(|(project_id, bytes)| (project_id, terms::from_bytes(&bytes.unwrap_or_default()))))
}

/// Removes the rows of actions before these are purged.
pub(crate) async fn remove(db: &mut Db, action_ids: &[&str]) -> Result<(), StoreError> {
    let mut select = Query::select();
    select
        .columns([Actions::Id, Actions::ProjectId, Actions::FzTerms])
        .from(Actions::Table)
        .and_where(Expr::col(Actions::Id).is_in(listing::padded(action_ids.to_vec())))
        // Not for an action that was restored meanwhile.
        .and_where(Expr::col(Actions::Deleted).eq(true))
        .lock(LockType::Update);
    let rows = db.read::<(String, String, Option<Vec<u8>>)>(&select).await?;
    let entries: Vec<TermsChange> = rows
        .into_iter()
        .map(|(action_id, project_id, bytes)| TermsChange {
            action_id,
            project_id,
            old: terms::from_bytes(&bytes.unwrap_or_default()),
            new: BTreeSet::new(),
        })
        .collect();
    write(db, &entries.iter().collect::<Vec<_>>()).await
}
