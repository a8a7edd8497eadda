//! Authentication as a tower layer: [`AuthTokenLayer`] and the list of identity headers. The service decides
//! statuses and bodies of its responses, with a function from [`AuthError`] to a response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use tower::{Layer, Service};

use crate::client::KeystoneClient;
use crate::error::AuthError;
use crate::request::authenticate_request;

/// The headers in which keystonemiddleware passes the caller's identity to a Python service. This crate
/// ignores them. They are removed from requests, because a handler or a service behind this one could trust
/// them.
const IDENTITY_HEADERS: [HeaderName; 32] = [
    HeaderName::from_static("openstack-system-scope"),
    HeaderName::from_static("x-domain-id"),
    HeaderName::from_static("x-domain-name"),
    HeaderName::from_static("x-identity-status"),
    HeaderName::from_static("x-is-admin-project"),
    HeaderName::from_static("x-project-domain-id"),
    HeaderName::from_static("x-project-domain-name"),
    HeaderName::from_static("x-project-id"),
    HeaderName::from_static("x-project-name"),
    HeaderName::from_static("x-role"),
    HeaderName::from_static("x-roles"),
    HeaderName::from_static("x-service-catalog"),
    HeaderName::from_static("x-service-domain-id"),
    HeaderName::from_static("x-service-domain-name"),
    HeaderName::from_static("x-service-identity-status"),
    HeaderName::from_static("x-service-project-domain-id"),
    HeaderName::from_static("x-service-project-domain-name"),
    HeaderName::from_static("x-service-project-id"),
    HeaderName::from_static("x-service-project-name"),
    HeaderName::from_static("x-service-roles"),
    HeaderName::from_static("x-service-user-domain-id"),
    HeaderName::from_static("x-service-user-domain-name"),
    HeaderName::from_static("x-service-user-id"),
    HeaderName::from_static("x-service-user-name"),
    HeaderName::from_static("x-tenant"),
    HeaderName::from_static("x-tenant-id"),
    HeaderName::from_static("x-tenant-name"),
    HeaderName::from_static("x-user"),
    HeaderName::from_static("x-user-domain-id"),
    HeaderName::from_static("x-user-domain-name"),
    HeaderName::from_static("x-user-id"),
    HeaderName::from_static("x-user-name"),
];

/// Removes every header that keystonemiddleware would set. Token headers stay.
pub fn remove_identity_headers(headers: &mut HeaderMap) {
    for name in &IDENTITY_HEADERS {
        headers.remove(name);
    }
}

/// Wraps a service so that it receives only authenticated requests, with [`crate::Authenticated`] in their
/// extensions.
///
/// Access rules apply to the whole path, so this layer must be outside of any layer that shortens the path. A
/// response with status 401 gets a `WWW-Authenticate` header unless it has one.
pub struct AuthTokenLayer<F> {
    client: KeystoneClient,
    refuse: Arc<F>,
}

impl<F> AuthTokenLayer<F> {
    /// Creates the layer. `refuse` turns an error into the response for the client: see
    /// [`AuthError::needs_authentication`].
    pub fn new(client: KeystoneClient, refuse: F) -> Self {
        Self { client, refuse: Arc::new(refuse) }
    }
}

impl<F> Clone for AuthTokenLayer<F> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), refuse: Arc::clone(&self.refuse) }
    }
}

impl<S, F> Layer<S> for AuthTokenLayer<F> {
    type Service = AuthToken<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthToken { inner, layer: self.clone() }
    }
}

/// The service that [`AuthTokenLayer`] creates.
pub struct AuthToken<S, F> {
    inner: S,
    layer: AuthTokenLayer<F>,
}

impl<S: Clone, F> Clone for AuthToken<S, F> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S, F, Body, Answer> Service<Request<Body>> for AuthToken<S, F>
where
    S: Service<Request<Body>, Response = Response<Answer>> + Clone + Send + 'static,
    S::Future: Send,
    F: Fn(AuthError) -> Response<Answer> + Send + Sync + 'static,
    Body: Send + 'static,
{
    type Response = Response<Answer>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // tower requires that the service that was polled ready is the one that is called.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let layer = self.layer.clone();
        Box::pin(async move {
            // The body need not be `Sync`, so it must not be borrowed over an await.
            let (mut parts, body) = request.into_parts();
            remove_identity_headers(&mut parts.headers);
            let result =
                authenticate_request(&layer.client, &parts.method, parts.uri.path(), &parts.headers).await;
            let mut response = match result {
                Ok(authenticated) => {
                    parts.extensions.insert(authenticated);
                    inner.call(Request::from_parts(parts, body)).await?
                }
                Err(error) => (layer.refuse)(error),
            };
            announce(response.status(), response.headers_mut(), layer.client.www_authenticate());
            Ok(response)
        })
    }
}

fn announce(status: StatusCode, headers: &mut HeaderMap, value: &HeaderValue) {
    if status == StatusCode::UNAUTHORIZED && !headers.contains_key(WWW_AUTHENTICATE) {
        headers.insert(WWW_AUTHENTICATE, value.clone());
    }
}
