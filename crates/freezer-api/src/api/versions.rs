//! `GET /`: the supported versions of the API. It needs no token, so that a client can find out before it logs in.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde_json::json;

use super::{accept, address, response};
use crate::app::SharedApp;
use crate::error::Error;

/// Answers 300 with the document of versions. Its links use the host of the request.
///
/// # Errors
/// [`Error::NotAcceptable`] for a client that does not accept JSON.
pub async fn show(State(app): State<SharedApp>, headers: HeaderMap) -> Result<Response, Error> {
    if !accept::accepts_json(&headers) {
        return Err(Error::NotAcceptable);
    }
    let base = address::public_address(&headers, app.http.proxy_headers);
    response::choices(&json!({"versions": [{
        "id": "v2",
        "status": "CURRENT",
        "updated": "2018-02-21T13:30:00",
        "links": [{"href": format!("{base}/v2/"), "rel": "self"}],
    }]}))
}
