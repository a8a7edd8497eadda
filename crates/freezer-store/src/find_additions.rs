//! Looks up which [`Additions`] exist, unless this is already known.

use crate::additions::{Additions, Indexes, Presence};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;

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
                 WHERE lower(name) IN ('fz_search_terms', 'fz_search_crc', 'fz_time', 'fz_time_crc') \
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
                 OR table_name = 'actions' AND index_name = 'fz_actions_stale' AND column_name = 'fz_terms_stale' \
                 OR table_name = 'jobs' AND index_name = 'fz_jobs_unusual' AND column_name = 'fz_unusual')) AS found",
                8,
            ),
            Dialect::Sqlite => (
                "SELECT CAST(COUNT(*) AS TEXT) FROM (SELECT name FROM pragma_table_info('actions') \
                 WHERE lower(name) IN ('fz_terms', 'fz_terms_crc') \
                 UNION ALL SELECT name FROM pragma_table_info('fz_action_terms') \
                 WHERE lower(name) IN ('term', 'project_id', 'action_id') AND pk > 0 \
                 UNION ALL SELECT name || type FROM sqlite_master WHERE name IN \
                 ('fz_actions_stale', 'fz_actions_terms', 'fz_jobs_unusual'))",
                8,
            ),
        };
        self.are_there(|known| &known.action_terms, |_| count.to_owned(), number).await
    }

    /// Returns whether all of these indexes exist.
    pub(crate) async fn has_indexes(&mut self, indexes: Indexes) -> Result<bool, StoreError> {
        let places = indexes.places();
        let count = |dialect| {
            let list =
                |place: fn(&(&str, &str)) -> String| places.iter().map(place).collect::<Vec<_>>().join(", ");
            match dialect {
                Dialect::MySql => format!(
                    "SELECT CAST(COUNT(DISTINCT table_name, index_name) AS CHAR) FROM information_schema.statistics \
                     WHERE table_schema = DATABASE() AND (table_name, index_name) IN ({})",
                    list(|(table, name)| format!("('{table}', '{name}')"))
                ),
                Dialect::Sqlite => format!(
                    "SELECT CAST(COUNT(*) AS TEXT) FROM sqlite_master WHERE type = 'index' AND name IN ({})",
                    list(|(_, name)| format!("'{name}'"))
                ),
            }
        };
        self.are_there(|known| known.indexes(indexes), count, places.len()).await
    }

    /// Returns whether a count in the catalogue has this result.
    async fn are_there(
        &mut self,
        known: impl Fn(&Additions) -> &Presence,
        count: impl FnOnce(Dialect) -> String,
        number: usize,
    ) -> Result<bool, StoreError> {
        if let Some(known) = known(self.additions()).get() {
            return Ok(known);
        }
        let text = self.raw_read::<String>(&count(self.dialect())).await?.into_iter().next();
        let found = text.is_some_and(|text| text == number.to_string());
        known(self.additions()).set(found);
        Ok(found)
    }
}
