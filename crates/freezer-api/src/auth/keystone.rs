//! `auth_strategy = keystone`: validates the token and makes a context of what Keystone says of it.
//!
//! Validation, caching and the rules for service tokens are the crate `keystone-auth`.

use axum::extract::Request;
use keystone_auth::{AuthError, KeystoneClient, authenticate_request, remove_identity_headers};

use crate::context::{RequestContext, Trustor};
use crate::error::Error;

/// Asks Keystone who is calling; identity headers that the client sent are taken off the request.
///
/// # Errors
/// [`Error::Unauthenticated`] without a valid token, [`Error::KeystoneUnavailable`] where Keystone
/// cannot be asked.
pub async fn context(client: &KeystoneClient, request: &mut Request) -> Result<RequestContext, Error> {
    remove_identity_headers(request.headers_mut());
    let who = authenticate_request(client, request.method(), request.uri().path(), request.headers()).await;
    let who = who.map_err(refuse)?;
    let token = who.user;
    Ok(RequestContext {
        user_id: token.user_id.clone(),
        project_id: token.project_id.clone(),
        roles: token.roles.iter().map(|role| role.to_lowercase()).collect(),
        domain_id: token.domain_id.clone(),
        system_scope: token.system_scope.clone(),
        user_domain_id: Some(token.user_domain_id.clone()),
        project_domain_id: token.project_domain_id.clone(),
        trustor: Some(Trustor { token: who.token, roles: token.roles.clone() }),
        ..RequestContext::default()
    })
}

fn refuse(error: AuthError) -> Error {
    if error.needs_authentication() {
        return Error::Unauthenticated(error.to_string());
    }
    Error::KeystoneUnavailable(error.to_string())
}
