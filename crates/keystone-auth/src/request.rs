//! Who makes a request. Lives here: reading the tokens of one request's headers and the rules about service tokens,
//! token binding and access rules. Identity headers (`X-User-Id` and the like) are never read: anybody can send them.
//! Source of the rules: keystonemiddleware 13, `auth_token`.

use std::sync::Arc;

use http::{HeaderMap, Method};

use crate::access_rules;
use crate::client::KeystoneClient;
use crate::error::{AuthError, Rejection};
use crate::secret::Secret;
use crate::token::ValidatedToken;

/// Who makes a request, as Keystone vouched for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// The token in `X-Auth-Token` as it came, for what must be done at Keystone in the user's name (trusts).
    pub token: Secret,
    /// The token in `X-Auth-Token`. May have expired when a service token with a service role came along.
    pub user: Arc<ValidatedToken>,
    /// The token in `X-Service-Token`: the service that makes the request for the user.
    pub service: Option<Arc<ValidatedToken>>,
}

/// Authenticates a request by its headers alone. A token with access rules is refused, as they cannot be checked here:
/// use [`authenticate_request`] where method and path are known.
///
/// # Errors
/// [`AuthError::Missing`] or [`AuthError::Invalid`] when the request is not authenticated, [`AuthError::Unavailable`]
/// when Keystone could not be asked.
pub async fn authenticate(client: &KeystoneClient, headers: &HeaderMap) -> Result<Authenticated, AuthError> {
    check(client, headers, None).await
}

/// Authenticates a request by its headers. A token with access rules must allow `method` and `path`: the whole path of
/// the URL, percent-encoded as the client sent it. A slash at its end makes no difference. If the service resolves `//`,
/// `.` and `..`, it must do so before, since the rules speak of the resource that is served.
///
/// # Errors
/// Those of [`authenticate`].
pub async fn authenticate_request(
    client: &KeystoneClient,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Authenticated, AuthError> {
    check(client, headers, Some((method, path))).await
}

async fn check(
    client: &KeystoneClient,
    headers: &HeaderMap,
    request: Option<(&Method, &str)>,
) -> Result<Authenticated, AuthError> {
    let result = check_tokens(client, headers, request).await;
    if let Err(error @ AuthError::Invalid(_)) = &result {
        tracing::info!(%error, "a request is not authenticated");
    }
    result
}

async fn check_tokens(
    client: &KeystoneClient,
    headers: &HeaderMap,
    request: Option<(&Method, &str)>,
) -> Result<Authenticated, AuthError> {
    // Swift's old name counts when the usual header is not there at all.
    let user_token = match token(headers, "x-auth-token")? {
        None => token(headers, "x-storage-token")?,
        found => found,
    };
    let user_token = user_token.filter(|token| !token.is_empty()).ok_or(AuthError::Missing)?;
    let service_token = token(headers, "x-service-token")?.filter(|token| !token.is_empty());

    // a service token without the role lifts no check, also if the role is not required
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
    if !access_rules::allows(&user, client.service_type(), request, on_behalf) {
        return Err(AuthError::Invalid(Rejection::AccessRules));
    }
    Ok(Authenticated { token: Secret::new(user_token), user, service })
}

/// The value of a token header, without white space around it. Two different values are nobody's token: which one a
/// later reader of the headers would take is not known.
fn token<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, AuthError> {
    let malformed = AuthError::Invalid(Rejection::Malformed);
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(malformed);
    }
    first.to_str().map(|text| Some(text.trim())).map_err(|_| malformed)
}
