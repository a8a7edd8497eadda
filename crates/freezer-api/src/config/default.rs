//! `[DEFAULT]`: the listen address, the shutdown, and the authentication strategy. Logging options are in `logging.rs`.

use std::fmt;
use std::time::Duration;

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;
use crate::app::StopSettings;

const BIND_HOST: OptDecl =
    OptDecl::host_address("DEFAULT", "bind_host").default("0.0.0.0").help("Address that the API listens on.");
const BIND_PORT: OptDecl = OptDecl::port("DEFAULT", "bind_port")
    .unset_if_empty()
    .default("9090")
    .help("Port that the API listens on.");
/// The default of oslo.service, which is also that of `somaxconn` on Linux.
const DEFAULT_BACKLOG: u32 = 4096;
const BACKLOG: OptDecl = OptDecl::integer("DEFAULT", "backlog").unset_if_empty().default("4096").min(1).max(65_535).help(
    "Maximum number of connections that wait to be accepted. The kernel's net.core.somaxconn limits it, too. If many \
     nodes connect at the same time and the queue is full, the other nodes try again seconds later.",
);
const AUTH_STRATEGY: OptDecl =
    OptDecl::string("DEFAULT", "auth_strategy").default("keystone").choices(&["keystone", "noauth"]).help(
        "How callers are authenticated. keystone: by a Keystone token. noauth: not at all; the identity headers are \
         trusted. Use noauth only for tests; it only listens on loopback addresses.",
    );
const REUSE_PORT: OptDecl = OptDecl::boolean("DEFAULT", "reuse_port").unset_if_empty().default("false").help(
    "Lets several processes of one user listen on the same address (SO_REUSEPORT), so that a new one can take over from an \
     old one without a refused connection. Every process must set it.",
);
/// One day.
const LONGEST: i64 = 86_400;
const SHUTDOWN_DELAY: OptDecl =
    OptDecl::integer("DEFAULT", "shutdown_delay").unset_if_empty().default("0").min(0).max(LONGEST).help(
        "Seconds between the signal to stop and the shutdown. In this time, requests are still served, but \
         /healthcheck/ready answers 503, so that a balancer can remove the process. It should be longer than two \
         checks of the balancer.",
    );
/// This option has the name and the default of oslo.service.
const GRACEFUL_SHUTDOWN_TIMEOUT: OptDecl =
    OptDecl::integer("DEFAULT", "graceful_shutdown_timeout").unset_if_empty().default("60").min(0).max(LONGEST).help(
        "Seconds in which requests that were accepted before the shutdown must be answered. Together with \
         shutdown_delay, it should be less than the limit of the service manager (TimeoutStopSec= of systemd: 90; \
         terminationGracePeriodSeconds of Kubernetes: 30). 0: no limit.",
    );
pub(super) const OPTIONS: &[&OptDecl] = &[
    &BIND_HOST,
    &BIND_PORT,
    &BACKLOG,
    &REUSE_PORT,
    &SHUTDOWN_DELAY,
    &GRACEFUL_SHUTDOWN_TIMEOUT,
    &AUTH_STRATEGY,
];

/// Reads the time limits of a shutdown.
pub(super) fn stop_settings(config: &Config) -> Result<StopSettings, ConfigError> {
    let seconds = |option: &OptDecl| {
        let seconds = option.need(config.int(option)?)?;
        Ok::<_, ConfigError>(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
    };
    let timeout = seconds(&GRACEFUL_SHUTDOWN_TIMEOUT)?;
    Ok(StopSettings {
        delay: seconds(&SHUTDOWN_DELAY)?,
        timeout: if timeout.is_zero() { Duration::MAX } else { timeout },
    })
}

/// The address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Maximum number of connections that wait to be accepted.
    pub backlog: u32,
    /// Whether other processes may listen on the same address.
    pub reuse_port: bool,
}

impl Listen {
    /// Returns an address with the default backlog.
    pub fn on(host: &str, port: u16) -> Listen {
        Listen { host: host.to_owned(), port, backlog: DEFAULT_BACKLOG, reuse_port: false }
    }

    pub(super) fn read(config: &Config) -> Result<Listen, ConfigError> {
        Ok(Listen {
            host: BIND_HOST.need(config.string(&BIND_HOST)?)?,
            port: BIND_PORT.need(config.port(&BIND_PORT)?)?,
            backlog: BACKLOG.need(config.int(&BACKLOG)?.and_then(|most| u32::try_from(most).ok()))?,
            reuse_port: REUSE_PORT.need(config.bool(&REUSE_PORT)?)?,
        })
    }
}

/// `host:port`, with an IPv6 address in brackets.
impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listen { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// How callers are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthStrategy {
    /// Keystone validates the caller's token.
    Keystone,
    /// The identity headers are trusted. The server only listens on loopback.
    NoAuth,
}

impl AuthStrategy {
    pub(super) fn read(config: &Config) -> Result<AuthStrategy, ConfigError> {
        let word = AUTH_STRATEGY.need(config.string(&AUTH_STRATEGY)?)?;
        Ok(if word == "noauth" { AuthStrategy::NoAuth } else { AuthStrategy::Keystone })
    }
}

#[cfg(test)]
mod tests {
    use super::Listen;

    #[test]
    fn an_address_of_ipv6_is_shown_in_brackets() {
        for (host, shown) in [
            ("127.0.0.1", "127.0.0.1:9090"),
            ("freezer.example", "freezer.example:9090"),
            ("::1", "[::1]:9090"),
            ("::", "[::]:9090"),
        ] {
            assert_eq!(Listen::on(host, 9090).to_string(), shown);
        }
    }
}
