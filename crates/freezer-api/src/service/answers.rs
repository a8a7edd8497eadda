//! [`Answers`]: how many bytes large answers may take in memory together, while they are made and sent.
//!
//! A page can have 32 MiB, and its documents are in memory a second time while it is written. A client that reads
//! its answer slowly, or not at all, keeps it in memory. Therefore, large answers take their bytes from a budget. Each
//! project can have half of it. An eighth of the budget, and of each project's half, is a reserve for answers of moderate size,
//! so that pages which their clients do not read do not delay the polls of schedulers. Small answers take nothing, because the
//! number of connections limits them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freezer_store::slots::{NoSlot, ProjectSlots, Slot};
use freezer_store::{Deadline, Scope};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::scans::ScanLimits;
use crate::error::Busy;

/// Size of the largest answer that needs no part of the budget.
pub const FREE: usize = 32 << 10;

/// Number of bytes up to which a request may take them from the reserve.
const MODERATE: usize = 512 << 10;

/// Number of bytes in a slot.
const UNIT: usize = 1 << 10;

/// The budget of the service.
pub struct Answers {
    slots: ProjectSlots,
    /// For requests of moderate size if the other slots are taken.
    reserve: ProjectSlots,
    /// Bytes that one project may take, without its part of the reserve.
    per_project: usize,
    /// Largest number of bytes that a request may take from the reserve.
    moderate: usize,
    in_all: usize,
    /// The turn of a request for more than that.
    large: Arc<Semaphore>,
    wait: Duration,
}

/// A part of the budget, given back when it is dropped.
pub struct Held {
    slot: Slot,
    /// Held while a large request runs.
    turn: Option<OwnedSemaphorePermit>,
}

impl Answers {
    /// Creates a free budget of `bytes` (`[api] max_answer_bytes`). Requests wait for it as searches wait for a slot.
    pub fn new(bytes: usize, scans: ScanLimits) -> Answers {
        let slots = bytes / UNIT;
        let (reserve, own_reserve) = (slots / 8, slots / 16);
        let per_project = slots / 2 - own_reserve;
        Answers {
            slots: ProjectSlots::new(slots - reserve, per_project, scans.waiting),
            reserve: ProjectSlots::new(reserve, own_reserve, scans.waiting),
            per_project: per_project * UNIT,
            moderate: MODERATE.min(own_reserve * UNIT),
            in_all: slots * UNIT,
            large: Arc::new(Semaphore::new(1)),
            wait: scans.wait,
        }
    }

    /// Returns the number of bytes of the whole budget.
    pub fn in_all(&self) -> usize {
        self.in_all
    }

    /// Returns the number of bytes that are held.
    pub fn held(&self) -> usize {
        (self.slots.usage().taken + self.reserve.usage().taken) * UNIT
    }

    /// Takes bytes if they are free and no request waits for them.
    pub fn try_hold(&self, scope: &Scope, bytes: usize) -> Option<Held> {
        let slots = bytes.div_ceil(UNIT);
        let of_reserve = || self.reserve.try_take(scope, slots).filter(|_| bytes <= self.moderate);
        let slot = self.slots.try_take(scope, slots).or_else(of_reserve)?;
        Some(Held { slot, turn: None })
    }

    /// Waits for bytes. A request for more than the part of its project gets this part, and only one of these runs at a time.
    ///
    /// # Errors
    /// [`Busy::ProjectAnswers`] if answers of the project hold its part; [`Busy::Answers`] if those of other projects hold
    /// the rest.
    pub async fn hold(&self, scope: &Scope, bytes: usize, deadline: Deadline) -> Result<Held, Busy> {
        if let Some(held) = self.try_hold(scope, bytes).filter(|_| bytes <= self.moderate) {
            return Ok(held);
        }
        let slots = if bytes <= self.moderate { &self.reserve } else { &self.slots };
        let taken = slots.take(scope, bytes.div_ceil(UNIT), deadline.within(self.wait)).await;
        let slot = taken.map_err(|none| match none {
            NoSlot::Project => Busy::ProjectAnswers,
            NoSlot::All => Busy::Answers,
        })?;
        if bytes <= self.per_project {
            return Ok(Held { slot, turn: None });
        }
        match timeout(deadline.within(self.wait), self.large.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Held { slot, turn: Some(turn) }),
            _ => Err(Busy::Answers),
        }
    }
}

impl Held {
    /// Returns the bytes of an answer, which hold as much of the budget until the last reference to them is dropped.
    pub fn with(mut self, bytes: Bytes) -> Bytes {
        if bytes.len() <= FREE {
            return bytes;
        }
        self.turn = None;
        self.slot.shrink(bytes.len().div_ceil(UNIT));
        Bytes::from_owner(HeldBytes { bytes, _held: self })
    }
}

struct HeldBytes {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn an_answer_holds_its_bytes_until_it_is_dropped() {
        let scans = ScanLimits { wait: Duration::from_millis(20), ..ScanLimits::default() };
        let answers = Answers::new(1 << 20, scans);
        let [p1, p2] = ["p1", "p2"].map(Scope::project);
        let estimate = answers.hold(&p1, 64 << 20, Deadline::NONE).await.unwrap();
        assert!(answers.try_hold(&p1, 100 << 10).is_none(), "the whole part of the project");
        let answer = estimate.with(vec![b'x'; 200 << 10].into());
        let part = answer.slice(10..20);
        drop(answer);
        assert_eq!(answers.hold(&p1, 300 << 10, Deadline::NONE).await.err(), Some(Busy::ProjectAnswers));
        let more = answers.hold(&p1, 248 << 10, Deadline::NONE).await.unwrap();
        let other = answers.try_hold(&p2, 448 << 10).unwrap();
        assert_eq!(
            answers.hold(&Scope::project("p3"), 100 << 10, Deadline::NONE).await.err(),
            Some(Busy::Answers)
        );
        assert_eq!(&part[..], [b'x'; 10]);
        drop((part, other));
        assert!(answers.try_hold(&p1, 200 << 10).is_some());
        assert_eq!(more.with(vec![b'y'; 10].into()).len(), 10, "a small answer holds nothing");
        assert!(answers.try_hold(&p1, 448 << 10).is_some());
    }

    #[tokio::test]
    async fn moderate_answers_have_a_reserve() {
        let scans = ScanLimits { wait: Duration::from_millis(20), ..ScanLimits::default() };
        let answers = Answers::new(16 << 20, scans);
        let [p1, p2, p3] = ["p1", "p2", "p3"].map(Scope::project);
        let large = answers.hold(&p1, 7 << 20, Deadline::NONE).await.unwrap();
        assert_eq!(answers.hold(&p1, 600 << 10, Deadline::NONE).await.err(), Some(Busy::ProjectAnswers));
        let one = answers.hold(&p1, 512 << 10, Deadline::NONE).await.unwrap();
        let other = answers.try_hold(&p1, 512 << 10).unwrap();
        assert!(answers.try_hold(&p1, 1).is_none(), "half of the budget, with the reserve");
        assert_eq!(answers.hold(&p1, 1, Deadline::NONE).await.err(), Some(Busy::ProjectAnswers));
        let all = answers.hold(&p2, 7 << 20, Deadline::NONE).await.unwrap();
        assert_eq!(answers.hold(&p3, 600 << 10, Deadline::NONE).await.err(), Some(Busy::Answers));
        let reserved = [&p2, &p3].map(|project| answers.try_hold(project, 512 << 10).unwrap());
        assert!(answers.try_hold(&p3, 1).is_none(), "the whole budget");
        drop((large, other));
        assert!(answers.hold(&p1, 600 << 10, Deadline::NONE).await.is_ok());
        drop((one, all, reserved));
    }
}
