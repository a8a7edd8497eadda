//! Queries on `jobs` with `job_actions`: a job and, in a second statement, the actions of all jobs read.

use std::collections::HashMap;

use sea_query::{Expr, ExprTrait, JoinType, LockType, Order, Query, SelectStatement};

use super::listing::{self, Listing, Page};
use super::{Table, Values, actions, table, unreadable};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, Place};
use crate::model::{Action, Job, JobFields, UserCredentials};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::tables::{Actions, Clients, JobActions, Jobs, UserCredentials as Credentials};

const TABLE: Table<Jobs> = table!("jobs", Jobs);

/// Columns behind (created_at, id), in the order in which [`read`] takes them.
const COLUMNS: [Jobs; 7] = [
    Jobs::ProjectId,
    Jobs::UserId,
    Jobs::Schedule,
    Jobs::ClientId,
    Jobs::SessionId,
    Jobs::SessionTag,
    Jobs::Description,
];

/// One place in a job's list of actions: the row id of the link, and the action it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Primary key of the `job_actions` row.
    pub id: String,
    /// The action.
    pub action_id: String,
}

/// One job of the scope. `caller` is the caller's own project: it decides
/// [`Job::client_is_callers`].
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn get(db: &mut Db, scope: &Scope, caller: &str, job_id: &str) -> Result<Option<Job>, StoreError> {
    let mut select = live(db, scope, caller);
    select.and_where(Expr::col((Jobs::Table, Jobs::Id)).eq(job_id)).limit(1);
    let rows = db.select(&select).await?;
    Ok(read_with_actions(db, rows).await?.into_iter().next())
}

/// The columns of one job of the scope, locked until the transaction ends.
///
/// # Errors
/// [`StoreError::Corrupt`] where its schedule cannot be read, and so not be changed.
pub async fn get_for_update(
    db: &mut Db,
    scope: &Scope,
    job_id: &str,
) -> Result<Option<JobFields>, StoreError> {
    let mut select = Query::select();
    select
        .columns(COLUMNS)
        .from(Jobs::Table)
        .and_where(Expr::col(Jobs::Id).eq(job_id))
        .and_where(Expr::col(Jobs::Deleted).eq(false))
        .cond_where(scope.holds(Jobs::ProjectId))
        .lock(LockType::Update);
    let Some(row) = db.select_one(&select).await? else { return Ok(None) };
    let at = unreadable(db);
    let schedule = row.text(2).map_err(&at)?;
    let place = Place { table: "jobs", column: "schedule", id: job_id };
    Ok(Some(JobFields {
        schedule: json::object_strict(schedule.as_deref(), place)?,
        client_id: row.string(3).map_err(&at)?,
        session_id: row.string(4).map_err(&at)?,
        session_tag: row.int(5).map_err(&at)?.unwrap_or(0),
        description: row.text(6).map_err(&at)?,
    }))
}

/// Jobs of the scope with their actions: two statements, however many jobs.
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn list(
    db: &mut Db,
    scope: &Scope,
    caller: &str,
    search: &Search,
    page: Page,
) -> Result<Vec<Job>, StoreError> {
    let mut select = live(db, scope, caller);
    for (key, column) in [
        ("client_id", Jobs::ClientId),
        ("job_id", Jobs::Id),
        ("session_id", Jobs::SessionId),
        ("project_id", Jobs::ProjectId),
    ] {
        if let Some(text) = search.required_text(key) {
            select.and_where(Expr::col((Jobs::Table, column)).eq(text));
        }
    }
    let listing = Listing {
        select,
        created_at: (Jobs::Table, Jobs::CreatedAt),
        id: (Jobs::Table, Jobs::Id),
        search,
        identity: &["client_id", "job_id", "session_id", "project_id", "user_id"],
        page,
    };
    listing::list(db, listing, read_with_actions).await
}

/// Stores a new job with its actions and, where it has one, its trust.
///
/// # Errors
/// [`StoreError::Duplicate`] where the id is taken.
pub async fn create(
    db: &mut Db,
    project_id: &str,
    user_id: &str,
    job_id: &str,
    new: &JobFields,
    links: &[Link],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut values = described(new);
    values.push((Jobs::UserId, user_id.into()));
    TABLE.insert(db, job_id, project_id, values, now, false).await?;
    insert_links(db, job_id, links, now).await
}

/// Writes all columns over a job; false where the scope has none.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn update(
    db: &mut Db,
    scope: &Scope,
    job_id: &str,
    new: &JobFields,
    now: Timestamp,
) -> Result<bool, StoreError> {
    TABLE.update(db, scope, job_id, described(new), now).await
}

/// Gives a job another list of actions. The old links are removed for good, as the Python service does: a
/// job that is patched every day would otherwise collect them for ever.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn replace_actions(
    db: &mut Db,
    job_id: &str,
    links: &[Link],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut delete = Query::delete();
    delete.from_table(JobActions::Table).and_where(Expr::col(JobActions::JobId).eq(job_id));
    db.execute(&delete).await?;
    insert_links(db, job_id, links, now).await
}

/// Deletes a job with its links; false where the scope has none.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn delete(db: &mut Db, scope: &Scope, job_id: &str, now: Timestamp) -> Result<bool, StoreError> {
    if !TABLE.delete(db, scope, job_id, now).await? {
        return Ok(false);
    }
    let stamp = db.dialect().datetime(now);
    let mut unlink = Query::update();
    unlink
        .table(JobActions::Table)
        .value(JobActions::Deleted, true)
        .value(JobActions::DeletedAt, stamp)
        .and_where(Expr::col(JobActions::JobId).eq(job_id))
        .and_where(Expr::col(JobActions::Deleted).eq(false));
    db.execute(&unlink).await?;
    Ok(true)
}

async fn insert_links(db: &mut Db, job_id: &str, links: &[Link], now: Timestamp) -> Result<(), StoreError> {
    if links.is_empty() {
        return Ok(());
    }
    let stamp = db.dialect().datetime(now);
    let mut insert = Query::insert();
    insert.into_table(JobActions::Table).columns([
        JobActions::Id,
        JobActions::JobId,
        JobActions::ActionId,
        JobActions::Position,
        JobActions::Deleted,
        JobActions::CreatedAt,
    ]);
    for (position, link) in links.iter().enumerate() {
        insert.values_panic([
            link.id.as_str().into(),
            job_id.into(),
            link.action_id.as_str().into(),
            (position as i64).into(),
            false.into(),
            stamp.as_str().into(),
        ]);
    }
    db.execute(&insert).await.map(|_| ())
}

fn described(new: &JobFields) -> Values<Jobs> {
    vec![
        (Jobs::Schedule, json::to_text(&new.schedule).into()),
        (Jobs::ClientId, new.client_id.as_str().into()),
        (Jobs::SessionId, new.session_id.as_str().into()),
        (Jobs::SessionTag, new.session_tag.into()),
        (Jobs::Description, Expr::value(new.description.clone())),
    ]
}

fn live(db: &Db, scope: &Scope, caller: &str) -> SelectStatement {
    let owned = Query::select()
        .expr(Expr::val(1))
        .from(Clients::Table)
        .and_where(Expr::col((Clients::Table, Clients::ClientId)).equals((Jobs::Table, Jobs::ClientId)))
        .and_where(Expr::col((Clients::Table, Clients::ProjectId)).eq(caller))
        .and_where(Expr::col((Clients::Table, Clients::Deleted)).eq(false))
        .to_owned();
    // Subqueries, not a join: with an empty user_credentials MariaDB joins through a buffer, loses the order of the
    // index, and sorts the whole project for a page of ten.
    let trust = |column: Credentials| {
        Query::select()
            .column((Credentials::Table, column))
            .from(Credentials::Table)
            .and_where(Expr::col((Credentials::Table, Credentials::JobId)).equals((Jobs::Table, Jobs::Id)))
            .and_where(Expr::col((Credentials::Table, Credentials::Deleted)).eq(false))
            .order_by((Credentials::Table, Credentials::Id), Order::Asc)
            .limit(1)
            .to_owned()
    };
    let mut select = Query::select();
    select
        .expr(db.dialect().datetime_text((Jobs::Table, Jobs::CreatedAt)))
        .column((Jobs::Table, Jobs::Id))
        .columns(COLUMNS.map(|column| (Jobs::Table, column)))
        .expr(Expr::from(trust(Credentials::TrustId)))
        .expr(Expr::from(trust(Credentials::TrustorUserId)))
        .expr(Expr::exists(owned))
        .from(Jobs::Table)
        .and_where(Expr::col((Jobs::Table, Jobs::Deleted)).eq(false))
        .cond_where(scope.holds((Jobs::Table, Jobs::ProjectId)));
    select
}

async fn read_with_actions(db: &mut Db, rows: Vec<Row>) -> Result<Vec<Job>, StoreError> {
    let mut jobs = rows.iter().map(|row| read(db, row)).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<String> = jobs.iter().map(|job| job.job_id.clone()).collect();
    let mut by_job = actions_of(db, ids).await?;
    for job in &mut jobs {
        let mut found = by_job.remove(&job.job_id).unwrap_or_default();
        // A link can never show another project's action, whatever the rows say.
        found.retain(|action| action.project_id == job.project_id);
        job.job_actions = found;
    }
    Ok(jobs)
}

async fn actions_of(db: &mut Db, ids: Vec<String>) -> Result<HashMap<String, Vec<Action>>, StoreError> {
    let mut by_job: HashMap<String, Vec<Action>> = HashMap::new();
    if ids.is_empty() {
        return Ok(by_job);
    }
    let mut select = Query::select();
    select
        .column((JobActions::Table, JobActions::JobId))
        .expr(db.dialect().datetime_text((Actions::Table, Actions::CreatedAt)))
        .column((Actions::Table, Actions::Id))
        .columns(actions::COLUMNS.map(|column| (Actions::Table, column)))
        .from(JobActions::Table)
        .join(
            JoinType::InnerJoin,
            Actions::Table,
            Expr::col((Actions::Table, Actions::Id))
                .equals((JobActions::Table, JobActions::ActionId))
                .and(Expr::col((Actions::Table, Actions::Deleted)).eq(false)),
        )
        .and_where(Expr::col((JobActions::Table, JobActions::JobId)).is_in(listing::padded(ids)))
        .and_where(Expr::col((JobActions::Table, JobActions::Deleted)).eq(false))
        .order_by((JobActions::Table, JobActions::JobId), Order::Asc)
        .order_by((JobActions::Table, JobActions::Position), Order::Asc);
    for row in db.select(&select).await? {
        let job_id = row.string(0).map_err(unreadable(db))?;
        let action = actions::read(db, &row, 1)?;
        by_job.entry(job_id).or_default().push(action);
    }
    Ok(by_job)
}

fn read(db: &Db, row: &Row) -> Result<Job, StoreError> {
    let at = unreadable(db);
    let job_id = row.string(listing::ID).map_err(&at)?;
    let schedule = row.text(4).map_err(&at)?;
    let place = Place { table: "jobs", column: "schedule", id: &job_id };
    let mut job_schedule = json::object(schedule.as_deref(), place);
    job_schedule.entry("event").or_insert_with(|| "".into());
    let trust_id = row.text(9).map_err(&at)?;
    let trustor_user_id = row.text(10).map_err(&at)?;
    Ok(Job {
        project_id: row.string(2).map_err(&at)?,
        user_id: row.string(3).map_err(&at)?,
        job_schedule,
        client_id: row.string(5).map_err(&at)?,
        session_id: row.text(6).map_err(&at)?,
        session_tag: row.int(7).map_err(&at)?,
        description: row.text(8).map_err(&at)?,
        job_actions: Vec::new(),
        user_credentials: trust_id
            .zip(trustor_user_id)
            .map(|(trust_id, trustor_user_id)| UserCredentials { trust_id, trustor_user_id }),
        client_is_callers: row.flag(11).map_err(&at)?,
        job_id,
    })
}
