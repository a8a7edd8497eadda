//! Finds the jobs that a search by a key of their actions may accept. It uses the terms of actions
//! (`search/action_terms.rs`), so that such a search does not read all jobs of a large project.
//!
//! A job may match if one of its actions has the term, if the terms of an action are outdated or unknown, or
//! if the schedule of the job may contain the key. All of these are found along indexes. If they are many,
//! the list is read in its order instead. Keys of the job itself, such as `status`, do not use this file.

use sea_query::{Alias, Condition, Expr, ExprTrait, Func, JoinType, Query, SelectStatement};
use serde_json::Value;

use super::SHAPE;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::query::job_actions::link_of_action;
use crate::query::listing::{Last, Page};
use crate::query::narrow::Source;
use crate::query::unreadable;
use crate::scope::Scope;
use crate::search::Search;
use crate::search::action_terms::{ActionTerm, MARK, SCHEDULE_KEYS, UNKNOWN, term};
use crate::tables::{Actions, FzActionTerms as Terms, JobActions as Links, Jobs};

/// Maximum number of candidates that are read and sorted here.
const FEW: u64 = 20_000;

/// Maximum number of pairs of a search that are compared to find the one with the fewest actions.
const COMPARED: usize = 8;

/// Keys of a job outside its actions, its schedule and its columns.
const OF_JOB: [&str; 6] =
    ["job_schedule", "job_actions", "event", "user_credentials", "trust_id", "trustor_user_id"];

/// Returns the positions of the jobs that a search may accept, in the order of the page. Returns `None` if
/// every job may match.
pub(super) async fn find(
    db: &mut Db,
    scope: &Scope,
    search: &Search,
    page: &Page,
) -> Result<Option<Vec<Last>>, StoreError> {
    let terms: Vec<ActionTerm> = search
        .matches
        .iter()
        .filter(|(key, _)| stands_in_actions_alone(key))
        .map(|(key, value)| term(key, value))
        .take(COMPARED)
        .collect();
    // An id identifies its job.
    let by_id = search.matches.iter().any(|(key, value)| key == "job_id" && value != &Value::Null);
    let is_comparable = page.marker.as_deref().is_none_or(is_plain);
    if terms.is_empty() || by_id || !is_comparable || !db.has_action_terms().await? {
        return Ok(None);
    }
    let Some(term) = rarest(db, scope, &terms).await? else { return Ok(None) };
    let mut places: Vec<Last> = Vec::new();
    for of in [
        with_term(db.dialect(), scope, term),
        with_stale_action(db.dialect(), scope),
        unusual(db.dialect(), scope),
    ] {
        let found = db.read::<Last>(&of).await?;
        if found.len() as u64 > FEW {
            return Ok(None);
        }
        places.extend(found);
    }
    // The database may sort other ids differently.
    if !places.iter().all(|(_, id)| is_plain(id)) {
        return Ok(None);
    }
    places.sort_unstable();
    places.dedup();
    if page.newest_first {
        places.reverse();
    }
    Ok(Some(places))
}

/// Returns whether only actions and unusual schedules of a job can contain the key.
fn stands_in_actions_alone(key: &str) -> bool {
    let is_column = |source: &Source<_>| match source {
        Source::Text(name, _) | Source::Blank(name, _) | Source::Int(name, _) => *name == key,
        _ => false,
    };
    !SHAPE.sources.iter().any(is_column) && !OF_JOB.contains(&key) && !SCHEDULE_KEYS.contains(&key)
}

/// Returns whether every collation sorts the text by its bytes.
fn is_plain(id: &str) -> bool {
    id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-'))
}

/// Returns the term with the fewest actions. Returns `None` if there are many of each, or if the table is not
/// marked as complete, because it was emptied or created by another program.
async fn rarest(db: &mut Db, scope: &Scope, terms: &[ActionTerm]) -> Result<Option<ActionTerm>, StoreError> {
    let mut counts = Query::select();
    let count = |mut some: SelectStatement, limit: u64, name: String| {
        some.expr(Expr::val(1)).limit(limit);
        let mut count = Query::select();
        count.expr(Func::count(Expr::val(1))).from_subquery(some, Alias::new(name));
        Expr::from(count)
    };
    let mut mark = Query::select();
    mark.from(Terms::Table)
        .and_where(Expr::col(Terms::Term).eq(MARK))
        .and_where(Expr::col(Terms::ProjectId).eq(""))
        .and_where(Expr::col(Terms::ActionId).eq(""));
    counts.expr(count(mark, 1, "fz_mark".to_owned()));
    for (at, term) in terms.iter().enumerate() {
        let mut actions = Query::select();
        actions
            .from(Terms::Table)
            .and_where(Expr::col(Terms::Term).eq(*term))
            .cond_where(scope.holds(Terms::ProjectId));
        counts.expr(count(actions, FEW + 1, format!("fz_{at}")));
    }
    let at = unreadable(db.doing());
    let Some(row) = db.select_one(&counts).await? else { return Ok(None) };
    if row.int(0).map_err(&at)? == Some(0) {
        return Ok(None);
    }
    let mut rarest = None;
    for (position, term) in terms.iter().enumerate() {
        let found = row.int(position + 1).map_err(&at)?.and_then(|found| u64::try_from(found).ok());
        let found = found.unwrap_or(u64::MAX);
        if found <= FEW && rarest.is_none_or(|(least, _)| found < least) {
            rarest = Some((found, *term));
        }
    }
    Ok(rarest.map(|(_, term)| term))
}

/// Selects jobs with an action that has the term or unknown terms.
fn with_term(dialect: Dialect, scope: &Scope, term: ActionTerm) -> SelectStatement {
    let mut select = Query::select();
    select
        .from(Terms::Table)
        .and_where(Expr::col((Terms::Table, Terms::Term)).is_in([term, UNKNOWN]))
        .cond_where(scope.holds((Terms::Table, Terms::ProjectId)));
    join_jobs(dialect, &mut select, scope, (Terms::Table, Terms::ActionId));
    select
}

/// Selects jobs with an action whose terms may be outdated.
fn with_stale_action(dialect: Dialect, scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    select
        .from(Actions::Table)
        .and_where(Expr::cust(dialect.has_stale_terms()))
        .and_where(Expr::col((Actions::Table, Actions::Deleted)).eq(false))
        .cond_where(scope.holds((Actions::Table, Actions::ProjectId)));
    join_jobs(dialect, &mut select, scope, (Actions::Table, Actions::Id));
    dialect.read_along(&mut select, "fz_actions_stale");
    select
}

/// Selects jobs whose schedules may contain any key.
fn unusual(dialect: Dialect, scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    select
        .columns([(Jobs::Table, Jobs::CreatedAt), (Jobs::Table, Jobs::Id)])
        .from(Jobs::Table)
        .and_where(Expr::cust(dialect.is_unusual()))
        .cond_where(live(scope))
        .limit(FEW + 1);
    dialect.read_along(&mut select, "fz_jobs_unusual");
    select
}

/// Selects the positions of the live jobs that use the actions of a query.
fn join_jobs<C>(dialect: Dialect, select: &mut SelectStatement, scope: &Scope, action_id: C)
where
    C: sea_query::IntoColumnRef,
{
    // In this order, independent of the server's statistics.
    let join = match dialect {
        Dialect::MySql => JoinType::StraightJoin,
        Dialect::Sqlite => JoinType::InnerJoin,
    };
    let job = Condition::all()
        .add(Expr::col((Jobs::Table, Jobs::Id)).equals((Links::Table, Links::JobId)))
        .add(live(scope));
    select
        .columns([(Jobs::Table, Jobs::CreatedAt), (Jobs::Table, Jobs::Id)])
        .join(join, Links::Table, link_of_action(action_id))
        .join(join, Jobs::Table, job)
        .limit(FEW + 1);
}

fn live(scope: &Scope) -> Condition {
    Condition::all()
        .add(Expr::col((Jobs::Table, Jobs::Deleted)).eq(false))
        .add(scope.holds((Jobs::Table, Jobs::ProjectId)))
}
