//! The tables: their layout at head, the chain of revisions that led to it, and bringing a database there.
//!
//! - `head.rs` describes every table once; creating and comparing both read that description.
//! - `chain.rs` lists upstream's revisions in order, and which of them this release serves.
//! - `runner.rs` looks at a database and changes it.
//!
//! Our own, not sqlx's migrator: that takes `GET_LOCK`, which Galera does not replicate, and DDL
//! commits by itself on MySQL, so every step must survive being run again.

mod chain;
mod head;
mod runner;

pub use chain::{HEAD, REVISIONS, Revision};
pub use head::{Column, Index, Kind, TABLES, TableLayout};
pub use runner::{State, Synced, TableCount};

/// Why the tables cannot be served or brought to head. Each text says what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SchemaError {
    /// No table of ours.
    #[error("the database {database} has no tables yet; create them with: freezer-manage db sync")]
    Empty {
        /// The database, without its password.
        database: String,
    },
    /// Known to upstream, but older than what this release serves.
    #[error(
        "the database {database} is at revision {found}, this release serves {HEAD}; \
         bring it there with: freezer-manage db sync"
    )]
    Old {
        /// The database, without its password.
        database: String,
        /// Its revision.
        found: String,
    },
    /// A revision of nobody we know: a newer release, or another program.
    #[error(
        "the database {database} is at revision {found}, which this release does not know (it serves {HEAD}); \
         run the release that made it, or restore a backup of the database; see also: freezer-manage db show"
    )]
    Unknown {
        /// The database, without its password.
        database: String,
        /// Its revision.
        found: String,
    },
    /// Tables without a version: made by hand, or by the releases before 16.0.0.
    #[error(
        "the database {database} has tables ({tables}) but no revision in alembic_version; \
         look at it with: freezer-manage db show, and upgrade it with: freezer-manage db sync"
    )]
    Unversioned {
        /// The database, without its password.
        database: String,
        /// Names of the tables.
        tables: String,
    },
    /// `db sync` cannot bring this layout to head.
    #[error(
        "the database {database} is at {found}; this release creates tables in an empty database \
         and serves revision {HEAD}, and cannot upgrade other layouts"
    )]
    CannotUpgrade {
        /// The database, without its password.
        database: String,
        /// What was found.
        found: String,
    },
}
