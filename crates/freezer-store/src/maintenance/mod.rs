//! What operators do to a database beside serving it: look at it, check it, purge it, remove its tables.
//!
//! - `check.rs` looks for what an upgrade or the service would stumble over (`documents.rs`: for unreadable JSON); it
//!   changes nothing. What a check asks and answers is `findings.rs`.
//! - `leftovers.rs` lists what an upgrade found no place for.
//! - `cluster.rs` says whether the server is a node of a Galera cluster.
//! - `sizes.rs` says how large the tables are, and on what server.
//! - `privileges.rs` tries whether rows may be changed.
//! - `purge.rs` removes rows that were deleted long ago.
//! - `remove.rs` drops the tables.
//!
//! Making and upgrading tables is [`migrations`](crate::migrations). Nothing here prints or asks: `freezer-manage` does.

mod check;
mod cluster;
mod documents;
mod findings;
mod leftovers;
mod privileges;
mod purge;
mod remove;
mod sizes;

use serde::Serialize;

pub use cluster::ClusterNode;
pub use findings::Check;
pub use leftovers::Leftover;
pub use purge::{PURGED_TABLES, Purge, Purged};
pub use sizes::{Overview, TableSize};

use crate::Store;
use crate::engine::NO_STATEMENT_LIMIT;
use crate::error::StoreError;
use crate::exec::Db;
use crate::pool::PoolSettings;

/// Result of a check; the worst of all is the exit code of a command that checks. Numbers as in oslo.upgradecheck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing to do.
    Success = 0,
    /// Works, but look at it.
    Warning = 1,
    /// Does not work until it is mended.
    Failure = 2,
}

impl Store {
    /// The same database, for statements that go through whole tables. Foreign keys are checked, as ever.
    fn patient(&self) -> Store {
        let pool = PoolSettings { statement_timeout: NO_STATEMENT_LIMIT, ..self.pool.clone() };
        Store::build(self.database.clone(), self.connect.clone(), pool, false)
    }
}

/// The one number that a query gives as text: engines give COUNT in different types.
async fn number(db: &mut Db, sql: &str) -> Result<u64, StoreError> {
    let rows = db.raw_select(sql).await?;
    let doing = db.doing();
    let text = rows.first().map(|row| row.string(0)).transpose();
    let text = text.map_err(|error| StoreError::from_driver(doing, error))?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}
