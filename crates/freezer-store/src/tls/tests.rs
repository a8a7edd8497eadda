//! Tests of ciphers, and of certificates that webpki cannot parse.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates");

#[test]
fn a_list_of_ciphers_is_parsed_like_in_openssl() {
    assert_eq!(tls12_ciphers("ECDHE-RSA-AES256-GCM-SHA384"), Some(vec![0xc030]));
    assert_eq!(tls12_ciphers("DHE-RSA-AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256"), Some(vec![0xc02f]));
    assert_eq!(tls12_ciphers("AES256-SHA"), Some(vec![]), "TLS 1.3 alone");
    assert_eq!(tls12_ciphers("HIGH:!aNULL").map(|allowed| allowed.len()), Some(SUITES.len()));
    assert_eq!(tls12_ciphers("none-such"), None);
    assert_eq!(tls12_ciphers("TLS_AES_256_GCM_SHA384"), None, "as in Python");
}

/// Verifies the server's certificate of version 1 against an authority, for a host and a time.
fn verify(ca: &str, host: Option<&str>, year: u64) -> Result<(), String> {
    verify_server("version-1-server.pem", &[], ca, host, year)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(format!("{CERTIFICATES}/{name}")).unwrap()
}

/// Verifies a server that sends these links with its certificate.
fn verify_server(
    server: &str,
    links: &[&str],
    ca: &str,
    host: Option<&str>,
    year: u64,
) -> Result<(), String> {
    let trust = vec![TrustAnchor { roots: Roots::Named, host_name: host.is_some() }];
    let ca = TlsFile::new("ssl_ca", &format!("{CERTIFICATES}/{ca}"));
    let options = TlsOptions { trust, ca: Some(ca), ..TlsOptions::default() };
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    let verifier = ServerVerifier::new(&options, algorithms).map_err(|error| error.to_string())?;
    let links: Vec<_> = links.iter().map(|link| certificate(link)).collect();
    let name = ServerName::try_from(host.unwrap_or("elsewhere").to_owned()).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_556_952));
    let verified = verifier.verify_server_cert(&certificate(server), &links, &name, &[], now);
    verified.map(drop).map_err(|error| {
        let (reason, advice) = of_handshake(&error);
        format!("{reason}; {advice}")
    })
}

#[test]
fn a_certificate_of_version_1_is_verified_like_in_openssl() {
    assert_eq!(verify("version-1-ca.pem", Some("localhost"), 2030), Ok(()));
    assert_eq!(verify("version-1-ca.pem", Some("LOCALHOST"), 2030), Ok(()));
    assert_eq!(verify("version-1-ca.pem", None, 2030), Ok(()));
    assert_eq!(verify("version-1-server.pem", None, 2030), Ok(()), "its own authority");
    let refused = |ca, host, year| verify(ca, host, year).unwrap_err();
    let elsewhere = refused("version-1-ca.pem", Some("elsewhere"), 2030);
    assert!(elsewhere.contains("the certificate of elsewhere is for other names: localhost"), "{elsewhere}");
    assert!(refused("version-1-ca.pem", Some("127.0.0.1"), 2030).contains("is for other names: localhost"));
    assert!(refused("version-1-ca.pem", None, 2019).contains("is not valid yet"));
    assert!(refused("version-1-ca.pem", None, 2120).contains("has expired"));
    let other = refused("version-1-other-ca.pem", None, 2030);
    assert!(
        other.contains("not signed by an authority of") && other.contains("version-1-other-ca.pem"),
        "{other}"
    );
}

#[test]
fn a_server_marked_as_an_authority_is_verified_like_in_openssl() {
    let verify = |server, links: &[&str], ca, host| verify_server(server, links, ca, host, 2030);
    let own = "authority-server.pem";
    assert_eq!(verify(own, &[], own, Some("localhost")), Ok(()));
    assert_eq!(verify(own, &[], own, Some("127.0.0.1")), Ok(()));
    let refused = verify(own, &[], own, Some("elsewhere")).unwrap_err();
    assert!(refused.contains("is for other names: localhost, 127.0.0.1"), "{refused}");
    let refused = verify(own, &[], "version-1-ca.pem", None).unwrap_err();
    assert!(refused.contains("is not signed by an authority of"), "{refused}");
    let refused = verify("signing-authority.pem", &[], "signing-authority.pem", None).unwrap_err();
    assert!(refused.contains("is not valid for a TLS server"), "{refused}");
    // With an intermediate certificate that the server sends.
    let chain = ["chain-link.pem"];
    assert_eq!(verify("chain-server.pem", &chain, "chain-root.pem", Some("localhost")), Ok(()));
    assert_eq!(verify("chain-server.pem", &[], "chain-link.pem", Some("localhost")), Ok(()));
    for links in [&[][..], &["authority-server.pem"], &["chain-root.pem"]] {
        let refused = verify("chain-server.pem", links, "chain-root.pem", None).unwrap_err();
        assert!(refused.contains("is not signed by an authority of"), "{refused}");
    }
}

#[test]
fn other_certificates_are_rejected_like_in_openssl() {
    let refused = verify_server("critical-server.pem", &[], "critical-server.pem", None, 2030).unwrap_err();
    assert!(refused.contains("has a critical extension that is not supported"), "{refused}");
    assert_eq!(verify_server("pss-server.pem", &[], "pss-server.pem", Some("localhost"), 2030), Ok(()));
}

#[test]
fn advice_names_the_used_parameter() {
    for (name_parameter, expected) in [
        (NameParameter::CheckHostname, "ssl_check_hostname=false"),
        (NameParameter::VerifyIdentity, "leave ssl_verify_identity out"),
        (NameParameter::Mode, "ssl_mode=VERIFY_CA"),
    ] {
        let trust = vec![TrustAnchor { roots: Roots::Named, host_name: true }];
        let ca = Some(TlsFile::new("ssl_ca", &format!("{CERTIFICATES}/authority-server.pem")));
        let options = TlsOptions { trust, ca, name_parameter, ..TlsOptions::default() };
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        let verifier = ServerVerifier::new(&options, algorithms).unwrap();
        let name = ServerName::try_from("elsewhere").unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_900_000_000));
        let server = certificate("authority-server.pem");
        let error = verifier.verify_server_cert(&server, &[], &name, &[], now).unwrap_err();
        assert!(of_handshake(&error).1.contains(expected), "{:?}", of_handshake(&error));
    }
}

#[test]
fn errors_name_unusable_files() {
    let cert = |name: &str| TlsFile::new("ssl_cert", &format!("{CERTIFICATES}/{name}"));
    let error = |cert: TlsFile, key: Option<TlsFile>| {
        let options = TlsOptions { cert: Some(cert), key, ..TlsOptions::default() };
        check(&options).unwrap_err().to_string()
    };
    let key = |name: &str| Some(TlsFile::new("ssl_key", &format!("{CERTIFICATES}/{name}")));
    let missing = error(cert("none"), None);
    assert!(missing.starts_with("ssl_cert=") && missing.contains("none: No such file"), "{missing}");
    let missing = error(cert("version-1-server.pem"), key("none"));
    assert!(missing.starts_with("ssl_key="), "{missing}");
    let alone = error(cert("version-1-server.pem"), None);
    let words = "contains no private key in PEM form, and the parameter ssl_key is not given; add ssl_key";
    assert!(alone.starts_with("ssl_cert=") && alone.contains(words), "{alone}");
    let encrypted = error(cert("version-1-server.pem"), key("encrypted.key"));
    assert!(encrypted.ends_with("the key is encrypted; store it without a password"), "{encrypted}");
    let right = TlsOptions {
        cert: Some(cert("version-1-server.pem")),
        key: key("version-1-server.key"),
        ..TlsOptions::default()
    };
    assert_eq!(check(&right), Ok(()), "a client's certificate may be of version 1, too");
}
