//! [`Scans`]: limits the number of concurrent reads that may read every row of a project.
//!
//! A search or a count may read every row of a project. During this time it occupies a connection of the pool, a thread of
//! the database and the matcher. Each of these reads needs a slot. The number of slots is limited for each project and in
//! total, so point reads, polls, reports and the scans of other projects can always get a connection. Requests that do not
//! get a slot wait in a bounded queue.

use std::time::Duration;

use freezer_store::query::Page;
use freezer_store::slots::{NoSlot, ProjectSlots, Slot, SlotUsage};
use freezer_store::{Deadline, Scope, Search};

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
    slots: ProjectSlots,
    wait: Duration,
}

/// Returns whether a read may read every row of a project.
fn is_scan(search: &Search, page: &Page) -> bool {
    !search.is_empty() || page.count || page.limit.saturating_add(page.offset) > SMALL_PAGE
}

impl Scans {
    /// Creates the slots, all of which are free.
    pub fn new(limits: ScanLimits) -> Scans {
        let ScanLimits { per_project, in_all, waiting, wait } = limits;
        Scans { slots: ProjectSlots::new(in_all, per_project, waiting), wait }
    }

    /// Returns the present use of the slots.
    pub fn usage(&self) -> SlotUsage {
        self.slots.usage()
    }

    /// Waits for a slot, at most until the deadline of the request. Returns none if this read does not need a slot.
    ///
    /// # Errors
    /// [`Busy::Project`] if too many searches of the project are waiting, or if none of its slots became free in time;
    /// [`Busy::Searches`] if the searches of other projects occupied all slots until then.
    pub async fn slot(
        &self,
        scope: &Scope,
        search: &Search,
        page: &Page,
        deadline: Deadline,
    ) -> Result<Option<Slot>, Busy> {
        if !is_scan(search, page) {
            return Ok(None);
        }
        let slot = self.slots.take(scope, 1, deadline.within(self.wait)).await;
        slot.map(Some).map_err(|none| match none {
            NoSlot::Project => Busy::Project,
            NoSlot::All => Busy::Searches,
        })
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

    async fn take(scans: &Scans, project: &str) -> Result<Slot, Busy> {
        let slot =
            scans.slot(&Scope::project(project), &Search::default(), &counting(), Deadline::NONE).await;
        slot.map(Option::unwrap)
    }

    #[tokio::test]
    async fn only_reads_that_may_be_long_need_a_slot() {
        let scans = scans(1, 1, 0);
        let _all = take(&scans, "p1").await.unwrap();
        let scope = Scope::project("p1");
        for page in [Page::at(10, 0), Page::at(1_000, 0), Page::at(500, 500)] {
            assert!(scans.slot(&scope, &Search::default(), &page, Deadline::NONE).await.unwrap().is_none());
        }
        for page in [Page::at(1_001, 0), Page::at(10, 100_000), counting()] {
            assert!(scans.slot(&scope, &Search::default(), &page, Deadline::NONE).await.is_err(), "{page:?}");
        }
        let search = Search { texts: vec!["x".to_owned()], ..Search::default() };
        assert!(scans.slot(&scope, &search, &Page::at(1, 0), Deadline::NONE).await.is_err());
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
    }
}
