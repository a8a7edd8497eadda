//! Queries on `user_credentials`: the Keystone trust of a job. The queries in `jobs` also read it.

use sea_query::{Expr, ExprTrait, Order, Query};

use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::model::StoredTrust;
use crate::tables::UserCredentials as Columns;

/// Stores the trust of a job under the row id `id`.
pub async fn create(
    db: &mut Db,
    id: &str,
    job_id: &str,
    credentials: &StoredTrust,
    now: Timestamp,
) -> Result<(), StoreError> {
    let stamp = db.dialect().datetime(now);
    let mut insert = Query::insert();
    insert
        .into_table(Columns::Table)
        .columns([
            Columns::Id,
            Columns::TrustId,
            Columns::TrustorUserId,
            Columns::JobId,
            Columns::Deleted,
            Columns::CreatedAt,
        ])
        .values_panic([
            id.into(),
            credentials.trust_id.as_str().into(),
            credentials.trustor_user_id.as_str().into(),
            job_id.into(),
            false.into(),
            stamp.into(),
        ]);
    db.execute(&insert).await.map(|_| ())
}

/// Returns the trust of a job, if any.
pub async fn get(db: &mut Db, job_id: &str) -> Result<Option<StoredTrust>, StoreError> {
    one(db, job_id, Expr::col(Columns::Deleted).eq(false)).await
}

/// Returns the trust of a job that is being deleted, also if an earlier run of the body deleted it
/// (`repeat.rs`).
pub async fn get_to_delete(
    db: &mut Db,
    job_id: &str,
    now: Timestamp,
) -> Result<Option<StoredTrust>, StoreError> {
    let found = get(db, job_id).await?;
    if found.is_some() || !db.is_repeat() {
        return Ok(found);
    }
    let stamp = db.dialect().datetime(now);
    one(db, job_id, Expr::col(Columns::DeletedAt).eq(stamp)).await
}

async fn one(db: &mut Db, job_id: &str, which: Expr) -> Result<Option<StoredTrust>, StoreError> {
    let mut select = Query::select();
    select
        .columns([Columns::TrustId, Columns::TrustorUserId])
        .from(Columns::Table)
        .and_where(Expr::col(Columns::JobId).eq(job_id))
        .and_where(which)
        .order_by(Columns::Id, Order::Asc)
        .limit(1);
    let found = db.read_one::<(String, String)>(&select).await?;
    Ok(found.map(|(trust_id, trustor_user_id)| StoredTrust { trust_id, trustor_user_id }))
}

/// Replaces the trust `old` in all live jobs.
pub async fn replace_trust(db: &mut Db, old: &str, new: &str, now: Timestamp) -> Result<(), StoreError> {
    let stamp = db.dialect().datetime(now);
    let mut update = Query::update();
    update
        .table(Columns::Table)
        .value(Columns::TrustId, new)
        .value(Columns::UpdatedAt, stamp)
        .and_where(Expr::col(Columns::TrustId).eq(old))
        .and_where(Expr::col(Columns::Deleted).eq(false));
    db.execute(&update).await.map(|_| ())
}

/// Marks the trust of a job as deleted.
pub async fn delete(db: &mut Db, job_id: &str, now: Timestamp) -> Result<(), StoreError> {
    let stamp = db.dialect().datetime(now);
    let mut update = Query::update();
    update
        .table(Columns::Table)
        .value(Columns::Deleted, true)
        .value(Columns::DeletedAt, stamp)
        .and_where(Expr::col(Columns::JobId).eq(job_id))
        .and_where(Expr::col(Columns::Deleted).eq(false));
    db.execute(&update).await.map(|_| ())
}

/// Returns whether a live job uses a trust.
pub async fn trust_in_use(db: &mut Db, trust_id: &str) -> Result<bool, StoreError> {
    let mut select = Query::select();
    select
        .column(Columns::Id)
        .from(Columns::Table)
        .and_where(Expr::col(Columns::TrustId).eq(trust_id))
        .and_where(Expr::col(Columns::Deleted).eq(false))
        .limit(1);
    Ok(db.select_one(&select).await?.is_some())
}
