//! The health check: the settings of `[healthcheck]`, and the result of each check. `api/healthcheck.rs`
//! answers requests.
//!
//! Source: oslo.middleware 8, `healthcheck`. Only files are checked, so an outage of the database or of
//! Keystone does not remove all nodes from the balancer at once.

use std::net::IpAddr;
use std::path::PathBuf;

/// `[healthcheck]`.
#[derive(Debug, Clone)]
pub struct HealthSettings {
    /// Whether answers in JSON and HTML contain details.
    pub detailed: bool,
    /// The checks, in the order of their results.
    pub checks: Vec<HealthCheck>,
    /// Networks whose requests are answered. Empty: all.
    pub allowed: Vec<Network>,
    /// Whether requests that came through a proxy are rejected.
    pub ignore_proxied: bool,
}

impl Default for HealthSettings {
    /// One check that always succeeds, for the text `OK`.
    fn default() -> Self {
        let checks = vec![HealthCheck::DisableByFile(None)];
        HealthSettings { detailed: false, checks, allowed: Vec::new(), ignore_proxied: false }
    }
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    /// `disable_by_file`: unhealthy while the file exists.
    DisableByFile(Option<PathBuf>),
    /// `disable_by_files_ports`: the same for the file of this service's port.
    DisableByFilesPorts(Option<PathBuf>),
    /// `enable_by_files`: healthy while all files exist.
    EnableByFiles(Vec<PathBuf>),
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthResult {
    /// Whether the service is available.
    pub healthy: bool,
    /// The result in capitals.
    pub reason: &'static str,
    /// A sentence about it. It may be empty.
    pub details: String,
}

impl HealthSettings {
    /// Returns settings with one check, for a file that removes the service from the balancer.
    pub fn disabled_by(file: PathBuf) -> HealthSettings {
        HealthSettings { checks: vec![HealthCheck::DisableByFile(Some(file))], ..HealthSettings::default() }
    }

    /// Returns whether [`HealthSettings::allows`] needs the address of the caller.
    pub fn asks_for_peer(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Returns whether requests from this address are answered.
    pub fn allows(&self, peer: Option<IpAddr>) -> bool {
        self.allowed.is_empty()
            || peer.is_some_and(|peer| self.allowed.iter().any(|network| network.contains(peer)))
    }

    /// Runs all checks.
    pub fn run(&self) -> Vec<HealthResult> {
        self.checks.iter().map(HealthCheck::run).collect()
    }
}

impl HealthCheck {
    fn run(&self) -> HealthResult {
        let disabled = |details: String| HealthResult { healthy: false, reason: "DISABLED BY FILE", details };
        let available = |details: String| HealthResult { healthy: true, reason: "OK", details };
        match self {
            HealthCheck::DisableByFile(None) => {
                available("No 'disable_by_file_path' configuration value specified".to_owned())
            }
            HealthCheck::DisableByFile(Some(file)) if file.exists() => {
                disabled(format!("Path '{}' was found", file.display()))
            }
            HealthCheck::DisableByFile(Some(file)) => {
                available(format!("Path '{}' was not found", file.display()))
            }
            HealthCheck::DisableByFilesPorts(Some(file)) if file.exists() => disabled(String::new()),
            HealthCheck::DisableByFilesPorts(_) => available(String::new()),
            HealthCheck::EnableByFiles(files) => match files.iter().find(|file| !file.exists()) {
                Some(missing) => HealthResult {
                    healthy: false,
                    reason: "FILE PATH MISSING",
                    details: format!("File path {} is missing", missing.display()),
                },
                None => available("Specified file paths are available".to_owned()),
            },
        }
    }
}

/// A network such as `10.0.0.0/8`, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Parses a network like Python's `ipaddress.ip_network`: no bits may be set after the prefix.
    ///
    /// # Errors
    /// A description of the problem.
    pub fn parse(text: &str) -> Result<Network, String> {
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| format!("{text} is not a network"))?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(prefix) => {
                prefix_length(address, prefix).filter(|prefix| *prefix <= width).ok_or_else(|| {
                    format!(
                        "{text} is not a network: the prefix must be a number up to {width}, or a netmask"
                    )
                })?
            }
        };
        let network = Network { address, prefix };
        if bits(address) != network.masked(address) {
            return Err(format!("{text} has bits set after its prefix"));
        }
        Ok(network)
    }

    /// Returns whether the network contains an address. A dual-stack socket reports an IPv4 address as an
    /// IPv6 address.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_ipv4() == self.address.is_ipv4() && self.masked(peer) == bits(self.address)
    }

    fn masked(&self, address: IpAddr) -> u128 {
        let width = if address.is_ipv4() { 32 } else { 128 };
        let hidden = width - self.prefix;
        bits(address).checked_shr(hidden).and_then(|kept| kept.checked_shl(hidden)).unwrap_or(0)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Parses the length of a prefix: a number or, for IPv4, a netmask such as `255.255.0.0`.
fn prefix_length(address: IpAddr, text: &str) -> Option<u32> {
    if let Ok(mask) = text.parse::<std::net::Ipv4Addr>() {
        let mask = mask.to_bits();
        return (address.is_ipv4() && mask.leading_ones() == mask.count_ones()).then(|| mask.leading_ones());
    }
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.0.0.0/255.0.0.0", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "203.0.113.1", "::1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{inside} in {network}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{outside} in {network}");
        }
        for wrong in
            ["", "ten", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/x", "10.0.0.0/", "10.0.0.0/+8", "::/129"]
        {
            assert!(Network::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_address_is_rejected_if_networks_are_configured() {
        let mut settings = HealthSettings::default();
        assert!(settings.allows(None));
        settings.allowed.push(Network::parse("127.0.0.0/8").unwrap());
        assert!(!settings.allows(None) && settings.allows(Some("127.0.0.1".parse().unwrap())));
    }
}
