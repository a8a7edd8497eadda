//! [`Admission`]: limits the number and the memory of the requests that use the database at the same time.
//!
//! While the database is not available, requests wait for it until their deadlines, and their bodies use memory, many times the bytes of their text if they
//! have many small values. A request
//! beyond these limits is refused immediately, with an answer that asks the client to retry.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Busy;

/// The limits of `[api]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// `max_waiting_requests`: maximum number of requests.
    pub requests: usize,
    /// `max_waiting_bytes`: maximum memory of their bodies, in bytes. Ten thousand reports of runs take about as much.
    pub bytes: usize,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        AdmissionLimits { requests: 10_000, bytes: 384 << 20 }
    }
}

/// Counts the requests that use the database.
#[derive(Debug, Default)]
pub struct Admission {
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// An admitted request. It counts until this value is dropped.
#[derive(Debug)]
pub struct AdmittedRequest {
    admission: Arc<Admission>,
    bytes: usize,
}

impl Admission {
    /// Admits a request whose body takes this number of bytes of memory.
    ///
    /// # Errors
    /// [`Busy::Database`] if a limit is exceeded.
    pub fn admit(self: &Arc<Self>, bytes: usize, limits: AdmissionLimits) -> Result<AdmittedRequest, Busy> {
        let requests = self.requests.fetch_add(1, Ordering::Relaxed);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // dropped again if the request is refused
        let admitted = AdmittedRequest { admission: self.clone(), bytes };
        // a lone request is always admitted, even if it is larger than the limit
        let is_within =
            requests == 0 || (requests < limits.requests && before.saturating_add(bytes) <= limits.bytes);
        if is_within { Ok(admitted) } else { Err(Busy::Database) }
    }
}

impl Drop for AdmittedRequest {
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
    fn requests_and_bytes_are_limited_and_do_not_count_after_they_end() {
        let admission = Arc::new(Admission::default());
        let limits = AdmissionLimits { requests: 3, bytes: 100 };
        let large = admission.admit(1_000, limits).unwrap();
        assert!(matches!(admission.admit(1, limits), Err(Busy::Database)));
        drop(large);
        let admitted: Vec<AdmittedRequest> = (0..3).map(|_| admission.admit(30, limits).unwrap()).collect();
        assert!(matches!(admission.admit(0, limits), Err(Busy::Database)));
        drop(admitted);
        let _first = admission.admit(60, limits).unwrap();
        assert!(matches!(admission.admit(60, limits), Err(Busy::Database)));
        assert!(admission.admit(40, limits).is_ok());
    }
}
