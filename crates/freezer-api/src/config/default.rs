//! `[DEFAULT]`: where to listen, how callers are known, what is logged.

use std::path::PathBuf;

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;

const BIND_HOST: OptDecl =
    OptDecl::host_address("DEFAULT", "bind_host").default("0.0.0.0").help("Address that the API listens on.");
const BIND_PORT: OptDecl =
    OptDecl::port("DEFAULT", "bind_port").default("9090").help("Port that the API listens on.");
const AUTH_STRATEGY: OptDecl =
    OptDecl::string("DEFAULT", "auth_strategy").default("keystone").choices(&["keystone", "noauth"]).help(
        "How callers are known: by a Keystone token, or not at all (noauth: the identity headers are believed; for \
         tests, on loopback only).",
    );
const DEBUG: OptDecl =
    OptDecl::boolean("DEFAULT", "debug").default("false").help("Log at DEBUG instead of INFO.");
const LOG_FILE: OptDecl = OptDecl::string("DEFAULT", "log_file")
    .help("File to log to; without it, the standard error stream. Relative to log_dir.");
const LOG_DIR: OptDecl = OptDecl::string("DEFAULT", "log_dir").help("Directory of a relative log_file.");

pub(super) const OPTIONS: &[&OptDecl] =
    &[&BIND_HOST, &BIND_PORT, &AUTH_STRATEGY, &DEBUG, &LOG_FILE, &LOG_DIR];

/// Address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Listen {
    pub(super) fn read(config: &Config) -> Result<Listen, ConfigError> {
        Ok(Listen {
            host: BIND_HOST.need(config.string(&BIND_HOST)?)?,
            port: BIND_PORT.need(config.port(&BIND_PORT)?)?,
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

/// What is logged, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSettings {
    /// Log at DEBUG.
    pub debug: bool,
    /// The log file; none: standard error.
    pub file: Option<PathBuf>,
}

impl LogSettings {
    pub(super) fn read(config: &Config) -> Result<LogSettings, ConfigError> {
        let dir = config.string(&LOG_DIR)?.map(PathBuf::from).unwrap_or_default();
        Ok(LogSettings {
            debug: config.bool(&DEBUG)?.unwrap_or(false),
            file: config.string(&LOG_FILE)?.map(|file| dir.join(file)),
        })
    }
}
