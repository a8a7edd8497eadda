//! `[DEFAULT]`: where to listen and how callers are known. What is logged is `logging.rs`.

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;

const BIND_HOST: OptDecl =
    OptDecl::host_address("DEFAULT", "bind_host").default("0.0.0.0").help("Address that the API listens on.");
const BIND_PORT: OptDecl = OptDecl::port("DEFAULT", "bind_port")
    .unset_if_empty()
    .default("9090")
    .help("Port that the API listens on.");
/// oslo.service's default, and somaxconn's on Linux.
const DEFAULT_BACKLOG: u32 = 4096;
const BACKLOG: OptDecl = OptDecl::integer("DEFAULT", "backlog").unset_if_empty().default("4096").min(1).max(65_535).help(
    "Connections that may wait to be accepted; the kernel's net.core.somaxconn limits it further. Nodes that start \
     together all call at once, and one that finds the queue full tries again seconds later.",
);
const AUTH_STRATEGY: OptDecl =
    OptDecl::string("DEFAULT", "auth_strategy").default("keystone").choices(&["keystone", "noauth"]).help(
        "How callers are known: by a Keystone token, or not at all (noauth: the identity headers are believed; for \
         tests, on loopback only).",
    );
pub(super) const OPTIONS: &[&OptDecl] = &[&BIND_HOST, &BIND_PORT, &BACKLOG, &AUTH_STRATEGY];

/// Address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
}

impl Listen {
    /// An address with the default backlog.
    pub fn on(host: &str, port: u16) -> Listen {
        Listen { host: host.to_owned(), port, backlog: DEFAULT_BACKLOG }
    }

    pub(super) fn read(config: &Config) -> Result<Listen, ConfigError> {
        Ok(Listen {
            host: BIND_HOST.need(config.string(&BIND_HOST)?)?,
            port: BIND_PORT.need(config.port(&BIND_PORT)?)?,
            backlog: BACKLOG.need(config.int(&BACKLOG)?.and_then(|most| u32::try_from(most).ok()))?,
        })
    }
}

/// How callers are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthStrategy {
    /// By a token that Keystone vouches for.
    Keystone,
    /// By the identity headers, on loopback only.
    NoAuth,
}

impl AuthStrategy {
    pub(super) fn read(config: &Config) -> Result<AuthStrategy, ConfigError> {
        let word = AUTH_STRATEGY.need(config.string(&AUTH_STRATEGY)?)?;
        Ok(if word == "noauth" { AuthStrategy::NoAuth } else { AuthStrategy::Keystone })
    }
}
