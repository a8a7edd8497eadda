//! [`Scans`]: limits the number of concurrent reads that may read every row of a project.
//!
//! A search or a count may read every row of a project. During this time it occupies a connection of the pool, a thread of
//! the database and the matcher. Each of these reads needs a slot. The number of slots is limited for each project and in
//! total, so point reads, polls, reports and the scans of other projects can always get a connection. Requests that do not
//! get a slot wait in a bounded queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freezer_store::query::Page;
use freezer_store::{Scope, Search};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::Busy;

/// Maximum number of documents that a page without a search may read without a slot. Such a page is read along an index.
const SMALL_PAGE: u64 = 1_000;

/// Numbers of slots, and how long a request may wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// `[api] max_searches_per_project`
    pub per_project: usize,
    /// `[api] max_searches`
    pub in_all: usize,
    /// `[api] max_waiting_searches`: maximum number of waiting requests of a project.
    pub waiting: usize,
    /// `[api] search_wait_timeout`
    pub wait: Duration,
}

impl Default for ScanLimits {
    fn default() -> Self {
        ScanLimits { per_project: 2, in_all: 8, waiting: 1_000, wait: Duration::from_secs(20) }
    }
}

/// The slots of the service.
pub struct Scans {
    limits: ScanLimits,
    all: Arc<Semaphore>,
    projects: Mutex<HashMap<Scope, Project>>,
}

struct Project {
    slots: Arc<Semaphore>,
    /// Requests that have a slot or wait for one.
    requests: usize,
}

/// A slot for one read. It is released when this value is dropped.
pub struct Slot<'a> {
    _permits: [OwnedSemaphorePermit; 2],
    _request: ProjectRequest<'a>,
}

/// Counts one request of a project while it has a slot or waits for one.
struct ProjectRequest<'a> {
    scans: &'a Scans,
    scope: Scope,
}

/// Returns whether a read may read every row of a project.
fn is_scan(search: &Search, page: &Page) -> bool {
    !search.is_empty() || page.count || page.limit.saturating_add(page.offset) > SMALL_PAGE
}

impl Scans {
    /// Creates the slots, all of which are free.
    pub fn new(limits: ScanLimits) -> Scans {
        Scans {
            all: Arc::new(Semaphore::new(limits.in_all.clamp(1, Semaphore::MAX_PERMITS))),
            limits,
            projects: Mutex::default(),
        }
    }

    /// Waits for a slot. Returns none if this read does not need a slot.
    ///
    /// # Errors
    /// [`Busy::Project`] if too many searches of the project are waiting, or if none of its slots became free in time;
    /// [`Busy::Searches`] if the searches of other projects occupied all slots until then.
    pub async fn slot(&self, scope: &Scope, search: &Search, page: &Page) -> Result<Option<Slot<'_>>, Busy> {
        if !is_scan(search, page) {
            return Ok(None);
        }
        let (request, slots) = self.count_request(scope)?;
        let deadline = Instant::now() + self.limits.wait;
        let Ok(Ok(own)) = timeout_at(deadline, slots.acquire_owned()).await else {
            return Err(Busy::Project);
        };
        let Ok(Ok(common)) = timeout_at(deadline, self.all.clone().acquire_owned()).await else {
            return Err(Busy::Searches);
        };
        Ok(Some(Slot { _permits: [own, common], _request: request }))
    }

    fn count_request(&self, scope: &Scope) -> Result<(ProjectRequest<'_>, Arc<Semaphore>), Busy> {
        let per_project = self.limits.per_project.clamp(1, Semaphore::MAX_PERMITS);
        let mut projects = self.projects();
        let project = projects
            .entry(scope.clone())
            .or_insert_with(|| Project { slots: Arc::new(Semaphore::new(per_project)), requests: 0 });
        if project.requests >= per_project.saturating_add(self.limits.waiting) {
            return Err(Busy::Project);
        }
        project.requests += 1;
        Ok((ProjectRequest { scans: self, scope: scope.clone() }, project.slots.clone()))
    }

    fn projects(&self) -> MutexGuard<'_, HashMap<Scope, Project>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ProjectRequest<'_> {
    fn drop(&mut self) {
        let mut projects = self.scans.projects();
        if let Some(project) = projects.get_mut(&self.scope) {
            project.requests -= 1;
            if project.requests == 0 {
                projects.remove(&self.scope);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn scans(per_project: usize, in_all: usize, waiting: usize) -> Scans {
        Scans::new(ScanLimits { per_project, in_all, waiting, wait: Duration::from_millis(50) })
    }

    fn counting() -> Page {
        Page { count: true, ..Page::at(10, 0) }
    }

    async fn take<'a>(scans: &'a Scans, project: &str) -> Result<Slot<'a>, Busy> {
        let slot = scans.slot(&Scope::project(project), &Search::default(), &counting()).await;
        slot.map(Option::unwrap)
    }

    #[tokio::test]
    async fn only_reads_that_may_be_long_need_a_slot() {
        let scans = scans(1, 1, 0);
        let _all = take(&scans, "p1").await.unwrap();
        let scope = Scope::project("p1");
        for page in [Page::at(10, 0), Page::at(1_000, 0), Page::at(500, 500)] {
            assert!(scans.slot(&scope, &Search::default(), &page).await.unwrap().is_none());
        }
        for page in [Page::at(1_001, 0), Page::at(10, 100_000), counting()] {
            assert!(scans.slot(&scope, &Search::default(), &page).await.is_err(), "{page:?}");
        }
        let search = Search { texts: vec!["x".to_owned()], ..Search::default() };
        assert!(scans.slot(&scope, &search, &Page::at(1, 0)).await.is_err());
    }

    #[tokio::test]
    async fn a_project_takes_its_own_slots_and_no_others() {
        let scans = scans(2, 3, 1);
        let held = [take(&scans, "p1").await.unwrap(), take(&scans, "p1").await.unwrap()];
        assert_eq!(take(&scans, "p1").await.err(), Some(Busy::Project), "not in time");
        let other = take(&scans, "p2").await.unwrap();
        assert_eq!(take(&scans, "p2").await.err(), Some(Busy::Searches), "none is left in all");
        drop(held);
        let more = take(&scans, "p2").await.unwrap();
        drop((other, more));
        assert!(scans.projects().is_empty(), "nothing is kept of a project without requests");
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_served_in_order() {
        let scans = scans(1, 1, 1);
        let first = take(&scans, "p1").await.unwrap();
        let mut second = std::pin::pin!(take(&scans, "p1"));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert_eq!(take(&scans, "p1").await.err(), Some(Busy::Project), "the queue is full");
        drop(first);
        assert!(second.await.is_ok());
    }
}
