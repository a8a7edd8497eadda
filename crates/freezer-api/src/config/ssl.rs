//! `[ssl]`: TLS of the service's own port. The options are those of oslo.service's `sslutils`, and `crl_file`.

use std::path::{Path, PathBuf};

use ::oslo_config::{Config, OptDecl};

use super::ConfigError;

const GROUP: &str = "ssl";

const CERT_FILE: OptDecl = OptDecl::path(GROUP, "cert_file").help(
    "PEM file with the certificate of the service, followed by those of its intermediate authorities. If it is set, the API serves \
     only HTTPS on bind_host and bind_port. The files of this section are read again when they change, and at SIGHUP.",
);
const KEY_FILE: OptDecl = OptDecl::path(GROUP, "key_file")
    .help("PEM file with the key of the certificate (PKCS#8, PKCS#1 or SEC1), without a password.");
const CA_FILE: OptDecl = OptDecl::path(GROUP, "ca_file").help(
    "PEM file with the authorities of client certificates. If it is set, each client must have a certificate of one of them.",
);
const CRL_FILE: OptDecl = OptDecl::path(GROUP, "crl_file").help(
    "PEM file with the revocation lists of all authorities in the chain of a client certificate, which must have one list each. A \
     client with a revoked certificate is refused.",
);
const VERSION: OptDecl = OptDecl::string(GROUP, "version").help(
    "Versions of TLS. SSLv23, the default: TLS 1.2 and 1.3. TLSv1_2: only TLS 1.2. Older versions are not supported.",
);
const CIPHERS: OptDecl = OptDecl::string(GROUP, "ciphers")
    .help("Cipher suites of TLS 1.2 in the OpenSSL cipher list format. Those of TLS 1.3 are always allowed.");

pub(super) const OPTIONS: &[&OptDecl] = &[&CERT_FILE, &KEY_FILE, &CA_FILE, &CRL_FILE, &VERSION, &CIPHERS];

/// The versions of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersions {
    /// TLS 1.2 and 1.3.
    All,
    /// Only TLS 1.2.
    Tls12,
}

/// `[ssl]` with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SslSettings {
    /// `cert_file`
    pub cert_file: PathBuf,
    /// `key_file`
    pub key_file: PathBuf,
    /// `ca_file`. `None`: clients need no certificate.
    pub ca_file: Option<PathBuf>,
    /// `crl_file`
    pub crl_file: Option<PathBuf>,
    /// `version`
    pub versions: TlsVersions,
    /// Numbers of the cipher suites of TLS 1.2 in `ciphers`. `None`: all.
    pub ciphers: Option<Vec<u16>>,
}

impl SslSettings {
    pub(super) fn read(config: &Config) -> Result<Option<SslSettings>, ConfigError> {
        let path = |option: &OptDecl| Ok::<_, ConfigError>(config.string(option)?.map(PathBuf::from));
        let incomplete = |option, path: &Path, other: &str, same: &str| ConfigError::Unusable {
            option,
            value: path.display().to_string(),
            reason: format!("{other} is not set, and TLS needs both; set it{same}, or remove this option"),
        };
        let (cert_file, key_file) = match (path(&CERT_FILE)?, path(&KEY_FILE)?) {
            (None, None) => return Ok(None),
            (Some(cert), None) => {
                let same = " (to the same file if this one contains the key)";
                return Err(incomplete("[ssl] cert_file", &cert, "key_file", same));
            }
            (None, Some(key)) => return Err(incomplete("[ssl] key_file", &key, "cert_file", "")),
            (Some(cert), Some(key)) => (cert, key),
        };
        let versions = versions(config)?;
        let (ca_file, crl_file, ciphers) = (path(&CA_FILE)?, path(&CRL_FILE)?, ciphers(config, versions)?);
        Ok(Some(SslSettings { cert_file, key_file, ca_file, crl_file, versions, ciphers }))
    }

    /// Returns the files with the names of their options.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let always = [("cert_file", &self.cert_file), ("key_file", &self.key_file)];
        let if_set = [("ca_file", self.ca_file.as_ref()), ("crl_file", self.crl_file.as_ref())];
        always.into_iter().chain(if_set.into_iter().filter_map(|(option, path)| Some((option, path?))))
    }
}

fn versions(config: &Config) -> Result<TlsVersions, ConfigError> {
    let text = config.string(&VERSION)?.unwrap_or_default();
    match text.to_lowercase().as_str() {
        "" | "sslv23" => Ok(TlsVersions::All),
        "tlsv1_2" => Ok(TlsVersions::Tls12),
        _ => Err(ConfigError::Unusable {
            option: "[ssl] version",
            value: text,
            reason: "only TLS 1.2 and 1.3 are supported; remove it, or write SSLv23 for both or TLSv1_2 for TLS 1.2 only"
                .to_owned(),
        }),
    }
}

fn ciphers(config: &Config, versions: TlsVersions) -> Result<Option<Vec<u16>>, ConfigError> {
    let Some(text) = config.string(&CIPHERS)?.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let unusable = |reason: &str| {
        Err(ConfigError::Unusable { option: "[ssl] ciphers", value: text.clone(), reason: reason.to_owned() })
    };
    match freezer_store::tls12_ciphers(&text) {
        None => unusable(
            "it contains no cipher that OpenSSL knows; remove it, or write a list such as HIGH:!aNULL",
        ),
        Some(suites) if suites.is_empty() && versions == TlsVersions::Tls12 => unusable(
            "it contains no supported cipher of TLS 1.2, and [ssl] version allows no other version; remove it, or add \
             ECDHE-ECDSA-AES256-GCM-SHA384 and ECDHE-RSA-AES256-GCM-SHA384",
        ),
        suites => Ok(suites),
    }
}

/// Returns a warning about options that have no effect without a certificate.
pub(super) fn remark(config: &Config) -> Option<String> {
    let is_set = |option: &OptDecl| config.string(option).ok().flatten().is_some();
    if is_set(&CERT_FILE) || is_set(&KEY_FILE) {
        let alone = is_set(&CRL_FILE) && !is_set(&CA_FILE);
        return alone.then(|| {
            "[ssl] crl_file: without ca_file, clients need no certificate, so none is refused; set ca_file".to_owned()
        });
    }
    let option = [&CA_FILE, &CRL_FILE].into_iter().find(|option| is_set(option))?;
    Some(format!(
        "[ssl] {}: without cert_file and key_file, the service does not use TLS, so clients need no certificate; set both",
        option.name
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> (Result<Option<SslSettings>, String>, Option<String>) {
        let config = Config::from_text("f", &format!("[ssl]\n{text}")).unwrap().declare(OPTIONS);
        (SslSettings::read(&config).map_err(|error| error.to_string()), remark(&config))
    }

    #[test]
    fn tls_needs_a_certificate_and_a_key() {
        assert_eq!(read("").0, Ok(None));
        assert_eq!(read("cert_file =\nkey_file =\n").0, Ok(None));
        let both = "cert_file = /c\nkey_file = /k\n";
        let settings = read(both).0.unwrap().unwrap();
        assert_eq!(
            (settings.ca_file.clone(), settings.versions, settings.ciphers.clone()),
            (None, TlsVersions::All, None)
        );
        assert_eq!(settings.files().count(), 2);
        let all = read(&format!("{both}ca_file = /a\ncrl_file = /r\n")).0.unwrap().unwrap();
        let names: Vec<_> = all.files().map(|(name, path)| (name, path.to_str().unwrap())).collect();
        assert_eq!(names, [("cert_file", "/c"), ("key_file", "/k"), ("ca_file", "/a"), ("crl_file", "/r")]);
        for (text, begin) in [
            ("cert_file = /c", "[ssl] cert_file = /c: key_file is not set"),
            ("key_file = /k", "[ssl] key_file = /k: cert_file is not set"),
        ] {
            let error = read(text).0.unwrap_err();
            assert!(error.starts_with(begin), "{error}");
        }
    }

    #[test]
    fn options_without_effect_cause_a_warning() {
        let both = "cert_file = /c\nkey_file = /k\n";
        for (text, begin) in [
            ("ca_file = /a".to_owned(), Some("[ssl] ca_file: without cert_file")),
            ("crl_file = /r".to_owned(), Some("[ssl] crl_file: without cert_file")),
            (format!("{both}crl_file = /r"), Some("[ssl] crl_file: without ca_file")),
            (format!("{both}ca_file = /a\ncrl_file = /r"), None),
            (both.to_owned(), None),
            (String::new(), None),
        ] {
            let found = read(&text).1;
            assert_eq!(found.is_some(), begin.is_some(), "{text}: {found:?}");
            assert!(found.unwrap_or_default().starts_with(begin.unwrap_or_default()), "{text}");
        }
    }

    #[test]
    fn versions_and_ciphers_of_openssl_are_understood() {
        let with = |text: &str| read(&format!("cert_file = /c\nkey_file = /k\n{text}")).0;
        for (text, versions) in [
            ("version = SSLv23", TlsVersions::All),
            ("version = sslv23", TlsVersions::All),
            ("version =", TlsVersions::All),
            ("version = TLSv1_2", TlsVersions::Tls12),
        ] {
            assert_eq!(with(text).unwrap().unwrap().versions, versions, "{text}");
        }
        for version in ["TLSv1", "TLSv1_1", "SSLv2", "SSLv3", "1.2", "TLSv9"] {
            let error = with(&format!("version = {version}")).unwrap_err();
            assert!(
                error.starts_with(&format!("[ssl] version = {version}: only TLS 1.2 and 1.3")),
                "{error}"
            );
        }
        for (text, count) in [
            ("HIGH:!aNULL", 6),
            ("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256", 2),
            ("AES128-SHA", 0),
        ] {
            let settings = with(&format!("ciphers = {text}")).unwrap().unwrap();
            assert_eq!(settings.ciphers.map(|found| found.len()), Some(count), "{text}");
        }
        assert!(with("ciphers = secure").unwrap_err().contains("no cipher that OpenSSL knows"));
        let none = with("version = TLSv1_2\nciphers = AES128-SHA").unwrap_err();
        assert!(none.contains("[ssl] version allows no other version"), "{none}");
    }
}
