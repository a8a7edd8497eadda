//! `[DEFAULT]`: the listen addresses, the shutdown, and the authentication strategy. Logging options are in `logging.rs`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ::oslo_config::{Config, OptDecl, Origin};

use super::ConfigError;
use crate::app::StopSettings;

const BIND_HOST: OptDecl =
    OptDecl::host_address("DEFAULT", "bind_host").default("0.0.0.0").help("Address that the API listens on.");
const BIND_PORT: OptDecl = OptDecl::port("DEFAULT", "bind_port")
    .unset_if_empty()
    .default("9090")
    .help("Port that the API listens on.");
const BIND_UNIX_SOCKET: OptDecl = OptDecl::path("DEFAULT", "bind_unix_socket").help(
    "Path of a Unix socket that the API listens on, for a proxy on the same machine. The service trusts the headers of this proxy \
     (enable_proxy_headers_parsing). With this option, the API listens on bind_host and bind_port only if one of them is set.",
);
const BIND_UNIX_SOCKET_MODE: OptDecl = OptDecl::string("DEFAULT", "bind_unix_socket_mode").default("0660").help(
    "Mode of the file of bind_unix_socket, in octal digits. A program needs the right to write to it. The file belongs to the user \
     and the group of the service.",
);
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
    &BIND_UNIX_SOCKET,
    &BIND_UNIX_SOCKET_MODE,
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

/// The addresses to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Whether the service listens on `host` and `port`.
    pub tcp: bool,
    /// The Unix socket.
    pub unix: Option<UnixListen>,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Maximum number of connections that wait to be accepted.
    pub backlog: u32,
    /// Whether other processes may listen on the same address.
    pub reuse_port: bool,
}

/// A Unix socket to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixListen {
    /// The file.
    pub path: PathBuf,
    /// Its mode.
    pub mode: u32,
}

impl UnixListen {
    fn read(config: &Config) -> Result<Option<UnixListen>, ConfigError> {
        let Some(path) = config.string(&BIND_UNIX_SOCKET)?.map(PathBuf::from) else { return Ok(None) };
        let text = BIND_UNIX_SOCKET_MODE.need(config.string(&BIND_UNIX_SOCKET_MODE)?)?;
        let digits = text.strip_prefix("0o").unwrap_or(&text);
        let mode =
            u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777 && !digits.starts_with('+'));
        match mode {
            Some(mode) => Ok(Some(UnixListen { path, mode })),
            None => Err(ConfigError::Unusable {
                option: "[DEFAULT] bind_unix_socket_mode",
                value: text,
                reason: "must be a file mode in octal digits, such as 0660 or 0600".to_owned(),
            }),
        }
    }
}

impl Listen {
    /// Returns an address with the default backlog.
    pub fn on(host: &str, port: u16) -> Listen {
        let host = host.to_owned();
        Listen { tcp: true, unix: None, host, port, backlog: DEFAULT_BACKLOG, reuse_port: false }
    }

    pub(super) fn read(config: &Config) -> Result<Listen, ConfigError> {
        let unix = UnixListen::read(config)?;
        let is_set = |option: &OptDecl| !matches!(config.origin(option), None | Some(Origin::Default));
        Ok(Listen {
            tcp: unix.is_none() || is_set(&BIND_HOST) || is_set(&BIND_PORT),
            unix,
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
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_unix_socket_takes_the_place_of_the_default_address() {
        let listen = |text: &str| {
            let config = Config::from_text("f", &format!("[DEFAULT]\n{text}")).unwrap().declare(OPTIONS);
            Listen::read(&config).map(|listen| (listen.tcp, listen.unix.map(|unix| unix.mode)))
        };
        let socket = "bind_unix_socket = /run/f.sock\n";
        for (text, expected) in [
            (String::new(), (true, None)),
            ("bind_unix_socket =".to_owned(), (true, None)),
            (socket.to_owned(), (false, Some(0o660))),
            (format!("{socket}bind_unix_socket_mode = 0600"), (false, Some(0o600))),
            (format!("{socket}bind_unix_socket_mode = 0o777"), (false, Some(0o777))),
            (format!("{socket}bind_port ="), (false, Some(0o660))),
            (format!("{socket}bind_host = 127.0.0.1"), (true, Some(0o660))),
            (format!("{socket}bind_port = 9090"), (true, Some(0o660))),
        ] {
            assert_eq!(listen(&text).unwrap(), expected, "{text}");
        }
        for mode in ["rw", "0888", "1777", "-1", "+660", "0o", "u=rw"] {
            let error = listen(&format!("{socket}bind_unix_socket_mode = {mode}")).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("[DEFAULT] bind_unix_socket_mode = {mode}: must be")),
                "{error}"
            );
        }
    }

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
