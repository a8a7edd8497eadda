//! Options, progress and outcome of a `db sync`.

use std::time::Duration;

use super::moves::leftovers::Kept;

/// Options of the operator that change the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Convert large tables to utf8mb4.
    pub convert_large_tables: bool,
    /// Create the tables beside those of another program.
    pub shared_database: bool,
    /// Create missing tables empty, although other tables have rows.
    pub create_missing_tables: bool,
}

/// Options of a `db sync`.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// Optional changes.
    pub wishes: Wishes,
    /// How long to wait until another sync ends.
    pub wait: Duration,
    /// This process, as returned by [`holder`](super::holder). Other syncs show it while they wait.
    pub holder: String,
}

/// The outcome of a `db sync`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Synced {
    /// It created all tables.
    Created,
    /// It changed tables.
    Upgraded {
        /// The additions that failed, each with the reason.
        left_out: Vec<(String, String)>,
    },
    /// There were no changes to make.
    AlreadyCurrent,
}

/// The progress of a sync. Reported after every statement and every batch of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Number of the step, from 1.
    pub step: usize,
    /// Number of all steps.
    pub steps: usize,
    /// Description of the step.
    pub what: &'a str,
    /// Number of processed rows, if the step processes rows in batches.
    pub rows: Option<u64>,
    /// Values in `freezer_leftovers`: those of the previous steps, and those of earlier runs that this run does not move again.
    pub kept: Kept,
}
