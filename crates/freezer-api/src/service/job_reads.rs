//! Jobs as they are read: what several requests read at the same time is read in one statement ([`Together`]).
//!
//! A request that meets no other is answered by a statement of its own. What a statement says began after the request came,
//! so nobody sees less than what was stored before. How jobs are read is `freezer_store::query::jobs`.

use std::sync::Arc;

use freezer_store::model::Job;
use freezer_store::query::jobs::{self, Poll, Unread};
use freezer_store::query::{Listed, Page};
use freezer_store::{Scope, Search, Store, StoreError, read};

use super::Queues;
use super::together::{Pace, Together, each};
use crate::error::Error;

/// Jobs by their ids. A statement for several costs little more than that for one: another goes beside it where more
/// wait than it takes.
const SHOWING: Pace = Pace { most: jobs::AT_ONCE, lanes: 4, crowd: jobs::AT_ONCE + 1 };
/// Polls. A statement is for few, so that the answers of one are written while the database reads for the next, and another
/// goes beside it where more wait than it takes: those that end together leave the database nothing to do.
const POLLING: Pace = Pace { most: jobs::POLLS_AT_ONCE, lanes: 4, crowd: jobs::POLLS_AT_ONCE + 1 };

/// An answer to each of several requests.
type Read<T> = Result<Option<T>, StoreError>;

/// Requests for jobs that wait to be read.
pub struct Waiting {
    /// Jobs by their ids.
    shown: Arc<Together<Scope, String, Read<Job>>>,
    /// Polls, by the clients that ask.
    polled: Arc<Together<Poll, String, Read<Unread>>>,
}

impl Default for Waiting {
    /// Empty queues.
    fn default() -> Waiting {
        Waiting { shown: Together::new(SHOWING), polled: Together::new(POLLING) }
    }
}

/// A job by its id; `None` where the scope has none.
///
/// # Errors
/// The store's.
pub async fn show(
    store: &Store,
    queues: &Queues,
    scope: &Scope,
    job_id: String,
) -> Result<Option<Job>, Error> {
    let (store, of) = (store.clone(), scope.clone());
    let deadline = store.deadline();
    let work = move |ids: Vec<String>, deadline| {
        let (store, scope) = (store.until(deadline), of.clone());
        let some = async move |ids: &[String]| {
            read!(store, "jobs.show", |db| jobs::get_several(db, &scope, ids).await)
        };
        async move { each(&ids, some).await }
    };
    let shown = queues.job_reads.shown.carry_out(scope.clone(), job_id, deadline, work).await;
    Ok(shown.map_err(|unanswered| unanswered.of_read("jobs.show"))??)
}

/// A page of jobs. `caller`: the project of a caller who may not see process ids of other projects' nodes.
///
/// # Errors
/// The store's.
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
    let (store, kind) = (store.clone(), poll.clone());
    let deadline = store.deadline();
    let work = move |clients: Vec<String>, deadline| {
        let (store, kind) = (store.until(deadline), kind.clone());
        let some = async move |clients: &[String]| {
            read!(store, "jobs.list", |db| jobs::list_polls(db, &kind, clients).await)
        };
        async move { each(&clients, some).await }
    };
    let listed = queues.job_reads.polled.carry_out(poll, client.to_owned(), deadline, work).await;
    match listed.map_err(|unanswered| unanswered.of_read("jobs.list"))?? {
        Some(unread) => Ok(unread.read()?),
        None => Ok(None),
    }
}

/// Takes the process id out of jobs whose client the caller's project does not own.
///
/// # Errors
/// The store's.
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
