//! [`RouteLayer`]: notes the route of a request in its record, and adds the policy rule of the route to the request.
//!
//! This is a layer of its own, because the framework only tells the parts inside a route which route it is.

use std::task::{Context, Poll};

use axum::extract::Request;
use tower::{Layer, Service};

use super::extract::Guard;
use super::request_record::note_route;

/// The layer of a route. `None`: an open route, which no policy rule guards.
#[derive(Clone, Copy)]
pub(super) struct RouteLayer(pub(super) Option<Guard>);

/// A handler in its [`RouteLayer`].
#[derive(Clone)]
pub(super) struct RoutedHandler<S> {
    inner: S,
    guard: Option<Guard>,
}

impl<S> Layer<S> for RouteLayer {
    type Service = RoutedHandler<S>;

    fn layer(&self, inner: S) -> RoutedHandler<S> {
        RoutedHandler { inner, guard: self.0 }
    }
}

impl<S: Service<Request>> Service<Request> for RoutedHandler<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> S::Future {
        note_route(&request);
        if let Some(guard) = self.guard {
            request.extensions_mut().insert(guard);
        }
        self.inner.call(request)
    }
}
