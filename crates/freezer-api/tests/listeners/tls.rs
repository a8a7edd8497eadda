//! TLS on the port of the service: versions, forms of keys, chains, plain HTTP, slow handshakes, and the stop.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use tokio_rustls::rustls::ProtocolVersion;

use crate::certificates::{Authority, Identity, traditional};
use crate::client::{Client, TIME_LIMIT, VERSIONS, ask, plain, trusting};
use crate::load::Load;
use crate::process::{self, wait_for};
use crate::{TlsService, count, database, ssl, start};

const JOBS: &str = "/v2/p1/jobs";

/// Returns the report of a backup with a long text.
fn backup(number: usize, bytes: usize) -> String {
    let padding = "x".repeat(bytes);
    format!(
        r#"{{"backup_name": "b{number}", "container": "c", "hostname": "h", "time_stamp": {number}, "level": 0, "padding": "{padding}"}}"#
    )
}

#[test]
fn clients_of_tls_1_2_and_1_3_are_served() {
    let TlsService { scratch: _scratch, service, authority } = TlsService::start();
    let address = service.address();
    assert!(service.log().contains(&format!("listening on {address} (TLS)")), "{}", service.log());
    for (version, expected) in VERSIONS.into_iter().zip([ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3])
    {
        let config = trusting(&authority, &[version], None);
        let mut client = Client::connect(address, &config).unwrap();
        assert_eq!((client.version(), client.protocol().as_deref()), (Some(expected), Some("http/1.1")));
        let versions = client.request("GET", "/", "").unwrap();
        assert_eq!(versions.status, 300);
        assert!(versions.body.contains("https://localhost:9090/v2/"), "{}", versions.body);
        // The connection is kept, and takes large bodies in both directions.
        for number in 0..40 {
            let body = backup(number, 60_000);
            assert_eq!(client.request("POST", "/v2/p1/backups", &body).unwrap().status, 201);
        }
        let list = client.request("GET", "/v2/p1/backups?limit=40", "").unwrap();
        assert_eq!(list.status, 200);
        assert!(list.body.len() > 40 * 60_000, "{}", list.body.len());
        let page = client.request("GET", "/v2/p1/backups?limit=1&sort=created_at", "").unwrap();
        assert!(page.body.contains("https://localhost:9090/v2/p1/backups?"), "{}", page.body);
        client.send("GET /healthcheck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        assert_eq!(client.answer().unwrap().status, 200);
        client.closed();
    }
    assert_eq!(count(&service, "handshake"), 0, "{}", service.log());
}

#[test]
fn a_version_that_is_not_allowed_is_refused() {
    let scratch = process::Scratch::new();
    let authority = Authority::new("an authority");
    authority.server().put(scratch.path(), "server");
    let service = start(
        &scratch,
        &(ssl(scratch.path(), &[]) + "version = TLSv1_2\nciphers = ECDHE-ECDSA-AES128-GCM-SHA256\n"),
    );
    let [old, new] = VERSIONS.map(|version| trusting(&authority, &[version], None));
    assert_eq!(ask(service.address(), &old, JOBS).unwrap().status, 200);
    let error = Client::connect(service.address(), &new).err().expect("TLS 1.3 is refused");
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    wait_for("the line", || {
        (count(&service, "supports neither TLS 1.2 nor TLS 1.3, or none that [ssl] version") == 1)
            .then_some(())
    });
}

#[test]
fn keys_of_every_form_and_chains_are_used_after_a_reload() {
    let TlsService { scratch, service, authority } = TlsService::start();
    let config = plain(&authority);
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let ecdsa = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let (pkcs1, sec1) = (traditional(&rsa, "RSA PRIVATE KEY"), traditional(&ecdsa, "EC PRIVATE KEY"));
    let parameters = "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n";
    let with =
        |identity: Identity, key: Option<String>| Identity { key: key.unwrap_or(identity.key), ..identity };
    let intermediate = authority.intermediate("an intermediate authority");
    let chained = intermediate.server();
    let chain = format!("# the service\n{}\n{}", chained.certificate, intermediate.pem());
    let identities = [
        ("PKCS#8 RSA", with(authority.server_with(rsa, |_| ()), None)),
        ("PKCS#8 Ed25519", authority.server_with(KeyPair::generate_for(&PKCS_ED25519).unwrap(), |_| ())),
        ("SEC1", with(authority.server_with(ecdsa, |_| ()), Some(format!("{parameters}{sec1}")))),
        ("chain", Identity { certificate: chain, key: chained.key }),
    ];
    for (form, identity) in identities {
        replace(&scratch, &service, &config, &identity, form);
    }
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let key = traditional(&rsa, "RSA PRIVATE KEY");
    assert_ne!(key, pkcs1);
    let identity = with(authority.server_with(rsa, |_| ()), Some(key));
    replace(&scratch, &service, &config, &identity, "PKCS#1");
    assert_eq!(count(&service, "ERROR"), 0, "{}", service.log());
}

/// Replaces the certificate of the service, and waits until it is used.
fn replace(
    scratch: &process::Scratch,
    service: &process::Service,
    config: &std::sync::Arc<tokio_rustls::rustls::ClientConfig>,
    identity: &Identity,
    what: &str,
) {
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
    let expected: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .map(|certificate| certificate.unwrap().to_vec())
        .collect();
    identity.put(scratch.path(), "server");
    wait_for(what, || {
        let mut client =
            Client::connect(service.address(), config).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(client.request("GET", JOBS, "").unwrap().status, 200, "{what}");
        (client.certificates() == expected).then_some(())
    });
}

#[test]
fn plain_http_gets_an_explanation() {
    let TlsService { scratch: _scratch, service, authority } = TlsService::start();
    for number in 0..5 {
        let mut stream = service.connect();
        let body = "x".repeat(if number == 4 { 100_000 } else { 10 });
        let request = format!(
            "POST /v2/p1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let answer = process::read_all(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"), "{answer}");
        assert!(answer.contains("x-openstack-request-id: req-"), "{answer}");
        assert!(
            answer.contains(r#"{"title":"HTTPS required","description":"This port serves only HTTPS;"#),
            "{answer}"
        );
    }
    assert_eq!(count(&service, "without TLS was answered with 400"), 1, "{}", service.log());
    assert_eq!(ask(service.address(), &plain(&authority), JOBS).unwrap().status, 200);
}

#[test]
fn bytes_that_are_not_tls_end_the_connection() {
    let TlsService { scratch: _scratch, service, authority } = TlsService::start();
    for bytes in [
        &b"\x00\x01\x02\x03\x04\x05\x06\x07"[..],
        b"\x16\x03\x01\xff\xff\x01",
        b"ssh-2.0\r\n",
        b"\x16\x03\x01\x00\x05hello",
    ] {
        let mut stream = service.connect();
        stream.write_all(bytes).unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        // At most an alert
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    }
    // Checks of balancers, which only connect
    for _ in 0..3 {
        drop(service.connect());
    }
    assert_eq!(ask(service.address(), &plain(&authority), JOBS).unwrap().status, 200);
    assert!(count(&service, "the TLS handshake with 127.0.0.1:") <= 2, "{}", service.log());
    assert!(count(&service, "failed: the client does not use TLS") == 1, "{}", service.log());
}

#[test]
fn a_client_that_does_not_trust_the_service_is_logged() {
    let TlsService { scratch: _scratch, service, .. } = TlsService::start();
    let error = ask(service.address(), &plain(&Authority::new("another")), JOBS).unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    wait_for("the line", || {
        let log = service.log();
        let line =
            log.lines().find(|line| line.contains("does not accept the certificate of [ssl] cert_file"))?;
        assert!(
            line.contains(" WARNING ") && line.contains("127.0.0.1:") && line.contains("UnknownCA"),
            "{line}"
        );
        Some(())
    });
}

/// Opens connections that do not complete their handshake: each with another part of a first message.
fn slow(address: SocketAddr, number: usize) -> Vec<TcpStream> {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 the rest never arrives";
    let connect = |number: usize| {
        let mut stream = TcpStream::connect(address).expect("the service accepts");
        stream.write_all(&hello[..number % hello.len()]).unwrap();
        stream.set_read_timeout(Some(TIME_LIMIT)).unwrap();
        stream
    };
    (0..number).map(connect).collect()
}

#[test]
fn slow_handshakes_do_not_keep_others_out_and_end() {
    const CROWD: usize = 1_000;
    freezer_api::server::raise_file_limit();
    // More slow connections than places: those that have waited longest are closed for others.
    for limit in ["", "[api]\nmax_connections = 400\n"] {
        let TlsService { scratch: _scratch, service, authority } =
            TlsService::start_with(|_, _| limit.to_owned());
        let config = plain(&authority);
        let began = Instant::now();
        let mut crowd = slow(service.address(), CROWD);
        let mut times: Vec<Duration> = (0..50)
            .map(|_| {
                let began = Instant::now();
                assert_eq!(ask(service.address(), &config, JOBS).unwrap().status, 200);
                began.elapsed()
            })
            .collect();
        times.sort();
        println!("{CROWD} slow handshakes, {limit:?}: median {:?}, longest {:?}", times[25], times[49]);
        assert!(times[49] < Duration::from_secs(8), "{times:?}");
        // All of them end after the time limit of a handshake.
        for stream in &mut crowd {
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let elapsed = began.elapsed();
        println!("all slow handshakes ended after {elapsed:?}");
        assert!(elapsed < Duration::from_secs(40), "{elapsed:?}");
        assert!(count(&service, "did not end in time") <= 1, "{}", service.log());
        assert_eq!(ask(service.address(), &config, JOBS).unwrap().status, 200);
    }
}

#[test]
fn a_stop_answers_all_requests_on_tls_connections() {
    let TlsService { scratch: _scratch, service, authority } = TlsService::start();
    let config = plain(&authority);
    let body = r#"{"schedule": {}}"#;
    let (first, rest) = body.split_at(7);
    let mut clients: Vec<Client> = (0..60)
        .map(|number| {
            let mut client = Client::connect(service.address(), &config).unwrap();
            match number % 3 {
                // A request whose body is still arriving
                0 => client
                    .send(&format!("POST /v2/p1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{first}", body.len()))
                    .unwrap(),
                // A kept connection between two requests
                1 => assert_eq!(client.request("GET", JOBS, "").unwrap().status, 200),
                // A connection without a request
                _ => {}
            }
            client
        })
        .collect();
    let unfinished = slow(service.address(), 20);
    let began = Instant::now();
    service.terminate();
    for (number, client) in clients.iter_mut().enumerate() {
        match number % 3 {
            0 => client.send(rest).unwrap(),
            1 => continue,
            _ => client.send(&format!("GET {JOBS} HTTP/1.1\r\nHost: localhost\r\n\r\n")).unwrap(),
        }
        let answer = client.answer().unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(answer.status, if number % 3 == 0 { 201 } else { 200 }, "{number}: {answer:?}");
        assert!(answer.head.contains("connection: close"), "{answer:?}");
    }
    for client in &mut clients {
        client.closed();
    }
    assert_eq!(service.exit_code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    drop(unfinished);
}

#[test]
fn processes_replace_each_other_under_load_without_a_failed_request() {
    let (scratch, authority) = (process::Scratch::new(), Authority::new("an authority"));
    authority.server().put(scratch.path(), "server");
    let (url, port) = (database(&scratch), process::free_port());
    let more = format!("[DEFAULT]\nreuse_port = true\n{}", ssl(scratch.path(), &[]));
    let file = scratch.write("freezer-api.conf", &(process::config(port, &url) + &more));
    let start = || {
        let logs = process::Scratch::new();
        let mut start = process::command(process::API);
        start.arg("--config-file").arg(&file);
        (process::Service::spawn(start, port, &logs).expect("the service starts"), logs)
    };
    let (mut service, mut logs) = start();
    let load = Load::start(service.address(), &plain(&authority), 6);
    for _ in 0..4 {
        load.wait_for(200);
        let successor = start();
        load.wait_for(100);
        service.terminate();
        assert_eq!(service.exit_code(), Some(0));
        (service, logs) = successor;
    }
    load.wait_for(200);
    println!("4 processes replaced during {} requests over TLS, none of which failed", load.end());
    drop((service, logs));
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let TlsService { scratch: _scratch, service, authority } =
        TlsService::start_with(|_, _| "[api]\nanswer_timeout = 1\n".to_owned());
    let config = plain(&authority);
    let mut client = Client::connect(service.address(), &config).unwrap();
    for number in 0..100 {
        assert_eq!(client.request("POST", "/v2/p1/backups", &backup(number, 100_000)).unwrap().status, 201);
    }
    let mut idle = Client::connect(service.address(), &config).unwrap();
    idle.send("GET /v2/p1/backups?limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_secs(6));
    let error = idle.answer().expect_err("the connection was reset");
    println!("{error}");
    assert_eq!(client.request("GET", JOBS, "").unwrap().status, 200);
}
