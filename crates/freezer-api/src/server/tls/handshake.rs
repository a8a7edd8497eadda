//! A TLS handshake: with a time limit, an end if the slot is needed for others, and a reason in the log if it fails.

use std::io;
use std::pin::pin;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use tokio_rustls::server::TlsStream;

use super::ServerTls;
use super::client_certificate::with_refused_name;
use super::refused::HandshakeFailure;
use crate::server::connection::HttpConnection;
use crate::server::peer::{Peer, PeerGroup};
use crate::server::stream::ByteStream;

/// Time limit of a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The same after the signal to stop.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// How long to wait until a refused client has read the reason.
const LINGER: Duration = Duration::from_secs(1);
/// Maximum number of bytes to discard in this time.
const DISCARD_MAX: u64 = 64 * 1024;
/// Maximum size of encrypted bytes of an answer in memory. The progress of a slow client is not visible in them.
const BUFFER: usize = 32 * 1024;
/// The first byte of a TLS connection.
const HANDSHAKE_RECORD: u8 = 0x16;

/// Returns the stream after the handshake, or the plain stream of a client that uses HTTP without TLS. `None`: the connection
/// must be closed.
pub(in crate::server) async fn handshake(
    tls: &ServerTls,
    stream: TcpStream,
    peer: Peer,
    connection: &HttpConnection,
) -> Option<ByteStream> {
    let mut deadline = Instant::now() + HANDSHAKE_TIMEOUT;
    let mut accepted = pin!(accept(tls, stream, peer, connection));
    loop {
        tokio::select! {
            stream = accepted.as_mut() => return stream,
            () = sleep_until(deadline) => {
                let reason = format!("a TLS handshake with {} did not end in time", peer.address());
                tls.refused.add(HandshakeFailure::Slow, peer.into(), &reason);
                return None;
            }
            () = connection.woken() => {
                if connection.closes_now() {
                    return None;
                }
                if connection.is_stopping() {
                    deadline = deadline.min(Instant::now() + STOP_LIMIT);
                }
            }
        }
    }
}

async fn accept(
    tls: &ServerTls,
    stream: TcpStream,
    peer: Peer,
    connection: &HttpConnection,
) -> Option<ByteStream> {
    let mut first = [0; 1];
    match stream.peek(&mut first).await {
        Ok(0) | Err(_) => return None,
        Ok(_) if first[0].is_ascii_uppercase() => {
            let reason = format!(
                "a request from {} without TLS was answered with 400, because this port serves only HTTPS",
                peer.address()
            );
            tls.refused.add(HandshakeFailure::PlainHttp, peer.into(), &reason);
            connection.set_lacks_tls();
            return Some(ByteStream::Tcp(stream));
        }
        Ok(_) => {}
    }
    let is_tls = first[0] == HANDSHAKE_RECORD;
    let accepting = TlsAcceptor::from(tls.config()).accept(stream).into_fallible();
    match with_refused_name(accepting).await {
        (Ok(stream), _) => Some(ByteStream::Tls(Box::new(with_small_buffer(stream)))),
        (Err((error, stream)), certificate) => {
            if let Some((kind, reason)) = reason(&error, certificate) {
                let reason = if is_tls { reason } else { "the client does not use TLS".to_owned() };
                let reason = format!("the TLS handshake with {} failed: {reason}", peer.address());
                tls.refused.add(kind, PeerGroup::from(peer), &reason);
            }
            close(stream).await;
            None
        }
    }
}

fn with_small_buffer(mut stream: TlsStream<TcpStream>) -> TlsStream<TcpStream> {
    stream.get_mut().1.set_buffer_limit(Some(BUFFER));
    stream
}

/// Closes a connection after an alert. Data of the client is discarded first, because the kernel could otherwise send a reset,
/// and the client would not read the alert.
async fn close(mut stream: TcpStream) {
    let discard = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(DISCARD_MAX), &mut tokio::io::sink()).await
    };
    let _ = timeout(LINGER, discard).await;
}

/// Explains a failed handshake. `None`: the client has closed the connection, as port scanners and the checks of balancers do.
fn reason(error: &io::Error, certificate: Option<String>) -> Option<(HandshakeFailure, String)> {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        tracing::debug!("a client ended its TLS handshake: {error}");
        return None;
    };
    Some(match error {
        Error::NoCertificatesPresented => (
            HandshakeFailure::Certificate,
            "the client has no certificate, and [ssl] ca_file requires one".to_owned(),
        ),
        Error::InvalidCertificate(error) => {
            let certificate = certificate.map(|name| format!(" ({name})")).unwrap_or_default();
            (
                HandshakeFailure::Certificate,
                format!("the certificate of the client{certificate} {}", refusal(error)),
            )
        }
        Error::AlertReceived(alert) if is_distrust(*alert) => (
            HandshakeFailure::Distrusted,
            format!("the client does not accept the certificate of [ssl] cert_file (its alert: {alert:?})"),
        ),
        Error::AlertReceived(alert) => {
            (HandshakeFailure::Other, format!("the alert of the client is {alert:?}"))
        }
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls13RequiredForQuic,
        ) => (
            HandshakeFailure::Other,
            "the client supports neither TLS 1.2 nor TLS 1.3, or none that [ssl] version allows".to_owned(),
        ),
        Error::NoApplicationProtocol => {
            (HandshakeFailure::Other, "the client does not support HTTP/1.1".to_owned())
        }
        error => (HandshakeFailure::Other, error.to_string()),
    })
}

/// Returns the predicate for the certificate of a client.
fn refusal(error: &CertificateError) -> String {
    use CertificateError as C;
    match error {
        C::Revoked => "was revoked by a list of [ssl] crl_file".to_owned(),
        C::Expired | C::ExpiredContext { .. } => "has expired".to_owned(),
        C::NotValidYet | C::NotValidYetContext { .. } => "is not valid yet".to_owned(),
        C::UnknownIssuer => "is not signed by an authority of [ssl] ca_file".to_owned(),
        C::UnknownRevocationStatus => "has an issuer without a list in [ssl] crl_file".to_owned(),
        C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
            "is not for TLS clients (extended key usage)".to_owned()
        }
        other => format!("is not valid: {other}"),
    }
}

fn is_distrust(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(
        alert,
        A::UnknownCA
            | A::BadCertificate
            | A::CertificateUnknown
            | A::CertificateExpired
            | A::CertificateRevoked
            | A::UnsupportedCertificate
    )
}
