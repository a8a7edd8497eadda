//! The values that upgrades could not move: the rows of `freezer_leftovers`, for `db leftovers`.

use serde::Serialize;

use crate::error::StoreError;
use crate::migrations::{LEFTOVERS, kept};
use crate::{Store, read};

/// A row. The names of the fields are the keys of `db leftovers --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// Table of the value.
    pub table: String,
    /// Primary key of its row.
    pub row: String,
    /// Its column.
    pub column: String,
    /// The value.
    pub value: String,
}

impl Store {
    /// Passes each row to `each`, in the order of tables, rows and columns. There are none if no upgrade kept
    /// a value.
    ///
    /// # Errors
    /// Those of the store and of `each`.
    pub async fn leftovers<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(Leftover) -> Result<(), E>,
    ) -> Result<(), E> {
        let store = self.patient();
        store.schema_state().await?;
        store.refuse_foreign().await?;
        let there: Result<_, StoreError> = read!(store, "leftovers.tables", |db| db.tables().await);
        if there?.table(LEFTOVERS).is_none() {
            return Ok(());
        }
        let mut after: Option<[String; 3]> = None;
        loop {
            let batch: Result<Vec<[String; 4]>, StoreError> =
                read!(store, "leftovers.list", |db| kept::batch(db, after.as_ref()).await);
            let batch = batch?;
            let Some([table, row, column, _]) = batch.last().cloned() else { return Ok(()) };
            after = Some([table, row, column]);
            for [table, row, column, value] in batch {
                each(Leftover { table, row, column, value })?;
            }
        }
    }
}
