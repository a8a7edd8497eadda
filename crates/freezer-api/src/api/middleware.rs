//! What surrounds every request: ids, trailing slashes, the access log, caught panics, the caller's identity; and the rule
//! that a client must accept JSON.
//!
//! One function and not layers of the framework: each layer there moves request and answer once more through memory,
//! which made a tenth of the instructions of showing one job.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tower::ServiceExt;
use tracing::Instrument;

use super::identity::{self, RequestIds};
use super::{OPEN, response};
use crate::app::SharedApp;
use crate::clock::Ids;
use crate::error::Error;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// The outermost service: every request passes it first and every answer last.
#[derive(Clone)]
pub struct Front {
    router: Router,
    app: SharedApp,
    ids: Ids,
}

impl Front {
    /// Surrounds a router. `ids`: of requests.
    pub fn new(router: Router, app: SharedApp, ids: Ids) -> Front {
        Front { router, app, ids }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// Never: whatever goes wrong becomes an answer.
    pub async fn call(self, mut request: Request) -> Result<Response, Infallible> {
        let started = Instant::now();
        let request_id = self.ids.request();
        let global_request_id = global_id(request.headers());
        let span = tracing::info_span!(
            "request",
            request_id = request_id.as_str(),
            global_request_id = global_request_id.as_deref(),
            user = tracing::field::Empty,
            project = tracing::field::Empty,
        );
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        request.extensions_mut().insert(RequestIds { request_id: request_id.clone(), global_request_id });
        without_trailing_slash(request.uri_mut());
        let answer = async {
            let answer = AssertUnwindSafe(self.answer(request)).catch_unwind().await;
            let mut response = answer.unwrap_or_else(|_| response::panicked());
            if let Ok(id) = HeaderValue::from_str(&request_id) {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            let status = response.status().as_u16();
            let microseconds = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
            tracing::debug!(%method, path, status, microseconds, "answered");
            response
        };
        Ok(answer.instrument(span).await)
    }

    /// Has the router answer whoever may ask: anybody on some paths, on all others who accepts JSON and is known.
    async fn answer(self, mut request: Request) -> Response {
        let Front { router, app, .. } = self;
        if OPEN.contains(&request.uri().path()) {
            let Ok(answer) = router.oneshot(request).await;
            return answer;
        }
        if !accepts_json(request.headers()) {
            return Error::NotAcceptable.into_response();
        }
        let answer = match identity::identify(&app, &mut request).await {
            Ok(()) => {
                let Ok(answer) = router.oneshot(request).await;
                answer
            }
            Err(error) => error.into_response(),
        };
        identity::with_challenge(&app, answer)
    }
}

/// The id of the whole operation: only `req-` and a UUID count, anything else could forge log lines.
/// Source: oslo.context's `_format_request_id` check.
fn global_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let id = text.strip_prefix("req-")?;
    (id.len() == 36 && uuid::Uuid::try_parse(id).is_ok()).then(|| text.to_owned())
}

/// `/v2/p/jobs/` is `/v2/p/jobs`: the real clients end the path of every collection with a slash.
fn without_trailing_slash(uri: &mut Uri) {
    let path = uri.path();
    let Some(shorter) = path.strip_suffix('/').filter(|shorter| !shorter.is_empty()) else { return };
    let rest = match uri.query() {
        Some(query) => format!("{shorter}?{query}"),
        None => shorter.to_owned(),
    };
    if let Ok(short) = rest.parse() {
        *uri = short;
    }
}

/// Whether an `Accept` header leaves room for JSON (RFC 9110, section 12.5.1); none accepts anything.
pub(super) fn accepts_json(headers: &HeaderMap) -> bool {
    accepts(headers, &["application/json", "application/*", "*/*"])
}

/// Whether one of the media ranges is accepted with a weight above zero.
pub(super) fn accepts(headers: &HeaderMap, ranges: &[&str]) -> bool {
    let mut any = false;
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or("*/*").split(',').filter(|range| !range.trim().is_empty()) {
            any = true;
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let refused = parts
                .filter_map(|part| part.strip_prefix("q="))
                .any(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
            if ranges.contains(&name.as_str()) && !refused {
                return true;
            }
        }
    }
    !any
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_trailing_slash_is_taken_off_and_the_query_stays() {
        for (given, expected) in [
            ("/v2/p/jobs/", "/v2/p/jobs"),
            ("/v2/p/jobs/?limit=1", "/v2/p/jobs?limit=1"),
            ("/v2/", "/v2"),
            ("/", "/"),
            ("/v2/p/jobs", "/v2/p/jobs"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            without_trailing_slash(&mut uri);
            assert_eq!(uri.to_string(), expected);
        }
    }

    #[test]
    fn only_a_well_formed_id_counts_as_the_global_one() {
        let id = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, text.parse().unwrap());
            global_id(&headers)
        };
        let good = "req-9d1b2f4e-3a61-4f0e-8f55-0c8e7f1b2a3c";
        assert_eq!(id(good).as_deref(), Some(good));
        assert_eq!(id("req-1"), None);
        assert_eq!(id("9d1b2f4e-3a61-4f0e-8f55-0c8e7f1b2a3c"), None);
        assert_eq!(id("req-9d1b2f4e3a614f0e8f550c8e7f1b2a3c"), None);
    }

    #[test]
    fn accept_headers() {
        let accepted = |text: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = text {
                headers.insert(ACCEPT, text.parse().unwrap());
            }
            accepts_json(&headers)
        };
        assert!(accepted(None));
        assert!(accepted(Some("*/*")));
        assert!(accepted(Some("text/html, application/json;q=0.5")));
        assert!(!accepted(Some("text/html")));
        assert!(!accepted(Some("application/json;q=0")));
    }
}
