//! Which statements stay prepared on a connection.

/// Size of the largest dynamic statement that stays prepared. Larger statements come from searches with many
/// conditions, which rarely repeat.
const KEPT: usize = 8 << 10;

/// A hint that only those statements contain which read an index alone as far as they can.
///
/// If MariaDB (10.11.19) runs such a prepared statement again after another one of the same table, it reads the row of each index
/// entry, which can take a hundred times as long. A statement that was just prepared reads the index alone.
const ALONG_AN_INDEX: &str = "FORCE INDEX";

/// Returns whether a dynamic statement should stay prepared.
pub(crate) fn is_kept(sql: &str) -> bool {
    sql.len() <= KEPT && !sql.contains(ALONG_AN_INDEX)
}
