//! The listening socket: bound to a configured address, or opened by the service manager (sd_listen_fds(3)).
//! This file opens it, and closes it without losing a connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

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
    /// The service manager passed a file descriptor that is not a listening TCP socket.
    #[error(
        "the socket that the service manager passed (LISTEN_FDS) cannot be used: {0}; use ListenStream= with a port"
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
    socket: TcpListener,
    /// Whether the service manager opened the socket. Then it stays open after the end of this process.
    inherited: bool,
}

/// Uses the socket of the service manager, otherwise resolves and binds the address. It may only be called
/// once in a process.
pub async fn inherit_or_listen(address: &Listen, strategy: AuthStrategy) -> Result<Listener, ListenError> {
    match inherited(strategy)? {
        Some(listener) => Ok(listener),
        None => listen(address, strategy).await,
    }
}

/// Resolves and binds the address.
pub async fn listen(address: &Listen, strategy: AuthStrategy) -> Result<Listener, ListenError> {
    let Listen { backlog, reuse_port, .. } = *address;
    let socket = on_first(address, strategy, |address| bind(address, reuse_port)?.listen(backlog)).await?;
    Ok(Listener { socket, inherited: false })
}

/// Checks whether [`listen`] could bind the address. If another process listens on it, the check succeeds,
/// because that may be the service itself.
pub async fn check(address: &Listen, strategy: AuthStrategy) -> Result<(), ListenError> {
    let free = |at| match bind(at, address.reuse_port) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => Err(error),
        _ => Ok(()),
    };
    on_first(address, strategy, free).await
}

fn inherited(strategy: AuthStrategy) -> Result<Option<Listener>, ListenError> {
    let mut passed = ListenFd::from_env();
    let Some(socket) = passed.take_tcp_listener(0).map_err(ListenError::Inherited)? else { return Ok(None) };
    if passed.len() > 1 {
        tracing::warn!("the service manager passed {} sockets; only the first one is used", passed.len());
    }
    let address = socket.local_addr().map_err(ListenError::Inherited)?;
    if strategy == AuthStrategy::NoAuth && !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback { host: None, address });
    }
    let prepared = socket.set_nonblocking(true).and_then(|()| set_options(&SockRef::from(&socket)));
    let socket = prepared.and_then(|()| TcpListener::from_std(socket)).map_err(ListenError::Inherited)?;
    tracing::info!("the socket of the service manager is used, not [DEFAULT] bind_host and bind_port");
    Ok(Some(Listener { socket, inherited: true }))
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
fn set_options(socket: &SockRef<'_>) -> io::Result<()> {
    // Answers are small and complete, so waiting for more data would only delay them.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)
}

impl Listener {
    /// Returns the address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept().await
    }

    /// Stops listening. Connections that the kernel accepted earlier are passed to `open`. Those of an
    /// inherited socket stay in its queue for the next process.
    pub(super) async fn close(self, mut open: impl FnMut(TcpStream, SocketAddr)) {
        if self.inherited {
            return;
        }
        // A handshake that ends after the last accept would be answered with a reset. If the kernel rejects
        // the filter, this can happen during a few microseconds.
        if SockRef::from(&self.socket).attach_filter(&NO_NEW_CONNECTIONS).is_ok() {
            tokio::time::sleep(HANDSHAKE_TIME).await;
        }
        let Ok(queue) = self.socket.into_std() else { return };
        while let Ok((stream, peer)) = queue.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                open(stream, peer);
            }
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
        let listener = Listener { socket, inherited: false };
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let mut opened = Vec::new();
        listener.close(|stream, _| opened.push(stream)).await;
        assert_eq!(opened.len(), 20);
        assert!(TcpStream::connect(address).await.is_err(), "nothing listens any more");
    }
}
