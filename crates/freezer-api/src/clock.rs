//! Time and ids, passed in: [`Clock`] and [`Ids`]. Under fixed ones a whole response is one snapshot.
//!
//! The system's own are used only by [`Clock::system`] and [`Ids::system`]; `clippy.toml` bans them elsewhere.

use std::sync::{Arc, Mutex, PoisonError};

use freezer_store::Timestamp;
use uuid::Uuid;

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now` each time.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// The system's clock.
    pub fn system() -> Clock {
        Clock::new(|| {
            #[expect(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
            let now = std::time::SystemTime::now();
            let since_1970 = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Timestamp(i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX))
        })
    }

    /// Seconds since 1970.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// Makes ids.
#[derive(Clone)]
pub struct Ids {
    documents: Arc<dyn Fn() -> Uuid + Send + Sync>,
    requests: Arc<dyn Fn() -> Uuid + Send + Sync>,
}

impl Ids {
    /// A source that asks `next` each time.
    pub fn new(next: impl Fn() -> Uuid + Send + Sync + 'static) -> Ids {
        let next = Arc::new(next);
        Ids { documents: next.clone(), requests: next }
    }

    /// Ids of documents in the order of time (UUID version 7, RFC 9562), which is the order of their tables: rows are stored
    /// beside those of the same time, not anywhere. Those of requests are random.
    pub fn system() -> Ids {
        #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
        Ids { documents: Arc::new(Uuid::now_v7), requests: Arc::new(Uuid::new_v4) }
    }

    /// The same source, whose first id of a document is this one.
    pub fn beginning_with(&self, first: String) -> Ids {
        let Ids { documents, requests } = self.clone();
        let first = Mutex::new(Uuid::try_parse(&first).ok());
        let next = move || {
            let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
            first.unwrap_or_else(|| documents())
        };
        Ids { documents: Arc::new(next), requests }
    }

    /// A new id for a document: 32 hexadecimal digits, as the Python service makes them.
    pub fn document(&self) -> String {
        (self.documents)().simple().to_string()
    }

    /// A new request id: `req-` and a UUID with hyphens, as oslo.context makes them.
    pub fn request(&self) -> String {
        format!("req-{}", (self.requests)())
    }
}

/// Namespace of the ids that [`client_id_of`] makes; drawn once, never to change.
const CLIENTS: Uuid = Uuid::from_u128(0x5f1c_3b52_7d1e_4b0e_9b53_0f0a_61c8_a4d7);

/// The row id of a client that names no uuid of its own: always the same for the same project and
/// name (a central one: name and host), so that two registrations at once meet in the primary key
/// and make one client, on any database and without a lock that spans rows that do not exist yet.
pub fn client_id_of(project_id: &str, client_id: &str, central_host: Option<Option<&str>>) -> String {
    // \0 cannot occur in the parts that matter, so no two triples give the same text
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
    fn ids_of_documents_are_in_the_order_of_time() {
        let ids = Ids::system();
        let made: Vec<String> = (0..1_000).map(|_| ids.document()).collect();
        assert!(made.is_sorted_by(|one, next| one < next), "as texts, which is how tables compare them");
        let digits =
            |id: &String| id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        assert!(made.iter().all(digits), "{made:?}");
    }

    #[test]
    fn the_id_of_a_client_depends_on_what_makes_it_unique() {
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
        // a central client is the same from every project
        assert_eq!(client_id_of("p1", "n", Some(Some("h"))), client_id_of("p2", "n", Some(Some("h"))));
    }
}
