//! Logs failed handshakes: the first one of a kind from an address at once, then their number once per minute.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::server::peer::PeerGroup;

/// Time between two lines about the same kind and address.
const MINUTE: Duration = Duration::from_secs(60);
/// Maximum number of addresses that are counted separately.
const ADDRESSES: usize = 100;

/// The reason for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HandshakeFailure {
    /// The certificate of the client is missing or not accepted.
    Certificate,
    /// The client does not accept the certificate of the service.
    Distrusted,
    /// The client sent something else than TLS.
    PlainHttp,
    /// The handshake did not end in time.
    Slow,
    /// Any other reason.
    Other,
}

type Key = (HandshakeFailure, Option<PeerGroup>);

/// The failures since the last line of their kind and address. Clones share the counts.
#[derive(Clone, Default)]
pub(super) struct RefusedHandshakes(Arc<Mutex<BTreeMap<Key, FailureCount>>>);

#[derive(Default)]
struct FailureCount {
    failures: u64,
    /// The reason for the last one.
    last: String,
}

impl RefusedHandshakes {
    /// Logs a failure.
    pub(super) fn add(&self, kind: HandshakeFailure, peer: PeerGroup, reason: &str) {
        let Some(key) = self.count(kind, peer, reason) else { return };
        tracing::warn!("{reason} (further ones are counted, with one line per minute)");
        tokio::spawn(self.clone().log_further(key));
    }

    /// Logs the number of further failures, until there is none for a minute.
    async fn log_further(self, key: Key) {
        loop {
            tokio::time::sleep(MINUTE).await;
            let Some(FailureCount { failures, last }) = self.take(key) else { return };
            tracing::warn!("further failed handshakes in the last minute: {failures}; the last one: {last}");
        }
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<Key, FailureCount>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a failure. Returns its key if it must be logged at once, because it is the first one.
    fn count(&self, kind: HandshakeFailure, peer: PeerGroup, reason: &str) -> Option<Key> {
        let mut counts = self.counts();
        let own = (kind, Some(peer));
        let key = if counts.contains_key(&own) || counts.len() < ADDRESSES { own } else { (kind, None) };
        if let Some(count) = counts.get_mut(&key) {
            count.failures += 1;
            reason.clone_into(&mut count.last);
            return None;
        }
        counts.insert(key, FailureCount::default());
        Some(key)
    }

    /// Returns the failures since the last call. If there are none, the next one is a first one again.
    fn take(&self, key: Key) -> Option<FailureCount> {
        let mut counts = self.counts();
        let count = counts.get_mut(&key).map(std::mem::take).filter(|count| count.failures > 0);
        if count.is_none() {
            counts.remove(&key);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn each_kind_and_address_is_logged_once_and_then_counted() {
        let refused = RefusedHandshakes::default();
        let peer = |number: u8| PeerGroup::from(IpAddr::from(Ipv4Addr::new(192, 0, 2, number)));
        for (kind, number) in
            [(HandshakeFailure::Slow, 1), (HandshakeFailure::Slow, 2), (HandshakeFailure::Certificate, 1)]
        {
            let key = refused.count(kind, peer(number), "first");
            assert_eq!(key, Some((kind, Some(peer(number)))));
            for _ in 0..3 {
                assert_eq!(refused.count(kind, peer(number), "again"), None);
            }
            let count = key.and_then(|key| refused.take(key)).map(|count| (count.failures, count.last));
            assert_eq!(count, Some((3, "again".to_owned())));
            assert!(key.is_some_and(|key| refused.take(key).is_none()), "a minute without a failure");
            assert!(refused.count(kind, peer(number), "first again").is_some());
        }
    }

    #[test]
    fn the_number_of_addresses_is_limited() {
        let refused = RefusedHandshakes::default();
        let logged = (0..10_000u32).filter(|number| {
            let peer = PeerGroup::from(IpAddr::from(Ipv4Addr::from(0x0a00_0000 + number)));
            refused.count(HandshakeFailure::Other, peer, "x").is_some()
        });
        assert_eq!(logged.count(), ADDRESSES + 1);
        assert_eq!(refused.counts().len(), ADDRESSES + 1);
    }
}
