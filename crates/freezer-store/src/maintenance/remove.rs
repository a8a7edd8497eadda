//! Drops the tables: `db remove`. The caller checks permissions and asks for confirmation.

use std::time::Duration;

use crate::error::StoreError;
use crate::migrations::{KEYS, SchemaError, TABLES, Wishes};
use crate::{Store, read, single};

/// Our tables outside the layout at head. `migrate_version` is not included: sqlalchemy-migrate creates it,
/// and other programs may use it.
const OTHER_TABLES: [&str; 4] = ["fz_action_terms", "freezer_leftovers", KEYS, "alembic_version"];
/// This table is dropped last, because it contains the lock for dropping the others.
const LOCK: &str = "freezer_sync_lock";

/// Returns the names of our tables in the order of their removal: those that refer to others first.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().rev().map(|table| table.name).chain(OTHER_TABLES).chain([LOCK])
}

/// Returns whether a table has a name of ours.
pub(super) fn is_ours(table: &str) -> bool {
    names().any(|name| name.eq_ignore_ascii_case(table))
}

impl Store {
    /// Returns the tables that [`Store::remove`] drops, in its order: those that refer to others first. Empty
    /// if there are no tables of ours.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if a table with one of our names belongs to another program, or a newer release
    /// created the tables.
    pub async fn removable(&self) -> Result<Vec<&'static str>, StoreError> {
        let store = self.patient();
        // Tables of an incomplete database can be dropped, too.
        let wishes = Wishes { create_missing_tables: true, ..Wishes::default() };
        match store.plan_of(wishes, false).await {
            Ok(_) => {}
            // The SQLite file does not exist, or contains only tables of another program.
            Err(StoreError::Schema(SchemaError::Empty { .. } | SchemaError::OtherProgram { .. })) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        }
        let there = read!(store, "remove.tables", |db| db.tables().await)?;
        Ok(names().filter(|name| there.table(name).is_some()).collect())
    }

    /// Drops all our tables with all rows, and returns their names. If it is interrupted, it can run again.
    ///
    /// # Errors
    /// Those of [`Store::removable`], and [`SchemaError::Locked`] if a `db sync` does not end within `wait`.
    pub async fn remove(&self, holder: &str, wait: Duration) -> Result<Vec<&'static str>, StoreError> {
        let tables = self.removable().await?;
        if tables.is_empty() {
            return Ok(tables);
        }
        // This store does not check foreign keys, which may have any direction in a layout of an older
        // release.
        let store = self.for_schema();
        let drop_table = async |name: &str| {
            let sql = format!("DROP TABLE IF EXISTS {}", store.dialect().quote(name));
            let dropped: Result<u64, StoreError> = single!(store, "remove.table", |db| db.raw(&sql).await);
            dropped
        };
        let all = async {
            for name in tables.iter().filter(|name| **name != LOCK) {
                drop_table(name).await?;
            }
            Ok(())
        };
        store.under_sync_lock(holder, wait, all).await?;
        drop_table(LOCK).await?;
        Ok(tables.into_iter().filter(|name| *name != LOCK).collect())
    }
}
