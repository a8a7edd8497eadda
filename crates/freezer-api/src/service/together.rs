//! [`Together`]: requests of one kind that wait at the same time are carried out in one go.
//!
//! The nodes of a session start in the same second, and ten thousand nodes report their backups around midnight. Each
//! such request would be a transaction of its own, with a wait for the disk, and those of one session would wait for each
//! other's. Here, as many as there are lanes run at a time; what comes meanwhile waits, and the next lane that is free
//! takes it, with what has arrived at the machine by then. A request that meets no other is carried out by itself, at once.
//! How many lanes there are, and when one opens, is a queue's [`Pace`]. A run that takes long no longer counts as a lane, so that
//! the next one begins beside it: one silent connection does not hold up a queue. A run has the latest deadline of its items, and
//! each caller waits until its own. What the work is, is the caller's; what becomes of the others if one of them fails,
//! [`each`] says.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use freezer_store::{Deadline, Outage, StoreError};
use tokio::sync::oneshot;

use crate::error::Error;

/// Items of type `I` in queues named by `K`; each gets an answer of type `O`.
pub struct Together<K, I, O> {
    queues: Mutex<HashMap<K, Queue<I, O>>>,
    pace: Pace,
}

/// How the items of each queue are carried out.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Items of one run at most.
    pub most: usize,
    /// Lanes, each with one run at a time.
    pub lanes: usize,
    /// Items that have to wait for another lane to open beside those that are open, and to stay open. With 1 nobody waits for
    /// a run while a lane is left. With more than a run takes, answers are given while the next run is under way, instead of after
    /// several that end together.
    pub crowd: usize,
}

/// Times at most that a run which begins lets everything else have its turn, so that it takes along what has arrived already: a
/// connection is accepted in the first, and its request read in the second, which puts it into the queue. The third is for those
/// that came meanwhile. Where nothing has arrived each is one call of the kernel, and nobody waits.
const TURNS: usize = 3;

/// How long a run counts as a lane.
const SLOW: Duration = Duration::from_secs(1);
/// How long a caller waits after its deadline, since the run has the more precise answer.
const GRACE: Duration = Duration::from_millis(500);

struct Queue<I, O> {
    running: usize,
    waiting: VecDeque<Waiting<I, O>>,
}

impl<I, O> Queue<I, O> {
    /// Whether a lane is wanted beside so many others. The last one always is: nothing is left waiting.
    fn wants_lane(&self, others: usize, pace: Pace) -> bool {
        others == 0 || (others < pace.lanes && self.waiting.len() >= pace.crowd)
    }

    fn take(&mut self, most: usize) -> Vec<Waiting<I, O>> {
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
        let count = self.waiting.len().min(most);
        self.waiting.drain(..count).collect()
    }
}

struct Waiting<I, O> {
    item: I,
    deadline: Deadline,
    answer: oneshot::Sender<O>,
}

/// Why an item has no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The work that it was part of ended without an answer: a defect, which is logged where it happened.
    Failed,
    /// The deadline of its caller passed. What its run does is not known.
    TooLate,
}

impl Unanswered {
    /// The error of a request that reads.
    pub fn of_read(self, doing: &'static str) -> Error {
        let reason = "it waited for others".to_owned();
        self.or_else(StoreError::Unavailable { doing, outage: Outage::Slow, reason })
    }

    /// The error of a request that changes something.
    pub fn of_write(self, doing: &'static str) -> Error {
        self.or_else(StoreError::OutcomeUnknown { doing, reason: "it waited for others".to_owned() })
    }

    fn or_else(self, late: StoreError) -> Error {
        match self {
            Unanswered::TooLate => late.into(),
            Unanswered::Failed => {
                Error::Internal("what the request was part of ended without an answer".to_owned())
            }
        }
    }
}

impl<K, I, O> Together<K, I, O>
where
    K: Clone + Eq + Hash + Send + 'static,
    I: Send + 'static,
    O: Send + 'static,
{
    /// Queues without items.
    pub fn new(pace: Pace) -> Arc<Self> {
        Arc::new(Together { queues: Mutex::default(), pace: Pace { most: pace.most.max(1), ..pace } })
    }

    /// Has an item carried out by `work`, which takes items of one queue with their latest deadline, and gives an answer for
    /// each, in their order. It is cloned for each run. An item whose caller went away before its run began is left out.
    ///
    /// # Errors
    /// [`Unanswered`]
    pub async fn carry_out<W, F>(
        self: &Arc<Self>,
        key: K,
        item: I,
        deadline: Deadline,
        work: W,
    ) -> Result<O, Unanswered>
    where
        W: Fn(Vec<I>, Deadline) -> F + Clone + Send + 'static,
        F: Future<Output = Vec<O>> + Send + 'static,
    {
        let (answer, opens_lane) = self.enter(&key, item, deadline);
        if opens_lane {
            Lane { together: Arc::clone(self), key, work, is_open: true }.run(Vec::new());
        }
        let patience = deadline.within(Duration::MAX).saturating_add(GRACE);
        match tokio::time::timeout(patience, answer).await {
            Ok(answer) => answer.map_err(|_| Unanswered::Failed),
            Err(_) => Err(Unanswered::TooLate),
        }
    }

    /// Puts an item into its queue. True where that opens a lane, which is the caller's from now on.
    fn enter(&self, key: &K, item: I, deadline: Deadline) -> (oneshot::Receiver<O>, bool) {
        let (answer, answered) = oneshot::channel();
        let mut queues = self.lock();
        let queue =
            queues.entry(key.clone()).or_insert_with(|| Queue { running: 0, waiting: VecDeque::new() });
        queue.waiting.push_back(Waiting { item, deadline, answer });
        let opens_lane = queue.wants_lane(queue.running, self.pace);
        queue.running += usize::from(opens_lane);
        (answered, opens_lane)
    }

    /// Whether a run is complete that has so many items already.
    fn is_full(&self, key: &K, items: usize) -> bool {
        items + self.lock().get(key).map_or(0, |queue| queue.waiting.len()) >= self.pace.most
    }

    /// Takes what waits, so much at most.
    fn take(&self, key: &K, most: usize) -> Vec<Waiting<I, O>> {
        self.lock().get_mut(key).map(|queue| queue.take(most)).unwrap_or_default()
    }

    /// What a lane does next; none: it is closed. Taken out of the queue at once: a runtime that ends drops each run
    /// that begins, and the next one would find the same, without end.
    fn next(&self, key: &K) -> Option<Vec<Waiting<I, O>>> {
        let mut queues = self.lock();
        let queue = queues.get_mut(key)?;
        let others = queue.running - 1;
        if queue.wants_lane(others, self.pace) {
            let batch = queue.take(self.pace.most);
            if !batch.is_empty() {
                return Some(batch);
            }
        }
        queue.running = others;
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
    W: Fn(Vec<I>, Deadline) -> F + Clone + Send + 'static,
    F: Future<Output = Vec<O>> + Send + 'static,
{
    together: Arc<Together<K, I, O>>,
    key: K,
    work: W,
    /// False once its run has taken long: the right was given on.
    is_open: bool,
}

impl<K, I, O, W, F> Lane<K, I, O, W, F>
where
    K: Clone + Eq + Hash + Send + 'static,
    I: Send + 'static,
    O: Send + 'static,
    W: Fn(Vec<I>, Deadline) -> F + Clone + Send + 'static,
    F: Future<Output = Vec<O>> + Send + 'static,
{
    /// Carries out a batch and what comes along, in a task of its own: nobody who goes away breaks it off.
    fn run(self, mut batch: Vec<Waiting<I, O>>) {
        tokio::spawn(async move {
            for _ in 0..TURNS {
                if self.together.is_full(&self.key, batch.len()) {
                    break;
                }
                tokio::task::yield_now().await;
            }
            batch.extend(self.together.take(&self.key, self.together.pace.most - batch.len()));
            if batch.is_empty() {
                return;
            }
            let latest = batch.iter().map(|waiting| waiting.deadline).reduce(Deadline::latest);
            let (items, askers): (Vec<I>, Vec<_>) =
                batch.into_iter().map(|Waiting { item, answer, .. }| (item, answer)).unzip();
            let answers = self.answers(items, latest.unwrap_or(Deadline::NONE)).await;
            for (answer, asker) in answers.into_iter().zip(askers) {
                // one who went away meanwhile is not told
                let _ = asker.send(answer);
            }
        });
    }

    /// Carries out a batch. The next run begins when this one has ended or has taken longer than `SLOW`. It does not wait
    /// until the answers are delivered.
    async fn answers(mut self, items: Vec<I>, deadline: Deadline) -> Vec<O> {
        let work = (self.work)(items, deadline);
        let mut work = std::pin::pin!(work);
        if let Ok(answers) = tokio::time::timeout(SLOW, &mut work).await {
            return answers;
        }
        self.give_on();
        work.await
    }

    /// Gives the right on to the items that wait.
    fn give_on(&mut self) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        if let Some(batch) = self.together.next(&self.key) {
            let Lane { together, key, work, .. } = self;
            Lane { together: Arc::clone(together), key: key.clone(), work: work.clone(), is_open: true }
                .run(batch);
        }
    }
}

impl<K, I, O, W, F> Drop for Lane<K, I, O, W, F>
where
    K: Clone + Eq + Hash + Send + 'static,
    I: Send + 'static,
    O: Send + 'static,
    W: Fn(Vec<I>, Deadline) -> F + Clone + Send + 'static,
    F: Future<Output = Vec<O>> + Send + 'static,
{
    fn drop(&mut self) {
        self.give_on();
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
    let away = matches!(error, StoreError::Unavailable { .. } | StoreError::OutcomeUnknown { .. })
        || error.is_replaced();
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
            Log::with(Pace { most, lanes, crowd: 1 })
        }

        fn with(pace: Pace) -> Log {
            Log { together: Together::new(pace), runs: Arc::default(), leave: Arc::new(Semaphore::new(0)) }
        }

        /// Asks, and waits until the item is in.
        async fn ask(&self, key: &'static str, item: u32) -> JoinHandle<Result<u32, Unanswered>> {
            let (runs, leave) = (self.runs.clone(), self.leave.clone());
            let work = move |items: Vec<u32>, _| {
                let (runs, leave) = (runs.clone(), leave.clone());
                async move {
                    runs.lock().unwrap().push(items.clone());
                    leave.acquire().await.unwrap().forget();
                    assert!(!items.contains(&13), "a run that fails");
                    items.into_iter().map(|item| item * 10).collect()
                }
            };
            let together = self.together.clone();
            let asked =
                tokio::spawn(async move { together.carry_out(key, item, Deadline::NONE, work).await });
            settled().await;
            asked
        }

        fn runs(&self) -> Vec<Vec<u32>> {
            self.runs.lock().unwrap().clone()
        }
    }

    #[tokio::test]
    async fn a_run_that_takes_long_does_not_hold_up_the_next() {
        let log = Log::new(1, 10);
        let slow = log.ask("a", 1).await;
        let next = log.ask("a", 2).await;
        assert_eq!(log.runs(), [vec![1]]);
        tokio::time::timeout(Duration::from_secs(20), async {
            while log.runs().len() < 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
        assert_eq!(log.runs(), [vec![1], vec![2]]);
        log.leave.add_permits(2);
        assert_eq!((slow.await.unwrap(), next.await.unwrap()), (Ok(10), Ok(20)));
        settled().await;
        assert!(log.together.lock().is_empty(), "nothing is left of the queue");
    }

    #[tokio::test]
    async fn a_caller_waits_until_its_own_deadline_and_a_run_until_the_latest() {
        let together: Arc<Together<&str, u32, Deadline>> =
            Together::new(Pace { most: 10, lanes: 1, crowd: 1 });
        let (soon, late) =
            (Deadline::after(Duration::from_millis(50)), Deadline::after(Duration::from_secs(60)));
        let leave = Arc::new(Semaphore::new(0));
        let ask = |deadline| {
            let (together, leave) = (together.clone(), leave.clone());
            let work = move |items: Vec<u32>, latest| {
                let leave = leave.clone();
                async move {
                    leave.acquire().await.unwrap().forget();
                    vec![latest; items.len()]
                }
            };
            tokio::spawn(async move { together.carry_out("a", 1, deadline, work).await })
        };
        let (soon, late_answer) = (ask(soon), ask(late));
        assert_eq!(soon.await.unwrap(), Err(Unanswered::TooLate));
        leave.add_permits(1);
        assert_eq!(late_answer.await.unwrap(), Ok(late));
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
            let work = move |items: Vec<u32>, _| {
                runs.lock().unwrap().push(items.clone());
                async move { items }
            };
            tokio::spawn(async move { together.carry_out("a", item, Deadline::NONE, work).await })
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
    async fn another_lane_is_open_while_there_is_a_crowd() {
        let log = Log::with(Pace { most: 1, lanes: 2, crowd: 2 });
        let mut asked = vec![log.ask("a", 1).await, log.ask("a", 2).await];
        assert_eq!(log.runs(), [vec![1]], "one that waits is no crowd");
        asked.push(log.ask("a", 3).await);
        assert_eq!(log.runs(), [vec![1], vec![2]]);
        asked.push(log.ask("a", 4).await);
        asked.push(log.ask("a", 5).await);
        assert_eq!(log.runs().len(), 2, "there are no more lanes");
        log.leave.add_permits(1);
        settled().await;
        assert_eq!(log.runs().split_off(2), [vec![3]], "two still wait");
        log.leave.add_permits(1);
        settled().await;
        assert_eq!(log.runs().len(), 4, "two waited when the lane was free");
        log.leave.add_permits(1);
        settled().await;
        assert_eq!(log.runs().len(), 4, "one does not keep a second lane open");
        log.leave.add_permits(10);
        for (asked, item) in asked.into_iter().zip(1..) {
            assert_eq!(asked.await.unwrap(), Ok(item * 10));
        }
        assert_eq!(log.runs(), [[1], [2], [3], [4], [5]]);
        assert!(log.together.lock().is_empty());
    }

    /// How often all others had their turn before a run began for which so many items came at once.
    async fn turns_before_a_run(items: u32, most: usize) -> usize {
        let together = Together::new(Pace { most, lanes: 1, crowd: 1 });
        let (turns, begun) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(None)));
        let count = turns.clone();
        let counting = tokio::spawn(async move {
            loop {
                *count.lock().unwrap() += 1;
                tokio::task::yield_now().await;
            }
        });
        let asked = (0..items).map(|item| {
            let (together, turns, begun) = (together.clone(), turns.clone(), begun.clone());
            let work = move |items: Vec<u32>, _| {
                begun.lock().unwrap().get_or_insert(*turns.lock().unwrap());
                async move { items }
            };
            tokio::spawn(async move { together.carry_out("a", item, Deadline::NONE, work).await })
        });
        for asked in asked.collect::<Vec<_>>() {
            assert!(asked.await.unwrap().is_ok());
        }
        counting.abort();
        // the first turn was the one in which all came
        begun.lock().unwrap().unwrap() - 1
    }

    #[tokio::test]
    async fn a_run_waits_for_what_has_arrived_until_it_is_full() {
        // of the last turn, the count may come later than the run
        assert!(turns_before_a_run(2, 3).await + 1 >= TURNS);
        assert_eq!(turns_before_a_run(3, 3).await, 0);
        assert_eq!(turns_before_a_run(4, 3).await, 0);
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
        assert_eq!(answers, [Ok(10), Err(Unanswered::Failed), Err(Unanswered::Failed), Ok(40)]);
        assert!(log.together.lock().is_empty());
    }

    #[test]
    fn a_runtime_may_end_while_items_wait() {
        let log = Log::new(1, 2);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
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
            let reason = "away".to_owned();
            Err::<Vec<u32>, _>(StoreError::Unavailable { doing: "test", outage: Outage::Away, reason })
        };
        let results = each(&[1, 2], all).await;
        assert!(
            matches!(results[..], [Err(StoreError::Unavailable { .. }), Err(StoreError::Unavailable { .. })]),
            "{results:?}"
        );
        assert_eq!(asked.into_inner().unwrap(), 1);
    }
}
