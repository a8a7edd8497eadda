//! `[database]`: oslo.db's options, as far as they mean something here.

use std::time::Duration;

use ::oslo_config::{Config, OptDecl};
use freezer_store::maintenance::Verdict;
use freezer_store::{ConnectSettings, DatabaseUrl, MySqlUrl, Parameter, PoolSettings, Store};

use super::{ConfigError, Finding};

const CONNECTION: OptDecl = OptDecl::string("database", "connection").secret().required().help(
    "The database, as SQLAlchemy writes it: mysql+pymysql://user:password@host/freezer?charset=utf8mb4, or \
     sqlite:////var/lib/freezer/freezer.db.",
);
const PARAMETERS: OptDecl = OptDecl::string("database", "connection_parameters")
    .default("")
    .help("More parameters for the connection, as in the URL: name=value&name=value.");
const SQL_MODE: OptDecl = OptDecl::string("database", "mysql_sql_mode")
    .default("TRADITIONAL")
    .help("SQL mode of MySQL sessions; empty leaves the server's.");
const WSREP_SYNC_WAIT: OptDecl = OptDecl::integer("database", "mysql_wsrep_sync_wait")
    .unset_if_empty()
    .min(0)
    .max(15)
    .help(
        "For Galera: which statements wait until earlier writes of the cluster are seen. Not set: 3 (reads, updates and \
         deletes) if the server is a node of a cluster, else the setting of the server.",
    );
const STATEMENT_TIMEOUT: OptDecl =
    OptDecl::integer("database", "statement_timeout").unset_if_empty().default("30").min(1).max(86_399).help(
        "Seconds that one statement of a request may take. MariaDB ends it by max_statement_time, MySQL a SELECT by \
         max_execution_time; otherwise the service kills it. db sync, purge and db check have no limit.",
    );
const RECYCLE: OptDecl = OptDecl::integer("database", "connection_recycle_time")
    .unset_if_empty()
    .default("3600")
    .help("Connections older than this many seconds are not used again; -1: they do not grow too old.");
const POOL_SIZE: OptDecl = OptDecl::integer("database", "max_pool_size").unset_if_empty().default("5").help(
    "Connections that are kept open when idle; more of them are closed ten seconds after their last use. 0: no limit, \
     which means up to 100 connections, all of them kept, whatever max_overflow says. A number above 1000 means the same.",
);
const OVERFLOW: OptDecl = OptDecl::integer("database", "max_overflow").unset_if_empty().default("50").help(
    "Connections beyond max_pool_size that may be open under load; a negative number or one above 1000: no limit, which \
     means 100 more. The limit of open files can lower both.",
);
const POOL_TIMEOUT: OptDecl =
    OptDecl::integer("database", "pool_timeout").unset_if_empty().default("30").help(
        "Seconds that a request waits for a connection before it is answered with 503; 0: it does not wait.",
    );
const MAX_RETRIES: OptDecl = OptDecl::integer("database", "max_retries")
    .unset_if_empty()
    .default("10")
    .help("How often the start tries again to reach the database; -1: until it answers.");
const RETRY_INTERVAL: OptDecl = OptDecl::integer("database", "retry_interval")
    .unset_if_empty()
    .default("10")
    .help("Seconds between two tries at start.");

pub(super) const OPTIONS: &[&OptDecl] = &[
    &CONNECTION,
    &PARAMETERS,
    &SQL_MODE,
    &WSREP_SYNC_WAIT,
    &RECYCLE,
    &POOL_SIZE,
    &OVERFLOW,
    &POOL_TIMEOUT,
    &STATEMENT_TIMEOUT,
    &MAX_RETRIES,
    &RETRY_INTERVAL,
];

/// Longest time that opening one connection may take, so that a request can try another one before its deadline. A shorter
/// `pool_timeout` shortens it, unless it is 0, and the parameter `connect_timeout` of the URL replaces it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections where SQLAlchemy has no limit: there the number of its threads is one, and a server takes 151 by default.
const UNLIMITED: usize = 100;

/// A larger number is meant as no limit: no server has so many connections for one process.
const LARGEST: usize = 1_000;

/// Shortest pause between two tries at start, so that `retry_interval = 0` does not keep a processor busy.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

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
        let parameters = config.string(&PARAMETERS)?.unwrap_or_default();
        let url = DatabaseUrl::parse_with(url.expose(), &parameters)?;
        let number = |option: &OptDecl| -> Result<i64, ConfigError> { Ok(option.need(config.int(option)?)?) };
        let timeout = seconds(number(&POOL_TIMEOUT)?);
        let (max_idle, max_open) = pool_sizes(number(&POOL_SIZE)?, number(&OVERFLOW)?);
        let connect_timeout = match &url {
            DatabaseUrl::MySql(MySqlUrl { connect_timeout: Some(timeout), .. }) => *timeout,
            _ if timeout.is_zero() => CONNECT_TIMEOUT,
            _ => CONNECT_TIMEOUT.min(timeout),
        };
        Ok(DatabaseSettings {
            connect: ConnectSettings {
                mysql_sql_mode: config.string(&SQL_MODE)?.filter(|mode| !mode.is_empty()),
                mysql_wsrep_sync_wait: config.int(&WSREP_SYNC_WAIT)?.and_then(|n| u32::try_from(n).ok()),
                connect_timeout,
                ..ConnectSettings::default()
            },
            pool: PoolSettings {
                max_idle,
                max_open,
                timeout,
                recycle: match number(&RECYCLE)? {
                    // SQLAlchemy: never
                    ..0 => Duration::MAX,
                    age => seconds(age),
                },
                statement_timeout: seconds(number(&STATEMENT_TIMEOUT)?),
                ..PoolSettings::default()
            },
            start_retries: match number(&MAX_RETRIES)? {
                -1 => None,
                retries => Some(u32::try_from(retries.max(0)).unwrap_or(u32::MAX)),
            },
            start_retry_interval: seconds(number(&RETRY_INTERVAL)?).max(SHORTEST_RETRY),
            ..DatabaseSettings::new(url)
        })
    }

    /// Parameters of the URL that the service does not use.
    pub fn ignored_parameters(&self) -> &[Parameter] {
        match &self.url {
            DatabaseUrl::MySql(url) => &url.ignored,
            DatabaseUrl::Sqlite { .. } => &[],
        }
    }

    /// The store of these settings; `create` makes a SQLite file where it is missing.
    pub fn store(&self, create: bool) -> Store {
        let open = if create { Store::new_or_create } else { Store::new };
        open(self.url.clone(), self.connect.clone(), self.pool.clone())
    }
}

/// A number of seconds; less than none is none, as in oslo.db, which passes such numbers on.
fn seconds(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or(0))
}

/// Connections that are kept when idle, and that may be open, of a pool of SQLAlchemy with this size and overflow.
fn pool_sizes(size: i64, overflow: i64) -> (usize, usize) {
    match count(size) {
        None | Some(0) => (UNLIMITED, UNLIMITED),
        Some(size) => (size, size + count(overflow).unwrap_or(UNLIMITED)),
    }
}

/// A number of connections, unless it is meant as no limit.
fn count(number: i64) -> Option<usize> {
    usize::try_from(number).ok().filter(|number| *number <= LARGEST)
}

/// Returns a warning if a number of connections is so large that it is read as no limit.
pub(super) fn remark(config: &Config) -> Option<Finding> {
    let number = |option: &OptDecl| config.int(option).ok().flatten();
    let (size, overflow) = (number(&POOL_SIZE)?, number(&OVERFLOW)?);
    let means = match (count(size), count(overflow)) {
        (None, _) if size > 0 => format!(
            "[database] max_pool_size = {size}: a number above {LARGEST} is read as no limit (0), which means up to \
             {UNLIMITED} connections, whatever max_overflow says"
        ),
        (Some(1..), None) if overflow > 0 => format!(
            "[database] max_overflow = {overflow}: a number above {LARGEST} is read as no limit (-1), which means \
             {UNLIMITED} connections beyond max_pool_size"
        ),
        _ => return None,
    };
    let message = format!("{means}; write the number of connections that the database has for this process");
    Some(Finding { verdict: Verdict::Warning, kind: "reduced", place: None, message })
}

#[cfg(test)]
mod tests {
    use super::pool_sizes;

    #[test]
    fn a_pool_without_a_limit_has_one() {
        assert_eq!(pool_sizes(5, 50), (5, 55));
        assert_eq!(pool_sizes(5, 0), (5, 5));
        assert_eq!(pool_sizes(0, 50), (100, 100));
        assert_eq!(pool_sizes(0, 0), (100, 100));
        assert_eq!(pool_sizes(200, -1), (200, 300));
        assert_eq!(pool_sizes(-1, 0), (100, 100));
        for many in [1_001, 25_000, 65_535, 1_000_000, i64::MAX] {
            assert_eq!(pool_sizes(5, many), (5, 105), "{many}");
            assert_eq!(pool_sizes(many, 50), (100, 100), "{many}");
            assert_eq!(pool_sizes(many, many), (100, 100), "{many}");
        }
        assert_eq!(pool_sizes(1_000, 1_000), (1_000, 2_000));
    }
}
