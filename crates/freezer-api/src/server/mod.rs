//! The server: listens, passes connections to hyper, and stops gracefully.
//!
//! It has its own accept loop, because no library combines a limit of connections, a time limit for request
//! heads and draining at the end.
//!
//! `listeners.rs` has all listening sockets, `listen.rs` opens and closes one, and `unix.rs` has the details of a Unix socket.
//! `tls/` runs the handshakes of TLS, and `stream.rs` has the bytes of a connection in each case. `peer.rs` has the other end of a
//! connection. `files.rs` divides the open files of the process, and `slots.rs` limits the number of connections. For one connection,
//! `connection.rs` serves its requests, `body.rs` limits the time for their bodies, `answer.rs` follows their answers until they are sent,
//! `socket.rs` closes it so that the last answer arrives, and `framing.rs` tracks the requests in the
//! received bytes. `metrics.rs` has the listener of the metrics. `head.rs` and `refusal.rs` complete the checks and the answers of the HTTP library.
//! `slots.rs`, `connection.rs` and `body.rs` depend on each other: the table of slots closes connections that wait, a connection
//! returns its slot, and a body changes the state of its connection while it is read.

mod answer;
mod body;
mod connection;
mod files;
mod framing;
mod head;
mod listen;
mod listeners;
mod metrics;
mod peer;
mod refusal;
mod slots;
mod socket;
mod stream;
mod tls;
mod unix;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use repeated_events::{EventCount, RepeatedEvents};
use tokio::time::Instant;

pub use self::files::{Room, file_limit, raise_file_limit};
pub use self::listen::{ListenError, Listener, listen};
pub use self::listeners::{Listeners, check, inherit_or_listen};
pub use self::metrics::{
    MetricsListenError, MetricsListener, check_metrics, listen_for_metrics, serve_metrics,
};
pub use self::tls::{ServerTls, TlsFileError};

use self::connection::{ConnectionSettings, HttpConnection};
use self::listen::Accepted;
use self::slots::{ConnectionSlot, Slots};
use self::socket::Socket;
use self::stream::ByteStream;
use crate::api;
use crate::api::address::RequestTransport;
use crate::api::middleware::Front;
use crate::api::rejection::RejectionReason;
use crate::api::request_record::RequestRecord;
use crate::app::{App, StopSettings};

/// Time limit for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest head of a request. A token has up to 16 KiB, a path with its query up to 64 KiB.
const HEAD_MAX: usize = 128 * 1024;
/// Pause after a failed accept (no free file descriptors), which would otherwise fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is ready, then answers all accepted requests.
pub async fn serve(listeners: impl Into<Listeners>, app: Arc<App>, stop: impl Future<Output = ()>) {
    let listeners = listeners.into();
    let StopSettings { delay, timeout } = app.http.stop;
    let server = Server::new(&app);
    let mut stop = pin!(async {
        stop.await;
        if !delay.is_zero() {
            app.readiness.drain();
            tokio::time::sleep(delay).await;
        }
    });
    loop {
        let accepted = tokio::select! {
            accepted = listeners.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    server.log_refused_connection(&error);
                    server.slots.make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        tokio::select! {
            slot = server.slots.slot(accepted.peer) => server.open(accepted, slot),
            () = &mut stop => {
                let slot = server.slots.extra_slot(accepted.peer);
                server.open(accepted, Some(slot));
                break;
            }
        }
    }
    server.shared.stopping.store(true, Ordering::Relaxed);
    server.slots.wake_all();
    let open = |accepted: Accepted| {
        let slot = server.slots.extra_slot(accepted.peer);
        server.open(accepted, Some(slot));
    };
    listeners.close(open).await;
    if tokio::time::timeout(timeout, server.slots.wait_until_empty()).await.is_err() {
        let left = server.slots.count();
        tracing::warn!("stopped with {left} connections open after {timeout:?}");
    }
}

/// The shared state of all connections.
struct Server {
    front: Front,
    shared: ConnectionSettings,
    slots: Arc<Slots>,
    /// The connections that could not be accepted.
    refused: RepeatedEvents,
}

impl Server {
    fn new(app: &Arc<App>) -> Server {
        Server {
            front: Front::new(api::router(app.clone()), app.clone(), app.ids.clone()),
            shared: ConnectionSettings {
                stopping: Arc::new(AtomicBool::new(false)),
                limits: app.http.body,
                answer_timeout: app.http.connections.answer_timeout,
                min_answer_rate: app.http.connections.min_answer_rate,
                began: Instant::now(),
                tells_peer: app.http.health.asks_for_peer(),
                ids: app.ids.clone(),
                metrics: app.metrics.requests().clone(),
            },
            slots: Slots::new(app.http.connections, app.metrics.connections()),
            refused: RepeatedEvents::default(),
        }
    }

    fn log_refused_connection(&self, error: &std::io::Error) {
        let is_first = self.refused.add(1, &error.to_string(), |EventCount { events, last }| {
            tracing::warn!(
                "connections that could not be accepted in the last minute: {events}; the last one: {last}"
            );
        });
        if is_first {
            tracing::warn!(%error, "a connection could not be accepted");
        }
    }

    /// Serves a connection in its own task. Without a slot, closes it.
    fn open(&self, accepted: Accepted, slot: Option<ConnectionSlot>) {
        let Accepted { stream, peer, tls } = accepted;
        let Some(slot) = slot else {
            return RequestRecord::without_head((&self.shared.ids, &self.shared.metrics), peer.ip())
                .reject(RejectionReason::PeerConnections);
        };
        let transport = match (&stream, &tls) {
            (ByteStream::Unix(_), _) => RequestTransport::UnixSocket,
            (_, Some(_)) => RequestTransport::Tls,
            (_, None) => RequestTransport::Tcp,
        };
        let connection = Arc::new(HttpConnection::new(self.shared.clone(), peer, transport, slot));
        self.slots.add(&connection);
        let front = self.front.clone();
        let Some(tls) = tls else {
            tokio::spawn(serve_http(stream, connection, front));
            return;
        };
        let ByteStream::Tcp(stream) = stream else { return };
        tokio::spawn(async move {
            // Boxed, so that the task has room for it only during the handshake.
            let handshake = Box::pin(tls::handshake(&tls, stream, peer, &connection));
            if let Some(stream) = handshake.await {
                connection.waits_for_client();
                serve_http(stream, connection, front).await;
            }
        });
    }
}

/// Serves the requests of a connection until its end.
async fn serve_http(stream: ByteStream, connection: Arc<HttpConnection>, front: Front) {
    let socket = Socket::new(stream, Arc::clone(&connection));
    let of_requests = Arc::clone(&connection);
    let service = service_fn(move |request: http::Request<Incoming>| {
        Arc::clone(&of_requests).serve(front.clone(), request)
    });
    let served = http1::Builder::new()
        // Without a timer, hyper ignores its time limits.
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(HEAD_MAX)
        // Limits the bytes of an unfinished head.
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(socket), service);
    let mut served = pin!(served);
    loop {
        tokio::select! {
            // A client that disconnects early is not logged.
            _ = served.as_mut() => return,
            () = connection.woken() => if connection.closes_now() { return },
        }
    }
}
