//! Verifies a server's certificate: its chain, its host name, or nothing, as the URL asks.
//!
//! rustls's own verifier always verifies both. What it refuses and OpenSSL accepts is in `legacy.rs`.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, ProtocolVersion, RootCertStore, SignatureScheme};

use super::{Roots, TlsOptions, files, legacy};
use crate::url::UrlError;

/// Accepts a certificate that satisfies one of the anchors; every certificate, if there are none.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    anchors: Vec<Anchors>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Authorities, and whether the host name is verified, too.
#[derive(Debug)]
struct Anchors {
    roots: RootCertStore,
    /// The same certificates, if an operator named them.
    named: Vec<CertificateDer<'static>>,
    host_name: bool,
}

impl ServerVerifier {
    /// Reads the authorities of the options.
    pub(super) fn new(
        options: &TlsOptions,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<ServerVerifier, UrlError> {
        let mut named = Vec::new();
        if let Some(file) = &options.ca {
            named.extend(files::certificates(file)?);
        }
        if let Some(directory) = &options.capath {
            named.extend(files::directory(directory)?);
        }
        let mut anchors = Vec::new();
        for trust in &options.trust {
            let certificates = match trust.roots {
                Roots::Named => named.clone(),
                // beside a named authority the system's are not needed
                Roots::System if !named.is_empty() => files::system().unwrap_or_default(),
                Roots::System => files::system()?,
            };
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates.iter().cloned());
            let named = if trust.roots == Roots::Named { certificates } else { Vec::new() };
            anchors.push(Anchors { roots, named, host_name: trust.host_name });
        }
        Ok(ServerVerifier { anchors, algorithms })
    }
}

impl Anchors {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        let parsed = match ParsedCertificate::try_from(certificate) {
            Ok(parsed) => parsed,
            Err(_) if legacy::is_version_1(certificate) => {
                legacy::verify_chain(certificate, &self.named, now)?;
                return if self.host_name { legacy::verify_name(certificate, server_name) } else { Ok(()) };
            }
            Err(error) => return Err(error),
        };
        let chain = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms.all,
        );
        if let Err(error) = chain {
            // an operator may name the server's own certificate
            let itself = self.named.iter().any(|named| named.as_ref() == certificate.as_ref());
            if !itself {
                return Err(error);
            }
            legacy::verify_dates(certificate, now)?;
        }
        if !self.host_name {
            return Ok(());
        }
        verify_server_name(&parsed, server_name)
            .or_else(|error| legacy::verify_name(certificate, server_name).map_err(|_| error))
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut refused = None;
        for anchors in &self.anchors {
            match anchors.verify(end_entity, intermediates, server_name, now, &self.algorithms) {
                Ok(()) => return Ok(ServerCertVerified::assertion()),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        refused.map_or_else(|| Ok(ServerCertVerified::assertion()), Err)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if legacy::is_version_1(cert) {
            let version = ProtocolVersion::TLSv1_2;
            return legacy::verify_signature(message, cert, dss, version, &self.algorithms);
        }
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if legacy::is_version_1(cert) {
            let version = ProtocolVersion::TLSv1_3;
            return legacy::verify_signature(message, cert, dss, version, &self.algorithms);
        }
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
