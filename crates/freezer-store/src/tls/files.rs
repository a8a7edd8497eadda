//! Reads certificates and keys. Every error names the parameter and the file.

use std::fs;
use std::io::ErrorKind;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::TlsFile;
use crate::url_error::UrlError;

/// Returns the certificates of a PEM file, which must have at least one.
pub(super) fn certificates(file: &TlsFile) -> Result<Vec<CertificateDer<'static>>, UrlError> {
    let text = bounded_files::read(&file.path).map_err(|error| file.error(error))?;
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(file.error("contains no certificate in PEM form")),
        Ok(found) => Ok(found),
        Err(error) => Err(file.error(error)),
    }
}

/// Returns the certificates of a directory that `openssl rehash` has named by their hash (`5ed36f99.0`), as
/// OpenSSL finds them.
pub(super) fn directory(directory: &TlsFile) -> Result<Vec<CertificateDer<'static>>, UrlError> {
    let entries = fs::read_dir(&directory.path).map_err(|error| match error.kind() {
        ErrorKind::NotADirectory => directory.error("it is not a directory; name a directory"),
        _ => directory.error(error),
    })?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| directory.error(error))?;
        if entry.file_name().to_str().is_some_and(is_hash) {
            let file = TlsFile { path: entry.path(), ..directory.clone() };
            found.extend(certificates(&file)?);
        }
    }
    if found.is_empty() {
        return Err(
            directory.error("contains no certificate that is named by its hash; run `openssl rehash` on it")
        );
    }
    Ok(found)
}

fn is_hash(name: &str) -> bool {
    let Some((hash, number)) = name.split_once('.') else { return false };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits && hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the authorities of the system, or those of SSL_CERT_FILE and SSL_CERT_DIR, as OpenSSL finds them.
pub(super) fn system() -> Result<Vec<CertificateDer<'static>>, UrlError> {
    bounded_files::check_cert_file().map_err(|(path, error)| {
        let variable = "environment variable SSL_CERT_FILE";
        UrlError::SystemAuthorities(format!("{variable} = {path:?} is not usable: {error}"))
    })?;
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        let reason = if errors.is_empty() { "there are none".to_owned() } else { errors.join("; ") };
        return Err(UrlError::SystemAuthorities(reason));
    }
    Ok(found.certs)
}

/// Returns the client certificate with its key.
pub(super) fn identity(
    cert: &TlsFile,
    key: Option<&TlsFile>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, UrlError> {
    let chain = certificates(cert)?;
    let key_file = key.unwrap_or(cert);
    let text = bounded_files::read(&key_file.path).map_err(|error| key_file.error(error))?;
    let is_encrypted = String::from_utf8_lossy(&text).contains("ENCRYPTED");
    let key = match PrivateKeyDer::from_pem_slice(&text) {
        _ if is_encrypted => Err(key_file.error("the key is encrypted; store it without a password")),
        Ok(key) => Ok(key),
        Err(PemError::NoItemsFound) if key_file == cert => Err(cert.error(
            "contains no private key in PEM form, and the parameter ssl_key is not given; add ssl_key with the file of the \
             certificate's key",
        )),
        Err(PemError::NoItemsFound) => Err(key_file.error("contains no private key in PEM form")),
        Err(error) => Err(key_file.error(error)),
    }?;
    let key = provider.key_provider.load_private_key(key).map_err(|error| key_file.error(error))?;
    let identity = CertifiedKey::new(chain, key);
    match identity.keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(key_file.error(format!("is not the key of the certificate in {}", cert.path.display())))
        }
        // For a certificate of X.509 version 1, only the server can check that the key matches.
        _ => Ok(identity),
    }
}
