//! Time and ids are injected: [`Clock`] and [`Ids`]. With fixed ones a whole response can be a snapshot.
//!
//! Only [`Clock::system`] and [`Ids::system`] use those of the system. `clippy.toml` forbids them elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use freezer_store::Timestamp;
use uuid::Uuid;

/// Returns the present time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// Creates a clock that calls `now` each time.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// Returns the system clock.
    pub fn system() -> Clock {
        Clock::new(|| {
            #[expect(clippy::disallowed_methods, reason = "the only place that reads the system clock")]
            let now = std::time::SystemTime::now();
            let since_1970 = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Timestamp(i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX))
        })
    }

    /// Returns the seconds since 1970.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// The random bits at the end of a UUID.
const RANDOM: u128 = (1 << 62) - 1;
/// The lowest bit in which derived ids differ. The source itself increments bits below it.
const STEP: u32 = 40;

/// Creates ids.
#[derive(Clone)]
pub struct Ids {
    documents: Arc<dyn Fn() -> Uuid + Send + Sync>,
    requests: Arc<dyn Fn() -> Uuid + Send + Sync>,
}

impl Ids {
    /// Creates a source that calls `next` each time.
    pub fn new(next: impl Fn() -> Uuid + Send + Sync + 'static) -> Ids {
        let next = Arc::new(next);
        Ids { documents: next.clone(), requests: next }
    }

    /// Returns the system's source. Ids of documents are ordered by time (UUID version 7, RFC 9562), which is
    /// also the order of their tables, so rows of the same time are stored together. Ids of requests are
    /// random.
    pub fn system() -> Ids {
        #[expect(clippy::disallowed_methods, reason = "the only place that creates ids")]
        Ids { documents: Arc::new(Uuid::now_v7), requests: Arc::new(Uuid::new_v4) }
    }

    /// Returns a source whose ids of documents depend only on the first one, so a repeated request gets the same ids. They have
    /// the time of the first id, and its order: they differ in the random bits of UUID version 7.
    pub fn beginning_with(&self, first: &str) -> Ids {
        let Ok(first) = Uuid::try_parse(first) else { return self.clone() };
        let (fixed, random) = (first.as_u128() & !RANDOM, first.as_u128() & RANDOM);
        let count = AtomicU64::new(0);
        let next = move || {
            let step = u128::from(count.fetch_add(1, Ordering::Relaxed)) << STEP;
            Uuid::from_u128(fixed | (random.wrapping_add(step) & RANDOM))
        };
        Ids { documents: Arc::new(next), requests: self.requests.clone() }
    }

    /// Returns a new id for a document: 32 hexadecimal digits, as in the Python service.
    pub fn document(&self) -> String {
        (self.documents)().simple().to_string()
    }

    /// Returns a new request id: `req-` and a UUID with hyphens, as in oslo.context.
    pub fn request(&self) -> String {
        format!("req-{}", (self.requests)())
    }
}

/// Namespace of the ids of [`client_id_of`]. It was chosen at random and must never change.
const CLIENTS: Uuid = Uuid::from_u128(0x5f1c_3b52_7d1e_4b0e_9b53_0f0a_61c8_a4d7);

/// Returns the row id of a client that sends no uuid. It is the same for the same project and name (for a
/// central client: name and host). Therefore two simultaneous registrations violate the primary key and
/// create only one client, on every database and without locks of rows that do not exist yet.
pub fn client_id_of(project_id: &str, client_id: &str, central_host: Option<Option<&str>>) -> String {
    // \0 cannot occur in the parts, so different triples give different texts.
    let name = match central_host {
        None => format!("project\0{project_id}\0{client_id}"),
        Some(host) => format!("central\0{client_id}\0{}", host.unwrap_or("\0")),
    };
    Uuid::new_v5(&CLIENTS, name.as_bytes()).simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::{Ids, client_id_of};

    #[test]
    fn ids_of_documents_are_ordered_by_time() {
        let ids = Ids::system();
        let made: Vec<String> = (0..1_000).map(|_| ids.document()).collect();
        assert!(made.is_sorted_by(|one, next| one < next), "as texts, which is how tables compare them");
        let digits =
            |id: &String| id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        assert!(made.iter().all(digits), "{made:?}");
    }

    #[test]
    fn derived_ids_depend_only_on_the_first_one() {
        let ids = Ids::system();
        let planned: Vec<String> = (0..100).map(|_| ids.document()).collect();
        let derived = |first: &String| {
            let ids = ids.beginning_with(first);
            (0..300).map(|_| ids.document()).collect::<Vec<_>>()
        };
        let mut all = std::collections::HashSet::new();
        for first in &planned {
            let made = derived(first);
            assert_eq!(made, derived(first));
            assert_eq!(made[0], *first);
            assert!(made.iter().all(|id| id[..16] == first[..16]), "time, version and variant: {made:?}");
            all.extend(made);
        }
        assert_eq!(all.len(), 100 * 300);
        assert_ne!(ids.beginning_with("no uuid").document(), ids.document());
    }

    #[test]
    fn the_id_of_a_client_depends_on_its_unique_properties() {
        let id = client_id_of("p1", "node", None);
        assert_eq!(id.len(), 32);
        assert_eq!(id, client_id_of("p1", "node", None));
        let others = [
            client_id_of("p2", "node", None),
            client_id_of("p1", "node2", None),
            client_id_of("p1", "node", Some(None)),
            client_id_of("p1", "node", Some(Some("h"))),
        ];
        assert!(others.iter().all(|other| *other != id));
        // A central client is the same in every project.
        assert_eq!(client_id_of("p1", "n", Some(Some("h"))), client_id_of("p2", "n", Some(Some("h"))));
    }
}
