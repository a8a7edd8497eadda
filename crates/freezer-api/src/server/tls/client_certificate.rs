//! Verifies the certificates of clients with `[ssl] ca_file` and `crl_file`, and keeps the name of a refused one for the log.

use std::cell::RefCell;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

use super::files::{TlsFileError, content};
use super::pem;
use crate::config::SslSettings;

tokio::task_local! {
    /// The name of the refused certificate of the present handshake.
    static REFUSED: RefCell<Option<String>>;
}

/// Runs a handshake. Returns its result, and the name of the client's certificate if it was refused.
pub(super) async fn with_refused_name<T>(handshake: impl Future<Output = T>) -> (T, Option<String>) {
    let scope = async {
        let result = handshake.await;
        (result, REFUSED.with(RefCell::take))
    };
    REFUSED.scope(RefCell::default(), scope).await
}

/// Returns the verifier of clients. `None`: clients need no certificate.
pub(super) fn verifier(
    settings: &SslSettings,
    provider: Arc<CryptoProvider>,
    warnings: &mut Vec<String>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsFileError> {
    let Some(ca_file) = &settings.ca_file else { return Ok(None) };
    let of_ca = |reason: String| TlsFileError::new("ca_file", ca_file, reason);
    let found: Vec<CertificateDer<'static>> =
        pem::items(&content("ca_file", ca_file)?, "certificate").map_err(of_ca)?;
    let all = found.len();
    let mut roots = RootCertStore::empty();
    let (_, unusable) = roots.add_parsable_certificates(found);
    if roots.is_empty() {
        return Err(of_ca("none of its certificates can be used as an authority".to_owned()));
    }
    if unusable > 0 {
        let path = ca_file.display();
        warnings.push(format!(
            "[ssl] ca_file: {path}: {unusable} of its {all} certificates cannot be used as authorities"
        ));
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if settings.crl_file.is_some() {
        builder = builder.with_crls(revocation_lists(settings, warnings)?);
    }
    let inner = builder.build().map_err(|error| match &settings.crl_file {
        Some(path) => TlsFileError::new("crl_file", path, error),
        None => of_ca(error.to_string()),
    })?;
    Ok(Some(Arc::new(NamingVerifier(inner))))
}

fn revocation_lists(
    settings: &SslSettings,
    warnings: &mut Vec<String>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsFileError> {
    let Some(path) = &settings.crl_file else { return Ok(Vec::new()) };
    let of_crl = |reason: String| TlsFileError::new("crl_file", path, reason);
    let lists: Vec<CertificateRevocationListDer<'static>> =
        pem::items(&content("crl_file", path)?, "revocation list (X509 CRL)").map_err(of_crl)?;
    for (position, list) in lists.iter().enumerate() {
        let number = position + 1;
        let (_, list) = CertificateRevocationList::from_der(list)
            .map_err(|error| of_crl(format!("list {number} of the file cannot be read: {error}")))?;
        if let Some(next) = list.next_update().filter(|next| *next < ASN1Time::now()) {
            warnings.push(format!(
                "[ssl] crl_file: {}: the list of {} should have been replaced by {next}; certificates that were revoked since are \
                 still accepted",
                path.display(),
                list.issuer()
            ));
        }
    }
    Ok(lists)
}

/// A verifier that keeps the name of a certificate that it refuses.
#[derive(Debug)]
struct NamingVerifier(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for NamingVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.verify_client_cert(end_entity, intermediates, now).inspect_err(|_| {
            let name = name(end_entity);
            let _ = REFUSED.try_with(|refused| refused.replace(Some(name)));
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Returns the subject, issuer and number of a certificate.
fn name(certificate: &CertificateDer<'_>) -> String {
    match X509Certificate::from_der(certificate) {
        Ok((_, certificate)) => format!(
            "subject {}, issuer {}, serial number {}",
            certificate.subject(),
            certificate.issuer(),
            certificate.raw_serial_as_string()
        ),
        Err(_) => "unreadable".to_owned(),
    }
}
