//! The HTTP side: the whole router, and what surrounds every request.
//!
//! Data flows one way: route → policy → validate → store → answer. `v2/mod.rs` lists the routes with their
//! rules; `extract.rs` takes a request apart; `response.rs` is the only place with status codes; `middleware.rs` surrounds
//! all of it, and has `identity.rs` identify the caller and `idempotency.rs` recognize requests that are sent again.

mod accept;
pub mod address;
pub mod extract;
mod healthcheck;
mod idempotency;
mod identity;
mod json;
pub mod middleware;
pub mod paging;
pub mod response;
pub mod search;
pub mod v2;
mod versions;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::Method;

use crate::app::SharedApp;
use crate::error::Error;

/// Paths that anybody may ask.
const OPEN: [&str; 3] = ["/", "/healthcheck", "/healthcheck/ready"];

/// Returns whether this path is open to every caller, in any form of it.
pub fn is_open(path: &str) -> bool {
    let path = path.trim_start_matches('/').trim_end_matches('/');
    OPEN.iter().any(|open| open[1..] == *path)
}

/// Everything that is served. Who may ask at all, request ids and the access log are [`middleware::Front`]'s.
pub fn router(app: SharedApp) -> Router {
    let [versions, healthcheck, ready] = OPEN;
    let router = v2::router()
        .route(versions, get(versions::show))
        .route(healthcheck, get(healthcheck::show))
        .route(ready, get(healthcheck::ready));
    with_fallbacks(router, app)
}

/// The same routes, without the open ones, which only ask whether the caller may do what a request asks for.
fn guards(app: SharedApp) -> Router {
    with_fallbacks(v2::guards(), app)
}

fn with_fallbacks(router: Router<SharedApp>, app: SharedApp) -> Router {
    router.fallback(async || Error::NoRoute).method_not_allowed_fallback(no_method).with_state(app)
}

async fn no_method(method: Method) -> axum::response::Response {
    if method == Method::OPTIONS { response::options() } else { Error::NoMethod.into_response() }
}
