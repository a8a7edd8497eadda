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
//! - `url` reads addresses, `tls` encrypts, `engine.rs` opens connections, `pool.rs` keeps them, `dialect.rs` is every place where engines differ,
//!   `error.rs` gives driver errors their meaning, `lost.rs` tells that the tables no longer fit, `outage.rs` logs outages.
//!
//! To add a query, see [`query`]; to add a column or a table, see [`migrations`].

mod clock;
mod dialect;
mod engine;
mod error;
mod exec;
mod explain;
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

pub use clock::Timestamp;
pub use dialect::Dialect;
pub use engine::ConnectSettings;
pub use error::{DriverError, StoreError, Unstorable};
pub use exec::Db;
pub use explain::{Plan, Step};
pub use pool::PoolSettings;
pub use scope::Scope;
pub use search::Search;
pub use tls::{NameParameter, Roots, TlsFile, TlsMode, TlsOptions, Trust};
pub use tx::{Mode, Run, TxError};
pub use url::{DatabaseUrl, Effect, MySqlUrl, Parameter, UrlError};

use std::sync::Arc;
use std::time::Duration;

use engine::Opener;
use lost::Lost;
use outage::Outage;
use pool::Pool;

/// An open database. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Store {
    database: DatabaseUrl,
    connect: ConnectSettings,
    pool: PoolSettings,
    readers: Pool,
    /// On SQLite a pool of one: it has one writer at a time, and waiting here is fair and
    /// costs no retries. On MySQL the same as `readers`.
    writers: Pool,
    lost: Arc<Lost>,
    /// None for stores beside the one that serves: one of them logs an outage.
    outage: Option<Arc<Outage>>,
}

impl Store {
    /// Prepares the pools; no connection is opened yet.
    pub fn new(database: DatabaseUrl, connect: ConnectSettings, pool: PoolSettings) -> Store {
        Store::build(database, connect, pool, false).with_outages()
    }

    /// As [`Store::new`], and makes a SQLite file where it is missing: for `db sync` and `--dev`.
    pub fn new_or_create(database: DatabaseUrl, connect: ConnectSettings, pool: PoolSettings) -> Store {
        Store::build(database, connect, pool, true).with_outages()
    }

    fn with_outages(mut self) -> Store {
        self.outage = Some(Arc::default());
        self
    }

    fn build(database: DatabaseUrl, connect: ConnectSettings, pool: PoolSettings, create: bool) -> Store {
        let opener = Opener::new(database.clone(), connect.clone(), create);
        let one = PoolSettings { max_idle: 1, max_open: 1, ..pool.clone() };
        let readers = Pool::new(opener.clone(), pool.clone());
        let writers = match opener.dialect() {
            Dialect::MySql => readers.clone(),
            Dialect::Sqlite => Pool::new(opener, one),
        };
        Store { database, connect, pool, readers, writers, lost: Arc::default(), outage: None }
    }

    /// The same database for changing its tables: statements may take as long as they need.
    pub(crate) fn for_schema(&self) -> Store {
        let connect = ConnectSettings { foreign_key_checks: false, ..self.connect.clone() };
        let pool = PoolSettings { statement_timeout: Duration::from_secs(7 * 86_400), ..self.pool.clone() };
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
