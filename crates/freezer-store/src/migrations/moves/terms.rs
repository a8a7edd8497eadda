//! Backups get the search terms and times that they lack: those that were made before there were terms, and those that the Python
//! service wrote. It can be done at any time, beside running services, and again.
//!
//! A row whose metadata cannot be read gets a checksum and no terms: a search judges it by its text. It is shown with empty
//! metadata, so it has no time. What terms are is `search/terms.rs`, what times are `search/times.rs`.

use std::ops::ControlFlow;

use sea_query::{CaseStatement, Expr, ExprTrait, Order, Query};

use super::BATCH;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json::{self, StoredField};
use crate::search::{terms, times};
use crate::tables::Backups;

/// Rows of one statement.
const AT_ONCE: usize = 50;

/// What a backup gets.
struct NewBackupTerms {
    id: String,
    terms: Option<Vec<u8>>,
    time: i64,
    /// Checksum of the metadata; none if there is none.
    crc: Option<i64>,
}

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
    let mut made: Vec<NewBackupTerms> = Vec::new();
    // one after the other: metadata may be large, terms are not
    db.select_each(&select, |row| {
        let id = row.string(0).map_err(at)?;
        let text = row.text(1).map_err(at)?;
        let place = StoredField { table: "backups", column: "backup_metadata", id: &id };
        let document = json::object_strict(text.as_deref(), place).ok();
        let terms = document.as_ref().and_then(terms::of_document);
        let time = document.as_ref().map_or(times::NONE, times::of_metadata);
        let crc = row.int(2).map_err(at)?.or_else(|| text.map(|text| terms::crc(&text).into()));
        made.push(NewBackupTerms { id, terms, time, crc });
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let rows = made.len() as u64;
    let last = made.last().map(|made| made.id.clone());
    for some in made.chunks(AT_ONCE) {
        write(db, some).await?;
    }
    Ok(last.map(|last| (last, rows)))
}

async fn write(db: &mut Db, made: &[NewBackupTerms]) -> Result<(), StoreError> {
    let id = || Expr::col(Backups::Id);
    let (mut terms, mut times, mut crcs) = (CaseStatement::new(), CaseStatement::new(), CaseStatement::new());
    for of in made {
        let this = || id().eq(of.id.as_str());
        terms = terms.case(this(), Expr::value(of.terms.clone()));
        times = times.case(this(), of.time);
        crcs = crcs.case(this(), Expr::value(of.crc));
    }
    let mut update = Query::update();
    update
        .table(Backups::Table)
        .value(Backups::FzSearchTerms, terms)
        .value(Backups::FzSearchCrc, crcs.clone())
        .value(Backups::FzTime, times)
        .value(Backups::FzTimeCrc, crcs)
        .and_where(id().is_in(made.iter().map(|made| made.id.as_str())))
        // a row whose metadata changed meanwhile got its terms with them, or is found by the next sync
        .and_where(Expr::cust(db.dialect().lacks_terms()));
    db.execute(&update).await.map(|_| ())
}
