//! Backups get the search terms that they lack: those that were made before there were terms, and those that the Python
//! service wrote. It can be done at any time, beside running services, and again.
//!
//! A row whose metadata cannot be read gets a checksum and no terms: a search judges it by its text. What terms are is
//! `search/terms.rs`.

use std::ops::ControlFlow;

use sea_query::{CaseStatement, Expr, ExprTrait, Order, Query};

use super::BATCH;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, Place};
use crate::search::terms;
use crate::tables::Backups;

/// Rows of one statement.
const AT_ONCE: usize = 50;

/// A backup, its terms and the checksum of the metadata that they are of.
type Made = (String, Option<Vec<u8>>, i64);

/// Fills one batch behind the row `after`; gives the last row of it, and how many it had.
pub(in crate::migrations) async fn batch(
    db: &mut Db,
    after: Option<&str>,
) -> Result<Option<(String, u64)>, StoreError> {
    let dialect = db.dialect();
    let mut select = Query::select();
    select
        .columns([Backups::Id, Backups::BackupMetadata])
        .expr(dialect.crc_of_metadata())
        .from(Backups::Table)
        .and_where(Expr::col(Backups::Deleted).eq(false))
        .and_where(Expr::cust(dialect.lacks_terms()))
        .order_by(Backups::Id, Order::Asc)
        .limit(BATCH);
    if let Some(after) = after {
        select.and_where(Expr::col(Backups::Id).gt(after));
    }
    let at = |error| StoreError::from_driver("schema.fill_terms", error);
    let mut made: Vec<Made> = Vec::new();
    // one after the other: metadata may be large, terms are not
    db.select_each(&select, |row| {
        let id = row.string(0).map_err(at)?;
        let text = row.text(1).map_err(at)?.unwrap_or_default();
        let place = Place { table: "backups", column: "backup_metadata", id: &id };
        let terms = json::object_strict(Some(&text), place).ok().as_ref().and_then(terms::of);
        let crc = row.int(2).map_err(at)?.unwrap_or_else(|| terms::crc(&text).into());
        made.push((id, terms, crc));
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let rows = made.len() as u64;
    let last = made.last().map(|(id, ..)| id.clone());
    for some in made.chunks(AT_ONCE) {
        write(db, some).await?;
    }
    Ok(last.map(|last| (last, rows)))
}

async fn write(db: &mut Db, made: &[Made]) -> Result<(), StoreError> {
    let id = || Expr::col(Backups::Id);
    let (mut terms, mut crcs) = (CaseStatement::new(), CaseStatement::new());
    for (of, its_terms, crc) in made {
        terms = terms.case(id().eq(of.as_str()), Expr::value(its_terms.clone()));
        crcs = crcs.case(id().eq(of.as_str()), *crc);
    }
    let mut update = Query::update();
    update
        .table(Backups::Table)
        .value(Backups::FzSearchTerms, terms)
        .value(Backups::FzSearchCrc, crcs)
        .and_where(id().is_in(made.iter().map(|(id, ..)| id.as_str())))
        // whoever wrote the metadata meanwhile wrote its terms, too, or will be found next time
        .and_where(Expr::cust(db.dialect().lacks_terms()));
    db.execute(&update).await.map(|_| ())
}
