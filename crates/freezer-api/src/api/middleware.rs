//! Processes every request before and after its handler: normalizes the path, catches panics, identifies the caller and
//! completes the record of the request. It also refuses clients that do not accept JSON, and expectations other than
//! `100-continue`.
//!
//! This is one function and not several layers of the framework, because each layer copies the request and the answer in
//! memory. These copies made up 10 % of the instructions of a request that shows one job.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::EXPECT;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tower::ServiceExt;
use tracing::Instrument;

use super::extract::RequestDeadline;
use super::identity;
use super::refusals::{RefusalLog, RefusedRequest};
use super::rejection::RejectionReason;
use super::request_record::RequestRecord;
use super::{OPEN, accept, idempotency, response};
use crate::app::SharedApp;
use crate::clock::Ids;
use crate::error::Error;

/// The header with the id of a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// The outermost service, which receives all requests.
#[derive(Clone)]
pub struct Front {
    router: Router,
    guards: Router,
    app: SharedApp,
    ids: Ids,
    refusals: RefusalLog,
}

impl Front {
    /// Creates the service around a router. `ids` is the source of request ids.
    pub fn new(router: Router, app: SharedApp, ids: Ids) -> Front {
        app.metrics.requests().expect_rejections(RejectionReason::ALL.map(RejectionReason::name));
        Front { guards: super::guards(app.clone()), router, app, ids, refusals: RefusalLog::default() }
    }

    /// Creates the record of a request. `peer`: the address at the other end of the connection. `None`: a proxy at the Unix socket,
    /// whose headers are always used.
    pub fn record(&self, head: (&Method, &Uri, &HeaderMap), peer: Option<IpAddr>) -> RequestRecord {
        let mut record = RequestRecord::new((&self.ids, self.app.metrics.requests()), head, peer);
        if self.app.http.proxy_headers || peer.is_none() {
            record.set_proxied_peer(head.2);
        }
        record
    }

    /// Answers one request. A failure is also an answer.
    pub async fn call(self, request: Request, record: RequestRecord) -> (Response, RequestRecord) {
        self.process(request, record, None).await
    }

    /// Answers a request with this error.
    pub async fn refuse(
        self,
        request: Request,
        record: RequestRecord,
        error: Error,
    ) -> (Response, RequestRecord) {
        self.process(request, record, Some(error)).await
    }

    async fn process(
        self,
        mut request: Request,
        mut record: RequestRecord,
        refused: Option<Error>,
    ) -> (Response, RequestRecord) {
        let refusals = self.refusals.clone();
        request.extensions_mut().insert(Arc::clone(record.notes()));
        normalize(request.uri_mut());
        let span = record.span().clone();
        let cors = self.app.http.cors.as_ref();
        let cors = cors.and_then(|cors| cors.check(request.method(), request.headers()));
        let answer = async {
            let answer = AssertUnwindSafe(self.answer(request, refused)).catch_unwind().await;
            let mut response = answer.unwrap_or_else(|_| response::panicked());
            if let Some(refusal) = response.extensions_mut().remove::<RefusedRequest>() {
                refusals.add(&refusal);
            }
            response
        };
        let mut answer = answer.instrument(span).await;
        if let Some(cors) = cors {
            cors.apply(&mut answer);
        }
        record.answer(&mut answer);
        (answer, record)
    }

    /// Routes the request. Open paths need no token; all others require `Accept: application/json` and an identified
    /// caller.
    async fn answer(self, mut request: Request, refused: Option<Error>) -> Response {
        let Front { router, guards, app, .. } = self;
        if let Some(error) = refused {
            return error.into_response();
        }
        if let Some(expectation) = unknown_expectation(request.headers()) {
            return Error::UnknownExpectation(expectation).into_response();
        }
        // A browser sends no token with the OPTIONS request before a request to another origin.
        let is_preflight = app.http.cors.is_some() && request.method() == Method::OPTIONS;
        if is_preflight || OPEN.contains(&request.uri().path()) {
            let Ok(answer) = router.oneshot(request).await;
            return answer;
        }
        if let Some(wait) = app.readiness.wait() {
            return Error::NotReady(wait).into_response();
        }
        if !accept::accepts_json(request.headers()) {
            return Error::NotAcceptable.into_response();
        }
        let deadline = RequestDeadline::new(&app);
        request.extensions_mut().insert(deadline);
        let answer = match identity::identify(&app, &mut request).await {
            Ok(()) => idempotency::route(&app, router, guards, request).await,
            Err(error) => error.into_response(),
        };
        identity::with_challenge(&app, answer)
    }
}

/// Returns an expectation that the service does not support (RFC 9110, section 10.1.1).
fn unknown_expectation(headers: &HeaderMap) -> Option<String> {
    let unknown = |value: &&HeaderValue| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"100-continue");
    let value = headers.get_all(EXPECT).iter().find(unknown)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Normalizes a path for the router: `//` becomes `/`, `.` and `..` are resolved, and a slash at the end is removed. 19.0.0
/// receives normalized paths from its server. Existing clients send the path of every collection with a slash at the end, and
/// those up to 6.3.0 send two slashes if the endpoint ends with a slash. Encoded letters are decoded, because the router
/// compares paths as text. An encoded slash or dot stays encoded, because it may be part of an id.
fn normalize(uri: &mut Uri) {
    let path = uri.path();
    let odd = path.as_bytes().windows(2).any(|pair| matches!(pair, b"//" | b"/."));
    let slash = path.len() > 1 && path.ends_with('/');
    if !(odd || slash || path.contains('%')) {
        return;
    }
    let mut normal = String::with_capacity(uri.path_and_query().map_or(0, |whole| whole.as_str().len()));
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => normal.truncate(normal.rfind('/').unwrap_or(0)),
            segment => {
                normal.push('/');
                push_decoded(&mut normal, segment);
            }
        }
    }
    if normal.is_empty() {
        normal.push('/');
    }
    if let Some(query) = uri.query() {
        normal.push('?');
        normal.push_str(query);
    }
    if let Ok(normal) = normal.parse() {
        replace_path(uri, normal);
    }
}

/// Replaces the path and the query of a URI. Scheme and authority stay, because authentication compares the host of a request
/// that names it in its first line.
fn replace_path(uri: &mut Uri, path: PathAndQuery) {
    let mut parts = std::mem::take(uri).into_parts();
    // a URI with only an authority gets no path
    if parts.authority.is_none() || parts.scheme.is_some() {
        parts.path_and_query = Some(path);
    }
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// Adds a segment to a path. Escapes of letters, digits, `-`, `_` and `~` are decoded (RFC 3986, section 6.2.2.2). A `%` that is
/// not part of an escape is encoded, so it cannot become part of one.
fn push_decoded(path: &mut String, segment: &str) {
    let mut parts = segment.split('%');
    path.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') => {
                path.push(char::from(byte));
                path.push_str(&part[2..]);
            }
            Some(_) => {
                path.push('%');
                path.push_str(part);
            }
            None => {
                path.push_str("%25");
                path.push_str(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn paths_are_normalized_for_the_router() {
        for (given, expected) in [
            ("/v2/p/jobs/", "/v2/p/jobs"),
            ("/v2/p/jobs/?limit=1", "/v2/p/jobs?limit=1"),
            ("/v2/", "/v2"),
            ("/", "/"),
            ("//", "/"),
            ("/?x=//y/", "/?x=//y/"),
            ("/v2/p/jobs", "/v2/p/jobs"),
            ("//v2/p/jobs/", "/v2/p/jobs"),
            ("/v2//p/jobs?a=//b/./c/", "/v2/p/jobs?a=//b/./c/"),
            ("///v2///p///clients///x///", "/v2/p/clients/x"),
            ("/./v2/./p/jobs/.", "/v2/p/jobs"),
            ("/v2/p/jobs/../clients", "/v2/p/clients"),
            ("/../../v2/p/jobs/j/..", "/v2/p/jobs"),
            ("/v2/..", "/"),
            ("/v2/p/clients/.x/..y/...", "/v2/p/clients/.x/..y/..."),
            ("/v2/p/clients/node.example.", "/v2/p/clients/node.example."),
            ("/v2/p/actions/a%2F%2Fb", "/v2/p/actions/a%2F%2Fb"),
            ("/v2//p/actions/%2F%2e%2e%2F/", "/v2/p/actions/%2F%2e%2e%2F"),
            ("/v2/p/%6aobs", "/v2/p/jobs"),
            ("/%56%32/p/%6A%6f%62%73/?x=%6a", "/V2/p/jobs?x=%6a"),
            ("/v2/p%2djobs/x%5F%7e%2E%20%C3%A4", "/v2/p-jobs/x_~%2E%20%C3%A4"),
            ("/v2/p/jobs/%256a", "/v2/p/jobs/%256a"),
            ("/v2/p/jobs/%%36a%", "/v2/p/jobs/%256a%25"),
            ("/v2/p/jobs/%4", "/v2/p/jobs/%254"),
            ("http://host//v2/p/jobs/", "http://host/v2/p/jobs"),
            ("http://host", "http://host/"),
            ("https://host:1//", "https://host:1/"),
            ("http://user@[::1]:1/v2/../?x=//y/", "http://user@[::1]:1/?x=//y/"),
            ("host:1", "host:1"),
            ("*", "*"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            normalize(&mut uri);
            assert_eq!(uri.to_string(), expected, "{given}");
        }
    }

    #[test]
    fn only_100_continue_is_a_known_expectation() {
        let unknown = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(EXPECT, value.parse().unwrap());
            }
            unknown_expectation(&headers)
        };
        for known in [&[][..], &["100-continue"], &["100-Continue"], &["100-continue", "100-continue"]] {
            assert_eq!(unknown(known), None);
        }
        assert_eq!(unknown(&["200-ok"]).as_deref(), Some("200-ok"));
        assert_eq!(unknown(&["100-continue, more"]).as_deref(), Some("100-continue, more"));
        assert_eq!(unknown(&["100-continue", "more"]).as_deref(), Some("more"));
        assert_eq!(unknown(&[""]).as_deref(), Some(""));
    }
}
