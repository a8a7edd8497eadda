//! A job's Keystone trust, as the job document shows it.

use serde::Serialize;

/// The trust with which a central scheduler acts for the user that created the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredTrust {
    /// Id of the trust in Keystone.
    pub trust_id: String,
    /// The user that created the trust.
    pub trustor_user_id: String,
}
