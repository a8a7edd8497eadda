//! The shared state of a connection's parts, and the handling of its requests.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use futures_util::FutureExt;
use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Request};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::answer::{AnswerBody, UnsentAnswers};
use super::body::RequestBody;
use super::head;
use super::peer::Peer;
use super::slots::ConnectionSlot;
use crate::api::address::RequestTransport;
use crate::api::is_open;
use crate::api::middleware::Front;
use crate::api::request_record::RequestRecord;
use crate::app::BodyLimits;
use crate::clock::Ids;
use crate::error::Error;
use crate::metrics::RequestMetrics;

/// Unread bytes of a body up to this size are read, so that the connection can be reused.
const SMALL_REST: u64 = 65_536;
/// Time limit for reading them.
const SMALL_REST_TIMEOUT: Duration = Duration::from_secs(2);
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// The server's settings for its connections.
#[derive(Clone)]
pub(super) struct ConnectionSettings {
    /// Set at the signal to stop.
    pub(super) stopping: Arc<AtomicBool>,
    /// Time limits of request bodies.
    pub(super) limits: BodyLimits,
    /// Longest time without progress while an answer is written.
    pub(super) answer_timeout: Duration,
    /// Bytes per second that a client must read after this time. 0: no minimum.
    pub(super) min_answer_rate: u64,
    /// Start time of the server.
    pub(super) began: Instant,
    /// Whether requests contain the address of their peer.
    pub(super) tells_peer: bool,
    /// Ids of requests.
    pub(super) ids: Ids,
    /// Metrics of requests.
    pub(super) metrics: RequestMetrics,
}

/// A connection of a client.
pub(super) struct HttpConnection {
    shared: ConnectionSettings,
    peer: Peer,
    transport: RequestTransport,
    slot: ConnectionSlot,
    /// Since when the service has waited for the client, in milliseconds since the start, at least 1. 0: the
    /// service is working.
    waits_since: AtomicU64,
    /// Whether the connection must be closed without an answer, to make room for others.
    closes_now: AtomicBool,
    /// Whether the client uses plain HTTP on a port with TLS.
    lacks_tls: AtomicBool,
    wake: Notify,
    /// Number of requests received from the HTTP library.
    requests: AtomicU32,
    /// Number of the request with both kinds of length, counted from 1. 0: none.
    ambiguous: AtomicU32,
    /// The part of a body that its handler did not read.
    rest: Mutex<Option<Incoming>>,
    /// Whether the connection closes after the present answer and discards further bytes.
    discards: AtomicBool,
    /// Number of bytes that the kernel has taken.
    sent: AtomicU64,
    /// The answers whose bytes the kernel has not taken completely.
    unsent: Mutex<UnsentAnswers>,
}

impl HttpConnection {
    pub(super) fn new(
        shared: ConnectionSettings,
        peer: Peer,
        transport: RequestTransport,
        slot: ConnectionSlot,
    ) -> HttpConnection {
        let connection = HttpConnection {
            shared,
            peer,
            transport,
            slot,
            waits_since: AtomicU64::new(0),
            closes_now: AtomicBool::new(false),
            lacks_tls: AtomicBool::new(false),
            wake: Notify::new(),
            requests: AtomicU32::new(0),
            ambiguous: AtomicU32::new(0),
            rest: Mutex::new(None),
            discards: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            unsent: Mutex::default(),
        };
        connection.waits_for_client();
        connection
    }

    pub(super) fn slot(&self) -> &ConnectionSlot {
        &self.slot
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.shared.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Records that the service waits for the client: for a request, for its body, or until it reads the
    /// answer.
    pub(super) fn waits_for_client(&self) {
        self.waits_since.store(self.milliseconds().max(1), Ordering::Relaxed);
    }

    /// Records that the service is working.
    pub(super) fn starts_working(&self) {
        self.waits_since.store(0, Ordering::Relaxed);
    }

    /// Returns how long the service has waited for the client. `None` if it is working.
    pub(super) fn waited(&self) -> Option<Duration> {
        match self.waits_since.load(Ordering::Relaxed) {
            0 => None,
            since => Some(Duration::from_millis(self.milliseconds().saturating_sub(since))),
        }
    }

    /// Closes the connection without an answer.
    pub(super) fn close_now(&self) {
        self.closes_now.store(true, Ordering::Relaxed);
        self.wake();
    }

    pub(super) fn closes_now(&self) -> bool {
        self.closes_now.load(Ordering::Relaxed)
    }

    /// Records that the client uses plain HTTP on a port with TLS. Its request gets an error.
    pub(super) fn set_lacks_tls(&self) {
        self.lacks_tls.store(true, Ordering::Relaxed);
    }

    /// Makes the connection check its state and that of the server.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ready after [`HttpConnection::wake`].
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(super) fn answer_timeout(&self) -> Duration {
        self.shared.answer_timeout
    }

    /// Returns the time that a client may take to read this number of bytes.
    pub(super) fn time_to_read(&self, bytes: u64) -> Duration {
        match bytes.checked_div(self.shared.min_answer_rate) {
            Some(seconds) => self.shared.answer_timeout.saturating_add(Duration::from_secs(seconds)),
            None => Duration::MAX,
        }
    }

    /// Returns the number of requests received from the HTTP library.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns whether a request was received.
    pub(super) fn has_served(&self) -> bool {
        self.requests() > 0
    }

    pub(super) fn limits(&self) -> BodyLimits {
        self.shared.limits
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Ordering::Relaxed)
    }

    pub(super) fn discards(&self) -> bool {
        self.discards.load(Ordering::Relaxed)
    }

    /// Creates the record of a request that no handler sees.
    pub(super) fn record_without_head(&self) -> RequestRecord {
        RequestRecord::without_head((&self.shared.ids, &self.shared.metrics), self.peer.ip())
    }

    /// Counts bytes that the kernel has taken.
    pub(super) fn add_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Keeps the record of an answer that the HTTP library has taken until the kernel has it, too.
    pub(super) fn answer_taken(&self, record: RequestRecord, bytes: u64) {
        self.unsent().add(record, bytes);
    }

    /// Completes the records of all answers, because the kernel has taken all bytes.
    pub(super) fn answers_sent(&self) {
        self.unsent().finish(self.sent.load(Ordering::Relaxed), true);
    }

    fn unsent(&self) -> MutexGuard<'_, UnsentAnswers> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_ambiguous(&self, request: u32) {
        self.ambiguous.store(request, Ordering::Relaxed);
    }

    /// Closes the connection after the present answer, and discards bytes that still arrive.
    pub(super) fn close_after_answer(&self) {
        self.discards.store(true, Ordering::Relaxed);
    }

    /// Stores the unread part of a request's body.
    pub(super) fn return_body(&self, rest: Incoming) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
    }

    /// Serves a request. Every failure becomes an answer.
    pub(super) async fn serve(
        self: Arc<Self>,
        front: Front,
        request: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.starts_working();
        let (mut parts, incoming) = request.into_parts();
        let record = front.record((&parts.method, &parts.uri, &parts.headers), self.peer.ip());
        if self.shared.tells_peer {
            parts.extensions.insert(ConnectInfo(self.peer.address()));
        }
        if self.transport != RequestTransport::Tcp {
            parts.extensions.insert(self.transport);
        }
        let refused = self.refusal(&parts, number).await;
        let expects_continue = parts.headers.contains_key(EXPECT);
        let body = match incoming.is_end_stream() {
            true => Body::empty(),
            false => Body::new(RequestBody::new(incoming, Arc::clone(&self))),
        };
        let request = Request::from_parts(parts, body);
        let (mut answer, record) = match refused {
            None => front.call(request, record).await,
            Some(error) => {
                self.close_after_answer();
                front.refuse(request, record, error).await
            }
        };
        self.settle(&mut answer, expects_continue);
        self.waits_for_client();
        Ok(answer.map(|body| AnswerBody::new(body, record, self)))
    }

    /// Returns the reason for rejecting a request, if any.
    async fn refusal(&self, parts: &Parts, number: u32) -> Option<Error> {
        if self.lacks_tls.load(Ordering::Relaxed) {
            return Some(Error::LacksTls);
        }
        let has_two_lengths = self.ambiguous.load(Ordering::Relaxed) == number;
        match head::refusal(parts, has_two_lengths) {
            None if is_open(parts.uri.path()) => None,
            None => self.slot.for_any_request().await.err(),
            refused => refused,
        }
    }

    /// Handles a body that was not read completely. The answer is sent at once in any case. A small remainder
    /// is read at the same time, so that the connection can be reused. Otherwise the connection is closed,
    /// and `socket.rs` ensures that the client can still read the answer.
    fn settle(&self, answer: &mut Response, expects_continue: bool) {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(rest) = rest {
            let can_continue = !expects_continue && !answer.headers().contains_key(CONNECTION);
            if !(can_continue && will_end(rest)) {
                self.close_after_answer();
            }
        }
        if self.discards() || self.is_stopping() {
            answer.headers_mut().insert(CONNECTION, CLOSE);
        }
    }
}

impl Drop for HttpConnection {
    fn drop(&mut self) {
        // the remaining answers were not sent completely
        let sent = self.sent.load(Ordering::Relaxed);
        self.unsent().finish(sent, false);
    }
}

/// Returns whether the remainder of a body has arrived, or is so small that it is read in the background.
fn will_end(mut rest: Incoming) -> bool {
    if has_ended(&mut rest) {
        return true;
    }
    let small = rest.size_hint().upper().is_some_and(|bytes| bytes <= SMALL_REST);
    if small {
        tokio::spawn(tokio::time::timeout(SMALL_REST_TIMEOUT, read_to_end(rest)));
    }
    small
}

/// Returns whether the remainder of a body has arrived completely.
fn has_ended(rest: &mut Incoming) -> bool {
    while let Some(frame) = rest.frame().now_or_never() {
        match frame {
            Some(Ok(_)) => {}
            Some(Err(_)) => return false,
            None => return true,
        }
    }
    rest.is_end_stream()
}

async fn read_to_end(mut rest: Incoming) {
    while let Some(Ok(_)) = rest.frame().await {}
}
