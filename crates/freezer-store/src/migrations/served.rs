//! Whether the tables can be served as they are, and what a service that is started before `db sync` has to know.
//! Bringing the tables to head is `runner.rs`.

use super::additions::Wishes;
use super::collations::{Mixed, describe};
use super::runner::State;
use super::{SchemaError, chain, holder, lock};
use crate::Store;
use crate::error::StoreError;
use crate::pool::PoolSettings;

impl Store {
    /// Refuses a database whose tables this release cannot serve.
    ///
    /// # Errors
    /// [`StoreError::Schema`]; the text names the command to run.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let database = self.database().to_string();
        // Additions are optional, so checks that would need to read rows are skipped.
        let plan = self.plan_of(Wishes::default(), false).await?;
        Err(StoreError::Schema(match plan.state {
            State::At(revision) if chain::serves(&revision) => {
                // a stamp can lie: look for what every query needs
                if plan.steps.iter().any(|step| step.revision.is_some()) {
                    return Err(SchemaError::Incomplete { database, found: revision }.into());
                }
                if plan.mixed.iter().any(Mixed::is_refused) {
                    return Err(
                        SchemaError::MixedCollations { database, columns: describe(&plan.mixed) }.into()
                    );
                }
                if !plan.mixed.is_empty() {
                    let columns = describe(&plan.mixed);
                    tracing::warn!(
                        "columns of {database} have different character sets, so statements can be slow: {columns}; convert \
                         them with: freezer-manage db sync"
                    );
                }
                return Ok(());
            }
            State::At(found) => SchemaError::Old { database, found },
            State::Empty => SchemaError::Empty { database },
            State::Unversioned(tables) => SchemaError::Unversioned { database, tables: tables.join(", ") },
        }))
    }

    /// Who carries out a `db sync` now, as `<host>:<process id>`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and other errors of a query.
    pub async fn sync_under_way(&self) -> Result<Option<String>, StoreError> {
        lock::held_by(self, &holder()).await
    }

    /// The same database with one connection of its own, which ends with the store. What was found out about the tables
    /// through it is forgotten as well.
    pub fn apart(&self) -> Store {
        let pool = PoolSettings { max_idle: 1, max_open: 1, ..self.pool.clone() };
        Store::build(self.database.clone(), self.connect.clone(), pool, false)
    }
}

impl SchemaError {
    /// Whether `db sync` mends it: the tables are missing, old or incomplete. A newer or foreign layout stays as it is.
    pub fn needs_sync(&self) -> bool {
        matches!(
            self,
            SchemaError::Empty { .. }
                | SchemaError::Old { .. }
                | SchemaError::Unversioned { .. }
                | SchemaError::Incomplete { .. }
                | SchemaError::MixedCollations { .. }
        )
    }
}
