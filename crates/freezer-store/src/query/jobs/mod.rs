//! Queries on `jobs`: lists of jobs, and the parts that all queries share.
//!
//! `joined.rs` reads jobs with their actions in one statement: single jobs, polls, and the first page of a project.
//! `candidates.rs` finds jobs by their actions, and `matched.rs` shows a job to the matcher of searches. `extras.rs` has the
//! rows of jobs in other tables. `change.rs` has the changes, and locks the row of a job for them.

mod candidates;
mod change;
mod extras;
mod joined;
mod matched;

pub use change::{create, delete, get_for_update, has_client, update, was_created, was_updated};
pub use joined::{IDS_AT_ONCE, JobRows, POLLS_AT_ONCE, Poll, get, rows_of_ids, rows_of_polls};

use std::collections::HashSet;

use sea_query::{Expr, ExprTrait, JoinType, Query, SelectStatement};
use serde_json::Value;

use super::listing::{self, DocumentQuery, DocumentReader, Listed, Page};
use super::narrow::{self, Inner, Shape, Source};
use super::{TableColumns, actions, job_actions, table_columns};
use crate::additions::Indexes;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::model::Job;
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::search::action_terms::JOB_KEYS;
use crate::statement::argument_text;
use crate::tables::{Clients, Column, Jobs, StoredJob};

const TABLE: TableColumns<Jobs> = table_columns!(Jobs);

/// The columns whose size is unlimited.
const TEXTS: &[Jobs] = &[Jobs::Schedule];

/// The sources of a job's keys, except its actions.
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
    // `event` is shown even if the schedule lacks it. The trust is in another table.
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
    identity: JOB_KEYS,
    time: None,
    whole: false,
};

/// Returns the ids of those jobs that show a process id and whose client the caller's project owns. Other
/// projects must not see the processes of a node.
pub async fn with_own_client(db: &mut Db, caller: &str, jobs: &[Job]) -> Result<HashSet<String>, StoreError> {
    let with_pid: Vec<&str> =
        jobs.iter().filter(|job| job.shows_pid()).map(|job| job.job_id.as_str()).collect();
    if with_pid.is_empty() {
        return Ok(HashSet::new());
    }
    let owned = Expr::col((Clients::Table, Clients::ClientId))
        .equals((Jobs::Table, Jobs::ClientId))
        .and(Expr::col((Clients::Table, Clients::ProjectId)).eq(caller))
        .and(Expr::col((Clients::Table, Clients::Deleted)).eq(false));
    let mut select = Query::select();
    select
        .column((Jobs::Table, Jobs::Id))
        .from(Jobs::Table)
        .join(JoinType::InnerJoin, Clients::Table, owned)
        .and_where(Expr::col((Jobs::Table, Jobs::Id)).is_in(listing::padded(with_pid)));
    Ok(db.read::<String>(&select).await?.into_iter().collect())
}

/// Returns a scope whose project is an argument.
fn argument_scope(position: usize) -> Scope {
    Scope::project(argument_text(position))
}

/// Returns jobs of the scope with their actions. The first page of a project is one statement if its jobs have few actions
/// (`joined.rs`). Other pages are two statements, or more if they are large.
pub async fn list(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: &Page,
) -> Result<Listed<Job>, StoreError> {
    list_for(db, scope, search, page, None).await
}

/// Returns jobs as [`list`] does. For a caller of a project, a search does not see the process ids of
/// jobs on clients of other projects. A search that names the process id returns these jobs without it. Otherwise
/// the documents still have it, and the caller must hide it ([`with_own_client`]).
pub async fn list_for(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: &Page,
    caller: Option<&str>,
) -> Result<Listed<Job>, StoreError> {
    let names_pid = |(key, _): &(String, Value)| key == "current_pid" || key == "job_schedule";
    let asks_for_pid = search.matches.iter().chain(&search.match_not).any(names_pid);
    let owned = match caller.filter(|_| asks_for_pid) {
        Some(caller) => Some(owned_clients(db, caller).await?),
        None => None,
    };
    let begun = match search.is_empty() {
        true => joined::first_of_project(db, scope, page).await?,
        false => None,
    };
    let begun = match begun {
        Some(begun) if begun.needed() == 0 && !page.count => return Ok(begun.build(page, None)),
        begun => begun,
    };
    let select = live_within(scope, db.read_limit());
    let mut narrowed = select.clone();
    let inner = Inner { sources: actions::SHAPE.sources, rows: &job_actions::action_of_this_job() };
    // A row that a search excludes by its process id may have a hidden one.
    let mut in_database = search.clone();
    in_database.match_not.retain(|pair| owned.is_none() || !names_pid(pair));
    narrow::narrow(db.dialect(), &mut narrowed, &in_database, &SHAPE, Some(&inner));
    let among = candidates::find(db, scope, search, page).await?;
    let along = match among {
        Some(_) => {
            db.dialect().read_along(&mut narrowed, "PRIMARY");
            None
        }
        None if pass_over_completed(db, &mut narrowed, search).await? => None,
        None => list_index(scope, search),
    };
    let listing = DocumentQuery {
        select,
        narrowed: vec![narrowed],
        along,
        marked: TABLE.marked(scope.holds(Jobs::ProjectId), page),
        created_at: (Jobs::Table, Jobs::CreatedAt),
        id: (Jobs::Table, Jobs::Id),
        search,
        shape: &SHAPE,
        page,
        among: among.as_deref(),
        counted: None,
        what: "job",
        sized: Some(SIZE),
    };
    let read = |row: &mut Row| {
        let (stored, place) = listing::read_listed::<StoredJob>(row)?;
        Ok((visible_to(stored.into(), owned.as_ref()), place))
    };
    listing::list(db, listing, begun, DocumentReader { read, complete: extras::complete }).await
}

/// Returns the names of a project's own live clients.
async fn owned_clients(db: &mut Db, project_id: &str) -> Result<HashSet<String>, StoreError> {
    let mut select = Query::select();
    select
        .column(Clients::ClientId)
        .from(Clients::Table)
        .and_where(Expr::col(Clients::ProjectId).eq(project_id))
        .and_where(Expr::col(Clients::Deleted).eq(false));
    Ok(db.read::<String>(&select).await?.into_iter().collect())
}

/// Removes the process id of a job unless its client is one of `owned`.
fn visible_to(mut job: Job, owned: Option<&HashSet<String>>) -> Job {
    if owned.is_some_and(|owned| !owned.contains(&job.client_id)) {
        job.hide_pid();
    }
    job
}

/// Returns the index that contains the jobs of a search in the order of the list.
fn list_index(scope: &Scope, search: &Search) -> Option<&'static str> {
    match (scope, search.names("job_id"), names_client(search)) {
        (_, true, _) | (Scope::AllProjects, _, true) => None,
        (Scope::Project(_), _, true) => Some("fz_jobs_client"),
        (Scope::Project(_), _, false) => Some("fz_jobs_project"),
        (Scope::AllProjects, _, false) => Some("fz_jobs_live"),
    }
}

/// Returns whether a search is for the jobs of one client. Jobs without a client have two values in the column.
fn names_client(search: &Search) -> bool {
    let is_client = |value: &Value| value.as_str().is_some_and(|name| !name.is_empty());
    search.matches.iter().any(|(key, value)| key == "client_id" && is_client(value))
}

/// Excludes completed jobs in the index, if the search excludes them. Returns whether the query names an index.
async fn pass_over_completed(
    db: &mut Db,
    narrowed: &mut SelectStatement,
    search: &Search,
) -> Result<bool, StoreError> {
    let excludes = search.match_not.iter().any(|(key, value)| key == "status" && value == "completed");
    if !excludes || !db.has_indexes(Indexes::Polls).await? {
        return Ok(false);
    }
    narrowed.and_where(Expr::cust(db.dialect().not_completed()));
    let of_client = names_client(search);
    if of_client {
        db.dialect().read_along(narrowed, "fz_jobs_poll");
    }
    Ok(of_client)
}

fn live(scope: &Scope) -> SelectStatement {
    TABLE.live::<StoredJob>(TABLE.in_scope(scope))
}

/// Position of the size of a row in the columns of [`live_within`].
const SIZE: usize = listing::size_position::<StoredJob>();

/// Selects jobs and their sizes. If a schedule is larger than `limit`, it is NULL.
fn live_within(scope: &Scope, limit: u64) -> SelectStatement {
    TABLE.live_within::<StoredJob>(TABLE.in_scope(scope), TEXTS, limit)
}

/// Returns the part of a job that is in its own row.
impl From<StoredJob> for Job {
    fn from(row: StoredJob) -> Job {
        let place = Jobs::Schedule.of_row(&row.job_id);
        Job {
            job_schedule: json::raw_object_with_default(row.schedule, "event", "".into(), place),
            project_id: row.project_id,
            user_id: row.user_id,
            client_id: row.client_id,
            session_id: row.session_id,
            session_tag: row.session_tag,
            description: row.description,
            job_actions: Vec::new(),
            user_credentials: None,
            job_id: row.job_id,
        }
    }
}
