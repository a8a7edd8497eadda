//! TLS to Keystone: the trusted authorities and the client certificate. `transport` decides whether a
//! connection needs TLS.

use std::path::Path;

use reqwest::{Certificate, Client, ClientBuilder, Identity};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::error::SettingsError;
use crate::settings::Settings;
use crate::transport::{cause, shown_url};

/// Builds a client with the TLS settings. `url` is the endpoint, for error messages.
pub(crate) fn client(
    builder: ClientBuilder,
    settings: &Settings,
    url: &str,
) -> Result<Client, SettingsError> {
    configure(builder, settings)?.build().map_err(|error| {
        let reason = cause(error);
        if settings.cafile.is_none() && !settings.insecure && is_without_authorities(&reason) {
            return SettingsError::NoAuthorities { url: shown_url(url) };
        }
        SettingsError::Client(reason)
    })
}

/// Checks the configured files without connecting. The certificates of the operating system are not checked.
///
/// # Errors
/// [`SettingsError::File`] names the unusable file.
pub fn check_tls_files(settings: &Settings) -> Result<(), SettingsError> {
    // Without a cafile, the client would need the authorities of the system, but a client certificate can be
    // checked without them.
    let settings = Settings { insecure: settings.insecure || settings.cafile.is_none(), ..settings.clone() };
    client(Client::builder(), &settings, &settings.auth_url).map(|_| ())
}

/// Reads the files for TLS and adds them to a client.
fn configure(mut builder: ClientBuilder, settings: &Settings) -> Result<ClientBuilder, SettingsError> {
    if settings.insecure {
        builder = builder.tls_danger_accept_invalid_certs(true);
    } else if let Some(path) = &settings.cafile {
        builder = builder.tls_certs_only(authorities(settings.cafile_from, path)?);
    } else {
        bounded_files::check_cert_file()
            .map_err(|(path, error)| file("environment variable SSL_CERT_FILE", &path, &error.to_string()))?;
    }
    if let Some(path) = &settings.certfile {
        let mut pem = read("certfile", path)?;
        if let Some(key) = &settings.keyfile {
            pem.push(b'\n');
            pem.extend(read("keyfile", key)?);
        } else if !String::from_utf8_lossy(&pem).contains("PRIVATE KEY-----") {
            return Err(file(
                "certfile",
                path,
                "it contains no private key, and keyfile is not set; set keyfile to the key of this certificate",
            ));
        }
        let identity = Identity::from_pem(&pem).map_err(|error| file("certfile", path, &cause(error)))?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

/// Returns whether the HTTP client could not be built because the operating system has no authorities.
fn is_without_authorities(reason: &str) -> bool {
    reason.contains("No CA certificates were loaded")
}

/// Returns the certificates of a PEM bundle, or of every such file in a directory. Other files of a directory
/// are skipped, as in OpenSSL. Certificates that cannot be an authority are skipped too, because the bundles
/// of operators contain such certificates.
fn authorities(option: &'static str, path: &Path) -> Result<Vec<Certificate>, SettingsError> {
    let mut found = Vec::new();
    if path.is_dir() {
        let failed = |error: std::io::Error| file(option, path, &error.to_string());
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let pem = bounded_files::read(&entry.map_err(failed)?.path()).unwrap_or_default();
            found.extend(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
        }
    } else {
        let pem = read(option, path)?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            found.push(certificate.map_err(|error| file(option, path, &error.to_string()))?);
        }
    }
    if found.is_empty() {
        return Err(file(option, path, "it contains no PEM certificate"));
    }
    let all = found.len();
    found.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    if found.is_empty() {
        return Err(file(option, path, "none of its certificates can be used as an authority"));
    }
    if found.len() < all {
        let path = path.display();
        tracing::warn!("{option} = {path}: {} of {all} certificates cannot be used", all - found.len());
    }
    let certificates = found.iter().map(|certificate| Certificate::from_der(certificate));
    certificates.collect::<Result<_, _>>().map_err(|error| file(option, path, &cause(error)))
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, SettingsError> {
    bounded_files::read(path).map_err(|error| file(option, path, &error.to_string()))
}

fn file(option: &'static str, path: &Path, reason: &str) -> SettingsError {
    SettingsError::File { option, path: path.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;
    use crate::transport::Transport;

    fn transport(auth_url: &str, change: impl FnOnce(&mut Settings)) -> Result<Transport, SettingsError> {
        let mut settings = Settings { auth_url: auth_url.to_owned(), ..Settings::default() };
        change(&mut settings);
        Transport::new(&settings, None)
    }

    #[test]
    fn the_error_names_a_missing_or_empty_certificate_file() {
        let https = "https://k:5000";
        let error = |change: fn(&mut Settings)| transport(https, change).err().unwrap().to_string();
        let missing = error(|settings| settings.cafile = Some("/nonexistent/ca.pem".into()));
        assert!(missing.contains("cafile") && missing.contains("/nonexistent/ca.pem"), "{missing}");
        let empty = error(|settings| settings.cafile = Some("/dev/null".into()));
        assert!(empty.contains("contains no PEM certificate"), "{empty}");
        let directory = error(|settings| settings.cafile = Some("/proc/self/fdinfo".into()));
        assert!(directory.contains("contains no PEM certificate"), "{directory}");
        let named = error(|settings| {
            settings.cafile = Some("/nonexistent/ca.pem".into());
            settings.cafile_from = "environment variable REQUESTS_CA_BUNDLE";
        });
        assert!(named.contains("environment variable REQUESTS_CA_BUNDLE"), "{named}");
        assert!(error(|settings| settings.certfile = Some("/dev/null".into())).contains("certfile"));
    }

    #[test]
    fn files_are_not_read_for_plain_http() {
        let missing = |settings: &mut Settings| {
            settings.cafile = Some("/nonexistent/ca.pem".into());
            settings.certfile = Some("/nonexistent/client.pem".into());
            settings.keyfile = Some("/nonexistent/client.key".into());
        };
        transport("http://k:5000", missing).unwrap();
        // They can still be checked.
        let mut settings = Settings { auth_url: "http://k:5000".to_owned(), ..Settings::default() };
        check_tls_files(&settings).unwrap();
        missing(&mut settings);
        assert!(check_tls_files(&settings).unwrap_err().to_string().contains("/nonexistent/ca.pem"));
        settings.cafile = None;
        assert!(check_tls_files(&settings).unwrap_err().to_string().contains("/nonexistent/client.pem"));
    }

    #[test]
    fn insecure_needs_no_authorities() {
        let insecure = |settings: &mut Settings| {
            settings.insecure = true;
            settings.cafile = Some("/nonexistent/ca.pem".into());
        };
        transport("https://k:5000", insecure).unwrap();
    }
}
