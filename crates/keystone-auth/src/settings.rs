//! What the operator says about Keystone, already read. Lives here: [`Settings`], the service's credentials and the
//! `WWW-Authenticate` text. Reading an INI file is the caller's job; option names and defaults are those of
//! keystonemiddleware's `[keystone_authtoken]` unless a field says otherwise.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;

use crate::secret::Secret;

/// How to reach Keystone and which tokens to accept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `auth_url`: the identity endpoint at which the service authenticates itself, with or without `/v3` or a slash at
    /// its end. Used for everything when the catalog of the service's own token names no matching identity endpoint.
    pub auth_url: String,
    /// `www_authenticate_uri`: the public identity endpoint that a refused client is told. `None`: `auth_url`.
    pub www_authenticate_uri: Option<String>,
    /// How the service authenticates itself.
    pub credentials: ServiceCredentials,
    /// `region_name`: region of the identity endpoint in the catalog. `None`: the first of any region.
    pub region_name: Option<String>,
    /// `interface`: `internal`, `public` or `admin`; which identity endpoint of the catalog to use.
    pub interface: String,
    /// `service_type`: this service's type in the catalog. Without it, tokens of application credentials that have
    /// access rules are refused.
    pub service_type: Option<String>,
    /// `cafile`: PEM bundle, or a directory of such files. Only these authorities are trusted. `None`: those of the
    /// operating system. This and the other files are read only when a connection needs TLS.
    pub cafile: Option<PathBuf>,
    /// What names `cafile`, for messages: the option, or a variable of the environment.
    pub cafile_from: &'static str,
    /// `certfile`: PEM client certificate (with the key in it when `keyfile` is not set).
    pub certfile: Option<PathBuf>,
    /// `keyfile`: PEM key of the client certificate.
    pub keyfile: Option<PathBuf>,
    /// `insecure`: do not verify Keystone's certificate.
    pub insecure: bool,
    /// Time limit for a connection (TCP and TLS). keystonemiddleware has one `http_connect_timeout` for both limits,
    /// and none by default.
    pub connect_timeout: Duration,
    /// Time limit for one whole exchange with Keystone, connection included.
    pub request_timeout: Duration,
    /// `http_request_max_retries`: how often a call is made again after the connection failed. An HTTP answer, whatever
    /// its status, and a time-out are not retried: a slow Keystone would only get more work.
    pub max_retries: u32,
    /// Pause before the first retry; doubles with each further one, up to two seconds.
    pub retry_delay: Duration,
    /// `token_cache_time`: how long Keystone's word about a valid token is believed, at most until the token expires.
    /// `None` (−1 in the file): ask each time. Zero: until the token expires.
    pub token_cache_time: Option<Duration>,
    /// How long a refusal by Keystone is believed. Of this crate's own making; no refusal is kept when
    /// `token_cache_time` is `None`.
    pub rejection_cache_time: Duration,
    /// How many answers are kept at most.
    pub cache_capacity: u64,
    /// Tokens that are validated at a time. A quarter of these places is kept for tokens that Keystone has vouched for before.
    pub max_validations: usize,
    /// `service_token_roles`: a service token must carry one of them (see `service_token_roles_required`); only then an
    /// expired user token is accepted beside it.
    pub service_token_roles: Vec<String>,
    /// `service_token_roles_required`: whether a service token without such a role makes the request fail.
    pub service_token_roles_required: bool,
    /// `User-Agent` of the calls to Keystone.
    pub user_agent: String,
}

impl Default for Settings {
    /// keystonemiddleware 13's defaults, with `auth_url` and `credentials` empty.
    fn default() -> Self {
        Self {
            auth_url: String::new(),
            www_authenticate_uri: None,
            credentials: ServiceCredentials::default(),
            region_name: None,
            interface: "internal".to_owned(),
            service_type: None,
            cafile: None,
            cafile_from: "cafile",
            certfile: None,
            keyfile: None,
            insecure: false,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_retries: 3,
            retry_delay: Duration::from_millis(100),
            token_cache_time: Some(Duration::from_secs(300)),
            rejection_cache_time: Duration::from_secs(5),
            cache_capacity: 10_000,
            max_validations: 64,
            service_token_roles: vec!["service".to_owned()],
            service_token_roles_required: true,
            user_agent: concat!("keystone-auth/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// How the service authenticates itself at Keystone.
#[derive(Debug, Clone)]
pub enum ServiceCredentials {
    /// `auth_type = password` (or `v3password`).
    Password(PasswordCredentials),
    /// `auth_type = v3applicationcredential`.
    ApplicationCredential(ApplicationCredential),
}

impl Default for ServiceCredentials {
    fn default() -> Self {
        Self::Password(PasswordCredentials::default())
    }
}

/// User, password and the scope of the token to ask for. Of each pair of id and name, the id wins.
#[derive(Debug, Clone, Default)]
pub struct PasswordCredentials {
    /// Id of the user; needs no domain.
    pub user_id: Option<String>,
    /// Name of the user.
    pub username: Option<String>,
    /// Id of the user's domain.
    pub user_domain_id: Option<String>,
    /// Name of the user's domain.
    pub user_domain_name: Option<String>,
    /// The password.
    pub password: Secret,
    /// Scope: id of the project.
    pub project_id: Option<String>,
    /// Scope: name of the project.
    pub project_name: Option<String>,
    /// Id of the project's domain.
    pub project_domain_id: Option<String>,
    /// Name of the project's domain.
    pub project_domain_name: Option<String>,
    /// Scope: id of a domain, instead of a project.
    pub domain_id: Option<String>,
    /// Scope: name of a domain, instead of a project.
    pub domain_name: Option<String>,
    /// Scope: the whole system (`system_scope = all`), instead of a project.
    pub system_scope: bool,
}

/// An application credential, by id, or by name and its user.
#[derive(Debug, Clone, Default)]
pub struct ApplicationCredential {
    /// Id of the credential; needs nothing else but the secret.
    pub id: Option<String>,
    /// Name of the credential; needs the user.
    pub name: Option<String>,
    /// The secret.
    pub secret: Secret,
    /// Id of the user.
    pub user_id: Option<String>,
    /// Name of the user.
    pub username: Option<String>,
    /// Id of the user's domain.
    pub user_domain_id: Option<String>,
    /// Name of the user's domain.
    pub user_domain_name: Option<String>,
}

/// Value of the `WWW-Authenticate` header of a 401 answer: `Keystone uri="…"`, as keystonemiddleware writes it.
///
/// A URI that no header may carry is left out; [`crate::KeystoneClient::new`] refuses such settings.
#[must_use]
pub fn www_authenticate(settings: &Settings) -> HeaderValue {
    let uri =
        settings.www_authenticate_uri.as_deref().filter(|uri| !uri.is_empty()).unwrap_or(&settings.auth_url);
    HeaderValue::from_str(&format!("Keystone uri=\"{uri}\"")).unwrap_or(HeaderValue::from_static("Keystone"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn www_authenticate_names_the_public_endpoint_or_the_auth_url() {
        let mut settings = Settings { auth_url: "http://internal:5000/v3".to_owned(), ..Settings::default() };
        assert_eq!(www_authenticate(&settings), "Keystone uri=\"http://internal:5000/v3\"");
        settings.www_authenticate_uri = Some("https://cloud.example/identity".to_owned());
        assert_eq!(www_authenticate(&settings), "Keystone uri=\"https://cloud.example/identity\"");
        settings.www_authenticate_uri = Some(String::new());
        assert_eq!(www_authenticate(&settings), "Keystone uri=\"http://internal:5000/v3\"");
    }

    #[test]
    fn defaults_are_those_of_keystonemiddleware() {
        let settings = Settings::default();
        assert_eq!(settings.interface, "internal");
        assert_eq!(settings.max_retries, 3);
        assert_eq!(settings.token_cache_time, Some(Duration::from_secs(300)));
        assert_eq!(settings.service_token_roles, ["service"]);
        assert!(settings.service_token_roles_required);
        assert!(!settings.insecure);
    }

    #[test]
    fn debug_text_holds_no_password() {
        let settings = Settings {
            credentials: ServiceCredentials::Password(PasswordCredentials {
                password: "hunter2".into(),
                ..PasswordCredentials::default()
            }),
            ..Settings::default()
        };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
