//! Tests `http:` and `https:` checks against test servers, and compares the requests with those of the Python oslo.policy.
//!
//! The comparison needs `FREEZER_TEST_PYTHON`, an interpreter that has oslo.policy 6.0.1.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oslo_policy::{
    ContentType, Credentials, EnforceError, Enforcer, HttpCheck, HttpCheckSettings, Options, Target,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value as Json, json};
use support::Directory;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A request that a test server received.
#[derive(Debug, Clone, PartialEq)]
struct Received {
    line: String,
    content_type: String,
    body: BTreeMap<String, Json>,
}

/// A server that records its requests and answers according to the path: `/answer/<status>/<body>`, `/never`.
struct Server {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    runtime: Runtime,
}

impl Server {
    fn start(tls: Option<TlsAcceptor>) -> Server {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, tls) = (Arc::clone(&log), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, &log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer(stream, &log).await;
                            }
                        }
                    }
                });
            }
        });
        Server { address, received, runtime }
    }

    fn check(&self, settings: &HttpCheckSettings) -> HttpCheck {
        HttpCheck::new(settings, self.runtime.handle().clone()).unwrap()
    }

    fn take_requests(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().unwrap())
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, log: &Mutex<Vec<Received>>) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let wanted = |head: &str| {
            let line = head.lines().find(|line| line.to_lowercase().starts_with("content-length:"))?;
            line.split(':').nth(1)?.trim().parse::<usize>().ok()
        };
        match text.split_once("\r\n\r\n") {
            Some((head, body)) if wanted(head).is_none_or(|wanted| body.len() >= wanted) => {
                break (head.to_owned(), body.to_owned());
            }
            _ if length == 0 => return,
            _ => {}
        }
    };
    let line = head.lines().next().unwrap().to_owned();
    let header = head.lines().find(|line| line.to_lowercase().starts_with("content-type:")).unwrap();
    let content_type = header.split(':').nth(1).unwrap().trim().to_owned();
    let body = if content_type == "application/json" {
        serde_json::from_str(&body).unwrap()
    } else {
        let pairs = form_urlencoded::parse(body.as_bytes());
        pairs.map(|(name, value)| (name.into_owned(), serde_json::from_str(&value).unwrap())).collect()
    };
    let path = line.split(' ').nth(1).unwrap().to_owned();
    log.lock().unwrap().push(Received { line, content_type, body });
    let parts: Vec<&str> = path.split('/').collect();
    let answer = match parts.as_slice() {
        ["", "answer", status, body, ..] => {
            let body = body.replace("%22", "\"").replace("%0A", "\n");
            format!(
                "HTTP/1.1 {status} X\r\nLocation: /answer/200/True\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        ["", "long", ..] => format!("HTTP/1.1 200 X\r\nContent-Length: 4096\r\n\r\n{}", "True".repeat(1024)),
        _ => std::future::pending().await,
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Decides a rule that consists of this check.
fn decide(check: HttpCheck, rule: &str) -> Result<(), EnforceError> {
    let directory = Directory::new();
    let text = json!({"asked": rule}).to_string();
    let options = Options {
        policy_file: Some(directory.write("policy.yaml", text)),
        remote: Some(Arc::new(check)),
        ..Options::default()
    };
    let enforcer = Enforcer::new(Vec::new(), options).unwrap();
    assert!(enforcer.needs_remote("asked"));
    let (target, creds) = subjects();
    let target = Target::from(target.as_object().unwrap());
    enforcer.enforce("asked", &target, &Credentials::from(creds.as_object().unwrap()))
}

fn subjects() -> (Json, Json) {
    let creds =
        json!({"user_id": "u 1&", "roles": ["member", "größe"], "project_id": "p1", "domain_id": null});
    (json!({"project_id": "p1", "n": 5}), creds)
}

/// Paths of answers, and whether the answers allow.
const ANSWERS: [(&str, bool); 8] = [
    ("answer/200/True", true),
    ("answer/200/%%22True%%22", true),
    ("answer/500/True", true),
    ("answer/200/true", false),
    ("answer/200/True%%0A", false),
    ("answer/200/False", false),
    ("answer/204/", false),
    ("long", false),
];

#[test]
fn only_true_allows() {
    let server = Server::start(None);
    for (path, allowed) in ANSWERS {
        let url = format!("http://{}/{path}", server.address);
        let decision = decide(server.check(&HttpCheckSettings::default()), &url);
        match decision {
            Ok(()) => assert!(allowed, "{path}"),
            Err(EnforceError::Denied { .. }) => assert!(!allowed, "{path}"),
            Err(broken) => panic!("{path}: {broken}"),
        }
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let server = Server::start(None);
    let url = format!("http://{}/answer/307/moved", server.address);
    assert!(matches!(
        decide(server.check(&HttpCheckSettings::default()), &url),
        Err(EnforceError::Denied { .. })
    ));
    assert_eq!(server.take_requests().len(), 1);
}

#[test]
fn a_check_without_an_answer_does_not_allow() {
    let server = Server::start(None);
    let settings = HttpCheckSettings { timeout: Duration::from_millis(200), ..HttpCheckSettings::default() };
    let never = decide(server.check(&settings), &format!("http://{}/never", server.address)).unwrap_err();
    assert!(matches!(&never, EnforceError::Broken { reason, .. } if reason.contains("timed out")), "{never}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = decide(server.check(&HttpCheckSettings::default()), &format!("http://{closed}/"));
    let refused = refused.unwrap_err();
    assert!(
        matches!(&refused, EnforceError::Broken { reason, .. } if reason.contains("refused")),
        "{refused}"
    );
    let url = format!("http://{}/%(gone)s", server.address);
    assert!(decide(server.check(&HttpCheckSettings::default()), &url).is_err());
    assert_eq!(server.take_requests().len(), 1);
}

#[test]
fn python_sends_the_same_requests() {
    let Some(python) = std::env::var_os("FREEZER_TEST_PYTHON").filter(|python| !python.is_empty()) else {
        println!("skipped: FREEZER_TEST_PYTHON is not set");
        return;
    };
    let server = Server::start(None);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/remote.py");
    for (content_type, name) in
        [(ContentType::Form, "application/x-www-form-urlencoded"), (ContentType::Json, "application/json")]
    {
        let urls: Vec<String> = ANSWERS
            .iter()
            .map(|(path, _)| format!("http://{}/{path}/%(project_id)s", server.address))
            .collect();
        let settings = HttpCheckSettings { content_type, ..HttpCheckSettings::default() };
        let ours: Vec<bool> = urls.iter().map(|url| decide(server.check(&settings), url).is_ok()).collect();
        let our_requests = server.take_requests();
        let (target, creds) = subjects();
        let question = json!({"urls": urls, "content_type": name, "target": target, "creds": creds});
        let mut command = Command::new(&python);
        command.arg(script).arg(question.to_string()).stderr(Stdio::inherit());
        let theirs: Vec<bool> = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        assert_eq!(ours, ANSWERS.map(|(_, allowed)| allowed));
        assert_eq!(ours, theirs);
        assert_eq!(our_requests, server.take_requests());
        assert_eq!(our_requests.len(), ANSWERS.len());
        assert_eq!(our_requests[0].body["rule"], "asked");
    }
}

/// A CA, and the directory of its files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: Directory,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer, directory: Directory::new() }
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Returns an acceptor for 127.0.0.1 that requires a client certificate of this CA.
    fn acceptor(&self) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let (certificate, key) = self.sign("127.0.0.1");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    fn ca_file(&self) -> PathBuf {
        self.directory.write("ca.pem", self.issuer.pem())
    }
}

#[test]
fn server_and_client_certificates_are_verified() {
    let authority = Authority::new();
    let server = Server::start(Some(authority.acceptor()));
    let (certificate, key) = authority.sign("freezer");
    let full = HttpCheckSettings {
        verify_server: true,
        ca_file: Some(authority.ca_file()),
        client_certificate: Some(authority.directory.write("c.pem", certificate.pem())),
        client_key: Some(authority.directory.write("k.pem", key.serialize_pem())),
        ..HttpCheckSettings::default()
    };
    let url = format!("https://{}/answer/200/True", server.address);
    decide(server.check(&full), &url).unwrap();
    let unverified = HttpCheckSettings { verify_server: false, ca_file: None, ..full.clone() };
    decide(server.check(&unverified), &url).unwrap();
    assert_eq!(server.take_requests().len(), 2);
    let stranger = Authority::new();
    for bad in [
        HttpCheckSettings { ca_file: Some(stranger.ca_file()), ..full.clone() },
        HttpCheckSettings { client_certificate: None, client_key: None, ..full.clone() },
    ] {
        assert!(matches!(decide(server.check(&bad), &url), Err(EnforceError::Broken { .. })));
    }
    assert_eq!(server.take_requests().len(), 0);
    let missing = HttpCheckSettings { ca_file: Some(PathBuf::from("/nowhere/ca.pem")), ..full };
    let check = HttpCheck::new(&missing, server.runtime.handle().clone()).unwrap();
    let error = check.prepare_https().unwrap_err().to_string();
    assert!(error.contains("remote_ssl_ca_crt_file") && error.contains("/nowhere/ca.pem"), "{error}");
    // A check without the preparation fails for the same reason.
    let denied = decide(check, &url).unwrap_err();
    assert!(
        matches!(&denied, EnforceError::Broken { .. }) && denied.to_string().contains("/nowhere/ca.pem"),
        "{denied}"
    );
    // A missing file of https: does not prevent http: checks.
    let plain = Server::start(None);
    let check = HttpCheck::new(&missing, plain.runtime.handle().clone()).unwrap();
    decide(check, &format!("http://{}/answer/200/True", plain.address)).unwrap();
}
