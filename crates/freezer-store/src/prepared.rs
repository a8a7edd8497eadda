//! Which statements stay prepared on a connection.

/// Size of the largest dynamic statement that stays prepared. Larger statements come from searches with many
/// conditions, which rarely repeat.
const KEPT: usize = 8 << 10;

/// Returns whether a dynamic statement should stay prepared.
pub(crate) fn is_kept(sql: &str) -> bool {
    sql.len() <= KEPT
}
