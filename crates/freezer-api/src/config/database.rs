//! `[database]`: oslo.db's options, as far as they mean something here.

use std::time::Duration;

use ::oslo_config::{Config, OptDecl};
use freezer_store::{ConnectSettings, DatabaseUrl, PoolSettings, Store};

use super::ConfigError;

const CONNECTION: OptDecl = OptDecl::string("database", "connection").secret().required().help(
    "The database, as SQLAlchemy writes it: mysql+pymysql://user:password@host/freezer?charset=utf8mb4, or \
     sqlite:////var/lib/freezer/freezer.db.",
);
const SQL_MODE: OptDecl = OptDecl::string("database", "mysql_sql_mode")
    .default("TRADITIONAL")
    .help("SQL mode of MySQL sessions; empty leaves the server's.");
const WSREP_SYNC_WAIT: OptDecl = OptDecl::integer("database", "mysql_wsrep_sync_wait")
    .min(0)
    .max(15)
    .help("For Galera: which statements wait until earlier writes of the cluster are seen.");
const RECYCLE: OptDecl = OptDecl::integer("database", "connection_recycle_time")
    .default("3600")
    .min(1)
    .help("Connections older than this many seconds are not used again.");
const POOL_SIZE: OptDecl = OptDecl::integer("database", "max_pool_size").default("5").min(1).help(
    "Connections that are kept open when idle; more of them are closed ten seconds after their last use.",
);
const OVERFLOW: OptDecl = OptDecl::integer("database", "max_overflow")
    .default("50")
    .min(0)
    .help("Connections beyond max_pool_size that may be open under load.");
const POOL_TIMEOUT: OptDecl = OptDecl::integer("database", "pool_timeout")
    .default("30")
    .min(1)
    .help("Seconds that a request waits for a connection before it is answered with 503.");
const MAX_RETRIES: OptDecl = OptDecl::integer("database", "max_retries")
    .default("10")
    .min(-1)
    .help("How often the start tries again to reach the database; -1: for ever.");
const RETRY_INTERVAL: OptDecl = OptDecl::integer("database", "retry_interval")
    .default("10")
    .min(0)
    .help("Seconds between two tries at start.");

pub(super) const OPTIONS: &[&OptDecl] = &[
    &CONNECTION,
    &SQL_MODE,
    &WSREP_SYNC_WAIT,
    &RECYCLE,
    &POOL_SIZE,
    &OVERFLOW,
    &POOL_TIMEOUT,
    &MAX_RETRIES,
    &RETRY_INTERVAL,
];

/// Longest time that opening one connection may take; a shorter `pool_timeout` shortens it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The database and how to reach it.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// Address.
    pub url: DatabaseUrl,
    /// Settings of each connection.
    pub connect: ConnectSettings,
    /// Size and patience of the pool.
    pub pool: PoolSettings,
    /// How often the start tries again to reach it; none: for ever.
    pub start_retries: Option<u32>,
    /// Pause between two tries at start.
    pub start_retry_interval: Duration,
}

impl DatabaseSettings {
    /// A database with every other option at its default.
    pub fn new(url: DatabaseUrl) -> DatabaseSettings {
        DatabaseSettings {
            url,
            connect: ConnectSettings::default(),
            pool: PoolSettings::default(),
            start_retries: Some(10),
            start_retry_interval: Duration::from_secs(10),
        }
    }

    pub(super) fn read(config: &Config) -> Result<DatabaseSettings, ConfigError> {
        let url = CONNECTION.need(config.secret(&CONNECTION)?)?;
        let number = |option: &OptDecl| -> Result<u64, ConfigError> {
            let value = option.need(config.int(option)?)?;
            Ok(u64::try_from(value).unwrap_or(0))
        };
        let size = |option: &OptDecl| number(option).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let max_idle = size(&POOL_SIZE)?;
        let timeout = Duration::from_secs(number(&POOL_TIMEOUT)?);
        Ok(DatabaseSettings {
            connect: ConnectSettings {
                mysql_sql_mode: config.string(&SQL_MODE)?.filter(|mode| !mode.is_empty()),
                mysql_wsrep_sync_wait: config.int(&WSREP_SYNC_WAIT)?.and_then(|n| u32::try_from(n).ok()),
                connect_timeout: CONNECT_TIMEOUT.min(timeout),
                ..ConnectSettings::default()
            },
            pool: PoolSettings {
                max_idle,
                max_open: max_idle.saturating_add(size(&OVERFLOW)?),
                timeout,
                recycle: Duration::from_secs(number(&RECYCLE)?),
                ..PoolSettings::default()
            },
            start_retries: config.int(&MAX_RETRIES)?.and_then(|retries| u32::try_from(retries).ok()),
            start_retry_interval: Duration::from_secs(number(&RETRY_INTERVAL)?),
            ..DatabaseSettings::new(DatabaseUrl::parse(url.expose())?)
        })
    }

    /// The store of these settings; `create` makes a SQLite file where it is missing.
    pub fn store(&self, create: bool) -> Store {
        let open = if create { Store::new_or_create } else { Store::new };
        open(self.url.clone(), self.connect.clone(), self.pool.clone())
    }
}
