//! Compares the rows of both databases, because measurements on different data cannot be compared.

use super::StepError;
use crate::mariadb::{Database, DatabaseError};

/// The tables, each with the expression that is compared besides the id.
const TABLES: [(&str, &str); 7] = [
    ("clients", "client_id"),
    ("actions", "backup_metadata"),
    ("action_reports", "project_id"),
    ("jobs", "schedule"),
    ("job_actions", "action_id"),
    ("sessions", "job"),
    ("backups", "backup_metadata"),
];

/// Compares number and content of the rows in every table.
///
/// # Errors
/// [`StepError::Rows`] with the first table that differs.
pub fn same(own: &str, peer: &str) -> Result<(), StepError> {
    let (own, peer) = (fingerprints(own)?, fingerprints(peer)?);
    for ((table, _), (ours, theirs)) in TABLES.iter().zip(own.iter().zip(&peer)) {
        if ours != theirs {
            let (ours, theirs) = (ours.clone(), theirs.clone());
            return Err(StepError::Rows { table, ours, theirs });
        }
    }
    Ok(())
}

/// Returns the number of rows in each table, and a checksum that does not depend on their order.
fn fingerprints(url: &str) -> Result<Vec<String>, DatabaseError> {
    let text = Database::from_url(url)?.execute(|sql| {
        TABLES.iter().try_for_each(|(table, column)| {
            writeln!(
                sql,
                "SELECT COUNT(*), COALESCE(SUM(CRC32(CONCAT_WS('|', id, created_at, {column}))), 0) FROM {table};"
            )
        })
    })?;
    Ok(text.lines().map(|line| line.replace('\t', " rows, sum ")).collect())
}
