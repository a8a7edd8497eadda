//! One listening socket: TCP on a configured address, a Unix socket (`unix.rs`), or one of either kind that the service manager
//! opened. This file opens TCP sockets, and closes all kinds without losing a connection. `listeners.rs` has the set of all
//! sockets.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};

use super::peer::Peer;
use super::stream::ByteStream;
use super::tls::ServerTls;
use super::unix::UnixSocket;
use crate::config::{AuthStrategy, Listen};

/// Time for handshakes in progress before the socket is closed.
const HANDSHAKE_TIME: Duration = Duration::from_millis(50);
/// Bytes of an answer in the kernel's buffer for a slow client, in addition to those on their way. With the
/// kernel's limit of megabytes, the progress of such a client would be visible only after a long time.
const UNSENT: u32 = 128 * 1024;
/// A kernel filter that drops packets which open a connection (SYN without ACK, in byte 13 of the TCP header)
/// and accepts all others. Clients repeat a dropped packet after a second.
const NO_NEW_CONNECTIONS: [SockFilter; 5] = [
    SockFilter::new(0x30, 0, 0, 13),       // load the flags
    SockFilter::new(0x54, 0, 0, 0x12),     // keep SYN and ACK
    SockFilter::new(0x15, 0, 1, 0x02),     // only SYN?
    SockFilter::new(0x06, 0, 0, 0),        // drop
    SockFilter::new(0x06, 0, 0, u32::MAX), // accept
];

/// The reason why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be resolved or bound.
    #[error("[DEFAULT] bind_host = {host}, bind_port = {port}: {source}")]
    Bind {
        /// Host of the configuration.
        host: String,
        /// Port of the configuration.
        port: u16,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The Unix socket cannot be used.
    #[error("[DEFAULT] bind_unix_socket = {}: {reason}", path.display())]
    Unix {
        /// Path of the configuration.
        path: PathBuf,
        /// The problem with its solution.
        reason: String,
    },
    /// The service manager passed a file descriptor that is not a listening stream socket.
    #[error(
        "a socket that the service manager passed (LISTEN_FDS) cannot be used: {0}; use ListenStream= with a port or a path"
    )]
    Inherited(io::Error),
    /// Without authentication, a caller that reaches the port can claim any identity.
    #[error(
        "{}auth_strategy = noauth performs no authentication, so it may only listen on loopback addresses, not on {address}; \
         set [DEFAULT] bind_host = 127.0.0.1, or auth_strategy = keystone",
        host.as_ref().map(|host| format!("[DEFAULT] bind_host = {host}: ")).unwrap_or_default()
    )]
    NotLoopback {
        /// `bind_host`; none: the service manager has passed the socket.
        host: Option<String>,
        /// The address.
        address: SocketAddr,
    },
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: ListenSocket,
    /// TLS of its connections.
    tls: Option<Arc<ServerTls>>,
    /// Whether the service manager opened the socket. Then it stays open after the end of this process.
    inherited: bool,
}

#[derive(Debug)]
pub(super) enum ListenSocket {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

impl ListenSocket {
    pub(super) fn options(&self) -> SockRef<'_> {
        match self {
            ListenSocket::Tcp(socket) => SockRef::from(socket),
            ListenSocket::Unix(socket) => socket.options(),
        }
    }
}

/// A connection before its TLS handshake.
pub(super) struct Accepted {
    pub(super) stream: ByteStream,
    pub(super) peer: Peer,
    /// TLS of the port.
    pub(super) tls: Option<Arc<ServerTls>>,
}

/// Resolves and binds the TCP address.
pub async fn listen(address: &Listen, strategy: AuthStrategy) -> Result<Listener, ListenError> {
    let Listen { backlog, reuse_port, .. } = *address;
    let socket = on_first(address, strategy, |address| bind(address, reuse_port)?.listen(backlog)).await?;
    Ok(Listener { socket: ListenSocket::Tcp(socket), tls: None, inherited: false })
}

/// Checks whether [`listen`] could bind the address. If another process listens on it, the check succeeds,
/// because that may be the service itself.
pub(super) async fn check(address: &Listen, strategy: AuthStrategy) -> Result<(), ListenError> {
    let free = |at| match bind(at, address.reuse_port) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => Err(error),
        _ => Ok(()),
    };
    on_first(address, strategy, free).await
}

/// Resolves the address and tries the results until one works.
async fn on_first<T>(
    address: &Listen,
    strategy: AuthStrategy,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> Result<T, ListenError> {
    let Listen { host, port, .. } = address;
    let failed = |source| ListenError::Bind { host: host.clone(), port: *port, source };
    let addresses: Vec<SocketAddr> =
        tokio::net::lookup_host((host.as_str(), *port)).await.map_err(failed)?.collect();
    if strategy == AuthStrategy::NoAuth
        && let Some(open) = addresses.iter().find(|address| !address.ip().is_loopback())
    {
        return Err(ListenError::NotLoopback { host: Some(host.clone()), address: *open });
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match attempt(address) {
            Ok(done) => return Ok(done),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

pub(super) fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restart must not wait until the kernel forgets the connections of the former process.
    socket.set_reuseaddr(true)?;
    if reuse_port {
        socket.set_reuseport(true)?;
    }
    set_options(&SockRef::from(&socket))?;
    socket.bind(address)?;
    Ok(socket)
}

/// Sets options that accepted connections inherit.
pub(super) fn set_options(socket: &SockRef<'_>) -> io::Result<()> {
    // Answers are small and complete, so waiting for more data would only delay them.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)
}

impl Listener {
    pub(super) fn new(socket: ListenSocket, inherited: bool) -> Listener {
        Listener { socket, tls: None, inherited }
    }

    /// Serves TCP connections with TLS. A Unix socket needs none, because its connections do not leave the machine.
    pub fn with_tls(self, tls: Option<Arc<ServerTls>>) -> Listener {
        let is_tcp = matches!(self.socket, ListenSocket::Tcp(_));
        Listener { tls: tls.filter(|_| is_tcp), ..self }
    }

    /// Returns the address. A Unix socket has none.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            ListenSocket::Tcp(socket) => socket.local_addr().ok(),
            ListenSocket::Unix(_) => None,
        }
    }

    /// Returns the address or the path for messages.
    pub(super) fn name(&self) -> String {
        match &self.socket {
            ListenSocket::Tcp(_) => {
                let address = self.local_addr().map_or_else(String::new, |address| address.to_string());
                if self.tls.is_some() { format!("{address} (TLS)") } else { address }
            }
            ListenSocket::Unix(socket) => socket.name(),
        }
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match &self.socket {
            ListenSocket::Tcp(socket) => {
                socket.poll_accept(cx).map_ok(|(stream, peer)| tcp(stream, peer, self.tls.clone()))
            }
            ListenSocket::Unix(socket) => socket.poll_accept(cx).map_ok(unix),
        }
    }

    /// Stops listening. Connections that the kernel accepted earlier are passed to `open`. Those of an
    /// inherited socket stay in its queue for the next process.
    pub(super) async fn close(self, mut open: impl FnMut(Accepted)) {
        if self.inherited {
            return;
        }
        let Listener { socket, tls, .. } = self;
        match socket {
            ListenSocket::Tcp(socket) => {
                close_tcp(socket, |stream, peer| open(tcp(stream, peer, tls.clone()))).await;
            }
            ListenSocket::Unix(socket) => socket.close(|stream| open(unix(stream))),
        }
    }
}

fn tcp(stream: TcpStream, peer: SocketAddr, tls: Option<Arc<ServerTls>>) -> Accepted {
    Accepted { stream: ByteStream::Tcp(stream), peer: Peer::Network(peer), tls }
}

fn unix(stream: UnixStream) -> Accepted {
    Accepted { stream: ByteStream::Unix(stream), peer: Peer::UnixSocket, tls: None }
}

async fn close_tcp(socket: TcpListener, mut open: impl FnMut(TcpStream, SocketAddr)) {
    // A handshake that ends after the last accept would be answered with a reset. If the kernel rejects
    // the filter, this can happen during a few microseconds.
    if SockRef::from(&socket).attach_filter(&NO_NEW_CONNECTIONS).is_ok() {
        tokio::time::sleep(HANDSHAKE_TIME).await;
    }
    let Ok(queue) = socket.into_std() else { return };
    while let Ok((stream, peer)) = queue.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = stream {
            open(stream, peer);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn an_accepted_connection_sends_without_delay() {
        let listener = bind("127.0.0.1:0".parse().unwrap(), false).unwrap().listen(1).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn an_address_is_only_shared_if_both_processes_set_the_option() {
        let first = bind("127.0.0.1:0".parse().unwrap(), true).unwrap().listen(1).unwrap();
        let address = first.local_addr().unwrap();
        bind(address, true).unwrap().listen(1).unwrap();
        let refused = bind(address, false).and_then(|socket| socket.listen(1)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn connections_in_the_queue_are_passed_on() {
        let socket = bind("127.0.0.1:0".parse().unwrap(), false).unwrap().listen(64).unwrap();
        let listener = Listener::new(ListenSocket::Tcp(socket), false);
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let mut opened = Vec::new();
        listener.close(|accepted| opened.push(accepted)).await;
        assert_eq!(opened.len(), 20);
        assert!(TcpStream::connect(address).await.is_err(), "nothing listens any more");
    }
}
