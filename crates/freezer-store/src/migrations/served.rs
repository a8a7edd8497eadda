//! Checks whether this release can serve the tables as they are, for a service that starts before `db sync`.

use super::collations::{Mixed, describe};
use super::keys::{self, WrongKey};
use super::lock;
use super::options::Wishes;
use super::state::State;
use crate::Store;
use crate::error::StoreError;
use crate::pool::PoolSettings;
use crate::schema::{self, SchemaError};

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
            State::At(revision) if schema::serves(&revision) => {
                // A stamp can be wrong, so this checks the tables and columns that queries need.
                if plan.steps.iter().any(|step| step.revision.is_some()) {
                    return Err(SchemaError::Incomplete { database, found: revision }.into());
                }
                let needed: Vec<WrongKey> = plan.wrong_keys.into_iter().filter(|key| key.is_needed).collect();
                if !needed.is_empty() {
                    return Err(SchemaError::WrongKeys { database, keys: keys::describe(&needed) }.into());
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

    /// Returns the `<host>:<process id>` of a running `db sync`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and other errors of a query.
    pub async fn sync_under_way(&self) -> Result<Option<String>, StoreError> {
        lock::held_by(self, &lock::holder()).await
    }

    /// Returns a store for the same database with one connection of its own, which is closed with that store. It
    /// also has its own information about the tables.
    pub fn apart(&self) -> Store {
        let pool = PoolSettings { max_idle: 1, max_open: 1, ..self.pool.clone() };
        Store::build(self.database.clone(), self.connect.clone(), pool, false)
    }
}
