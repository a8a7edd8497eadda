//! Common documents, and short functions that store them.

use serde_json::{Value, json};

use super::exchange::Caller;

/// Returns a backup action for /etc.
pub fn freezer_action() -> Value {
    json!({
        "action": "backup",
        "mode": "fs",
        "path_to_backup": "/etc",
        "backup_name": "etc",
        "container": "/var/backups",
    })
}

/// Returns a job with one action on a client.
pub fn job(client_id: &str) -> Value {
    json!({
        "client_id": client_id,
        "description": "every night",
        "job_schedule": {"schedule_interval": "1 days"},
        "job_actions": [{"freezer_action": freezer_action()}],
    })
}

/// Returns the metadata of a backup.
pub fn backup(name: &str) -> Value {
    json!({
        "backup_name": name,
        "container": "/var/backups",
        "hostname": "node-1",
        "time_stamp": 1_795_300_000,
        "level": 0,
    })
}

/// Returns a document with replaced or additional keys.
pub fn with(mut document: Value, more: Value) -> Value {
    let (Some(map), Value::Object(more)) = (document.as_object_mut(), more) else {
        panic!("two objects are needed")
    };
    map.extend(more);
    document
}

/// These functions store documents through the API. The caller is a member of the project. They return the id.
impl Caller {
    /// Registers a client.
    pub async fn add_client(&self, project: &str, client_id: &str) -> String {
        let body = json!({"client_id": client_id, "hostname": client_id});
        self.post(&format!("/v2/{project}/clients"), body).await.expect(201).text("client_id")
    }

    /// Stores a job.
    pub async fn add_job(&self, project: &str, document: Value) -> String {
        self.post(&format!("/v2/{project}/jobs"), document).await.expect(201).text("job_id")
    }

    /// Stores an action.
    pub async fn add_action(&self, project: &str, freezer_action: Value) -> String {
        let body = json!({"freezer_action": freezer_action});
        self.post(&format!("/v2/{project}/actions"), body).await.expect(201).text("action_id")
    }

    /// Stores a session.
    pub async fn add_session(&self, project: &str, document: Value) -> String {
        self.post(&format!("/v2/{project}/sessions"), document).await.expect(201).text("session_id")
    }

    /// Stores a backup.
    pub async fn add_backup(&self, project: &str, metadata: Value) -> String {
        self.post(&format!("/v2/{project}/backups"), metadata).await.expect(201).text("backup_id")
    }

    /// Returns the whole document of a job.
    pub async fn job(&self, job_id: &str) -> Value {
        self.get(&format!("/v2/p1/jobs/{job_id}")).await.expect(200).json()
    }

    /// Returns the whole document of a session.
    pub async fn session(&self, session_id: &str) -> Value {
        self.get(&format!("/v2/p1/sessions/{session_id}")).await.expect(200).json()
    }
}
