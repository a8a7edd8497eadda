//! `GET /`: which versions of the API are served. Open to all, so that a client finds out before it logs in.

use axum::response::Response;
use http::HeaderMap;
use http::header::HOST;
use serde_json::json;

use super::response;
use crate::error::Error;

/// Answers 300 with the document of versions; links lead back to the host that the client named.
///
/// # Errors
/// None in practice; [`Error::Internal`] where the document cannot be written.
pub async fn show(headers: HeaderMap) -> Result<Response, Error> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    response::choices(&json!({"versions": [{
        "id": "v2",
        "status": "CURRENT",
        "updated": "2018-02-21T13:30:00",
        "links": [{"href": format!("http://{host}/v2/"), "rel": "self"}],
    }]}))
}
