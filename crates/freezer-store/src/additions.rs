//! Which optional columns and indexes exist. Queried once per store, because some statements name them.
//!
//! The service works without them, on tables that the Python service or an older `db sync` created. Missing
//! additions are looked up again every few seconds, so a running service starts to use them after a `db
//! sync`. Until then it writes rows without them, like the Python service. If a statement fails because a
//! table or column is missing, a dump may have replaced the tables, and [`Additions::forget`] resets this
//! information. `find_additions.rs` looks them up, and `migrations` creates them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an addition counts as missing before it is looked up again.
const MISSING_FOR: Duration = Duration::from_secs(5);

/// The known additions.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    /// The epoch of the database to which this information belongs.
    epoch: AtomicU64,
    pub(crate) terms: Presence,
    pub(crate) action_terms: Presence,
    job_indexes: Presence,
    list_indexes: Presence,
    poll_index: Presence,
    identity: Presence,
    keys: Presence,
}

/// Whether one addition exists. An addition that was found counts as present until [`Additions::forget`].
#[derive(Debug, Default)]
pub(crate) struct Presence {
    found: AtomicBool,
    missed: Mutex<Option<Instant>>,
}

impl Presence {
    /// Returns whether the addition exists. `None` means that it must be looked up.
    pub(crate) fn get(&self) -> Option<bool> {
        if self.found.load(Ordering::Relaxed) {
            return Some(true);
        }
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (*missed)?;
        if at.elapsed() < MISSING_FOR {
            return Some(false);
        }
        // One query looks it up again, the others assume that it is missing.
        *missed = Some(Instant::now());
        None
    }

    /// Resets the information. Returns whether the addition was known to exist.
    fn forget(&self) -> bool {
        *self.missed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.found.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn set(&self, found: bool) {
        self.found.store(found, Ordering::Relaxed);
        *self.missed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

impl Additions {
    /// Resets all information, so that the next statements look it up again. Returns whether an addition was
    /// known to exist.
    pub(crate) fn forget(&self) -> bool {
        let indexes = [&self.job_indexes, &self.list_indexes, &self.poll_index, &self.identity];
        let all = indexes.into_iter().chain([&self.terms, &self.action_terms, &self.keys]);
        all.fold(false, |found, known| known.forget() | found)
    }

    /// Resets all information if it belongs to an earlier epoch of the database.
    pub(crate) fn notice_epoch(&self, epoch: u64) {
        if self.epoch.fetch_max(epoch, Ordering::Relaxed) < epoch {
            self.forget();
        }
    }

    pub(crate) fn indexes(&self, indexes: Indexes) -> &Presence {
        match indexes {
            Indexes::Jobs => &self.job_indexes,
            Indexes::Lists => &self.list_indexes,
            Indexes::Polls => &self.poll_index,
            Indexes::Identity => &self.identity,
            Indexes::Keys => &self.keys,
        }
    }
}

/// Indexes that statements name or rely on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Indexes {
    /// The indexes in the order of job lists, and those of links and trusts by their job. Without them, jobs
    /// are listed without data of other tables, which is faster.
    Jobs,
    /// The indexes with the rows of lists in order, along which a list continues after a row. A statement must not
    /// name a missing index.
    Lists,
    /// `fz_jobs_poll`, which is created together with the column `fz_completed`.
    Polls,
    /// `fz_backups_identity`, which is created after the column `fz_identity`.
    Identity,
    /// `fz_idempotency_began`, which is created with its table.
    Keys,
}

impl Indexes {
    /// Returns the tables and names. Names of indexes are unique in a table, so a copy of a table has them, too.
    pub(crate) fn places(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Indexes::Jobs => &[
                ("jobs", "fz_jobs_project"),
                ("jobs", "fz_jobs_client"),
                ("job_actions", "fz_job_actions_job"),
                ("user_credentials", "fz_user_credentials_job"),
            ],
            Indexes::Polls => &[("jobs", "fz_jobs_poll")],
            Indexes::Identity => &[("backups", "fz_backups_identity")],
            Indexes::Keys => &[("freezer_idempotency", "fz_idempotency_began")],
            Indexes::Lists => &[
                ("clients", "fz_clients_project"),
                ("jobs", "fz_jobs_project"),
                ("jobs", "fz_jobs_client"),
                ("jobs", "fz_jobs_live"),
                ("actions", "fz_actions_project"),
                ("sessions", "fz_sessions_project"),
                ("backups", "fz_backups_project"),
            ],
        }
    }
}
