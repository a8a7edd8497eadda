//! Rules of Freezer that need more than one row, or more than copying a document into columns.
//!
//! Each function makes one change: it gets the validated request and runs one named transaction. The exception is
//! `job_reads`, which reads. Ids and times are chosen before the transaction, because its body may run again.
//!
//! This module contains neither HTTP nor SQL. Queries are in `freezer_store::query`. Only `trusts` uses another service
//! (Keystone) in addition to the database.

pub mod actions;
pub mod admission;
pub mod answers;
pub mod backups;
pub mod batcher;
pub mod clients;
mod job_actions;
pub mod job_events;
pub mod job_reads;
mod job_reports;
pub mod jobs;
pub mod oversized;
pub mod run_log;
pub mod scans;
mod schedule;
pub mod session_actions;
pub mod sessions;
pub mod trusts;

use std::sync::Arc;
use std::time::Duration;

use freezer_store::{Scope, Store, Timestamp, stored_size};
use serde_json::{Map, Value};

use crate::clock::Ids;
use crate::error::Error;
use crate::metrics::{BatchQueue, Metrics};

/// Queues of requests that share a statement or a transaction, or wait for a slot. The service has one of these.
pub struct Queues {
    session_actions: session_actions::ActionExecutor,
    backups: backups::BackupWriter,
    job_reader: job_reads::JobReader,
    scans: scans::Scans,
    answers: Arc<answers::Answers>,
    oversized: oversized::Oversized,
    admission: Arc<admission::Admission>,
}

/// The limits of [`Queues`].
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// `[oslo_middleware] max_request_body_size`, bytes.
    pub max_body: usize,
    /// `[api] max_answer_bytes`.
    pub max_answers: usize,
    /// Limits of requests that wait for the database.
    pub waiting: admission::AdmissionLimits,
    /// Limits of simultaneous searches.
    pub scans: scans::ScanLimits,
}

impl Queues {
    /// Creates empty queues. Batches use this store, and their sizes are measured.
    pub fn new(store: &Store, limits: QueueLimits, metrics: &Metrics) -> Queues {
        let answers = Arc::new(answers::Answers::new(limits.max_answers, limits.scans));
        Queues {
            session_actions: session_actions::executor(store, answers.clone())
                .measured(metrics.batch_sizes(BatchQueue::SessionActions)),
            backups: backups::writer(store, limits.max_body)
                .measured(metrics.batch_sizes(BatchQueue::Backups)),
            job_reader: job_reads::JobReader::new(store, metrics),
            scans: scans::Scans::new(limits.scans),
            answers,
            oversized: oversized::Oversized::default(),
            admission: Arc::new(admission::Admission::new(limits.waiting)),
        }
    }

    /// Returns the slots of searches. The caller must keep its slot until the read has ended.
    pub fn scans(&self) -> &scans::Scans {
        &self.scans
    }

    /// Returns the budget of large answers.
    pub fn answers(&self) -> &answers::Answers {
        &self.answers
    }

    /// Returns the warnings about documents that are too large to be read.
    pub fn oversized(&self) -> &oversized::Oversized {
        &self.oversized
    }

    /// Returns the counter of requests that use the database.
    pub fn admission(&self) -> &Arc<admission::Admission> {
        &self.admission
    }
}

/// The context of a change: the caller, the owner of the changed rows, the time and the limits.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// The database.
    pub store: &'a Store,
    /// Queues of requests that share a statement or a transaction.
    pub queues: &'a Queues,
    /// Source of ids.
    pub ids: &'a Ids,
    /// The project that owns the changed rows.
    pub project_id: &'a str,
    /// The caller.
    pub user_id: &'a str,
    /// Time during which a repeated report of a backup is recognized. None if repeated reports are stored again.
    pub repeat_window: Option<Duration>,
    /// Time of the change.
    pub now: Timestamp,
    /// `[api] max_document_bytes`.
    pub max_document: usize,
    /// `[api] max_job_actions`.
    pub max_job_actions: usize,
    /// The caller's token for creating trusts. None without Keystone.
    pub delegation: Option<trusts::Delegation<'a>>,
}

impl Change<'_> {
    /// Returns the scope with the project's rows.
    pub fn scope(&self) -> Scope {
        Scope::project(self.project_id)
    }

    /// Refuses a new document that is too large or nested too deeply.
    fn check_size(&self, field: &str, new: &Map<String, Value>) -> Result<(), Error> {
        self.check_growth(field, new, Extent::of(&Map::new()))
    }

    /// Refuses a document that is too large or nested too deeply, unless the document that it replaces is at least as large
    /// and as deep.
    fn check_growth(&self, field: &str, new: &Map<String, Value>, old: Extent) -> Result<(), Error> {
        let (limit, new) = (self.max_document, Extent::of(new));
        if new.bytes > limit && new.bytes > old.bytes {
            return Err(Error::DocumentTooLarge { field: field.to_owned(), limit });
        }
        if new.levels > DEPTH && new.levels > old.levels {
            return Err(Error::BadDocument(format!(
                "{field}: objects and lists are nested more than {DEPTH} levels deep"
            )));
        }
        Ok(())
    }
}

/// Size and depth of a document. They are taken before a change, so that the change needs no copy of the document.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// Size in its column.
    bytes: usize,
    /// Depth of nested objects and lists.
    levels: usize,
}

impl Extent {
    fn of(document: &Map<String, Value>) -> Extent {
        Extent { bytes: stored_size(document), levels: depth(document.values()) }
    }
}

/// Maximum depth of nested objects and lists in a document. The parser accepts some more levels, because clients send back
/// documents that contain others: a job contains its actions.
const DEPTH: usize = 100;

/// Returns the depth of nested objects and lists, including the one that has these values.
fn depth<'v>(values: impl Iterator<Item = &'v Value>) -> usize {
    let below = values.map(|value| match value {
        Value::Object(members) => depth(members.values()),
        Value::Array(items) => depth(items.iter()),
        _ => 0,
    });
    1 + below.max().unwrap_or(0)
}

/// The result of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The id was new, so a document was created.
    Created,
    /// An existing document was replaced.
    Replaced,
}
