//! [`RequestRecord`]: the facts about one request, from its head to the last byte of its answer.
//!
//! Each request has one record. `server/` creates it when the head has arrived, `middleware.rs` and the routes add to it, and
//! `server/` completes it when the last byte of the answer is written. A record is reported when it is dropped, so no request is
//! missing, even if its client disconnects. `report` is the only place that reports finished requests: it writes the access
//! line and counts the request.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, Uri};
use tracing::Span;

use super::middleware::REQUEST_ID;
use super::rejection::RejectionReason;
use super::{address, is_health};
use crate::clock::Ids;
use crate::metrics::{InFlight, RequestMetrics};

/// Maximum number of bytes of a path with its query in an access line.
const PATH_MAX: usize = 1_024;
/// Maximum number of bytes of a method in an access line.
const METHOD_MAX: usize = 32;
/// Parameters whose values are shown in access lines. A value of any other parameter could be a secret.
const SHOWN_PARAMETERS: [&str; 6] = ["limit", "offset", "marker", "sort", "with_count", "all_projects"];

/// The part of a record that the router and the handlers can reach. It is an extension of the request.
#[derive(Debug)]
pub struct RequestNotes {
    /// Id of this request.
    pub request_id: String,
    /// Id of the whole operation, if an earlier service sent one.
    pub global_request_id: Option<String>,
    route: OnceLock<MatchedPath>,
}

/// Notes the route of a request in its record.
pub(super) fn note_route(request: &Request) {
    let extensions = request.extensions();
    if let (Some(notes), Some(path)) =
        (extensions.get::<Arc<RequestNotes>>(), extensions.get::<MatchedPath>())
    {
        notes.route.get_or_init(|| path.clone());
    }
}

/// The source of ids, and the metrics of requests.
pub type RecordSource<'a> = (&'a Ids, &'a RequestMetrics);

/// The facts about one request.
pub struct RequestRecord(Box<Facts>);

struct Facts {
    began: Instant,
    /// The method and the path with its query, as the client has sent them. `None`: the head could not be read.
    head: Option<(Method, Uri)>,
    peer: Option<IpAddr>,
    notes: Arc<RequestNotes>,
    span: Span,
    status: Option<u16>,
    rejection: Option<RejectionReason>,
    bytes: u64,
    is_complete: bool,
    metrics: RequestMetrics,
    _in_flight: InFlight,
}

/// A finished request.
pub struct FinishedRequest<'a> {
    /// The method. `None`: the head could not be read.
    pub method: Option<&'a Method>,
    /// The template of the route. `None`: the request did not reach a route.
    pub route: Option<&'a str>,
    /// The path with its query, as the client has sent it.
    pub uri: Option<&'a Uri>,
    /// The status of the answer. `None`: the connection was closed before there was an answer.
    pub status: Option<u16>,
    /// Number of bytes of the answer that were written, including its head.
    pub bytes: u64,
    /// Whether the whole answer was written.
    pub is_complete: bool,
    /// Time from the head of the request to the end of the answer.
    pub duration: Duration,
    /// The limit or the outage that rejected the request.
    pub rejection: Option<RejectionReason>,
    /// The address of the client. `None`: it came through the Unix socket, and its proxy did not name it.
    pub peer: Option<IpAddr>,
    /// The span with the ids of the request and the identity of the caller.
    pub span: &'a Span,
}

impl RequestRecord {
    /// Creates the record of a request whose head has arrived.
    pub fn new(
        source: RecordSource<'_>,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
        peer: Option<IpAddr>,
    ) -> RequestRecord {
        RequestRecord::create(source, Some((method.clone(), uri.clone())), global_id(headers), peer)
    }

    /// Creates the record of a request whose head cannot be read or did not arrive.
    pub fn without_head(source: RecordSource<'_>, peer: Option<IpAddr>) -> RequestRecord {
        RequestRecord::create(source, None, None, peer)
    }

    fn create(
        (ids, metrics): RecordSource<'_>,
        head: Option<(Method, Uri)>,
        global_request_id: Option<String>,
        peer: Option<IpAddr>,
    ) -> RequestRecord {
        let notes = RequestNotes { request_id: ids.request(), global_request_id, route: OnceLock::new() };
        // at this level, so lines of every level that is written have the ids and the caller
        let span = tracing::error_span!(
            "request",
            request_id = notes.request_id.as_str(),
            global_request_id = notes.global_request_id.as_deref(),
            user = tracing::field::Empty,
            project = tracing::field::Empty,
            domain = tracing::field::Empty,
            system_scope = tracing::field::Empty,
            user_domain = tracing::field::Empty,
            project_domain = tracing::field::Empty,
        );
        RequestRecord(Box::new(Facts {
            began: Instant::now(),
            head,
            peer,
            notes: Arc::new(notes),
            span,
            status: None,
            rejection: None,
            bytes: 0,
            is_complete: false,
            _in_flight: metrics.begin(),
            metrics: metrics.clone(),
        }))
    }

    /// Returns the part that the router can reach.
    pub(super) fn notes(&self) -> &Arc<RequestNotes> {
        &self.0.notes
    }

    /// Returns the span of the request.
    pub(super) fn span(&self) -> &Span {
        &self.0.span
    }

    /// Returns the id of the request.
    pub fn request_id(&self) -> &str {
        &self.0.notes.request_id
    }

    /// Uses the address in the headers of a proxy, if they contain one.
    pub(super) fn set_proxied_peer(&mut self, headers: &HeaderMap) {
        if let Some(peer) = address::client_address(headers) {
            self.0.peer = Some(peer);
        }
    }

    /// Notes the answer, and adds the id of the request to it.
    pub(super) fn answer(&mut self, answer: &mut Response) {
        if let Ok(id) = HeaderValue::from_str(self.request_id()) {
            answer.headers_mut().insert(REQUEST_ID, id);
        }
        self.0.status = Some(answer.status().as_u16());
        self.0.rejection = answer.extensions_mut().remove::<RejectionReason>();
    }

    /// Notes the answer to a head that the HTTP library refuses with this status.
    pub fn refuse_head(&mut self, status: u16) {
        self.0.status = Some(status);
        self.0.rejection = RejectionReason::of_head(status);
    }

    /// Notes why the request got no answer.
    pub fn reject(&mut self, rejection: RejectionReason) {
        self.0.rejection = Some(rejection);
    }

    /// Notes the number of bytes of the answer that were written, and whether they are the whole answer.
    pub fn wrote(&mut self, bytes: u64, is_complete: bool) {
        self.0.bytes = bytes;
        self.0.is_complete = is_complete;
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let Facts { began, head, peer, notes, span, status, rejection, bytes, is_complete, .. } = &*self.0;
        let request = FinishedRequest {
            method: head.as_ref().map(|(method, _)| method),
            route: notes.route.get().map(MatchedPath::as_str),
            uri: head.as_ref().map(|(_, uri)| uri),
            status: *status,
            bytes: *bytes,
            is_complete: *is_complete,
            duration: began.elapsed(),
            rejection: *rejection,
            peer: *peer,
            span,
        };
        report(&request, &self.0.metrics);
    }
}

/// Reports a finished request.
fn report(request: &FinishedRequest<'_>, metrics: &RequestMetrics) {
    log_access(request);
    let rejection = request.rejection.map(RejectionReason::name);
    metrics.finish((request.method, request.route), request.status, request.duration, rejection);
}

/// Writes the access line. Health checks, and connections that are closed because their peer has too many, are at DEBUG.
fn log_access(request: &FinishedRequest<'_>) {
    let (line, span) = (RequestLine(request), request.span);
    let (status, bytes) = (request.status, request.bytes);
    // in microseconds, so the number has few digits
    let ms = request.duration.as_micros() as f64 / 1_000.0;
    let peer = request.peer.as_ref().map(tracing::field::display);
    let rejected = request.rejection.map(|rejection| tracing::field::display(rejection.name()));
    let incomplete = (!request.is_complete).then_some(true);
    let is_quiet =
        request.route.is_some_and(is_health) || request.rejection == Some(RejectionReason::PeerConnections);
    macro_rules! write_line {
        ($level:ident) => {
            tracing::$level!(
                target: "freezer_api::access", parent: span, status, bytes, ms, peer, rejected, incomplete, "{line}"
            )
        };
    }
    if is_quiet { write_line!(debug) } else { write_line!(info) }
}

/// The method and the path of a request, with values of parameters only if they cannot be secrets.
struct RequestLine<'a>(&'a FinishedRequest<'a>);

impl Display for RequestLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FinishedRequest { method, uri, .. } = self.0;
        let (Some(method), Some(uri)) = (method, uri) else { return f.write_str("- -") };
        write!(f, "{} {}", beginning(method.as_str(), METHOD_MAX), beginning(uri.path(), PATH_MAX))?;
        if uri.path().len() > PATH_MAX {
            return f.write_str("…");
        }
        let Some(query) = uri.query().filter(|query| !query.is_empty()) else { return Ok(()) };
        let mut room = PATH_MAX - uri.path().len();
        for (number, pair) in query.split('&').enumerate() {
            f.write_str(if number == 0 { "?" } else { "&" })?;
            let name = pair.split('=').next().unwrap_or_default();
            let shown = if SHOWN_PARAMETERS.contains(&name) { pair } else { "***" };
            let Some(rest) = room.checked_sub(shown.len() + 1) else { return f.write_str("…") };
            room = rest;
            f.write_str(shown)?;
        }
        Ok(())
    }
}

/// Returns the beginning of a text, with at most this number of bytes.
fn beginning(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Returns the id of the whole operation. It must be `req-` and a UUID, because other texts could forge log lines.
/// Source: oslo.context's `_format_request_id` check.
fn global_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let id = text.strip_prefix("req-")?;
    (id.len() == 36 && uuid::Uuid::try_parse(id).is_ok()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn line(method: &str, uri: &str) -> String {
        let (method, uri): (Method, Uri) = (method.parse().unwrap(), uri.parse().unwrap());
        RequestLine(&FinishedRequest {
            method: Some(&method),
            route: None,
            uri: Some(&uri),
            status: None,
            bytes: 0,
            is_complete: true,
            duration: Duration::ZERO,
            rejection: None,
            peer: None,
            span: &Span::none(),
        })
        .to_string()
    }

    #[test]
    fn values_of_unknown_parameters_are_hidden() {
        for (uri, expected) in [
            ("/v2/p/jobs", "/v2/p/jobs"),
            ("/v2/p/jobs?", "/v2/p/jobs"),
            (
                "/v2/p/jobs/?limit=10&marker=a-b&sort=created_at:desc",
                "/v2/p/jobs/?limit=10&marker=a-b&sort=created_at:desc",
            ),
            ("/v2/p/jobs?token=geheim&limit=10", "/v2/p/jobs?***&limit=10"),
            ("/v2/p/jobs?geheim", "/v2/p/jobs?***"),
            ("/v2/p/jobs?Limit=geheim&l%69mit=geheim&=geheim", "/v2/p/jobs?***&***&***"),
            ("/v2/p/jobs?with_count&all_projects=True&x", "/v2/p/jobs?with_count&all_projects=True&***"),
            ("http://host:1/v2?password=geheim", "/v2?***"),
        ] {
            assert_eq!(line("GET", uri), format!("GET {expected}"));
        }
    }

    #[test]
    fn long_parts_are_cut() {
        let long = "ä".repeat(2_000);
        let of_path = line("GET", &format!("/{long}?limit=1"));
        assert!(of_path.len() < PATH_MAX + 10 && of_path.ends_with("ä…"), "{of_path}");
        let of_query = line("GET", &format!("/v2?marker={long}&limit=1"));
        assert_eq!(of_query, "GET /v2?…");
        let many = line("GET", &format!("/v2?{}", "x&".repeat(20_000)));
        assert!(many.len() < PATH_MAX + 10 && many.ends_with('…'), "{many}");
        assert_eq!(line(&"M".repeat(100), "/"), format!("{} /", "M".repeat(METHOD_MAX)));
    }

    #[test]
    fn a_global_id_must_be_well_formed() {
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
}
