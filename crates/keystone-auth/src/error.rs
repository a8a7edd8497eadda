//! The error types. The service decides which HTTP status an error becomes;
//! [`AuthError::needs_authentication`] separates the 401 of keystonemiddleware from its 503.

use std::path::PathBuf;

use http::StatusCode;

/// The reason why a request is not authenticated, or why an operation at Keystone failed.
///
/// This type is `Clone`, because one call to Keystone can answer many waiting requests.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// The request has no token, or an empty one. keystonemiddleware answers 401.
    #[error("the request has no token: send one in the X-Auth-Token header")]
    Missing,
    /// The token was rejected. keystonemiddleware answers 401.
    #[error("the token is not accepted: {0}")]
    Invalid(Rejection),
    /// Keystone could not be asked, or gave no usable answer. keystonemiddleware answers 503. This error is
    /// never cached.
    #[error("Keystone is not available to {operation}: {reason}")]
    Unavailable {
        /// The operation, as a phrase ("validate a token").
        operation: &'static str,
        /// The cause. It contains no token and no password.
        reason: String,
    },
    /// Keystone refused an operation on a trust: 403 (not allowed), 404 (no such trust, role or project), 409
    /// and similar.
    #[error("Keystone refused to {operation}: {status}: {message}")]
    Refused {
        /// The operation, as a phrase ("create a trust").
        operation: &'static str,
        /// Keystone's status, always a client error other than 401.
        status: StatusCode,
        /// Keystone's own message, shortened.
        message: String,
    },
}

impl AuthError {
    /// Returns whether the caller should authenticate again (401 and a `WWW-Authenticate` header).
    #[must_use]
    pub const fn needs_authentication(&self) -> bool {
        matches!(self, Self::Missing | Self::Invalid(_))
    }

    /// Returns whether Keystone identified the caller, but does not allow the operation.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::FORBIDDEN)
    }
}

/// The reason why a token was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Keystone answered 404: the token is unknown or revoked, has expired, or its user lost every role in
    /// its scope.
    #[error("it is unknown to Keystone, or it was revoked or has expired")]
    Unknown,
    /// The time `expires_at` has passed.
    #[error("it has expired")]
    Expired,
    /// This cannot be a token: it is too long, contains invalid characters, or the request has two different
    /// tokens.
    #[error("it is malformed or longer than 16 KiB, or the request has more than one token")]
    Malformed,
    /// The token is bound to a Kerberos principal, which cannot be checked here.
    #[error("it is bound to a Kerberos identity, which this service cannot check")]
    Bound,
    /// The token comes from an application credential whose access rules do not allow this request.
    #[error("the access rules of its application credential do not allow this request")]
    AccessRules,
    /// Keystone rejected the `X-Service-Token`.
    #[error("the service token in X-Service-Token is not valid")]
    ServiceToken,
    /// The `X-Service-Token` is valid but has none of `service_token_roles`.
    #[error("the service token in X-Service-Token has none of the roles in service_token_roles")]
    ServiceTokenRole,
}

/// The reason why the settings are unusable. Each of these errors prevents the start of a service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A URL option is unusable.
    #[error("{option} = {value:?} is not usable: {reason}; give an http:// or https:// URL")]
    Url {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        value: String,
        /// The problem with the value.
        reason: String,
    },
    /// A certificate or key file is unusable.
    #[error("{option} = {path:?} is not usable: {reason}")]
    File {
        /// Name of the option.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// The problem with the file.
        reason: String,
    },
    /// The endpoint uses HTTPS, but the system has no CA certificates.
    #[error(
        "{url} is HTTPS, and this system has no CA certificates to verify it with: install them (package \
         ca-certificates), or set cafile or the environment variable REQUESTS_CA_BUNDLE to a PEM file"
    )]
    NoAuthorities {
        /// The endpoint.
        url: String,
    },
    /// The credentials are incomplete or contradict each other.
    #[error("{option}: the service's credentials are not usable: {reason}")]
    Credentials {
        /// Name of an option that is wrong or missing.
        option: &'static str,
        /// The problem with its solution.
        reason: &'static str,
    },
    /// The HTTP client could not be built.
    #[error("the HTTP client for Keystone could not be built: {0}")]
    Client(String),
}

impl SettingsError {
    /// Returns the name of the wrong option, which the text begins with, or that of the environment variable. `None` if there
    /// is none.
    #[must_use]
    pub const fn option(&self) -> Option<&'static str> {
        match self {
            Self::Url { option, .. } | Self::File { option, .. } | Self::Credentials { option, .. } => {
                Some(option)
            }
            Self::NoAuthorities { .. } | Self::Client(_) => None,
        }
    }
}
