//! [`Admission`]: limits the number and the memory of the requests that use the database at the same time.
//!
//! While the database is not available, requests wait for it until their deadlines, and their bodies use memory. A body with many
//! small values uses many times the bytes of its text. A request beyond these limits is refused immediately, with an answer that
//! asks the client to retry.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use freezer_store::Scope;
use freezer_store::slots::{ProjectSlots, Slot};

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

/// Memory of a body up to which it is small. That of a report of a run is small.
const SMALL: usize = 64 << 10;

/// Number of bytes in a slot.
const UNIT: usize = 1 << 10;

/// Counts the requests that use the database.
///
/// Large bodies together may take half of the memory, and those of one project a quarter, so that they do not keep out the small
/// ones of other projects.
pub struct Admission {
    limits: AdmissionLimits,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    large: ProjectSlots,
}

/// An admitted request. It counts until this value is dropped.
pub struct AdmittedRequest {
    admission: Arc<Admission>,
    bytes: usize,
    _large: Option<Slot>,
}

impl Admission {
    /// Admits requests up to these limits.
    pub fn new(limits: AdmissionLimits) -> Admission {
        let slots = limits.bytes / UNIT;
        let large = ProjectSlots::new(slots / 2, slots / 4, 0);
        Admission { limits, requests: AtomicUsize::new(0), bytes: AtomicUsize::new(0), large }
    }

    /// Admits a request of a project whose body takes this number of bytes of memory. The only large body of a project counts as
    /// at most a quarter of the limit, so it is admitted whatever its size.
    ///
    /// # Errors
    /// [`Busy::Database`] if a limit is exceeded.
    pub fn admit(self: &Arc<Self>, scope: &Scope, bytes: usize) -> Result<AdmittedRequest, Busy> {
        let limits = self.limits;
        let (large, bytes) = if bytes > SMALL {
            let slot = self.large.try_take(scope, bytes.div_ceil(UNIT)).ok_or(Busy::Database)?;
            (Some(slot), bytes.min(limits.bytes / 4))
        } else {
            (None, bytes)
        };
        let requests = self.requests.fetch_add(1, Ordering::Relaxed);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // dropped again if the request is refused
        let admitted = AdmittedRequest { admission: self.clone(), bytes, _large: large };
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

    const KIB: usize = 1 << 10;

    fn admission(requests: usize, bytes: usize) -> (Arc<Admission>, [Scope; 3]) {
        let limits = AdmissionLimits { requests, bytes };
        (Arc::new(Admission::new(limits)), ["p1", "p2", "p3"].map(Scope::project))
    }

    #[test]
    fn requests_and_bytes_are_limited_and_do_not_count_after_they_end() {
        let (admission, [p1, p2, _]) = admission(3, 100);
        let large = admission.admit(&p1, 1_000).unwrap();
        assert!(matches!(admission.admit(&p2, 1), Err(Busy::Database)));
        drop(large);
        let admitted: Vec<AdmittedRequest> = (0..3).map(|_| admission.admit(&p1, 30).unwrap()).collect();
        assert!(matches!(admission.admit(&p2, 0), Err(Busy::Database)));
        drop(admitted);
        let _first = admission.admit(&p1, 60).unwrap();
        assert!(matches!(admission.admit(&p1, 60), Err(Busy::Database)));
        assert!(admission.admit(&p2, 40).is_ok());
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones_and_for_other_projects() {
        let (admission, [p1, p2, p3]) = admission(1_000, 4_000 * KIB);
        let fill = |scope, bytes| -> Vec<AdmittedRequest> {
            std::iter::from_fn(|| admission.admit(scope, bytes).ok()).collect()
        };
        let first = fill(&p1, 100 * KIB);
        assert_eq!(first.len(), 10);
        // larger than the part of a project, and admitted because it is the only one
        let second = fill(&p2, 9_000 * KIB);
        assert_eq!(second.len(), 1);
        assert!(admission.admit(&p3, 100 * KIB).is_err(), "half of the memory is in use");
        let small = fill(&p1, 50 * KIB);
        assert_eq!(small.len(), 40);
        assert!(admission.admit(&p3, 1).is_err());
        drop((first, small));
        assert_eq!(fill(&p3, 100 * KIB).len(), 10);
        drop(second);
        assert_eq!(
            (admission.requests.load(Ordering::Relaxed), admission.bytes.load(Ordering::Relaxed)),
            (0, 0)
        );
    }

    #[test]
    fn ten_thousand_reports_of_runs_fit() {
        let report = r#"{"job_id": "7f1c6a4e5d2b4f0c9a3e8d7b6c5a4f3e", "client_id": "node-0001.example.org", "session_id": "",
            "session_tag": 0, "description": "daily backup of /etc", "job_schedule": {"time_created": 1795300000,
            "time_started": 1795300001, "time_ended": -1, "event": "", "status": "running", "result": "",
            "schedule_interval": "1 days", "schedule_start_date": "2026-11-01T00:00:00", "current_pid": 12345},
            "job_actions": [{"action_id": "0c9a3e8d7b6c5a4f3e7f1c6a4e5d2b4f", "max_retries": 5, "max_retries_interval": 6,
            "mandatory": false, "freezer_action": {"action": "backup", "mode": "fs", "storage": "swift",
            "backup_name": "etc", "container": "/var/backups", "path_to_backup": "/etc", "max_level": 7}}]}"#;
        let memory = freezer_store::tree_memory(report.as_bytes()) * crate::api::extract::TREES;
        assert!(memory <= SMALL, "{memory}");
        let limits = AdmissionLimits::default();
        let (admission, [p1, ..]) = admission(limits.requests, limits.bytes);
        let all: Vec<_> = (0..limits.requests).map_while(|_| admission.admit(&p1, memory).ok()).collect();
        assert_eq!(all.len(), limits.requests);
    }
}
