//! Determines the state of a database: its tables, and the revision in `alembic_version`.

use super::head::TABLES;
use super::layout::Layout;
use super::{inspect, server};
use crate::Store;
use crate::error::StoreError;
use crate::exec::Db;

/// The state of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There are no tables of ours.
    Empty,
    /// `alembic_version` contains this revision.
    At(String),
    /// These tables of ours exist, but `alembic_version` contains no revision.
    Unversioned(Vec<String>),
}

impl Store {
    /// Returns the state of the tables.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer. This does not mean that it is empty.
    pub async fn schema_state(&self) -> Result<State, StoreError> {
        let database = self.database().to_string();
        crate::read!(self, "schema.state", |db| Ok(read(db, &database).await?.1))
    }
}

/// Checks the version of the server, and reads the layout and the state.
pub(super) async fn read(db: &mut Db, database: &str) -> Result<(Layout, State), StoreError> {
    server::check(db, database).await?;
    let layout = inspect::layout(db).await?;
    let state = match inspect::revision(db, &layout).await? {
        Some(revision) => State::At(revision),
        None => {
            let ours = TABLES.iter().map(|table| table.name.to_owned());
            let existing: Vec<String> = ours.filter(|name| layout.table(name).is_some()).collect();
            if existing.is_empty() { State::Empty } else { State::Unversioned(existing) }
        }
    };
    Ok((layout, state))
}
