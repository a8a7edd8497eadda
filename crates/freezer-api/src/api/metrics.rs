//! `GET /metrics` for Prometheus, on a listener of its own (`server/metrics.rs`).

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::response;
use crate::app::SharedApp;
use crate::error::Error;
use crate::metrics::{CONTENT_TYPE, text};

/// Returns the router of the listener. It has one path.
pub fn router(app: SharedApp) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .fallback(async || Error::NoRoute)
        .method_not_allowed_fallback(async || Error::NoMethod)
        .with_state(app)
}

async fn show(State(app): State<SharedApp>) -> Result<Response, Error> {
    let text =
        text(&app).map_err(|error| Error::Internal(format!("the metrics cannot be written: {error}")))?;
    Ok(response::text(CONTENT_TYPE, text))
}
