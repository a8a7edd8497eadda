//! Counts the rows of each table.

use super::head::TABLES;
use super::state;
use crate::Store;
use crate::error::StoreError;
use crate::exec::Db;

/// Number of rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCount {
    /// Name of the table.
    pub name: &'static str,
    /// Rows that clients can see.
    pub live: u64,
    /// Rows that are marked as deleted.
    pub deleted: u64,
}

impl Store {
    /// Counts the rows of each existing table of ours.
    ///
    /// # Errors
    /// As every query: [`StoreError`].
    pub async fn table_counts(&self) -> Result<Vec<TableCount>, StoreError> {
        let database = self.database().to_string();
        crate::read!(self, "schema.counts", |db| {
            let (layout, _) = state::read(db, &database).await?;
            let mut counts = Vec::new();
            for table in TABLES.iter().filter(|table| layout.table(table.name).is_some()) {
                let quoted = db.dialect().quote(table.name);
                let count = |what: &str| format!("SELECT CAST({what} AS CHAR) FROM {quoted}");
                let all = number(db, &count("COUNT(*)")).await?;
                let deleted = number(db, &count("COUNT(CASE WHEN deleted = 1 THEN 1 END)")).await?;
                counts.push(TableCount { name: table.name, live: all - deleted, deleted });
            }
            Ok(counts)
        })
    }
}

/// Returns the number that a query selects as text, because engines return COUNT in different types.
async fn number(db: &mut Db, sql: &str) -> Result<u64, StoreError> {
    let text = db.raw_read::<String>(sql).await?.into_iter().next();
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}
