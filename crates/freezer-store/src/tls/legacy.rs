//! What OpenSSL, and so the Python service, accepts of a server's certificate and webpki does not.
//!
//! The `openssl x509 -req` command of MariaDB's and MySQL's manuals makes certificates of X.509 version 1, and many
//! private authorities write the host into the common name only. webpki can read neither.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, ProtocolVersion, SignatureScheme,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

/// Signatures over SHA-1, which OpenSSL 3 refuses, too: RSA and ECDSA.
const SHA_1: [&str; 2] = ["1.2.840.113549.1.1.5", "1.2.840.10045.4.1"];

/// Whether a certificate is of X.509 version 1, which has no extensions.
pub(super) fn is_version_1(certificate: &CertificateDer<'_>) -> bool {
    parse(certificate).is_ok_and(|certificate| certificate.version() == X509Version::V1)
}

/// Whether the time is one at which the certificate is valid.
pub(super) fn verify_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    dates(&parse(certificate)?, now)
}

/// Verifies a certificate of version 1 that one of the authorities has signed itself. Intermediate authorities are not
/// looked for: those who have them do not make certificates of version 1.
pub(super) fn verify_chain(
    certificate: &CertificateDer<'_>,
    authorities: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Error> {
    let server = parse(certificate)?;
    dates(&server, now)?;
    if SHA_1.contains(&server.signature_algorithm.algorithm.to_id_string().as_str()) {
        return Err(Error::General("the certificate is signed with SHA-1".to_owned()));
    }
    let signed_by = |authority: &CertificateDer<'_>| -> Result<bool, Error> {
        if authority.as_ref() == certificate.as_ref() {
            return Ok(true);
        }
        let authority = parse(authority)?;
        let may_sign = authority.version() == X509Version::V1 || authority.is_ca();
        Ok(may_sign
            && authority.subject().as_raw() == server.issuer().as_raw()
            && dates(&authority, now).is_ok()
            && server.verify_signature(Some(authority.public_key())).is_ok())
    };
    match authorities.iter().any(|authority| signed_by(authority).unwrap_or(false)) {
        true => Ok(()),
        false => Err(CertificateError::UnknownIssuer.into()),
    }
}

/// Verifies the host against the common name, which counts only if the certificate lists no DNS names.
pub(super) fn verify_name(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
) -> Result<(), Error> {
    let refused = || Error::from(CertificateError::NotValidForName);
    let ServerName::DnsName(host) = server_name else { return Err(refused()) };
    let certificate = parse(certificate)?;
    let names = certificate.subject_alternative_name().map_err(|_| CertificateError::BadEncoding)?;
    let listed = names.is_some_and(|names| {
        names.value.general_names.iter().any(|name| matches!(name, GeneralName::DNSName(_)))
    });
    let is_host = |name: &str| matches(name, host.as_ref());
    let named = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok()).any(is_host);
    if !listed && named { Ok(()) } else { Err(refused()) }
}

/// Whether a name, whose first label may be `*`, is the host's.
fn matches(name: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    match name.strip_prefix("*.") {
        Some(domain) => {
            let parent = host.split_once('.').map_or("", |(_, parent)| parent);
            domain.contains('.') && domain.eq_ignore_ascii_case(parent)
        }
        None => name.eq_ignore_ascii_case(host),
    }
}

/// Verifies the signature of a handshake with the key of a certificate of version 1, as rustls does with others.
pub(super) fn verify_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    version: ProtocolVersion,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let in_tls13 = |scheme| {
        use SignatureScheme as S;
        let rsa = [S::RSA_PSS_SHA256, S::RSA_PSS_SHA384, S::RSA_PSS_SHA512];
        let ecdsa = [S::ECDSA_NISTP256_SHA256, S::ECDSA_NISTP384_SHA384, S::ECDSA_NISTP521_SHA512];
        rsa.contains(&scheme) || ecdsa.contains(&scheme) || scheme == S::ED25519
    };
    if version == ProtocolVersion::TLSv1_3 && !in_tls13(signed.scheme) {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    let certificate = parse(certificate)?;
    let key = certificate.public_key();
    let algorithm = contents(contents(key.raw)).ok_or(CertificateError::BadEncoding)?;
    let (_, candidates) = supported
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    // TLS 1.3 ties a scheme to one curve
    let candidates = if version == ProtocolVersion::TLSv1_3 { &candidates[..1] } else { candidates };
    let verified = candidates
        .iter()
        .filter(|candidate| candidate.public_key_alg_id().as_ref() == algorithm)
        .any(|candidate| {
            candidate.verify_signature(&key.subject_public_key.data, message, signed.signature()).is_ok()
        });
    if verified {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

/// The contents of the first element of some DER.
fn contents<'d>(der: impl Into<Option<&'d [u8]>>) -> Option<&'d [u8]> {
    let der = der.into()?;
    let (length, rest) = der.get(1..)?.split_first()?;
    let (length, rest) = match *length {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = digits
                .iter()
                .try_fold(0_usize, |sum, digit| sum.checked_mul(256)?.checked_add(usize::from(*digit)))?;
            (length, rest)
        }
    };
    rest.get(..length)
}

fn parse<'c>(certificate: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, Error> {
    let parsed = X509Certificate::from_der(certificate.as_ref());
    parsed.map(|(_, certificate)| certificate).map_err(|_| CertificateError::BadEncoding.into())
}

fn dates(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let now = i64::try_from(now.as_secs()).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
    let now = now.ok_or(Error::FailedToGetCurrentTime)?;
    match certificate.validity() {
        dates if now < dates.not_before => Err(CertificateError::NotValidYet.into()),
        dates if now > dates.not_after => Err(CertificateError::Expired.into()),
        _ => Ok(()),
    }
}
