//! [`Admission`]: limits the number of requests that use the database at the same time, and the total size of their
//! bodies.
//!
//! During an outage of the database, requests wait until their deadlines. This limit bounds their memory: further
//! requests are rejected at once, and their clients should try again later.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Busy;

/// The limits of waiting requests, from `[api]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `max_waiting_requests`
    pub requests: usize,
    /// `max_waiting_bytes`: the total size of their bodies.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { requests: 10_000, bytes: 64 << 20 }
    }
}

/// Counts the requests that use the database.
#[derive(Debug, Default)]
pub struct Admission {
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// The place of one request. It is released when it is dropped.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    bytes: usize,
}

impl Admission {
    /// Takes a place for a request whose body has this number of bytes.
    ///
    /// # Errors
    /// [`Busy::Database`] if this would exceed a limit.
    pub fn enter(self: &Arc<Self>, bytes: usize, limits: Limits) -> Result<Place, Busy> {
        let requests = self.requests.fetch_add(1, Ordering::Relaxed);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // If the request does not fit, this is dropped, which releases the place.
        let place = Place { admission: self.clone(), bytes };
        // A single request is always served, however large it is.
        let fits =
            requests == 0 || (requests < limits.requests && before.saturating_add(bytes) <= limits.bytes);
        if fits { Ok(place) } else { Err(Busy::Database) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.requests.fetch_sub(1, Ordering::Relaxed);
        self.admission.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn requests_and_their_bytes_are_bounded_and_places_come_back() {
        let admission = Arc::new(Admission::default());
        let limits = Limits { requests: 3, bytes: 100 };
        let large = admission.enter(1_000, limits).unwrap();
        assert!(matches!(admission.enter(1, limits), Err(Busy::Database)));
        drop(large);
        let places: Vec<Place> = (0..3).map(|_| admission.enter(30, limits).unwrap()).collect();
        assert!(matches!(admission.enter(0, limits), Err(Busy::Database)));
        drop(places);
        let _first = admission.enter(60, limits).unwrap();
        assert!(matches!(admission.enter(60, limits), Err(Busy::Database)));
        assert!(admission.enter(40, limits).is_ok());
    }
}
