//! Makes every write safe to run again after a lost answer, when it is unknown whether the first run was
//! stored.
//!
//! Ids and the time are created once, outside the body, so each run writes the same rows. `tx.rs` runs the
//! body again on another connection, with [`Db::is_repeat`] set. Then the body finds either the old rows or
//! the rows of its first run. The same holds if a POST with an `Idempotency-Key` continues an earlier attempt
//! with an unknown outcome ([`Store::repeating`](crate::Store::repeating)): its key has the id and the time.
//!
//! | write | how it finds its own rows | consequence |
//! |---|---|---|
//! | `backups.create`, `sessions.create` | by the primary key, created for this request | done |
//! | `clients.create` | by the primary key, created from the name | continues as `clients.register` |
//! | `clients.register` | the client with this name | compares: nothing must be written |
//! | `clients.delete`, `backups.delete`, `sessions.delete`, `actions.delete`, `jobs.delete` | no live row, but one that was deleted at the time of this request | answers that it was deleted |
//! | `jobs.delete` | the same for the trust of the job | deletes the trust |
//! | `jobs.create`, `actions.create`, inline actions | the row, created at the time of this request | keeps it, because a transaction is stored as a whole |
//! | `jobs.replace`, `actions.replace`, `sessions.replace` | the same | answers "created"; otherwise replaces it again, which changes nothing |
//! | `backups.update`, `actions.update`, `sessions.update` | the patched row | applies the patch again, which changes nothing |
//! | `jobs.update` | the same; a report of a run that it stored itself counts as new | the same |
//! | `jobs.event` | the event | answers "success", not "already requested" |
//! | `sessions.action`, start | the run with the same time and the next tag | answers "success" with the tag |
//! | `sessions.action`, end | the entry of the job, ended at this time, or started later | changes nothing |
//! | `sessions.add_job`, `sessions.remove_job` | both rows in their new state | writes the same |
//! | `trusts.renew` | the new trust | finds no row with the old trust |
//! | `trusts.in_use` | writes nothing | reads again |
//!
//! `db sync` and `purge` have steps that are safe to repeat (`migrations/run.rs`, `maintenance/purge.rs`).

use std::collections::HashSet;

use sea_query::{Expr, ExprTrait, IntoIden, IntoTableRef, LockType, Query};

use super::{TableColumns, listing};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::scope::Scope;

impl<C: IntoIden + IntoTableRef + Copy + 'static> TableColumns<C> {
    /// Returns whether an earlier run of this body created the live row with this id.
    pub(super) async fn was_created(
        &self,
        db: &mut Db,
        scope: &Scope,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.is_of(db, scope, id, (false, self.created_at), now).await
    }

    /// Returns those of the given ids whose live rows an earlier run of this body created.
    pub(super) async fn created_among(
        &self,
        db: &mut Db,
        scope: &Scope,
        ids: &[&str],
        now: Timestamp,
    ) -> Result<HashSet<String>, StoreError> {
        self.those_of(db, scope, ids, (false, self.created_at), now).await
    }

    /// Returns whether an earlier run of this body, or another request in the same second, changed the live
    /// row with this id.
    pub(super) async fn was_updated(
        &self,
        db: &mut Db,
        scope: &Scope,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.is_of(db, scope, id, (false, self.updated_at), now).await
    }

    /// Returns whether an earlier run of this body deleted the row with this id.
    pub(super) async fn was_deleted(
        &self,
        db: &mut Db,
        scope: &Scope,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.is_of(db, scope, id, (true, self.deleted_at), now).await
    }

    async fn is_of(
        &self,
        db: &mut Db,
        scope: &Scope,
        id: &str,
        state: (bool, C),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(!self.those_of(db, scope, &[id], state, now).await?.is_empty())
    }

    async fn those_of(
        &self,
        db: &mut Db,
        scope: &Scope,
        ids: &[&str],
        (deleted, column): (bool, C),
        now: Timestamp,
    ) -> Result<HashSet<String>, StoreError> {
        if !db.is_repeat() {
            return Ok(HashSet::new());
        }
        let mut select = Query::select();
        select
            .column(self.id)
            .from(self.table)
            .and_where(Expr::col(self.id).is_in(listing::padded(ids.to_vec())))
            .and_where(Expr::col(self.deleted).eq(deleted))
            .and_where(Expr::col(column).eq(db.dialect().datetime(now)))
            .cond_where(scope.holds(self.project_id.into_iden()));
        if !deleted {
            // The COMMIT of the first run may still be on its way. Its rows are locked until then.
            select.lock(LockType::Update);
        }
        Ok(db.read::<String>(&select).await?.into_iter().collect())
    }
}
