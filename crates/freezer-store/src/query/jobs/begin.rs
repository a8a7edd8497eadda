//! How the lists begin that are asked all the time, a scheduler's poll above all: their first jobs with all that belongs
//! to them, in one statement.
//!
//! It walks an index in the order of the list and joins to each job what the job has, so its limit is one of joined rows:
//! the last job may have come without all of its actions, and is left to the statements that go on behind. The index of a
//! poll has the jobs that may be wanted and no others, except for those that only a look at the schedule excludes.

use std::ops::ControlFlow;

use sea_query::{Expr, ExprTrait, Order, SelectStatement};
use sea_query_sqlx::SqlxValues;

use super::links::{self, Extras};
use super::{EXTRAS, SCHEDULE, argument_scope, live, read};
use crate::additions::Indexes;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::model::Job;
use crate::query::listing::{Begun, Last, Page, last};
use crate::row::Row;
use crate::scope::Scope;
use crate::search::Search;
use crate::statement::{Argument, Filled, Fixed, argument, number_argument};
use crate::tables::Jobs;

/// Joined rows of a beginning at most.
pub(super) const LARGEST: u64 = 250;

/// The beginning of a list, where it is one of those.
///
/// # Errors
/// As every query: [`StoreError`].
pub(super) async fn begin(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: &Page,
) -> Result<Option<Begun<Job>>, StoreError> {
    let jobs = std::cmp::min(page.limit.saturating_add(u64::from(page.look_ahead)), LARGEST);
    if page.marker.is_some() || page.newest_first || page.offset > 0 || jobs == 0 {
        return Ok(None);
    }
    // one more row tells that the last job is whole
    let rows = jobs + 1;
    let Some(statement) = frequent(scope, search, rows) else { return Ok(None) };
    let has_indexes =
        db.has_indexes(Indexes::Jobs).await? && (search.is_empty() || db.has_indexes(Indexes::Polls).await?);
    if !has_indexes {
        return Ok(None);
    }
    let (mut found, mut bytes) = (Vec::new(), 0);
    db.select_each(&statement, |row| {
        bytes += (row.length(SCHEDULE) + row.length(EXTRAS + links::DEFINITION)) as u64;
        found.push(row);
        Ok(if bytes > page.max_bytes { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
    .await?;
    // rows that were broken off are left to the statements that go on behind
    let limit = if bytes > page.max_bytes { found.len() as u64 } else { rows };
    gather(db.doing(), found, limit).map(Some)
}

/// Lists of a project, and polls, as fixed statements.
fn frequent<'a>(scope: &'a Scope, search: &'a Search, rows: u64) -> Option<Filled<'a>> {
    static WHOLE: Fixed =
        Fixed::new(|dialect| first_rows(dialect, live(&argument_scope(1)), "fz_jobs_project"));
    static POLL: Fixed = Fixed::new(|dialect| {
        let mut select = live(&argument_scope(1));
        select
            .and_where(Expr::col((Jobs::Table, Jobs::ClientId)).eq(argument(2)))
            .and_where(Expr::cust(dialect.not_completed()));
        first_rows(dialect, select, "fz_jobs_poll")
    });
    let Scope::Project(project) = scope else { return None };
    let mut arguments = vec![Argument::Number(rows), project.as_str().into()];
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
pub(super) fn poll(client: &str) -> Search {
    Search {
        matches: vec![("client_id".to_owned(), client.into())],
        match_not: vec![("status".to_owned(), "completed".into())],
        ..Search::default()
    }
}

/// Arguments: joined rows, and those of `select`. The index is named, because a server that may choose looks into each that
/// would do, which takes as long as a job with its action.
fn first_rows(dialect: Dialect, mut select: SelectStatement, index: &'static str) -> (String, SqlxValues) {
    dialect.read_along(&mut select, index);
    links::join_extras(&mut select);
    select
        .order_by((Jobs::Table, Jobs::CreatedAt), Order::Asc)
        .order_by((Jobs::Table, Jobs::Id), Order::Asc)
        .limit(number_argument(0));
    links::build_along(dialect, &select)
}

/// Jobs out of joined rows, in which those of one job follow each other.
pub(super) fn gather(doing: &'static str, rows: Vec<Row>, limit: u64) -> Result<Begun<Job>, StoreError> {
    let all = (rows.len() as u64) < limit;
    let mut begun = Begun { documents: Vec::with_capacity(rows.len()), after: None, all };
    let mut open: Option<(Job, Extras, Last)> = None;
    for mut row in rows {
        let place = last(doing, &row)?;
        let goes_on = open.take_if(|(_, _, (_, id))| *id == place.1);
        let (job, mut extras, place) = match goes_on {
            Some(same) => same,
            None => {
                begun.end(open.take());
                (read(doing, &mut row)?, Extras::default(), place)
            }
        };
        extras.add(doing, &mut row, EXTRAS)?;
        open = Some((job, extras, place));
    }
    if all {
        begun.end(open);
    }
    Ok(begun)
}

impl Begun<Job> {
    /// Takes a job of which all rows were read.
    fn end(&mut self, whole: Option<(Job, Extras, Last)>) {
        if let Some((mut job, extras, place)) = whole {
            extras.complete(&mut job);
            self.documents.push(job);
            self.after = Some(place);
        }
    }
}
