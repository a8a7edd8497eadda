//! Which jobs a search by a key of their actions may want, by the terms of actions (`search/action_terms.rs`), so that a project
//! of a million jobs need not be looked through.
//!
//! A job may be wanted if one of its actions has the term, if the terms of one are out of date or unknown, or if the
//! schedule of the job may have the key. All of these are found along indexes, and are few; if they are many, the list is
//! read in its order as before. Keys that stand in a job itself, such as `status`, are not looked for in this way.

use sea_query::{Alias, Condition, Expr, ExprTrait, Func, JoinType, Query, SelectStatement};
use serde_json::Value;

use super::SHAPE;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::query::listing::{Last, Page, last};
use crate::query::narrow::Source;
use crate::query::unreadable;
use crate::scope::Scope;
use crate::search::Search;
use crate::search::action_terms::{ActionTerm, MARK, SCHEDULE_KEYS, UNKNOWN, term};
use crate::tables::{Actions, FzActionTerms as Terms, JobActions as Links, Jobs};

/// As many candidates are few enough to be read and sorted here.
const FEW: u64 = 20_000;

/// Pairs of a search that are compared for the one that the fewest actions have.
const COMPARED: usize = 8;

/// Keys that a job may have beside its actions, its schedule and its columns.
const OF_JOB: [&str; 6] =
    ["job_schedule", "job_actions", "event", "user_credentials", "trust_id", "trustor_user_id"];

/// The places of the jobs that a search may want, in the order of the page; none if any job may be wanted.
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
    // an id names its job
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
        let rows = db.select(&of).await?;
        if rows.len() as u64 > FEW {
            return Ok(None);
        }
        for row in &rows {
            places.push(last(db.doing(), row)?);
        }
    }
    // the database may have another order of other ids
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

/// Whether no part of a job has the key but its actions, and a schedule that is unusual.
fn stands_in_actions_alone(key: &str) -> bool {
    let is_column = |source: &Source<_>| match source {
        Source::Text(name, _) | Source::Blank(name, _) | Source::Int(name, _) => *name == key,
        _ => false,
    };
    !SHAPE.sources.iter().any(is_column) && !OF_JOB.contains(&key) && !SCHEDULE_KEYS.contains(&key)
}

/// Whether every collation orders the text as its bytes are ordered.
fn is_plain(id: &str) -> bool {
    id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-'))
}

/// The term that the fewest actions have; none if there are many of each, or if the table does not say that it is
/// complete: it was emptied, or made by another program.
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

/// Jobs of which an action has the term, or terms that are not known.
fn with_term(dialect: Dialect, scope: &Scope, term: ActionTerm) -> SelectStatement {
    let mut select = Query::select();
    select
        .from(Terms::Table)
        .and_where(Expr::col((Terms::Table, Terms::Term)).is_in([term, UNKNOWN]))
        .cond_where(scope.holds((Terms::Table, Terms::ProjectId)));
    join_jobs(dialect, &mut select, scope, (Terms::Table, Terms::ActionId));
    select
}

/// Jobs of which an action may have other terms than those that are known.
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

/// Jobs whose schedules may have any key.
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

/// Selects the places of the live jobs that have the actions of a query.
fn join_jobs<C>(dialect: Dialect, select: &mut SelectStatement, scope: &Scope, action_id: C)
where
    C: sea_query::IntoColumnRef,
{
    // in this order, whatever the server knows of the tables
    let join = match dialect {
        Dialect::MySql => JoinType::StraightJoin,
        Dialect::Sqlite => JoinType::InnerJoin,
    };
    let link = Condition::all()
        .add(Expr::col((Links::Table, Links::ActionId)).eq(Expr::col(action_id)))
        .add(Expr::col((Links::Table, Links::Deleted)).eq(false));
    let job = Condition::all()
        .add(Expr::col((Jobs::Table, Jobs::Id)).equals((Links::Table, Links::JobId)))
        .add(live(scope));
    select
        .columns([(Jobs::Table, Jobs::CreatedAt), (Jobs::Table, Jobs::Id)])
        .join(join, Links::Table, link)
        .join(join, Jobs::Table, job)
        .limit(FEW + 1);
}

fn live(scope: &Scope) -> Condition {
    Condition::all()
        .add(Expr::col((Jobs::Table, Jobs::Deleted)).eq(false))
        .add(scope.holds((Jobs::Table, Jobs::ProjectId)))
}
