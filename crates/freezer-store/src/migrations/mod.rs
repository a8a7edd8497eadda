//! The tables: their layout at head, the chain of revisions that led to it, and bringing a database there.
//!
//! - `head.rs` describes every table once; creating and comparing both read that description.
//! - `chain.rs` lists upstream's revisions in order, and which of them this release serves.
//! - `inspect.rs` reads what tables there are into a `layout.rs`; `planner.rs` works out the steps from there, as the
//!   files of `revisions/` (upstream's, frozen) and `additions.rs` (ours) ask; `indexes.rs` has the part about indexes,
//!   `collations.rs` that about
//!   character sets, `terms.rs`, `action_terms.rs` and `completed.rs` those about columns and tables for searches, with what they share in
//!   `derived.rs`; `repeats.rs` has what recognizes repeated requests; `moves/` carries data over.
//! - `runner.rs` carries the plan out, under `lock.rs`; `served.rs` tells whether tables can be served. `server.rs` refuses
//!   database servers that are too old, `foreign.rs` what is another program's.
//! - `term_sums.rs` compares the table of the terms of actions with the actions.
//! - `unmovable.rs` counts, before an upgrade, the values that it will find no place for.
//!
//! The rule of all upgrades: a column that holds values is dropped only after every value was found in its new place, or in
//! `freezer_leftovers`. The planner has no other way to drop one ([`StepAction::DropColumn`]); `moves/guard.rs` looks.
//!
//! What a database is at is decided by its tables and columns. Its stamp is read only to refuse what nobody here knows.
//!
//! Our own, not sqlx's migrator: that takes `GET_LOCK`, which Galera does not replicate, and DDL
//! commits by itself on MySQL, so every step must survive being run again.

mod action_terms;
mod additions;
mod chain;
mod collations;
mod completed;
mod counts;
mod derived;
mod foreign;
mod head;
mod indexes;
mod inspect;
pub(crate) mod layout;
mod lock;
mod moves;
mod planner;
mod repeats;
mod revisions;
mod runner;
mod served;
mod server;
mod term_sums;
mod terms;
mod unmovable;

pub use additions::Wishes;
pub use chain::{HEAD, REVISIONS, Revision};
pub use collations::Mixed;
pub use counts::TableCount;
pub use foreign::Sharing;
pub use head::{ColumnKind, ColumnLayout, Index, TABLES, TableLayout};
pub use moves::RowMove;
pub use moves::leftovers::Kept;
pub use moves::renamed::RenamedColumn;
pub use planner::{SchemaChange, StepAction};
pub(crate) use repeats::TABLE as KEYS;
pub use runner::{Progress, State, SyncOptions, SyncPlan, Synced, holder};
pub use term_sums::Parts;
pub use unmovable::Unmovable;

/// Why the tables cannot be served or brought to head. Each text says what to do.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
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
    /// Stamped at head, but something of it is missing: upstream's upgrade does that to databases of 7.0.0 to 15.0.0.
    #[error(
        "the database {database} says that it is at revision {found}, but its tables are not; \
         see what is missing with: freezer-manage db sync --dry-run, and mend it with: freezer-manage db sync"
    )]
    Incomplete {
        /// The database, without its password.
        database: String,
        /// The revision that it says.
        found: String,
    },
    /// At head, but columns that statements compare have collations that the server does not compare: a dump was loaded.
    #[error(
        "the database {database} has columns that the server cannot compare, because their collations differ: {columns}; \
         convert them with: freezer-manage db sync"
    )]
    MixedCollations {
        /// The database, without its password.
        database: String,
        /// The columns, with their collations.
        columns: String,
    },
    /// Tables or views that have names of ours and belong to another program, or are broken.
    #[error(
        "the database {database} has {found}; nothing was changed. If another program uses this database, create one for \
         Freezer alone and name it in [database] connection; otherwise rename or drop what is named here, and run again: \
         freezer-manage db sync"
    )]
    NotOurs {
        /// The database, without its password.
        database: String,
        /// The tables and views, each with what is wrong.
        found: String,
    },
    /// No table of ours, and tables of another program.
    #[error(
        "the database {database} belongs to another program and has no tables of Freezer ({signs}); nothing was changed. \
         Create a database for Freezer alone and name it in [database] connection{sharing}"
    )]
    OtherProgram {
        /// The database, without its password.
        database: String,
        /// What shows it.
        signs: String,
        /// Whether the database can be shared.
        sharing: Sharing,
    },
    /// A table with the name of a helper table that this release would not make so.
    #[error(
        "the database {database} has a table {table} that is not the one of this release ({reason}); unless another program \
         uses it, drop it and make it again with: freezer-manage db sync. It holds nothing that is not made of other tables"
    )]
    WrongHelper {
        /// The database, without its password.
        database: String,
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A server that lacks what the tables need.
    #[error(
        "the server of the database {database} is too old: it says {found}, and {needed} or later is needed"
    )]
    OldServer {
        /// The database, without its password.
        database: String,
        /// What the server says.
        found: String,
        /// Server and release.
        needed: String,
    },
    /// A column with values that are nowhere else must not be dropped.
    #[error(
        "the column {column} of the database {database} is kept, because values of it are nowhere else ({rows}); stop \
         every other freezer-api that uses the database, and run again: freezer-manage db sync"
    )]
    NotMoved {
        /// The database, without its password.
        database: String,
        /// Table and column.
        column: String,
        /// How many rows, and some of them.
        rows: String,
    },
    /// Another sync is under way.
    #[error("another db sync ({holder}) is at work on {database}; wait for it with --wait SECONDS")]
    Locked {
        /// The database, without its password.
        database: String,
        /// `<host>:<process id>`.
        holder: String,
    },
}
