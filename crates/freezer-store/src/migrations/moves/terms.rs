//! Adds missing search terms and times to backups: to those that are older than terms, and those that the Python
//! service wrote. This can run at any time beside running services, and again.
//!
//! If the metadata of a row cannot be parsed, the row gets a checksum but no terms, and a search reads its text.
//! It is shown with empty metadata, so it has no time. `search/terms.rs` defines terms, and `search/times.rs`
//! defines times.

use std::ops::ControlFlow;

use sea_query::{CaseStatement, Expr, ExprTrait, Order, Query};

use super::BATCH;
use crate::error::StoreError;
use crate::exec::Db;
use crate::json;
use crate::search::{terms, times};
use crate::tables::{Backups, Column};

/// Number of rows in one statement.
const AT_ONCE: usize = 50;

/// The new terms and time of a backup.
struct NewBackupTerms {
    id: String,
    terms: Option<Vec<u8>>,
    time: i64,
    /// Checksum of the metadata. `None` if there are no metadata.
    crc: Option<i64>,
}

/// Fills one batch after the row `after`. Returns the last row of the batch and the number of rows.
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
    // Rows are read one by one, because metadata may be large.
    db.select_each(&select, |mut row| {
        let (id, text, crc): (String, Option<String>, Option<i64>) = row.read().map_err(at)?;
        let place = Backups::BackupMetadata.of_row(&id);
        let document = json::object_strict(text.as_deref(), place).ok();
        let terms = document.as_ref().and_then(terms::of_document);
        let time = document.as_ref().map_or(times::NONE, times::of_metadata);
        let crc = crc.or_else(|| text.map(|text| terms::crc(&text).into()));
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
        // If metadata changed in the meantime, the row got its terms with this change, or the next sync finds
        // it.
        .and_where(Expr::cust(db.dialect().lacks_terms()));
    db.execute(&update).await.map(|_| ())
}
