//! Authentication: builds a [`RequestContext`] in one of two ways. The configuration selects one of them.
//!
//! - `keystone.rs`: Keystone validates a token (`auth_strategy = keystone`, the default).
//! - `noauth.rs`: the identity headers are trusted (`auth_strategy = noauth`), on loopback only.
//!
//! The rules in `policy/` then decide whether the caller may do this.

mod keystone;
pub(crate) mod noauth;

use std::time::Duration;

use axum::extract::Request;
use http::HeaderValue;
use keystone_auth::KeystoneClient;

use crate::context::RequestContext;
use crate::error::Error;

/// Authenticates callers.
pub enum Authenticator {
    /// `auth_strategy = keystone`.
    Keystone(Box<KeystoneClient>),
    /// `auth_strategy = noauth`, with the host names of this service in addition to those of the loopback interface.
    NoAuth(Vec<String>),
}

impl Authenticator {
    /// Authenticates the caller, within this time. Untrusted identity headers are removed from the request.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] and [`Error::KeystoneUnavailable`].
    pub async fn context(&self, request: &mut Request, limit: Duration) -> Result<RequestContext, Error> {
        match self {
            // This future is about a hundred times as large as the rest of a request's state, which is moved several
            // times. Therefore it must be boxed.
            Authenticator::Keystone(client) => Box::pin(keystone::context(client, request, limit)).await,
            Authenticator::NoAuth(names) => noauth::context(request, names),
        }
    }

    /// Returns the value of `WWW-Authenticate` in a 401, which tells clients the address of Keystone.
    pub fn challenge(&self) -> Option<&HeaderValue> {
        match self {
            Authenticator::Keystone(client) => Some(client.www_authenticate()),
            Authenticator::NoAuth(_) => None,
        }
    }
}
