//! Actions get the terms that they lack: those that were made before there were terms, and those that the Python service
//! wrote. It can be done at any time, beside running services, and again.
//!
//! `search/action_terms.rs` defines the terms. Rows are locked while theirs are made, so that a change by a service comes
//! before or after, and not between the terms and the checksum. A definition that cannot be read has unknown terms.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sea_query::{CaseStatement, Expr, ExprTrait, LockType, Order, Query};

use super::BATCH;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, StoredField};
use crate::query::action_terms::{self, TermsChange};
use crate::query::actions;
use crate::search::action_terms::{self as terms, ActionTerm};
use crate::search::terms::crc;
use crate::tables::Actions;

/// Rows of one statement.
const AT_ONCE: usize = 50;

/// What an action gets.
struct Made {
    entry: TermsChange,
    crc: i64,
}

/// Fills one batch behind the row `after`; gives the last row of it, and how many it had.
pub(in crate::migrations) async fn batch(
    db: &mut Db,
    after: Option<&str>,
) -> Result<Option<(String, u64)>, StoreError> {
    let dialect = db.dialect();
    let mut select = Query::select();
    select
        .columns([Actions::CreatedAt, Actions::Id])
        .columns(actions::COLUMNS)
        .column(Actions::FzTerms)
        .expr(Expr::cust(match dialect.crc_of_action() {
            "NULL" => "NULL".to_owned(),
            crc => format!("CAST({crc} AS SIGNED)"),
        }))
        .from(Actions::Table)
        .and_where(Expr::col(Actions::Deleted).eq(false))
        .and_where(Expr::cust(dialect.has_stale_terms()))
        .order_by(Actions::Id, Order::Asc)
        .limit(BATCH)
        .lock(LockType::Update);
    if let Some(after) = after {
        select.and_where(Expr::col(Actions::Id).gt(after));
    }
    let doing = db.doing();
    let at = |error| StoreError::from_driver(doing, error);
    let mut made: Vec<Made> = Vec::new();
    db.select_each(&select, |mut row| {
        let text = row.text(7).map_err(at)?;
        let old = row.bytes(2 + actions::COLUMNS.len()).map_err(at)?.unwrap_or_default();
        let checksum = row.int(3 + actions::COLUMNS.len()).map_err(at)?;
        let action = actions::read(doing, &mut row, 0)?;
        let place = StoredField { table: "actions", column: "backup_metadata", id: &action.action_id };
        let new: BTreeSet<ActionTerm> = match json::object_strict(text.as_deref(), place) {
            Ok(_) => terms::of_action(&action),
            Err(_) => terms::unknown(),
        };
        let crc = checksum.unwrap_or_else(|| crc(text.as_deref().unwrap_or_default()).into());
        let entry = TermsChange {
            project_id: action.project_id,
            action_id: action.action_id,
            old: terms::from_bytes(&old),
            new,
        };
        made.push(Made { entry, crc });
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let rows = made.len() as u64;
    let last = made.last().map(|made| made.entry.action_id.clone());
    let entries: Vec<&TermsChange> = made.iter().map(|made| &made.entry).collect();
    action_terms::write(db, &entries).await?;
    for some in made.chunks(AT_ONCE) {
        stamp(db, some).await?;
    }
    Ok(last.map(|last| (last, rows)))
}

/// Says in the rows of the actions which terms they have.
async fn stamp(db: &mut Db, made: &[Made]) -> Result<(), StoreError> {
    let id = || Expr::col(Actions::Id);
    let (mut listed, mut crcs) = (CaseStatement::new(), CaseStatement::new());
    for Made { entry, crc } in made {
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
