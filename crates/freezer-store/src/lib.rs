//! Freezer's management data in SQL: clients, jobs, sessions, actions, backups.
//!
//! The only crate that speaks SQL, on MySQL, MariaDB and SQLite, from one source of statements. It knows no
//! HTTP and no policy. The map:
//!
//! - [`Store`] opens a database; [`read!`], [`single!`] and [`transaction!`] (`tx.rs`) run named bodies on a [`Db`]
//!   (`exec.rs`), again where the database says so.
//! - [`query`] has the statements, a file per table family; every one takes a [`Scope`].
//! - [`model`] has the documents, `search` what a search means.
//! - [`migrations`] has the tables themselves; [`maintenance`] checks, measures, purges and removes them.
//! - `url` reads addresses, `tls` encrypts, `engine.rs` opens connections, `pool.rs` keeps them, `dialect.rs` has all
//!   differences between engines,
//!   `codes.rs` is the table of errors, `error.rs` makes [`StoreError`] of them, `watch.rs` and `control.rs` end
//!   abandoned statements, `query/repeat.rs` makes writes safe to run again, `lost.rs` tells that the tables no longer fit,
//!   `outage.rs` logs outages.
//!
//! To add a query, see [`query`]; to add a column or a table, see [`migrations`].

mod clock;
mod codes;
mod control;
mod deadline;
mod dialect;
mod engine;
mod error;
mod exec;
mod explain;
mod gate;
mod json;
mod known;
mod lost;
pub mod maintenance;
pub mod migrations;
pub mod model;
mod mysql;
mod outage;
mod pool;
pub mod query;
mod row;
mod scope;
mod search;
mod statement;
mod tables;
mod tls;
mod tx;
mod url;
mod watch;

pub use clock::Timestamp;
pub use deadline::Deadline;
pub use dialect::Dialect;
pub use engine::ConnectSettings;
pub use error::{DriverError, Outage, StoreError, Unstorable};
pub use exec::Db;
pub use explain::{Plan, Step};
pub use json::stored_size;
pub use pool::PoolSettings;
pub use scope::Scope;
pub use search::Search;
pub use tls::{NameParameter, Roots, TlsFile, TlsMode, TlsOptions, Trust};
pub use tx::{Mode, Run, TxError};
pub use url::{DatabaseUrl, Effect, MySqlUrl, Parameter, UrlError};

use std::ops::Deref;
use std::sync::Arc;

use engine::{NO_STATEMENT_LIMIT, Opener};
use lost::Lost;
use outage::OutageLog;
use pool::Pool;

/// An open database. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    deadline: Deadline,
}

/// What clones of a store share.
#[doc(hidden)]
pub struct Shared {
    database: DatabaseUrl,
    connect: ConnectSettings,
    pool: PoolSettings,
    readers: Pool,
    /// On SQLite a pool of one: it has one writer at a time, and waiting here is fair and
    /// costs no retries. On MySQL the same as `readers`.
    writers: Pool,
    lost: Lost,
    /// None for stores beside the one that serves: one of them logs an outage.
    outage: Option<Arc<OutageLog>>,
}

impl Deref for Store {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Store {
    /// Prepares the pools; no connection is opened yet.
    pub fn new(database: DatabaseUrl, connect: ConnectSettings, pool: PoolSettings) -> Store {
        Store::build_with(database, connect, pool, (false, Some(Arc::default())))
    }

    /// As [`Store::new`], and makes a SQLite file if it is missing: for `db sync` and `--dev`.
    pub fn new_or_create(database: DatabaseUrl, connect: ConnectSettings, pool: PoolSettings) -> Store {
        Store::build_with(database, connect, pool, (true, Some(Arc::default())))
    }

    /// A store beside the one that serves.
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
        let writers = match opener.dialect() {
            Dialect::MySql => readers.clone(),
            Dialect::Sqlite => Pool::new(opener, one, outage.clone()),
        };
        let shared = Shared { database, connect, pool, readers, writers, lost: Lost::default(), outage };
        Store { shared: Arc::new(shared), deadline: Deadline::NONE }
    }

    /// The same database until a deadline: what fails meanwhile is tried again, and what takes longer is given up.
    pub fn until(&self, deadline: Deadline) -> Store {
        Store { shared: self.shared.clone(), deadline }
    }

    /// Until when the database is asked.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The same database for changing its tables: statements may take as long as they need.
    pub(crate) fn for_schema(&self) -> Store {
        let connect = ConnectSettings { foreign_key_checks: false, ..self.connect.clone() };
        let pool = PoolSettings { statement_timeout: NO_STATEMENT_LIMIT, ..self.pool.clone() };
        Store::build(self.database.clone(), connect, pool, true)
    }

    /// Which engine it is.
    pub fn dialect(&self) -> Dialect {
        self.readers.dialect()
    }

    /// The database's address, without its password.
    pub fn database(&self) -> &DatabaseUrl {
        &self.database
    }

    /// From now on, asks the database for the plan of each statement before sending it. For tests.
    pub fn explain(&self) {
        self.readers.plans().keep();
        self.writers.plans().keep();
    }

    /// The plans since [`Store::explain`], or since they were taken last.
    pub fn take_plans(&self) -> Vec<Plan> {
        let mut plans = self.readers.plans().take();
        plans.extend(self.writers.plans().take());
        plans
    }

    /// Statements sent so far, BEGIN and COMMIT included: what tests and the benchmark count.
    pub fn statements(&self) -> u64 {
        match self.dialect() {
            Dialect::MySql => self.readers.statements(),
            Dialect::Sqlite => self.readers.statements() + self.writers.statements(),
        }
    }
}
