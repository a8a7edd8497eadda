//! Jobs with their actions and trusts in one statement: jobs by their ids, polls of schedulers, and the first page of a
//! project.
//!
//! The statement joins the other tables, so a job has a row for each of its actions. Planning such a statement takes the
//! server longer than reading a few jobs. Requests that arrive at the same time therefore share it: [`rows_of_ids`] and
//! [`rows_of_polls`] read for one request or for several. Each request gets its own [`JobRows`] and decodes them itself. If a
//! shared statement does not have all rows of a request, the request is read by itself: by [`get`] or [`list`](super::list).

use std::cmp::min;
use std::collections::HashMap;
use std::ops::ControlFlow;

use sea_query::{Expr, ExprTrait, Order, SelectStatement};
use sea_query_sqlx::SqlxValues;

use super::extras::{self, Extras};
use super::{SHAPE, SIZE, TEXTS, argument_scope, live, live_within};
use crate::additions::Indexes;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::model::Job;
use crate::query::listing::{CompletionLimits, KEYS, Last, Listed, Page, PageBuilder, read_listed};
use crate::query::unreadable;
use crate::query::within::read_within;
use crate::row::Row;
use crate::scope::Scope;
use crate::search::{Matcher, Search};
use crate::statement::{Argument, Fixed, Statement, argument, number_argument};
use crate::tables::{Jobs, StoredJob};

/// Maximum number of ids in a statement.
pub const IDS_AT_ONCE: usize = 16;

/// Maximum number of polls in a statement. With more, all of them would wait until the database has read the jobs of the last
/// client, and the service would not write answers in the meantime.
pub const POLLS_AT_ONCE: usize = 4;

/// Maximum number of joined rows of a list.
const MAX_ROWS: u64 = 250;

/// Maximum size of the texts in the rows of a statement. A job's own texts count for each of its rows. If the texts are larger,
/// each request is read by itself.
const MAX_BYTES: u64 = 4 << 20;

/// Positions of columns of [`live`], and of the first column of [`extras::join_extras`] after them.
const ID: usize = StoredJob::position(Jobs::Id);
const CLIENT: usize = StoredJob::position(Jobs::ClientId);
const EXTRAS: usize = SIZE + 1;

/// A scheduler's poll: the first jobs of its client that are not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The client.
    pub client_id: String,
    /// Maximum number of jobs.
    pub limit: u64,
    /// As [`Page::look_ahead`].
    pub look_ahead: bool,
    /// As [`Page::max_bytes`].
    pub max_bytes: u64,
    /// As [`Page::readable`].
    pub readable: u64,
}

impl Poll {
    /// Returns the search that finds the same jobs.
    pub fn search(&self) -> Search {
        Search {
            matches: vec![("client_id".to_owned(), self.client_id.as_str().into())],
            match_not: vec![("status".to_owned(), "completed".into())],
            ..Search::default()
        }
    }

    /// Returns the page of this search.
    pub fn page(&self) -> Page {
        let Poll { limit, look_ahead, max_bytes, readable, .. } = *self;
        Page { look_ahead, max_bytes, readable, ..Page::at(limit, 0) }
    }
}

/// The rows of one request, which are not decoded yet. The request decodes them, while the connection runs the next statement.
pub struct JobRows {
    doing: &'static str,
    rows: Vec<Row>,
    /// Whether these are all rows. If not, the last job may lack actions.
    is_complete: bool,
}

impl JobRows {
    /// Decodes the job of an id. None if the scope does not have it.
    pub fn job(self) -> Result<Option<Job>, StoreError> {
        let mut job = None;
        self.decode(|decoded, _| job = Some(decoded))?;
        Ok(job)
    }

    /// Decodes the page of a poll. None if the page needs more jobs than these rows have.
    pub fn page(self, poll: &Poll) -> Result<Option<Listed<Job>>, StoreError> {
        let (search, page) = (poll.search(), poll.page());
        let (mut builder, mut matcher) =
            (PageBuilder::new(&page, None), Matcher::new(&search, SHAPE.identity));
        if self.decode(|job, place| builder.add_next(job, place, Some(&mut matcher)))? {
            builder.end();
        }
        Ok((builder.needed() == 0).then(|| builder.build(&page, None)))
    }

    /// Decodes the jobs that have all of their rows, and passes each to `add`. Returns whether these are all jobs of the request.
    fn decode(self, mut add: impl FnMut(Job, Last)) -> Result<bool, StoreError> {
        let JobRows { doing, rows, is_complete } = self;
        let mut add = |(mut job, extras, place): (Job, Extras, Last)| {
            extras.complete(&mut job);
            add(job, place);
        };
        let mut open: Option<(Job, Extras, Last)> = None;
        let at = unreadable(doing);
        for mut row in rows {
            let job_id = row.string(ID).map_err(&at)?;
            // the rows of a job follow each other
            let same_job = open.take_if(|(_, _, (_, id))| *id == job_id);
            let (job, mut extras, place) = match same_job {
                Some(same) => same,
                None => {
                    open.take().map(&mut add);
                    let (stored, place) = read_listed::<StoredJob>(&mut row).map_err(&at)?;
                    (stored.into(), Extras::default(), place)
                }
            };
            extras.add(&mut row, EXTRAS).map_err(&at)?;
            open = Some((job, extras, place));
        }
        open.filter(|_| is_complete).map(add);
        Ok(is_complete)
    }
}

/// Returns one job of the scope: one statement for the job, and one for its actions and its trust, or more if they are large.
///
/// # Errors
/// [`StoreError::TooLarge`] if the job is larger than the query may read.
pub async fn get(db: &mut Db, scope: &Scope, job_id: &str) -> Result<Option<Job>, StoreError> {
    let mut select = live(scope);
    select.and_where(Expr::col((Jobs::Table, Jobs::Id)).eq(job_id));
    let stored = read_within::<StoredJob, _>(db, &select, ("job", job_id), TEXTS).await?;
    let Some(stored) = stored else { return Ok(None) };
    let mut job = Job::from(stored);
    let room = CompletionLimits { bytes: db.read_limit(), readable: u64::MAX };
    extras::complete(db, std::slice::from_mut(&mut job), room).await?;
    Ok(Some(job))
}

/// Reads jobs of the scope by their ids, [`IDS_AT_ONCE`] at most. Returns the rows of each id in the same order, or none if the
/// job must be read by itself. This includes jobs that are not found among others, because the database compares ids without
/// regard to case.
pub async fn rows_of_ids(
    db: &mut Db,
    scope: &Scope,
    ids: &[String],
) -> Result<Vec<Option<JobRows>>, StoreError> {
    let texts: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (statements, project_id) = match scope {
        Scope::Project(id) => (&OF_PROJECT, Some(id)),
        Scope::AllProjects => (&OF_ALL_PROJECTS, None),
    };
    let rows = match prepared(statements, &texts) {
        Some((statement, mut arguments)) if db.has_indexes(Indexes::Jobs).await? => {
            arguments.extend(project_id.map(|id| Argument::from(id.as_str())));
            select(db, &statement.with(arguments), u64::MAX, MAX_BYTES).await?
        }
        _ => {
            let statement = jobs_of_ids(scope, texts.iter().map(|id| Expr::val(*id)));
            select(db, &statement, u64::MAX, MAX_BYTES).await?
        }
    };
    if !rows.is_complete {
        return Ok(ids.iter().map(|_| None).collect());
    }
    if ids.len() == 1 {
        return Ok(vec![Some(rows)]);
    }
    let rows = rows.divide(ID, &texts)?;
    Ok(rows.into_iter().map(|rows| rows.filter(|rows| !rows.rows.is_empty())).collect())
}

/// Reads the jobs of clients of a project for their polls, [`POLLS_AT_ONCE`] at most. Returns the rows of each poll in the same
/// order, or none if the poll must be read by itself.
pub async fn rows_of_polls(
    db: &mut Db,
    project_id: &str,
    polls: &[Poll],
) -> Result<Vec<Option<JobRows>>, StoreError> {
    static OF_CLIENTS: [(usize, Fixed); 3] = [
        (1, Fixed::new(of_clients::<1>)),
        (2, Fixed::new(of_clients::<2>)),
        (POLLS_AT_ONCE, Fixed::new(of_clients::<POLLS_AT_ONCE>)),
    ];
    let has_indexes = db.has_indexes(Indexes::Jobs).await? && db.has_indexes(Indexes::Polls).await?;
    let clients: Vec<&str> = polls.iter().map(|poll| poll.client_id.as_str()).collect();
    let Some((statement, mut arguments)) = prepared(&OF_CLIENTS, &clients).filter(|_| has_indexes) else {
        return Ok(polls.iter().map(|_| None).collect());
    };
    // most clients have no more jobs than they ask for, each with one or two actions
    let jobs = polls.iter().fold(0, |jobs: u64, poll| jobs.saturating_add(first_jobs(&poll.page())));
    let max_rows = min(jobs.saturating_mul(2), MAX_ROWS) + 1;
    arguments.push(project_id.into());
    arguments.push(Argument::Number(max_rows));
    let rows = select(db, &statement.with(arguments), max_rows, MAX_BYTES).await?;
    rows.divide(CLIENT, &clients)
}

/// Begins a page with the first jobs of a project. None if the page does not begin with them.
pub(super) async fn first_of_project(
    db: &mut Db,
    scope: &Scope,
    page: &Page,
) -> Result<Option<PageBuilder<Job>>, StoreError> {
    static OF_PROJECT: Fixed = Fixed::new(|dialect| {
        let mut select = live_within(&argument_scope(0), MAX_BYTES);
        dialect.read_along(&mut select, "fz_jobs_project");
        extras::join_extras(&mut select, MAX_BYTES);
        dialect.build(&in_order(select, 1))
    });
    let Scope::Project(project_id) = scope else { return Ok(None) };
    let jobs = min(first_jobs(page), MAX_ROWS);
    let is_first = page.marker.is_none() && !page.newest_first && page.offset == 0 && jobs > 0;
    if !is_first || !db.has_indexes(Indexes::Jobs).await? {
        return Ok(None);
    }
    // one more row shows that the last job has all of its rows
    let max_rows = jobs + 1;
    let statement = OF_PROJECT.with(vec![project_id.as_str().into(), Argument::Number(max_rows)]);
    let rows = select(db, &statement, max_rows, min(page.max_bytes, MAX_BYTES)).await?;
    let mut builder = PageBuilder::new(page, None);
    if rows.decode(|job, place| builder.add_next(job, place, None))? {
        builder.end();
    }
    Ok(Some(builder))
}

/// Returns the number of jobs that a first page needs.
fn first_jobs(page: &Page) -> u64 {
    page.limit.saturating_add(u64::from(page.look_ahead))
}

/// Runs a statement with this limit on its rows. Stops when the documents have more than `max_bytes`.
async fn select(
    db: &mut Db,
    statement: &(impl Statement + Sync),
    max_rows: u64,
    max_bytes: u64,
) -> Result<JobRows, StoreError> {
    let (doing, mut rows, mut bytes) = (db.doing(), Vec::new(), 0_u64);
    db.select_each(statement, |row| {
        for at in [SIZE, EXTRAS + extras::SIZE] {
            let size = row.int(at).map_err(unreadable(doing))?.and_then(|size| u64::try_from(size).ok());
            bytes = bytes.saturating_add(size.unwrap_or(0));
        }
        bytes = bytes.saturating_add(KEYS as u64);
        rows.push(row);
        Ok(if bytes > max_bytes { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
    .await?;
    let is_complete = bytes <= max_bytes && (rows.len() as u64) < max_rows;
    Ok(JobRows { doing: db.doing(), rows, is_complete })
}

impl JobRows {
    /// Divides the rows among requests by the value of a column. If two requests have the same value, the second gets none.
    fn divide(self, column: usize, values: &[&str]) -> Result<Vec<Option<JobRows>>, StoreError> {
        let JobRows { doing, rows, is_complete } = self;
        let mut by_value: HashMap<&str, Vec<Row>> = values.iter().map(|value| (*value, Vec::new())).collect();
        for row in rows {
            let value = row.string(column).map_err(unreadable(doing))?;
            if let Some(rows) = by_value.get_mut(value.as_str()) {
                rows.push(row);
            }
        }
        let rows = values.iter().map(|value| by_value.remove(value));
        Ok(rows.map(|rows| rows.map(|rows| JobRows { doing, rows, is_complete })).collect())
    }
}

/// Returns the shortest statement for this number of texts, and the texts as its arguments. The last one is repeated.
fn prepared<'a>(
    statements: &'static [(usize, Fixed)],
    texts: &[&'a str],
) -> Option<(&'static Fixed, Vec<Argument<'a>>)> {
    let (length, statement) = statements.iter().find(|(length, _)| *length >= texts.len())?;
    let last = texts.last()?;
    let padded = texts.iter().chain(std::iter::repeat(last)).take(*length);
    Some((statement, padded.map(|text| (*text).into()).collect()))
}

/// Statements for numbers of ids.
static OF_PROJECT: [(usize, Fixed); 5] = [
    (1, Fixed::new(of_project::<1>)),
    (2, Fixed::new(of_project::<2>)),
    (4, Fixed::new(of_project::<4>)),
    (8, Fixed::new(of_project::<8>)),
    (IDS_AT_ONCE, Fixed::new(of_project::<IDS_AT_ONCE>)),
];
static OF_ALL_PROJECTS: [(usize, Fixed); 5] = [
    (1, Fixed::new(of_all_projects::<1>)),
    (2, Fixed::new(of_all_projects::<2>)),
    (4, Fixed::new(of_all_projects::<4>)),
    (8, Fixed::new(of_all_projects::<8>)),
    (IDS_AT_ONCE, Fixed::new(of_all_projects::<IDS_AT_ONCE>)),
];

/// Arguments: the ids, and the project.
fn of_project<const N: usize>(dialect: Dialect) -> (String, SqlxValues) {
    along_primary_key(dialect, jobs_of_ids(&argument_scope(N), (0..N).map(argument)))
}

fn of_all_projects<const N: usize>(dialect: Dialect) -> (String, SqlxValues) {
    along_primary_key(dialect, jobs_of_ids(&Scope::AllProjects, (0..N).map(argument)))
}

fn along_primary_key(dialect: Dialect, mut select: SelectStatement) -> (String, SqlxValues) {
    dialect.read_along(&mut select, "PRIMARY");
    dialect.build(&select)
}

fn jobs_of_ids(scope: &Scope, ids: impl IntoIterator<Item = Expr>) -> SelectStatement {
    let mut select = live_within(scope, MAX_BYTES);
    extras::join_extras(&mut select, MAX_BYTES);
    select.and_where(Expr::col((Jobs::Table, Jobs::Id)).is_in(ids));
    select
}

/// Arguments: the clients, the project, and the maximum number of rows.
fn of_clients<const N: usize>(dialect: Dialect) -> (String, SqlxValues) {
    let mut select = live_within(&argument_scope(N), MAX_BYTES);
    dialect.read_along(&mut select, "fz_jobs_poll");
    extras::join_extras(&mut select, MAX_BYTES);
    select
        .and_where(Expr::col((Jobs::Table, Jobs::ClientId)).is_in((0..N).map(argument)))
        .and_where(Expr::cust(dialect.not_completed()))
        .order_by((Jobs::Table, Jobs::ClientId), Order::Asc);
    dialect.build(&in_order(select, N as u64 + 1))
}

/// Adds the order of a list, and a limit that is an argument.
fn in_order(mut select: SelectStatement, limit: u64) -> SelectStatement {
    select
        .order_by((Jobs::Table, Jobs::CreatedAt), Order::Asc)
        .order_by((Jobs::Table, Jobs::Id), Order::Asc)
        .limit(number_argument(limit));
    select
}
