//! The certificates of the running service are replaced.

use std::fs;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::certificates::{Identity, expired, put};
use crate::client::{Client, plain};
use crate::load::Load;
use crate::process::wait_for;
use crate::{TlsService, count};

const READ: &str = "the certificates of [ssl] were read again";
const KEPT: &str = "the certificates of [ssl] were not replaced, the former ones stay in use: ";

fn first_certificate(identity: &Identity) -> Vec<u8> {
    CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap().to_vec()
}

/// Returns the certificate that a new connection gets.
fn served(tls: &TlsService) -> Vec<u8> {
    let client = Client::connect(tls.service.address(), &plain(&tls.authority)).unwrap();
    client.certificates().swap_remove(0)
}

#[test]
fn certificates_are_replaced_under_load_without_a_failed_request() {
    let tls = TlsService::start();
    let address = tls.service.address();
    let config = plain(&tls.authority);
    let mut open = Client::connect(address, &config).unwrap();
    let load = Load::start(address, &config, 6);
    for number in 0..6 {
        load.wait_for(100);
        let identity = tls.authority.server();
        identity.put(tls.scratch.path(), "server");
        if number % 2 == 0 {
            tls.service.signal("HUP");
        }
        wait_for("the new certificate", || (served(&tls) == first_certificate(&identity)).then_some(()));
    }
    load.wait_for(100);
    let done = load.end();
    println!("6 certificates replaced during {done} requests, none of which failed");
    assert_eq!(
        open.request("GET", "/v2/p1/jobs", "").unwrap().status,
        200,
        "a connection of the first certificate"
    );
    assert_eq!(count(&tls.service, "ERROR"), 0, "{}", tls.service.log());
}

#[test]
fn unusable_files_keep_the_former_certificate() {
    let tls = TlsService::start();
    let before = served(&tls);
    let directory = tls.scratch.path();
    let [certificate, key] = ["server.pem", "server.key"].map(|name| directory.join(name));
    let good = [&certificate, &key].map(|path| fs::read_to_string(path).unwrap());
    let other = tls.authority.server();
    let mut errors = 0;
    for (path, text, reason) in [
        (&certificate, "not a certificate".to_owned(), "[ssl] cert_file"),
        (&key, other.key.clone(), "it is not the key of the certificate in"),
        (&key, String::new(), "[ssl] key_file"),
    ] {
        put(path, &text);
        errors += 1;
        wait_for(reason, || (count(&tls.service, KEPT) == errors).then_some(()));
        let log = tls.service.log();
        let line = log.lines().rfind(|line| line.contains(KEPT)).unwrap();
        let named =
            line.contains(" ERROR ") && line.contains(&path.display().to_string()) && line.contains(reason);
        assert!(named, "{line}");
        assert_eq!(served(&tls), before);
        // At SIGHUP, the error is logged again.
        tls.service.signal("HUP");
        errors += 1;
        wait_for("the error at SIGHUP", || (count(&tls.service, KEPT) == errors).then_some(()));
        let reads = count(&tls.service, READ);
        put(&certificate, &good[0]);
        put(&key, &good[1]);
        wait_for("the former files", || (count(&tls.service, READ) > reads).then_some(()));
        assert_eq!(served(&tls), before);
    }
    // A missing file
    fs::remove_file(&certificate).unwrap();
    errors += 1;
    wait_for("the missing file", || (count(&tls.service, KEPT) == errors).then_some(()));
    assert!(tls.service.log().contains("server.pem: No such file or directory"), "{}", tls.service.log());
    assert_eq!(served(&tls), before);
    // A certificate that has expired is used, with a warning.
    let late = tls.authority.server_with(rcgen::KeyPair::generate().unwrap(), expired);
    late.put(directory, "server");
    wait_for("the warning", || {
        let log = tls.service.log();
        log.lines().find(|line| line.contains(" WARNING ") && line.contains("expired on")).map(|_| ())
    });
    assert_eq!(count(&tls.service, KEPT), errors, "{}", tls.service.log());
}
