//! Backups: records reports of backups, and updates and deletes them in the catalogue.

use freezer_store::model::{Backup, NewBackup};
use freezer_store::query::backups::{self, Identity, Record};
use freezer_store::{Store, StoreError, read, single, transaction};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::batcher::{BatchLimits, Batcher, all_or_each};
use super::{Change, object};
use crate::error::Error;

/// Status of a backup if its document has none.
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
    Batcher::new(
        BatchLimits { batch, workers: WORKERS, backlog: 1 },
        move |(), records: Vec<Record>, deadline| {
            let store = store.until(deadline);
            let insert = async move |records: &[Record]| {
                single!(store, "backups.create", |db| backups::create(db, records).await)
            };
            async move { all_or_each(&records, insert).await }
        },
    )
}

/// The result of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedBackup {
    /// The id of the backup, which the server always chooses.
    pub backup_id: String,
    /// Whether this report was stored. False if an earlier report of the same backup was stored already.
    pub is_new: bool,
}

/// Records a backup. Backups that arrive at the same time share a statement, but a rejected one does not fail the others,
/// because agents do not retry. A backup that was recorded a short time ago is not recorded again.
pub async fn create(change: Change<'_>, mut document: Map<String, Value>) -> Result<RecordedBackup, Error> {
    let backup_id = change.ids.document();
    let status = take_status(&mut document).unwrap_or_else(|| AVAILABLE.to_owned());
    change.check_size("backup_metadata", &document)?;
    let identity = identity(&change, &document);
    let reported = identity.is_some().then(|| (document.clone(), status.clone()));
    let record = Record {
        backup_id: backup_id.clone(),
        identity,
        project_id: change.project_id.to_owned(),
        user_id: change.user_id.to_owned(),
        new: NewBackup { status, metadata: document },
        now: change.now,
    };
    let stored = change.queues.backups.submit((), record, change.store.deadline()).await;
    let stored = stored.map_err(|no_answer| no_answer.into_write_error("backups.create"))??;
    let is_new = stored == backup_id;
    if let (false, Some((document, status))) = (is_new, reported) {
        warn_of_differences(&change, &stored, &document, &status).await;
    }
    Ok(RecordedBackup { is_new, backup_id: stored })
}

/// Logs the fields in which a repeated report differs from the stored backup. An agent that retries sends the same report. If
/// another agent reports a backup with the same identity, its operator must know.
async fn warn_of_differences(
    change: &Change<'_>,
    backup_id: &str,
    document: &Map<String, Value>,
    status: &str,
) {
    let stored: Result<_, StoreError> =
        read!(change.store, "backups.compare", |db| backups::get(db, &change.scope(), backup_id).await);
    let Ok(Some(stored)) = stored else { return };
    let known: Map<String, Value> = serde_json::from_str(stored.backup_metadata.get()).unwrap_or_default();
    let fields = differing(&known, document, (stored.status != status).then_some("status"));
    if !fields.is_empty() {
        tracing::warn!(
            backup_id,
            "a backup was reported again with different values of {}; the stored backup is unchanged. Agents that report \
             different backups must not use the same {}",
            fields.join(", "),
            IDENTITY.join(", ")
        );
    }
}

/// Maximum number of fields in a warning.
const MAX_FIELDS: usize = 20;

/// Returns the names of the fields whose values differ, or that only one of the documents has.
fn differing<'a>(
    stored: &'a Map<String, Value>,
    reported: &'a Map<String, Value>,
    further: Option<&'a str>,
) -> Vec<&'a str> {
    let changed =
        reported.iter().filter(|(key, value)| stored.get(*key) != Some(value)).map(|(key, _)| key.as_str());
    let missing = stored.keys().filter(|key| !reported.contains_key(*key)).map(String::as_str);
    let mut fields: Vec<&str> = further.into_iter().chain(changed).chain(missing).collect();
    fields.sort_unstable();
    fields.truncate(MAX_FIELDS);
    fields
}

/// The keys of a report that identify a backup, in addition to its project and user.
const IDENTITY: [&str; 6] =
    ["hostname", "backup_name", "container", "time_stamp", "curr_backup_level", "job_id"];

/// Returns the identity of a backup. None if it has no time stamp, because only the time stamp distinguishes the backups of a
/// series.
fn identity(change: &Change<'_>, document: &Map<String, Value>) -> Option<Identity> {
    let window = change.repeat_window?;
    document.get("time_stamp").filter(|stamp| !stamp.is_null())?;
    let values = IDENTITY.map(|key| document.get(key));
    let text = serde_json::to_vec(&(change.project_id, change.user_id, values)).ok()?;
    let hash = Sha256::digest(text).iter().copied().take(16).collect();
    Some(Identity { hash, window: i64::try_from(window.as_secs()).unwrap_or(i64::MAX) })
}

/// Updates the status and the metadata of a backup. The keys of the metadata may be in `backup_metadata` or at the top level,
/// because agents of 19.0.0 send them at the top level. Returns the updated document.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such backup.
pub async fn update(
    change: Change<'_>,
    backup_id: &str,
    mut patch: Map<String, Value>,
) -> Result<Backup, Error> {
    for read_only in ["user_id", "backup_id", "project_id"] {
        patch.remove(read_only);
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
        change.check_growth("backup_metadata", &stored.metadata, &old)?;
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
/// [`Error::NotFound`] if the project has no such backup.
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differing_fields_are_named() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let known = map(json!({"hostname": "h", "size": 1, "tags": ["a"], "old": null}));
        assert!(differing(&known, &known, None).is_empty());
        let reported = map(json!({"hostname": "h", "size": 2, "tags": ["a", "b"], "new": 1}));
        assert_eq!(differing(&known, &reported, Some("status")), ["new", "old", "size", "status", "tags"]);
        let many = (0..100).map(|n| (format!("k{n}"), json!(n))).collect();
        assert_eq!(differing(&known, &many, None).len(), MAX_FIELDS);
    }
}
