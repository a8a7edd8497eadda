//! Queries on `jobs` with `job_actions`: a job and, in a second statement, the actions of all jobs read.

use std::collections::HashMap;

use sea_query::{Expr, ExprTrait, JoinType, LockType, Order, Query, SelectStatement, SimpleExpr};
use sea_query_sqlx::SqlxValues;

use super::listing::{self, Listed, Listing, Page, Parts};
use super::narrow::{self, Inner, Shape, Source};
use super::{Table, Values, actions, table, unreadable};
use crate::clock::Timestamp;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, Place};
use crate::model::{Action, Job, JobFields, UserCredentials};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::statement::{Argument, Filled, Fixed, argument, argument_text, number_argument};
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

/// Where a job's keys are, its actions aside.
const SHAPE: Shape<(Jobs, Jobs)> = Shape {
    sources: &[
        Source::Blank("job_id", (Jobs::Table, Jobs::Id)),
        Source::Blank("project_id", (Jobs::Table, Jobs::ProjectId)),
        Source::Blank("user_id", (Jobs::Table, Jobs::UserId)),
        Source::Blank("client_id", (Jobs::Table, Jobs::ClientId)),
        Source::Text("session_id", (Jobs::Table, Jobs::SessionId)),
        Source::Int("session_tag", (Jobs::Table, Jobs::SessionTag)),
        Source::Text("description", (Jobs::Table, Jobs::Description)),
        Source::AsItIs((Jobs::Table, Jobs::Schedule)),
    ],
    // `event` is shown also where the schedule has none; the trust is in a table of its own
    opaque: &[
        "job_schedule",
        "job_actions",
        "event",
        "user_credentials",
        "trust_id",
        "trustor_user_id",
        "freezer_action",
        "mandatory",
    ],
    identity: &["client_id", "job_id", "session_id", "project_id", "user_id"],
};

/// One place in a job's list of actions: the row id of the link, and the action it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Primary key of the `job_actions` row.
    pub id: String,
    /// The action.
    pub action_id: String,
}

/// One job of the scope with its actions, in one statement. `caller` is the caller's own project: it decides
/// [`Job::client_is_callers`].
///
/// # Errors
/// As every query: [`StoreError`].
pub async fn get(db: &mut Db, scope: &Scope, caller: &str, job_id: &str) -> Result<Option<Job>, StoreError> {
    static IN_PROJECT: Fixed = Fixed::new(|dialect| one_with_actions(dialect, &argument_scope(2)));
    static ANYWHERE: Fixed = Fixed::new(|dialect| one_with_actions(dialect, &Scope::AllProjects));
    let arguments = vec![job_id.into(), caller.into()];
    let rows = match scope {
        Scope::Project(id) => {
            let arguments = [arguments, vec![id.as_str().into()]].concat();
            db.select(&IN_PROJECT.with(arguments)).await?
        }
        Scope::AllProjects => db.select(&ANYWHERE.with(arguments)).await?,
    };
    let doing = db.doing();
    let Some(first) = rows.first() else { return Ok(None) };
    let mut job = read(doing, first)?;
    for row in &rows {
        // a job without actions is one row without an action
        if row.text(ACTION + 1).map_err(unreadable(doing))?.is_some() {
            job.job_actions.push(actions::read(doing, row, ACTION)?);
        }
    }
    Ok(Some(job))
}

/// Where the columns of an action begin behind those of a job, less the one for its time.
const ACTION: usize = 11;

/// Arguments: the job, the caller's project, and the project where the scope is one.
fn one_with_actions(dialect: Dialect, scope: &Scope) -> (String, SqlxValues) {
    let linked = Expr::col((JobActions::Table, JobActions::JobId))
        .equals((Jobs::Table, Jobs::Id))
        .and(Expr::col((JobActions::Table, JobActions::Deleted)).eq(false));
    // A link can never show another project's action, whatever the rows say.
    let own = live_action()
        .and(Expr::col((Actions::Table, Actions::ProjectId)).equals((Jobs::Table, Jobs::ProjectId)));
    let mut select = live(dialect, scope, argument(1));
    select
        .column((Actions::Table, Actions::Id))
        .columns(actions::COLUMNS.map(|column| (Actions::Table, column)))
        .join(JoinType::LeftJoin, JobActions::Table, linked)
        .join(JoinType::LeftJoin, Actions::Table, own)
        .and_where(Expr::col((Jobs::Table, Jobs::Id)).eq(argument(0)))
        .order_by((JobActions::Table, JobActions::Position), Order::Asc);
    dialect.build(&select)
}

/// A project that comes as an argument.
fn argument_scope(position: usize) -> Scope {
    Scope::project(argument_text(position))
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
    let at = unreadable(db.doing());
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
    page: &Page,
) -> Result<Listed<Job>, StoreError> {
    let select = live(db.dialect(), scope, caller.into());
    let mut narrowed = select.clone();
    let inner = Inner { sources: actions::SHAPE.sources, rows: &its_actions() };
    narrow::narrow(db.dialect(), &mut narrowed, search, &SHAPE, Some(&inner));
    let listing = Listing {
        select,
        narrowed,
        first: frequent(scope, caller, search),
        created_at: (Jobs::Table, Jobs::CreatedAt),
        id: (Jobs::Table, Jobs::Id),
        search,
        shape: &SHAPE,
        missing: Some("job_actions"),
        page,
    };
    let doing = db.doing();
    listing::list(db, listing, Parts { read: |row: &Row| read(doing, row), complete: add_actions }).await
}

/// The lists that are asked all the time as fixed statements: those of a project, and a scheduler's poll.
fn frequent<'a>(scope: &'a Scope, caller: &'a str, search: &'a Search) -> Option<Filled<'a>> {
    static WHOLE: Fixed = Fixed::new(|dialect| first_rows(dialect, &Search::default()));
    static POLL: Fixed = Fixed::new(|dialect| first_rows(dialect, &poll(&argument_text(4))));
    let Scope::Project(project) = scope else { return None };
    let mut arguments =
        vec![Argument::Number(0), Argument::Number(0), project.as_str().into(), caller.into()];
    if search.is_empty() {
        return Some(WHOLE.with(arguments));
    }
    let client = search.matches.first().and_then(|(_, value)| value.as_str()).filter(|id| !id.is_empty())?;
    (*search == poll(client)).then(|| {
        arguments.push(client.into());
        POLL.with(arguments)
    })
}

/// What freezer-scheduler asks for: the jobs of its client that are not completed.
fn poll(client: &str) -> Search {
    Search {
        matches: vec![("client_id".to_owned(), client.into())],
        match_not: vec![("status".to_owned(), "completed".into())],
        ..Search::default()
    }
}

/// Arguments: limit, offset, the project, the caller's project, and those of the search.
fn first_rows(dialect: Dialect, search: &Search) -> (String, SqlxValues) {
    let mut select = live(dialect, &argument_scope(2), argument(3));
    narrow::narrow::<_, (Actions, Actions)>(dialect, &mut select, search, &SHAPE, None);
    select
        .order_by((Jobs::Table, Jobs::CreatedAt), Order::Asc)
        .order_by((Jobs::Table, Jobs::Id), Order::Asc)
        .limit(number_argument(0))
        .offset(number_argument(1));
    dialect.build(&select)
}

/// The actions of the job at hand, for a condition on them.
fn its_actions() -> SelectStatement {
    let mut select = Query::select();
    select
        .expr(Expr::val(1))
        .from(JobActions::Table)
        .join(JoinType::InnerJoin, Actions::Table, live_action())
        .and_where(Expr::col((JobActions::Table, JobActions::JobId)).equals((Jobs::Table, Jobs::Id)))
        .and_where(Expr::col((JobActions::Table, JobActions::Deleted)).eq(false));
    select
}

fn live_action() -> SimpleExpr {
    Expr::col((Actions::Table, Actions::Id))
        .equals((JobActions::Table, JobActions::ActionId))
        .and(Expr::col((Actions::Table, Actions::Deleted)).eq(false))
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

fn live(dialect: Dialect, scope: &Scope, caller: Expr) -> SelectStatement {
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
        .expr(dialect.datetime_text((Jobs::Table, Jobs::CreatedAt)))
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

/// Gives each job its actions: one statement for all.
async fn add_actions(db: &mut Db, jobs: &mut [Job]) -> Result<(), StoreError> {
    let ids: Vec<String> = jobs.iter().map(|job| job.job_id.clone()).collect();
    let mut by_job = actions_of(db, ids).await?;
    for job in jobs {
        let mut found = by_job.remove(&job.job_id).unwrap_or_default();
        // A link can never show another project's action, whatever the rows say.
        found.retain(|action| action.project_id == job.project_id);
        job.job_actions = found;
    }
    Ok(())
}

/// Actions by the jobs that have them, each list in order.
async fn actions_of(db: &mut Db, ids: Vec<String>) -> Result<HashMap<String, Vec<Action>>, StoreError> {
    // a statement for each length that `padded` makes of usual pages
    static OF: [(usize, Fixed); 4] = [
        (1, Fixed::new(actions_of_jobs::<1>)),
        (4, Fixed::new(actions_of_jobs::<4>)),
        (16, Fixed::new(actions_of_jobs::<16>)),
        (64, Fixed::new(actions_of_jobs::<64>)),
    ];
    let mut by_job: HashMap<String, Vec<Action>> = HashMap::new();
    if ids.is_empty() {
        return Ok(by_job);
    }
    let ids = listing::padded(ids);
    let rows = match OF.iter().find(|(length, _)| *length == ids.len()) {
        Some((_, fixed)) => db.select(&fixed.with(ids.iter().map(|id| id.as_str().into()).collect())).await?,
        None => db.select(&links_with_actions(ids.iter().map(|id| id.as_str().into()).collect())).await?,
    };
    for row in rows {
        let job_id = row.string(0).map_err(unreadable(db.doing()))?;
        // the time of the action, which `read` does not look at, would be at 0
        by_job.entry(job_id).or_default().push(actions::read(db.doing(), &row, 0)?);
    }
    Ok(by_job)
}

fn actions_of_jobs<const N: usize>(dialect: Dialect) -> (String, SqlxValues) {
    dialect.build(&links_with_actions((0..N).map(argument).collect()))
}

fn links_with_actions(jobs: Vec<Expr>) -> SelectStatement {
    let mut select = Query::select();
    select
        .column((JobActions::Table, JobActions::JobId))
        .column((Actions::Table, Actions::Id))
        .columns(actions::COLUMNS.map(|column| (Actions::Table, column)))
        .from(JobActions::Table)
        .join(JoinType::InnerJoin, Actions::Table, live_action())
        .and_where(Expr::col((JobActions::Table, JobActions::JobId)).is_in(jobs))
        .and_where(Expr::col((JobActions::Table, JobActions::Deleted)).eq(false))
        .order_by((JobActions::Table, JobActions::JobId), Order::Asc)
        .order_by((JobActions::Table, JobActions::Position), Order::Asc);
    select
}

fn read(doing: &'static str, row: &Row) -> Result<Job, StoreError> {
    let at = unreadable(doing);
    let job_id = row.string(listing::ID).map_err(&at)?;
    let schedule = row.text(4).map_err(&at)?;
    let place = Place { table: "jobs", column: "schedule", id: &job_id };
    let job_schedule = json::raw_object_with_default(schedule, "event", "".into(), place);
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
