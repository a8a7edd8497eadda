//! What of our additions the tables have that statements depend on: looked up once for a store.
//!
//! The service works without them, on tables that the Python service made or an older `db sync` left. One that adds them
//! while the service runs is noticed at its next start; until then rows are written without, which is what they are
//! from the Python service, too. Making them is `migrations`.

use std::sync::OnceLock;

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;

/// What is known so far.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    terms: OnceLock<bool>,
    job_indexes: OnceLock<bool>,
    list_indexes: OnceLock<bool>,
}

impl Db {
    /// Whether backups have search terms: their columns, what notices that they are out of date, and on MySQL the index,
    /// which statements name.
    ///
    /// # Errors
    /// As every query.
    pub(crate) async fn has_terms(&mut self) -> Result<bool, StoreError> {
        let sql = match self.dialect() {
            Dialect::MySql => {
                // a column of the index, and two that it depends on
                "SELECT CAST(COUNT(*) AS CHAR) FROM (SELECT column_name FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = 'backups' \
                 AND column_name IN ('fz_search_terms', 'fz_search_crc') UNION ALL SELECT column_name \
                 FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'backups' \
                 AND index_name = 'fz_backups_project' AND column_name = 'fz_search_index') AS found"
            }
            Dialect::Sqlite => {
                "SELECT CAST(COUNT(*) AS TEXT) FROM (SELECT name FROM pragma_table_info('backups') \
                 WHERE name IN ('fz_search_terms', 'fz_search_crc') UNION ALL SELECT name FROM sqlite_master \
                 WHERE type = 'trigger' AND name = 'fz_backups_search')"
            }
        };
        self.are_there(|known| &known.terms, sql, "3").await
    }

    /// Whether jobs have indexes in the order of their lists, and trusts one of their jobs: without them, jobs are better
    /// listed without what they have in other tables.
    ///
    /// # Errors
    /// As every query.
    pub(crate) async fn has_job_indexes(&mut self) -> Result<bool, StoreError> {
        let sql = match self.dialect() {
            Dialect::MySql => {
                "SELECT CAST(COUNT(DISTINCT index_name) AS CHAR) FROM information_schema.statistics \
                 WHERE table_schema = DATABASE() \
                 AND index_name IN ('fz_jobs_project', 'fz_jobs_client', 'fz_user_credentials_job')"
            }
            Dialect::Sqlite => {
                "SELECT CAST(COUNT(*) AS TEXT) FROM sqlite_master WHERE type = 'index' \
                 AND name IN ('fz_jobs_project', 'fz_jobs_client', 'fz_user_credentials_job')"
            }
        };
        self.are_there(|known| &known.job_indexes, sql, "3").await
    }

    /// Whether every list of a project has its index, `fz_<noun>_project`: no statement may name one that is not there.
    ///
    /// # Errors
    /// As every query.
    pub(crate) async fn has_list_indexes(&mut self) -> Result<bool, StoreError> {
        let sql = match self.dialect() {
            Dialect::MySql => {
                "SELECT CAST(COUNT(DISTINCT index_name) AS CHAR) FROM information_schema.statistics \
                 WHERE table_schema = DATABASE() AND index_name IN ('fz_clients_project', 'fz_jobs_project', \
                 'fz_actions_project', 'fz_sessions_project', 'fz_backups_project')"
            }
            Dialect::Sqlite => {
                "SELECT CAST(COUNT(*) AS TEXT) FROM sqlite_master WHERE type = 'index' AND name IN \
                 ('fz_clients_project', 'fz_jobs_project', 'fz_actions_project', 'fz_sessions_project', \
                 'fz_backups_project')"
            }
        };
        self.are_there(|known| &known.list_indexes, sql, "5").await
    }

    /// Whether a count of the catalogue gives a number, once asked.
    async fn are_there(
        &mut self,
        known: impl Fn(&Additions) -> &OnceLock<bool>,
        sql: &str,
        number: &str,
    ) -> Result<bool, StoreError> {
        if let Some(known) = known(self.lease().additions()).get() {
            return Ok(*known);
        }
        let doing = self.doing();
        let rows = self.raw_select(sql).await?;
        let text = rows.first().map(|row| row.string(0)).transpose();
        let text = text.map_err(|error| StoreError::from_driver(doing, error))?;
        let found = text.as_deref() == Some(number);
        Ok(*known(self.lease().additions()).get_or_init(|| found))
    }
}
