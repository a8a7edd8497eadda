//! TLS to Keystone: trusted authorities and the client certificate.

use std::path::PathBuf;
use std::sync::Arc;

use keystone_auth::{AuthError, KeystoneClient, Settings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::support::{FakeKeystone, START, TestClock, settings, token};

/// An authority and its certificates. Each test creates its own, so the repository contains no keys.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = std::env::temp_dir().join(format!("keystone-auth-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self { issuer, folder }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn ca_file(&self) -> PathBuf {
        self.file("ca.pem", &self.issuer.pem())
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Creates a server for 127.0.0.1. With `clients`, it requires a client certificate signed by this
    /// authority.
    fn acceptor(&self, clients: bool) -> TlsAcceptor {
        let (certificate, key) = self.sign("127.0.0.1");
        let builder = ServerConfig::builder();
        let builder = if clients {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn validate(acceptor: TlsAcceptor, change: impl FnOnce(&mut Settings)) -> Result<String, AuthError> {
    let time = TestClock::new();
    let keystone = FakeKeystone::start_with(time.clone(), Some(acceptor)).await;
    keystone.add("t1", token("ann", &[], START + 9000));
    let mut settings = settings(&keystone);
    settings.max_retries = 0;
    change(&mut settings);
    let client = KeystoneClient::new(&settings, time.clock()).unwrap();
    client.validate("t1").await.map(|validated| validated.user_id.clone())
}

fn reason(result: Result<String, AuthError>) -> String {
    match result {
        Err(error @ AuthError::Unavailable { .. }) => error.to_string(),
        other => panic!("expected Unavailable, got {other:?}"),
    }
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted() {
    let authority = Authority::new("unknown");
    let text = reason(validate(authority.acceptor(false), |_| {}).await);
    assert!(text.contains("certificate"), "{text}");
}

#[tokio::test]
async fn only_the_cafile_is_trusted() {
    let authority = Authority::new("cafile");
    let ca = authority.ca_file();
    let user = validate(authority.acceptor(false), |settings| settings.cafile = Some(ca)).await;
    assert_eq!(user.unwrap(), "ann");
    let other = Authority::new("cafile-other");
    let ca = other.ca_file();
    let result = validate(authority.acceptor(false), |settings| settings.cafile = Some(ca)).await;
    assert!(reason(result).contains("certificate"));
}

/// An unusable certificate does not fail the others.
#[tokio::test]
async fn a_bundle_may_contain_an_unusable_certificate() {
    let authority = Authority::new("odd");
    let odd = "-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----\n";
    let bundle = authority.file("bundle.pem", &format!("# ours\n{odd}{}{odd}", authority.issuer.pem()));
    let user = validate(authority.acceptor(false), |settings| settings.cafile = Some(bundle)).await;
    assert_eq!(user.unwrap(), "ann");
    let bundle = authority.file("odd.pem", odd);
    let settings = Settings { cafile: Some(bundle), ..Settings::default() };
    let error = keystone_auth::check_tls_files(&settings).unwrap_err().to_string();
    assert!(error.contains("odd.pem") && error.contains("none of its certificates"), "{error}");
}

#[tokio::test]
async fn cafile_may_be_a_directory() {
    let authority = Authority::new("directory");
    authority.ca_file();
    authority.file("README", "not a certificate\n");
    let user = validate(authority.acceptor(false), |s| s.cafile = Some(authority.folder.clone())).await;
    assert_eq!(user.unwrap(), "ann");
}

/// The catalog may contain an HTTPS endpoint although `auth_url` is plain HTTP.
#[tokio::test]
async fn files_are_read_if_the_catalog_has_an_https_endpoint() {
    let authority = Authority::new("catalog");
    let time = TestClock::new();
    let plain = FakeKeystone::start(time.clone()).await;
    let encrypted = FakeKeystone::start_with(time.clone(), Some(authority.acceptor(false))).await;
    encrypted.add("t1", token("ann", &[], START + 9000));
    let endpoint = serde_json::json!({"interface": "internal", "region": "one", "url": encrypted.url});
    plain.state().catalog = serde_json::json!([{"type": "identity", "endpoints": [endpoint]}]);
    let ask = async |ca: PathBuf| {
        let mut settings = settings(&plain);
        settings.cafile = Some(ca);
        let client = KeystoneClient::new(&settings, time.clock()).unwrap();
        // Both servers accept the same tokens.
        let _ = client.service_user_id().await.unwrap();
        let own = plain.state().own.clone();
        encrypted.state().own = own;
        client.validate("t1").await.map(|validated| validated.user_id.clone())
    };
    assert_eq!(ask(authority.ca_file()).await.unwrap(), "ann");
    let text = reason(ask("/nonexistent/ca.pem".into()).await);
    assert!(text.contains("cafile") && text.contains("/nonexistent/ca.pem"), "{text}");
}

#[tokio::test]
async fn insecure_trusts_every_certificate() {
    let authority = Authority::new("insecure");
    let user = validate(authority.acceptor(false), |settings| settings.insecure = true).await;
    assert_eq!(user.unwrap(), "ann");
}

#[tokio::test]
async fn a_client_certificate_can_be_in_two_files_or_one() {
    let authority = Authority::new("client");
    let (certificate, key) = authority.sign("freezer");
    let ca = authority.ca_file();
    let certfile = authority.file("client.pem", &certificate.pem());
    let keyfile = authority.file("client.key", &key.serialize_pem());
    let both = authority.file("both.pem", &format!("{}{}", key.serialize_pem(), certificate.pem()));

    let none = validate(authority.acceptor(true), |s| s.cafile = Some(ca.clone())).await;
    reason(none);
    let two = validate(authority.acceptor(true), |s| {
        (s.cafile, s.certfile, s.keyfile) = (Some(ca.clone()), Some(certfile), Some(keyfile));
    });
    assert_eq!(two.await.unwrap(), "ann");
    let one = validate(authority.acceptor(true), |s| {
        (s.cafile, s.certfile) = (Some(ca.clone()), Some(both));
    });
    assert_eq!(one.await.unwrap(), "ann");
}
