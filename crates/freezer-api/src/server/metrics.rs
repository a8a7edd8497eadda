//! The listener of the metrics. It is apart from that of the API, so that it can have another address, and answers while all
//! connections of the API are in use, while the service waits for its database, and while it stops.
//!
//! Few connections are open at a time, each for one request and a short time. `api/metrics.rs` has the path.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower::ServiceExt;

use super::ACCEPT_PAUSE;
use super::listen::bind;
use crate::api::metrics::router;
use crate::app::App;
use crate::config::Listen;

/// Maximum number of connections. Further ones wait.
const MAX_CONNECTIONS: usize = 16;
/// Time limit for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of a connection.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of a request.
const HEAD_MAX: usize = 16 * 1024;
/// Maximum number of connections that wait to be accepted.
const BACKLOG: u32 = 64;

/// The reason why the metrics have no listener.
#[derive(Debug, thiserror::Error)]
#[error("[metrics] bind_host = {host}, bind_port = {port}: {source}; {advice}")]
pub struct MetricsListenError {
    host: String,
    port: u16,
    source: io::Error,
    advice: &'static str,
}

impl MetricsListenError {
    fn new(address: &Listen, source: io::Error) -> MetricsListenError {
        let advice = match source.kind() {
            io::ErrorKind::AddrInUse => {
                "another program or another process of the service listens there; set another bind_port for each process"
            }
            io::ErrorKind::PermissionDenied => "set a bind_port above 1023",
            _ => "set an address of this machine, or remove bind_port to switch the metrics off",
        };
        MetricsListenError { host: address.host.clone(), port: address.port, source, advice }
    }
}

/// The listening socket of the metrics.
#[derive(Debug)]
pub struct MetricsListener {
    socket: TcpListener,
    address: SocketAddr,
}

impl MetricsListener {
    /// Returns the address.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Resolves and binds the address.
pub async fn listen_for_metrics(address: &Listen) -> Result<MetricsListener, MetricsListenError> {
    let opened = async {
        let socket = bind(first(address).await?, address.reuse_port)?.listen(BACKLOG)?;
        let address = socket.local_addr()?;
        Ok(MetricsListener { socket, address })
    };
    opened.await.map_err(|error| MetricsListenError::new(address, error))
}

/// Checks whether [`listen_for_metrics`] could bind the address. If another process listens on it, the check succeeds, because
/// that may be the service itself.
pub async fn check_metrics(address: &Listen) -> Result<(), MetricsListenError> {
    let bound = async { bind(first(address).await?, address.reuse_port).map(drop) };
    match bound.await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            Err(MetricsListenError::new(address, error))
        }
        _ => Ok(()),
    }
}

async fn first(address: &Listen) -> io::Result<SocketAddr> {
    let mut found = lookup_host((address.host.as_str(), address.port)).await?;
    found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// Serves the metrics, as long as it is polled.
pub async fn serve_metrics(listener: MetricsListener, app: Arc<App>) {
    let (router, places) = (router(app), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.socket.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_connection(stream, router.clone(), place));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection for the metrics could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers one request.
async fn serve_connection(stream: TcpStream, router: Router, place: OwnedSemaphorePermit) {
    let service =
        service_fn(move |request: Request<Incoming>| router.clone().oneshot(request.map(Body::new)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that disconnects early or is slow is not logged.
    let _ = timeout(TIMEOUT, served).await;
    drop(place);
}
