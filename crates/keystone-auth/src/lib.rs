//! Token validation for services of an OpenStack cloud: a library and a [`tower`] layer with the function of
//! keystonemiddleware's `auth_token`. This file contains the module map and the public names. The crate
//! depends on no web framework (only on the types of the [`http`] crate), no configuration file and no
//! particular service.
//!
//! | module | content |
//! |---|---|
//! | `settings` | the options of `[keystone_authtoken]` as values; the `WWW-Authenticate` header |
//! | `token` | the content of a validated token, and its JSON format |
//! | `request` | one request's headers → [`Authenticated`] or [`AuthError`]; service token rules |
//! | `layer` | the same as a tower layer: removes forged identity headers, fills the extensions |
//! | `access_rules` | which requests an application credential with access rules may make |
//! | `client` | [`KeystoneClient`]: validation, cached and coalesced |
//! | `trust` | trusts between a user and the service user |
//! | `cache` | validation results: bounded, expiring, one call for concurrent callers |
//! | `validation_limit` | the number of tokens that are validated at a time |
//! | `outage` | the start and end of an outage of Keystone |
//! | `own_token` | the service's own token and the identity endpoint of its catalog |
//! | `transport` | HTTP to Keystone: TLS, timeouts, retries |
//! | `error`, `secret`, `clock` | small shared types |
//!
//! Path of a request: [`AuthTokenLayer`] → [`authenticate_request`] → [`KeystoneClient::validate`] → cache →
//! Keystone.
//!
//! ```no_run
//! use http::{Request, Response, StatusCode};
//! use keystone_auth::{AuthError, AuthTokenLayer, Authenticated, KeystoneClient, Settings, system_clock};
//! use tower::{Layer, service_fn};
//!
//! let settings = Settings { auth_url: "http://controller:5000/v3".to_owned(), ..Settings::default() };
//! let client = KeystoneClient::new(&settings, system_clock())?;
//! let layer = AuthTokenLayer::new(client, |error: AuthError| {
//!     let mut response = Response::new(String::new());
//!     *response.status_mut() = match error.needs_authentication() {
//!         true => StatusCode::UNAUTHORIZED,
//!         false => StatusCode::SERVICE_UNAVAILABLE,
//!     };
//!     response
//! });
//! let service = layer.layer(service_fn(|request: Request<String>| async move {
//!     let caller = request.extensions().get::<Authenticated>().map(|caller| caller.user.user_id.clone());
//!     Ok::<_, std::convert::Infallible>(Response::new(caller.unwrap_or_default()))
//! }));
//! # fn serve(_: impl tower::Service<Request<String>>) {}
//! # serve(service);
//! # Ok::<_, keystone_auth::SettingsError>(())
//! ```
//!
//! Tokens, passwords and application credential secrets never appear in a log, an error or a `Debug` text.
//! The cache stores only the SHA-256 of a token.

mod access_rules;
mod cache;
mod client;
mod clock;
mod error;

mod layer;
mod outage;
mod own_token;
mod request;
mod secret;
mod settings;
mod tls;
mod token;
mod transport;
mod trust;
mod validation_limit;

pub use access_rules::AccessRule;
pub use client::KeystoneClient;
pub use clock::{UnixClock, system_clock};
pub use error::{AuthError, Rejection, SettingsError};
pub use layer::{AuthToken, AuthTokenLayer, remove_identity_headers};
pub use request::{Authenticated, authenticate, authenticate_request};
pub use secret::Secret;
pub use settings::{
    ApplicationCredential, PasswordCredentials, ServiceCredentials, Settings, www_authenticate,
};
pub use tls::check_tls_files;
pub use token::ValidatedToken;
pub use trust::{FoundTrust, Trust};
