//! How many connections are open, and which one is closed if there is no place for another.
//!
//! Every connection has a place. If all places are taken, the connections that have waited for their client for longest are
//! closed, beginning with those of the peer that has most of them: an idle or slow client cannot keep others out. If all
//! connections are at work, a few more are accepted for `/healthcheck`; their other requests wait for a place.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use crate::app::ConnectionLimits;
use crate::error::{Busy, Error};

/// Places beyond the limit, for health checks.
pub(super) const RESERVE: usize = 64;
/// Of these, places for connections over the limit of their peer, which are told so.
const RESERVE_FOR_REFUSALS: usize = 32;
/// A connection that has waited for its client for less is not closed.
const LEAST_WAIT: Duration = Duration::from_secs(1);
/// Time for a request in the reserve to get a place, while at least half of the reserve is free.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two attempts to make a place.
const PAUSE: Duration = Duration::from_millis(100);
/// Least time between two warnings that places run out.
const WARNING_PAUSE: Duration = Duration::from_secs(30);

/// All open connections.
pub(super) struct Slots {
    limits: ConnectionLimits,
    regular: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    open: Mutex<Open>,
    /// Counts up connections, for their numbers.
    opened: AtomicU64,
    empty: Notify,
}

#[derive(Default)]
struct Open {
    connections: HashMap<u64, Weak<Connection>>,
    /// Connections of each peer, if there is a limit.
    peers: HashMap<IpAddr, usize>,
    warned: Option<Instant>,
}

/// Which requests a place serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every request.
    Regular,
    /// Health checks; other requests need a regular place first.
    Reserve,
    /// Health checks: the peer has too many connections.
    OverPeerLimit,
}

/// A connection's place; given back when it is dropped.
pub(super) struct Place {
    slots: Arc<Slots>,
    number: u64,
    peer: IpAddr,
    /// None: a place for the time of the stop.
    held: Mutex<(Kind, Option<OwnedSemaphorePermit>)>,
}

impl Slots {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Slots> {
        Arc::new(Slots {
            regular: Arc::new(Semaphore::new(limits.most.clamp(1, Semaphore::MAX_PERMITS))),
            reserve: Arc::new(Semaphore::new(RESERVE)),
            limits,
            open: Mutex::default(),
            opened: AtomicU64::new(0),
            empty: Notify::new(),
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection, as soon as there is one. None: the connection is to be closed at once, because its peer
    /// has too many.
    pub(super) async fn place(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = network(peer);
        if self.is_over_limit(peer) {
            let room = self.reserve.available_permits() > RESERVE - RESERVE_FOR_REFUSALS;
            let permit = if room { self.reserve.clone().try_acquire_owned().ok() } else { None };
            return permit.map(|permit| self.new_place(peer, Kind::OverPeerLimit, Some(permit)));
        }
        loop {
            if let Ok(permit) = self.regular.clone().try_acquire_owned() {
                return Some(self.new_place(peer, Kind::Regular, Some(permit)));
            }
            if !self.close_waiting(Kind::Regular) {
                if let Ok(permit) = self.reserve.clone().try_acquire_owned() {
                    return Some(self.new_place(peer, Kind::Reserve, Some(permit)));
                }
                self.close_waiting(Kind::Reserve);
            }
            // a connection that was told to close gives its place back in a moment
            if let Ok(Ok(permit)) = timeout(PAUSE, self.regular.clone().acquire_owned()).await {
                return Some(self.new_place(peer, Kind::Regular, Some(permit)));
            }
        }
    }

    /// Waits for a regular place, and closes connections for it that wait for their clients.
    async fn regular_permit(&self) -> OwnedSemaphorePermit {
        loop {
            self.close_waiting(Kind::Regular);
            if let Ok(Ok(permit)) = timeout(PAUSE, self.regular.clone().acquire_owned()).await {
                return permit;
            }
        }
    }

    /// A place beyond all limits, for a connection that was accepted before the stop.
    pub(super) fn extra_place(self: &Arc<Self>, peer: IpAddr) -> Place {
        self.new_place(network(peer), Kind::Regular, None)
    }

    fn new_place(self: &Arc<Self>, peer: IpAddr, kind: Kind, permit: Option<OwnedSemaphorePermit>) -> Place {
        if self.limits.per_peer.is_some() {
            *self.open().peers.entry(peer).or_default() += 1;
        }
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        Place { slots: Arc::clone(self), number, peer, held: Mutex::new((kind, permit)) }
    }

    fn is_over_limit(&self, peer: IpAddr) -> bool {
        let Some(limit) = self.limits.per_peer else { return false };
        self.open().peers.get(&peer).is_some_and(|open| *open >= limit)
    }

    /// Adds a connection to those that can be closed and woken.
    pub(super) fn add(&self, connection: &Arc<Connection>) {
        self.open().connections.insert(connection.place().number, Arc::downgrade(connection));
    }

    fn connections(&self) -> Vec<Arc<Connection>> {
        self.open().connections.values().filter_map(Weak::upgrade).collect()
    }

    /// Closes connections that wait for their client, if there are any: as many as are worth a look at all of them.
    pub(super) fn make_room(&self) -> bool {
        self.close_waiting(Kind::Regular)
    }

    fn close_waiting(&self, kind: Kind) -> bool {
        let mut by_peer: HashMap<IpAddr, Vec<(Duration, Arc<Connection>)>> = HashMap::new();
        for connection in self.connections() {
            let Some(waited) = connection.waited().filter(|waited| *waited >= LEAST_WAIT) else { continue };
            if (connection.place().kind() == Kind::Regular) == (kind == Kind::Regular) {
                by_peer.entry(connection.place().peer).or_default().push((waited, connection));
            }
        }
        let Some((peer, mut waiting)) = by_peer.into_iter().max_by_key(|(_, waiting)| waiting.len()) else {
            return false;
        };
        waiting.sort_by_key(|(waited, _)| std::cmp::Reverse(*waited));
        let count = (self.limits.most / 64).max(1).min(waiting.len());
        self.warn(peer, waiting.len());
        for (_, connection) in waiting.into_iter().take(count) {
            connection.close_now();
        }
        true
    }

    fn warn(&self, peer: IpAddr, waiting: usize) {
        let mut open = self.open();
        if open.warned.is_none_or(|warned| warned.elapsed() >= WARNING_PAUSE) {
            open.warned = Some(Instant::now());
            drop(open);
            tracing::warn!(
                "all {} connections are in use, {waiting} of them by slow or idle clients at {peer}; those that have \
                 waited longest are closed ([api] max_connections, max_connections_per_peer)",
                self.limits.most
            );
        }
    }

    /// Has every connection look at the state of the server.
    pub(super) fn wake_all(&self) {
        for connection in self.connections() {
            connection.wake();
        }
    }

    /// Waits until no connection is open.
    pub(super) async fn wait_until_empty(&self) {
        while !self.open().connections.is_empty() {
            self.empty.notified().await;
        }
    }

    pub(super) fn count(&self) -> usize {
        self.open().connections.len()
    }
}

impl Place {
    fn held(&self) -> MutexGuard<'_, (Kind, Option<OwnedSemaphorePermit>)> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kind(&self) -> Kind {
        self.held().0
    }

    /// Waits for a place that is good for every request, if this one is not.
    pub(super) async fn for_any_request(&self) -> Result<(), Error> {
        match self.kind() {
            Kind::Regular => Ok(()),
            Kind::OverPeerLimit => Err(Busy::Peer.into()),
            Kind::Reserve => {
                // health checks must still find room in the reserve
                let has_room = self.slots.reserve.available_permits() >= RESERVE / 2;
                let patience = if has_room { PATIENCE } else { Duration::ZERO };
                let permit = timeout(patience, self.slots.regular_permit()).await;
                *self.held() = (Kind::Regular, Some(permit.map_err(|_| Busy::Connections)?));
                Ok(())
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.slots.open();
        open.connections.remove(&self.number);
        if self.slots.limits.per_peer.is_some()
            && let Some(count) = open.peers.get_mut(&self.peer)
        {
            *count -= 1;
            if *count == 0 {
                open.peers.remove(&self.peer);
            }
        }
        if open.connections.is_empty() {
            self.slots.empty.notify_one();
        }
    }
}

/// The network whose addresses count as one peer: an IPv4 address, or the 64 bits that a provider gives to one customer.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_peer() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[tokio::test]
    async fn a_peer_has_as_many_places_as_its_limit_and_is_told_when_it_has_more() {
        let slots =
            Slots::new(ConnectionLimits { most: 10, per_peer: Some(2), ..ConnectionLimits::default() });
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut places = Vec::new();
        for (peer, kind) in [(one, Kind::Regular), (one, Kind::Regular), (other, Kind::Regular)] {
            let place = slots.place(peer).await.unwrap();
            assert_eq!(place.kind(), kind);
            places.push(place);
        }
        let mut over = Vec::new();
        while let Some(place) = slots.place(one).await {
            assert_eq!(place.kind(), Kind::OverPeerLimit);
            over.push(place);
        }
        assert_eq!(over.len(), RESERVE_FOR_REFUSALS, "the rest is closed at once");
        drop((over, places));
        assert_eq!(slots.place(one).await.unwrap().kind(), Kind::Regular);
        assert!(slots.open().peers.is_empty());
    }

    #[tokio::test]
    async fn the_reserve_serves_when_all_places_are_at_work() {
        let slots = Slots::new(ConnectionLimits { most: 1, ..ConnectionLimits::default() });
        let peer = "192.0.2.1".parse().unwrap();
        let first = slots.place(peer).await.unwrap();
        let second = slots.place(peer).await.unwrap();
        assert_eq!((first.kind(), second.kind()), (Kind::Regular, Kind::Reserve));
        drop(first);
        second.for_any_request().await.unwrap();
        assert_eq!(second.kind(), Kind::Regular);
        assert_eq!(slots.reserve.available_permits(), RESERVE);
    }
}
