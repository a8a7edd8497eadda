//! Queries on `jobs`: one job with its actions, and lists of jobs.
//!
//! The actions of many jobs at once are `links.rs`; changes, and the row that is locked for one, are `change.rs`.

mod change;
mod links;

pub use change::{Link, create, delete, get_for_update, replace_actions, update};

use sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use sea_query_sqlx::SqlxValues;

use super::listing::{self, Listed, Listing, Page, Parts};
use super::narrow::{self, Inner, Shape, Source};
use super::{Table, actions, table, unreadable};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, Place};
use crate::model::{Job, UserCredentials};
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
    let own = links::live_action()
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
    let inner = Inner { sources: actions::SHAPE.sources, rows: &links::its_actions() };
    narrow::narrow(db.dialect(), &mut narrowed, search, &SHAPE, Some(&inner));
    let listing = Listing {
        select,
        narrowed: vec![narrowed],
        first: frequent(scope, caller, search),
        created_at: (Jobs::Table, Jobs::CreatedAt),
        id: (Jobs::Table, Jobs::Id),
        search,
        shape: &SHAPE,
        missing: Some("job_actions"),
        page,
    };
    let doing = db.doing();
    listing::list(db, listing, Parts { read: |row: &Row| read(doing, row), complete: links::add_actions })
        .await
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
