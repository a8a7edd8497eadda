//! Queries on `freezer_idempotency`: which POST a key was used for, and what was answered.

use sea_query::{Expr, ExprTrait, Iden, Order, Query};

use super::unreadable;
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::known::Indexes;

/// Seconds for which an answer is kept.
pub const KEPT_FOR: i64 = 86_400;

#[derive(Iden, Clone, Copy)]
enum FreezerIdempotency {
    Table,
    Id,
    Request,
    Began,
    Attempt,
    Status,
    Answer,
}
use FreezerIdempotency as Column;

/// A request with a key.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// Hash of the caller and the key, at most 64 characters.
    pub id: String,
    /// Hash of what is requested, at most 64 characters.
    pub request: String,
    /// Id of this very request, at most 64 characters.
    pub attempt: String,
    /// When it came.
    pub now: Timestamp,
    /// Seconds after which a request that was not answered counts as given up.
    pub patience: i64,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is this request's from now on.
    Ours,
    /// A request with this key is being carried out.
    UnderWay,
    /// It was used for another request.
    Other,
    /// The request was answered so.
    Answered {
        /// HTTP status.
        status: u16,
        /// The body.
        answer: String,
    },
}

/// Claims a key: one statement if the key is new. None: there is no table for keys.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn claim(db: &mut Db, keyed: &Keyed) -> Result<Option<Claim>, StoreError> {
    if !db.has_indexes(Indexes::Keys).await? {
        return Ok(None);
    }
    claim_in_table(db, keyed).await.map(Some)
}

async fn claim_in_table(db: &mut Db, keyed: &Keyed) -> Result<Claim, StoreError> {
    let mut insert = Query::insert();
    insert
        .into_table(Column::Table)
        .columns([Column::Id, Column::Request, Column::Began, Column::Attempt])
        .values_panic([
            keyed.id.as_str().into(),
            keyed.request.as_str().into(),
            keyed.now.0.into(),
            keyed.attempt.as_str().into(),
        ]);
    match db.execute(&insert).await {
        Ok(_) => return Ok(Claim::Ours),
        Err(error) if error.is_duplicate() => {}
        Err(error) => return Err(error),
    }
    let mut select = Query::select();
    select
        .columns([Column::Request, Column::Began, Column::Attempt, Column::Status, Column::Answer])
        .from(Column::Table)
        .and_where(Expr::col(Column::Id).eq(keyed.id.as_str()));
    // released meanwhile: the caller tries again
    let Some(row) = db.select_one(&select).await? else { return Ok(Claim::UnderWay) };
    let at = unreadable(db.doing());
    let (request, attempt) = (row.string(0).map_err(&at)?, row.string(2).map_err(&at)?);
    let age = keyed.now.0.saturating_sub(row.int(1).map_err(&at)?.unwrap_or(0));
    let status = row.int(3).map_err(&at)?;
    if attempt == keyed.attempt && status.is_none() {
        // the first run of this statement stored it, and its answer was lost
        return Ok(Claim::Ours);
    }
    let is_over = match status {
        Some(_) => age >= KEPT_FOR,
        // a clock that was set back must not block the key
        None => age >= keyed.patience || age < -keyed.patience,
    };
    if is_over {
        return take_over(db, keyed, &attempt).await;
    }
    if request != keyed.request {
        return Ok(Claim::Other);
    }
    Ok(match status.and_then(|status| u16::try_from(status).ok()) {
        Some(status) => Claim::Answered { status, answer: row.string(4).map_err(&at)? },
        None => Claim::UnderWay,
    })
}

/// Takes a key from a request that was given up, or whose answer need not be kept any longer.
async fn take_over(db: &mut Db, keyed: &Keyed, from: &str) -> Result<Claim, StoreError> {
    let mut update = Query::update();
    update
        .table(Column::Table)
        .value(Column::Request, keyed.request.as_str())
        .value(Column::Began, keyed.now.0)
        .value(Column::Attempt, keyed.attempt.as_str())
        .value(Column::Status, Option::<i32>::None)
        .value(Column::Answer, Option::<String>::None)
        .and_where(Expr::col(Column::Id).eq(keyed.id.as_str()))
        .and_where(Expr::col(Column::Attempt).eq(from));
    Ok(match db.execute(&update).await? {
        0 => Claim::UnderWay,
        _ => Claim::Ours,
    })
}

/// Keeps the answer of a request that has claimed its key.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn answer(db: &mut Db, keyed: &Keyed, status: u16, answer: &str) -> Result<(), StoreError> {
    let mut update = Query::update();
    update
        .table(Column::Table)
        .value(Column::Status, i32::from(status))
        .value(Column::Answer, answer)
        .and_where(Expr::col(Column::Id).eq(keyed.id.as_str()))
        .and_where(Expr::col(Column::Attempt).eq(keyed.attempt.as_str()));
    db.execute(&update).await.map(|_| ())
}

/// Gives a key back that was claimed for a request that changed nothing.
///
/// # Errors
/// As every change: [`StoreError`].
pub async fn release(db: &mut Db, keyed: &Keyed) -> Result<(), StoreError> {
    let mut delete = Query::delete();
    delete
        .from_table(Column::Table)
        .and_where(Expr::col(Column::Id).eq(keyed.id.as_str()))
        .and_where(Expr::col(Column::Attempt).eq(keyed.attempt.as_str()))
        .and_where(Expr::col(Column::Status).is_null());
    db.execute(&delete).await.map(|_| ())
}

/// Ids of keys whose answers need not be kept any longer, the next ones behind `after`.
pub(crate) async fn expired(
    db: &mut Db,
    before: i64,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<String>, StoreError> {
    let mut select = Query::select();
    select
        .column(Column::Id)
        .from(Column::Table)
        .and_where(Expr::col(Column::Began).lt(before))
        .order_by(Column::Id, Order::Asc)
        .limit(limit);
    if let Some(after) = after {
        select.and_where(Expr::col(Column::Id).gt(after));
    }
    let rows = db.select(&select).await?;
    let at = unreadable(db.doing());
    rows.iter().map(|row| row.string(0).map_err(&at)).collect()
}

/// Removes those of `ids` that are still as old.
pub(crate) async fn remove(db: &mut Db, ids: &[String], before: i64) -> Result<u64, StoreError> {
    let mut delete = Query::delete();
    delete
        .from_table(Column::Table)
        .and_where(Expr::col(Column::Id).is_in(ids.iter().map(String::as_str)))
        .and_where(Expr::col(Column::Began).lt(before));
    db.execute(&delete).await
}
