//! Data that moves during an upgrade, in batches: each batch is one transaction, memory does not grow with the tables, and
//! a move that was cut short goes on where it stopped.

pub(super) mod job_actions;
pub(super) mod leftovers;
pub(super) mod paths;
pub(super) mod terms;
pub(super) mod user_names;

/// Rows of one batch.
pub(super) const BATCH: u64 = 500;
