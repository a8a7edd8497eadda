//! [`JobReader`]: reads jobs. Requests for single jobs and polls that arrive at the same time share a statement.
//!
//! A lone request is a batch of one. A statement starts after the requests that it answers, so each request sees the data that
//! was committed before it was sent. If a shared statement does not have the whole answer of a request, the request is read by
//! itself. The statements are in `freezer_store::query::jobs`.

use freezer_store::model::Job;
use freezer_store::query::jobs::{self, JobRows, Poll};
use freezer_store::query::{Listed, Page};
use freezer_store::{Scope, Search, Store, StoreError, read};

use super::Queues;
use super::batcher::{BatchLimits, Batcher};
use crate::error::Error;
use crate::metrics::{BatchQueue, Metrics};

/// A list of jobs that a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum JobQuery {
    /// A scheduler's poll.
    Poll {
        /// The project of the jobs.
        project_id: String,
        /// The client, and the size of the page.
        poll: Poll,
    },
    /// Any other list.
    Search {
        /// The projects of the jobs.
        scope: Scope,
        /// Conditions on jobs.
        search: Search,
        /// Part of the list.
        page: Page,
    },
}

/// Limits for single jobs. A statement for several costs little more than one for a single job, so another worker starts only
/// if more requests wait than one statement takes.
const SHOWN: BatchLimits =
    BatchLimits { batch: jobs::IDS_AT_ONCE, workers: 4, backlog: jobs::IDS_AT_ONCE + 1 };

/// Limits for polls. Batches are small, so the answers of one are written while the database runs the next one.
const POLLED: BatchLimits =
    BatchLimits { batch: jobs::POLLS_AT_ONCE, workers: 4, backlog: jobs::POLLS_AT_ONCE + 1 };

/// The rows of a request. None if it must be read by itself.
type BatchedRows = Result<Option<JobRows>, StoreError>;

/// Reads jobs in batches.
pub struct JobReader {
    /// Single jobs of a scope, by their ids.
    shown: Batcher<Scope, String, BatchedRows>,
    /// Polls in a project.
    polled: Batcher<String, Poll, BatchedRows>,
}

impl JobReader {
    /// Creates a reader whose batches use this store.
    pub fn new(store: &Store, metrics: &Metrics) -> JobReader {
        let (for_shown, for_polled) = (store.clone(), store.clone());
        JobReader {
            shown: Batcher::new(SHOWN, move |scope: Scope, ids: Vec<String>, deadline| {
                let store = for_shown.until(deadline).for_requests(ids.len());
                async move {
                    let rows = read!(store, "jobs.show", |db| jobs::rows_of_ids(db, &scope, &ids).await);
                    each(rows, ids.len())
                }
            })
            .measured(metrics.batch_sizes(BatchQueue::Jobs)),
            polled: Batcher::new(POLLED, move |project_id: String, polls: Vec<Poll>, deadline| {
                let store = for_polled.until(deadline).for_requests(polls.len());
                async move {
                    let rows =
                        read!(store, "jobs.list", |db| jobs::rows_of_polls(db, &project_id, &polls).await);
                    each(rows, polls.len())
                }
            })
            .measured(metrics.batch_sizes(BatchQueue::Polls)),
        }
    }
}

/// Returns the result of a batch for each of its requests. If a shared statement fails, each request is read by itself. If the
/// database is not available, every request gets this error.
fn each(rows: Result<Vec<Option<JobRows>>, StoreError>, requests: usize) -> Vec<BatchedRows> {
    match rows {
        Ok(rows) => rows.into_iter().map(Ok).collect(),
        Err(error) if requests < 2 || error.is_outage() => {
            (0..requests).map(|_| Err(error.clone())).collect()
        }
        Err(_) => (0..requests).map(|_| Ok(None)).collect(),
    }
}

/// Returns a job of the scope by its id.
pub async fn show(
    store: &Store,
    queues: &Queues,
    scope: &Scope,
    job_id: String,
) -> Result<Option<Job>, Error> {
    let rows = queues.job_reader.shown.submit(scope.clone(), job_id.clone(), store.deadline()).await;
    match rows.map_err(|no_answer| no_answer.into_read_error("jobs.show"))?? {
        Some(rows) => Ok(rows.job()?),
        None => Ok(read!(store, "jobs.show", |db| jobs::get(db, scope, &job_id).await)?),
    }
}

/// Returns a page of jobs. `caller` is the project of a caller who must not see process ids of other projects' nodes.
pub async fn list(
    store: &Store,
    queues: &Queues,
    query: &JobQuery,
    caller: Option<&str>,
) -> Result<Listed<Job>, Error> {
    match query {
        JobQuery::Poll { project_id, poll } => read_poll(store, queues, project_id, poll).await,
        JobQuery::Search { scope, search, page } => {
            let _slot = queues.scans().slot(scope, search, page, store.deadline()).await?;
            Ok(read!(store, "jobs.list", |db| jobs::list_for(db, scope, search, page, caller).await)?)
        }
    }
}

async fn read_poll(
    store: &Store,
    queues: &Queues,
    project_id: &str,
    poll: &Poll,
) -> Result<Listed<Job>, Error> {
    let rows = queues.job_reader.polled.submit(project_id.to_owned(), poll.clone(), store.deadline()).await;
    let rows = rows.map_err(|no_answer| no_answer.into_read_error("jobs.list"))??;
    if let Some(listed) = rows.map_or(Ok(None), |rows| rows.page(poll))? {
        return Ok(listed);
    }
    // no slot: a scheduler does not wait for the searches of its project
    let (scope, search, page) = (Scope::project(project_id), poll.search(), poll.page());
    Ok(read!(store, "jobs.list", |db| jobs::list(db, &scope, &search, &page).await)?)
}

/// Removes the process id from jobs whose client the caller's project does not own.
pub async fn hide_foreign_pids(store: &Store, own_project: &str, jobs: &mut [Job]) -> Result<(), Error> {
    if !jobs.iter().any(Job::shows_pid) {
        return Ok(());
    }
    let seen: &[Job] = jobs;
    let owned: Result<_, StoreError> =
        read!(store, "jobs.hide_pids", |db| jobs::with_own_client(db, own_project, seen).await);
    let owned = owned?;
    jobs.iter_mut().filter(|job| !owned.contains(&job.job_id)).for_each(Job::hide_pid);
    Ok(())
}
