//! [`Peer`]: the other end of a connection, and [`PeerGroup`], the connections whose number is limited together.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A client or a proxy with an address.
    Network(SocketAddr),
    /// A program on this machine that has connected to the Unix socket.
    UnixSocket,
}

impl Peer {
    /// Returns the IP address. A Unix socket has none.
    pub(super) fn ip(self) -> Option<IpAddr> {
        match self {
            Peer::Network(address) => Some(address.ip()),
            Peer::UnixSocket => None,
        }
    }

    /// Returns the address. A Unix socket has none, so it counts as the loopback interface of this machine.
    pub(super) fn address(self) -> SocketAddr {
        match self {
            Peer::Network(address) => address,
            Peer::UnixSocket => (Ipv4Addr::LOCALHOST, 0).into(),
        }
    }
}

/// Connections that count as those of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum PeerGroup {
    /// An IPv4 address, or the 64 bits that a provider assigns to a customer.
    Network(IpAddr),
    /// All connections of the Unix socket. They come from a proxy, so they have no limit of their own.
    UnixSocket,
}

impl From<IpAddr> for PeerGroup {
    fn from(address: IpAddr) -> Self {
        PeerGroup::Network(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            address => address,
        })
    }
}

impl From<Peer> for PeerGroup {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Network(address) => address.ip().into(),
            Peer::UnixSocket => PeerGroup::UnixSocket,
        }
    }
}

impl fmt::Display for PeerGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerGroup::Network(address) => address.fmt(f),
            PeerGroup::UnixSocket => f.write_str("the Unix socket"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_peer() {
        let group = |text: &str| PeerGroup::from(text.parse::<IpAddr>().unwrap()).to_string();
        assert_eq!(group("192.0.2.1"), "192.0.2.1");
        assert_eq!(group("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(group("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_ne!(PeerGroup::from(Peer::UnixSocket), PeerGroup::from(Peer::UnixSocket.address().ip()));
    }
}
