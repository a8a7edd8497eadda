//! The server: listens, hands connections to hyper, and ends gracefully.
//!
//! An accept loop of our own, because a limit of connections, a time limit for request heads and draining at the end
//! are all needed, and no helper gives all three. TLS is a balancer's work so far.
//!
//! One connection: `connection.rs` serves its requests, `body.rs` limits the time for their bodies, `socket.rs` closes it
//! so that the last answer arrives, and `framing.rs` knows where in a request the received bytes end. `head.rs` and
//! `refusal.rs` complete what the HTTP library checks and answers.

mod body;
mod connection;
mod framing;
mod head;
mod refusal;
mod socket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;

use self::connection::{Connection, Shared};
use self::socket::Socket;

use crate::api;
use crate::api::middleware::Front;
use crate::app::App;
use crate::config::{AuthStrategy, Listen};

/// Connections served at the same time. Schedulers open a new one for each call, and close it.
const MAX_CONNECTIONS: usize = 8_192;
/// Time for a client to send the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest head of a request. A token has up to 16 KiB, a path and its query up to 64 KiB.
const HEAD_MAX: usize = 128 * 1024;
/// Time for requests under way to end after the signal to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept (out of file descriptors), which would otherwise fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be resolved or bound.
    #[error("[DEFAULT] bind_host {host}, bind_port {port}: {source}")]
    Bind {
        /// Host of the configuration.
        host: String,
        /// Port of the configuration.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// Without authentication, anybody who reaches the port could be anybody.
    #[error(
        "auth_strategy = noauth performs no authentication, so it may only listen on loopback addresses, not on {0}; \
         set [DEFAULT] bind_host = 127.0.0.1, or auth_strategy = keystone"
    )]
    NotLoopback(SocketAddr),
}

/// Resolves and binds the address.
///
/// # Errors
/// [`ListenError`]
pub async fn listen(address: &Listen, strategy: AuthStrategy) -> Result<TcpListener, ListenError> {
    let backlog = address.backlog;
    on_first(address, strategy, |address| bind(address)?.listen(backlog)).await
}

/// Whether [`listen`] could bind the address. One that another process listens on is fine: it may be the service itself.
///
/// # Errors
/// [`ListenError`]
pub async fn check(address: &Listen, strategy: AuthStrategy) -> Result<(), ListenError> {
    let free = |address| match bind(address) {
        Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => Err(error),
        _ => Ok(()),
    };
    on_first(address, strategy, free).await
}

/// Resolves the address and tries what it resolves to until one works.
async fn on_first<T>(
    address: &Listen,
    strategy: AuthStrategy,
    mut attempt: impl FnMut(SocketAddr) -> std::io::Result<T>,
) -> Result<T, ListenError> {
    let Listen { host, port, .. } = address;
    let failed = |source| ListenError::Bind { host: host.clone(), port: *port, source };
    let addresses: Vec<SocketAddr> =
        tokio::net::lookup_host((host.as_str(), *port)).await.map_err(failed)?.collect();
    if strategy == AuthStrategy::NoAuth
        && let Some(open) = addresses.iter().find(|address| !address.ip().is_loopback())
    {
        return Err(ListenError::NotLoopback(*open));
    }
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match attempt(address) {
            Ok(done) => return Ok(done),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // a restart need not wait for the connections of the former process to be forgotten
    socket.set_reuseaddr(true)?;
    // answers are small and complete: waiting for more to send only delays them. Accepted connections inherit it.
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Lets the process have as many open files as its hard limit allows: service managers start programs with a soft limit
/// of 1,024, fewer than the connections served here, and what ran out of them first would be those to the database.
pub fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it was");
    }
}

/// Serves until `stop` is done, then lets requests under way end.
pub async fn serve(listener: TcpListener, app: Arc<App>, stop: impl Future<Output = ()>) {
    let front = Front::new(api::router(app.clone()), app.clone(), app.ids.clone());
    let shared = Shared {
        stopping: Arc::new(AtomicBool::new(false)),
        limits: app.http.body,
        tells_peer: app.http.health.asks_for_peer(),
        ids: app.ids.clone(),
    };
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut stop = std::pin::pin!(stop);
    loop {
        // the place first: at the limit, new connections wait in the kernel's queue
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let connection = Arc::new(Connection::new(shared.clone(), peer));
        let socket = Socket::new(stream, Arc::clone(&connection));
        let front = front.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            Arc::clone(&connection).serve(front.clone(), request)
        });
        let served = http1::Builder::new()
            // without a timer, hyper's time limits are silently off
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_header_size(HEAD_MAX)
            // bytes of an unfinished head
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(socket), service);
        let served = connections.watch(served);
        tokio::spawn(async move {
            // a client that goes away in the middle is no news
            let _ = served.await;
            drop(place);
        });
    }
    shared.stopping.store(true, Ordering::Relaxed);
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests under way after {DRAIN_TIMEOUT:?}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn an_accepted_connection_does_not_wait_for_more_to_send() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap().listen(1).unwrap();
        let _client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert!(stream.nodelay().unwrap());
    }
}
