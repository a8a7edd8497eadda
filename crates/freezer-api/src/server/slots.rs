//! Limits the number of open connections, and selects the connection to close if no slot is free.
//!
//! Every connection has a slot. If all slots are in use, the connections that have waited longest for their
//! client are closed, starting with those of the peer that has most of them. So an idle or slow client cannot
//! block others. If the service is working on all connections, some more are accepted for `/healthcheck`.
//! Their other requests wait for a slot.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use repeated_events::{EventCount, RepeatedEvents};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::connection::HttpConnection;
use super::peer::PeerGroup;
use crate::app::ConnectionLimits;
use crate::error::{Busy, Error};

/// A connection that has waited for its client for less time is not closed.
const LEAST_WAIT: Duration = Duration::from_secs(1);
/// How long a request in the reserve waits for a slot, while at least half of the reserve is free.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause between two attempts to free a slot.
const PAUSE: Duration = Duration::from_millis(100);

/// All open connections.
pub(super) struct Slots {
    limits: ConnectionLimits,
    regular: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    open: Mutex<Open>,
    /// Number of connections so far, which numbers them.
    opened: AtomicU64,
    /// Number of open connections, for the metrics.
    metric: Gauge,
    empty: Notify,
    /// The warnings about missing slots.
    exhausted: RepeatedEvents,
}

#[derive(Default)]
struct Open {
    connections: HashMap<u64, Weak<HttpConnection>>,
    /// Number of connections of each peer, if there is a limit.
    peers: HashMap<PeerGroup, usize>,
}

/// The requests that a slot serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotKind {
    /// Every request.
    Regular,
    /// Health checks. Other requests must wait for a regular slot.
    Reserve,
    /// Health checks only, because the peer has too many connections.
    OverPeerLimit,
}

/// The slot of a connection. It is released when it is dropped.
pub(super) struct ConnectionSlot {
    slots: Arc<Slots>,
    number: u64,
    peer: PeerGroup,
    /// The permit is `None` for a slot during the stop.
    held: Mutex<(SlotKind, Option<OwnedSemaphorePermit>)>,
}

impl Slots {
    pub(super) fn new(limits: ConnectionLimits, metric: Gauge) -> Arc<Slots> {
        Arc::new(Slots {
            regular: Arc::new(Semaphore::new(limits.max.clamp(1, Semaphore::MAX_PERMITS))),
            reserve: Arc::new(Semaphore::new(limits.reserve)),
            limits,
            open: Mutex::default(),
            opened: AtomicU64::new(0),
            metric,
            empty: Notify::new(),
            exhausted: RepeatedEvents::default(),
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a slot. Returns `None` if the connection must be closed at once, because its peer has too
    /// many.
    pub(super) async fn slot(self: &Arc<Self>, peer: impl Into<PeerGroup>) -> Option<ConnectionSlot> {
        let peer = peer.into();
        if self.is_over_limit(peer) {
            // half of the reserve is for connections over the limit of their peer, which are told so
            let room = self.reserve.available_permits() > self.limits.reserve / 2;
            let permit = if room { self.reserve.clone().try_acquire_owned().ok() } else { None };
            return permit.map(|permit| self.new_slot(peer, SlotKind::OverPeerLimit, Some(permit)));
        }
        loop {
            if let Ok(permit) = self.regular.clone().try_acquire_owned() {
                return Some(self.new_slot(peer, SlotKind::Regular, Some(permit)));
            }
            if !self.close_waiting(SlotKind::Regular) {
                if let Ok(permit) = self.reserve.clone().try_acquire_owned() {
                    return Some(self.new_slot(peer, SlotKind::Reserve, Some(permit)));
                }
                self.close_waiting(SlotKind::Reserve);
            }
            // A connection that is being closed releases its slot in a moment.
            if let Ok(Ok(permit)) = timeout(PAUSE, self.regular.clone().acquire_owned()).await {
                return Some(self.new_slot(peer, SlotKind::Regular, Some(permit)));
            }
        }
    }

    /// Waits for a regular slot, and closes connections that wait for their clients.
    async fn regular_permit(&self) -> OwnedSemaphorePermit {
        loop {
            self.close_waiting(SlotKind::Regular);
            if let Ok(Ok(permit)) = timeout(PAUSE, self.regular.clone().acquire_owned()).await {
                return permit;
            }
        }
    }

    /// Returns a slot above all limits, for a connection that was accepted before the stop.
    pub(super) fn extra_slot(self: &Arc<Self>, peer: impl Into<PeerGroup>) -> ConnectionSlot {
        self.new_slot(peer.into(), SlotKind::Regular, None)
    }

    fn new_slot(
        self: &Arc<Self>,
        peer: PeerGroup,
        kind: SlotKind,
        permit: Option<OwnedSemaphorePermit>,
    ) -> ConnectionSlot {
        if self.limits.per_peer.is_some() {
            *self.open().peers.entry(peer).or_default() += 1;
        }
        self.metric.inc();
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        ConnectionSlot { slots: Arc::clone(self), number, peer, held: Mutex::new((kind, permit)) }
    }

    fn is_over_limit(&self, peer: PeerGroup) -> bool {
        let Some(limit) = self.limits.per_peer.filter(|_| peer != PeerGroup::UnixSocket) else {
            return false;
        };
        self.open().peers.get(&peer).is_some_and(|open| *open >= limit)
    }

    /// Adds a connection to those that can be closed and woken.
    pub(super) fn add(&self, connection: &Arc<HttpConnection>) {
        self.open().connections.insert(connection.slot().number, Arc::downgrade(connection));
    }

    fn connections(&self) -> Vec<Arc<HttpConnection>> {
        self.open().connections.values().filter_map(Weak::upgrade).collect()
    }

    /// Closes several connections that wait for their client. Returns false if there are none.
    pub(super) fn make_room(&self) -> bool {
        self.close_waiting(SlotKind::Regular)
    }

    fn close_waiting(&self, kind: SlotKind) -> bool {
        let mut by_peer: HashMap<PeerGroup, Vec<(Duration, Arc<HttpConnection>)>> = HashMap::new();
        for connection in self.connections() {
            let Some(waited) = connection.waited().filter(|waited| *waited >= LEAST_WAIT) else { continue };
            if (connection.slot().kind() == SlotKind::Regular) == (kind == SlotKind::Regular) {
                by_peer.entry(connection.slot().peer).or_default().push((waited, connection));
            }
        }
        let Some((peer, mut waiting)) = by_peer.into_iter().max_by_key(|(_, waiting)| waiting.len()) else {
            return false;
        };
        waiting.sort_by_key(|(waited, _)| std::cmp::Reverse(*waited));
        let count = (self.limits.max / 64).max(1).min(waiting.len());
        self.warn(peer, waiting.len());
        for (_, connection) in waiting.into_iter().take(count) {
            connection.close_now();
        }
        true
    }

    fn warn(&self, peer: PeerGroup, waiting: usize) {
        let reason = format!("{waiting} of them by slow or idle clients at {peer}");
        let is_first = self.exhausted.add(1, &reason, |EventCount { events, last }| {
            tracing::warn!("all connections were in use {events} times in the last minute, at last {last}");
        });
        if is_first {
            tracing::warn!(
                "all {} connections are in use, {reason}; those that have waited longest are closed ([api] max_connections, \
                 max_connections_per_peer)",
                self.limits.max
            );
        }
    }

    /// Makes all connections check the state of the server.
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

impl ConnectionSlot {
    fn held(&self) -> MutexGuard<'_, (SlotKind, Option<OwnedSemaphorePermit>)> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kind(&self) -> SlotKind {
        self.held().0
    }

    /// Waits for a slot for all requests, unless this is one.
    pub(super) async fn for_any_request(&self) -> Result<(), Error> {
        match self.kind() {
            SlotKind::Regular => Ok(()),
            SlotKind::OverPeerLimit => Err(Busy::Peer.into()),
            SlotKind::Reserve => {
                // Health checks must still find free slots in the reserve.
                let has_room = self.slots.reserve.available_permits() >= self.slots.limits.reserve / 2;
                let patience = if has_room { PATIENCE } else { Duration::ZERO };
                let permit = timeout(patience, self.slots.regular_permit()).await;
                *self.held() = (SlotKind::Regular, Some(permit.map_err(|_| Busy::Connections)?));
                Ok(())
            }
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.metric.dec();
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::net::IpAddr;

    use super::*;

    #[tokio::test]
    async fn a_peer_above_its_limit_gets_an_error() {
        let slots = Slots::new(
            ConnectionLimits { max: 10, per_peer: Some(2), ..ConnectionLimits::default() },
            Gauge::default(),
        );
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut taken = Vec::new();
        for (peer, kind) in [(one, SlotKind::Regular), (one, SlotKind::Regular), (other, SlotKind::Regular)] {
            let slot = slots.slot(peer).await.unwrap();
            assert_eq!(slot.kind(), kind);
            taken.push(slot);
        }
        assert_eq!(slots.metric.get(), 3);
        let mut over = Vec::new();
        while let Some(slot) = slots.slot(one).await {
            assert_eq!(slot.kind(), SlotKind::OverPeerLimit);
            over.push(slot);
        }
        assert_eq!(over.len(), ConnectionLimits::default().reserve / 2, "the rest is closed at once");
        drop((over, taken));
        assert_eq!(slots.metric.get(), 0);
        assert_eq!(slots.slot(one).await.unwrap().kind(), SlotKind::Regular);
        assert!(slots.open().peers.is_empty());
    }

    #[tokio::test]
    async fn connections_of_the_unix_socket_have_no_limit_per_peer() {
        let limits = ConnectionLimits { max: 10, per_peer: Some(1), ..ConnectionLimits::default() };
        let slots = Slots::new(limits, Gauge::default());
        let mut taken = Vec::new();
        for _ in 0..10 {
            let slot = slots.slot(PeerGroup::UnixSocket).await.unwrap();
            assert_eq!(slot.kind(), SlotKind::Regular);
            taken.push(slot);
        }
    }

    #[tokio::test]
    async fn the_reserve_serves_health_checks_when_all_slots_are_in_use() {
        let slots = Slots::new(ConnectionLimits { max: 1, ..ConnectionLimits::default() }, Gauge::default());
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let first = slots.slot(peer).await.unwrap();
        let second = slots.slot(peer).await.unwrap();
        assert_eq!((first.kind(), second.kind()), (SlotKind::Regular, SlotKind::Reserve));
        drop(first);
        second.for_any_request().await.unwrap();
        assert_eq!(second.kind(), SlotKind::Regular);
        assert_eq!(slots.reserve.available_permits(), ConnectionLimits::default().reserve);
    }
}
