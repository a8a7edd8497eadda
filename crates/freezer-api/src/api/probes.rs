//! `GET /livez` and `GET /readyz` for balancers and orchestrators. The checks are in `probes.rs`.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use http::HeaderMap;

use super::{healthcheck, response};
use crate::app::SharedApp;
use crate::error::Error;

/// The content of an answer of [`live`].
const ALIVE: &str = r#"{"status":"alive","checks":[]}"#;
const JSON: &str = "application/json";

/// Answers 200 as long as the process handles requests. It has no checks, because a restart would not make the database or
/// Keystone available.
///
/// # Errors
/// [`Error::NoRoute`] for a caller that `[healthcheck]` does not allow.
pub async fn live(
    State(app): State<SharedApp>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    healthcheck::check_caller(&app, peer, &headers)?;
    Ok(response::health(true, JSON, ALIVE.to_owned()))
}

/// Answers 200 if this process can serve requests, otherwise 503, with the result of each check.
///
/// # Errors
/// As [`live`].
pub async fn ready(
    State(app): State<SharedApp>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    healthcheck::check_caller(&app, peer, &headers)?;
    let report = app.probes.ready(&app).await;
    let body = serde_json::to_string(&report)
        .map_err(|error| Error::Internal(format!("the result of the probes cannot be written: {error}")))?;
    Ok(response::health(report.is_ready(), JSON, body))
}
