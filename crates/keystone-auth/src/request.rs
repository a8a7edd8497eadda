//! Authentication of a request: the tokens in its headers, and the rules about service tokens, token binding
//! and access rules. Identity headers such as `X-User-Id` are never read, because every client can send them.
//! Source of the rules: keystonemiddleware 13, `auth_token`.

use std::sync::Arc;

use http::{HeaderMap, Method};

use crate::access_rules;
use crate::client::KeystoneClient;
use crate::error::{AuthError, Rejection};
use crate::secret::Secret;
use crate::token::ValidatedToken;

/// The identity of the caller according to Keystone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// The token in `X-Auth-Token` as sent, for operations at Keystone on behalf of the user (trusts).
    pub token: Secret,
    /// The validated token of `X-Auth-Token`. It may have expired if the request has a service token with a
    /// service role.
    pub user: Arc<ValidatedToken>,
    /// The validated token of `X-Service-Token`: the service that makes the request for the user.
    pub service: Option<Arc<ValidatedToken>>,
}

/// Authenticates a request. The access rules of a token must allow `method` and `path`, which is the whole
/// path of the URL, percent-encoded as sent. A slash at its end makes no difference. If the service resolves
/// `//`, `.` and `..`, it must do so before this call, because the rules apply to the resource that is
/// served.
///
/// # Errors
/// [`AuthError::Missing`] or [`AuthError::Invalid`] if the request is not authenticated,
/// [`AuthError::Unavailable`] if Keystone could not be asked.
pub async fn authenticate_request(
    client: &KeystoneClient,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Authenticated, AuthError> {
    let result = check_tokens(client, method, path, headers).await;
    if let Err(error @ AuthError::Invalid(_)) = &result {
        tracing::debug!(%error, "a request is not authenticated");
    }
    result
}

async fn check_tokens(
    client: &KeystoneClient,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Authenticated, AuthError> {
    let client = &client.begun();
    // The old header name of Swift counts only if the usual header is missing.
    let user_token = match token(headers, "x-auth-token")? {
        None => token(headers, "x-storage-token")?,
        found => found,
    };
    let user_token = user_token.filter(|token| !token.is_empty()).ok_or(AuthError::Missing)?;
    let service_token = token(headers, "x-service-token")?.filter(|token| !token.is_empty());

    // A service token without the role skips no check, even if the role is not required.
    let mut on_behalf = false;
    let mut service = None;
    if let Some(token) = service_token {
        let validated = client.validate(token).await.map_err(|error| {
            if error.needs_authentication() { AuthError::Invalid(Rejection::ServiceToken) } else { error }
        })?;
        if validated.kerberos_bound {
            return Err(AuthError::Invalid(Rejection::Bound));
        }
        on_behalf = client.is_service_token(&validated);
        if client.service_token_roles_required() && !on_behalf {
            return Err(AuthError::Invalid(Rejection::ServiceTokenRole));
        }
        service = Some(validated);
    }

    let user = client.validate_with(user_token, on_behalf).await?;
    if user.kerberos_bound && !on_behalf {
        return Err(AuthError::Invalid(Rejection::Bound));
    }
    if !access_rules::allows(&user, client.service_type(), (method, path), on_behalf) {
        return Err(AuthError::Invalid(Rejection::AccessRules));
    }
    Ok(Authenticated { token: Secret::new(user_token), user, service })
}

/// Returns the value of a token header, without surrounding white space. Two different values are rejected,
/// because a later reader of the headers could choose the other one.
fn token<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, AuthError> {
    let malformed = AuthError::Invalid(Rejection::Malformed);
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(malformed);
    }
    first.to_str().map(|text| Some(text.trim())).map_err(|_| malformed)
}
