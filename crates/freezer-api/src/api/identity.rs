//! Has callers identified: puts a [`RequestContext`](crate::context::RequestContext) into the request, or refuses it. How callers are known is `auth/`; what they may do is asked by `extract.rs`.

use axum::extract::Request;
use axum::response::Response;
use http::header::WWW_AUTHENTICATE;

use super::response;
use crate::app::App;
use crate::error::Error;

/// The ids of a request, made by `middleware.rs` before anybody is known.
#[derive(Debug, Clone)]
pub struct RequestIds {
    /// Of this request.
    pub request_id: String,
    /// Of the whole operation, where an earlier service sent one.
    pub global_request_id: Option<String>,
}

/// Puts the context of its caller into a request.
///
/// # Errors
/// [`Error::Unauthenticated`] and [`Error::KeystoneUnavailable`].
pub async fn identify(app: &App, request: &mut Request) -> Result<(), Error> {
    let mut context = app.authenticator.context(request).await?;
    if let Some(ids) = request.extensions().get::<RequestIds>() {
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

/// A 401 says where tokens are to be had; it comes from here, or from Keystone's refusal to make a trust with a token
/// that was revoked meanwhile.
pub fn with_challenge(app: &App, mut answer: Response) -> Response {
    if response::is_unauthenticated(&answer)
        && let Some(challenge) = app.authenticator.challenge()
    {
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge.clone());
    }
    answer
}
