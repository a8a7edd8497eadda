//! The HTTP side: the whole router, and what surrounds every request.
//!
//! Data flows one way: route → policy → validate → store → answer. `v2/mod.rs` lists the routes with their
//! rules; `identity.rs` has the caller identified; `extract.rs` takes a request apart; `response.rs` is the only place
//! with status codes; `middleware.rs` surrounds all of it.

pub mod extract;
mod healthcheck;
mod identity;
pub mod middleware;
pub mod paging;
pub mod response;
pub mod search;
pub mod v2;
mod versions;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use http::Method;

use crate::app::SharedApp;
use crate::error::Error;

/// Everything that is served. The outermost layer, request ids and the access log, is
/// [`middleware::Front`], because it also shortens paths before they are routed.
pub fn router(app: SharedApp) -> Router {
    let behind_auth = v2::router()
        .fallback(async || Error::NoRoute)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(app.clone(), identity::authenticate))
        .layer(axum::middleware::from_fn(middleware::json_only));
    let open = Router::new()
        .route("/", get(versions::show).layer(axum::middleware::from_fn(middleware::json_only)))
        .route("/healthcheck", get(healthcheck::show));
    open.method_not_allowed_fallback(no_method)
        .fallback_service(behind_auth.with_state(app.clone()))
        .with_state(app)
}

async fn no_method(method: Method) -> axum::response::Response {
    if method == Method::OPTIONS { response::options() } else { Error::NoMethod.into_response() }
}
