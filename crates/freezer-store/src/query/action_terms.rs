//! The table `fz_action_terms`: the terms that actions have (`search/action_terms.rs`). It is written with every action, and
//! read by searches for jobs (`jobs/candidates.rs`).

use std::collections::BTreeSet;

use sea_query::{Condition, Expr, ExprTrait, LockType, Query};
use serde_json::Value;

use super::{Values, listing, unreadable};
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, Place};
use crate::model::{Action, ActionColumns, ActionDefinition};
use crate::scope::Scope;
use crate::search::action_terms::{self as terms, Term};
use crate::tables::{Actions, FzActionTerms};

/// Rows that one statement inserts, and that one deletes.
const INSERTED_AT_ONCE: usize = 250;
const DELETED_AT_ONCE: usize = 100;

/// The terms of an action before and after a change.
pub(crate) struct Entry {
    pub(crate) project_id: String,
    pub(crate) action_id: String,
    /// Those that the table has.
    pub(crate) old: BTreeSet<Term>,
    /// Those that it is to have.
    pub(crate) new: BTreeSet<Term>,
}

/// Writes the rows of actions. The rows of `actions` must be new or locked.
pub(crate) async fn write(db: &mut Db, entries: &[&Entry]) -> Result<(), StoreError> {
    let rows = |pick: fn(&Entry) -> Vec<Term>| -> Vec<(&Entry, Term)> {
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
        // rows of an earlier life of the action may be there
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

/// Returns the terms of a definition; `text` is its JSON as it is stored.
pub(super) fn of(action_id: &str, new: &ActionDefinition, text: &str) -> BTreeSet<Term> {
    let place = Place { table: "actions", column: "backup_metadata", id: action_id };
    let columns = &new.columns;
    let shown = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::from);
    let columns = ActionColumns::named(
        [
            shown(&columns.backup_name),
            columns.action.as_str().into(),
            shown(&columns.mode),
            shown(&columns.container),
            shown(&columns.path_to_backup),
            shown(&columns.log_file),
        ],
        [number(columns.timeout), number(columns.priority)],
    );
    terms::of(&Action {
        project_id: String::new(),
        action_id: action_id.to_owned(),
        user_id: String::new(),
        max_retries: Some(new.max_retries),
        max_retries_interval: Some(new.max_retries_interval),
        mandatory: new.mandatory,
        timeout: None,
        freezer_action: json::raw_object_with(Some(text.to_owned()), &columns, place),
    })
}

/// Returns the columns of an action that say which terms it has.
pub(super) fn stored(
    action_id: &str,
    project_id: &str,
    new: &ActionDefinition,
    text: &str,
    found: &BTreeSet<Term>,
) -> Values<Actions> {
    let crc = terms::crc(action_id, project_id, new, text);
    vec![(Actions::FzTerms, Expr::value(terms::to_bytes(found))), (Actions::FzTermsCrc, crc.into())]
}

/// The project of a live action of the scope and the terms that the table has of it, locked until the transaction ends.
pub(super) async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    action_id: &str,
) -> Result<Option<(String, BTreeSet<Term>)>, StoreError> {
    let mut select = Query::select();
    select
        .columns([Actions::ProjectId, Actions::FzTerms])
        .from(Actions::Table)
        .and_where(Expr::col(Actions::Id).eq(action_id))
        .and_where(Expr::col(Actions::Deleted).eq(false))
        .cond_where(scope.holds(Actions::ProjectId))
        .lock(LockType::Update);
    let Some(row) = db.select_one(&select).await? else { return Ok(None) };
    let at = unreadable(db.doing());
    let project_id = row.string(0).map_err(&at)?;
    Ok(Some((project_id, terms::from_bytes(&row.bytes(1).map_err(&at)?.unwrap_or_default()))))
}

/// Removes the rows of actions that are about to be removed for good.
pub(crate) async fn remove(db: &mut Db, action_ids: &[&str]) -> Result<(), StoreError> {
    let mut select = Query::select();
    select
        .columns([Actions::Id, Actions::ProjectId, Actions::FzTerms])
        .from(Actions::Table)
        .and_where(Expr::col(Actions::Id).is_in(listing::padded(action_ids.to_vec())))
        // not one that came back to life meanwhile
        .and_where(Expr::col(Actions::Deleted).eq(true))
        .lock(LockType::Update);
    let at = unreadable(db.doing());
    let mut entries = Vec::with_capacity(action_ids.len());
    for row in db.select(&select).await? {
        entries.push(Entry {
            action_id: row.string(0).map_err(&at)?,
            project_id: row.string(1).map_err(&at)?,
            old: terms::from_bytes(&row.bytes(2).map_err(&at)?.unwrap_or_default()),
            new: BTreeSet::new(),
        });
    }
    write(db, &entries.iter().collect::<Vec<_>>()).await
}
