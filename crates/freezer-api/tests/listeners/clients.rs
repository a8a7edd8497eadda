//! Client certificates: which are accepted, and the line in the log about each refused one.

use std::io;
use std::path::Path;

use rcgen::ExtendedKeyUsagePurpose;
use tokio_rustls::rustls::SupportedProtocolVersion;

use crate::certificates::{Authority, Identity, at, expired, put};
use crate::client::{Client, VERSIONS, ask, trusting};
use crate::process::wait_for;
use crate::{TlsService, count};

const JOBS: &str = "/v2/p1/jobs";
const REVOKED: u64 = 4_711;

/// Writes an authority and a revocation list for clients. Returns the lines of `[ssl]`.
fn client_files(directory: &Path, clients: &Authority) -> String {
    put(&directory.join("ca.pem"), &clients.pem());
    put(&directory.join("crl.pem"), &clients.revoked(&[REVOKED], 2090));
    format!("ca_file = {}\ncrl_file = {}\n", at(directory, "ca.pem"), at(directory, "crl.pem"))
}

/// Returns the reason why a client is refused. With TLS 1.3, it arrives after the handshake of the client.
fn refused(
    service: &TlsService,
    version: &'static SupportedProtocolVersion,
    client: Option<&Identity>,
) -> String {
    let config = trusting(&service.authority, &[version], client);
    let asked: io::Result<_> = ask(service.service.address(), &config, JOBS);
    asked.expect_err("the client is refused").to_string()
}

#[test]
fn clients_need_a_valid_certificate_of_the_authority() {
    let clients = Authority::new("an authority of clients");
    let tls = TlsService::start_with(|directory, _| client_files(directory, &clients));
    let client = |name: &str, change: fn(&mut rcgen::CertificateParams)| clients.client(name, 1, change);
    let good = client("node-1", |_| ());
    let through = clients.intermediate("an intermediate authority");
    let chained = through.client("node-2", 2, |_| ());
    let chained = Identity { certificate: chained.certificate + &through.pem(), ..chained };
    let bad = [
        (None, "CertificateRequired", "the client has no certificate, and [ssl] ca_file requires one"),
        (
            Some(Authority::new("others").client("stranger", 9, |_| ())),
            "UnknownCA",
            "CN=stranger, issuer CN=others, serial number 09) is not signed by an authority of [ssl] ca_file",
        ),
        (
            Some(client("late", expired)),
            "CertificateExpired",
            "(subject CN=late, issuer CN=an authority of clients, serial number 01) has expired",
        ),
        (
            Some(clients.client("thief", REVOKED, |_| ())),
            "CertificateRevoked",
            "(subject CN=thief, issuer CN=an authority of clients, serial number 12:67) was revoked",
        ),
        (
            Some(client("server", |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]
            })),
            "UnsupportedCertificate",
            "CN=server, issuer CN=an authority of clients, serial number 01) is not for TLS clients",
        ),
        // There is no revocation list of this authority.
        (
            Some(chained),
            "UnknownCA",
            "CN=node-2, issuer CN=an intermediate authority, serial number 02) has an issuer without a list",
        ),
    ];
    for version in VERSIONS {
        let config = trusting(&tls.authority, &[version], Some(&good));
        for _ in 0..2 {
            assert_eq!(ask(tls.service.address(), &config, JOBS).unwrap().status, 200);
        }
        for (identity, alert, _) in &bad {
            // Up to TLS 1.2, there is no alert of its own for a missing certificate.
            let without = *alert == "CertificateRequired" && version == VERSIONS[0];
            let alert = if without { "HandshakeFailure" } else { alert };
            let error = refused(&tls, version, identity.as_ref());
            assert!(
                error.contains(alert) || (without && error.contains("CertificateRequired")),
                "{alert}: {error}"
            );
        }
    }
    // The first refused client is logged at once. All clients of this test have one address.
    let said = "the TLS handshake with 127.0.0.1:";
    wait_for("a line", || (count(&tls.service, said) > 0).then_some(()));
    assert_eq!(count(&tls.service, said), 1, "{}", tls.service.log());
    for (identity, _, reason) in bad {
        // A service of its own for each line
        let tls = TlsService::start_with(|directory, _| client_files(directory, &clients));
        for _ in 0..3 {
            refused(&tls, VERSIONS[1], identity.as_ref());
        }
        wait_for(reason, || {
            let log = tls.service.log();
            let line = log.lines().find(|line| line.contains(said))?;
            assert!(line.contains(" WARNING ") && line.contains(reason), "{reason}: {line}");
            Some(())
        });
        assert_eq!(count(&tls.service, said), 1, "{}", tls.service.log());
    }
}

#[test]
fn a_revocation_takes_effect_without_a_restart() {
    let clients = Authority::new("an authority of clients");
    let tls = TlsService::start_with(|directory, _| client_files(directory, &clients));
    let identity = clients.client("node-1", 77, |_| ());
    for version in VERSIONS {
        put(&tls.scratch.path().join("crl.pem"), &clients.revoked(&[REVOKED], 2090));
        // The settings of a client keep its TLS sessions, which must not be resumed.
        let config = trusting(&tls.authority, &[version], Some(&identity));
        let mut open = wait_for("the former list", || {
            Client::connect(tls.service.address(), &config)
                .ok()
                .and_then(|mut client| client.request("GET", JOBS, "").ok().map(|_| client))
        });
        put(&tls.scratch.path().join("crl.pem"), &clients.revoked(&[REVOKED, 77], 2090));
        wait_for("the new list", || ask(tls.service.address(), &config, JOBS).is_err().then_some(()));
        // An open connection stays open.
        assert_eq!(open.request("GET", JOBS, "").unwrap().status, 200);
    }
}
