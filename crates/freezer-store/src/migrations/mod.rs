//! The tables: their layout at head, upstream's revisions, and the upgrade of a database.
//!
//! Modules may only use modules of lower lines, and parents and children each other. At the bottom is `crate::schema` with
//! the revisions, the types of columns and [`SchemaError`]:
//!
//! - `sync.rs`, `served.rs`, `counts.rs`, `kept.rs`, `unmovable.rs`: the public operations.
//! - `run.rs`: runs the steps of a plan.
//! - `plan.rs`: computes the steps.
//! - `additions.rs`, `revisions/`: the conditions that must hold, ours and upstream's (the published ones never change).
//! - `row_facts.rs`: facts about the rows that decide which additions are needed. `foreign.rs` refuses tables of other
//!   programs, `missing.rs` databases in use that lack tables, `references.rs` foreign keys that prevent a conversion,
//!   `dependents.rs` triggers and the like that use a column which an upgrade drops, `equal_keys.rs` rows whose keys a
//!   conversion would make equal, and `keys.rs` rows that do not allow a missing primary key.
//! - `terms.rs`, `completed.rs`, `action_terms.rs`, `repeats.rs`, `live_clients.rs`: one addition each.
//!   `leftovers_table.rs`: the columns of `freezer_leftovers`.
//! - `planner/`: records the steps that make a condition true. `state.rs` determines the current revision.
//! - `collations.rs`: finds columns whose collations differ, and selects the one that they should have.
//! - `options.rs`, `lock.rs`, `inspect.rs`, `server.rs`: the options and the lock of a sync, and inspection of the catalogue
//!   and of the server.
//! - `moves/`: moves rows in batches.
//! - `term_sums.rs`: compares the table of terms with the actions.
//! - `head.rs`: the layout at head, with the columns of `tables/`. `CREATE TABLE` and all comparisons use it.
//! - `layout.rs`: the layout of an existing database.
//!
//! The rule of all upgrades: a column that contains values is only dropped if every value was found in its new place, or in
//! `freezer_leftovers`. The planner has no other way to drop one ([`StepAction::DropColumn`]), and `moves/guard.rs` checks
//! the values.
//!
//! The tables and columns of a database determine the steps of an upgrade. Its stamp is only read to refuse unknown
//! revisions.
//!
//! This is not sqlx's migrator, because that uses `GET_LOCK`, which Galera does not replicate. DDL commits implicitly on
//! MySQL, so every step must be able to run again.

mod action_terms;
mod additions;
mod collations;
mod completed;
mod counts;
mod dependents;
mod equal_keys;
mod foreign;
mod head;
mod inspect;
pub(crate) mod kept;
mod keys;
pub(crate) mod layout;
mod leftovers_table;
pub(crate) mod live_clients;
mod lock;
mod missing;
mod moves;
mod options;
mod plan;
mod planner;
mod references;
mod repeats;
mod revisions;
mod row_facts;
mod run;
mod served;
mod server;
mod state;
mod sync;
mod term_sums;
mod terms;
mod unmovable;

pub use collations::Mixed;
pub use counts::TableCount;
pub use dependents::Dependents;
pub use head::{Index, TABLES, TableLayout};
pub use keys::WrongKey;
pub use live_clients::EqualClients;
pub use lock::holder;
pub use moves::RowMove;
pub use moves::leftovers::Kept;
pub(crate) use moves::leftovers::TABLE as LEFTOVERS;
pub use moves::renamed::RenamedColumn;
pub use options::{Progress, SyncOptions, Synced, Wishes};
pub use plan::SyncPlan;
pub use planner::{SchemaChange, StepAction};
pub(crate) use repeats::TABLE as KEYS;
pub use state::State;
pub use term_sums::Parts;
pub use unmovable::Unmovable;

pub use crate::schema::{
    ColumnKind, ColumnLayout, HEAD, Obstacle, REVISIONS, Remedy, Revision, SchemaError, Sharing,
};
