//! [`ProjectSlots`]: slots that all projects share. Each project can hold only a part of them.
//!
//! Requests without a slot wait in the order of their arrival: first for the part of their project, then for the
//! slots of all. A project therefore has at most its part in the common queue, however many of its requests
//! wait. A slot can be a connection that writes, a search, or a number of bytes.
//!
//! The key can also be a row instead of a project: then a slot is the turn to change this row.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::scope::Scope;

/// The reason why a request got no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSlot {
    /// The project holds its part, or too many of its requests wait.
    Project,
    /// Other projects hold the rest.
    All,
}

/// The key of those that share a part of the slots.
pub trait SlotKey: Clone + Eq + Hash {}

impl<K: Clone + Eq + Hash> SlotKey for K {}

/// The slots. Clones share them.
#[derive(Clone)]
pub struct ProjectSlots<K: SlotKey = Scope>(Arc<SlotCounts<K>>);

struct SlotCounts<K> {
    in_all: Arc<Semaphore>,
    limit: usize,
    per_project: usize,
    /// Requests of a project that may wait.
    waiting: usize,
    projects: Mutex<HashMap<K, Project>>,
    waiters: WaitCount,
}

/// Number of requests that wait for something.
#[derive(Default)]
pub(crate) struct WaitCount(AtomicUsize);

/// A request that waits until this is dropped.
pub(crate) struct Waiting<'c>(&'c AtomicUsize);

impl WaitCount {
    /// Counts a request that waits from now on.
    pub(crate) fn enter(&self) -> Waiting<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.0)
    }

    /// Returns the number of requests that wait now.
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The use of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotUsage {
    /// Slots that are taken.
    pub taken: usize,
    /// Requests that wait for slots.
    pub waiting: usize,
    /// All slots.
    pub limit: usize,
}

struct Project {
    slots: Arc<Semaphore>,
    /// Requests that hold slots or wait for them.
    requests: usize,
}

/// Slots of one request, given back when they are dropped.
pub struct Slot<K: SlotKey = Scope> {
    // dropped before the place, so that a project without requests has all of its slots
    own: OwnedSemaphorePermit,
    common: OwnedSemaphorePermit,
    _place: Place<K>,
}

/// A request among those of its project.
struct Place<K: SlotKey> {
    shared: Arc<SlotCounts<K>>,
    key: K,
}

impl<K: SlotKey> ProjectSlots<K> {
    /// Creates free slots: at least one in all and for each project.
    pub fn new(in_all: usize, per_project: usize, waiting: usize) -> ProjectSlots<K> {
        let in_all = in_all.clamp(1, Semaphore::MAX_PERMITS);
        ProjectSlots(Arc::new(SlotCounts {
            in_all: Arc::new(Semaphore::new(in_all)),
            limit: in_all,
            per_project: per_project.clamp(1, in_all),
            waiting,
            projects: Mutex::default(),
            waiters: WaitCount::default(),
        }))
    }

    /// Returns the present use.
    pub fn usage(&self) -> SlotUsage {
        let SlotCounts { in_all, limit, waiters, .. } = &*self.0;
        let taken = limit.saturating_sub(in_all.available_permits());
        SlotUsage { taken, waiting: waiters.get(), limit: *limit }
    }

    /// Takes slots if they are free and no request waits for them. Takes the whole part of the project instead
    /// of more than that.
    pub fn try_take(&self, key: &K, slots: usize) -> Option<Slot<K>> {
        let slots = self.at_most(slots);
        let (place, project) = self.enter(key)?;
        let own = project.try_acquire_many_owned(slots).ok()?;
        let common = self.0.in_all.clone().try_acquire_many_owned(slots).ok()?;
        Some(Slot { own, common, _place: place })
    }

    /// Waits for slots. Takes the whole part of the project instead of more than that.
    pub async fn take(&self, key: &K, slots: usize, wait: Duration) -> Result<Slot<K>, NoSlot> {
        let slots = self.at_most(slots);
        let (place, project) = self.enter(key).ok_or(NoSlot::Project)?;
        let until = Instant::now() + wait;
        let _waiting = self.0.waiters.enter();
        let Ok(Ok(own)) = timeout_at(until, project.acquire_many_owned(slots)).await else {
            return Err(NoSlot::Project);
        };
        let Ok(Ok(common)) = timeout_at(until, self.0.in_all.clone().acquire_many_owned(slots)).await else {
            return Err(NoSlot::All);
        };
        Ok(Slot { own, common, _place: place })
    }

    fn at_most(&self, slots: usize) -> u32 {
        u32::try_from(slots.min(self.0.per_project)).unwrap_or(u32::MAX)
    }

    /// Returns `None` if too many requests of the project wait.
    fn enter(&self, key: &K) -> Option<(Place<K>, Arc<Semaphore>)> {
        let shared = &self.0;
        let mut projects = shared.projects();
        let project = projects
            .entry(key.clone())
            .or_insert_with(|| Project { slots: Arc::new(Semaphore::new(shared.per_project)), requests: 0 });
        if project.requests >= shared.per_project.saturating_add(shared.waiting) {
            return None;
        }
        project.requests += 1;
        Some((Place { shared: shared.clone(), key: key.clone() }, project.slots.clone()))
    }
}

impl<K: SlotKey> SlotCounts<K> {
    fn projects(&self) -> MutexGuard<'_, HashMap<K, Project>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: SlotKey> Slot<K> {
    /// Gives back all slots but this number.
    pub fn shrink(&mut self, slots: usize) {
        for permit in [&mut self.own, &mut self.common] {
            let more = permit.num_permits().saturating_sub(slots);
            drop(permit.split(more));
        }
    }
}

impl<K: SlotKey> Drop for Place<K> {
    fn drop(&mut self) {
        let mut projects = self.shared.projects();
        if let Some(project) = projects.get_mut(&self.key) {
            project.requests -= 1;
            if project.requests == 0 {
                projects.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_project_takes_its_own_part_and_no_more() {
        let slots = ProjectSlots::new(3, 2, 1);
        let [p1, p2] = ["p1", "p2"].map(Scope::project);
        let held = [slots.take(&p1, 1, SHORT).await.unwrap(), slots.take(&p1, 1, SHORT).await.unwrap()];
        assert_eq!(slots.take(&p1, 1, SHORT).await.err(), Some(NoSlot::Project), "not in time");
        assert!(slots.try_take(&p1, 1).is_none());
        let other = slots.take(&p2, 1, SHORT).await.unwrap();
        assert_eq!(slots.take(&p2, 1, SHORT).await.err(), Some(NoSlot::All), "none is left in all");
        drop(held);
        drop((other, slots.take(&p2, 1, SHORT).await.unwrap()));
        assert!(slots.0.projects().is_empty(), "nothing is kept of a project without requests");
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_served_in_order() {
        let slots = ProjectSlots::new(1, 1, 1);
        let p1 = Scope::project("p1");
        let first = slots.try_take(&p1, 1).unwrap();
        let wait = Duration::from_secs(60);
        let mut second = std::pin::pin!(slots.take(&p1, 1, wait));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert_eq!(slots.usage(), SlotUsage { taken: 1, waiting: 1, limit: 1 });
        assert_eq!(slots.take(&p1, 1, wait).await.err(), Some(NoSlot::Project), "the queue is full");
        drop(first);
        assert!(slots.try_take(&p1, 1).is_none(), "the second is before this one");
        let second = second.await;
        assert_eq!(slots.usage(), SlotUsage { taken: 1, waiting: 0, limit: 1 });
        drop(second);
        assert_eq!(slots.usage(), SlotUsage { taken: 0, waiting: 0, limit: 1 });
    }

    #[tokio::test]
    async fn many_slots_are_taken_and_given_back_in_part() {
        let slots = ProjectSlots::new(10, 6, 10);
        let [p1, p2] = ["p1", "p2"].map(Scope::project);
        let mut all = slots.take(&p1, 1_000, SHORT).await.unwrap();
        assert!(slots.try_take(&p1, 1).is_none());
        assert!(slots.try_take(&p2, 5).is_none());
        all.shrink(2);
        all.shrink(4);
        let more = slots.try_take(&p1, 4).unwrap();
        let other = slots.try_take(&p2, 4).unwrap();
        assert!(slots.try_take(&p2, 1).is_none());
        drop((all, more, other));
        assert!(slots.0.projects().is_empty());
        assert_eq!(slots.0.in_all.available_permits(), 10);
    }
}
