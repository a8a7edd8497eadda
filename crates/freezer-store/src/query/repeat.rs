//! What makes each write safe to run again after a lost answer, when nobody knows whether the first run was stored.
//!
//! Ids and the time are made once, outside the body, so each run writes the same rows. `tx.rs` runs the body again on another
//! connection, with [`Db::is_repeat`] set. The body then finds either the rows of before, or those that the first run wrote:
//!
//! | write | finds its own rows | and then |
//! |---|---|---|
//! | `backups.create`, `sessions.create` | the primary key, made for this request | done |
//! | `clients.create` | the primary key, made of the name | goes on as `clients.register` |
//! | `clients.register` | the client of that name | compares: nothing is left to be written |
//! | `clients.delete`, `backups.delete`, `sessions.delete`, `actions.delete`, `jobs.delete` | no live row, but one that was deleted at the time of this request | answers that it was deleted |
//! | `jobs.delete` | the same of the trust of the job | ends the trust |
//! | `jobs.create`, `actions.create`, inline actions | the row, created at the time of this request | leaves it: a transaction is stored as a whole |
//! | `jobs.replace`, `actions.replace`, `sessions.replace` | the same | answers "created"; else replaces once more, which changes nothing |
//! | `backups.update`, `actions.update`, `sessions.update` | the patched row | applies the patch once more, which changes nothing |
//! | `jobs.update` | the same; a report of a run that it has stored itself counts as new | the same |
//! | `jobs.event` | the event | answers "success", not "already requested" |
//! | `sessions.action`, start | the run of the same time, one tag later | answers "success" with the tag |
//! | `sessions.action`, end | the entry of the job, ended at this time, or started later | changes nothing |
//! | `sessions.add_job`, `sessions.remove_job` | both rows as they are to be | writes the same |
//! | `trusts.renew` | the new trust | finds no row with the old one |
//! | `trusts.in_use` | writes nothing | reads again |
//!
//! `db sync` and `purge` have steps that are safe to repeat by themselves (`migrations/runner.rs`, `maintenance/purge.rs`).

use sea_query::{Expr, ExprTrait, IntoIden, IntoTableRef, Query};

use super::Table;
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::exec::Db;
use crate::scope::Scope;

impl<C: IntoIden + IntoTableRef + Copy + 'static> Table<C> {
    /// Returns whether an earlier run of this body has created the live row of an id.
    pub(super) async fn was_created(
        &self,
        db: &mut Db,
        scope: &Scope,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.is_of(db, scope, id, (false, self.created_at), now).await
    }

    /// Returns whether an earlier run of this body has changed the live row of an id; or another request in the same second.
    pub(super) async fn was_updated(
        &self,
        db: &mut Db,
        scope: &Scope,
        id: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.is_of(db, scope, id, (false, self.updated_at), now).await
    }

    /// Returns whether an earlier run of this body has deleted the row of an id.
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
        (deleted, column): (bool, C),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if !db.is_repeat() {
            return Ok(false);
        }
        let mut select = Query::select();
        select
            .column(self.id)
            .from(self.table)
            .and_where(Expr::col(self.id).eq(id))
            .and_where(Expr::col(self.deleted).eq(deleted))
            .and_where(Expr::col(column).eq(db.dialect().datetime(now)))
            .cond_where(scope.holds(self.project_id.into_iden()));
        Ok(db.select_one(&select).await?.is_some())
    }
}
