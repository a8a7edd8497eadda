//! Explains why a server is not trusted, with advice for the operator, who does not have to know the error names of
//! rustls and webpki.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, Error, OtherError};

use super::{NameParameter, Roots, TlsOptions, certificate};

/// A server that is not trusted. `Display` prints the reason.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Untrusted {
    reason: String,
    /// Advice for the operator.
    pub(crate) advice: &'static str,
}

impl From<Untrusted> for Error {
    fn from(untrusted: Untrusted) -> Self {
        CertificateError::Other(OtherError(Arc::new(untrusted))).into()
    }
}

/// The parts of messages that depend on the URL.
#[derive(Debug)]
pub(super) struct Words {
    authorities: String,
    of_name: &'static str,
}

const ISSUER: &str =
    "name the certificate of the authority that has signed it with ssl_ca in [database] connection";
const DATES: &str = "renew the certificate of the server, and compare the clocks of both machines";
const REPLACE: &str =
    "give the server another certificate, or do not verify it: see \"TLS\" in docs/database.md";

impl Words {
    pub(super) fn new(options: &TlsOptions) -> Words {
        let files = [&options.ca, &options.capath].into_iter().flatten();
        let mut places: Vec<String> = files.map(|file| file.path.display().to_string()).collect();
        if options.trust.iter().any(|trust| trust.roots == Roots::System) {
            places.push("the system".to_owned());
        }
        let of_name = match options.name_parameter {
            NameParameter::CheckHostname => {
                "use a name of the certificate as host in [database] connection, or accept every name with \
                 ssl_check_hostname=false"
            }
            NameParameter::VerifyIdentity => {
                "use a name of the certificate as host in [database] connection, or leave ssl_verify_identity out"
            }
            NameParameter::Mode => {
                "use a name of the certificate as host in [database] connection, or accept every name with \
                 ssl_mode=VERIFY_CA"
            }
        };
        Words { authorities: places.join(" or "), of_name }
    }

    /// Explains why the certificate of a server was rejected.
    pub(super) fn explain(
        &self,
        error: &Error,
        certificate: &CertificateDer<'_>,
        host: &ServerName<'_>,
    ) -> Untrusted {
        use CertificateError as C;
        let Error::InvalidCertificate(error) = error else { return self.unverified(host) };
        let host = host.to_str();
        let (reason, advice) = match error {
            C::UnknownIssuer => (format!("is not signed by an authority of {}", self.authorities), ISSUER),
            C::NotValidForName | C::NotValidForNameContext { .. } => {
                (format!("is for other names: {}", certificate::names(certificate)), self.of_name)
            }
            C::Expired | C::ExpiredContext { .. } => ("has expired".to_owned(), DATES),
            C::NotValidYet | C::NotValidYetContext { .. } => ("is not valid yet".to_owned(), DATES),
            C::BadEncoding => ("cannot be read".to_owned(), REPLACE),
            C::BadSignature => ("has a wrong signature, or one of its authorities has".to_owned(), REPLACE),
            C::InvalidPurpose | C::InvalidPurposeContext { .. } => {
                ("is not valid for a TLS server".to_owned(), REPLACE)
            }
            C::UnhandledCriticalExtension => {
                ("has a critical extension that is not supported".to_owned(), REPLACE)
            }
            C::UnsupportedSignatureAlgorithmContext { .. }
            | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                ("is signed in a way that is not accepted, such as with SHA-1".to_owned(), REPLACE)
            }
            C::Other(other) => match other.0.downcast_ref::<Untrusted>() {
                Some(untrusted) => (untrusted.reason.clone(), untrusted.advice),
                None => ("cannot be verified".to_owned(), REPLACE),
            },
            _ => ("cannot be verified".to_owned(), REPLACE),
        };
        Untrusted { reason: format!("the certificate of {host} {reason}"), advice }
    }

    fn unverified(&self, host: &ServerName<'_>) -> Untrusted {
        let reason = format!("the certificate of {} cannot be verified", host.to_str());
        Untrusted { reason, advice: REPLACE }
    }
}

/// Returns an error for a flaw that rustls has no name for. `reason` completes the sentence "the certificate
/// …".
pub(super) fn flaw(reason: &str) -> Error {
    Untrusted { reason: reason.to_owned(), advice: REPLACE }.into()
}

/// Returns the error of a server that does not prove that it has the key of its certificate.
pub(super) fn no_proof(error: &Error) -> Error {
    tracing::debug!(%error, "the signature of a TLS handshake was rejected");
    let reason = "the server did not prove that it has the key of its certificate".to_owned();
    Untrusted { reason, advice: "check that the certificate and the key of the server belong together" }
        .into()
}

/// Returns the reason of a failed handshake, with advice for the operator.
pub(crate) fn of_handshake(error: &Error) -> (String, &'static str) {
    const NOTHING_IN_COMMON: &str = "update the server to TLS 1.2 or later, or set ssl_disabled=true (ssl_mode=DISABLED) to do \
                                     without encryption";
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => {
            match other.0.downcast_ref::<Untrusted>() {
                Some(untrusted) => (untrusted.to_string(), untrusted.advice),
                None => ("the certificate of the server cannot be verified".to_owned(), REPLACE),
            }
        }
        Error::InvalidCertificate(_) => {
            ("the certificate of the server cannot be verified".to_owned(), REPLACE)
        }
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(_) => (
            "the server and this service have no TLS version or cipher in common".to_owned(),
            NOTHING_IN_COMMON,
        ),
        Error::AlertReceived(_) => (
            "the server ended the TLS handshake".to_owned(),
            "see the log of the server for the reason, which is often the client certificate (ssl_cert, ssl_key)",
        ),
        error => {
            tracing::debug!(%error, "a TLS handshake failed");
            ("the TLS handshake failed".to_owned(), NOTHING_IN_COMMON)
        }
    }
}
