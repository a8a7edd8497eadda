//! Verifies a server's certificate as the URL requires: its chain, its host name, or nothing.
//!
//! The verifier of rustls always verifies both. `legacy.rs` handles certificates that it rejects but OpenSSL
//! accepts.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, ProtocolVersion, RootCertStore, SignatureScheme};

use super::untrusted::{self, Words};
use super::{Roots, TlsOptions, files, legacy};
use crate::url_error::UrlError;

/// Accepts a certificate that satisfies one of the anchors. Without anchors, accepts every certificate.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    anchors: Vec<Anchors>,
    algorithms: WebPkiSupportedAlgorithms,
    words: Words,
}

/// Authorities, and whether the host name is verified, too.
#[derive(Debug)]
struct Anchors {
    roots: RootCertStore,
    /// The same certificates for the checks of `legacy.rs`.
    certificates: Vec<CertificateDer<'static>>,
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
                // If authorities are configured, the system's are optional.
                Roots::System if !named.is_empty() => files::system().unwrap_or_default(),
                Roots::System => files::system()?,
            };
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates.iter().cloned());
            anchors.push(Anchors { roots, certificates, host_name: trust.host_name });
        }
        Ok(ServerVerifier { anchors, algorithms, words: Words::new(options) })
    }

    /// Verifies the signature of a handshake, also for keys and certificates that webpki cannot parse.
    fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        version: ProtocolVersion,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.algorithms;
        let verified = if legacy::has_pss_key(certificate, signed) {
            legacy::verify_signature(message, certificate, signed, version, algorithms)
        } else if version == ProtocolVersion::TLSv1_2 {
            verify_tls12_signature(message, certificate, signed, algorithms)
        } else {
            verify_tls13_signature(message, certificate, signed, algorithms)
        };
        verified.map_err(|error| untrusted::no_proof(&error))
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
        let parsed = ParsedCertificate::try_from(certificate);
        let chain = match &parsed {
            Ok(parsed) => verify_server_cert_signed_by_trust_anchor(
                parsed,
                &self.roots,
                intermediates,
                now,
                algorithms.all,
            ),
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = chain {
            // webpki always rejects some types of certificates, and an operator may configure the server's
            // own certificate as authority.
            let itself = self.certificates.iter().any(|known| known.as_ref() == certificate.as_ref());
            if !(itself || legacy::is_refused_by_webpki(certificate)) {
                return Err(error);
            }
            legacy::verify_chain(certificate, intermediates, &self.certificates, now)?;
        }
        if !self.host_name {
            return Ok(());
        }
        let by_webpki = parsed.and_then(|parsed| verify_server_name(&parsed, server_name));
        by_webpki.or_else(|_| legacy::verify_name(certificate, server_name))
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
        match refused {
            None => Ok(ServerCertVerified::assertion()),
            Some(error) => Err(self.words.explain(&error, end_entity, server_name).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, cert, dss, ProtocolVersion::TLSv1_2)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, cert, dss, ProtocolVersion::TLSv1_3)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.algorithms.supported_schemes();
        schemes.extend(legacy::PSS_KEYS.map(|(scheme, _)| scheme));
        schemes
    }
}
