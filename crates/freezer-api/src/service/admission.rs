//! [`Admission`]: limits the number and the memory of the requests that use the database, or wait for another request with the
//! same `Idempotency-Key`, at the same time.
//!
//! While the database is not available, requests wait for it until their deadlines, and their bodies use memory. A body with many
//! small values uses many times the bytes of its text. A request beyond these limits is refused with an answer that asks the client
//! to retry. A large body waits for room for a moment. It waits before it is parsed, so only its text is in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use freezer_store::slots::{ProjectSlots, Slot};
use freezer_store::{Deadline, Scope};

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

/// Longest time that a large body waits for room.
const PATIENCE: Duration = Duration::from_secs(5);

/// Number of bytes in a slot.
const UNIT: usize = 1 << 10;

/// Counts the requests that use the database.
///
/// Large bodies together may take half of the memory, and those of one project a quarter, so that they do not keep out the small
/// ones of other projects. The texts of those that wait may take an eighth, and those of one project a sixteenth.
pub struct Admission {
    limits: AdmissionLimits,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    large: ProjectSlots,
    waiting: ProjectSlots,
}

/// The size of a body, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodySize {
    /// Length of its text.
    pub text: usize,
    /// Memory that it takes after it was parsed.
    pub memory: usize,
}

/// An admitted request. It counts until this value is dropped.
pub struct AdmittedRequest {
    admission: Arc<Admission>,
    bytes: usize,
    /// Memory for large bodies.
    _slot: Option<Slot>,
}

impl Admission {
    /// Admits requests up to these limits.
    pub fn new(limits: AdmissionLimits) -> Admission {
        let slots = limits.bytes / UNIT;
        let large = ProjectSlots::new(slots / 2, slots / 4, limits.requests);
        let waiting = ProjectSlots::new(slots / 8, slots / 16, 0);
        Admission { limits, requests: AtomicUsize::new(0), bytes: AtomicUsize::new(0), large, waiting }
    }

    /// Returns the number of admitted requests, and the memory of their bodies in bytes.
    pub fn usage(&self) -> (usize, usize) {
        (self.requests.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Admits a request without a body.
    ///
    /// # Errors
    /// [`Busy::Database`] if a limit is exceeded.
    pub fn admit(self: &Arc<Self>) -> Result<AdmittedRequest, Busy> {
        self.count(0, None)
    }

    /// Admits a request of a project with this body. If large bodies have no room, waits for it in the order of arrival, for at
    /// most `PATIENCE` and until the deadline. A large body counts as at most a quarter of the limit, so each has room when
    /// the others have ended.
    ///
    /// # Errors
    /// [`Busy::Database`] if a limit is exceeded, too many large bodies wait, or there was no room in time.
    pub async fn admit_body(
        self: &Arc<Self>,
        scope: &Scope,
        body: BodySize,
        deadline: Deadline,
    ) -> Result<AdmittedRequest, Busy> {
        if body.memory <= SMALL {
            return self.count(body.memory, None);
        }
        let slots = body.memory.div_ceil(UNIT);
        let slot = match self.large.try_take(scope, slots) {
            Some(slot) => slot,
            None => self.wait_for_room(scope, body.text, slots, deadline.within(PATIENCE)).await?,
        };
        self.count(body.memory.min(self.limits.bytes / 4), Some(slot))
    }

    /// Waits for room for a large body. Meanwhile it counts as a request with the memory of its text.
    async fn wait_for_room(
        self: &Arc<Self>,
        scope: &Scope,
        text: usize,
        slots: usize,
        limit: Duration,
    ) -> Result<Slot, Busy> {
        let place = self.waiting.try_take(scope, text.div_ceil(UNIT)).ok_or(Busy::Database)?;
        let _waiting = self.count(text, Some(place))?;
        self.large.take(scope, slots, limit).await.map_err(|_| Busy::Database)
    }

    fn count(self: &Arc<Self>, bytes: usize, slot: Option<Slot>) -> Result<AdmittedRequest, Busy> {
        let limits = self.limits;
        let requests = self.requests.fetch_add(1, Ordering::Relaxed);
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // dropped again if the request is refused
        let admitted = AdmittedRequest { admission: self.clone(), bytes, _slot: slot };
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
    use futures_util::FutureExt;

    use super::*;

    const KIB: usize = 1 << 10;

    /// Admits a request whose body takes this memory, and whose text takes a hundredth of it. `None`: it has to wait, or is
    /// refused.
    fn admit(admission: &Arc<Admission>, scope: &Scope, memory: usize) -> Option<AdmittedRequest> {
        let body = BodySize { text: memory / 100, memory };
        admission.admit_body(scope, body, Deadline::NONE).now_or_never()?.ok()
    }

    fn admission(requests: usize, bytes: usize) -> (Arc<Admission>, [Scope; 3]) {
        let limits = AdmissionLimits { requests, bytes };
        (Arc::new(Admission::new(limits)), ["p1", "p2", "p3"].map(Scope::project))
    }

    #[tokio::test]
    async fn requests_and_bytes_are_limited_and_do_not_count_after_they_end() {
        let (admission, [p1, p2, _]) = admission(3, 100);
        let large = admit(&admission, &p1, 1_000).unwrap();
        assert!(admit(&admission, &p2, 1).is_none());
        drop(large);
        let admitted: Vec<AdmittedRequest> = (0..3).map(|_| admit(&admission, &p1, 30).unwrap()).collect();
        assert!(admit(&admission, &p2, 0).is_none());
        drop(admitted);
        let _first = admit(&admission, &p1, 60).unwrap();
        assert!(admit(&admission, &p1, 60).is_none());
        assert!(admit(&admission, &p2, 40).is_some());
    }

    #[tokio::test]
    async fn large_bodies_leave_room_for_small_ones_and_for_other_projects() {
        let (admission, [p1, p2, p3]) = admission(1_000, 4_000 * KIB);
        let fill = |scope, bytes| -> Vec<AdmittedRequest> {
            std::iter::from_fn(|| admit(&admission, scope, bytes)).collect()
        };
        let first = fill(&p1, 100 * KIB);
        assert_eq!(first.len(), 10);
        // larger than the part of a project, and admitted because it is the only one
        let second = fill(&p2, 9_000 * KIB);
        assert_eq!(second.len(), 1);
        assert!(admit(&admission, &p3, 100 * KIB).is_none(), "half of the memory is in use");
        let small = fill(&p1, 50 * KIB);
        assert_eq!(small.len(), 40);
        assert!(admit(&admission, &p3, 1).is_none());
        drop((first, small));
        assert_eq!(fill(&p3, 100 * KIB).len(), 10);
        drop(second);
        assert_eq!(
            (admission.requests.load(Ordering::Relaxed), admission.bytes.load(Ordering::Relaxed)),
            (0, 0)
        );
    }

    #[tokio::test]
    async fn large_bodies_wait_for_room_in_order() {
        let (admission, [p1, p2, p3]) = admission(1_000, 4_000 * KIB);
        let wait = |scope: &Scope, memory| {
            let (admission, scope) = (admission.clone(), scope.clone());
            let body = BodySize { text: memory / 100, memory };
            Box::pin(async move { admission.admit_body(&scope, body, Deadline::NONE).await.is_ok() })
        };
        let [first, second] = [&p1, &p2].map(|scope| admit(&admission, scope, 1_000 * KIB).unwrap());
        let mut third = wait(&p3, 1_000 * KIB);
        let mut fourth = wait(&p3, 100 * KIB);
        assert!((&mut third).now_or_never().is_none() && (&mut fourth).now_or_never().is_none());
        let waiting = (admission.requests.load(Ordering::Relaxed), admission.bytes.load(Ordering::Relaxed));
        assert_eq!(waiting, (4, 2_011 * KIB), "the texts of the waiting bodies count");
        assert!(admit(&admission, &p1, 50 * KIB).is_some(), "a small body does not wait");
        drop(first);
        assert!((&mut fourth).now_or_never().is_none(), "the third is before it");
        assert!(third.await);
        drop(second);
        assert!(fourth.await);
        assert_eq!(admission.requests.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_wait_for_room_is_bounded_in_time_and_memory() {
        let (admission, [p1, p2, p3]) = admission(10_000, 4_000 * KIB);
        let _held = [&p1, &p2].map(|scope| admit(&admission, scope, 1_000 * KIB).unwrap());
        let body = BodySize { text: 20 * KIB, memory: 100 * KIB };
        for limit in [Duration::MAX, Duration::from_millis(100), Duration::ZERO] {
            let began = std::time::Instant::now();
            let refused = admission.admit_body(&p3, body, Deadline::after(limit)).await;
            assert!(matches!(refused, Err(Busy::Database)));
            let (expected, waited) = (limit.min(PATIENCE), began.elapsed());
            assert!(waited >= expected && waited < expected + Duration::from_secs(2), "{waited:?}");
        }
        let wait = |scope| Box::pin(admission.admit_body(scope, body, Deadline::NONE));
        let mut waiting: Vec<_> = std::iter::repeat_with(|| wait(&p3)).take(14).collect();
        let answers: Vec<_> = waiting.iter_mut().filter_map(|wait| wait.now_or_never()).collect();
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(answers.len(), 2, "250 KiB hold the texts of twelve");
        assert!(wait(&p1).now_or_never().is_none(), "another project may wait");
        drop(waiting);
        assert_eq!(admission.requests.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn ten_thousand_reports_of_runs_fit() {
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
        let all: Vec<_> = (0..limits.requests).map_while(|_| admit(&admission, &p1, memory)).collect();
        assert_eq!(all.len(), limits.requests);
    }
}
