//! `GET /`: lists the supported versions of the API. Clients can read this list before they authenticate.

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::json;

use super::{accept, address, response};
use crate::app::SharedApp;
use crate::error::Error;

/// Answers with a 300 and the document of versions. Its links begin with the address that the client used.
///
/// # Errors
/// [`Error::NotAcceptable`] if the client does not accept JSON.
pub async fn show(State(app): State<SharedApp>, request: Request) -> Result<Response, Error> {
    if !accept::accepts_json(request.headers()) {
        return Err(Error::NotAcceptable);
    }
    let base = address::public_address(request.headers(), request.extensions(), app.http.proxy_headers);
    response::choices(&json!({"versions": [{
        "id": "v2",
        "status": "CURRENT",
        "updated": "2018-02-21T13:30:00",
        "links": [{"href": format!("{base}/v2/"), "rel": "self"}],
    }]}))
}
