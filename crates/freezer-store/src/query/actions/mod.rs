//! Queries on `actions`: definitions with their report rows and their links to jobs.

mod insert;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sea_query::{Expr, ExprTrait, LockType, Order, Query, SelectStatement};
use serde_json::{Map, Value};

use super::action_terms::{self, TermsChange};
use super::listing::{self, Listed, Page, TableList};
use super::narrow::{Shape, Source};
use super::within::{check_tree, read_within};
use super::{TableColumns, Values, action_reports, job_actions, table_columns, unreadable};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::model::{Action, ActionColumns, ActionDefinition, ActionFields};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::tables::{Actions, Column, StoredAction};

pub use insert::{create, create_all};

const TABLE: TableColumns<Actions> = table_columns!(Actions);

/// The columns whose size is unlimited.
const TEXTS: &[Actions] = &[Actions::BackupMetadata];

/// The sources of an action's keys.
pub(super) const SHAPE: Shape<(Actions, Actions)> = Shape {
    sources: &[
        Source::Blank("action_id", (Actions::Table, Actions::Id)),
        Source::Blank("project_id", (Actions::Table, Actions::ProjectId)),
        Source::Blank("user_id", (Actions::Table, Actions::UserId)),
        Source::Int("max_retries", (Actions::Table, Actions::MaxRetries)),
        Source::Int("max_retries_interval", (Actions::Table, Actions::MaxRetriesInterval)),
        Source::Text("backup_name", (Actions::Table, Actions::BackupName)),
        Source::Text("action", (Actions::Table, Actions::Action)),
        Source::Text("mode", (Actions::Table, Actions::Actionmode)),
        Source::Text("container", (Actions::Table, Actions::Container)),
        Source::Int("timeout", (Actions::Table, Actions::Timeout)),
        Source::Int("priority", (Actions::Table, Actions::Priority)),
        Source::Text("path_to_backup", (Actions::Table, Actions::PathToBackup)),
        Source::Text("log_file", (Actions::Table, Actions::LogFile)),
        Source::Changed((Actions::Table, Actions::BackupMetadata)),
    ],
    // `mandatory` is a flag whose NULL means false.
    opaque: &["freezer_action", "mandatory"],
    identity: &["action_id", "project_id", "user_id"],
    time: None,
    whole: true,
};

const LIST: TableList<Actions, (Actions, Actions)> = TableList {
    columns: TABLE,
    shape: SHAPE,
    order: [(Actions::Table, Actions::CreatedAt), (Actions::Table, Actions::Id)],
    index: "fz_actions_project",
    found_by: "action_id",
    texts: ("action", TEXTS),
};

/// Returns an action of the scope.
pub async fn get(db: &mut Db, scope: &Scope, action_id: &str) -> Result<Option<Action>, StoreError> {
    let mut select = live(scope);
    select.and_where(Expr::col(Actions::Id).eq(action_id));
    let stored = read_within::<StoredAction, _>(db, &select, ("action", action_id), TEXTS).await?;
    Ok(stored.map(Action::from))
}

/// Returns an action of the scope and locks it until the transaction ends.
pub async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    action_id: &str,
) -> Result<Option<ActionFields>, StoreError> {
    let mut select = live(scope);
    select.and_where(Expr::col(Actions::Id).eq(action_id)).lock(LockType::Update);
    let stored = read_within::<StoredAction, _>(db, &select, ("action", action_id), TEXTS).await?;
    let Some(mut row) = stored else { return Ok(None) };
    check_tree(db.doing(), db.tree_limit(), ("action", action_id), &[row.definition.as_deref()])?;
    let definition = row.definition.take();
    let definition = json::tree_to_change(definition, Actions::BackupMetadata.of_row(&row.action_id)).await;
    Ok(Some(fields(row, definition)))
}

/// Passes those of the given actions that the scope has to `each`, one at a time, so that they are not all in memory
/// together. If `locked`, their rows are locked until the transaction ends.
pub async fn for_each(
    db: &mut Db,
    scope: &Scope,
    ids: impl IntoIterator<Item = String>,
    locked: bool,
    mut each: impl FnMut(ActionFields) -> ControlFlow<()> + Send,
) -> Result<(), StoreError> {
    let ids: BTreeSet<String> = ids.into_iter().collect();
    let ids: Vec<String> = ids.into_iter().collect();
    let mut has_ended = false;
    for some in ids.chunks(READ_AT_ONCE) {
        let mut select = live(scope);
        select.and_where(Expr::col(Actions::Id).is_in(listing::padded(some.to_vec())));
        if locked {
            select.lock(LockType::Update);
        }
        let (doing, limit) = (db.doing(), db.tree_limit());
        let read = |mut row: Row| {
            let stored: StoredAction = row.read().map_err(unreadable(doing))?;
            let flow = each(tree(stored, doing, limit)?);
            has_ended = flow.is_break();
            Ok(flow)
        };
        db.select_each(&select, read).await?;
        if has_ended {
            break;
        }
    }
    Ok(())
}

/// Maximum number of ids in one statement. Databases limit the number of placeholders.
const READ_AT_ONCE: usize = 4_096;

/// The state of an action that a caller may have read earlier.
#[derive(Debug)]
pub struct History {
    /// Its id.
    pub action_id: String,
    /// Whether it was changed or deleted after its creation.
    pub has_changed: bool,
}

/// Returns the history of the given actions of the scope, including deleted actions.
pub async fn histories(db: &mut Db, scope: &Scope, ids: Vec<String>) -> Result<Vec<History>, StoreError> {
    let mut select = Query::select();
    select
        .column(Actions::Id)
        .expr(Expr::col(Actions::Deleted).eq(true).or(Expr::col(Actions::UpdatedAt).is_not_null()))
        .from(Actions::Table)
        .and_where(Expr::col(Actions::Id).is_in(listing::padded(ids)))
        .cond_where(scope.holds(Actions::ProjectId));
    let rows = db.read::<(String, bool)>(&select).await?;
    Ok(rows.into_iter().map(|(action_id, has_changed)| History { action_id, has_changed }).collect())
}

/// Passes the actions of a job of the scope to `each`, one at a time, in the order of execution. An action that the job
/// contains several times is passed once.
pub async fn for_each_of_job(
    db: &mut Db,
    scope: &Scope,
    job_id: &str,
    mut each: impl FnMut(ActionFields) -> ControlFlow<()> + Send,
) -> Result<(), StoreError> {
    let mut select = live(scope);
    select
        .and_where(Expr::col(Actions::Id).in_subquery(job_actions::actions_of_job(job_id)))
        .order_by_expr(job_actions::place_in_job(job_id).into(), Order::Asc);
    let (doing, limit) = (db.doing(), db.tree_limit());
    let read = |mut row: Row| {
        let stored: StoredAction = row.read().map_err(unreadable(doing))?;
        Ok(each(tree(stored, doing, limit)?))
    };
    db.select_each(&select, read).await
}

/// Returns the actions of the scope.
pub async fn list(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: &Page,
) -> Result<Listed<Action>, StoreError> {
    LIST.list::<StoredAction, _>(db, scope, search, page).await
}

/// Returns whether an earlier run of this body created the action (`repeat.rs`).
pub async fn was_created(db: &mut Db, scope: &Scope, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    TABLE.was_created(db, scope, id, now).await
}

/// Replaces the definition of an action. Returns false if the scope has no such action.
pub async fn update(
    db: &mut Db,
    scope: &Scope,
    action_id: &str,
    new: &ActionDefinition,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let text = json::to_text(&new.freezer_action);
    let mut values = defined(new, &text);
    if !db.has_action_terms().await? {
        return TABLE.update(db, scope, action_id, values, now).await;
    }
    let Some((project_id, old)) = action_terms::get_for_update(db, scope, action_id).await? else {
        return Ok(false);
    };
    let terms = action_terms::of_definition(action_id, new, &text);
    values.extend(action_terms::stored(action_id, &project_id, new, &text, &terms));
    let entry = TermsChange { project_id, action_id: action_id.to_owned(), old, new: terms };
    action_terms::write(db, &[&entry]).await?;
    TABLE.update(db, scope, action_id, values, now).await
}

/// Deletes an action with its report and removes it from the jobs that use it. Returns false if the scope has
/// no such action.
pub async fn delete(db: &mut Db, scope: &Scope, action_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    if !TABLE.delete(db, scope, action_id, now).await? {
        return Ok(false);
    }
    job_actions::delete_of_action(db, action_id, now).await?;
    action_reports::delete(db, scope, action_id, now).await?;
    Ok(true)
}

fn defined(new: &ActionDefinition, text: &str) -> Values<Actions> {
    let columns = &new.columns;
    vec![
        (Actions::Action, columns.action.as_str().into()),
        (Actions::Actionmode, Expr::value(columns.mode.clone())),
        (Actions::PathToBackup, Expr::value(columns.path_to_backup.clone())),
        (Actions::BackupName, Expr::value(columns.backup_name.clone())),
        (Actions::Container, Expr::value(columns.container.clone())),
        (Actions::LogFile, Expr::value(columns.log_file.clone())),
        (Actions::Timeout, Expr::value(columns.timeout)),
        (Actions::Priority, Expr::value(columns.priority)),
        (Actions::MaxRetries, new.max_retries.into()),
        (Actions::MaxRetriesInterval, new.max_retries_interval.into()),
        (Actions::Mandatory, new.mandatory.into()),
        (Actions::BackupMetadata, text.into()),
    ]
}

impl listing::ListedDocument for Action {
    fn size(&self) -> usize {
        listing::KEYS + self.freezer_action.get().len()
    }
}

fn live(scope: &Scope) -> SelectStatement {
    TABLE.live::<StoredAction>(TABLE.in_scope(scope))
}

impl From<StoredAction> for Action {
    fn from(mut row: StoredAction) -> Action {
        let (columns, definition) = (shown_columns(&mut row), row.definition);
        let place = Actions::BackupMetadata.of_row(&row.action_id);
        Action {
            freezer_action: json::raw_object_with(definition, &columns, place),
            project_id: row.project_id,
            user_id: row.user_id,
            max_retries: row.max_retries,
            max_retries_interval: row.max_retries_interval,
            mandatory: row.mandatory,
            timeout: row.timeout,
            action_id: row.action_id,
        }
    }
}

/// Returns the fields of an action if the tree of its definition takes at most `limit` bytes of memory.
fn tree(row: StoredAction, doing: &'static str, limit: u64) -> Result<ActionFields, StoreError> {
    check_tree(doing, limit, ("action", &row.action_id), &[row.definition.as_deref()])?;
    Ok(parsed(row))
}

/// Returns the fields of an action for comparisons. A definition that cannot be read is empty.
pub(super) fn parsed(row: StoredAction) -> ActionFields {
    let place = Actions::BackupMetadata.of_row(&row.action_id);
    let definition = json::object(row.definition.as_deref(), place);
    fields(row, definition)
}

/// Returns the fields that a change starts from. `freezer_action` is the parsed definition of the row.
fn fields(mut row: StoredAction, mut freezer_action: Map<String, Value>) -> ActionFields {
    let columns = shown_columns(&mut row);
    let only_in_json = only_in_json(&columns, &freezer_action);
    json::replace_values(&mut freezer_action, &columns);
    ActionFields {
        only_in_json,
        max_retries: row.max_retries,
        max_retries_interval: row.max_retries_interval,
        mandatory: row.mandatory,
        freezer_action,
        action_id: row.action_id,
    }
}

/// Returns the keys whose column is empty although the definition has a value.
pub(crate) fn only_in_json(
    columns: &[(&'static str, Value)],
    definition: &Map<String, Value>,
) -> Vec<&'static str> {
    let has_value = |key: &str| definition.get(key).is_some_and(|value| !json::is_empty(value));
    columns
        .iter()
        .filter(|(key, value)| json::is_empty(value) && has_value(key))
        .map(|(key, _)| *key)
        .collect()
}

/// Returns the keys of a definition that have columns, in the order of their display if the JSON lacks them.
/// Null is an empty column. It is only shown if the JSON contains the key, because agents of 7.2.0 fail on a
/// key without a value.
fn shown_columns(row: &mut StoredAction) -> [(&'static str, Value); 8] {
    let text = |text: &mut Option<String>| text.take().map_or(Value::Null, Value::String);
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::from);
    ActionColumns::named(
        [
            text(&mut row.backup_name),
            text(&mut row.action),
            text(&mut row.mode),
            text(&mut row.container),
            text(&mut row.path_to_backup),
            text(&mut row.log_file),
        ],
        [number(row.timeout), number(row.priority)],
    )
}
