//! [`Together`]: requests of one kind that wait at the same time are carried out in one go.
//!
//! The nodes of a session start in the same second, and ten thousand nodes report their backups around midnight. Each
//! such request would be a transaction of its own, with a wait for the disk, and those of one session would wait for each
//! other's. Here, as many as there are lanes run at a time; what comes meanwhile waits, and the next lane that is free
//! takes all of it, with what has arrived at the machine by then. So nobody waits longer than for the work that was under way
//! when they came, and a request that meets no other is carried out by itself, at once. What the work is, is the caller's;
//! what becomes of the others where one of them fails, [`each`] says.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freezer_store::StoreError;
use tokio::sync::oneshot;

/// Items of type `I` in queues named by `K`; each gets an answer of type `O`.
pub struct Together<K, I, O> {
    queues: Mutex<HashMap<K, Queue<I, O>>>,
    /// Runs of one queue at a time.
    lanes: usize,
    /// Items of one run.
    most: usize,
}

/// Times that a run which begins lets everything else have its turn, so that it takes along what has arrived already: a
/// connection is accepted in the first, and its request read in the second, which puts it into the queue. The third is for those
/// that came meanwhile. Where nothing has arrived each is one call of the kernel, and nobody waits.
const TURNS: usize = 3;

struct Queue<I, O> {
    running: usize,
    waiting: VecDeque<Waiting<I, O>>,
}

impl<I, O> Queue<I, O> {
    fn take(&mut self, most: usize) -> Vec<Waiting<I, O>> {
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
        let count = self.waiting.len().min(most);
        self.waiting.drain(..count).collect()
    }
}

struct Waiting<I, O> {
    item: I,
    answer: oneshot::Sender<O>,
}

/// The work that an item was part of ended without an answer: a defect, which is logged where it happened.
#[derive(Debug, PartialEq, Eq)]
pub struct Unanswered;

impl<K, I, O> Together<K, I, O>
where
    K: Clone + Eq + Hash + Send + 'static,
    I: Send + 'static,
    O: Send + 'static,
{
    /// Queues without items, of which each is worked on in so many lanes, with so many items at once.
    pub fn new(lanes: usize, most: usize) -> Arc<Self> {
        Arc::new(Together { queues: Mutex::default(), lanes: lanes.max(1), most: most.max(1) })
    }

    /// Has an item carried out by `work`, which takes items of one queue and gives an answer for each, in their order. It
    /// is cloned for each run. An item whose caller went away before its run began is left out.
    ///
    /// # Errors
    /// [`Unanswered`]
    pub async fn carry_out<W, F>(self: &Arc<Self>, key: K, item: I, work: W) -> Result<O, Unanswered>
    where
        W: Fn(Vec<I>) -> F + Clone + Send + 'static,
        F: Future<Output = Vec<O>> + Send + 'static,
    {
        let (answer, lane_is_free) = self.enter(&key, item);
        if lane_is_free {
            Lane { together: Arc::clone(self), key, work }.run(Vec::new());
        }
        answer.await.map_err(|_| Unanswered)
    }

    /// Puts an item into its queue. True where a lane was free, which is the caller's from now on.
    fn enter(&self, key: &K, item: I) -> (oneshot::Receiver<O>, bool) {
        let (answer, answered) = oneshot::channel();
        let mut queues = self.lock();
        let queue =
            queues.entry(key.clone()).or_insert_with(|| Queue { running: 0, waiting: VecDeque::new() });
        let lane_is_free = queue.running < self.lanes;
        queue.running += usize::from(lane_is_free);
        queue.waiting.push_back(Waiting { item, answer });
        (answered, lane_is_free)
    }

    /// Takes what waits, so much at most.
    fn take(&self, key: &K, most: usize) -> Vec<Waiting<I, O>> {
        self.lock().get_mut(key).map(|queue| queue.take(most)).unwrap_or_default()
    }

    /// What a free lane does next; none: the lane is given up. Taken out of the queue at once: a runtime that ends drops each run
    /// that begins, and the next one would find the same, without end.
    fn next(&self, key: &K) -> Option<Vec<Waiting<I, O>>> {
        let mut queues = self.lock();
        let queue = queues.get_mut(key)?;
        let batch = queue.take(self.most);
        if !batch.is_empty() {
            return Some(batch);
        }
        queue.running -= 1;
        if queue.running == 0 {
            queues.remove(key);
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Queue<I, O>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to work on a queue. Whatever ends its run, also a panic, it goes on to what waits.
struct Lane<K, I, O, W, F>
where
    K: Clone + Eq + Hash + Send + 'static,
    I: Send + 'static,
    O: Send + 'static,
    W: Fn(Vec<I>) -> F + Clone + Send + 'static,
    F: Future<Output = Vec<O>> + Send + 'static,
{
    together: Arc<Together<K, I, O>>,
    key: K,
    work: W,
}

impl<K, I, O, W, F> Lane<K, I, O, W, F>
where
    K: Clone + Eq + Hash + Send + 'static,
    I: Send + 'static,
    O: Send + 'static,
    W: Fn(Vec<I>) -> F + Clone + Send + 'static,
    F: Future<Output = Vec<O>> + Send + 'static,
{
    /// Carries out a batch and what comes along, in a task of its own: nobody who goes away breaks it off.
    fn run(self, mut batch: Vec<Waiting<I, O>>) {
        tokio::spawn(async move {
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            batch.extend(self.together.take(&self.key, self.together.most - batch.len()));
            if batch.is_empty() {
                return;
            }
            let (items, askers): (Vec<I>, Vec<_>) =
                batch.into_iter().map(|Waiting { item, answer }| (item, answer)).unzip();
            let answers = (self.work)(items).await;
            // the next run need not wait until all have heard
            drop(self);
            for (answer, asker) in answers.into_iter().zip(askers) {
                // one who went away meanwhile is not told
                let _ = asker.send(answer);
            }
        });
    }
}

impl<K, I, O, W, F> Drop for Lane<K, I, O, W, F>
where
    K: Clone + Eq + Hash + Send + 'static,
    I: Send + 'static,
    O: Send + 'static,
    W: Fn(Vec<I>) -> F + Clone + Send + 'static,
    F: Future<Output = Vec<O>> + Send + 'static,
{
    fn drop(&mut self) {
        if let Some(batch) = self.together.next(&self.key) {
            let Lane { together, key, work } = self;
            Lane { together: Arc::clone(together), key: key.clone(), work: work.clone() }.run(batch);
        }
    }
}

/// Has the database do all at once and, where that fails, each by itself: one that it does not take costs no other. Not
/// where it is away, for then none would be taken, and each would wait for it.
pub async fn each<I, T>(
    items: &[I],
    all: impl AsyncFn(&[I]) -> Result<Vec<T>, StoreError>,
) -> Vec<Result<T, StoreError>> {
    let error = match all(items).await {
        Ok(done) => return done.into_iter().map(Ok).collect(),
        Err(error) => error,
    };
    let away = matches!(error, StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. });
    if away || items.len() < 2 {
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
    use std::time::Duration;
    use tokio::sync::Semaphore;
    use tokio::task::JoinHandle;

    /// Items that were carried out, run by run; each run waits for leave.
    struct Log {
        together: Arc<Together<&'static str, u32, u32>>,
        runs: Arc<Mutex<Vec<Vec<u32>>>>,
        leave: Arc<Semaphore>,
    }

    impl Log {
        fn new(lanes: usize, most: usize) -> Log {
            Log {
                together: Together::new(lanes, most),
                runs: Arc::default(),
                leave: Arc::new(Semaphore::new(0)),
            }
        }

        /// Asks, and waits until the item is in.
        async fn ask(&self, key: &'static str, item: u32) -> JoinHandle<Result<u32, Unanswered>> {
            let (runs, leave) = (self.runs.clone(), self.leave.clone());
            let work = move |items: Vec<u32>| {
                let (runs, leave) = (runs.clone(), leave.clone());
                async move {
                    runs.lock().unwrap().push(items.clone());
                    leave.acquire().await.unwrap().forget();
                    assert!(!items.contains(&13), "a run that fails");
                    items.into_iter().map(|item| item * 10).collect()
                }
            };
            let together = self.together.clone();
            let asked = tokio::spawn(async move { together.carry_out(key, item, work).await });
            settled().await;
            asked
        }

        fn runs(&self) -> Vec<Vec<u32>> {
            self.runs.lock().unwrap().clone()
        }
    }

    /// Lets every task go as far as it can.
    async fn settled() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_comes_meanwhile_is_carried_out_in_one_go() {
        let log = Log::new(1, 10);
        let mut asked = Vec::new();
        for item in 1..=4 {
            asked.push(log.ask("a", item).await);
        }
        assert_eq!(log.runs(), [vec![1]], "the first does not wait for others");
        log.leave.add_permits(2);
        for (asked, answer) in asked.into_iter().zip([10, 20, 30, 40]) {
            assert_eq!(asked.await.unwrap(), Ok(answer));
        }
        assert_eq!(log.runs(), [vec![1], vec![2, 3, 4]]);
        assert!(log.together.lock().is_empty(), "nothing is left of the queue");
    }

    #[tokio::test]
    async fn what_is_there_at_once_is_carried_out_in_one_go() {
        let log = Log::new(2, 10);
        let asked = [1, 2, 3].map(|item| {
            let (together, runs) = (log.together.clone(), log.runs.clone());
            let work = move |items: Vec<u32>| {
                runs.lock().unwrap().push(items.clone());
                async move { items }
            };
            tokio::spawn(async move { together.carry_out("a", item, work).await })
        });
        for (asked, item) in asked.into_iter().zip([1, 2, 3]) {
            assert_eq!(asked.await.unwrap(), Ok(item));
        }
        assert_eq!(log.runs(), [vec![1, 2, 3]]);
        assert!(log.together.lock().is_empty());
    }

    #[tokio::test]
    async fn lanes_run_beside_each_other_and_take_so_many_at_most() {
        let log = Log::new(2, 2);
        let mut asked = Vec::new();
        for item in 1..=5 {
            asked.push(log.ask("a", item).await);
        }
        asked.push(log.ask("b", 6).await);
        assert_eq!(log.runs(), [vec![1], vec![2], vec![6]], "another queue waits for nobody");
        log.leave.add_permits(10);
        for asked in asked {
            assert!(asked.await.unwrap().is_ok());
        }
        let mut runs = log.runs().split_off(3);
        // which lane is first is left open
        runs.sort();
        assert_eq!(runs, [vec![3, 4], vec![5]]);
        assert!(log.together.lock().is_empty());
    }

    #[tokio::test]
    async fn who_goes_away_is_left_out_and_stops_nobody() {
        let log = Log::new(1, 10);
        let first = log.ask("a", 1).await;
        let second = log.ask("a", 2).await;
        let third = log.ask("a", 3).await;
        second.abort();
        settled().await;
        // in the middle of its run
        first.abort();
        settled().await;
        log.leave.add_permits(10);
        assert_eq!(third.await.unwrap(), Ok(30));
        assert_eq!(log.runs(), [vec![1], vec![3]]);
        assert!(log.together.lock().is_empty());
    }

    #[tokio::test]
    async fn a_run_that_panics_answers_nobody_and_the_next_goes_on() {
        let log = Log::new(1, 2);
        let mut asked = Vec::new();
        for item in [1, 2, 13, 4] {
            asked.push(log.ask("a", item).await);
        }
        log.leave.add_permits(10);
        let mut answers = Vec::new();
        for asked in asked {
            answers.push(tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap().unwrap());
        }
        assert_eq!(answers, [Ok(10), Err(Unanswered), Err(Unanswered), Ok(40)]);
        assert!(log.together.lock().is_empty());
    }

    #[test]
    fn a_runtime_may_end_while_items_wait() {
        let log = Log::new(1, 2);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for item in 1..=6 {
                log.ask("a", item).await;
            }
        });
        assert_eq!(log.runs(), [vec![1]]);
        drop(runtime);
        assert_eq!(log.runs(), [vec![1]], "nothing begins any more");
        assert!(log.together.lock().is_empty(), "nothing is left of the queue");
    }

    #[tokio::test]
    async fn one_that_is_not_taken_costs_no_other() {
        let asked = Mutex::new(Vec::new());
        let all = async |items: &[u32]| {
            asked.lock().unwrap().push(items.to_vec());
            match items.iter().find(|item| **item == 2) {
                Some(_) => Err(StoreError::Duplicate { table: "test", id: "2".to_owned() }),
                None => Ok(items.iter().map(|item| item * 10).collect()),
            }
        };
        let results = each(&[1, 2, 3], all).await;
        assert!(matches!(results[..], [Ok(10), Err(StoreError::Duplicate { .. }), Ok(30)]), "{results:?}");
        assert_eq!(asked.into_inner().unwrap(), [vec![1, 2, 3], vec![1], vec![2], vec![3]]);
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_asked_once() {
        let asked = Mutex::new(0);
        let all = async |_: &[u32]| {
            *asked.lock().unwrap() += 1;
            Err::<Vec<u32>, _>(StoreError::Unavailable { doing: "test", reason: "away".to_owned() })
        };
        let results = each(&[1, 2], all).await;
        assert!(
            matches!(results[..], [Err(StoreError::Unavailable { .. }), Err(StoreError::Unavailable { .. })]),
            "{results:?}"
        );
        assert_eq!(asked.into_inner().unwrap(), 1);
    }
}
