//! Identifies the caller and adds its [`RequestContext`](crate::context::RequestContext) to the request.
//!
//! The methods of authentication are in `auth/`. Permissions are checked in `extract.rs`.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::header::WWW_AUTHENTICATE;

use super::extract::RequestDeadline;
use super::request_record::RequestNotes;
use super::response;
use crate::app::App;
use crate::error::Error;

/// Adds the context of the caller to a request.
///
/// # Errors
/// [`Error::Unauthenticated`] and [`Error::KeystoneUnavailable`].
pub async fn identify(app: &App, request: &mut Request) -> Result<(), Error> {
    let limit = RequestDeadline::of(app, request.extensions()).time_left();
    let mut context = app.authenticator.context(request, limit).await?;
    if let Some(ids) = request.extensions().get::<Arc<RequestNotes>>() {
        context.request_id.clone_from(&ids.request_id);
        context.global_request_id.clone_from(&ids.global_request_id);
    }
    let span = tracing::Span::current();
    tracing::record_all!(
        span,
        user = context.user_id.as_str(),
        project = context.own_project(),
        domain = context.domain_id.as_deref(),
        system_scope = context.system_scope.as_deref(),
        user_domain = context.user_domain_id.as_deref(),
        project_domain = context.project_domain_id.as_deref(),
    );
    request.extensions_mut().insert(context);
    Ok(())
}

/// Adds the header `WWW-Authenticate` to a 401. The 401 comes from [`identify`], or from a handler if Keystone refused to
/// create a trust because the token was revoked during the request.
pub fn with_challenge(app: &App, mut answer: Response) -> Response {
    if response::is_unauthenticated(&answer)
        && let Some(challenge) = app.authenticator.challenge()
    {
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge.clone());
    }
    answer
}
