//! [`Batcher`]: requests of one kind that wait at the same time are run as one batch.
//!
//! The nodes of a session start in the same second, and ten thousand nodes report their backups around midnight. If each
//! request had its own transaction, the requests would wait for the disk one after the other, and those of one session also
//! for each other's row lock.
//!
//! Items with the same key share a queue, and the workers of the queue take its items in batches. A worker is a task that
//! starts with an item and ends when no items are left for it. Queues are independent of each other.
//!
//! * A lone item is not delayed: its worker starts immediately.
//! * An item is skipped if its caller disconnected or stopped waiting before the batch started. A batch in flight is not cancelled.
//! * The worker of a slow batch is not counted any more, so another worker runs the items behind it.
//! * A batch has the latest deadline of its items, and each caller waits until its own deadline and half a second longer.
//! * A panic is an error for the callers of its batch only.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freezer_store::{Deadline, Outage, StoreError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::error::Error;

/// Limits of each queue.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Maximum number of items in a batch.
    pub batch: usize,
    /// Maximum number of workers, without those whose batch is slow. Each has one batch in flight.
    pub workers: usize,
    /// Number of waiting items at which a further worker starts. A worker that is not the only one ends if fewer items wait.
    /// If it is 1, no item waits while a worker is available. If it is larger than a batch, the service sends answers while
    /// the next batch is in flight, instead of after several batches that end at the same time.
    pub backlog: usize,
}

/// Turns that a worker gives to other tasks before it starts a batch, so the batch includes requests that have already arrived:
/// a connection is accepted in the first turn, and its request is read and submitted in the second. The third is for requests
/// that arrived in the meantime. If there are none, each turn costs one system call.
const TURNS: usize = 3;

/// A batch is slow after this time, or after a quarter of the time until its deadline if that is less.
const SLOW: Duration = Duration::from_secs(1);

/// How long a caller waits after its deadline, because the batch may return a more precise error.
const GRACE: Duration = Duration::from_millis(500);

/// The key of a queue.
pub trait BatchKey: Clone + Eq + Hash + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> BatchKey for K {}

/// Runs items of type `I` in queues with keys of type `K`. Each item gets an answer of type `O`.
pub struct Batcher<K, I, O>(Arc<Shared<K, I, O>>);

type RunBatch<K, I, O> = Box<dyn Fn(K, Vec<I>, Deadline) -> BoxFuture<'static, Vec<O>> + Send + Sync>;

struct Shared<K, I, O> {
    limits: BatchLimits,
    /// Measures the numbers of items of the batches.
    sizes: Option<Histogram>,
    work: RunBatch<K, I, O>,
    queues: Mutex<HashMap<K, Queue<I, O>>>,
}

struct Queue<I, O> {
    items: VecDeque<Queued<I, O>>,
    /// Workers, without those whose batch is slow.
    workers: usize,
}

struct Queued<I, O> {
    item: I,
    deadline: Deadline,
    answer: oneshot::Sender<O>,
}

/// The reason why an item has no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The batch ended without an answer for this item. This is a defect, and it has been logged.
    Failed,
    /// The deadline of the caller has passed. The result of the batch is not known.
    DeadlinePassed,
}

impl NoAnswer {
    /// Returns the error of a request that reads.
    pub fn into_read_error(self, doing: &'static str) -> Error {
        let reason = "the deadline passed before its batch had ended".to_owned();
        self.error(StoreError::Unavailable { doing, outage: Outage::Slow, reason })
    }

    /// Returns the error of a request that writes.
    pub fn into_write_error(self, doing: &'static str) -> Error {
        let reason = "the deadline passed before its batch had ended".to_owned();
        self.error(StoreError::OutcomeUnknown { doing, reason })
    }

    fn error(self, deadline_passed: StoreError) -> Error {
        match self {
            NoAnswer::DeadlinePassed => deadline_passed.into(),
            NoAnswer::Failed => {
                Error::Internal("the batch of this request ended without an answer".to_owned())
            }
        }
    }
}

impl<K: BatchKey, I: Send + 'static, O: Send + 'static> Batcher<K, I, O> {
    /// Creates a batcher without queues. `work` runs a batch of one queue and returns an answer for each item, in the same
    /// order. It gets the latest deadline of the items.
    pub fn new<F>(
        limits: BatchLimits,
        work: impl Fn(K, Vec<I>, Deadline) -> F + Send + Sync + 'static,
    ) -> Batcher<K, I, O>
    where
        F: Future<Output = Vec<O>> + Send + 'static,
    {
        let limits = BatchLimits { batch: limits.batch.max(1), ..limits };
        let work: RunBatch<K, I, O> =
            Box::new(move |key, items, deadline| work(key, items, deadline).boxed());
        Batcher(Arc::new(Shared { limits, sizes: None, work, queues: Mutex::default() }))
    }

    /// Measures the numbers of items of the batches. It must be called before the first item is added.
    pub fn measured(mut self, sizes: Histogram) -> Batcher<K, I, O> {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.sizes = Some(sizes);
        }
        self
    }

    /// Adds an item to the queue of a key, and returns its answer.
    ///
    /// # Errors
    /// [`NoAnswer`] if the batch failed or the deadline passed.
    pub async fn submit(&self, key: K, item: I, deadline: Deadline) -> Result<O, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        self.0.enqueue(&key, Queued { item, deadline, answer });
        Shared::start_worker_if_needed(&self.0, key);
        let limit = deadline.within(Duration::MAX).saturating_add(GRACE);
        match timeout(limit, answered).await {
            Ok(answer) => answer.map_err(|_| NoAnswer::Failed),
            Err(_) => Err(NoAnswer::DeadlinePassed),
        }
    }
}

impl<I, O> Queue<I, O> {
    /// Returns whether the items need a worker in addition to this number of workers.
    fn needs_worker(&self, others: usize, limits: BatchLimits) -> bool {
        match others {
            0 => !self.items.is_empty(),
            _ => others < limits.workers && self.items.len() >= limits.backlog,
        }
    }

    /// Takes at most this number of items, and skips items whose callers have disconnected.
    fn take_batch(&mut self, limit: usize) -> Vec<Queued<I, O>> {
        self.items.retain(|queued| !queued.answer.is_closed());
        let count = self.items.len().min(limit);
        self.items.drain(..count).collect()
    }
}

impl<K: BatchKey, I: Send + 'static, O: Send + 'static> Shared<K, I, O> {
    fn enqueue(&self, key: &K, queued: Queued<I, O>) {
        let mut queues = self.queues();
        match queues.get_mut(key) {
            Some(queue) => queue.items.push_back(queued),
            None => {
                queues.insert(key.clone(), Queue { items: VecDeque::from([queued]), workers: 0 });
            }
        }
    }

    fn start_worker_if_needed(shared: &Arc<Self>, key: K) {
        {
            let mut queues = shared.queues();
            let Some(queue) = queues.get_mut(&key) else { return };
            if !queue.needs_worker(queue.workers, shared.limits) {
                return;
            }
            queue.workers += 1;
        }
        tokio::spawn(Worker { shared: Arc::clone(shared), key, is_counted: true }.run());
    }
}

impl<K, I, O> Shared<K, I, O> {
    fn queues(&self) -> MutexGuard<'_, HashMap<K, Queue<I, O>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that runs batches of one queue.
struct Worker<K: BatchKey, I, O> {
    shared: Arc<Shared<K, I, O>>,
    key: K,
    /// Whether the queue counts this worker.
    is_counted: bool,
}

impl<K: BatchKey, I: Send + 'static, O: Send + 'static> Worker<K, I, O> {
    async fn run(mut self) {
        while let Some(mut batch) = self.next_batch() {
            self.add_arrivals(&mut batch).await;
            if !batch.is_empty() {
                self.run_batch(batch).await;
            }
        }
    }

    /// Takes the next batch. Returns none if this worker is not needed any more: it is then no longer counted, so an item
    /// that is added later starts another worker.
    fn next_batch(&mut self) -> Option<Vec<Queued<I, O>>> {
        if !self.is_counted {
            return None;
        }
        let mut queues = self.shared.queues();
        let queue = queues.get_mut(&self.key)?;
        if queue.needs_worker(queue.workers - 1, self.shared.limits) {
            let batch = queue.take_batch(self.shared.limits.batch);
            if !batch.is_empty() {
                return Some(batch);
            }
        }
        self.is_counted = false;
        remove_worker(&mut queues, &self.key);
        None
    }

    /// Lets other tasks run, and adds the items that they submit. A full batch starts immediately.
    async fn add_arrivals(&self, batch: &mut Vec<Queued<I, O>>) {
        let room = self.shared.limits.batch - batch.len();
        let waiting = || self.shared.queues().get(&self.key).map_or(0, |queue| queue.items.len());
        for _ in 0..TURNS {
            if waiting() >= room {
                break;
            }
            tokio::task::yield_now().await;
        }
        if let Some(queue) = self.shared.queues().get_mut(&self.key) {
            batch.extend(queue.take_batch(room));
        }
        batch.retain(|queued| !queued.answer.is_closed());
    }

    /// Runs a batch and sends the answers. If the batch is slow, another worker takes over the queue.
    async fn run_batch(&mut self, batch: Vec<Queued<I, O>>) {
        let deadline = batch.iter().map(|queued| queued.deadline).reduce(Deadline::latest);
        let deadline = deadline.unwrap_or(Deadline::NONE);
        let (items, callers): (Vec<I>, Vec<oneshot::Sender<O>>) =
            batch.into_iter().map(|Queued { item, answer, .. }| (item, answer)).unzip();
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        if let Some(sizes) = &shared.sizes {
            sizes.observe(items.len() as f64);
        }
        let work = async move { (shared.work)(key, items, deadline).await };
        let mut work = std::pin::pin!(AssertUnwindSafe(work).catch_unwind());
        let answers = match timeout(deadline.within(SLOW * 4) / 4, &mut work).await {
            Ok(answers) => answers,
            Err(_) => {
                self.hand_over();
                work.await
            }
        };
        // a panic is logged where it happens; the callers get an error when their senders are dropped
        let Ok(answers) = answers else { return };
        if answers.len() != callers.len() {
            let (answers, items) = (answers.len(), callers.len());
            tracing::error!(
                answers,
                items,
                "a batch did not return one answer for each of its requests; its requests fail. This is a defect"
            );
            return;
        }
        for (caller, answer) in callers.into_iter().zip(answers) {
            // the caller may have disconnected
            let _ = caller.send(answer);
        }
    }

    /// Stops counting this worker, so another one can run the waiting items while this batch is in flight.
    fn hand_over(&mut self) {
        self.is_counted = false;
        remove_worker(&mut self.shared.queues(), &self.key);
        Shared::start_worker_if_needed(&self.shared, self.key.clone());
    }
}

impl<K: BatchKey, I, O> Drop for Worker<K, I, O> {
    /// The runtime may drop a worker in the middle of its work when it shuts down.
    fn drop(&mut self) {
        if self.is_counted {
            remove_worker(&mut self.shared.queues(), &self.key);
        }
    }
}

/// Counts one worker less, and removes the queue if it has no workers and no items.
fn remove_worker<K: BatchKey, I, O>(queues: &mut HashMap<K, Queue<I, O>>, key: &K) {
    if let Some(queue) = queues.get_mut(key) {
        queue.workers -= 1;
        if queue.workers == 0 && queue.items.is_empty() {
            queues.remove(key);
        }
    }
}

/// Runs `all` for all items, and for each item by itself if that fails, so a rejected item does not fail the others. If the
/// database is not available, every item gets this error.
pub async fn all_or_each<I, T>(
    items: &[I],
    all: impl AsyncFn(&[I]) -> Result<Vec<T>, StoreError>,
) -> Vec<Result<T, StoreError>> {
    let error = match all(items).await {
        Ok(done) => return done.into_iter().map(Ok).collect(),
        Err(error) => error,
    };
    if error.is_outage() || items.len() < 2 {
        return items.iter().map(|_| Err(error.clone())).collect();
    }
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        let done = all(std::slice::from_ref(item)).await;
        results.extend(done.map(|done| done.into_iter().next()).transpose());
    }
    results
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::sync::Semaphore;
    use tokio::task::JoinHandle;

    const NO_LIMIT: Duration = Duration::from_secs(20);

    /// A batcher that records its batches. Each batch waits for a permit. Its answers are ten times the items.
    struct Recorder {
        batcher: Arc<Batcher<&'static str, u32, u32>>,
        batches: Arc<Mutex<Vec<Vec<u32>>>>,
        permits: Arc<Semaphore>,
    }

    /// An item whose batch panics.
    const PANICS: u32 = 13;
    /// An item whose batch returns one answer less than it has items.
    const TOO_FEW: u32 = 14;

    impl Recorder {
        fn new(workers: usize, batch: usize) -> Recorder {
            Recorder::with_limits(BatchLimits { batch, workers, backlog: 1 })
        }

        fn with_limits(limits: BatchLimits) -> Recorder {
            let (batches, permits) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(Semaphore::new(0)));
            let batcher = {
                let (batches, permits) = (batches.clone(), permits.clone());
                Batcher::new(limits, move |_, items: Vec<u32>, _| {
                    let (batches, permits) = (batches.clone(), permits.clone());
                    async move {
                        batches.lock().unwrap().push(items.clone());
                        permits.acquire().await.unwrap().forget();
                        assert!(!items.contains(&PANICS), "a batch that fails");
                        let skipped = usize::from(items.contains(&TOO_FEW));
                        items.into_iter().skip(skipped).map(|item| item * 10).collect()
                    }
                })
            };
            Recorder { batcher: Arc::new(batcher), batches, permits }
        }

        /// Submits an item, and waits until it is in its queue.
        async fn submit(&self, key: &'static str, item: u32) -> JoinHandle<Result<u32, NoAnswer>> {
            self.submit_until(key, item, Deadline::NONE).await
        }

        async fn submit_until(
            &self,
            key: &'static str,
            item: u32,
            deadline: Deadline,
        ) -> JoinHandle<Result<u32, NoAnswer>> {
            let batcher = self.batcher.clone();
            let submitted = tokio::spawn(async move { batcher.submit(key, item, deadline).await });
            settle().await;
            submitted
        }

        fn batches(&self) -> Vec<Vec<u32>> {
            self.batches.lock().unwrap().clone()
        }

        async fn wait_for_batches(&self, count: usize) {
            let enough = async {
                while self.batches().len() < count {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(NO_LIMIT, enough).await.unwrap();
        }

        fn has_queues(&self) -> bool {
            !self.batcher.0.queues().is_empty()
        }
    }

    /// Lets every task run as far as it can.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_slow_batch_does_not_delay_the_next() {
        let recorder = Recorder::new(1, 10);
        let slow = recorder.submit("a", 1).await;
        let next = recorder.submit("a", 2).await;
        assert_eq!(recorder.batches(), [vec![1]]);
        recorder.wait_for_batches(2).await;
        assert_eq!(recorder.batches(), [vec![1], vec![2]]);
        recorder.permits.add_permits(2);
        assert_eq!((slow.await.unwrap(), next.await.unwrap()), (Ok(10), Ok(20)));
        settle().await;
        assert!(!recorder.has_queues(), "the queue is removed");
    }

    #[tokio::test]
    async fn batches_that_hang_affect_only_their_own_items() {
        let deadline = || Deadline::after(Duration::from_secs(2));
        let recorder = Recorder::new(1, 2);
        let mut hanging = Vec::new();
        for item in 1..=5 {
            hanging.push(recorder.submit_until("a", item, deadline()).await);
        }
        // each worker hangs: 1, then 2 and 3, then 4 and 5
        recorder.wait_for_batches(3).await;
        assert_eq!(recorder.batches(), [vec![1], vec![2, 3], vec![4, 5]]);
        for item in hanging {
            assert_eq!(item.await.unwrap(), Err(NoAnswer::DeadlinePassed));
        }
        // later items start while all of these are in flight, and long before their own deadline
        for item in 6..=8 {
            let later = recorder.submit_until("a", item, deadline()).await;
            recorder.wait_for_batches(4).await;
            recorder.permits.add_permits(4);
            assert_eq!(later.await.unwrap(), Ok(item * 10));
        }
        settle().await;
        assert!(!recorder.has_queues());
    }

    #[tokio::test]
    async fn a_batch_with_little_time_is_slow_earlier() {
        let recorder = Recorder::new(1, 1);
        let _hangs = recorder.submit_until("a", 1, Deadline::after(Duration::from_millis(800))).await;
        let begun = tokio::time::Instant::now();
        let later = recorder.submit_until("a", 2, Deadline::after(Duration::from_millis(900))).await;
        recorder.wait_for_batches(2).await;
        assert!(begun.elapsed() < Duration::from_millis(800), "{:?}", begun.elapsed());
        recorder.permits.add_permits(2);
        assert_eq!(later.await.unwrap(), Ok(20));
    }

    #[tokio::test]
    async fn a_caller_waits_until_its_own_deadline_and_a_batch_until_the_latest() {
        let permits = Arc::new(Semaphore::new(0));
        let granted = permits.clone();
        let work = move |_, items: Vec<u32>, latest: Deadline| {
            let permits = granted.clone();
            async move {
                permits.acquire().await.unwrap().forget();
                vec![latest; items.len()]
            }
        };
        let batcher = Arc::new(Batcher::new(BatchLimits { batch: 10, workers: 1, backlog: 1 }, work));
        let submit = |deadline| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.submit("a", 1, deadline).await })
        };
        let late = Deadline::after(Duration::from_secs(60));
        let (early_answer, late_answer) = (submit(Deadline::after(Duration::from_millis(50))), submit(late));
        assert_eq!(early_answer.await.unwrap(), Err(NoAnswer::DeadlinePassed));
        permits.add_permits(1);
        assert_eq!(late_answer.await.unwrap(), Ok(late));
    }

    #[tokio::test]
    async fn items_that_arrive_during_a_batch_are_one_batch() {
        let recorder = Recorder::new(1, 10);
        let mut submitted = Vec::new();
        for item in 1..=4 {
            submitted.push(recorder.submit("a", item).await);
        }
        assert_eq!(recorder.batches(), [vec![1]], "the first does not wait for others");
        recorder.permits.add_permits(2);
        for (submitted, answer) in submitted.into_iter().zip([10, 20, 30, 40]) {
            assert_eq!(submitted.await.unwrap(), Ok(answer));
        }
        assert_eq!(recorder.batches(), [vec![1], vec![2, 3, 4]]);
        settle().await;
        assert!(!recorder.has_queues());
    }

    #[tokio::test]
    async fn items_that_arrive_at_once_are_one_batch() {
        let recorder = Recorder::new(2, 10);
        recorder.permits.add_permits(10);
        let submitted = [1, 2, 3].map(|item| {
            let batcher = recorder.batcher.clone();
            tokio::spawn(async move { batcher.submit("a", item, Deadline::NONE).await })
        });
        for (submitted, item) in submitted.into_iter().zip([1, 2, 3]) {
            assert_eq!(submitted.await.unwrap(), Ok(item * 10));
        }
        assert_eq!(recorder.batches(), [vec![1, 2, 3]]);
        settle().await;
        assert!(!recorder.has_queues());
    }

    #[tokio::test]
    async fn workers_and_batches_have_limits_and_queues_are_independent() {
        let recorder = Recorder::new(2, 2);
        let mut submitted = Vec::new();
        for item in 1..=5 {
            submitted.push(recorder.submit("a", item).await);
        }
        submitted.push(recorder.submit("b", 6).await);
        assert_eq!(recorder.batches(), [vec![1], vec![2], vec![6]], "another queue does not wait");
        recorder.permits.add_permits(10);
        for submitted in submitted {
            assert!(submitted.await.unwrap().is_ok());
        }
        let mut batches = recorder.batches().split_off(3);
        // either worker may be the first
        batches.sort();
        assert_eq!(batches, [vec![3, 4], vec![5]]);
        settle().await;
        assert!(!recorder.has_queues());
    }

    #[tokio::test]
    async fn another_worker_runs_while_there_is_a_backlog() {
        let recorder = Recorder::with_limits(BatchLimits { batch: 1, workers: 2, backlog: 2 });
        let mut submitted = vec![recorder.submit("a", 1).await, recorder.submit("a", 2).await];
        assert_eq!(recorder.batches(), [vec![1]], "one waiting item is no backlog");
        submitted.push(recorder.submit("a", 3).await);
        assert_eq!(recorder.batches(), [vec![1], vec![2]]);
        submitted.push(recorder.submit("a", 4).await);
        submitted.push(recorder.submit("a", 5).await);
        assert_eq!(recorder.batches().len(), 2, "there are no more workers");
        recorder.permits.add_permits(1);
        settle().await;
        assert_eq!(recorder.batches().split_off(2), [vec![3]], "two still wait");
        recorder.permits.add_permits(1);
        settle().await;
        assert_eq!(recorder.batches().len(), 4, "two waited when the worker was free");
        recorder.permits.add_permits(1);
        settle().await;
        assert_eq!(recorder.batches().len(), 4, "one does not keep a second worker");
        recorder.permits.add_permits(10);
        for (submitted, item) in submitted.into_iter().zip(1..) {
            assert_eq!(submitted.await.unwrap(), Ok(item * 10));
        }
        assert_eq!(recorder.batches(), [[1], [2], [3], [4], [5]]);
        settle().await;
        assert!(!recorder.has_queues());
    }

    /// Returns the number of turns of the other tasks before a batch starts, if this number of items arrive at once.
    async fn turns_before_a_batch(items: u32, batch: usize) -> usize {
        let (turns, at_start) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(None)));
        let (count, seen, start) = (turns.clone(), turns.clone(), at_start.clone());
        let work = move |_, items: Vec<u32>, _| {
            start.lock().unwrap().get_or_insert(*seen.lock().unwrap());
            async move { items }
        };
        let batcher = Arc::new(Batcher::new(BatchLimits { batch, workers: 1, backlog: 1 }, work));
        let counting = tokio::spawn(async move {
            loop {
                *count.lock().unwrap() += 1;
                tokio::task::yield_now().await;
            }
        });
        let submitted = (0..items).map(|item| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.submit("a", item, Deadline::NONE).await })
        });
        for submitted in submitted.collect::<Vec<_>>() {
            assert!(submitted.await.unwrap().is_ok());
        }
        counting.abort();
        // all items arrived in the first turn
        at_start.lock().unwrap().unwrap() - 1
    }

    #[tokio::test]
    async fn a_batch_waits_for_arrived_items_until_it_is_full() {
        // of the last turn, the count may come later than the batch
        assert!(turns_before_a_batch(2, 3).await + 1 >= TURNS);
        assert_eq!(turns_before_a_batch(3, 3).await, 0);
        assert_eq!(turns_before_a_batch(4, 3).await, 0);
    }

    #[tokio::test]
    async fn a_caller_that_disconnects_is_skipped_and_stops_no_batch() {
        let recorder = Recorder::new(1, 10);
        let first = recorder.submit("a", 1).await;
        let second = recorder.submit("a", 2).await;
        let third = recorder.submit("a", 3).await;
        second.abort();
        settle().await;
        // while its batch is in flight
        first.abort();
        settle().await;
        recorder.permits.add_permits(10);
        assert_eq!(third.await.unwrap(), Ok(30));
        assert_eq!(recorder.batches(), [vec![1], vec![3]]);
        settle().await;
        assert!(!recorder.has_queues());
    }

    #[tokio::test]
    async fn a_batch_without_callers_is_not_run() {
        let recorder = Recorder::new(1, 10);
        let first = recorder.submit("a", 1).await;
        let second = recorder.submit("a", 2).await;
        second.abort();
        settle().await;
        recorder.permits.add_permits(10);
        assert_eq!(first.await.unwrap(), Ok(10));
        settle().await;
        assert_eq!(recorder.batches(), [vec![1]]);
        assert!(!recorder.has_queues());
    }

    /// Submits a batch that fails for a defect, between two that do not.
    async fn fails_alone(defect: u32) {
        let recorder = Recorder::new(1, 2);
        let mut submitted = Vec::new();
        for item in [1, 2, defect, 4] {
            submitted.push(recorder.submit("a", item).await);
        }
        recorder.permits.add_permits(10);
        let mut answers = Vec::new();
        for submitted in submitted {
            answers.push(timeout(NO_LIMIT, submitted).await.unwrap().unwrap());
        }
        assert_eq!(answers, [Ok(10), Err(NoAnswer::Failed), Err(NoAnswer::Failed), Ok(40)]);
        settle().await;
        assert!(!recorder.has_queues());
    }

    #[tokio::test]
    async fn a_panic_fails_its_batch_and_the_next_one_runs() {
        fails_alone(PANICS).await;
    }

    #[tokio::test]
    async fn a_batch_without_an_answer_for_each_item_answers_none() {
        fails_alone(TOO_FEW).await;
    }

    #[tokio::test]
    async fn a_panic_before_the_first_await_fails_its_batch_only() {
        let work = |_: &'static str, items: Vec<u32>, _| {
            assert!(!items.contains(&PANICS), "a batch that fails");
            async move { items }
        };
        let batcher = Batcher::new(BatchLimits { batch: 1, workers: 1, backlog: 1 }, work);
        assert_eq!(batcher.submit("a", PANICS, Deadline::NONE).await, Err(NoAnswer::Failed));
        assert_eq!(batcher.submit("a", 1, Deadline::NONE).await, Ok(1));
    }

    #[test]
    fn a_runtime_may_end_while_items_wait() {
        let recorder = Recorder::new(1, 2);
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let ending = runtime();
        ending.block_on(async {
            for item in 1..=6 {
                recorder.submit("a", item).await;
            }
        });
        assert_eq!(recorder.batches(), [vec![1]]);
        drop(ending);
        assert_eq!(recorder.batches(), [vec![1]], "no batch starts any more");
        // another runtime finds neither workers nor items of the first one
        recorder.permits.add_permits(1);
        let answer = runtime().block_on(async {
            let answer = recorder.submit("a", 7).await.await.unwrap();
            settle().await;
            answer
        });
        assert_eq!(answer, Ok(70));
        assert_eq!(recorder.batches(), [vec![1], vec![7]]);
        assert!(!recorder.has_queues());
    }

    #[tokio::test]
    async fn a_rejected_item_does_not_fail_the_others() {
        let calls = Mutex::new(Vec::new());
        let all = async |items: &[u32]| {
            calls.lock().unwrap().push(items.to_vec());
            match items.iter().find(|item| **item == 2) {
                Some(_) => Err(StoreError::Duplicate { table: "test", id: "2".to_owned() }),
                None => Ok(items.iter().map(|item| item * 10).collect()),
            }
        };
        let results = all_or_each(&[1, 2, 3], all).await;
        assert!(matches!(results[..], [Ok(10), Err(StoreError::Duplicate { .. }), Ok(30)]), "{results:?}");
        assert_eq!(calls.into_inner().unwrap(), [vec![1, 2, 3], vec![1], vec![2], vec![3]]);
    }

    #[tokio::test]
    async fn an_unavailable_database_gets_one_call() {
        let calls = Mutex::new(0);
        let all = async |_: &[u32]| {
            *calls.lock().unwrap() += 1;
            let reason = "away".to_owned();
            Err::<Vec<u32>, _>(StoreError::Unavailable { doing: "test", outage: Outage::Away, reason })
        };
        let results = all_or_each(&[1, 2], all).await;
        assert!(
            matches!(results[..], [Err(StoreError::Unavailable { .. }), Err(StoreError::Unavailable { .. })]),
            "{results:?}"
        );
        assert_eq!(calls.into_inner().unwrap(), 1);
    }
}
