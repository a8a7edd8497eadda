//! Adds missing terms to actions: to those that are older than terms, those that the Python service wrote, and
//! those whose rows are missing in the table. This can run at any time beside running services, and again.
//!
//! `search/action_terms.rs` defines the terms. Rows are locked while their terms are computed, so a service
//! cannot change them between the terms and the checksum. If a definition cannot be parsed, its terms are
//! unknown.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sea_query::{Alias, CaseStatement, Expr, ExprTrait, LockType, Order, Query, SelectStatement};

use super::BATCH;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::migrations::term_sums::{Parts, SOURCES, SourceValues};
use crate::model::Action;
use crate::query::action_terms::{self, TermsChange};
use crate::search::action_terms::{self as terms, ActionTerm};
use crate::tables::{Actions, Column, StoredAction, TableRow};

/// Number of rows in one statement.
const AT_ONCE: usize = 50;

/// The new terms of an action, and the checksum of its row.
struct NewActionTerms {
    entry: TermsChange,
    crc: i64,
}

/// Fills one batch after the row `after`: actions with outdated terms, or all actions of these parts. Returns
/// the last row of the batch and the number of rows.
pub(in crate::migrations) async fn batch(
    db: &mut Db,
    parts: Option<Parts>,
    after: Option<&str>,
) -> Result<Option<(String, u64)>, StoreError> {
    let mut select = select(db.dialect());
    let mut last = None;
    match parts {
        None => {
            select
                .and_where(Expr::col(Actions::Deleted).eq(false))
                .and_where(Expr::cust(db.dialect().has_stale_terms()))
                .limit(BATCH);
            if let Some(after) = after {
                select.and_where(Expr::col(Actions::Id).gt(after));
            }
        }
        Some(parts) => {
            // A locking query would lock all rows that it reads.
            let ids = of_parts(db, parts, after).await?;
            let Some(id) = ids.last().cloned() else { return Ok(None) };
            last = Some(id);
            select.and_where(Expr::col(Actions::Id).is_in(ids));
        }
    }
    let mut made = made(db, &select).await?;
    made.retain(|made| parts.is_none_or(|parts| parts.has(&made.entry.project_id, &made.entry.action_id)));
    let rows = made.len() as u64;
    let last = last.or_else(|| made.last().map(|made| made.entry.action_id.clone()));
    let entries: Vec<&TermsChange> = made.iter().map(|made| &made.entry).collect();
    action_terms::write(db, &entries).await?;
    for some in made.chunks(AT_ONCE) {
        stamp(db, some).await?;
    }
    Ok(last.map(|last| (last, rows)))
}

/// Returns the ids of the next actions that have terms or should have some. SQLite cannot filter by parts.
async fn of_parts(db: &mut Db, parts: Parts, after: Option<&str>) -> Result<Vec<String>, StoreError> {
    let mut ids = Query::select();
    ids.column(Actions::Id)
        .from(Actions::Table)
        .and_where(Expr::col(Actions::Deleted).eq(false).or(Expr::col(Actions::FzTerms).is_not_null()))
        .order_by(Actions::Id, Order::Asc)
        .limit(BATCH);
    if let Some(condition) = parts.condition(db.dialect(), "project_id", "id") {
        ids.and_where(Expr::cust(condition));
    }
    if let Some(after) = after {
        ids.and_where(Expr::col(Actions::Id).gt(after));
    }
    db.read::<String>(&ids).await
}

/// Selects and locks actions, with the columns from which terms and checksums are computed.
fn select(dialect: Dialect) -> SelectStatement {
    let mut select = Query::select();
    select
        .columns(StoredAction::COLUMNS.iter().copied())
        .column(Actions::FzTerms)
        .from(Actions::Table)
        .order_by(Actions::Id, Order::Asc)
        .lock(LockType::Update);
    match dialect {
        Dialect::MySql => {
            select.expr(Expr::cust(format!("CAST({} AS SIGNED)", dialect.crc_of_action())));
        }
        Dialect::Sqlite => {
            for column in SOURCES {
                select.expr(Expr::col(Alias::new(column)).cast_as(Alias::new("TEXT")));
            }
        }
    }
    select
}

async fn made(db: &mut Db, select: &SelectStatement) -> Result<Vec<NewActionTerms>, StoreError> {
    let (doing, dialect) = (db.doing(), db.dialect());
    let at = |error| StoreError::from_driver(doing, error);
    let mut made: Vec<NewActionTerms> = Vec::new();
    db.select_each(select, |mut row| {
        let (stored, old, crc): (StoredAction, Option<Vec<u8>>, i64) = match dialect {
            Dialect::MySql => {
                let (stored, old, crc): (_, _, Option<i64>) = row.read().map_err(at)?;
                (stored, old, crc.unwrap_or_default())
            }
            Dialect::Sqlite => {
                let (stored, old, sources): (_, _, SourceValues) = row.read().map_err(at)?;
                (stored, old, terms::crc_of_columns(sources.into()).into())
            }
        };
        let (text, old) = (stored.definition.clone(), old.unwrap_or_default());
        let action = Action::from(stored);
        let place = Actions::BackupMetadata.of_row(&action.action_id);
        let new: BTreeSet<ActionTerm> = match json::object_strict(text.as_deref(), place) {
            Ok(_) => terms::of_action(&action),
            Err(_) => terms::unknown(),
        };
        // All new rows are written, because those of the old terms may be missing or belong to another project.
        let old = terms::from_bytes(&old).difference(&new).copied().collect();
        made.push(NewActionTerms {
            entry: TermsChange { project_id: action.project_id, action_id: action.action_id, old, new },
            crc,
        });
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    Ok(made)
}

/// Stores the lists of terms and the checksums in the rows of the actions.
async fn stamp(db: &mut Db, made: &[NewActionTerms]) -> Result<(), StoreError> {
    let id = || Expr::col(Actions::Id);
    let (mut listed, mut crcs) = (CaseStatement::new(), CaseStatement::new());
    for NewActionTerms { entry, crc } in made {
        let this = || id().eq(entry.action_id.as_str());
        listed = listed.case(this(), Expr::value(terms::to_bytes(&entry.new)));
        crcs = crcs.case(this(), *crc);
    }
    let mut update = Query::update();
    update
        .table(Actions::Table)
        .value(Actions::FzTerms, listed)
        .value(Actions::FzTermsCrc, crcs)
        .and_where(id().is_in(made.iter().map(|made| made.entry.action_id.as_str())));
    db.execute(&update).await.map(|_| ())
}
