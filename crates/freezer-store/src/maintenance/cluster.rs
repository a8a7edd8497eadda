//! Whether the server is a node of a Galera cluster, and which statements wait there for the other nodes.

use crate::Store;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::read;

/// Statements that must wait: reads (1), updates and deletes (2).
const NEEDED: u32 = 3;

/// A node of a Galera cluster, as seen by a connection of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    /// `wsrep_node_name`
    pub name: String,
    /// `wsrep_sync_wait` of the connection.
    pub sync_wait: u32,
}

impl ClusterNode {
    /// Returns whether a request reads the writes of earlier requests on other nodes.
    pub fn sees_earlier_writes(&self) -> bool {
        self.sync_wait & NEEDED == NEEDED
    }
}

impl Store {
    /// Returns the node of a Galera cluster, or `None` if the server is not one.
    pub async fn cluster_node(&self) -> Result<Option<ClusterNode>, StoreError> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(None);
        }
        let variables = read!(self, "overview.cluster", |db| {
            let sql =
                "SHOW VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_node_name', 'wsrep_sync_wait')";
            db.raw_read::<(String, String)>(sql).await
        })?;
        let value = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        if value("wsrep_on").is_none_or(|on| on != "ON") {
            return Ok(None);
        }
        Ok(Some(ClusterNode {
            name: value("wsrep_node_name").cloned().unwrap_or_default(),
            sync_wait: value("wsrep_sync_wait").and_then(|wait| wait.parse().ok()).unwrap_or(0),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_changes_must_wait() {
        let node = |sync_wait| ClusterNode { name: "n1".to_owned(), sync_wait };
        for (sync_wait, sees) in
            [(0, false), (1, false), (2, false), (3, true), (4, false), (7, true), (15, true)]
        {
            assert_eq!(node(sync_wait).sees_earlier_writes(), sees, "{sync_wait}");
        }
    }
}
