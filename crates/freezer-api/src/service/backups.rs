//! Backups: what is recorded of one, and how a patch changes it.

use std::sync::Arc;

use freezer_store::model::{Backup, NewBackup};
use freezer_store::query::backups::{self, Identity, Record};
use freezer_store::{StoreError, single, transaction};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::together::{Pace, Together, each};
use super::{Change, object};
use crate::error::Error;

/// State of a backup whose document names none.
const AVAILABLE: &str = "available";

/// Backups that wait to be recorded: they are stored several at a time ([`Together`]).
pub type Waiting = Together<(), Record, Result<String, StoreError>>;

/// Statements under way at a time: the next ones are written while others wait for the disk.
const LANES: usize = 2;
/// Bytes of documents in one statement: the smallest limit that servers have by default is 16 MiB.
const BYTES_AT_ONCE: usize = 4 << 20;

/// A queue for documents of so many bytes at most.
pub fn waiting(max_body: usize) -> Arc<Waiting> {
    let most = (BYTES_AT_ONCE / max_body.max(1)).clamp(1, backups::STORED_AT_ONCE);
    Together::new(Pace { most, lanes: LANES, crowd: 1 })
}

/// A backup that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its id, which is always the server's.
    pub backup_id: String,
    /// Whether it was recorded just now, and not by an earlier report of the same backup.
    pub is_new: bool,
}

/// Records a backup. One statement, which other backups may share: a row of the catalogue that fails here is lost, since
/// agents do not try again. A backup that was recorded moments ago is not recorded again.
///
/// # Errors
/// The store's.
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
    let store = change.store.clone();
    let work = move |records: Vec<Record>, deadline| {
        let store = store.until(deadline);
        let some = async move |records: &[Record]| {
            single!(store, "backups.create", |db| backups::create(db, records).await)
        };
        async move { each(&records, some).await }
    };
    let stored = change.queues.backups.carry_out((), record, change.store.deadline(), work).await;
    let stored = stored.map_err(|unanswered| unanswered.of_write("backups.create"))??;
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
