//! [`JobReader`]: reads jobs. Requests that arrive at the same time share a statement.
//!
//! A lone request is a batch of one. A statement starts after the requests that it answers, so each request sees the data that
//! was committed before it was sent. How jobs are read is `freezer_store::query::jobs`.

use freezer_store::model::Job;
use freezer_store::query::jobs::{self, Poll, Unread};
use freezer_store::query::{Listed, Page};
use freezer_store::{Scope, Search, Store, StoreError, read};

use super::Queues;
use super::batcher::{Batcher, Limits, all_or_each};
use crate::error::Error;

/// Jobs by their ids. A statement for several costs little more than one for a single job, so another worker starts only if
/// more requests wait than one statement takes.
const SHOWN: Limits = Limits { batch: jobs::AT_ONCE, workers: 4, backlog: jobs::AT_ONCE + 1 };

/// Polls. Batches are small, so the answers of one are written while the database runs the next one.
const POLLED: Limits = Limits { batch: jobs::POLLS_AT_ONCE, workers: 4, backlog: jobs::POLLS_AT_ONCE + 1 };

/// Reads jobs in batches.
pub struct JobReader {
    /// Jobs by their ids.
    shown: Batcher<Scope, String, Result<Option<Job>, StoreError>>,
    /// Polls, by the clients that ask.
    polled: Batcher<Poll, String, Result<Option<Unread>, StoreError>>,
}

impl JobReader {
    /// Creates a reader whose batches use this store.
    pub fn new(store: &Store) -> JobReader {
        let (for_shown, for_polled) = (store.clone(), store.clone());
        JobReader {
            shown: Batcher::new(SHOWN, move |scope: Scope, ids: Vec<String>, deadline| {
                let store = for_shown.until(deadline);
                let get = async move |ids: &[String]| {
                    read!(store, "jobs.show", |db| jobs::get_several(db, &scope, ids).await)
                };
                async move { all_or_each(&ids, get).await }
            }),
            polled: Batcher::new(POLLED, move |poll: Poll, clients: Vec<String>, deadline| {
                let store = for_polled.until(deadline);
                let list = async move |clients: &[String]| {
                    read!(store, "jobs.list", |db| jobs::list_polls(db, &poll, clients).await)
                };
                async move { all_or_each(&clients, list).await }
            }),
        }
    }
}

/// Returns a job of the scope by its id.
pub async fn show(
    store: &Store,
    queues: &Queues,
    scope: &Scope,
    job_id: String,
) -> Result<Option<Job>, Error> {
    let shown = queues.jobs.shown.submit(scope.clone(), job_id, store.deadline()).await;
    Ok(shown.map_err(|no_answer| no_answer.of_read("jobs.show"))??)
}

/// Returns a page of jobs. `caller` is the project of a caller who must not see process ids of other projects' nodes.
pub async fn list(
    store: &Store,
    queues: &Queues,
    scope: &Scope,
    search: &Search,
    page: &Page,
    caller: Option<&str>,
) -> Result<Listed<Job>, Error> {
    if let Some((poll, client)) = Poll::of(scope, search, page) {
        return match polled(store, queues, poll, client).await? {
            Some(listed) => Ok(listed),
            // a scheduler does not wait for the searches of its project
            None => Ok(read!(store, "jobs.list", |db| jobs::list(db, scope, search, page).await)?),
        };
    }
    let _slot = queues.scan_slot(scope, search, page).await?;
    Ok(read!(store, "jobs.list", |db| jobs::list_for(db, scope, search, page, caller).await)?)
}

async fn polled(
    store: &Store,
    queues: &Queues,
    poll: Poll,
    client: &str,
) -> Result<Option<Listed<Job>>, Error> {
    let polled = queues.jobs.polled.submit(poll, client.to_owned(), store.deadline()).await;
    match polled.map_err(|no_answer| no_answer.of_read("jobs.list"))?? {
        Some(unread) => Ok(unread.read()?),
        None => Ok(None),
    }
}

/// Removes the process id from jobs whose client the caller's project does not own.
pub async fn hide_foreign_pids(store: &Store, own_project: &str, jobs: Vec<Job>) -> Result<Vec<Job>, Error> {
    if !jobs.iter().any(Job::shows_pid) {
        return Ok(jobs);
    }
    Ok(read!(store, "jobs.hide_pids", |db| {
        let mut jobs = jobs.clone();
        jobs::hide_foreign_pids(db, own_project, &mut jobs).await?;
        Ok::<_, StoreError>(jobs)
    })?)
}
