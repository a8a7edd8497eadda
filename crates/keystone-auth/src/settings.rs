//! [`Settings`]: how to reach Keystone, the service's credentials, and the `WWW-Authenticate` header. The
//! caller reads the INI file. Option names and defaults are those of keystonemiddleware's
//! `[keystone_authtoken]` unless a field says otherwise.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;

use crate::secret::Secret;

/// How to reach Keystone and which tokens to accept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `auth_url`: the identity endpoint at which the service authenticates, with or without `/v3` or a slash
    /// at its end. Other calls use it too if the catalog of the service's own token contains no matching
    /// identity endpoint.
    pub auth_url: String,
    /// `www_authenticate_uri`: the public identity endpoint for clients whose token is rejected. `None`:
    /// `auth_url`.
    pub www_authenticate_uri: Option<String>,
    /// How the service authenticates itself.
    pub credentials: ServiceCredentials,
    /// `region_name`: region of the identity endpoint in the catalog. `None`: the first of any region.
    pub region_name: Option<String>,
    /// `interface`: `internal`, `public` or `admin`, the interface of the identity endpoint in the catalog.
    pub interface: String,
    /// `service_type`: this service's type in the catalog. If it is not set, tokens of application
    /// credentials that have access rules are rejected.
    pub service_type: Option<String>,
    /// `cafile`: PEM bundle, or a directory of such files. Only these authorities are trusted. `None`: those
    /// of the operating system. This file and the others are only read when a connection needs TLS.
    pub cafile: Option<PathBuf>,
    /// The source of `cafile`, for messages: the option, or an environment variable.
    pub cafile_from: &'static str,
    /// `certfile`: PEM client certificate. It must contain the key if `keyfile` is not set.
    pub certfile: Option<PathBuf>,
    /// `keyfile`: PEM key of the client certificate.
    pub keyfile: Option<PathBuf>,
    /// `insecure`: do not verify Keystone's certificate.
    pub insecure: bool,
    /// Time limit for a connection (TCP and TLS). keystonemiddleware has one option `http_connect_timeout`
    /// for both limits, without a default.
    pub connect_timeout: Duration,
    /// Time limit for a whole exchange with Keystone, including the connection.
    pub request_timeout: Duration,
    /// `http_request_max_retries`: number of retries after a failed connection. An HTTP answer with any
    /// status and a time-out are not retried, because a retry would only add load to a slow Keystone.
    pub max_retries: u32,
    /// Pause before the first retry. It doubles with each further retry, up to two seconds.
    pub retry_delay: Duration,
    /// `token_cache_time`: how long a valid token is cached, at most until it expires. `None` (−1 in the
    /// file): not cached. Zero: until the token expires.
    pub token_cache_time: Option<Duration>,
    /// How long a rejection is cached. keystonemiddleware has no such option. If `token_cache_time` is
    /// `None`, rejections are not cached.
    pub rejection_cache_time: Duration,
    /// Largest number of cached results.
    pub cache_capacity: u64,
    /// Number of tokens that are validated at a time. A quarter of it is reserved for tokens that Keystone
    /// has accepted before.
    pub max_validations: usize,
    /// `service_token_roles`: a service token must have one of these roles (see
    /// `service_token_roles_required`). Only with such a service token, an expired user token is accepted.
    pub service_token_roles: Vec<String>,
    /// `service_token_roles_required`: whether a service token without such a role makes the request fail.
    pub service_token_roles_required: bool,
    /// `User-Agent` of the calls to Keystone.
    pub user_agent: String,
}

impl Default for Settings {
    /// Returns the defaults of keystonemiddleware 13, with empty `auth_url` and `credentials`.
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

/// How the service authenticates at Keystone.
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

/// User, password and the scope of the requested token. If both an id and a name are set, the id is used.
#[derive(Debug, Clone, Default)]
pub struct PasswordCredentials {
    /// Id of the user. It needs no domain.
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

/// An application credential, by id, or by name and user.
#[derive(Debug, Clone, Default)]
pub struct ApplicationCredential {
    /// Id of the credential. Only the secret is needed in addition.
    pub id: Option<String>,
    /// Name of the credential. It needs the user.
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

/// Returns the `WWW-Authenticate` header of a response with status 401: `Keystone uri="…"`, as
/// keystonemiddleware writes it.
///
/// A URI that is not valid in a header is left out; [`crate::KeystoneClient::new`] rejects such settings.
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
