//! [`Listeners`]: all listening sockets of the service. They are those that the service manager opened (sd_listen_fds(3)), or
//! those of the configuration.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use listenfd::ListenFd;
use socket2::SockRef;
use tokio::net::TcpListener;

use super::listen::{self, Accepted, ListenError, ListenSocket, Listener};
use super::tls::ServerTls;
use super::unix::{self, UnixSocket};
use crate::config::{AuthStrategy, Listen};

/// All listening sockets.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<Listener>,
    /// The socket that is asked first for the next connection, so that a busy one does not delay the others.
    next: AtomicUsize,
}

impl From<Listener> for Listeners {
    fn from(listener: Listener) -> Self {
        vec![listener].into()
    }
}

impl From<Vec<Listener>> for Listeners {
    fn from(sockets: Vec<Listener>) -> Self {
        Listeners { sockets, next: AtomicUsize::new(0) }
    }
}

/// Uses the sockets of the service manager, otherwise opens those of the configuration. It may only be called once in a
/// process. TLS is for TCP sockets.
pub async fn inherit_or_listen(
    addresses: &Listen,
    strategy: AuthStrategy,
    tls: Option<Arc<ServerTls>>,
) -> Result<Listeners, ListenError> {
    let mut sockets = inherited(addresses, strategy)?;
    if sockets.is_empty() {
        if addresses.tcp {
            sockets.push(listen::listen(addresses, strategy).await?);
        }
        if let Some(socket) = &addresses.unix {
            let socket = unix::listen(socket, addresses.backlog)?;
            sockets.push(Listener::new(ListenSocket::Unix(socket), false));
        }
    }
    let sockets: Vec<Listener> = sockets.into_iter().map(|socket| socket.with_tls(tls.clone())).collect();
    Ok(sockets.into())
}

/// Returns every reason why [`inherit_or_listen`] could not open the sockets of the configuration.
pub async fn check(addresses: &Listen, strategy: AuthStrategy) -> Vec<ListenError> {
    let tcp = if addresses.tcp { listen::check(addresses, strategy).await.err() } else { None };
    let unix = addresses.unix.as_ref().and_then(|socket| unix::check(socket).err());
    tcp.into_iter().chain(unix).collect()
}

/// Returns the sockets of the service manager.
fn inherited(addresses: &Listen, strategy: AuthStrategy) -> Result<Vec<Listener>, ListenError> {
    let mut passed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for number in 0..passed.len() {
        let socket = match passed.take_unix_listener(number) {
            Ok(Some(socket)) => UnixSocket::inherited(socket).map(ListenSocket::Unix),
            _ => match passed.take_tcp_listener(number).map_err(ListenError::Inherited)? {
                Some(socket) => inherited_tcp(socket, strategy)?.map(ListenSocket::Tcp),
                None => continue,
            },
        };
        let socket = socket.and_then(listening).map_err(ListenError::Inherited)?;
        sockets.push(Listener::new(socket, true));
    }
    if !sockets.is_empty() {
        let names: Vec<String> = sockets.iter().map(Listener::name).collect();
        let unused = if addresses.unix.is_some() { " and bind_unix_socket" } else { "" };
        tracing::info!(
            "the service manager passed {}; [DEFAULT] bind_host, bind_port{unused} are not used",
            names.join(", ")
        );
    }
    Ok(sockets)
}

/// Rejects a socket that does not listen, as one of a unit with `Accept=yes`.
fn listening(socket: ListenSocket) -> io::Result<ListenSocket> {
    if socket.options().is_listener()? {
        return Ok(socket);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "it does not listen; remove Accept=yes from the socket unit",
    ))
}

fn inherited_tcp(
    socket: std::net::TcpListener,
    strategy: AuthStrategy,
) -> Result<io::Result<TcpListener>, ListenError> {
    let address = socket.local_addr().map_err(ListenError::Inherited)?;
    if strategy == AuthStrategy::NoAuth && !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback { host: None, address });
    }
    let prepared = socket.set_nonblocking(true).and_then(|()| listen::set_options(&SockRef::from(&socket)));
    Ok(prepared.and_then(|()| TcpListener::from_std(socket)))
}

impl Listeners {
    /// Returns the first TCP address.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.sockets.iter().find_map(Listener::local_addr)
    }

    /// Returns all addresses and paths for messages.
    pub fn names(&self) -> String {
        self.sockets.iter().map(Listener::name).collect::<Vec<_>>().join(", ")
    }

    /// Waits for a connection on any of the sockets.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.sockets.len().max(1);
        let (before, after) = self.sockets.split_at(first);
        poll_fn(|cx| {
            for socket in after.iter().chain(before) {
                if let Poll::Ready(accepted) = socket.poll_accept(cx) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Stops listening. Connections that the kernel accepted earlier are passed to `open`.
    pub(super) async fn close(self, mut open: impl FnMut(Accepted)) {
        for socket in self.sockets {
            socket.close(&mut open).await;
        }
    }
}
