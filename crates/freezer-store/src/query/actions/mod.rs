//! Queries on `actions`: definitions with their report rows and their links to jobs.

mod insert;

use std::collections::BTreeSet;

use sea_query::{Expr, ExprTrait, Func, LockType, Order, Query, SelectStatement};
use serde_json::{Map, Value};

use super::action_terms::{self, TermsChange};
use super::listing::{self, DocumentQuery, DocumentReader, Listed, Page};
use super::narrow::{self, Shape, Source};
use super::{TableColumns, Values, action_reports, jobs, table, unreadable};
use crate::clock::Timestamp;
use crate::error::{DriverError, StoreError};
use crate::exec::Db;
use crate::json::{self, StoredField};
use crate::model::{Action, ActionColumns, ActionDefinition, ActionFields};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::tables::{Actions, JobActions};

pub use insert::{create, create_all};

const TABLE: TableColumns<Actions> = table!("actions", Actions);

/// Columns after (created_at, id), in the order of [`read`].
pub(crate) const COLUMNS: [Actions; 14] = [
    Actions::ProjectId,
    Actions::UserId,
    Actions::MaxRetries,
    Actions::MaxRetriesInterval,
    Actions::Mandatory,
    Actions::BackupMetadata,
    Actions::BackupName,
    Actions::Action,
    Actions::Actionmode,
    Actions::Container,
    Actions::Timeout,
    Actions::Priority,
    Actions::PathToBackup,
    Actions::LogFile,
];

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

/// Returns an action of the scope.
pub async fn get(db: &mut Db, scope: &Scope, action_id: &str) -> Result<Option<Action>, StoreError> {
    let mut select = live(scope);
    select.and_where(Expr::col(Actions::Id).eq(action_id));
    let row = db.select_one(&select).await?;
    row.map(|mut row| read(db.doing(), &mut row, 0)).transpose()
}

/// Returns an action of the scope and locks it until the transaction ends.
pub async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    action_id: &str,
) -> Result<Option<ActionFields>, StoreError> {
    let mut select = live(scope);
    select.and_where(Expr::col(Actions::Id).eq(action_id)).lock(LockType::Update);
    let Some(mut row) = db.select_one(&select).await? else { return Ok(None) };
    read_fields(db.doing(), &mut row, json::object_to_change).map(Some)
}

/// Returns the given actions that the scope has. If `locked`, their rows are locked until the transaction ends.
pub async fn get_many(
    db: &mut Db,
    scope: &Scope,
    ids: Vec<String>,
    locked: bool,
) -> Result<Vec<ActionFields>, StoreError> {
    let ids: BTreeSet<String> = ids.into_iter().collect();
    let ids: Vec<String> = ids.into_iter().collect();
    let mut found = Vec::with_capacity(ids.len());
    for some in ids.chunks(READ_AT_ONCE) {
        let mut select = live(scope);
        select.and_where(Expr::col(Actions::Id).is_in(listing::padded(some.to_vec())));
        if locked {
            select.lock(LockType::Update);
        }
        for mut row in db.select(&select).await? {
            found.push(read_fields(db.doing(), &mut row, json::object)?);
        }
    }
    Ok(found)
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
    let rows = db.select(&select).await?;
    let at = unreadable(db.doing());
    let read = |row: &Row| {
        Ok(History {
            action_id: row.string(0).map_err(&at)?,
            has_changed: row.int(1).map_err(&at)? == Some(1),
        })
    };
    rows.iter().map(read).collect()
}

/// Returns the actions of a job of the scope, in the order of execution.
pub async fn get_of_job(db: &mut Db, scope: &Scope, job_id: &str) -> Result<Vec<ActionFields>, StoreError> {
    let mut linked = Query::select();
    linked
        .from(JobActions::Table)
        .and_where(Expr::col(JobActions::JobId).eq(job_id))
        .and_where(Expr::col(JobActions::Deleted).eq(false));
    let place = linked
        .clone()
        .expr(Func::min(Expr::col(JobActions::Position)))
        .and_where(Expr::col(JobActions::ActionId).equals((Actions::Table, Actions::Id)))
        .to_owned();
    let mut select = live(scope);
    select
        .and_where(Expr::col(Actions::Id).in_subquery(linked.column(JobActions::ActionId).to_owned()))
        .order_by_expr(place.into(), Order::Asc);
    let rows = db.select(&select).await?;
    rows.into_iter().map(|mut row| read_fields(db.doing(), &mut row, json::object)).collect()
}

/// Returns the actions of the scope.
pub async fn list(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: &Page,
) -> Result<Listed<Action>, StoreError> {
    let select = live(scope);
    let mut narrowed = select.clone();
    narrow::narrow::<_, Actions>(db.dialect(), &mut narrowed, search, &SHAPE, None);
    let listing = DocumentQuery {
        select,
        narrowed: vec![narrowed],
        along: scope.of_project("fz_actions_project"),
        marked: TABLE.marked(scope.holds(Actions::ProjectId), page),
        created_at: (Actions::Table, Actions::CreatedAt),
        id: (Actions::Table, Actions::Id),
        search,
        shape: &SHAPE,
        page,
        among: None,
        counted: None,
    };
    let doing = db.doing();
    let parts =
        DocumentReader { read: |row: &mut Row| read(doing, row, 0), complete: listing::nothing_missing };
    listing::list(db, listing, None, parts).await
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
    jobs::unlink(db, JobActions::ActionId, action_id, now).await?;
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
    let mut select = Query::select();
    select
        .column(Actions::CreatedAt)
        .column(Actions::Id)
        .columns(COLUMNS)
        .from(Actions::Table)
        .and_where(Expr::col(Actions::Deleted).eq(false))
        .cond_where(scope.holds(Actions::ProjectId));
    select
}

/// Reads an action whose (created_at, id, [`COLUMNS`]) begin at position `from`. The time is not read.
pub(crate) fn read(doing: &'static str, row: &mut Row, from: usize) -> Result<Action, StoreError> {
    let at = unreadable(doing);
    let action_id = row.take_string(from + 1).map_err(&at)?;
    let metadata = row.take_text(from + 7).map_err(&at)?;
    let place = StoredField { table: "actions", column: "backup_metadata", id: &action_id };
    let columns = columns(&at, row, from)?;
    Ok(Action {
        project_id: row.take_string(from + 2).map_err(&at)?,
        user_id: row.take_string(from + 3).map_err(&at)?,
        max_retries: row.int(from + 4).map_err(&at)?,
        max_retries_interval: row.int(from + 5).map_err(&at)?,
        mandatory: row.flag(from + 6).map_err(&at)?,
        timeout: row.int(from + 12).map_err(&at)?,
        freezer_action: json::raw_object_with(metadata, &columns, place),
        action_id,
    })
}

/// Reads the fields that a change starts from. The parameter reads the stored definition.
pub(super) fn read_fields(
    doing: &'static str,
    row: &mut Row,
    definition: fn(Option<&str>, StoredField<'_>) -> Map<String, Value>,
) -> Result<ActionFields, StoreError> {
    let at = unreadable(doing);
    let action_id = row.take_string(1).map_err(&at)?;
    let metadata = row.take_text(7).map_err(&at)?;
    let place = StoredField { table: "actions", column: "backup_metadata", id: &action_id };
    let mut freezer_action = definition(metadata.as_deref(), place);
    for (key, value) in columns(&at, row, 0)? {
        if !value.is_null() || freezer_action.contains_key(key) {
            freezer_action.insert(key.to_owned(), value);
        }
    }
    Ok(ActionFields {
        max_retries: row.int(4).map_err(&at)?,
        max_retries_interval: row.int(5).map_err(&at)?,
        mandatory: row.flag(6).map_err(&at)?,
        freezer_action,
        action_id,
    })
}

/// Returns the keys of a definition that have columns, in the order of their display if the JSON lacks them.
/// Null is an empty column. It is only shown if the JSON contains the key, because agents of 7.2.0 fail on a
/// key without a value.
fn columns(
    at: &impl Fn(DriverError) -> StoreError,
    row: &mut Row,
    from: usize,
) -> Result<[(&'static str, Value); 8], StoreError> {
    let int = |row: &Row, position: usize| -> Result<Value, StoreError> {
        Ok(row.int(from + position).map_err(at)?.map_or(Value::Null, Value::from))
    };
    let (timeout, priority) = (int(row, 12)?, int(row, 13)?);
    let mut text = |position: usize| -> Result<Value, StoreError> {
        Ok(row.take_text(from + position).map_err(at)?.map_or(Value::Null, Value::String))
    };
    Ok(ActionColumns::named(
        [text(8)?, text(9)?, text(10)?, text(11)?, text(14)?, text(15)?],
        [timeout, priority],
    ))
}
