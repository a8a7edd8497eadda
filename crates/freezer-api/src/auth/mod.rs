//! Authentication: two ways to build a [`RequestContext`](crate::context::RequestContext), one of them chosen in the configuration.
//!
//! - `keystone.rs`: a token, validated at Keystone (`auth_strategy = keystone`, the default).
//! - `noauth.rs`: the identity headers as they are (`auth_strategy = noauth`), on loopback only.
//!
//! What the caller then may do is `policy/`.

mod keystone;
mod noauth;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use keystone_auth::KeystoneClient;

use crate::app::{App, SharedApp};

/// How callers are known.
pub enum Authentication {
    /// `auth_strategy = keystone`.
    Keystone(Box<KeystoneClient>),
    /// `auth_strategy = noauth`.
    NoAuth,
}

/// Layer: puts a [`crate::context::RequestContext`] into the request, or answers 401 or 503.
pub async fn authenticate(State(app): State<SharedApp>, mut request: Request, next: Next) -> Response {
    let context = match &app.authentication {
        Authentication::Keystone(client) => keystone::context(client, &mut request).await,
        Authentication::NoAuth => noauth::context(&request),
    };
    match context {
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
fn with_challenge(app: &App, mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED
        && let Authentication::Keystone(client) = &app.authentication
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, client.www_authenticate().clone());
    }
    response
}

/// The ids of a request, made by `api/middleware.rs` before anybody is known.
#[derive(Debug, Clone)]
pub struct RequestIds {
    /// Of this request.
    pub request_id: String,
    /// Of the whole operation, where an earlier service sent one.
    pub global_request_id: Option<String>,
}
