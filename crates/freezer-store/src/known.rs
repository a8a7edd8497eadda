//! What of our additions the tables have that statements depend on: looked up once for a store.
//!
//! The service works without them, on tables that the Python service made or an older `db sync` left. One that adds them
//! while the service runs is noticed at its next start; until then rows are written without, which is what they are
//! from the Python service, too. Making them is `migrations/terms.rs`.

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;

impl Db {
    /// Whether backups have search terms: their columns, what notices that they are out of date, and on MySQL the index,
    /// which statements name.
    ///
    /// # Errors
    /// As every query.
    pub(crate) async fn has_terms(&mut self) -> Result<bool, StoreError> {
        if let Some(known) = self.lease().has_terms().get() {
            return Ok(*known);
        }
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
        let doing = self.doing();
        let rows = self.raw_select(sql).await?;
        let text = rows.first().map(|row| row.string(0)).transpose();
        let text = text.map_err(|error| StoreError::from_driver(doing, error))?;
        let found = text.as_deref() == Some("3");
        Ok(*self.lease().has_terms().get_or_init(|| found))
    }
}
