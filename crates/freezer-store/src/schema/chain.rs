//! Upstream's revisions in order. The ids of Alembic do not sort, so this list defines the order.
//!
//! Published entries never change. A new revision is added at the end of [`REVISIONS`], becomes [`HEAD`], and is
//! added to [`serves`] when the queries can read its layout.

/// A step of upstream's Alembic chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision {
    /// The id of Alembic, as stored in `alembic_version.version_num`.
    pub id: &'static str,
    /// The first release of freezer-api that contains it.
    pub since: &'static str,
    /// Description of the change.
    pub change: &'static str,
}

/// All revisions, oldest first.
pub const REVISIONS: [Revision; 9] = [
    Revision { id: "1333cef214d9", since: "16.0.0", change: "initial revision under alembic" },
    Revision { id: "e74c32f034c5", since: "16.0.0", change: "actions.src_file becomes path_to_backup" },
    Revision { id: "23c8ad2655a6", since: "16.0.0", change: "clients.supported_* hold capabilities" },
    Revision { id: "29a2fd19eb86", since: "19.0.0", change: "user_credentials holds trusts" },
    Revision { id: "30a3fd20ec97", since: "19.0.0", change: "clients.is_central" },
    Revision { id: "4f8c679a1d3b", since: "19.0.0", change: "backups.user_name is dropped" },
    Revision { id: "a1b2c3d4e5f6", since: "19.0.0", change: "job_actions becomes a table" },
    Revision { id: "5c9d21e87f34", since: "19.0.0", change: "backups.status" },
    Revision {
        id: "7a3b9c1d2e4f",
        since: "19.0.0",
        change: "user_id of jobs and sessions takes 64 characters",
    },
];

/// The revision that this release creates, and upgrades to.
pub const HEAD: &str = "7a3b9c1d2e4f";

/// Returns whether the queries of this release can run on a revision.
pub(crate) fn serves(revision: &str) -> bool {
    matches!(revision, HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_is_the_last_revision_and_no_id_occurs_twice() {
        assert_eq!(REVISIONS.last().map(|r| r.id), Some(HEAD));
        let mut ids: Vec<_> = REVISIONS.iter().map(|r| r.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), REVISIONS.len());
        assert!(serves(HEAD));
    }
}
