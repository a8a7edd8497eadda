//! Reads the files of `[ssl]` and checks that they fit together. Every error names the option, the file, the problem and its
//! solution.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    Error, InconsistentKeys, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::{client_certificate, pem};
use crate::config::{SslSettings, TlsVersions};

/// An unusable file or option of `[ssl]`.
#[derive(Debug, thiserror::Error)]
#[error("[ssl] {option}: {}: {reason}", path.display())]
pub struct TlsFileError {
    /// The option.
    pub option: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The problem with its solution.
    pub reason: String,
}

impl TlsFileError {
    pub(super) fn new(option: &'static str, path: &Path, reason: impl ToString) -> TlsFileError {
        TlsFileError { option, path: path.to_owned(), reason: reason.to_string() }
    }
}

/// Returns the settings of TLS, and the problems that do not prevent its use.
pub(super) fn read(settings: &SslSettings) -> Result<(ServerConfig, Vec<String>), TlsFileError> {
    let provider = Arc::new(provider(settings));
    let identity = identity(settings, &provider)?;
    let mut warnings = certificate_warnings(&settings.cert_file, &identity.cert);
    let versions: &[&SupportedProtocolVersion] = match settings.versions {
        TlsVersions::All => &[&TLS13, &TLS12],
        TlsVersions::Tls12 => &[&TLS12],
    };
    let unusable = |error: Error| TlsFileError::new("cert_file", &settings.cert_file, error);
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(unusable)?;
    let verifier = client_certificate::verifier(settings, provider, &mut warnings)?;
    let verifies_clients = verifier.is_some();
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    // Some old clients offer only HTTP/1.0.
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    if verifies_clients {
        // A resumed session would skip the verification, although the certificate may have been revoked or expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok((config, warnings))
}

fn provider(settings: &SslSettings) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(ciphers) = &settings.ciphers {
        provider.cipher_suites.retain(|suite| match suite {
            SupportedCipherSuite::Tls12(_) => ciphers.contains(&suite.suite().into()),
            SupportedCipherSuite::Tls13(_) => true,
        });
    }
    provider
}

/// Returns the content of a file of the configuration.
pub(super) fn content(option: &'static str, path: &Path) -> Result<Vec<u8>, TlsFileError> {
    bounded_files::read(path).map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::NotFound => "; create it, or correct the path",
            std::io::ErrorKind::PermissionDenied => "; let the user of the service read it",
            _ => "",
        };
        TlsFileError::new(option, path, format!("{error}{advice}"))
    })
}

/// Returns the certificate with its chain and its key.
fn identity(settings: &SslSettings, provider: &CryptoProvider) -> Result<CertifiedKey, TlsFileError> {
    let SslSettings { cert_file, key_file, .. } = settings;
    let of_cert = |reason: String| TlsFileError::new("cert_file", cert_file, reason);
    let of_key = |reason: String| TlsFileError::new("key_file", key_file, reason);
    let chain: Vec<CertificateDer<'static>> =
        pem::items(&content("cert_file", cert_file)?, "certificate").map_err(of_cert)?;
    let text = content("key_file", key_file)?;
    if memchr::memmem::find(&text, b"ENCRYPTED").is_some() {
        return Err(of_key(
            "the key is encrypted; store it without a password, for example with `openssl pkey -in FILE -out NEW`, and protect \
             it with its file mode"
                .to_owned(),
        ));
    }
    let key = pem::items::<PrivateKeyDer<'static>>(&text, "private key").map_err(of_key)?.swap_remove(0);
    let key = provider.key_provider.load_private_key(key).map_err(|error| {
        of_key(format!("the key cannot be used: {error}; use RSA with at least 2048 bits, ECDSA (P-256, P-384, P-521) or Ed25519"))
    })?;
    for (number, certificate) in chain.iter().enumerate() {
        parsed(certificate)
            .map_err(|reason| of_cert(format!("certificate {} of the file: {reason}", number + 1)))?;
    }
    let identity = CertifiedKey::new(chain, key);
    match identity.keys_match() {
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(of_key(mismatch(identity, cert_file)))
        }
        // The key of a certificate of X.509 version 1 cannot be compared.
        _ => Ok(identity),
    }
}

/// Explains why the key does not match the first certificate.
fn mismatch(identity: CertifiedKey, cert_file: &Path) -> String {
    let file = cert_file.display();
    let CertifiedKey { cert, key, .. } = identity;
    let matches = |certificate: &CertificateDer<'static>| {
        CertifiedKey::new(vec![certificate.clone()], key.clone()).keys_match().is_ok()
    };
    match cert.iter().position(matches) {
        Some(position) => format!(
            "it is the key of certificate {} in {file}, but the certificate of the service must be the first one there; put it before \
             those of its authorities",
            position + 1
        ),
        None => format!(
            "it is not the key of the certificate in {file}; name the key with which the certificate was requested"
        ),
    }
}

fn parsed<'c>(certificate: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, String> {
    match X509Certificate::from_der(certificate) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(format!("it is not an X.509 certificate: {error}")),
    }
}

/// Returns a warning for each certificate outside its time, and for a wrong order.
fn certificate_warnings(path: &Path, chain: &[CertificateDer<'static>]) -> Vec<String> {
    let now = ASN1Time::now();
    let chain: Vec<X509Certificate<'_>> = chain.iter().filter_map(|found| parsed(found).ok()).collect();
    let mut warnings = Vec::new();
    let mut warn = |reason: String| warnings.push(format!("[ssl] cert_file: {}: {reason}", path.display()));
    for (position, certificate) in chain.iter().enumerate() {
        let (validity, number) = (certificate.validity(), position + 1);
        let subject = certificate.subject();
        if validity.not_after < now {
            warn(format!("certificate {number} ({subject}) expired on {}; renew it", validity.not_after));
        } else if validity.not_before > now {
            warn(format!(
                "certificate {number} ({subject}) is not valid before {}; check the clock of this machine",
                validity.not_before
            ));
        }
        if let Some(next) = chain.get(position + 1)
            && certificate.issuer().as_raw() != next.subject().as_raw()
        {
            warn(format!(
                "certificate {} ({}) is not the issuer of certificate {number} ({}), so clients may not trust the service; put each \
                 certificate directly before that of its issuer",
                number + 1,
                next.subject(),
                certificate.issuer()
            ));
        }
    }
    warnings
}
