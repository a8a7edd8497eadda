//! Builds answers. Only this file chooses status codes and the form of error bodies.
//!
//! Errors have the form `{"title", "description"}`, like those of falcon, and clients print them. If the client made a mistake,
//! the description explains it. If the service has a defect, the cause is logged here with its chain of causes, and the
//! client gets a fixed text. An outage results in a fixed text as well.

use std::error::Error as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use freezer_store::{Outage, StoreError, Unstorable};
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderValue, StatusCode};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

use super::refusals::RefusedRequest;
use super::rejection::RejectionReason;
use crate::error::{Busy, Denied, Error};
use crate::readiness::Wait;
use crate::service::answers::FREE;

/// Seconds after which a client may retry if the database or Keystone was not available.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");
/// Initial capacity of the buffer for a document, in bytes. A job with one action has about 1,200 bytes.
const DOCUMENT_CAPACITY: usize = 2_048;
/// Maximum initial capacity of the buffer for a list, in bytes.
const LIST_CAPACITY: usize = 65_536;
/// The text for the client in an outage.
const DATABASE_UNAVAILABLE: &str = "The database is temporarily unavailable.";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The methods in the 405 for an unknown action of a session, as in the Python service. A 405 must name the allowed methods
/// (RFC 9110, section 15.5.6).
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE, HEAD, PATCH");

/// Returns whether the status is 401.
pub fn is_unauthenticated(answer: &Response) -> bool {
    answer.status() == StatusCode::UNAUTHORIZED
}

/// Returns whether the status is 400: the request breaks the rules of HTTP or of the service.
pub fn is_malformed(answer: &Response) -> bool {
    answer.status() == StatusCode::BAD_REQUEST
}

/// Returns a 200 with a document.
pub fn ok(document: &impl Serialize) -> Result<Response, Error> {
    json_answer(StatusCode::OK, document, DOCUMENT_CAPACITY)
}

/// Returns a 200 with a list under its name. If they are given, it also has a link to the next page and the total number of
/// documents.
pub fn list<T: Serialize>(
    name: &'static str,
    documents: &[T],
    next: Option<&str>,
    count: Option<u64>,
) -> Result<Response, Error> {
    let capacity = documents.len().saturating_add(1).saturating_mul(DOCUMENT_CAPACITY).min(LIST_CAPACITY);
    json_answer(StatusCode::OK, &ListAnswer { name, documents, next, count }, capacity)
}

struct ListAnswer<'a, T> {
    name: &'static str,
    documents: &'a [T],
    next: Option<&'a str>,
    count: Option<u64>,
}

// not built as a `Value`, so stored JSON is written as it is, without being parsed
impl<T: Serialize> Serialize for ListAnswer<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry(self.name, self.documents)?;
        if let Some(next) = self.next {
            body.serialize_entry(&format!("{}_links", self.name), &[json!({"rel": "next", "href": next})])?;
        }
        if let Some(count) = self.count {
            body.serialize_entry("count", &count)?;
        }
        body.end()
    }
}

/// The status of [`created`].
pub const CREATED: u16 = StatusCode::CREATED.as_u16();

/// Returns a 201 with a document, which usually has only the new id.
pub fn created(document: &impl Serialize) -> Result<Response, Error> {
    json_answer(StatusCode::CREATED, document, DOCUMENT_CAPACITY)
}

/// Returns a 202 with the result of a request that a scheduler will carry out.
pub fn accepted(document: &impl Serialize) -> Result<Response, Error> {
    json_answer(StatusCode::ACCEPTED, document, DOCUMENT_CAPACITY)
}

/// Returns an answer that was stored when it was sent the first time.
pub fn stored(status: u16, body: String) -> Result<Response, Error> {
    let status = StatusCode::from_u16(status)
        .map_err(|error| Error::Internal(format!("a stored answer has an invalid status: {error}")))?;
    if body.is_empty() {
        return Ok(status.into_response());
    }
    Ok((status, [(CONTENT_TYPE, JSON)], body).into_response())
}

/// Returns a 204.
pub fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// Returns a 300 with the document of versions.
pub fn choices(document: &impl Serialize) -> Result<Response, Error> {
    json_answer(StatusCode::MULTIPLE_CHOICES, document, DOCUMENT_CAPACITY)
}

/// Returns the result of the health check, with a 200, or a 503 if a check fails.
pub fn health(healthy: bool, content_type: &'static str, body: String) -> Response {
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}

/// Returns a 200 with a text that is not JSON.
pub fn text(content_type: &'static str, body: impl Into<Body>) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(content_type))], body.into()).into_response()
}

/// Returns the answer to OPTIONS. As in falcon, it has no body; the router adds `Allow`.
pub fn options() -> Response {
    (StatusCode::OK, [(http::header::CONTENT_LENGTH, HeaderValue::from_static("0"))]).into_response()
}

/// Returns the 500 for a panic in a handler.
pub fn panicked() -> Response {
    Error::Internal("a handler panicked".to_owned()).into_response()
}

/// Returns the reason phrase and the body for a request if the HTTP library refuses its head with this status.
pub fn unreadable_head(status: u16) -> (&'static str, String) {
    let (reason, title, description) = match status {
        431 => (
            "Request Header Fields Too Large",
            "Request header fields too large",
            "The request has more than 100 headers, or its headers are larger than 128 KiB.",
        ),
        413 => (
            "Content Too Large",
            "Request body too large",
            "The Content-Length of the request is larger than any body can be.",
        ),
        414 => ("URI Too Long", "URI too long", "The path and the query are longer than 65534 bytes."),
        _ => (
            "Bad Request",
            "Malformed request",
            "The head of the request does not follow the rules of HTTP: the request line, a header name or value, or \
             the length of the body cannot be read.",
        ),
    };
    (reason, json!({"title": title, "description": description}).to_string())
}

/// Returns an answer with a JSON document. `capacity` is the initial size of the buffer in bytes; for a larger document, the
/// buffer must grow.
fn json_answer(status: StatusCode, document: &impl Serialize, capacity: usize) -> Result<Response, Error> {
    let mut body = Vec::with_capacity(capacity);
    serde_json::to_writer(&mut body, document)
        .map_err(|error| Error::Internal(format!("the answer cannot be written as JSON: {error}")))?;
    if body.len() > FREE {
        // a buffer that has grown can be twice as large as the answer, which takes only its own bytes from the budget
        body.shrink_to_fit();
    }
    Ok((status, [(CONTENT_TYPE, JSON)], body).into_response())
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, title) = status_and_title(&self);
        let is_failure = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
        let refusal = if is_failure && !is_logged_once(&self) {
            log_server_error(&self, status);
            None
        } else {
            log_refusal(&self, status);
            RefusedRequest::new(&self)
        };
        let body = match (&self, title) {
            (Error::Absent | Error::NotAcceptable, _) => None,
            (Error::NoRoute | Error::NoMethod, title) => Some(json!({"title": title})),
            (_, title) => Some(json!({"title": title, "description": description(&self)})),
        };
        let is_described = body.is_some() && status != StatusCode::UNAUTHORIZED;
        let body = body.map(|body| Body::from(body.to_string())).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, JSON)], body).into_response();
        if is_described {
            // falcon sends this header with errors, because their format depends on `Accept`
            response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        }
        if matches!(self, Error::NoSuchAction(_)) {
            response.headers_mut().insert(ALLOW, METHODS);
        }
        if matches!(self, Error::BodyTimeout(_)) {
            // RFC 9110, section 15.5.9
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let retry = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        if retry || matches!(self, Error::UnderWay) {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if let Some(refusal) = refusal {
            response.extensions_mut().insert(refusal);
        }
        if let Some(rejection) = RejectionReason::of(&self) {
            response.extensions_mut().insert(rejection);
        }
        response
    }
}

/// Returns whether another module logs the cause once for many requests. `manage/schema_watch.rs` logs the reason why the
/// service waits, `server/slots.rs` and `refusals.rs` log that it is busy, and `freezer-store` and `keystone-auth` log the
/// beginning and the end of an outage.
fn is_logged_once(error: &Error) -> bool {
    match error {
        Error::NotReady(_) | Error::Busy(_) | Error::KeystoneUnavailable(_) => true,
        Error::Store(error) => error.is_outage(),
        _ => false,
    }
}

fn status_and_title(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::MalformedJson(_) => (StatusCode::BAD_REQUEST, "Malformed JSON"),
        Error::BadDocument(_) => (StatusCode::BAD_REQUEST, "Bad request format"),
        Error::Malformed(_) => (StatusCode::BAD_REQUEST, "Malformed request"),
        Error::LacksTls => (StatusCode::BAD_REQUEST, "HTTPS required"),
        Error::UnknownCoding(_) => (StatusCode::NOT_IMPLEMENTED, "Not Implemented"),
        Error::BodyTimeout(_) => (StatusCode::REQUEST_TIMEOUT, "Request Timeout"),
        Error::UnknownExpectation(_) => (StatusCode::EXPECTATION_FAILED, "Expectation Failed"),
        Error::BadParameter { .. } => (StatusCode::BAD_REQUEST, "Invalid parameter"),
        Error::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "Request body too large"),
        Error::DocumentTooLarge { .. } | Error::TooManyActions { .. } | Error::AnswerTooLarge { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, "Document too large")
        }
        Error::Unprocessable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Unprocessable Entity"),
        Error::Conflict(_) => (StatusCode::CONFLICT, "Document already existing"),
        Error::UnderWay => (StatusCode::CONFLICT, "Request under way"),
        Error::NotFound { .. } | Error::Absent => (StatusCode::NOT_FOUND, "Not Found"),
        Error::NoRoute => (StatusCode::NOT_FOUND, "404 Not Found"),
        Error::NoMethod => (StatusCode::METHOD_NOT_ALLOWED, "405 Method Not Allowed"),
        Error::NoSuchAction(_) => (StatusCode::METHOD_NOT_ALLOWED, "Bad Method"),
        Error::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, "Not Acceptable"),
        Error::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        Error::Forbidden(_) | Error::ForeignPage(_) => (StatusCode::FORBIDDEN, "Access Forbidden"),
        Error::Busy(Busy::Peer | Busy::Project | Busy::ProjectAnswers) => {
            (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests")
        }
        Error::NotReady(_) | Error::KeystoneUnavailable(_) | Error::Busy(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        Error::TrustRefused(_) => (StatusCode::UNPROCESSABLE_ENTITY, "Missing required credentials"),
        Error::Store(error) => status_of_store(error),
        Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}

fn status_of_store(error: &StoreError) -> (StatusCode, &'static str) {
    match error {
        _ if error.is_replaced() => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        StoreError::Duplicate { .. } => (StatusCode::CONFLICT, "Document already existing"),
        StoreError::TooLarge { .. }
        | StoreError::TreeTooLarge { .. }
        | StoreError::Unstorable { reason: Unstorable::PacketTooLarge, .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, "Document too large")
        }
        StoreError::Unstorable { .. } => (StatusCode::BAD_REQUEST, "Bad request format"),
        StoreError::UnknownMarker { .. } => (StatusCode::BAD_REQUEST, "Invalid parameter"),
        StoreError::Unavailable { .. }
        | StoreError::Refused { .. }
        | StoreError::Setting { .. }
        | StoreError::Url(_)
        | StoreError::OutcomeUnknown { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        StoreError::Corrupt { .. } | StoreError::Schema(_) | StoreError::Backend { .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "Internal Storage Error")
        }
    }
}

/// Returns the description for the client. The details of an outage or a defect are only in the log, with the request id.
fn description(error: &Error) -> String {
    match error {
        Error::KeystoneUnavailable(_) => "The Keystone service is temporarily unavailable.".to_owned(),
        Error::Internal(_) => "An unexpected error occurred on the server.".to_owned(),
        Error::Store(error) => match error {
            _ if error.is_replaced() => Error::NotReady(Wait::Tables).to_string(),
            StoreError::Duplicate { id, .. } => format!("The ID {id} is already in use; choose another one."),
            StoreError::TooLarge { what, id, bytes, .. } => {
                format!("{what} {id}: takes about {bytes} bytes, which is more than the service reads at once")
            }
            StoreError::TreeTooLarge { what, id, memory, .. } => {
                format!("{what} {id}: takes about {memory} bytes of memory, which is more than this change may use")
            }
            StoreError::UnknownMarker { .. } => {
                "The \"marker\" parameter is invalid. It must be the id of a document of this list."
                    .to_owned()
            }
            StoreError::Unstorable { column, reason, .. } if column == "?" => reason.to_string(),
            StoreError::Unstorable { column, reason, .. } => format!("{column}: {reason}"),
            StoreError::Unavailable { outage, .. } => unavailable(*outage).to_owned(),
            StoreError::Refused { .. } | StoreError::Setting { .. } | StoreError::Url(_) => {
                DATABASE_UNAVAILABLE.to_owned()
            }
            StoreError::OutcomeUnknown { .. } => {
                "The database's answer to this change was lost. Check whether the change was stored before you try again."
                    .to_owned()
            }
            StoreError::Corrupt { .. } | StoreError::Schema(_) | StoreError::Backend { .. } => {
                "Database operation failed.".to_owned()
            }
        },
        other => other.to_string(),
    }
}

/// Returns the text for the client if the database did not do its work.
fn unavailable(outage: Outage) -> &'static str {
    match outage {
        Outage::Full => "The database cannot store anything at the moment; this request has changed nothing.",
        Outage::Busy => {
            "All database connections of the service were in use until the time limit of this request; try again later."
        }
        Outage::Slow => "The database did not finish this request within its time limit; try again later.",
        Outage::Contended => {
            "Other changes to the same documents did not end within the time limit of this request; try again later."
        }
        Outage::Trigger => {
            "A trigger in the database rejects this change, so nothing was stored. Its operator must correct the trigger."
        }
        Outage::Away | Outage::Refusing | Outage::Locked | Outage::Storage | Outage::Denied => {
            DATABASE_UNAVAILABLE
        }
    }
}

/// Logs a refused request. A caller without access is at INFO, because operators must be able to tell why. Other reasons can
/// contain parts of the body, so they are at DEBUG.
fn log_refusal(error: &Error, status: StatusCode) {
    let status = status.as_u16();
    match error {
        Error::Forbidden(denied) => match &**denied {
            Denied::Policy { rule, roles, reason } => {
                let roles = roles.join(", ");
                tracing::info!(status, "refused: {rule} denied to roles [{roles}]: {reason}");
            }
            other => tracing::info!(status, "refused: {other}"),
        },
        Error::Unauthenticated(_) | Error::ForeignPage(_) => tracing::info!(status, "refused: {error}"),
        // only the operator can change this limit
        Error::Store(StoreError::Unstorable { reason: Unstorable::PacketTooLarge, .. }) => {
            tracing::warn!(status, "refused: {error}");
        }
        _ => tracing::debug!(status, "refused: {error}"),
    }
}

fn log_server_error(error: &Error, status: StatusCode) {
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !chain.contains(&text) {
            chain.push_str(": ");
            chain.push_str(&text);
        }
        cause = inner.source();
    }
    tracing::error!(status = status.as_u16(), "{chain}");
}
