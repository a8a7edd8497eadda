//! Authentication: two ways to build a [`RequestContext`], one of them chosen in the configuration.
//!
//! - `keystone.rs`: a token, validated at Keystone (`auth_strategy = keystone`, the default).
//! - `noauth.rs`: the identity headers as they are (`auth_strategy = noauth`), on loopback only.
//!
//! What the caller then may do is `policy/`.

mod keystone;
pub(crate) mod noauth;

use axum::extract::Request;
use http::HeaderValue;
use keystone_auth::KeystoneClient;

use crate::context::RequestContext;
use crate::error::Error;

/// How callers are known.
pub enum Authentication {
    /// `auth_strategy = keystone`.
    Keystone(Box<KeystoneClient>),
    /// `auth_strategy = noauth`: names of this service beside those of the loopback interface.
    NoAuth(Vec<String>),
}

impl Authentication {
    /// Who is calling. Identity headers that nobody vouches for are taken off the request.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] and [`Error::KeystoneUnavailable`].
    pub async fn context(&self, request: &mut Request) -> Result<RequestContext, Error> {
        match self {
            // boxed: it is a hundred times as large as all the rest of a request's state, which is moved more than once
            Authentication::Keystone(client) => Box::pin(keystone::context(client, request)).await,
            Authentication::NoAuth(names) => noauth::context(request, names),
        }
    }

    /// Where tokens are to be had: the value of `WWW-Authenticate` in a 401.
    pub fn challenge(&self) -> Option<&HeaderValue> {
        match self {
            Authentication::Keystone(client) => Some(client.www_authenticate()),
            Authentication::NoAuth(_) => None,
        }
    }
}
