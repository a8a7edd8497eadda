//! The errors and warnings about the files of `[ssl]`, at the start and of `freezer-manage config check`.

use std::fs;

use rcgen::KeyPair;

use crate::certificates::{Authority, Identity, at, expired, pem, put};
use crate::process::{self, API, MANAGE, Scratch};
use crate::{database, ssl};

struct Files {
    scratch: Scratch,
    database: String,
    authority: Authority,
    good: Identity,
}

impl Files {
    fn new() -> Files {
        let scratch = Scratch::new();
        let database = database(&scratch);
        let authority = Authority::new("an authority");
        let good = authority.server();
        Files { scratch, database, authority, good }
    }

    /// Writes both files and checks the configuration.
    fn check(&self, certificate: &str, key: &str, more: &[(&str, &str)]) -> process::Done {
        put(&self.scratch.path().join("server.pem"), certificate);
        put(&self.scratch.path().join("server.key"), key);
        let config = process::config(process::free_port(), &self.database) + &ssl(self.scratch.path(), more);
        let config = self.scratch.write("f.conf", &config);
        process::run(MANAGE, &config, &["config", "check"])
    }
}

#[test]
fn unusable_files_are_named_with_the_reason_and_the_solution() {
    let files = Files::new();
    let (certificate, key) = (files.good.certificate.as_str(), files.good.key.as_str());
    let other = files.authority.server();
    let encrypted = pem("ENCRYPTED PRIVATE KEY", &[1; 64]);
    let old_encrypted =
        key.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n");
    let broken = certificate.replace("MII", "M!I");
    let cut: String = certificate.lines().take(4).map(|line| format!("{line}\n")).collect();
    let wrong_order = format!("{}{certificate}", files.authority.pem());
    let two = format!("# first\n{certificate}\n{broken}");
    let weak = pem("PRIVATE KEY", &[0x30, 3, 2, 1, 0]);
    let cases: &[(&str, &str, &[&str])] = &[
        ("", key, &["server.pem: it is empty; it must contain a certificate in PEM form"]),
        ("hello", key, &["server.pem: it contains no certificate in PEM form; name a file in PEM form"]),
        ("\x30\u{2}", key, &["it contains no certificate in PEM form"]),
        (
            key,
            key,
            &["server.pem: it contains no certificate, only PRIVATE KEY; name the file with the certificate"],
        ),
        (
            certificate,
            certificate,
            &["server.key: it contains no private key, only CERTIFICATE; name the file with the private key"],
        ),
        (
            certificate,
            &other.key,
            &["server.key: it is not the key of the certificate in", "server.pem; name the key"],
        ),
        (
            &wrong_order,
            key,
            &["server.key: it is the key of certificate 2 in", "must be the first one there"],
        ),
        (certificate, &encrypted, &["server.key: the key is encrypted; store it without a password"]),
        (certificate, &old_encrypted, &["server.key: the key is encrypted; store it without a password"]),
        (certificate, &weak, &["server.key: the key cannot be used", "use RSA with at least 2048 bits"]),
        (&broken, key, &["server.pem: line 1: the section CERTIFICATE that begins here is not complete"]),
        (&cut, key, &["server.pem: line 1: the section CERTIFICATE that begins here is not complete"]),
        (&two, key, &["server.pem: line ", ": the section CERTIFICATE that begins here"]),
        (
            &pem("CERTIFICATE", &[1, 2, 3]),
            key,
            &["server.pem: certificate 1 of the file: it is not an X.509 certificate"],
        ),
        (
            &pem("CERTIFICATE REQUEST", &[1, 2, 3]),
            key,
            &["it contains no certificate, only CERTIFICATE REQUEST"],
        ),
    ];
    for (certificate, key, words) in cases {
        let done = files.check(certificate, key, &[]);
        assert_eq!(done.code, Some(2), "{words:?}: {done:#?}");
        let line = done.stdout.lines().find(|line| line.starts_with("failure")).unwrap();
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
        // With the place of the option
        assert!(line.contains("f.conf:") && line.contains("[ssl] "), "{line}");
    }
    // The start gives the same reason.
    let done = process::run(API, &files.scratch.path().join("f.conf"), &[]);
    done.refused(1, &["f.conf:", "[ssl] cert_file: ", "only CERTIFICATE REQUEST"]);
    // Files that cannot be read
    for (change, words) in [
        (None, ["server.pem: No such file or directory", "create it, or correct the path"]),
        (Some(()), ["server.pem: it is a directory", "name a file"]),
    ] {
        let path = files.scratch.path().join("server.pem");
        fs::remove_file(&path).unwrap();
        if change.is_some() {
            fs::create_dir(&path).unwrap();
        }
        let done = process::run(MANAGE, &files.scratch.path().join("f.conf"), &["config", "check"]);
        assert!(done.code == Some(2) && words.iter().all(|word| done.stdout.contains(word)), "{done:#?}");
        if change.is_none() {
            fs::write(&path, "").unwrap();
        }
    }
}

#[test]
fn unusable_authorities_and_revocation_lists_are_named() {
    let files = Files::new();
    let directory = files.scratch.path();
    let (certificate, key) = (files.good.certificate.as_str(), files.good.key.as_str());
    let more = [("ca_file", "ca.pem"), ("crl_file", "crl.pem")];
    let good = files.authority.revoked(&[1], 2090);
    let cases = [
        ("", good.as_str(), "[ssl] ca_file: "),
        (key, &good, "ca.pem: it contains no certificate, only PRIVATE KEY"),
        (&pem("CERTIFICATE", &[1; 9]), &good, "ca.pem: none of its certificates can be used as an authority"),
        (&files.authority.pem(), "", "crl.pem: it is empty"),
        (
            &files.authority.pem(),
            certificate,
            "crl.pem: it contains no revocation list (X509 CRL), only CERTIFICATE",
        ),
        (&files.authority.pem(), &pem("X509 CRL", &[1; 9]), "crl.pem: list 1 of the file cannot be read"),
    ];
    for (ca, crl, reason) in cases {
        put(&directory.join("ca.pem"), ca);
        put(&directory.join("crl.pem"), crl);
        let done = files.check(certificate, key, &more);
        assert!(done.code == Some(2) && done.stdout.contains(reason), "{reason}: {done:#?}");
    }
    // An old list and an unusable authority beside a usable one are warnings.
    put(&directory.join("ca.pem"), &(files.authority.pem() + &pem("CERTIFICATE", &[1; 9])));
    put(&directory.join("crl.pem"), &files.authority.revoked(&[1], 2021));
    let done = files.check(certificate, key, &more);
    assert_eq!(done.code, Some(1), "{done:#?}");
    for warning in ["1 of its 2 certificates cannot be used as authorities", "should have been replaced by"] {
        assert!(done.stdout.contains(warning), "{warning}: {}", done.stdout);
    }
    done.without("failure");
}

#[test]
fn certificates_outside_their_time_and_gaps_in_chains_are_warnings() {
    let files = Files::new();
    let authority = &files.authority;
    let new = || KeyPair::generate().unwrap();
    let late = authority.server_with(new(), expired);
    let early = authority.server_with(new(), |params| params.not_before = rcgen::date_time_ymd(2090, 1, 1));
    let gap = format!("{}{}", files.good.certificate, Authority::new("another").pem());
    let intermediate = authority.intermediate("between");
    let chained = intermediate.server();
    let chain = format!("{}{}", chained.certificate, intermediate.pem());
    for (certificate, key, warning) in [
        (
            &late.certificate,
            &late.key,
            Some("certificate 1 (CN=freezer.example) expired on Jan  1 00:00:00 2020"),
        ),
        (
            &early.certificate,
            &early.key,
            Some("certificate 1 (CN=freezer.example) is not valid before Jan  1 00:00:00 2090"),
        ),
        (
            &gap,
            &files.good.key,
            Some("certificate 2 (CN=another) is not the issuer of certificate 1 (CN=an authority)"),
        ),
        (&chain, &chained.key, None),
        (&files.good.certificate, &files.good.key, None),
    ] {
        let done = files.check(certificate, key, &[]);
        assert_eq!(done.code, Some(i32::from(warning.is_some())), "{warning:?}: {done:#?}");
        let words = format!("warning  {}", at(files.scratch.path(), "f.conf"));
        if let Some(warning) = warning {
            assert!(
                done.stdout.contains(&words) && done.stdout.contains(warning),
                "{warning}: {}",
                done.stdout
            );
        }
    }
}
