//! Whether both databases hold the same rows: a comparison of services on different data would say nothing.

use super::StepError;
use crate::mariadb::{Database, DatabaseError};

/// Tables with what is compared of each row besides its id.
const TABLES: [(&str, &str); 7] = [
    ("clients", "client_id"),
    ("actions", "backup_metadata"),
    ("action_reports", "project_id"),
    ("jobs", "schedule"),
    ("job_actions", "action_id"),
    ("sessions", "job"),
    ("backups", "backup_metadata"),
];

/// Compares number and content of the rows of every table.
///
/// # Errors
/// [`StepError::Rows`] naming the first table that differs.
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

/// Of each table the number of its rows, and a sum over them that does not depend on their order.
fn fingerprints(url: &str) -> Result<Vec<String>, DatabaseError> {
    let text = Database::of_url(url)?.execute(|sql| {
        TABLES.iter().try_for_each(|(table, column)| {
            writeln!(
                sql,
                "SELECT COUNT(*), COALESCE(SUM(CRC32(CONCAT_WS('|', id, created_at, {column}))), 0) FROM {table};"
            )
        })
    })?;
    Ok(text.lines().map(|line| line.replace('\t', " rows, sum ")).collect())
}
