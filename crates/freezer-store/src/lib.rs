//! Freezer's management data in SQL: clients, jobs, sessions, actions, backups.
//!
//! This is the only crate that uses SQL, on MySQL, MariaDB and SQLite. It depends on neither HTTP nor
//! policies. Its parts:
//!
//! - [`Store`] opens a database. [`read!`], [`single!`] and [`transaction!`] (`tx.rs`) run named bodies on a
//!   [`Db`] (`exec.rs`), and run them again if the database requires it.
//! - `tables` declares the tables, their columns and stored rows. [`query`] has the statements, one file for each table family.
//!   Every query takes a [`Scope`].
//! - [`model`] has the documents, `search` the meaning of a search.
//! - `schema` has the revisions, the types of columns, and the errors about them. [`migrations`] creates and changes the
//!   tables. [`maintenance`] checks, measures, purges and removes them.
//! - `url` parses addresses, `tls` encrypts, `engine.rs` opens connections, `pool` keeps them, and
//!   `dialect.rs` has all differences between engines.
//! - `codes.rs` is the table of error codes with their classes (`class.rs`), and `error.rs` creates a [`StoreError`] from
//!   them.
//! - `observer.rs` reports the events of reads and writes, and the state of the pools.
//! - `watch.rs` and `control.rs` end abandoned statements, `query/repeat.rs` makes writes safe to run again,
//!   `mismatch.rs` reports that the tables no longer match, and `outage.rs` logs outages.
//!
//! To add a query, see [`query`]. To add a column or a table, see [`migrations`].

mod additions;
mod backoff;
mod class;
mod clock;
mod codes;
mod connect_settings;
mod control;
mod deadline;
mod dialect;
mod engine;
mod error;
mod exec;
mod explain;
mod find_additions;
pub mod heavy;
mod json;
mod key_order;
pub mod maintenance;
pub mod migrations;
mod mismatch;
pub mod model;
mod mysql;
mod observer;
mod outage;
mod pool;
mod prepared;
mod progress;
pub mod query;
mod reconnect;
mod row;
mod schema;
mod scope;
mod search;
pub mod slots;
mod statement;
mod tables;
mod time_slice;
mod tls;
mod tx;
mod url;
mod url_error;
mod watch;

pub use class::{Outage, Unstorable};
pub use clock::Timestamp;
pub use connect_settings::ConnectSettings;
pub use deadline::Deadline;
pub use dialect::Dialect;
pub use error::{DriverError, StoreError};
pub use exec::Db;
pub use explain::{PlanStep, QueryPlan};
pub use json::{MOST_MEMORY_PER_BYTE, end_of_string, stored_size, tree_memory};
pub use observer::{CANCELLED, Killed, OutageStatus, PoolStatus, StoreObserver};
pub use pool::PoolSettings;
pub use scope::Scope;
pub use search::Search;
pub use tls::{NameParameter, Roots, TlsFile, TlsMode, TlsOptions, TrustAnchor, tls12_ciphers};
pub use tx::{Mode, Run, TxError};
pub use url::{DatabaseUrl, Effect, MySqlUrl, Parameter};
pub use url_error::UrlError;

use std::ops::Deref;
use std::sync::Arc;

use additions::Additions;
use connect_settings::NO_STATEMENT_LIMIT;
use engine::Opener;
use mismatch::SchemaMismatch;
use outage::OutageLog;
use pool::Pool;
use slots::ProjectSlots;

/// Returns the slots for writing on a pool with this number of connections. Writers can wait for a locked row,
/// or take long, so a part of the connections is left for reading, and a project cannot keep others from
/// writing.
fn write_slots(connections: usize) -> ProjectSlots {
    ProjectSlots::new(connections * 3 / 4, connections.div_ceil(4), usize::MAX)
}

/// A row that a change locks: its project, its table and its id.
type RowKey = (Scope, &'static str, String);

/// The `sql_mode` of schema changes. Values that do not fit are rejected. Dates that the server stored in another mode
/// (`0000-00-00`, `2026-02-31`) stay as they are, because a change that copies the table would fail at them.
const SCHEMA_SQL_MODE: &str = "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ALLOW_INVALID_DATES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/// An open database. Clones are cheap and share the connections.
#[derive(Clone)]
pub struct Store {
    shared: Arc<StoreInner>,
    deadline: Deadline,
    /// The project on whose behalf rows are changed.
    project: Option<Arc<Scope>>,
    /// Number of requests that the work serves, for the log of outages.
    requests: u64,
    /// Maximum number of bytes of a document that a query may read.
    read_limit: u64,
    /// Maximum memory of the tree of a document that a change may build.
    tree_limit: u64,
    /// The rows that the change locks.
    rows: Arc<[RowKey]>,
    /// Whether an earlier attempt of the request may have been stored.
    is_repeat: bool,
    /// Receives the events of reads and writes.
    observer: Option<Arc<dyn StoreObserver>>,
}

/// The shared part of a store's clones.
#[doc(hidden)]
pub struct StoreInner {
    database: DatabaseUrl,
    connect: ConnectSettings,
    pool: PoolSettings,
    readers: Pool,
    /// On SQLite a pool with one connection, because a file has one writer at a time, and waiting in the pool
    /// is fair and needs no retries. On MySQL the same pool as `readers`.
    writers: Pool,
    /// The known additions to the tables, as seen through each pool.
    reader_additions: Arc<Additions>,
    writer_additions: Arc<Additions>,
    /// Connections that write at a time.
    write_slots: ProjectSlots,
    /// The turns to change rows. Changes of a locked row wait for their turn without a connection.
    row_turns: ProjectSlots<RowKey>,
    mismatch: SchemaMismatch,
    /// `None` for additional stores of a process: only one store logs an outage.
    outage: Option<Arc<OutageLog>>,
}

impl Deref for Store {
    type Target = StoreInner;

    fn deref(&self) -> &StoreInner {
        &self.shared
    }
}

impl Store {
    /// Prepares the pools without opening a connection.
    pub fn new(database: DatabaseUrl, connect: ConnectSettings, pool: PoolSettings) -> Store {
        Store::build_with(database, connect, pool, (false, Some(Arc::default())))
    }

    /// Like [`Store::new`], but creates a missing SQLite file: for `db sync` and `--dev`.
    pub fn new_or_create(database: DatabaseUrl, connect: ConnectSettings, pool: PoolSettings) -> Store {
        Store::build_with(database, connect, pool, (true, Some(Arc::default())))
    }

    /// Creates a store without a log of outages.
    fn build(database: DatabaseUrl, connect: ConnectSettings, pool: PoolSettings, create: bool) -> Store {
        Store::build_with(database, connect, pool, (create, None))
    }

    fn build_with(
        database: DatabaseUrl,
        connect: ConnectSettings,
        pool: PoolSettings,
        (create, outage): (bool, Option<Arc<OutageLog>>),
    ) -> Store {
        let opener = Opener::new(database.clone(), connect.clone(), pool.statement_timeout, create);
        let one = PoolSettings { max_idle: 1, max_open: 1, ..pool.clone() };
        let readers = Pool::new(opener.clone(), pool.clone(), outage.clone());
        let reader_additions = Arc::<Additions>::default();
        let (writers, writer_additions) = match opener.dialect() {
            Dialect::MySql => (readers.clone(), reader_additions.clone()),
            Dialect::Sqlite => (Pool::new(opener, one, outage.clone()), Arc::default()),
        };
        let shared = StoreInner {
            database,
            connect,
            pool,
            readers,
            write_slots: write_slots(writers.max_open()),
            row_turns: ProjectSlots::new(usize::MAX, 1, usize::MAX),
            writers,
            reader_additions,
            writer_additions,
            mismatch: SchemaMismatch::default(),
            outage,
        };
        Store {
            shared: Arc::new(shared),
            deadline: Deadline::NONE,
            project: None,
            requests: 1,
            read_limit: u64::MAX,
            tree_limit: u64::MAX,
            rows: Arc::default(),
            is_repeat: false,
            observer: None,
        }
    }

    /// Returns a store for the same database whose reads and writes are reported to an observer.
    pub fn observed_by(&self, observer: Arc<dyn StoreObserver>) -> Store {
        Store { observer: Some(observer), ..self.clone() }
    }

    /// Returns a store for the same database with a deadline. Until the deadline, failed work is retried;
    /// later, it is given up.
    pub fn until(&self, deadline: Deadline) -> Store {
        Store { deadline, ..self.clone() }
    }

    /// Returns a store for the same database whose changes count as those of a project.
    pub fn of(&self, project_id: &str) -> Store {
        Store { project: Some(Arc::new(Scope::project(project_id))), ..self.clone() }
    }

    /// Returns a store for a batch that serves several requests.
    pub fn for_requests(&self, requests: usize) -> Store {
        Store { requests: requests as u64, ..self.clone() }
    }

    /// Returns a store for the same database whose queries read documents of at most this many bytes.
    /// For a larger one they return [`StoreError::TooLarge`], without reading it.
    pub fn reading_up_to(&self, bytes: u64) -> Store {
        Store { read_limit: bytes, ..self.clone() }
    }

    /// Returns a store for the same database whose changes build trees of documents that take at most this much memory.
    /// For a larger one they return [`StoreError::TreeTooLarge`], without building it.
    pub fn building_up_to(&self, memory: u64) -> Store {
        Store { tree_limit: memory, ..self.clone() }
    }

    /// Returns a store for the same database for a change that locks these rows (table and id). Changes of the same
    /// row take turns. While they wait, they have no connection, so a locked row does not delay the project's changes of
    /// other rows.
    pub fn changing<'i>(&self, rows: impl IntoIterator<Item = (&'static str, &'i str)>) -> Store {
        let project = self.project.as_deref().unwrap_or(&Scope::AllProjects);
        let mut rows: Vec<RowKey> =
            rows.into_iter().map(|(table, id)| (project.clone(), table, id.to_owned())).collect();
        rows.sort_unstable_by(|(_, table, id), (_, other, other_id)| (table, id).cmp(&(other, other_id)));
        rows.dedup();
        Store { rows: rows.into(), ..self.clone() }
    }

    /// Returns a store for a request that continues an earlier attempt with an unknown outcome. Its changes have the same ids and
    /// the same time, and run as after a lost answer (`query/repeat.rs`).
    pub fn repeating(&self) -> Store {
        Store { is_repeat: true, ..self.clone() }
    }

    /// Returns the deadline of the work.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Returns a store for schema changes, whose statements have no time limit.
    pub(crate) fn for_schema(&self) -> Store {
        let connect = ConnectSettings {
            changes_tables: true,
            mysql_sql_mode: Some(SCHEMA_SQL_MODE.to_owned()),
            ..self.connect.clone()
        };
        let pool = PoolSettings { statement_timeout: NO_STATEMENT_LIMIT, ..self.pool.clone() };
        Store::build(self.database.clone(), connect, pool, true)
    }

    /// Returns the engine of the database.
    pub fn dialect(&self) -> Dialect {
        self.readers.dialect()
    }

    /// Returns the address of the database, without its password.
    pub fn database(&self) -> &DatabaseUrl {
        &self.database
    }

    /// Starts to request the plan of each statement before sending it. For tests.
    pub fn explain(&self) {
        self.readers.plans().keep();
        self.writers.plans().keep();
    }

    /// Returns the plans since [`Store::explain`], or since the last call.
    pub fn take_plans(&self) -> Vec<QueryPlan> {
        let mut plans = self.readers.plans().drain();
        plans.extend(self.writers.plans().drain());
        plans
    }

    /// Returns the number of statements sent so far, including BEGIN and COMMIT. For tests and the benchmark.
    pub fn statements(&self) -> u64 {
        match self.dialect() {
            Dialect::MySql => self.readers.statements(),
            Dialect::Sqlite => self.readers.statements() + self.writers.statements(),
        }
    }
}
