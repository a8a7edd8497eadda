//! Rules of Freezer that need more than one row, or more than copying a document into columns.
//!
//! Each function is one change: it takes what the request said (validated), and runs one named transaction; but for
//! `job_reads`, which reads.
//! What must come from outside a transaction (ids, time) is made before it, because its body may run again.
//! No HTTP here, and no SQL: queries are `freezer_store::query`. Only `trusts` asks anybody but the database.

pub mod actions;
pub mod admission;
pub mod backups;
pub mod batcher;
pub mod clients;
mod job_actions;
pub mod job_events;
pub mod job_patch;
pub mod job_reads;
mod job_reports;
pub mod jobs;
pub mod scans;
mod schedule;
pub mod session_actions;
pub mod sessions;
pub mod trusts;

use std::sync::Arc;
use std::time::Duration;

use freezer_store::query::Page;
use freezer_store::{Scope, Search, Store, Timestamp, stored_size};
use serde_json::{Map, Value};

use crate::app::HttpSettings;
use crate::clock::Ids;
use crate::error::{Busy, Error};

/// Queues of requests that share a statement or a transaction, or wait for a slot. The service has one of these.
pub struct Queues {
    session_actions: session_actions::ActionExecutor,
    backups: backups::BackupWriter,
    job_reader: job_reads::JobReader,
    scans: scans::Scans,
    admission: Arc<admission::Admission>,
}

impl Queues {
    /// Creates empty queues. Batches use this store.
    pub fn new(store: &Store, http: &HttpSettings) -> Queues {
        Queues {
            session_actions: session_actions::executor(store),
            backups: backups::writer(store, http.max_body),
            job_reader: job_reads::JobReader::new(store),
            scans: scans::Scans::new(http.scans),
            admission: Arc::default(),
        }
    }

    /// Waits for a slot for a read, if the read may be long. The slot is to be kept until the read has ended.
    ///
    /// # Errors
    /// As [`scans::Scans::slot`].
    pub async fn scan_slot(
        &self,
        scope: &Scope,
        search: &Search,
        page: &Page,
    ) -> Result<Option<scans::Slot<'_>>, Busy> {
        self.scans.slot(scope, search, page).await
    }

    /// The requests that are at work with the database.
    pub fn admission(&self) -> &Arc<admission::Admission> {
        &self.admission
    }
}

/// Who changes what is whose, and when.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// The database.
    pub store: &'a Store,
    /// Queues of requests that share a statement or a transaction.
    pub queues: &'a Queues,
    /// Source of ids.
    pub ids: &'a Ids,
    /// The project that owns what is changed.
    pub project_id: &'a str,
    /// The caller.
    pub user_id: &'a str,
    /// How long a backup that is reported again is the one that was stored; none: never.
    pub repeat_window: Option<Duration>,
    /// Time of the change.
    pub now: Timestamp,
    /// `[api] max_document_bytes`.
    pub max_document: usize,
    /// `[api] max_job_actions`.
    pub max_job_actions: usize,
    /// How the caller entrusts jobs to central schedulers; none without Keystone.
    pub delegation: Option<trusts::Delegation<'a>>,
}

impl Change<'_> {
    /// The project's rows.
    pub fn scope(&self) -> Scope {
        Scope::project(self.project_id)
    }

    /// Refuses a document that is too large to be stored, or nested too deeply.
    fn fits(&self, field: &str, new: &Map<String, Value>) -> Result<(), Error> {
        self.fits_over(field, new, &Map::new())
    }

    /// As [`Change::fits`], but a document may take the place of one that is as large and as deep.
    fn fits_over(
        &self,
        field: &str,
        new: &Map<String, Value>,
        old: &Map<String, Value>,
    ) -> Result<(), Error> {
        let (limit, size) = (self.max_document, stored_size(new));
        if size > limit && size > stored_size(old) {
            return Err(Error::DocumentTooLarge { field: field.to_owned(), limit });
        }
        let levels = depth(new.values());
        if levels > DEPTH && levels > depth(old.values()) {
            return Err(Error::BadDocument(format!(
                "{field}: objects and lists are nested more than {DEPTH} levels deep"
            )));
        }
        Ok(())
    }
}

/// Objects and lists within each other in a document at most. The parser takes some more, because documents are shown inside
/// of others, which clients send back: an action in a job.
const DEPTH: usize = 100;

/// How many objects and lists are within each other, the one with these values included.
fn depth<'v>(values: impl Iterator<Item = &'v Value>) -> usize {
    let below = values.map(|value| match value {
        Value::Object(members) => depth(members.values()),
        Value::Array(items) => depth(items.iter()),
        _ => 0,
    });
    1 + below.max().unwrap_or(0)
}

/// What a replacement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// There was none of that id.
    Created,
    /// There was one.
    Replaced,
}

/// A text of a document; null and absent are the same.
fn text(document: &Map<String, Value>, key: &str) -> Option<String> {
    document.get(key).and_then(crate::validate::limits::to_text)
}

/// A number of a document; null and absent are the same.
fn int(document: &Map<String, Value>, key: &str) -> Option<i64> {
    document.get(key).and_then(crate::validate::limits::to_int).map(i64::from)
}

/// An object of a document; null, absent and the empty list are the same.
fn object(document: &Map<String, Value>, key: &str) -> Option<Map<String, Value>> {
    document.get(key).and_then(Value::as_object).cloned()
}

/// The id that a caller gives to a new document, or a new one: "" and null ask for one.
fn given_or_new(document: &Map<String, Value>, key: &str, ids: &Ids) -> String {
    text(document, key).filter(|id| !id.is_empty()).unwrap_or_else(|| ids.document())
}
