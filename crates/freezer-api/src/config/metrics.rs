//! `[metrics]`: the listener for Prometheus. Only this service has these options.

use std::time::Duration;

use ::oslo_config::{Config, OptDecl, Origin};

use super::{ConfigError, Listen};

const BIND_HOST: OptDecl = OptDecl::host_address("metrics", "bind_host").default("127.0.0.1").help(
    "Address that the listener of the metrics has. There is no authentication, so it should only be reachable from the \
     monitoring.",
);
const BIND_PORT: OptDecl = OptDecl::port("metrics", "bind_port").unset_if_empty().sample_default("9464").help(
    "Port of GET /metrics, in the format of OpenMetrics for Prometheus. Not set: there is no such listener. Each process \
     on a machine needs its own port. A change takes effect at the next start.",
);
const ROWS_INTERVAL: OptDecl =
    OptDecl::integer("metrics", "rows_interval").unset_if_empty().default("300").min(0).max(86_400).help(
        "Seconds between two measurements of the numbers of rows. Tables of up to 20,000 rows are counted; larger ones are \
         not read, and their statistics are used instead. 0: rows are not measured.",
    );

pub(super) const OPTIONS: &[&OptDecl] = &[&BIND_HOST, &BIND_PORT, &ROWS_INTERVAL];

/// The listener of the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Its address.
    pub listen: Listen,
    /// Time between two measurements of the numbers of rows. `None`: they are not measured.
    pub rows_interval: Option<Duration>,
}

impl MetricsSettings {
    /// Reads the section. Returns `None` without a port. `reuse_port`: as that of the API, because a new process that takes over
    /// from an old one needs both addresses.
    pub(super) fn read(config: &Config, reuse_port: bool) -> Result<Option<MetricsSettings>, ConfigError> {
        let (host, port) = (BIND_HOST.need(config.string(&BIND_HOST)?)?, config.port(&BIND_PORT)?);
        let seconds = u64::try_from(ROWS_INTERVAL.need(config.int(&ROWS_INTERVAL)?)?).unwrap_or(0);
        Ok(port.map(|port| MetricsSettings {
            listen: Listen { reuse_port, ..Listen::on(&host, port) },
            rows_interval: Some(Duration::from_secs(seconds)).filter(|interval| !interval.is_zero()),
        }))
    }
}

/// Returns a warning for each option that has no effect because there is no port.
pub(super) fn remarks(config: &Config) -> Vec<String> {
    let is_set = |option: &&&OptDecl| !matches!(config.origin(option), None | Some(Origin::Default));
    if !matches!(config.port(&BIND_PORT), Ok(None)) {
        return Vec::new();
    }
    let unused = [&BIND_HOST, &ROWS_INTERVAL];
    let unused = unused.iter().filter(is_set);
    unused
        .map(|option| {
            let name = option.name;
            format!(
                "[metrics] {name}: has no effect without [metrics] bind_port, which switches the metrics on"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn section(text: &str) -> (Option<MetricsSettings>, Vec<String>) {
        let config = Config::from_text("test", &format!("[metrics]\n{text}")).unwrap().declare(OPTIONS);
        (MetricsSettings::read(&config, true).unwrap(), remarks(&config))
    }

    #[test]
    fn only_a_port_switches_the_listener_on() {
        for text in ["", "bind_port =", "bind_host = 0.0.0.0", "rows_interval = 5\nbind_host = ::1"] {
            let (settings, remarks) = section(text);
            assert_eq!(settings, None, "{text}");
            assert_eq!(remarks.len(), text.matches("host").count() + text.matches("rows").count(), "{text}");
        }
        let (settings, remarks) = section("bind_port = 9464");
        let settings = settings.unwrap();
        assert_eq!((settings.listen.to_string().as_str(), remarks.len()), ("127.0.0.1:9464", 0));
        assert_eq!(settings.rows_interval, Some(Duration::from_secs(300)));
        assert!(settings.listen.reuse_port);
        let (settings, _) = section("bind_port = 1\nbind_host = ::\nrows_interval = 0");
        let settings = settings.unwrap();
        assert_eq!((settings.listen.to_string().as_str(), settings.rows_interval), ("[::]:1", None));
    }
}
