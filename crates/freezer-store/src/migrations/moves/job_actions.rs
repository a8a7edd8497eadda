//! The JSON list in `jobs.job_actions` becomes rows of `job_actions`, and of `actions` where needed.
//!
//! In the releases before 19.0.0 the list was what a job ran: each entry holds the whole definition, with or without the
//! id of an action that is said to be the same. So the definition decides:
//!
//! - an entry whose action is there, alive, in the job's project, and defined the same, becomes a link to it;
//! - any other entry that names an action becomes an action of its own and a link to that one. (Upstream links to the
//!   action of that id whatever it says by now, also to a deleted one.)
//! - an entry that names none is left out, as upstream does, and what is no list of objects gives no actions at all; the
//!   text is then kept in `freezer_leftovers`.
//!
//! Ids are derived from job and position, so that a move which is run again makes the same rows.

use std::collections::{HashMap, HashSet};

use sea_query::{Alias, Expr, ExprTrait, Iden, IntoTableRef, Order, Query};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{BATCH, leftovers};
use crate::error::StoreError;
use crate::exec::Db;
use crate::model::ActionFields;
use crate::query;
use crate::row::Row;
use crate::scope::Scope;
use crate::tables::{ActionReports, Actions, JobActions};

/// Namespace of the ids that a move makes; drawn once, never to change.
const MOVED: Uuid = Uuid::from_u128(0x3d0c_58a1_9a0f_4b7a_8f0e_6a3f_54d1_c9e2);

/// Widths of the columns that a definition's texts go to; a longer one stays in the JSON alone.
const TEXT_WIDTH: usize = 255;
const ID_WIDTH: usize = 36;

/// The table as it was, with the column that goes.
#[derive(Iden, Clone, Copy)]
enum Jobs {
    Table,
    Id,
    ProjectId,
    UserId,
    JobActions,
    Deleted,
}

struct Job {
    id: String,
    project_id: String,
    user_id: String,
    text: Option<String>,
    deleted: Option<i64>,
}

/// Moves one batch behind the job `after`; gives the last job of it, and how many it had.
pub(in crate::migrations) async fn batch(
    db: &mut Db,
    after: Option<&str>,
) -> Result<Option<(String, u64)>, StoreError> {
    let mut select = Query::select();
    select
        .columns([Jobs::Id, Jobs::ProjectId, Jobs::UserId, Jobs::JobActions, Jobs::Deleted])
        .from(Jobs::Table)
        .order_by(Jobs::Id, Order::Asc)
        .limit(BATCH);
    if let Some(after) = after {
        select.and_where(Expr::col(Jobs::Id).gt(after));
    }
    let rows = db.select(&select).await?;
    let jobs = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let Some(last) = jobs.last().map(|job| job.id.clone()) else { return Ok(None) };
    let done = linked(db, &jobs).await?;
    for job in jobs.iter().filter(|job| !done.contains(&job.id)) {
        move_one(db, job).await?;
    }
    Ok(Some((last, jobs.len() as u64)))
}

fn read(row: &Row) -> Result<Job, StoreError> {
    let at = |error| StoreError::from_driver("schema.move_job_actions", error);
    Ok(Job {
        id: row.string(0).map_err(at)?,
        project_id: row.string(1).map_err(at)?,
        user_id: row.string(2).map_err(at)?,
        text: row.text(3).map_err(at)?,
        deleted: row.int(4).map_err(at)?,
    })
}

/// Jobs that have links already: their batch was moved by an earlier run, all of it or nothing.
async fn linked(db: &mut Db, jobs: &[Job]) -> Result<HashSet<String>, StoreError> {
    let mut select = Query::select();
    select
        .distinct()
        .column(JobActions::JobId)
        .from(JobActions::Table)
        .and_where(Expr::col(JobActions::JobId).is_in(jobs.iter().map(|job| job.id.as_str())));
    let rows = db.select(&select).await?;
    let at = |error| StoreError::from_driver("schema.move_job_actions", error);
    rows.iter().map(|row| row.string(0).map_err(at)).collect()
}

async fn move_one(db: &mut Db, job: &Job) -> Result<(), StoreError> {
    let Some(text) =
        job.text.as_deref().filter(|text| !matches!(text.trim(), "" | "null" | "\"\"" | "[]" | "{}"))
    else {
        return Ok(());
    };
    let entries: Vec<Value> = match serde_json::from_str(text) {
        Ok(Value::Array(entries)) if entries.iter().all(Value::is_object) => entries,
        _ => {
            tracing::warn!(job = job.id, "job_actions is no list of objects; kept in {}", leftovers::TABLE);
            return leftovers::keep(db, "jobs", &job.id, "job_actions", text).await;
        }
    };
    let entries: Vec<&Map<String, Value>> = entries.iter().filter_map(Value::as_object).collect();
    let stored = stored(db, job, &entries).await?;
    let mut all_moved = true;
    for (position, entry) in entries.iter().enumerate() {
        let action_id = match entry.get("action_id").and_then(Value::as_str).and_then(|id| stored.get(id)) {
            Some(action) if says_the_same(entry, action) => action.action_id.clone(),
            _ if names_an_action(entry) => create(db, job, position, entry, &stored).await?,
            _ => {
                all_moved = false;
                continue;
            }
        };
        link(db, job, position, &action_id).await?;
    }
    if !all_moved {
        tracing::warn!(job = job.id, "an entry of job_actions names no action; kept in {}", leftovers::TABLE);
        leftovers::keep(db, "jobs", &job.id, "job_actions", text).await?;
    }
    Ok(())
}

/// The live actions of the job's project that its entries name.
async fn stored(
    db: &mut Db,
    job: &Job,
    entries: &[&Map<String, Value>],
) -> Result<HashMap<String, ActionFields>, StoreError> {
    let ids = entries.iter().filter_map(|entry| entry.get("action_id").and_then(Value::as_str));
    let scope = Scope::project(&job.project_id);
    let found = query::actions::get_many(db, &scope, ids.map(str::to_owned).collect()).await?;
    Ok(found.into_iter().map(|action| (action.action_id.clone(), action)).collect())
}

/// Whether an entry says what to do: an action without that cannot be stored, nor run.
fn names_an_action(entry: &Map<String, Value>) -> bool {
    let action = entry.get("freezer_action").and_then(|definition| definition.get("action"));
    action.and_then(Value::as_str).is_some_and(|action| !action.is_empty())
}

fn says_the_same(entry: &Map<String, Value>, action: &ActionFields) -> bool {
    let same_number = |key: &str, stored: Option<i64>| match entry.get(key).and_then(Value::as_i64) {
        Some(said) => stored == Some(said),
        None => true,
    };
    let same_definition = match entry.get("freezer_action").and_then(Value::as_object) {
        Some(definition) => action.is_defined_as(definition),
        None => true,
    };
    same_definition
        && same_number("max_retries", action.max_retries)
        && same_number("max_retries_interval", action.max_retries_interval)
}

/// Makes an action of an entry. It keeps the id that the entry gives where nobody has it yet.
async fn create(
    db: &mut Db,
    job: &Job,
    position: usize,
    entry: &Map<String, Value>,
    stored: &HashMap<String, ActionFields>,
) -> Result<String, StoreError> {
    let derived =
        Uuid::new_v5(&MOVED, format!("action\0{}\0{position}", job.id).as_bytes()).simple().to_string();
    let given = entry
        .get("action_id")
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty() && id.chars().count() <= ID_WIDTH && !stored.contains_key(*id));
    if let Some(given) = given {
        // the id may be that of a deleted action, or of another project's
        match insert_action(db, job, given, entry).await {
            Err(error) if error.is_duplicate() => {}
            other => return other.map(|()| given.to_owned()),
        }
    }
    match insert_action(db, job, &derived, entry).await {
        Err(error) if !error.is_duplicate() => Err(error),
        _ => Ok(derived),
    }
}

async fn insert_action(
    db: &mut Db,
    job: &Job,
    id: &str,
    entry: &Map<String, Value>,
) -> Result<(), StoreError> {
    let definition = entry.get("freezer_action").and_then(Value::as_object).cloned().unwrap_or_default();
    let text = |key: &str| {
        let text = match definition.get(key)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => i32::from(*flag).to_string(),
            _ => return None,
        };
        (text.chars().count() <= TEXT_WIDTH).then_some(text)
    };
    let int = |value: Option<&Value>| -> Option<i64> {
        let number = match value? {
            Value::Number(number) => number.as_i64()?,
            Value::String(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        i32::try_from(number).ok().map(i64::from)
    };
    let mandatory = entry.get("mandatory").or_else(|| definition.get("mandatory"));
    let mut insert = Query::insert();
    insert
        .into_table(Actions::Table)
        .columns([
            Actions::Id,
            Actions::Action,
            Actions::ProjectId,
            Actions::UserId,
            Actions::Actionmode,
            Actions::PathToBackup,
            Actions::BackupName,
            Actions::Container,
            Actions::Timeout,
            Actions::Priority,
            Actions::MaxRetriesInterval,
            Actions::MaxRetries,
            Actions::Mandatory,
            Actions::LogFile,
            Actions::BackupMetadata,
            Actions::Deleted,
        ])
        .values_panic([
            id.into(),
            text("action").unwrap_or_default().into(),
            job.project_id.as_str().into(),
            job.user_id.as_str().into(),
            Expr::value(text("mode")),
            Expr::value(super::paths::of(&definition)),
            Expr::value(text("backup_name")),
            Expr::value(text("container")),
            Expr::value(int(definition.get("timeout"))),
            Expr::value(int(definition.get("priority"))),
            int(entry.get("max_retries_interval")).unwrap_or(6).into(),
            int(entry.get("max_retries")).unwrap_or(5).into(),
            mandatory.and_then(Value::as_bool).unwrap_or(false).into(),
            Expr::value(text("log_file")),
            crate::json::to_text(&definition).into(),
            Expr::value(job.deleted),
        ]);
    db.execute(&insert).await?;
    copy_times(db, job, Actions::Table, id).await?;
    insert_report(db, job, id).await
}

/// Every action has a report, as the service makes it with a new one (upstream's step makes none); one that is there stays.
async fn insert_report(db: &mut Db, job: &Job, action_id: &str) -> Result<(), StoreError> {
    let mut insert = Query::insert();
    insert
        .into_table(ActionReports::Table)
        .columns([ActionReports::Id, ActionReports::ProjectId, ActionReports::UserId, ActionReports::Deleted])
        .values_panic([
            action_id.into(),
            job.project_id.as_str().into(),
            job.user_id.as_str().into(),
            Expr::value(job.deleted),
        ]);
    match db.execute(&insert).await {
        Err(error) if error.is_duplicate() => Ok(()),
        Err(error) => Err(error),
        Ok(_) => copy_times(db, job, ActionReports::Table, action_id).await,
    }
}

/// What is made is as old as its job, whatever form the engine keeps times in.
async fn copy_times(db: &mut Db, job: &Job, table: impl IntoTableRef, id: &str) -> Result<(), StoreError> {
    let of_job = |column: &'static str| {
        Query::select()
            .column(Alias::new(column))
            .from(Jobs::Table)
            .and_where(Expr::col(Jobs::Id).eq(job.id.as_str()))
            .to_owned()
    };
    let mut update = Query::update();
    update
        .table(table)
        .value(Alias::new("created_at"), Expr::from(of_job("created_at")))
        .value(Alias::new("updated_at"), Expr::from(of_job("updated_at")))
        .value(Alias::new("deleted_at"), Expr::from(of_job("deleted_at")))
        .and_where(Expr::col(Alias::new("id")).eq(id));
    db.execute(&update).await.map(|_| ())
}

async fn link(db: &mut Db, job: &Job, position: usize, action_id: &str) -> Result<(), StoreError> {
    let id = Uuid::new_v5(&MOVED, format!("link\0{}\0{position}", job.id).as_bytes()).simple().to_string();
    let mut insert = Query::insert();
    insert
        .into_table(JobActions::Table)
        .columns([
            JobActions::Id,
            JobActions::JobId,
            JobActions::ActionId,
            JobActions::Position,
            JobActions::Deleted,
        ])
        .values_panic([
            id.into(),
            job.id.as_str().into(),
            action_id.into(),
            (position as i64).into(),
            Expr::value(job.deleted.or(Some(0))),
        ]);
    db.execute(&insert).await.map(|_| ())
}
