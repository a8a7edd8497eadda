//! The layer that has callers identified: it puts a [`RequestContext`](crate::context::RequestContext) into the request,
//! or refuses it. How callers are known is `auth/`; what they may do is asked by `extract.rs`.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::WWW_AUTHENTICATE;

use super::response;
use crate::app::{App, SharedApp};

/// The ids of a request, made by `middleware.rs` before anybody is known.
#[derive(Debug, Clone)]
pub struct RequestIds {
    /// Of this request.
    pub request_id: String,
    /// Of the whole operation, where an earlier service sent one.
    pub global_request_id: Option<String>,
}

/// Layer: passes the request on with the context of its caller, or answers 401 or 503.
pub async fn authenticate(State(app): State<SharedApp>, mut request: Request, next: Next) -> Response {
    match app.authentication.context(&mut request).await {
        Ok(mut context) => {
            if let Some(ids) = request.extensions().get::<RequestIds>() {
                context.request_id.clone_from(&ids.request_id);
                context.global_request_id.clone_from(&ids.global_request_id);
            }
            let span = tracing::Span::current();
            span.record("user", context.user_id.as_str());
            span.record("project", context.own_project());
            request.extensions_mut().insert(context);
            with_challenge(&app, next.run(request).await)
        }
        Err(error) => with_challenge(&app, error.into_response()),
    }
}

/// A 401 says where tokens are to be had; it comes from here, or from Keystone's refusal to make a trust with a token
/// that was revoked meanwhile.
fn with_challenge(app: &App, mut answer: Response) -> Response {
    if response::is_unauthenticated(&answer)
        && let Some(challenge) = app.authentication.challenge()
    {
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge.clone());
    }
    answer
}
