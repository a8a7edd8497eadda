//! An HTTP client over TLS, which keeps its connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::certificates::{Authority, Identity};

/// Time limit for each read and write.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);
pub const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Returns the settings of a client that trusts an authority.
pub fn trusting(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    identity: Option<&Identity>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain.unwrap(), key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Returns the settings of a client without a certificate, for all versions.
pub fn plain(authority: &Authority) -> Arc<ClientConfig> {
    trusting(authority, &VERSIONS, None)
}

/// A connection.
pub struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
    ahead: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Client {
    /// Connects and completes the handshake.
    pub fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Client> {
        let mut stream = TcpStream::connect_timeout(&address, TIME_LIMIT)?;
        stream.set_read_timeout(Some(TIME_LIMIT))?;
        stream.set_write_timeout(Some(TIME_LIMIT))?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(address.ip());
        let mut connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Client { stream: StreamOwned::new(connection, stream), ahead: Vec::new() })
    }

    pub fn version(&self) -> Option<ProtocolVersion> {
        self.stream.conn.protocol_version()
    }

    pub fn protocol(&self) -> Option<String> {
        self.stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// Returns the certificates that the service has sent.
    pub fn certificates(&self) -> Vec<Vec<u8>> {
        let found = self.stream.conn.peer_certificates().unwrap_or_default();
        found.iter().map(|certificate| certificate.to_vec()).collect()
    }

    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())?;
        self.stream.flush()
    }

    /// Sends a request and reads its answer.
    pub fn request(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let length = body.len();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:9090\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ))?;
        self.answer()
    }

    pub fn answer(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.read()?;
        };
        let head = String::from_utf8(self.ahead.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(str::to_owned));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        while self.ahead.len() < length {
            self.read()?;
        }
        let body = String::from_utf8(self.ahead.drain(..length).collect()).unwrap();
        Ok(Answer { status, head, body })
    }

    fn read(&mut self) -> io::Result<()> {
        let mut part = [0; 16_384];
        match self.stream.read(&mut part)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.ahead.extend_from_slice(&part[..read]);
                Ok(())
            }
        }
    }

    /// Waits until the service ends the connection in an orderly way.
    pub fn closed(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("the end message of TLS");
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}

/// Sends one request on a new connection.
pub fn ask(address: SocketAddr, config: &Arc<ClientConfig>, path: &str) -> io::Result<Answer> {
    Client::connect(address, config)?.request("GET", path, "")
}
