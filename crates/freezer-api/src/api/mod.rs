//! The HTTP side: the router, and the processing that all requests have in common.
//!
//! Data flows one way: route → policy → validate → store → answer. `v2/mod.rs` lists the routes with their rules.
//! `extract.rs` reads the parts of a request. `response.rs` is the only place with status codes. `middleware.rs` is the
//! outermost service: it calls `identity.rs` to identify the caller, and `idempotency.rs` to recognize repeated requests.

mod accept;
pub mod address;
mod budget;
mod claims;
pub mod extract;
mod healthcheck;
pub mod idempotency;
mod identity;
mod json;
pub mod metrics;
pub mod middleware;
pub mod paging;
mod probes;
mod refusals;
pub mod rejection;
pub mod request_record;
pub mod response;
mod routes;
pub mod search;
pub mod v2;
mod versions;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::Method;

use self::routes::RouteLayer;
use crate::app::SharedApp;
use crate::error::Error;

/// The paths that no policy rule guards and that require no token. All other routes are in `v2/mod.rs`.
pub const OPEN: [&str; 5] = ["/", "/healthcheck", "/healthcheck/ready", "/livez", "/readyz"];

/// Returns whether a route tells balancers and orchestrators about the health of the service.
fn is_health(route: &str) -> bool {
    OPEN[1..].contains(&route)
}

/// Returns whether this path does not require authentication. Slashes at its beginning and end have no effect.
pub fn is_open(path: &str) -> bool {
    let path = path.trim_start_matches('/').trim_end_matches('/');
    OPEN.iter().any(|open| open[1..] == *path)
}

/// Returns the router with all routes. Authentication and the record of a request are in [`middleware::Front`].
pub fn router(app: SharedApp) -> Router {
    let [versions, healthcheck, healthcheck_ready, livez, readyz] = OPEN;
    let router = v2::router()
        .route(versions, get(versions::show).layer(RouteLayer(None)))
        .route(healthcheck, get(healthcheck::show).layer(RouteLayer(None)))
        .route(healthcheck_ready, get(healthcheck::ready).layer(RouteLayer(None)))
        .route(livez, get(probes::live).layer(RouteLayer(None)))
        .route(readyz, get(probes::ready).layer(RouteLayer(None)));
    with_fallbacks(router, app)
}

/// Returns a router with the same routes, except for the open ones. Its handlers only check whether the policy permits the
/// request.
fn guards(app: SharedApp) -> Router {
    with_fallbacks(v2::guards(), app)
}

fn with_fallbacks(router: Router<SharedApp>, app: SharedApp) -> Router {
    router.fallback(async || Error::NoRoute).method_not_allowed_fallback(no_method).with_state(app)
}

async fn no_method(method: Method, request: Request) -> Response {
    request_record::note_route(&request);
    if method == Method::OPTIONS { response::options() } else { Error::NoMethod.into_response() }
}
