//! [`ByteStream`]: the bytes of a connection over TCP, TLS or a Unix socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// The bytes of a connection.
pub(super) enum ByteStream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

trait ReadWrite: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> ReadWrite for T {}

impl ByteStream {
    /// Makes the kernel discard unsent bytes when the stream is closed. The peer gets a reset.
    pub(super) fn discard_unsent(&self) {
        let stream = match self {
            ByteStream::Tcp(stream) => stream,
            ByteStream::Tls(stream) => stream.get_ref().0,
            // The bytes are already in the queue of the peer.
            ByteStream::Unix(_) => return,
        };
        let _ = stream.set_zero_linger();
    }

    fn inner(&mut self) -> Pin<&mut dyn ReadWrite> {
        match self {
            ByteStream::Tcp(stream) => Pin::new(stream),
            ByteStream::Unix(stream) => Pin::new(stream),
            ByteStream::Tls(stream) => Pin::new(stream),
        }
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.inner().poll_read(cx, buffer) {
            // The client has closed its TCP connection without the end message of TLS, as many clients do. HTTP detects a body
            // that is incomplete.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => read,
        }
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            ByteStream::Tcp(stream) => stream.is_write_vectored(),
            ByteStream::Unix(stream) => stream.is_write_vectored(),
            ByteStream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }
}
