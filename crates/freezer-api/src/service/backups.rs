//! Backups: records reports of backups, and updates and deletes them in the catalogue.

use freezer_store::model::{Backup, NewBackup};
use freezer_store::query::backups::{self, Identity, Record};
use freezer_store::{Store, StoreError, read, single, stored_size, transaction};
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

use super::batcher::{BatchLimits, Batcher, all_or_each};
use super::{Change, Extent};
use crate::error::Error;
use crate::validate::documents::BackupDocument;

/// Maximum size of the keys of a backup beside its metadata.
const BESIDE: u64 = 4 << 10;

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
            let store = store.until(deadline).for_requests(records.len());
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
pub async fn create(change: Change<'_>, document: BackupDocument) -> Result<RecordedBackup, Error> {
    let BackupDocument { status, metadata } = document;
    let backup_id = change.ids.document();
    let status = status.unwrap_or_else(|| AVAILABLE.to_owned());
    change.check_size("backup_metadata", &metadata)?;
    let identity = identity(&change, &metadata);
    let reported = identity.is_some().then(|| (metadata.clone(), status.clone()));
    let record = Record {
        backup_id: backup_id.clone(),
        identity,
        project_id: change.project_id.to_owned(),
        user_id: change.user_id.to_owned(),
        new: NewBackup { status, metadata },
        now: change.now,
    };
    let stored = change.queues.backups.submit((), record, change.store.deadline()).await;
    let stored = stored.map_err(|no_answer| no_answer.into_write_error("backups.create"))??;
    let is_new = stored == backup_id;
    if let (false, Some((metadata, status))) = (is_new, reported) {
        warn_of_differences(&change, &stored, &metadata, &status).await;
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
    let is_changed = |(key, value): &(&String, &Value)| match stored.get(*key) {
        Some(stored) if IDENTITY.contains(&key.as_str()) => plain(key, stored) != plain(key, value),
        stored => stored != Some(value),
    };
    let changed = reported.iter().filter(is_changed).map(|(key, _)| key.as_str());
    let missing = stored.keys().filter(|key| !reported.contains_key(*key)).map(String::as_str);
    let mut fields: Vec<&str> = further.into_iter().chain(changed).chain(missing).collect();
    fields.sort_unstable();
    fields.truncate(MAX_FIELDS);
    fields
}

/// The keys of a report that identify a backup, in addition to its project and user.
const IDENTITY: [&str; 6] =
    ["hostname", "backup_name", "container", "time_stamp", "curr_backup_level", "job_id"];
/// Those of them that are numbers. The others are texts.
const NUMBERS: [&str; 2] = ["time_stamp", "curr_backup_level"];

/// Returns the identity of a backup. None if it has no time stamp, because only the time stamp distinguishes the backups of a
/// series.
fn identity(change: &Change<'_>, document: &Map<String, Value>) -> Option<Identity> {
    let window = change.repeat_window?;
    document.get("time_stamp").filter(|stamp| !stamp.is_null())?;
    let text = serde_json::to_vec(&(change.project_id, change.user_id, identifying(document))).ok()?;
    let hash = Sha256::digest(text).iter().copied().take(16).collect();
    Some(Identity { hash, window: i64::try_from(window.as_secs()).unwrap_or(i64::MAX) })
}

/// Returns the values of [`IDENTITY`].
fn identifying(document: &Map<String, Value>) -> [Value; 6] {
    IDENTITY.map(|key| document.get(key).map_or(Value::Null, |value| plain(key, value)))
}

/// Returns the plain form of a value of [`IDENTITY`], in which a number and its text are the same, and 77.0 is 77. A text is
/// only read as a number if the key is one of [`NUMBERS`], so the names `1.1` and `1.10` stay different.
fn plain(key: &str, value: &Value) -> Value {
    let is_number = NUMBERS.contains(&key);
    match value {
        Value::Number(number) if is_number => whole(number),
        Value::Number(number) => whole(number).to_string().into(),
        Value::String(text) if is_number => parsed(text.trim()).as_ref().map_or_else(|| value.clone(), whole),
        other => other.clone(),
    }
}

fn parsed(text: &str) -> Option<Number> {
    let whole = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
    whole.ok().or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64))
}

/// Returns a number in its shortest form, as a whole one if it is.
fn whole(number: &Number) -> Value {
    /// From here on, neighbouring whole numbers are the same float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(whole) = number.as_i64().map(Value::from).or_else(|| number.as_u64().map(Value::from)) {
        return whole;
    }
    match number.as_f64().filter(|_| number.is_f64()) {
        #[allow(clippy::cast_possible_truncation, reason = "whole and in range")]
        Some(float) if float.fract() == 0.0 && float.abs() < EXACT => Value::from(float as i64),
        Some(float) => Value::from(float),
        None => Value::Number(number.clone()),
    }
}

/// Updates the status and the metadata of a backup. Returns the updated document.
///
/// # Errors
/// [`Error::NotFound`] if the project has no such backup; [`StoreError::TooLarge`] if the updated document would be larger than
/// `max_bytes`.
pub async fn update(
    change: Change<'_>,
    backup_id: &str,
    patch: &BackupDocument,
    max_bytes: u64,
) -> Result<Backup, Error> {
    let store = &change.store.changing([("backups", backup_id)]);
    transaction!(store, "backups.update", |db| {
        let scope = change.scope();
        let Some(mut stored) = backups::get_for_update(db, &scope, backup_id).await? else {
            return Err(Error::not_found("backup", backup_id));
        };
        let (old, old_identity) = (Extent::of(&stored.metadata), identifying(&stored.metadata));
        stored.metadata.extend(patch.metadata.clone());
        change.check_growth("backup_metadata", &stored.metadata, old)?;
        if let Some(status) = &patch.status {
            stored.status.clone_from(status);
        }
        let bytes = stored_size(&stored.metadata) as u64 + BESIDE;
        if bytes > max_bytes {
            let (doing, what, id) = ("backups.update", "backup", backup_id.to_owned());
            return Err(StoreError::TooLarge { doing, what, id, bytes }.into());
        }
        backups::update(db, &scope, backup_id, &stored, change.now).await?;
        if old_identity != identifying(&stored.metadata) {
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
    let store = &change.store.changing([("backups", backup_id)]);
    let deleted = single!(store, "backups.delete", |db| {
        Ok::<_, Error>(backups::delete(db, &change.scope(), backup_id, change.now).await?)
    })?;
    if deleted { Ok(()) } else { Err(Error::not_found("backup", backup_id)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn differing_fields_are_named() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let known = map(json!({"hostname": "h", "size": 1, "tags": ["a"], "old": null}));
        assert!(differing(&known, &known, None).is_empty());
        let reported = map(json!({"hostname": "h", "size": 2, "tags": ["a", "b"], "new": 1}));
        assert_eq!(differing(&known, &reported, Some("status")), ["new", "old", "size", "status", "tags"]);
        let numbers = map(json!({"time_stamp": 77, "size": 1}));
        let said = map(json!({"time_stamp": "77.0", "size": "1"}));
        assert_eq!(differing(&numbers, &said, None), ["size"]);
        let many = (0..100).map(|n| (format!("k{n}"), json!(n))).collect();
        assert_eq!(differing(&known, &many, None).len(), MAX_FIELDS);
    }

    #[test]
    fn numbers_and_their_texts_identify_the_same_backup() {
        let same: &[(&str, &[Value])] = &[
            (
                "time_stamp",
                &[json!(77), json!(77.0), json!("77"), json!("77.0"), json!(" 77"), json!("7.7e1")],
            ),
            ("curr_backup_level", &[json!(0), json!(0.0), json!(-0.0), json!("0"), json!("-0")]),
            ("time_stamp", &[json!(77.5), json!("77.5"), json!("77.50")]),
            ("time_stamp", &[json!(u64::MAX), json!(u64::MAX.to_string())]),
            ("time_stamp", &[json!(i64::MIN), json!(i64::MIN.to_string())]),
            ("job_id", &[json!(7), json!(7.0), json!("7")]),
            ("hostname", &[json!(1.5), json!("1.5")]),
        ];
        for (key, values) in same {
            for value in *values {
                assert_eq!(plain(key, value), plain(key, &values[0]), "{key}: {value}");
            }
        }
        let different: &[(&str, &[Value])] = &[
            (
                "time_stamp",
                &[json!(77), json!(78), json!("77a"), json!(77.5), json!(""), json!(true), json!([77])],
            ),
            ("time_stamp", &[json!("9007199254740993"), json!("9007199254740992")]),
            ("time_stamp", &[json!("inf"), json!("nan"), json!("1e999"), json!("-inf")]),
            ("curr_backup_level", &[json!(0), json!(1), json!(false), Value::Null]),
            ("backup_name", &[json!("1.1"), json!("1.10"), json!("1.100")]),
            ("hostname", &[json!("7"), json!("07"), json!("7.0"), json!(" 7")]),
        ];
        for (key, values) in different {
            for (at, value) in values.iter().enumerate() {
                for other in &values[..at] {
                    assert_ne!(plain(key, value), plain(key, other), "{key}");
                }
            }
        }
        // what agents send is its own plain form
        let sent = json!({"hostname": "h", "backup_name": "b", "container": "c", "time_stamp": 77,
                          "curr_backup_level": 0, "job_id": "j"});
        assert_eq!(identifying(sent.as_object().unwrap()).to_vec(), IDENTITY.map(|key| sent[key].clone()));
    }
}
