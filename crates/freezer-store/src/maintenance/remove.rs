//! Drops the tables: `db remove`. Who may do that, and whether he meant it, is the caller's business.

use std::time::Duration;

use crate::error::StoreError;
use crate::migrations::{KEYS, SchemaError, TABLES, Wishes};
use crate::{Store, read, single};

/// Tables of ours that have no place in the layout at head. `migrate_version` is not among them: sqlalchemy-migrate made
/// it, and other programs may have their line in it.
const BESIDE_THE_LAYOUT: [&str; 4] = ["fz_action_terms", "freezer_leftovers", KEYS, "alembic_version"];
/// Goes last: it holds the lock under which the others are dropped.
const LOCK: &str = "freezer_sync_lock";

impl Store {
    /// The tables that [`Store::remove`] drops, in the order in which it does: those that refer to others first. None where
    /// there is nothing of ours.
    ///
    /// # Errors
    /// [`StoreError::Schema`] where a table of one of our names is somebody else's, or a newer release made the tables.
    pub async fn removable(&self) -> Result<Vec<&'static str>, StoreError> {
        let store = self.patient();
        match store.plan(Wishes::default()).await {
            Ok(_) => {}
            // a SQLite file that is not there, or nothing but tables of another program
            Err(StoreError::Schema(SchemaError::Empty { .. } | SchemaError::OtherProgram { .. })) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        }
        let there = read!(store, "remove.tables", |db| db.tables().await)?;
        let ours = TABLES.iter().rev().map(|table| table.name).chain(BESIDE_THE_LAYOUT).chain([LOCK]);
        Ok(ours.filter(|name| there.table(name).is_some()).collect())
    }

    /// Drops every table of ours with all rows, and says which. Whoever is cut short can run it again.
    ///
    /// # Errors
    /// As [`Store::removable`]; [`SchemaError::Locked`] where a `db sync` is under way and does not end within `wait`.
    pub async fn remove(&self, holder: &str, wait: Duration) -> Result<Vec<&'static str>, StoreError> {
        let tables = self.removable().await?;
        if tables.is_empty() {
            return Ok(tables);
        }
        // foreign keys are not checked there: a layout of an older release may have some that go any way
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
