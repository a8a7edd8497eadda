//! TLS to MySQL and MariaDB: the options of a URL ([`TlsOptions`]), and the connector for them ([`Tls`]).
//!
//! `files.rs` reads certificates and keys, `verifier.rs` verifies servers, `legacy.rs` handles certificates
//! that OpenSSL accepts but webpki rejects, and `untrusted.rs` explains rejections. `url/parameters.rs`
//! interprets the URL parameters; docs/database.md has the table.

mod certificate;
mod files;
mod legacy;
mod untrusted;
mod verifier;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, SupportedCipherSuite};
use tokio_rustls::TlsConnector;

pub(crate) use self::untrusted::of_handshake;
use self::verifier::ServerVerifier;
use crate::url_error::UrlError;

/// Whether connections are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Never.
    Disabled,
    /// If the server supports TLS.
    #[default]
    Preferred,
    /// Always. A server without TLS is rejected.
    Required,
}

/// The source of the trusted authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roots {
    /// The files in the parameters.
    Named,
    /// The operating system.
    System,
}

/// One set of requirements that a server's certificate can satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustAnchor {
    /// Its chain must end at one of these authorities.
    pub roots: Roots,
    /// Whether it must be valid for the host of the URL.
    pub host_name: bool,
}

/// The parameter that requires the verification of the host name, for error messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameParameter {
    /// `ssl_check_hostname`, which is true by default with `ssl_ca`.
    #[default]
    CheckHostname,
    /// `ssl_verify_identity`
    VerifyIdentity,
    /// `ssl_mode`
    Mode,
}

/// A file and its parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFile {
    /// The parameter, for error messages.
    pub parameter: String,
    /// The file, or a directory.
    pub path: PathBuf,
}

impl TlsFile {
    /// Returns the file of a parameter.
    pub fn new(parameter: &str, path: &str) -> TlsFile {
        TlsFile { parameter: parameter.to_owned(), path: PathBuf::from(path) }
    }

    fn error(&self, reason: impl ToString) -> UrlError {
        let TlsFile { parameter, path } = self.clone();
        UrlError::File { parameter, path, reason: reason.to_string() }
    }
}

/// The TLS options of a URL. The default is that of PyMySQL: encrypted if the server supports it, and not
/// verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// Whether connections are encrypted.
    pub mode: TlsMode,
    /// A certificate must satisfy one of these. If there are none, every certificate is accepted.
    pub trust: Vec<TrustAnchor>,
    /// The parameter that requires the verification of host names.
    pub name_parameter: NameParameter,
    /// Authorities in one file.
    pub ca: Option<TlsFile>,
    /// Authorities in the files of a directory, named by their hash.
    pub capath: Option<TlsFile>,
    /// The client certificate with its chain.
    pub cert: Option<TlsFile>,
    /// The key of the client certificate. `None`: the key is in the file of the certificate.
    pub key: Option<TlsFile>,
    /// Numbers of the allowed cipher suites of TLS 1.2. `None`: all.
    pub ciphers: Option<Vec<u16>>,
}

/// How long the files count as unchanged after they were read.
const REREAD: Duration = Duration::from_secs(60);

/// Creates connectors for one URL. They are cached, because resuming a session makes the next connection
/// cheaper.
pub(crate) struct Tls {
    options: TlsOptions,
    kept: Mutex<Option<(Instant, TlsConnector)>>,
}

impl Tls {
    pub(crate) fn new(options: TlsOptions) -> Tls {
        Tls { options, kept: Mutex::default() }
    }

    /// Returns the connector, and whether an unencrypted connection is allowed if the server has no TLS.
    /// `None` if TLS is disabled.
    pub(crate) async fn connector(&self) -> Result<Option<(TlsConnector, bool)>, UrlError> {
        let optional = match self.options.mode {
            TlsMode::Disabled => return Ok(None),
            TlsMode::Preferred => true,
            TlsMode::Required => false,
        };
        let kept = self.kept().clone();
        if let Some((made, connector)) = &kept
            && made.elapsed() < REREAD
        {
            return Ok(Some((connector.clone(), optional)));
        }
        let options = self.options.clone();
        let read = tokio::task::spawn_blocking(move || connector(&options)).await;
        let connector = match (read, kept) {
            (Ok(Ok(connector)), _) => connector,
            // Files can be missing for a moment while they are replaced.
            (Ok(Err(error)), Some((_, connector))) => {
                tracing::warn!("[database] connection: {error}; the former certificates are used");
                connector
            }
            (Ok(Err(error)), None) => return Err(error),
            (Err(error), _) => return Err(UrlError::SystemAuthorities(error.to_string())),
        };
        *self.kept() = Some((Instant::now(), connector.clone()));
        Ok(Some((connector, optional)))
    }

    /// Discards the connector after a failed connection, so that the files are read again.
    pub(crate) fn forget(&self) {
        *self.kept() = None;
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<(Instant, TlsConnector)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads all files.
pub(crate) fn check(options: &TlsOptions) -> Result<(), UrlError> {
    if options.mode == TlsMode::Disabled { Ok(()) } else { connector(options).map(drop) }
}

fn connector(options: &TlsOptions) -> Result<TlsConnector, UrlError> {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(ciphers) = &options.ciphers {
        provider.cipher_suites.retain(|suite| match suite {
            SupportedCipherSuite::Tls12(_) => ciphers.contains(&suite.suite().into()),
            SupportedCipherSuite::Tls13(_) => true,
        });
    }
    let provider: Arc<CryptoProvider> = Arc::new(provider);
    let verifier = ServerVerifier::new(options, provider.signature_verification_algorithms)?;
    let identity = options.cert.as_ref().map(|cert| files::identity(cert, options.key.as_ref(), &provider));
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| UrlError::SystemAuthorities(error.to_string()))?;
    // This verifier accepts the certificates that OpenSSL accepts, or all if nothing must be verified.
    let config = versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let config = match identity.transpose()? {
        Some(identity) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
        None => config.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The cipher suites of TLS 1.2 in rustls, with their names in OpenSSL.
const SUITES: &[(&str, u16)] = &[
    ("ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02c),
    ("ECDHE-RSA-AES128-GCM-SHA256", 0xc02f),
    ("ECDHE-RSA-AES256-GCM-SHA384", 0xc030),
    ("ECDHE-RSA-CHACHA20-POLY1305", 0xcca8),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", 0xcca9),
];

/// Prefixes of the names of other suites and of groups of suites in OpenSSL.
const FURTHER: &[&str] = &[
    "AES",
    "ALL",
    "ARIA",
    "CAMELLIA",
    "CHACHA20",
    "COMPLEMENTOF",
    "DEFAULT",
    "DH",
    "ECDH",
    "EDH",
    "EECDH",
    "FIPS",
    "HIGH",
    "MEDIUM",
    "RSA",
    "SHA",
    "SUITEB",
    "TLSv1",
    "aECDSA",
    "aRSA",
    "kDHE",
    "kECDHE",
    "kEDH",
    "kEECDH",
    "kRSA",
];

/// Returns the suites of TLS 1.2 that an OpenSSL cipher list allows, or `None` if it contains no cipher.
/// Suites of TLS 1.3 are always allowed, as in Python. A list with groups (`HIGH:!aNULL`) allows every suite,
/// because rustls has no weak ones.
pub fn tls12_ciphers(list: &str) -> Option<Vec<u16>> {
    let mut allowed = Vec::new();
    let mut plausible = false;
    for name in list.split([':', ',', ' ']).filter(|name| !name.is_empty()) {
        if let Some((_, suite)) = SUITES.iter().find(|(known, _)| *known == name) {
            allowed.push(*suite);
            plausible = true;
        } else if FURTHER.iter().any(|prefix| name.starts_with(prefix)) {
            plausible = true;
            // A name of a single suite has hyphens. If rustls does not have the suite, it cannot be used.
            if !name.contains('-') {
                allowed.extend(SUITES.iter().map(|(_, suite)| suite));
            }
        }
    }
    plausible.then_some(allowed)
}

#[cfg(test)]
mod tests;
