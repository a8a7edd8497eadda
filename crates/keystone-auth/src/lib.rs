//! Token validation for services of an OpenStack cloud: the job of keystonemiddleware's `auth_token`, as a library and
//! a [`tower`] layer. Lives here: the map and the public names. It knows no web framework (only the types of the
//! [`http`] crate), no configuration file and no particular service.
//!
//! | module | what it does |
//! |---|---|
//! | `settings` | what `[keystone_authtoken]` says, already read; the `WWW-Authenticate` text |
//! | `token` | what a validated token says, and how Keystone writes it |
//! | `request` | one request's headers → [`Authenticated`] or [`AuthError`]; service token rules |
//! | `layer` | the same as a tower layer: strips forged identity headers, fills the extensions |
//! | `access_rules` | which requests an application credential with access rules may make |
//! | `client` | [`KeystoneClient`]: validation, cached and coalesced |
//! | `trust` | trusts between a user and the service user |
//! | `cache` | answers about tokens: bounded, expiring, one call for many callers |
//! | `gate` | how many tokens are validated at a time |
//! | `outage` | when Keystone stops answering, and when it answers again |
//! | `own_token` | the service's own token and the identity endpoint its catalog names |
//! | `transport` | HTTP to Keystone: TLS, timeouts, retries |
//! | `error`, `secret`, `clock` | small shared types |
//!
//! A request's way: [`AuthTokenLayer`] → [`authenticate_request`] → [`KeystoneClient::validate`] → cache → Keystone.
//!
//! ```no_run
//! use http::{Request, Response, StatusCode};
//! use keystone_auth::{AuthError, AuthTokenLayer, Authenticated, KeystoneClient, Settings, system_clock};
//! use tower::{Layer, service_fn};
//!
//! let settings = Settings { auth_url: "http://controller:5000/v3".to_owned(), ..Settings::default() };
//! let client = KeystoneClient::new(&settings, system_clock())?;
//! let layer = AuthTokenLayer::new(client, |error: AuthError| {
//!     let mut answer = Response::new(String::new());
//!     *answer.status_mut() = match error.needs_authentication() {
//!         true => StatusCode::UNAUTHORIZED,
//!         false => StatusCode::SERVICE_UNAVAILABLE,
//!     };
//!     answer
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
//! Secrets: tokens, passwords and application credential secrets are never written to a log, an error or a `Debug` text;
//! the cache knows tokens only by their SHA-256.

mod access_rules;
mod cache;
mod client;
mod clock;
mod error;
mod gate;
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

pub use access_rules::AccessRule;
pub use client::KeystoneClient;
pub use clock::{Clock, system_clock};
pub use error::{AuthError, Rejection, SettingsError};
pub use layer::{AuthToken, AuthTokenLayer, remove_identity_headers};
pub use request::{Authenticated, authenticate, authenticate_request};
pub use secret::Secret;
pub use settings::{
    ApplicationCredential, PasswordCredentials, ServiceCredentials, Settings, www_authenticate,
};
pub use tls::check_tls_files;
pub use token::ValidatedToken;
pub use trust::{Found, Trust};
