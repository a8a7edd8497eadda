//! `[database]`: the options of oslo.db that apply to this service.

use std::time::Duration;

use ::oslo_config::{Config, OptDecl};
use freezer_store::maintenance::Verdict;
use freezer_store::{ConnectSettings, DatabaseUrl, MySqlUrl, Parameter, PoolSettings, Store};

use super::finding::Finding;
use super::{ConfigError, api};
use crate::app::HttpSettings;

const CONNECTION: OptDecl = OptDecl::string("database", "connection").secret().required().help(
    "URL of the database, as for SQLAlchemy: mysql+pymysql://user:password@host/freezer?charset=utf8mb4, or \
     sqlite:////var/lib/freezer/freezer.db.",
);
const PARAMETERS: OptDecl = OptDecl::string("database", "connection_parameters")
    .default("")
    .help("Further parameters of the URL: name=value&name=value.");
const SQL_MODE: OptDecl = OptDecl::string("database", "mysql_sql_mode").default("TRADITIONAL").help(
    "SQL mode of MySQL sessions; empty leaves the server's. ORACLE and EMPTY_STRING_IS_NULL are refused.",
);
const WSREP_SYNC_WAIT: OptDecl = OptDecl::integer("database", "mysql_wsrep_sync_wait")
    .unset_if_empty()
    .min(0)
    .max(15)
    .help(
        "For Galera: the statements that wait until earlier writes of the cluster are visible. Not set: 3 (reads, \
         updates and deletes) if the server is a node of a cluster, otherwise the setting of the server.",
    );
const STATEMENT_TIMEOUT: OptDecl =
    OptDecl::integer("database", "statement_timeout").unset_if_empty().default("30").min(1).max(86_399).help(
        "Seconds that one statement of a request may take. MariaDB ends it by max_statement_time, MySQL a SELECT by \
         max_execution_time; otherwise the service kills it. db sync, purge and db check have no limit.",
    );
const RECYCLE: OptDecl = OptDecl::integer("database", "connection_recycle_time")
    .unset_if_empty()
    .default("3600")
    .help("Maximum age of a connection in seconds; -1: no maximum.");
const POOL_SIZE: OptDecl = OptDecl::integer("database", "max_pool_size").unset_if_empty().default("5").help(
    "Number of idle connections that are kept open. Further ones are closed ten seconds after their last use. 0: no \
     limit, which means up to 100 connections that are all kept, regardless of max_overflow. A number above 1000 \
     means the same.",
);
const OVERFLOW: OptDecl = OptDecl::integer("database", "max_overflow").unset_if_empty().default("50").help(
    "Number of connections beyond max_pool_size that may be open under load. Negative or above 1000: no limit, which \
     means 100 more. The limit of open files can reduce both numbers.",
);
const POOL_TIMEOUT: OptDecl =
    OptDecl::integer("database", "pool_timeout").unset_if_empty().default("30").help(
        "Seconds that a request waits for a connection before it is answered with 503; 0: it does not wait.",
    );
const MAX_RETRIES: OptDecl = OptDecl::integer("database", "max_retries")
    .unset_if_empty()
    .default("10")
    .help("Number of further attempts to connect to the database at start; -1: no limit.");
const RETRY_INTERVAL: OptDecl = OptDecl::integer("database", "retry_interval")
    .unset_if_empty()
    .default("10")
    .help("Seconds between two attempts at start.");

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

/// Longest time to open a connection, so that a request can try another one before its deadline. A shorter
/// `pool_timeout` reduces it, unless it is 0. The URL parameter `connect_timeout` replaces it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Number of connections if SQLAlchemy would have no limit. There, the number of threads is a limit, and a server
/// accepts 151 connections by default.
const UNLIMITED: usize = 100;

/// Larger numbers are read as "no limit", because no server has so many connections for one process.
const LARGEST: usize = 1_000;

/// Shortest pause between two attempts at start, so that `retry_interval = 0` does not keep a CPU core busy.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

/// The database, and how the service connects to it.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// The address of the database.
    pub url: DatabaseUrl,
    /// Settings of each connection.
    pub connect: ConnectSettings,
    /// Size and time-outs of the pool.
    pub pool: PoolSettings,
    /// Number of further attempts to connect at start. `None`: no limit.
    pub start_retries: Option<u32>,
    /// Pause between two attempts at start.
    pub start_retry_interval: Duration,
    /// Size of the largest stored document that a request can read.
    pub largest_readable: u64,
    /// Names of the parameters that `connection_parameters` sets.
    separate: Vec<String>,
    /// Parameters of a SQLite URL. None has an effect.
    of_sqlite: Vec<Parameter>,
}

impl DatabaseSettings {
    /// Returns settings with defaults for everything but the URL.
    pub fn new(url: DatabaseUrl) -> DatabaseSettings {
        DatabaseSettings {
            url,
            connect: ConnectSettings::default(),
            pool: PoolSettings::default(),
            start_retries: Some(10),
            start_retry_interval: Duration::from_secs(10),
            largest_readable: HttpSettings::default().largest_readable(),
            separate: Vec::new(),
            of_sqlite: Vec::new(),
        }
    }

    pub(super) fn read(config: &Config) -> Result<DatabaseSettings, ConfigError> {
        let url = CONNECTION.need(config.secret(&CONNECTION)?)?;
        let parameters = config.string(&PARAMETERS)?.unwrap_or_default();
        let separate: Vec<String> = parameters.trim().split('&').map(name).collect();
        let text = url;
        let url = DatabaseUrl::parse_with(text.expose(), &parameters)
            .map_err(|error| ConfigError::Url { option: setter(&separate, error.parameter()), error })?;
        let of_sqlite = match &url {
            DatabaseUrl::MySql(_) => Vec::new(),
            DatabaseUrl::Sqlite { .. } => DatabaseUrl::sqlite_parameters(text.expose(), &parameters),
        };
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
                    // In SQLAlchemy, this means never.
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
            largest_readable: api::largest_readable(config),
            separate,
            of_sqlite,
            ..DatabaseSettings::new(url)
        })
    }

    /// Returns the URL parameters that the service does not use.
    pub fn ignored_parameters(&self) -> &[Parameter] {
        match &self.url {
            DatabaseUrl::MySql(url) => &url.ignored,
            DatabaseUrl::Sqlite { .. } => &self.of_sqlite,
        }
    }

    /// Checks the files of the URL, as a connection reads them.
    ///
    /// # Errors
    /// [`ConfigError::Url`]
    pub fn check_files(&self) -> Result<(), ConfigError> {
        let blamed = |error: freezer_store::UrlError| ConfigError::Url {
            option: self.option_of(error.parameter()),
            error,
        };
        self.url.check_files().map_err(blamed)
    }

    /// Returns the option, `[group] name`, that sets a parameter of the URL. `None` means another part of the URL.
    pub fn option_of(&self, parameter: Option<&str>) -> &'static str {
        setter(&self.separate, parameter)
    }

    /// Returns a store with these settings. If `create` is set, a missing SQLite file is created.
    pub fn store(&self, create: bool) -> Store {
        let open = if create { Store::new_or_create } else { Store::new };
        open(self.url.clone(), self.connect.clone(), self.pool.clone())
    }
}

/// Returns the name in `name=value`.
fn name(pair: &str) -> String {
    pair.split('=').next().unwrap_or_default().to_owned()
}

/// Returns the option that sets a parameter of the URL. `separate` are those of `connection_parameters`.
fn setter(separate: &[String], parameter: Option<&str>) -> &'static str {
    // An option of the file of read_default_file is shown as "ssl-ca in /etc/my.cnf".
    let named = parameter.map(|name| if name.contains(" in ") { "read_default_file" } else { name });
    match named.is_some_and(|name| separate.iter().any(|other| other == name)) {
        true => "[database] connection_parameters",
        false => "[database] connection",
    }
}

/// Converts seconds. Negative numbers become 0; oslo.db accepts them, too.
fn seconds(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or(0))
}

/// Returns the numbers of idle and of open connections for a pool of SQLAlchemy with this size and overflow.
fn pool_sizes(size: i64, overflow: i64) -> (usize, usize) {
    match count(size) {
        None | Some(0) => (UNLIMITED, UNLIMITED),
        Some(size) => (size, size + count(overflow).unwrap_or(UNLIMITED)),
    }
}

/// Returns a number of connections, or `None` if the option means "no limit".
fn count(number: i64) -> Option<usize> {
    usize::try_from(number).ok().filter(|number| *number <= LARGEST)
}

/// Returns a warning if a number of connections is so large that it is read as "no limit".
pub(super) fn remark(config: &Config) -> Option<Finding> {
    let number = |option: &OptDecl| config.int(option).ok().flatten();
    let (size, overflow) = (number(&POOL_SIZE)?, number(&OVERFLOW)?);
    let means = match (count(size), count(overflow)) {
        (None, _) if size > 0 => format!(
            "[database] max_pool_size = {size}: a number above {LARGEST} is read as no limit (0), which means up to \
             {UNLIMITED} connections, regardless of max_overflow"
        ),
        (Some(1..), None) if overflow > 0 => format!(
            "[database] max_overflow = {overflow}: a number above {LARGEST} is read as no limit (-1), which means \
             {UNLIMITED} connections beyond max_pool_size"
        ),
        _ => return None,
    };
    let message =
        format!("{means}; write the number of connections that the database can give to this process");
    Some(Finding { verdict: Verdict::Warning, kind: "reduced", place: None, message })
}

#[cfg(test)]
mod tests {
    use super::pool_sizes;

    #[test]
    fn a_pool_without_a_configured_limit_has_a_limit() {
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
