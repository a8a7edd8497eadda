//! Token validation for services of an OpenStack cloud: the function of keystonemiddleware's `auth_token` as a
//! library. This file contains the module map and the public names. The crate
//! depends on no web framework (only on the types of the [`http`] crate), no configuration file and no
//! particular service.
//!
//! | module | content |
//! |---|---|
//! | `settings` | the options of `[keystone_authtoken]` as values; the `WWW-Authenticate` header |
//! | `token` | the content of a validated token, and its JSON format |
//! | `request` | one request's headers → [`Authenticated`] or [`AuthError`]; service token rules |
//! | `identity_headers` | the headers that a client could forge, and their removal |
//! | `access_rules` | which requests an application credential with access rules may make |
//! | `client` | [`KeystoneClient`]: validation, cached and coalesced |
//! | `trust` | trusts between a user and the service user |
//! | `cache` | validation results: bounded, expiring, one call for concurrent callers |
//! | `validation_limit` | the number of tokens that are validated at a time |
//! | `observer` | learns about calls and look-ups, for metrics |
//! | `outage` | the start and end of an outage of Keystone |
//! | `own_token` | the service's own token and the identity endpoint of its catalog |
//! | `transport` | HTTP to Keystone: TLS, timeouts, retries |
//! | `error`, `secret`, `clock` | small shared types |
//!
//! Path of a request: [`authenticate_request`] → [`KeystoneClient::validate`] → cache → Keystone.
//!
//! ```no_run
//! use http::Request;
//! use keystone_auth::{KeystoneClient, Settings, authenticate_request, remove_identity_headers, system_clock};
//!
//! # async fn serve(mut request: Request<String>) -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings { auth_url: "http://controller:5000/v3".to_owned(), ..Settings::default() };
//! let client = KeystoneClient::new(&settings, system_clock())?;
//! remove_identity_headers(request.headers_mut());
//! let path = request.uri().path();
//! let caller = authenticate_request(&client, request.method(), path, request.headers()).await?;
//! println!("{}", caller.user.user_id);
//! # Ok(())
//! # }
//! ```
//!
//! Tokens, passwords and application credential secrets never appear in a log, an error or a `Debug` text.
//! The cache stores only the SHA-256 of a token.

mod access_rules;
mod cache;
mod client;
mod clock;
mod error;
mod identity_headers;
mod observer;
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
pub use identity_headers::remove_identity_headers;
pub use observer::{CallOutcome, KeystoneObserver};
pub use request::{Authenticated, authenticate_request};
pub use secret::Secret;
pub use settings::{
    ApplicationCredential, PasswordCredentials, ServiceCredentials, Settings, www_authenticate,
};
pub use tls::check_tls_files;
pub use token::ValidatedToken;
pub use trust::{FoundTrust, Trust};
