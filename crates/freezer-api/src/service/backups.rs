//! Backups: what is recorded of one, and how a patch changes it.

use freezer_store::model::{Backup, NewBackup};
use freezer_store::query::backups::{self, Identity, Record};
use freezer_store::{Store, StoreError, single, transaction};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::batcher::{Batcher, Limits, all_or_each};
use super::{Change, object};
use crate::error::Error;

/// State of a backup whose document names none.
const AVAILABLE: &str = "available";

/// Stores new backups, several in one statement, and returns their ids.
pub type BackupWriter = Batcher<(), Record, Result<String, StoreError>>;

/// Workers of [`BackupWriter`]: a statement is sent while another one waits for the disk.
const WORKERS: usize = 2;
/// Maximum size of the documents in one statement. The smallest limit that servers have by default is 16 MiB.
const BATCH_BYTES: usize = 4 << 20;

/// Creates the writer of backups. A document has at most `max_body` bytes.
pub fn writer(store: &Store, max_body: usize) -> BackupWriter {
    let batch = (BATCH_BYTES / max_body.max(1)).clamp(1, backups::STORED_AT_ONCE);
    let store = store.clone();
    Batcher::new(Limits { batch, workers: WORKERS, backlog: 1 }, move |(), records: Vec<Record>, deadline| {
        let store = store.until(deadline);
        let insert = async move |records: &[Record]| {
            single!(store, "backups.create", |db| backups::create(db, records).await)
        };
        async move { all_or_each(&records, insert).await }
    })
}

/// A backup that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its id, which is always the server's.
    pub backup_id: String,
    /// Whether it was recorded just now, and not by an earlier report of the same backup.
    pub is_new: bool,
}

/// Records a backup. Backups that arrive at the same time share a statement, but a rejected one does not fail the others,
/// because agents do not retry. A backup that was recorded a short time ago is not recorded again.
pub async fn create(change: Change<'_>, mut document: Map<String, Value>) -> Result<Recorded, Error> {
    let backup_id = change.ids.document();
    let status = take_status(&mut document).unwrap_or_else(|| AVAILABLE.to_owned());
    change.fits("backup_metadata", &document)?;
    let identity = identity(&change, &document);
    let record = Record {
        backup_id: backup_id.clone(),
        identity,
        project_id: change.project_id.to_owned(),
        user_id: change.user_id.to_owned(),
        new: NewBackup { status, metadata: document },
        now: change.now,
    };
    let stored = change.queues.backups.submit((), record, change.store.deadline()).await;
    let stored = stored.map_err(|no_answer| no_answer.of_write("backups.create"))??;
    Ok(Recorded { is_new: stored == backup_id, backup_id: stored })
}

/// The keys of a report that make a backup the same one, beside its project and user.
const IDENTITY: [&str; 6] =
    ["hostname", "backup_name", "container", "time_stamp", "curr_backup_level", "job_id"];

/// What makes a backup the same one. None without a time stamp, which alone tells the backups of a series apart.
fn identity(change: &Change<'_>, document: &Map<String, Value>) -> Option<Identity> {
    let window = change.repeat_window?;
    document.get("time_stamp").filter(|stamp| !stamp.is_null())?;
    let values = IDENTITY.map(|key| document.get(key));
    let text = serde_json::to_vec(&(change.project_id, change.user_id, values)).ok()?;
    let hash = Sha256::digest(text).iter().copied().take(16).collect();
    Some(Identity { hash, window: i64::try_from(window.as_secs()).unwrap_or(i64::MAX) })
}

/// Changes status and metadata of a backup: keys inside `backup_metadata` and flat ones alike, since the
/// agents of 19.0.0 send them flat. Returns the whole document.
///
/// # Errors
/// [`Error::NotFound`] where the project has no such backup.
pub async fn update(
    change: Change<'_>,
    backup_id: &str,
    mut patch: Map<String, Value>,
) -> Result<Backup, Error> {
    for not_applied in ["user_id", "backup_id", "project_id"] {
        patch.remove(not_applied);
    }
    let status = take_status(&mut patch);
    let nested = object(&patch, "backup_metadata").unwrap_or_default();
    patch.remove("backup_metadata");
    transaction!(change.store, "backups.update", |db| {
        let scope = change.scope();
        let Some(mut stored) = backups::get_for_update(db, &scope, backup_id).await? else {
            return Err(Error::not_found("backup", backup_id));
        };
        let old = stored.metadata.clone();
        stored.metadata.extend(patch.clone());
        stored.metadata.extend(nested.clone());
        change.fits_over("backup_metadata", &stored.metadata, &old)?;
        if let Some(status) = &status {
            stored.status.clone_from(status);
        }
        backups::update(db, &scope, backup_id, &stored, change.now).await?;
        if IDENTITY.iter().any(|key| old.get(*key) != stored.metadata.get(*key)) {
            backups::forget_identity(db, &scope, backup_id).await?;
        }
        let updated = backups::get(db, &scope, backup_id).await?;
        updated.ok_or_else(|| Error::not_found("backup", backup_id))
    })
}

/// Deletes a backup from the catalogue.
///
/// # Errors
/// [`Error::NotFound`] where the project has no such backup.
pub async fn delete(change: Change<'_>, backup_id: &str) -> Result<(), Error> {
    let deleted = single!(change.store, "backups.delete", |db| {
        Ok::<_, Error>(backups::delete(db, &change.scope(), backup_id, change.now).await?)
    })?;
    if deleted { Ok(()) } else { Err(Error::not_found("backup", backup_id)) }
}

fn take_status(document: &mut Map<String, Value>) -> Option<String> {
    match document.shift_remove("status") {
        Some(Value::String(status)) => Some(status),
        _ => None,
    }
}
