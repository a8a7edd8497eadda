//! The operations of operators on a database: checking, measuring, purging and removing its tables.
//!
//! - `check.rs` searches for problems of an upgrade or of the service without changing anything
//!   (`documents.rs`: unreadable JSON). `findings.rs` has the results.
//! - `links.rs` checks the links from jobs to actions.
//! - `keys.rs` checks primary keys and unique indexes.
//! - `leftovers.rs` lists values that an upgrade could not move.
//! - `cluster.rs` detects a node of a Galera cluster.
//! - `rows.rs` measures the numbers of rows for monitoring, without reading large tables.
//! - `sizes.rs` returns the sizes of the tables, and the server.
//! - `privileges.rs` checks whether rows may be changed.
//! - `purge.rs` removes rows that were deleted long ago.
//! - `remove.rs` drops the tables; `references.rs` finds other programs' tables and views that refer to them.
//!
//! [`migrations`](crate::migrations) creates and upgrades tables. `freezer-manage` prints results and asks
//! questions.

mod check;
mod cluster;
mod documents;
mod findings;
mod keys;
mod large;
mod leftovers;
mod links;
mod privileges;
mod purge;
mod references;
mod remove;
mod rows;
mod sizes;

use serde::Serialize;

pub use cluster::ClusterNode;
pub use findings::CheckResult;
pub use leftovers::Leftover;
pub use links::Defects;
pub use purge::{PURGED_TABLES, Purge, Purged};
pub use rows::{COUNTED_ROWS, TableRows};
pub use sizes::{Overview, TableSize};

use crate::Store;
use crate::connect_settings::NO_STATEMENT_LIMIT;
use crate::error::StoreError;
use crate::exec::Db;
use crate::pool::PoolSettings;

/// The result of a check. The worst result is the exit code of a command. The numbers are those of
/// oslo.upgradecheck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to do.
    Success = 0,
    /// It works, but the operator should look at it.
    Warning = 1,
    /// It does not work until the operator fixes it.
    Failure = 2,
}

impl Store {
    /// Returns a store for statements that read whole tables. Foreign keys are checked.
    pub(crate) fn patient(&self) -> Store {
        let pool = PoolSettings { statement_timeout: NO_STATEMENT_LIMIT, ..self.pool.clone() };
        Store::build(self.database.clone(), self.connect.clone(), pool, false)
    }
}

/// Returns the number that a query returns as text, because the types of COUNT differ between engines.
async fn number(db: &mut Db, sql: &str) -> Result<u64, StoreError> {
    let text = db.raw_read::<String>(sql).await?.into_iter().next();
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}
