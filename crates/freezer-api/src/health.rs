//! The health check: what `[healthcheck]` asks for, and the result of each check. No HTTP: `api/healthcheck.rs` answers.
//!
//! Source: oslo.middleware 8, `healthcheck`. Only files are checked, so an outage of the database or of Keystone does not
//! take every node out of the balancer at once.

use std::net::IpAddr;
use std::path::PathBuf;

/// `[healthcheck]`.
#[derive(Debug, Clone)]
pub struct HealthSettings {
    /// Answers in JSON and HTML tell details.
    pub detailed: bool,
    /// The checks, in the order of their results.
    pub checks: Vec<Check>,
    /// Networks whose requests are answered; empty: all.
    pub allowed: Vec<Network>,
    /// Requests that came through a proxy are not answered.
    pub ignore_proxied: bool,
}

impl Default for HealthSettings {
    /// One check that always succeeds, for the text `OK`.
    fn default() -> Self {
        let checks = vec![Check::DisableByFile(None)];
        HealthSettings { detailed: false, checks, allowed: Vec::new(), ignore_proxied: false }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// `disable_by_file`: unhealthy while the file exists.
    DisableByFile(Option<PathBuf>),
    /// `disable_by_files_ports`: the same for the file that belongs to the port of this service.
    DisableByFilesPorts(Option<PathBuf>),
    /// `enable_by_files`: healthy while all files exist.
    EnableByFiles(Vec<PathBuf>),
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the service is available.
    pub healthy: bool,
    /// The result in capitals.
    pub reason: &'static str,
    /// A sentence about it; may be empty.
    pub details: String,
}

impl HealthSettings {
    /// One check, for a file that takes the service out of the balancer.
    pub fn disabled_by(file: PathBuf) -> HealthSettings {
        HealthSettings { checks: vec![Check::DisableByFile(Some(file))], ..HealthSettings::default() }
    }

    /// Whether [`HealthSettings::allows`] needs the address of the caller.
    pub fn asks_for_peer(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Whether a caller at this address is answered.
    pub fn allows(&self, peer: Option<IpAddr>) -> bool {
        self.allowed.is_empty()
            || peer.is_some_and(|peer| self.allowed.iter().any(|network| network.contains(peer)))
    }

    /// Runs every check.
    pub fn run(&self) -> Vec<Outcome> {
        self.checks.iter().map(Check::run).collect()
    }
}

impl Check {
    fn run(&self) -> Outcome {
        let disabled = |details: String| Outcome { healthy: false, reason: "DISABLED BY FILE", details };
        let available = |details: String| Outcome { healthy: true, reason: "OK", details };
        match self {
            Check::DisableByFile(None) => {
                available("No 'disable_by_file_path' configuration value specified".to_owned())
            }
            Check::DisableByFile(Some(file)) if file.exists() => {
                disabled(format!("Path '{}' was found", file.display()))
            }
            Check::DisableByFile(Some(file)) => available(format!("Path '{}' was not found", file.display())),
            Check::DisableByFilesPorts(Some(file)) if file.exists() => disabled(String::new()),
            Check::DisableByFilesPorts(_) => available(String::new()),
            Check::EnableByFiles(files) => match files.iter().find(|file| !file.exists()) {
                Some(missing) => Outcome {
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
    /// Reads a network as Python's `ipaddress.ip_network` does: no bits may be set behind the prefix.
    ///
    /// # Errors
    /// A text that says what is wrong.
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
            return Err(format!("{text} has bits set behind its prefix"));
        }
        Ok(network)
    }

    /// Whether an address lies in the network. An IPv4 address may be written as an IPv6 one, as by a dual-stack socket.
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

/// The length of a prefix: a number or, for IPv4, a netmask such as `255.255.0.0`.
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
    fn networks_hold_their_addresses() {
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
    fn nobody_is_let_in_without_an_address_where_networks_are_named() {
        let mut settings = HealthSettings::default();
        assert!(settings.allows(None));
        settings.allowed.push(Network::parse("127.0.0.0/8").unwrap());
        assert!(!settings.allows(None) && settings.allows(Some("127.0.0.1".parse().unwrap())));
    }
}
