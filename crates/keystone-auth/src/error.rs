//! What can go wrong, in words for a log. Lives here: the error types. Which HTTP status each becomes is the service's
//! choice; [`AuthError::needs_authentication`] tells the 401 of keystonemiddleware from its 503.

use std::path::PathBuf;

use http::StatusCode;

/// Why a request could not be authenticated, or why an operation at Keystone failed.
///
/// `Clone`, because one call to Keystone can answer many waiting requests.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// No token came with the request (or an empty one). keystonemiddleware answers 401.
    #[error("the request has no token: send one in the X-Auth-Token header")]
    Missing,
    /// A token came and was refused. keystonemiddleware answers 401.
    #[error("the token is not accepted: {0}")]
    Invalid(Rejection),
    /// Keystone could not be asked, or gave no usable answer. keystonemiddleware answers 503. Never cached.
    #[error("Keystone is not available to {operation}: {reason}")]
    Unavailable {
        /// What was being done, as a phrase ("validate a token").
        operation: &'static str,
        /// What was seen on the way there; holds no token and no password.
        reason: String,
    },
    /// Keystone understood an operation on a trust and refused it: 403 (not allowed), 404 (no such trust, role or
    /// project), 409 and the like.
    #[error("Keystone refused to {operation}: {status}: {message}")]
    Refused {
        /// What was being done, as a phrase ("create a trust").
        operation: &'static str,
        /// Keystone's status, always a client error other than 401.
        status: StatusCode,
        /// Keystone's own message, shortened.
        message: String,
    },
}

impl AuthError {
    /// Whether the caller should authenticate again (401 and a `WWW-Authenticate` header).
    #[must_use]
    pub const fn needs_authentication(&self) -> bool {
        matches!(self, Self::Missing | Self::Invalid(_))
    }

    /// Whether Keystone knows who asked, and does not allow it to them.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::FORBIDDEN)
    }
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Keystone does not vouch for it (404): unknown, revoked, expired, or its user lost every role in its scope.
    #[error("Keystone does not know it, or it was revoked or has expired")]
    Unknown,
    /// Its `expires_at` has passed.
    #[error("it has expired")]
    Expired,
    /// It cannot be a token: too long, characters that no token has, or two different tokens in one request.
    #[error("it is malformed or longer than 16 KiB, or the request carries more than one")]
    Malformed,
    /// It is bound to a Kerberos principal, which cannot be checked here.
    #[error("it is bound to a Kerberos identity, which this service cannot check")]
    Bound,
    /// It comes from an application credential whose access rules do not allow this request.
    #[error("the access rules of its application credential do not allow this request")]
    AccessRules,
    /// The `X-Service-Token` was refused by Keystone.
    #[error("the service token in X-Service-Token is not valid")]
    ServiceToken,
    /// The `X-Service-Token` is valid but carries none of `service_token_roles`.
    #[error("the service token in X-Service-Token has none of the roles in service_token_roles")]
    ServiceTokenRole,
}

/// Why the settings cannot be used. All of them stop the start of a service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A URL option cannot be used.
    #[error("{option} = {value:?} is not usable: {reason}; give an http:// or https:// URL")]
    Url {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key file cannot be used.
    #[error("{option} = {path:?} is not usable: {reason}")]
    File {
        /// Name of the option.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An HTTPS endpoint, and no authority that could have signed its certificate.
    #[error(
        "{url} is HTTPS, and this system has no CA certificates to verify it with: install them (package \
         ca-certificates), or set cafile or the environment variable REQUESTS_CA_BUNDLE to a PEM file"
    )]
    NoAuthorities {
        /// The endpoint.
        url: String,
    },
    /// The credentials are incomplete or contradict each other.
    #[error("the service's credentials are not usable: {0}")]
    Credentials(&'static str),
    /// The HTTP client could not be built.
    #[error("the HTTP client for Keystone could not be built: {0}")]
    Client(String),
}
