//! `GET /healthcheck`: for a balancer. Open to all; touches neither database nor Keystone, so that an outage
//! of either does not take every node out at once.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde_json::json;

use super::{middleware, response};
use crate::app::SharedApp;
use crate::error::Error;

/// Answers 200, or 503 while the file of `[healthcheck] disable_by_file_path` is there.
///
/// # Errors
/// None in practice; [`Error::Internal`] where the document cannot be written.
pub async fn show(State(app): State<SharedApp>, headers: HeaderMap) -> Result<Response, Error> {
    let disabled = app.http.healthcheck_disabled_by.as_ref().is_some_and(|file| file.exists());
    if disabled {
        return response::out_of_service(&json!({"detailed": false, "reasons": ["DISABLED BY FILE"]}));
    }
    // oslo.middleware answers in plain text to those who ask for it
    if !middleware::accepts_json(&headers) && middleware::accepts(&headers, &["text/plain", "text/*"]) {
        return Ok(response::text("text/plain; charset=UTF-8", "OK"));
    }
    response::ok(&json!({"detailed": false, "reasons": ["OK"]}))
}
