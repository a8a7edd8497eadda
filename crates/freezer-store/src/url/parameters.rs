//! The query of a MySQL URL: the parameters of the Python drivers and their meaning here.
//!
//! SQLAlchemy parses the query with `parse_qsl`, so blank values count as absent. It passes some `ssl_*`
//! parameters to the driver as one dictionary and the others separately. `verification` below interprets them
//! like PyMySQL's `Connection.__init__`, except for the differences in docs/database.md. `option_file.rs`
//! reads the file of `read_default_file`.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::MySqlUrl;
use super::option_file::OptionFile;
use crate::tls::{NameParameter, Roots, TlsFile, TlsMode, TlsOptions, TrustAnchor};
use crate::url_error::UrlError;

/// A parameter that the service does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The reason why it is not used.
    pub effect: Effect,
}

/// The reason why a parameter is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The Python driver supports it, but it has no effect on this service.
    Needless,
    /// The Python driver supports it and would behave differently with it.
    Missing,
    /// No driver supports it.
    Unknown,
    /// It adds accepted authorities to the configured ones.
    Widening,
    /// It has no effect without another parameter.
    Alone(&'static str),
    /// The key has no password here.
    KeyPassword,
    /// The file that it names does not exist, so it is read as an empty one.
    MissingFile,
}

/// Parameters of the Python drivers without any effect on this service.
const NEEDLESS: &[&str] = &[
    "autocommit",
    "binary_prefix",
    "charset",
    "client_flag",
    "compress",
    "connection_timeout",
    "local_infile",
    "max_allowed_packet",
    "named_pipe",
    "plugin",
    "program_name",
    "raise_on_warnings",
    "use_pure",
    "use_unicode",
];

/// Parameters of the Python drivers that have an effect there but not here.
const MISSING: &[&str] = &[
    "auth_plugin",
    "bind_address",
    "collation",
    "init_command",
    "read_timeout",
    "server_public_key",
    "sql_mode",
    "write_timeout",
];

/// All parameters in use, except those about TLS.
const USED: &[&str] = &[
    "connect_timeout",
    "database",
    "db",
    "host",
    "passwd",
    "password",
    "port",
    "read_default_file",
    "read_default_group",
    "unix_socket",
    "user",
];

/// TLS parameters that SQLAlchemy accepts for every driver.
const TLS: &[&str] = &["ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher", "ssl_check_hostname"];
/// Those that an option file may contain, with `-` instead of `_`.
const IN_FILES: &[&str] = &["ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher"];
/// Additional ones of PyMySQL.
const TLS_PYMYSQL: &[&str] = &["ssl_disabled", "ssl_verify_cert", "ssl_verify_identity", "ssl_key_password"];
/// Additional ones of mysqlclient.
const TLS_MYSQLCLIENT: &[&str] = &["ssl_mode"];

impl Parameter {
    /// Returns the names of all known parameters of the service or a Python driver, for suggestions.
    pub fn names() -> Vec<&'static str> {
        [USED, TLS, TLS_PYMYSQL, TLS_MYSQLCLIENT, NEEDLESS, MISSING].concat()
    }
}

/// Applies the parameters of `queries` to a URL. `has_host` says whether it contains a host.
pub(super) fn apply(
    url: &mut MySqlUrl,
    driver: &str,
    queries: &[&str],
    has_host: bool,
) -> Result<(), UrlError> {
    let given = UrlParameters::read(driver, queries)?;
    url.ignored = given.remarkable()?;
    if let Some(user) = given.text("user") {
        user.clone_into(&mut url.user);
    }
    if let Some(database) = given.text("database").or(given.text("db")) {
        database.clone_into(&mut url.database);
    }
    if let Some(password) = given.text("password").or(given.text("passwd")) {
        url.password = Some(password.to_owned());
    }
    if let Some(port) = given.text("port") {
        url.port = super::port(port)?;
    }
    url.socket = given.text("unix_socket").map(PathBuf::from);
    url.connect_timeout = given.seconds("connect_timeout")?;
    let named_host = given.text("host");
    if let Some(host) = named_host {
        host.clone_into(&mut url.host);
    }
    *url.tls = given.tls()?;
    match &given.file {
        Some(file) => file.apply(url, has_host || named_host.is_some()),
        None => Ok(()),
    }
}

/// Decoded parameters in their order, without duplicates.
struct UrlParameters {
    pairs: Vec<(String, String)>,
    /// The file of `read_default_file`. A parameter of the URL has priority.
    file: Option<OptionFile>,
}

impl UrlParameters {
    fn read(driver: &str, queries: &[&str]) -> Result<UrlParameters, UrlError> {
        let (driver, known): (_, &[&[&str]]) = match driver {
            "pymysql" => ("PyMySQL", &[TLS, TLS_PYMYSQL]),
            "mysqldb" => ("mysqlclient", &[TLS, TLS_MYSQLCLIENT]),
            // The URL has no driver, or one that freezer-api never used: all parameters are accepted.
            _ => ("MySQL", &[TLS, TLS_PYMYSQL, TLS_MYSQLCLIENT]),
        };
        let known = known.concat();
        let mut pairs: Vec<(String, String)> = Vec::new();
        let (mut unknown, mut repeated) = (Vec::new(), Vec::new());
        for pair in queries.iter().flat_map(|query| query.trim().split('&')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if value.is_empty() {
                continue;
            }
            let (name, value) = (unquote(name), unquote(value));
            let lower = name.to_ascii_lowercase();
            let about_tls = lower.contains("ssl") || lower.contains("tls");
            if about_tls && !known.contains(&name.as_str()) {
                unknown.push(name);
            } else if pairs.iter().any(|(other, _)| *other == name) {
                repeated.push(UrlError::Repeated(name));
            } else {
                pairs.push((name, value));
            }
        }
        let mut given = UrlParameters { pairs, file: None };
        given.file = OptionFile::read(given.text("read_default_file"), given.text("read_default_group"))?;
        let unknown = (!unknown.is_empty()).then(|| UrlError::UnknownTls {
            names: unknown.join(", "),
            driver,
            known: known.join(", "),
        });
        let errors = unknown.into_iter().chain(repeated).chain(given.values_about_tls());
        UrlError::all(errors.collect())?;
        Ok(given)
    }

    /// Returns all errors in the values of TLS parameters, not only the first.
    fn values_about_tls(&self) -> Vec<UrlError> {
        if matches!(self.mode(), Ok(TlsMode::Disabled)) {
            return Vec::new();
        }
        let switches = ["ssl_check_hostname", "ssl_disabled", "ssl_verify_cert", "ssl_verify_identity"];
        let switches = switches.into_iter().filter_map(|name| self.switch(name).err());
        switches.chain(self.ciphers().err()).chain(self.mode().err()).fold(Vec::new(), |mut all, error| {
            if !all.contains(&error) {
                all.push(error);
            }
            all
        })
    }

    /// Returns parameters whose effect may differ from the operator's expectation, including the options of the file.
    fn remarkable(&self) -> Result<Vec<Parameter>, UrlError> {
        let widened = self.verification()?.len() > 1;
        let names = self.pairs.iter().map(|(name, _)| name.as_str());
        let effect = |name: &str| match name {
            "ssl_key_password" => Some(Effect::KeyPassword),
            // PyMySQL, too, only uses it with a CA.
            "ssl_check_hostname" if !self.has_authorities() => Some(Effect::Alone("ssl_ca or ssl_capath")),
            "read_default_file" if self.file.as_ref().is_some_and(OptionFile::is_missing) => {
                Some(Effect::MissingFile)
            }
            "ssl_verify_cert" | "ssl_verify_identity" if widened => Some(Effect::Widening),
            _ if name.starts_with("ssl_") || USED.contains(&name) => None,
            _ if NEEDLESS.contains(&name) => Some(Effect::Needless),
            _ if MISSING.contains(&name) => Some(Effect::Missing),
            _ => Some(Effect::Unknown),
        };
        let found = names.filter_map(|name| Some(Parameter { name: name.to_owned(), effect: effect(name)? }));
        // PyMySQL, too, ignores a key without a certificate. Both can be options of the file.
        let lone_key = self.file("ssl_key").filter(|_| self.file("ssl_cert").is_none());
        let lone_key =
            lone_key.map(|key| Parameter { name: key.parameter, effect: Effect::Alone("ssl_cert") });
        Ok(found.chain(lone_key).collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn value(&self, name: &str, reason: &'static str) -> UrlError {
        let value = self.text(name).unwrap_or_default().to_owned();
        UrlError::Value { name: name.to_owned(), value, reason }
    }

    fn seconds(&self, name: &str) -> Result<Option<Duration>, UrlError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.trim().parse::<u64>() {
            // The limits of PyMySQL.
            Ok(seconds @ 1..=31_536_000) => Ok(Some(Duration::from_secs(seconds))),
            _ => Err(self.value(name, "expected a number of seconds from 1 to 31536000")),
        }
    }

    /// Parses a boolean like SQLAlchemy's `asbool`, with the words that PyMySQL adds for `ssl_verify_cert`.
    fn switch(&self, name: &str) -> Result<Option<bool>, UrlError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" | "required" | "optional" => Ok(Some(true)),
            "false" | "no" | "off" | "n" | "f" | "0" | "none" => Ok(Some(false)),
            _ => Err(self.value(name, "expected true or false")),
        }
    }

    /// Returns a TLS value and its source: the URL or the option file.
    fn tls_value(&self, name: &str) -> Option<(String, &str)> {
        let of_file = || {
            let file = self.file.as_ref()?;
            let option = name.replace('_', "-");
            Some((format!("{option} in {}", file.path().display()), file.get(&option)?))
        };
        self.text(name).map(|value| (name.to_owned(), value)).or_else(of_file)
    }

    fn file(&self, name: &str) -> Option<TlsFile> {
        self.tls_value(name).map(|(parameter, path)| TlsFile::new(&parameter, path))
    }

    fn has_authorities(&self) -> bool {
        self.tls_value("ssl_ca").or(self.tls_value("ssl_capath")).is_some()
    }

    fn tls(&self) -> Result<TlsOptions, UrlError> {
        let mode = self.mode()?;
        if mode == TlsMode::Disabled {
            return Ok(TlsOptions { mode, ..TlsOptions::default() });
        }
        Ok(TlsOptions {
            mode,
            trust: self.verification()?,
            name_parameter: match (self.text("ssl_mode"), self.switch("ssl_verify_identity")?) {
                (Some(_), _) => NameParameter::Mode,
                (None, Some(true)) => NameParameter::VerifyIdentity,
                (None, _) => NameParameter::CheckHostname,
            },
            ca: self.file("ssl_ca"),
            capath: self.file("ssl_capath"),
            // PyMySQL ignores a key without a certificate. If only a certificate is set, its file contains
            // the key.
            cert: self.file("ssl_cert"),
            key: self.file("ssl_key"),
            ciphers: self.ciphers()?,
        })
    }

    fn ciphers(&self) -> Result<Option<Vec<u16>>, UrlError> {
        let Some((name, list)) = self.tls_value("ssl_cipher") else { return Ok(None) };
        let reason = "unknown cipher";
        let unknown = || UrlError::Value { name, value: list.to_owned(), reason };
        crate::tls::tls12_ciphers(list).ok_or_else(unknown).map(Some)
    }

    fn mode(&self) -> Result<TlsMode, UrlError> {
        const MODES: &str = "expected DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY";
        if let Some(mode) = self.text("ssl_mode") {
            if let Some(name) = TLS_PYMYSQL.iter().find(|name| self.text(name).is_some()) {
                return Err(UrlError::Contradiction("ssl_mode", name));
            }
            return match mode.to_ascii_uppercase().as_str() {
                "DISABLED" => Ok(TlsMode::Disabled),
                "PREFERRED" => Ok(TlsMode::Preferred),
                "REQUIRED" | "VERIFY_CA" | "VERIFY_IDENTITY" => Ok(TlsMode::Required),
                _ => Err(self.value("ssl_mode", MODES)),
            };
        }
        let any = self.pairs.iter().any(|(name, _)| name.starts_with("ssl_") && name != "ssl_disabled")
            || IN_FILES.iter().any(|name| self.tls_value(name).is_some());
        Ok(match self.switch("ssl_disabled")? {
            Some(true) => TlsMode::Disabled,
            _ if any => TlsMode::Required,
            _ => TlsMode::Preferred,
        })
    }

    /// Returns the alternatives that a server's certificate must satisfy. If empty, nothing is verified.
    fn verification(&self) -> Result<Vec<TrustAnchor>, UrlError> {
        let named = self.has_authorities();
        let check_hostname = self.switch("ssl_check_hostname")?;
        let one = |host_name| {
            let roots = if named { Roots::Named } else { Roots::System };
            vec![TrustAnchor { roots, host_name }]
        };
        if let Some(mode) = self.text("ssl_mode") {
            return Ok(match mode.to_ascii_uppercase().as_str() {
                "VERIFY_IDENTITY" => one(true),
                "VERIFY_CA" => one(false),
                // MySQL's library verifies the chain if it has a CA, in every mode.
                _ if named => one(false),
                _ => Vec::new(),
            });
        }
        let certificate = self.switch("ssl_verify_cert")?;
        let identity = self.switch("ssl_verify_identity")?;
        Ok(match (certificate, identity) {
            (None, None) if named => one(check_hostname.unwrap_or(true)),
            (None, None) => Vec::new(),
            (Some(false), None | Some(false)) => Vec::new(),
            _ => {
                // With these parameters, PyMySQL ignores the CA and uses the system's authorities.
                // Certificates of either are accepted here.
                let host_name = identity.or(check_hostname).unwrap_or(true);
                let system = TrustAnchor { roots: Roots::System, host_name: identity == Some(true) };
                let own = named.then_some(TrustAnchor { roots: Roots::Named, host_name });
                own.into_iter().chain([system]).collect()
            }
        })
    }
}

/// Parameters of SQLAlchemy's dialect for SQLite.
const SQLITE: &[&str] =
    &["cached_statements", "check_same_thread", "detect_types", "isolation_level", "timeout", "uri"];

/// Returns a parameter of a SQLite URL with its effect.
pub(super) fn of_sqlite(name: &str) -> Parameter {
    let name = unquote(name);
    let effect = if SQLITE.contains(&name.as_str()) { Effect::Needless } else { Effect::Missing };
    Parameter { name, effect }
}

/// Rejects `uri=true`. With it, SQLite would read the path as a URI, and open another file than the service.
pub(super) fn check_sqlite_uri(query: &str) -> Result<(), UrlError> {
    let given = query.split('&').filter_map(|pair| pair.split_once('='));
    let switches = given.filter(|(name, _)| unquote(name) == "uri").map(|(_, value)| unquote(value));
    match switches.into_iter().find(|value| !is_false(value)) {
        None => Ok(()),
        Some(value) => Err(UrlError::Value {
            name: "uri".to_owned(),
            value,
            reason: "URIs of SQLite are not supported; write the path of the file without \"file:\" and without \
                     parameters, such as sqlite:////var/lib/freezer/freezer.db",
        }),
    }
}

/// Returns whether a text is empty, or one of the words of SQLAlchemy's `asbool` for false.
fn is_false(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "" | "false" | "no" | "off" | "n" | "f" | "0")
}

/// Equals Python's `unquote_plus`.
fn unquote(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
