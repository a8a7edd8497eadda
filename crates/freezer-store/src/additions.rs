//! Which optional columns and indexes exist. Queried once per store, because some statements name them.
//!
//! The service works without them, on tables that the Python service or an older `db sync` created. Missing
//! additions are looked up again every few seconds, so a running service starts to use them after a `db
//! sync`. Until then it writes rows without them, like the Python service. If a statement fails because a
//! table or column is missing, a dump may have replaced the tables, and [`Additions::forget`] resets this
//! information. `migrations` creates the additions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;

/// How long an addition counts as missing before it is looked up again.
const MISSING_FOR: Duration = Duration::from_secs(5);

/// The known additions.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    terms: Presence,
    action_terms: Presence,
    job_indexes: Presence,
    list_indexes: Presence,
    poll_index: Presence,
    identity: Presence,
    keys: Presence,
}

/// Whether one addition exists. An addition that was found counts as present until [`Additions::forget`].
#[derive(Debug, Default)]
struct Presence {
    found: AtomicBool,
    missed: Mutex<Option<Instant>>,
}

impl Presence {
    /// Returns whether the addition exists. `None` means that it must be looked up.
    fn get(&self) -> Option<bool> {
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

    fn set(&self, found: bool) {
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

    fn indexes(&self, indexes: Indexes) -> &Presence {
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
    /// `fz_<noun>_project` of every list of a project. A statement must not name a missing index.
    Lists,
    /// `fz_jobs_poll`, which is created together with the column `fz_completed`.
    Polls,
    /// `fz_backups_identity`, which is created after the column `fz_identity`.
    Identity,
    /// `fz_idempotency_began`, which is created with its table.
    Keys,
}

impl Indexes {
    fn names(self) -> &'static [&'static str] {
        match self {
            Indexes::Jobs => {
                &["fz_jobs_project", "fz_jobs_client", "fz_job_actions_job", "fz_user_credentials_job"]
            }
            Indexes::Polls => &["fz_jobs_poll"],
            Indexes::Identity => &["fz_backups_identity"],
            Indexes::Keys => &["fz_idempotency_began"],
            Indexes::Lists => &[
                "fz_clients_project",
                "fz_jobs_project",
                "fz_actions_project",
                "fz_sessions_project",
                "fz_backups_project",
            ],
        }
    }
}

impl Db {
    /// Returns whether backups have search terms and times: their columns, the triggers or generated columns
    /// that detect outdated terms, and on MySQL the indexes, which statements name.
    pub(crate) async fn has_terms(&mut self) -> Result<bool, StoreError> {
        let count = |dialect| match dialect {
            Dialect::MySql => {
                // Columns of the indexes, and the columns that they depend on.
                "SELECT CAST(COUNT(*) AS CHAR) FROM (SELECT column_name FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = 'backups' \
                 AND column_name IN ('fz_search_terms', 'fz_search_crc', 'fz_time', 'fz_time_crc') \
                 UNION ALL SELECT column_name FROM information_schema.statistics \
                 WHERE table_schema = DATABASE() AND table_name = 'backups' \
                 AND (index_name = 'fz_backups_project' AND column_name IN ('fz_search_index', 'fz_time_index') \
                 OR index_name = 'fz_backups_time' AND column_name = 'fz_time_index')) AS found"
            }
            Dialect::Sqlite => {
                "SELECT CAST(COUNT(*) AS TEXT) FROM (SELECT name FROM pragma_table_info('backups') \
                 WHERE name IN ('fz_search_terms', 'fz_search_crc', 'fz_time', 'fz_time_crc') \
                 UNION ALL SELECT name || tbl_name || type FROM sqlite_master WHERE tbl_name = 'backups' AND \
                 (type = 'trigger' AND name IN ('fz_backups_search', 'fz_backups_times') OR type = 'index' \
                 AND name = 'fz_backups_time'))"
            }
        };
        self.are_there(|known| &known.terms, |dialect| count(dialect).to_owned(), 7).await
    }

    /// Returns whether actions have terms: the columns, the index of outdated terms, the table of terms with
    /// its key, and the index of jobs with unusual schedules.
    pub(crate) async fn has_action_terms(&mut self) -> Result<bool, StoreError> {
        let (count, number) = match self.dialect() {
            Dialect::MySql => (
                "SELECT CAST(COUNT(*) AS CHAR) FROM (SELECT column_name FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = 'actions' \
                 AND column_name IN ('fz_terms', 'fz_terms_crc', 'fz_terms_stale') \
                 UNION ALL SELECT column_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND \
                 (table_name = 'fz_action_terms' AND index_name = 'PRIMARY' \
                 OR index_name = 'fz_actions_stale' AND column_name = 'fz_terms_stale' \
                 OR index_name = 'fz_jobs_unusual' AND column_name = 'fz_unusual')) AS found",
                8,
            ),
            Dialect::Sqlite => (
                "SELECT CAST(COUNT(*) AS TEXT) FROM (SELECT name FROM pragma_table_info('actions') \
                 WHERE name IN ('fz_terms', 'fz_terms_crc') \
                 UNION ALL SELECT name FROM pragma_table_info('fz_action_terms') \
                 WHERE name IN ('term', 'project_id', 'action_id') AND pk > 0 \
                 UNION ALL SELECT name || type FROM sqlite_master WHERE name IN \
                 ('fz_actions_stale', 'fz_actions_terms', 'fz_jobs_unusual'))",
                8,
            ),
        };
        self.are_there(|known| &known.action_terms, |_| count.to_owned(), number).await
    }

    /// Returns whether all of these indexes exist.
    pub(crate) async fn has_indexes(&mut self, indexes: Indexes) -> Result<bool, StoreError> {
        let names = indexes.names();
        let count = |dialect| {
            let names = names.join("', '");
            match dialect {
                Dialect::MySql => format!(
                    "SELECT CAST(COUNT(DISTINCT index_name) AS CHAR) FROM information_schema.statistics \
                     WHERE table_schema = DATABASE() AND index_name IN ('{names}')"
                ),
                Dialect::Sqlite => format!(
                    "SELECT CAST(COUNT(*) AS TEXT) FROM sqlite_master WHERE type = 'index' AND name IN ('{names}')"
                ),
            }
        };
        self.are_there(|known| known.indexes(indexes), count, names.len()).await
    }

    /// Returns whether a count in the catalogue has this result.
    async fn are_there(
        &mut self,
        known: impl Fn(&Additions) -> &Presence,
        count: impl FnOnce(Dialect) -> String,
        number: usize,
    ) -> Result<bool, StoreError> {
        if let Some(known) = known(self.lease().additions()).get() {
            return Ok(known);
        }
        let doing = self.doing();
        let rows = self.raw_select(&count(self.dialect())).await?;
        let text = rows.first().map(|row| row.string(0)).transpose();
        let text = text.map_err(|error| StoreError::from_driver(doing, error))?;
        let found = text.is_some_and(|text| text == number.to_string());
        known(self.lease().additions()).set(found);
        Ok(found)
    }
}
