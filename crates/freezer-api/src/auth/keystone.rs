//! `auth_strategy = keystone`: validates the token and builds the context from Keystone's answer.
//!
//! The crate `keystone-auth` implements validation, caching and the rules for service tokens.

use std::time::Duration;

use axum::extract::Request;
use keystone_auth::{AuthError, KeystoneClient, authenticate_request, remove_identity_headers};

use crate::context::{RequestContext, Trustor};
use crate::error::Error;

/// Authenticates the caller with Keystone, within this time. It removes identity headers that the client has sent.
///
/// # Errors
/// [`Error::Unauthenticated`] without a valid token, [`Error::KeystoneUnavailable`] if Keystone does not answer.
pub async fn context(
    client: &KeystoneClient,
    request: &mut Request,
    limit: Duration,
) -> Result<RequestContext, Error> {
    remove_identity_headers(request.headers_mut());
    let client = client.within(limit);
    let caller =
        authenticate_request(&client, request.method(), request.uri().path(), request.headers()).await;
    let caller = caller.map_err(refuse)?;
    let token = caller.user;
    Ok(RequestContext {
        user_id: token.user_id.clone(),
        project_id: token.project_id.clone(),
        roles: token.roles.iter().map(|role| role.to_lowercase()).collect(),
        domain_id: token.domain_id.clone(),
        system_scope: token.system_scope.clone(),
        user_domain_id: Some(token.user_domain_id.clone()),
        project_domain_id: token.project_domain_id.clone(),
        trustor: Some(Trustor { token: caller.token, roles: token.roles.clone() }),
        ..RequestContext::default()
    })
}

fn refuse(error: AuthError) -> Error {
    if error.needs_authentication() {
        return Error::Unauthenticated(error.to_string());
    }
    Error::KeystoneUnavailable(error.to_string())
}
