//! Trusts: a user's permission for the service to act as this user later. This file contains [`Trust`] and
//! the calls to Keystone about trusts. The service decides when it needs a trust, and stores the trust's id.
//! Source: Identity API v3, OS-TRUST extension.

use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::client::{KeystoneClient, token_header};
use crate::error::{AuthError, Rejection};
use crate::secret::Secret;
use crate::transport::{KeystoneCall, Reply};

const CREATE: &str = "create a trust";
const LIST: &str = "list trusts";
const DELETE: &str = "delete a trust";

/// A trust as Keystone stores it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Trust {
    /// Id. The trustee uses it to request tokens.
    pub id: String,
    /// Id of the user that delegates roles.
    pub trustor_user_id: String,
    /// Id of the user that receives the roles.
    pub trustee_user_id: String,
    /// The project of the delegated roles.
    #[serde(default)]
    pub project_id: Option<String>,
    /// Whether tokens of this trust name the trustor as their user. Otherwise they name the trustee.
    #[serde(default)]
    pub impersonation: bool,
    /// When the trust ends, ISO 8601; `None`: never.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// The number of tokens that can still be issued; `None`: unlimited.
    #[serde(default)]
    pub remaining_uses: Option<u64>,
    /// When the trust was deleted, ISO 8601.
    #[serde(default)]
    pub deleted_at: Option<String>,
}

impl Trust {
    /// Returns whether the trust can be used at `now` (seconds since 1970-01-01 UTC) and any number of times.
    #[must_use]
    pub fn usable_at(&self, now: i64) -> bool {
        let alive = match &self.expires_at {
            None => true,
            Some(end) => OffsetDateTime::parse(end, &Rfc3339).is_ok_and(|end| end.unix_timestamp() > now),
        };
        alive && self.deleted_at.is_none() && self.remaining_uses.is_none()
    }
}

/// The result of [`KeystoneClient::find_or_create_trust`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTrust {
    /// The trust.
    pub trust: Trust,
    /// Whether this call created the trust. Then no other request can know it yet.
    pub is_new: bool,
}

#[derive(Deserialize)]
struct TrustAnswer {
    trust: Trust,
}

#[derive(Deserialize)]
struct TrustsAnswer {
    trusts: Vec<Trust>,
}

impl KeystoneClient {
    /// Creates a trust from the user of `user_token` to the service's own user.
    ///
    /// * `trustor_user_id`: the user of `user_token`. Keystone refuses other users.
    /// * `roles`: names of at least one role of the trustor in the project.
    /// * `impersonation`: whether tokens of this trust name the trustor as their user.
    ///
    /// The trust does not expire and cannot be redelegated.
    ///
    /// # Errors
    /// [`AuthError::Refused`] with Keystone's status (404 if a role does not exist, 403 if the token may not
    /// create trusts), [`AuthError::Invalid`] if the token is rejected, or [`AuthError::Unavailable`].
    pub async fn create_trust(
        &self,
        user_token: &str,
        trustor_user_id: &str,
        project_id: &str,
        roles: &[String],
        impersonation: bool,
    ) -> Result<Trust, AuthError> {
        let client = self.begun();
        let trustee = client.service_user_id().await?;
        let roles: Vec<_> = roles.iter().map(|name| json!({ "name": name })).collect();
        let body = json!({"trust": {
            "trustor_user_id": trustor_user_id,
            "trustee_user_id": trustee,
            "project_id": project_id,
            "impersonation": impersonation,
            "allow_redelegation": false,
            "roles": roles,
        }});
        let body = Some(body.to_string().into_bytes());
        let call = client.trust_call(CREATE, Method::POST, user_token, &[], body).await?;
        let reply = client.send_trust(&call).await?;
        let trust = read::<TrustAnswer>(CREATE, &reply)?.trust;
        tracing::info!(trust_id = trust.id, trustor_user_id, project_id, "created a trust");
        Ok(trust)
    }

    /// Returns the usable trusts from `trustor_user_id` to the service's own user in `project_id`, in
    /// Keystone's order.
    pub async fn list_trusts(
        &self,
        user_token: &str,
        trustor_user_id: &str,
        project_id: &str,
    ) -> Result<Vec<Trust>, AuthError> {
        let client = self.begun();
        let trustee = client.service_user_id().await?;
        let mut call = client.trust_call(LIST, Method::GET, user_token, &[], None).await?;
        call.url
            .query_pairs_mut()
            .append_pair("trustor_user_id", trustor_user_id)
            .append_pair("trustee_user_id", &trustee);
        let reply = client.send_trust(&call).await?;
        let mut trusts = read::<TrustsAnswer>(LIST, &reply)?.trusts;
        let now = self.now();
        // Keystone joins the two filters with "or", and has no filter by project.
        trusts.retain(|trust| {
            trust.trustor_user_id == trustor_user_id
                && trust.trustee_user_id == trustee
                && trust.project_id.as_deref() == Some(project_id)
                && trust.usable_at(now)
        });
        Ok(trusts)
    }

    /// Returns an existing trust, or creates one. If Keystone does not list trusts, creates one.
    ///
    /// As in Python services, the roles of an existing trust are not compared with `roles`.
    pub async fn find_or_create_trust(
        &self,
        user_token: &str,
        trustor_user_id: &str,
        project_id: &str,
        roles: &[String],
        impersonation: bool,
    ) -> Result<FoundTrust, AuthError> {
        let client = self.begun();
        match client.list_trusts(user_token, trustor_user_id, project_id).await {
            Ok(trusts) => {
                let existing = trusts.into_iter().find(|trust| trust.impersonation == impersonation);
                if let Some(trust) = existing {
                    tracing::debug!(trust_id = trust.id, trustor_user_id, "using an existing trust");
                    return Ok(FoundTrust { trust, is_new: false });
                }
            }
            // A second call would fail in the same way, and the request would wait twice.
            Err(error @ (AuthError::Unavailable { .. } | AuthError::Missing | AuthError::Invalid(_))) => {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(%error, trustor_user_id, "trusts could not be listed, creating one");
            }
        }
        let trust =
            client.create_trust(user_token, trustor_user_id, project_id, roles, impersonation).await?;
        Ok(FoundTrust { trust, is_new: true })
    }

    /// Deletes a trust, which invalidates its tokens. `user_token` must be a token of the trustor or of an
    /// administrator.
    ///
    /// # Errors
    /// [`AuthError::Refused`] with 404 if there is no such trust, and the errors of [`Self::create_trust`].
    pub async fn delete_trust(&self, user_token: &str, trust_id: &str) -> Result<(), AuthError> {
        if trust_id.is_empty() {
            return Err(AuthError::Refused {
                operation: DELETE,
                status: StatusCode::NOT_FOUND,
                message: "the trust id is empty".to_owned(),
            });
        }
        let client = self.begun();
        let call = client.trust_call(DELETE, Method::DELETE, user_token, &[trust_id], None).await?;
        client.send_trust(&call).await?;
        tracing::info!(trust_id, "deleted a trust");
        Ok(())
    }

    /// Like [`Self::delete_trust`], with the service's own token. Keystone allows this if the service's user
    /// is an administrator.
    pub async fn delete_trust_as_service(&self, trust_id: &str) -> Result<(), AuthError> {
        let client = self.begun();
        let own = client.own_token().await?;
        // A value that is not text cannot be a token of Keystone.
        let token = own.value.to_str().map_err(|_| AuthError::Invalid(Rejection::Malformed))?;
        client.delete_trust(token, trust_id).await
    }

    async fn trust_call(
        &self,
        operation: &'static str,
        method: Method,
        user_token: &str,
        parts: &[&str],
        body: Option<Vec<u8>>,
    ) -> Result<KeystoneCall, AuthError> {
        let token = user_token.trim();
        if token.is_empty() {
            return Err(AuthError::Missing);
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-auth-token", token_header(token)?);
        let path = [&["OS-TRUST", "trusts"], parts].concat();
        let url = self.own_token().await?.endpoint.v3(&path);
        // A second POST would create a second trust.
        let repeatable = method != Method::POST;
        Ok(KeystoneCall { operation, method, url, headers, body, secret: Secret::default(), repeatable })
    }

    async fn send_trust(&self, call: &KeystoneCall) -> Result<Reply, AuthError> {
        let operation = call.operation;
        let reply = self.send(call).await?;
        let status = reply.status;
        if status.is_success() {
            return Ok(reply);
        }
        let error = if status == StatusCode::UNAUTHORIZED {
            AuthError::Invalid(Rejection::Unknown)
        } else if status.is_client_error() {
            AuthError::Refused { operation, status, message: reply.message }
        } else {
            AuthError::Unavailable { operation, reason: reply.complaint() }
        };
        tracing::warn!(%error, "an operation on a trust failed");
        Err(error)
    }
}

fn read<T: for<'de> Deserialize<'de>>(operation: &'static str, reply: &Reply) -> Result<T, AuthError> {
    serde_json::from_slice(&reply.body).map_err(|error| AuthError::Unavailable {
        operation,
        reason: format!("its answer cannot be read: {error}"),
    })
}
