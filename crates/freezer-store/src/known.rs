//! Which optional columns and indexes exist. Queried once per store, because some statements name them.
//!
//! The service works without them, on tables that the Python service made or an older `db sync` left. What is missing is
//! looked for again every few seconds, so a running service uses what a `db sync` adds meanwhile. Until then rows are
//! written without, which is what they are from the Python service, too. All is forgotten when a statement fails because
//! the tables lack something ([`Additions::forget`]): a dump was loaded over them. Making them is `migrations`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;

/// How long an addition counts as missing before it is looked for again.
const MISSING_FOR: Duration = Duration::from_secs(5);

/// What is known so far.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    terms: Known,
    action_terms: Known,
    job_indexes: Known,
    list_indexes: Known,
    poll_index: Known,
    identity: Known,
    keys: Known,
}

/// What is known of one addition. One that was found counts as there until [`Additions::forget`].
#[derive(Debug, Default)]
struct Known {
    found: AtomicBool,
    missed: Mutex<Option<Instant>>,
}

impl Known {
    /// Whether it is there; none: look.
    fn get(&self) -> Option<bool> {
        if self.found.load(Ordering::Relaxed) {
            return Some(true);
        }
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        let at = (*missed)?;
        if at.elapsed() < MISSING_FOR {
            return Some(false);
        }
        // one query looks again, the others go on without
        *missed = Some(Instant::now());
        None
    }

    /// Returns whether it was known to be there.
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
    /// Forgets everything, so that the next statements look again. Returns whether an addition was known to be there.
    pub(crate) fn forget(&self) -> bool {
        let indexes = [&self.job_indexes, &self.list_indexes, &self.poll_index, &self.identity];
        let all = indexes.into_iter().chain([&self.terms, &self.action_terms, &self.keys]);
        all.fold(false, |found, known| known.forget() | found)
    }

    fn indexes(&self, indexes: Indexes) -> &Known {
        match indexes {
            Indexes::Jobs => &self.job_indexes,
            Indexes::Lists => &self.list_indexes,
            Indexes::Polls => &self.poll_index,
            Indexes::Identity => &self.identity,
            Indexes::Keys => &self.keys,
        }
    }
}

/// Indexes that statements count on, or name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Indexes {
    /// Those in the order of the lists of jobs, and those of links and trusts by their job: without them, jobs are better
    /// listed without what they have in other tables.
    Jobs,
    /// `fz_<noun>_project` of every list of a project: no statement may name one that is not there.
    Lists,
    /// `fz_jobs_poll`, with which the column `fz_completed` is made.
    Polls,
    /// `fz_backups_identity`, which is made after the column `fz_identity`.
    Identity,
    /// `fz_idempotency_began`, which is made with its table.
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
    /// Whether backups have search terms and times: their columns, what notices that they are out of date, and on MySQL the
    /// indexes, which statements name.
    ///
    /// # Errors
    /// As every query.
    pub(crate) async fn has_terms(&mut self) -> Result<bool, StoreError> {
        let count = |dialect| match dialect {
            Dialect::MySql => {
                // columns of the indexes, and those that they depend on
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

    /// Whether actions have terms: the columns, the index of those out of date, the table of the terms with its key, and the
    /// index of jobs with unusual schedules.
    ///
    /// # Errors
    /// As every query.
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

    /// Whether the tables have all of some indexes.
    ///
    /// # Errors
    /// As every query.
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

    /// Whether a count of the catalogue gives a number.
    async fn are_there(
        &mut self,
        known: impl Fn(&Additions) -> &Known,
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
