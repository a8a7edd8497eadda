//! Refuses an upgrade that must change columns to which foreign keys of other programs' tables refer. The server does not
//! change such columns (error 1833), and would stop the upgrade after other tables were changed. Those keys cannot be
//! restored either if their own columns keep another collation.

use super::keys::WrongKey;
use super::layout::Layout;
use super::planner::Planner;
use crate::error::StoreError;
use crate::schema::{Obstacle, SchemaError};

/// Refuses the plan if foreign keys of other tables prevent it.
///
/// # Errors
/// [`Obstacle::Referenced`].
pub(super) fn refuse(
    before: &Layout,
    planner: &Planner,
    wrong_keys: &[WrongKey],
    database: &str,
) -> Result<(), StoreError> {
    let changes_key = |name: &str| {
        planner.converted.iter().any(|table| table == name) || wrong_keys.iter().any(|key| key.table == name)
    };
    let referred = before.tables.iter().filter(|(name, _)| changes_key(name));
    let describe = |(name, key): (&String, &String)| format!("{key} refers to {name}");
    let found: Vec<String> = referred
        .flat_map(|(name, table)| table.referred_by.iter().map(move |key| (name, key)))
        .map(describe)
        .collect();
    if found.is_empty() {
        return Ok(());
    }
    let (database, found) = (database.to_owned(), found.join("; "));
    Err(SchemaError::Obstacle(Obstacle::Referenced { database, found }).into())
}
