//! Tests of backups.

use serde_json::json;

use super::{accepts, backup, rejects, with_value};
use crate::validate::Document;

#[test]
fn backups() {
    let backup = backup();
    accepts(
        Document::Backup,
        &[
            backup.clone(),
            json!({"backup_name": "b", "container": "c", "hostname": "h", "job_id": {"not": "text"}}),
            json!({"backup_name": "b", "status": "creating"}),
            json!({"backup_name": "b", "status": "error", "container": null, "hostname": null}),
            json!({"backup_name": "b", "status": "deleting", "hostname": "h"}),
            with_value(&backup, "/status", json!("restoring")),
            with_value(&backup, "/container", json!("c".repeat(5000))),
        ],
    );
    let statuses = "['creating', 'available', 'restoring', 'error', 'deleting', 'deleted']";
    rejects(
        Document::Backup,
        &[
            (json!({"backup_name": "b"}), "container", "'container' is a required property"),
            (json!({"backup_name": "b", "container": "c"}), "hostname", "'hostname' is a required property"),
            (json!({"status": "creating"}), "backup_name", "'backup_name' is a required property"),
            (
                with_value(&backup, "/container", json!(null)),
                "container",
                "container: None is not of type 'string'",
            ),
            (
                json!({"backup_name": "b", "container": "c", "hostname": null, "status": "deleted"}),
                "hostname",
                "hostname: None is not of type 'string'",
            ),
            (with_value(&backup, "/hostname", json!("")), "hostname", "hostname: '' should be non-empty"),
            (
                with_value(&backup, "/backup_name", json!(null)),
                "backup_name",
                "backup_name: None is not of type 'string'",
            ),
            (
                with_value(&backup, "/status", json!("zap")),
                "status",
                &format!("status: 'zap' is not one of {statuses}"),
            ),
            (with_value(&backup, "/status", json!(null)), "status", "status: None is not of type 'string'"),
            (
                with_value(&backup, "/job_id", json!("j".repeat(37))),
                "job_id",
                &format!("job_id: '{}' is too long (37 characters, at most 36)", "j".repeat(37)),
            ),
        ],
    );
    accepts(
        Document::BackupPatch,
        &[
            json!({"status": "restoring"}),
            json!({"backup_metadata": {"x": 1, "job_id": 5}}),
            json!({"container": "new", "cinder_vol_id": "v", "job_id": null}),
        ],
    );
    rejects(
        Document::BackupPatch,
        &[
            (json!({"status": "zap"}), "status", &format!("status: 'zap' is not one of {statuses}")),
            (
                json!({"backup_metadata": null}),
                "backup_metadata",
                "backup_metadata: None is not of type 'object'",
            ),
            (
                json!({"backup_metadata": {"job_id": "j".repeat(40)}}),
                "backup_metadata.job_id",
                &format!(
                    "backup_metadata.job_id: '{}' is too long (40 characters, at most 36)",
                    "j".repeat(40)
                ),
            ),
        ],
    );
}
