//! A job's Keystone trust, as the job document shows it.

use serde::Serialize;

/// The trust with which a central scheduler acts for the user who made the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserCredentials {
    /// Id of the trust in Keystone.
    pub trust_id: String,
    /// The user who gave the trust.
    pub trustor_user_id: String,
}
