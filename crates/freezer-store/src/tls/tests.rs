//! Ciphers, and certificates that webpki does not read.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates");

#[test]
fn a_list_of_ciphers_is_read_as_openssl_reads_it() {
    assert_eq!(ciphers("ECDHE-RSA-AES256-GCM-SHA384"), Some(vec![0xc030]));
    assert_eq!(ciphers("DHE-RSA-AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256"), Some(vec![0xc02f]));
    assert_eq!(ciphers("AES256-SHA"), Some(vec![]), "TLS 1.3 alone");
    assert_eq!(ciphers("HIGH:!aNULL").map(|allowed| allowed.len()), Some(SUITES.len()));
    assert_eq!(ciphers("none-such"), None);
    assert_eq!(ciphers("TLS_AES_256_GCM_SHA384"), None, "as in Python");
}

/// Verifies the server's certificate of version 1 against an authority, for a host and a time.
fn verify(ca: &str, host: Option<&str>, year: u64) -> Result<(), String> {
    let trust = vec![Trust { roots: Roots::Named, host_name: host.is_some() }];
    let ca = TlsFile::new("ssl_ca", &format!("{CERTIFICATES}/{ca}"));
    let options = TlsOptions { trust, ca: Some(ca), ..TlsOptions::default() };
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    let verifier = ServerVerifier::new(&options, algorithms).map_err(|error| error.to_string())?;
    let server = CertificateDer::from_pem_file(format!("{CERTIFICATES}/version-1-server.pem")).unwrap();
    let name = ServerName::try_from(host.unwrap_or("elsewhere").to_owned()).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_556_952));
    let verified = verifier.verify_server_cert(&server, &[], &name, &[], now);
    verified.map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_certificate_of_version_1_is_verified_as_openssl_does() {
    assert_eq!(verify("version-1-ca.pem", Some("localhost"), 2030), Ok(()));
    assert_eq!(verify("version-1-ca.pem", Some("LOCALHOST"), 2030), Ok(()));
    assert_eq!(verify("version-1-ca.pem", None, 2030), Ok(()));
    assert_eq!(verify("version-1-server.pem", None, 2030), Ok(()), "its own authority");
    let refused = |ca, host, year| verify(ca, host, year).unwrap_err();
    assert!(refused("version-1-ca.pem", Some("elsewhere"), 2030).contains("NotValidForName"));
    assert!(refused("version-1-ca.pem", Some("127.0.0.1"), 2030).contains("NotValidForName"));
    assert!(refused("version-1-ca.pem", None, 2019).contains("NotValidYet"));
    assert!(refused("version-1-ca.pem", None, 2120).contains("Expired"));
    assert!(refused("version-1-other-ca.pem", None, 2030).contains("UnknownIssuer"));
}

#[test]
fn files_that_cannot_be_used_are_named() {
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
    assert!(error(cert("version-1-server.pem"), None).ends_with("holds no private key in PEM form"));
    let encrypted = error(cert("version-1-server.pem"), key("encrypted.key"));
    assert!(encrypted.ends_with("the key is encrypted; store it without a password"), "{encrypted}");
    let right = TlsOptions {
        cert: Some(cert("version-1-server.pem")),
        key: key("version-1-server.key"),
        ..TlsOptions::default()
    };
    assert_eq!(check(&right), Ok(()), "a client's certificate may be of version 1, too");
}
