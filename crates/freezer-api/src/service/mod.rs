//! Rules of Freezer that involve several rows, or more than copying a document into columns.
//!
//! Each function is one change: it gets the validated content of a request and runs one named transaction. `job_reads`
//! is an exception, because it only reads. Ids and times are created before the transaction, because its body may run
//! again. There is no HTTP and no SQL here: queries are in `freezer_store::query`. Only `trusts` calls another service
//! than the database.

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

    /// Waits for a slot for a read, if the read may be long. The slot must be kept until the read has ended.
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

    /// Returns the counter of requests that use the database.
    pub fn admission(&self) -> &Arc<admission::Admission> {
        &self.admission
    }
}

/// The context of a change: its caller, project and time.
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
    /// The time in which a repeated report of a backup is recognized. `None`: reports are never compared.
    pub repeat_window: Option<Duration>,
    /// The time of the change.
    pub now: Timestamp,
    /// `[api] max_document_bytes`.
    pub max_document: usize,
    /// `[api] max_job_actions`.
    pub max_job_actions: usize,
    /// The token and roles with which trusts are created. `None` without Keystone.
    pub delegation: Option<trusts::Delegation<'a>>,
}

impl Change<'_> {
    /// Returns the scope of the project's rows.
    pub fn scope(&self) -> Scope {
        Scope::project(self.project_id)
    }

    /// Rejects a document that is too large or has too many levels.
    fn fits(&self, field: &str, new: &Map<String, Value>) -> Result<(), Error> {
        self.fits_over(field, new, &Map::new())
    }

    /// Does the same as [`Change::fits`], but accepts a document that replaces one of the same size and depth.
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

/// Maximum depth of objects and lists in a document. The parser accepts more levels, because clients send back
/// documents that are parts of others, such as an action in a job.
const DEPTH: usize = 100;

/// Returns the depth of objects and lists, including the one that contains these values.
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
    /// The id did not exist.
    Created,
    /// The id existed.
    Replaced,
}

/// Returns a text of a document. Null counts as missing.
fn text(document: &Map<String, Value>, key: &str) -> Option<String> {
    document.get(key).and_then(crate::validate::limits::to_text)
}

/// Returns a number of a document. Null counts as missing.
fn int(document: &Map<String, Value>, key: &str) -> Option<i64> {
    document.get(key).and_then(crate::validate::limits::to_int).map(i64::from)
}

/// Returns an object of a document. Null and the empty list count as missing.
fn object(document: &Map<String, Value>, key: &str) -> Option<Map<String, Value>> {
    document.get(key).and_then(Value::as_object).cloned()
}

/// Returns the id that a caller gives to a new document. If it is missing, "" or null, returns a new id.
fn given_or_new(document: &Map<String, Value>, key: &str, ids: &Ids) -> String {
    text(document, key).filter(|id| !id.is_empty()).unwrap_or_else(|| ids.document())
}
