//! Certificates that OpenSSL, and therefore the Python service, accepts but webpki rejects.
//!
//! The `openssl x509 -req` command in the manuals of MariaDB and MySQL creates version 1 certificates. A
//! self-signed certificate is often marked as an authority (`openssl req -x509`), and many private authorities
//! write the host only into the common name. webpki accepts none of these. Without verification, OpenSSL
//! checks neither critical extensions nor the purpose of a key.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, ProtocolVersion, SignatureScheme,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::certificate::parse;
use super::untrusted::flaw;

/// Signatures with SHA-1, which OpenSSL 3 rejects, too: RSA and ECDSA.
const SHA_1: [&str; 2] = ["1.2.840.113549.1.1.5", "1.2.840.10045.4.1"];
/// A key that is only for RSA-PSS.
const PSS_KEY: &str = "1.2.840.113549.1.1.10";
/// The schemes of such keys (RFC 8446, section 4.2.3), and the schemes for the same signatures with other
/// keys.
pub(super) const PSS_KEYS: [(SignatureScheme, SignatureScheme); 3] = [
    (SignatureScheme::Unknown(0x0809), SignatureScheme::RSA_PSS_SHA256),
    (SignatureScheme::Unknown(0x080a), SignatureScheme::RSA_PSS_SHA384),
    (SignatureScheme::Unknown(0x080b), SignatureScheme::RSA_PSS_SHA512),
];
/// Longest chain between a server and its authority.
const LONGEST_CHAIN: usize = 8;

/// Returns whether webpki rejects a certificate that OpenSSL may accept: one of X.509 version 1, which has no
/// extensions, or one that is marked as an authority.
pub(super) fn is_refused_by_webpki(certificate: &CertificateDer<'_>) -> bool {
    parse(certificate)
        .is_ok_and(|certificate| certificate.version() == X509Version::V1 || certificate.is_ca())
}

/// Returns whether webpki cannot verify a signature of the key of a certificate.
pub(super) fn has_pss_key(certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> bool {
    PSS_KEYS.iter().any(|(scheme, _)| *scheme == signed.scheme)
        || ParsedCertificate::try_from(certificate).is_err()
}

/// Verifies a certificate with its chain to one of the authorities.
pub(super) fn verify_chain(
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Error> {
    let server = parse(certificate)?;
    dates(&server, now)?;
    purpose(&server)?;
    if authorities.iter().any(|authority| authority.as_ref() == certificate.as_ref()) {
        return Ok(());
    }
    if SHA_1.contains(&server.signature_algorithm.algorithm.to_id_string().as_str()) {
        return Err(flaw("is signed with SHA-1, which is not accepted"));
    }
    let (links, authorities) = (parse_all(intermediates), parse_all(authorities));
    match is_signed_by(&server, &links, &authorities, now, LONGEST_CHAIN) {
        true => Ok(()),
        false => Err(CertificateError::UnknownIssuer.into()),
    }
}

fn parse_all<'c>(certificates: &'c [CertificateDer<'_>]) -> Vec<X509Certificate<'c>> {
    certificates.iter().filter_map(|certificate| parse(certificate).ok()).collect()
}

/// Returns whether one of the authorities signed a certificate, directly or through the given links.
fn is_signed_by(
    certificate: &X509Certificate<'_>,
    links: &[X509Certificate<'_>],
    authorities: &[X509Certificate<'_>],
    now: UnixTime,
    longest: usize,
) -> bool {
    let signed_by = |authority: &X509Certificate<'_>| {
        let may_sign = authority.version() == X509Version::V1 || authority.is_ca();
        may_sign
            && authority.subject().as_raw() == certificate.issuer().as_raw()
            && dates(authority, now).is_ok()
            && certificate.verify_signature(Some(authority.public_key())).is_ok()
    };
    authorities.iter().any(signed_by)
        || (longest > 0
            && links
                .iter()
                .filter(|link| link.version() != X509Version::V1)
                .any(|link| signed_by(link) && is_signed_by(link, links, authorities, now, longest - 1)))
}

/// Checks that a certificate may be used by a TLS server and has no unknown critical extension, as OpenSSL
/// does.
fn purpose(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    let known = |extension: &ParsedExtension<'_>| {
        matches!(
            extension,
            ParsedExtension::BasicConstraints(_)
                | ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::SubjectAlternativeName(_)
                | ParsedExtension::NameConstraints(_)
                | ParsedExtension::CertificatePolicies(_)
                | ParsedExtension::PolicyConstraints(_)
                | ParsedExtension::PolicyMappings(_)
                | ParsedExtension::InhibitAnyPolicy(_)
                | ParsedExtension::CRLDistributionPoints(_)
        )
    };
    if certificate.extensions().iter().any(|found| found.critical && !known(found.parsed_extension())) {
        return Err(flaw("has a critical extension that is not supported"));
    }
    let usage = certificate.key_usage().ok().flatten();
    let for_keys = usage.is_none_or(|usage| {
        let usage = usage.value;
        usage.digital_signature() || usage.key_encipherment() || usage.key_agreement()
    });
    let extended = certificate.extended_key_usage().ok().flatten();
    let for_servers = extended.is_none_or(|usage| usage.value.server_auth || usage.value.any);
    if for_keys && for_servers { Ok(()) } else { Err(CertificateError::InvalidPurpose.into()) }
}

/// Verifies the host against the common name. It counts only if the certificate contains no DNS names.
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

/// Returns whether a name, whose first label may be `*`, matches the host.
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

/// Verifies the signature of a handshake for a certificate that webpki cannot parse, in the way of rustls.
pub(super) fn verify_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    version: ProtocolVersion,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let unadvertised = || Error::from(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme);
    let in_tls13 = |scheme| {
        use SignatureScheme as S;
        let rsa = [S::RSA_PSS_SHA256, S::RSA_PSS_SHA384, S::RSA_PSS_SHA512];
        let ecdsa = [S::ECDSA_NISTP256_SHA256, S::ECDSA_NISTP384_SHA384, S::ECDSA_NISTP521_SHA512];
        rsa.contains(&scheme) || ecdsa.contains(&scheme) || scheme == S::ED25519
    };
    let of_pss_key = PSS_KEYS.iter().find(|(scheme, _)| *scheme == signed.scheme);
    let scheme = of_pss_key.map_or(signed.scheme, |(_, same)| *same);
    if version == ProtocolVersion::TLSv1_3 && !in_tls13(scheme) {
        return Err(unadvertised());
    }
    let certificate = parse(certificate)?;
    let key = certificate.public_key();
    let algorithm = contents(contents(key.raw)).ok_or(CertificateError::BadEncoding)?;
    let is_pss_key = key.algorithm.algorithm.to_id_string() == PSS_KEY;
    if is_pss_key != of_pss_key.is_some() {
        return Err(unadvertised());
    }
    let (_, candidates) =
        supported.mapping.iter().find(|(known, _)| *known == scheme).ok_or_else(unadvertised)?;
    // In TLS 1.3 a scheme has one curve.
    let candidates = if version == ProtocolVersion::TLSv1_3 { &candidates[..1] } else { candidates };
    let verified = candidates
        .iter()
        .filter(|candidate| is_pss_key || candidate.public_key_alg_id().as_ref() == algorithm)
        .any(|candidate| {
            candidate.verify_signature(&key.subject_public_key.data, message, signed.signature()).is_ok()
        });
    if verified {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

/// Returns the contents of the first element of a DER encoding.
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

fn dates(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let now = i64::try_from(now.as_secs()).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
    let now = now.ok_or(Error::FailedToGetCurrentTime)?;
    match certificate.validity() {
        dates if now < dates.not_before => Err(CertificateError::NotValidYet.into()),
        dates if now > dates.not_after => Err(CertificateError::Expired.into()),
        _ => Ok(()),
    }
}
