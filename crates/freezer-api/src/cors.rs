//! Cross-origin requests of browsers: the settings of `[cors]`, and the headers of answers.
//!
//! The answers are those of oslo.middleware 8 (`cors`), including its `Vary`. tower-http's layer cannot give them: it answers
//! a preflight request with the lists of the configuration, even if the requested method is not in them.

use std::sync::Arc;

use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::api::response;

/// Headers that every request may have, as in oslo.middleware.
const SIMPLE_HEADERS: [&str; 8] = [
    "Accept",
    "Accept-Language",
    "Content-Type",
    "Cache-Control",
    "Content-Language",
    "Expires",
    "Last-Modified",
    "Pragma",
];
const ORIGIN_IN_VARY: HeaderValue = HeaderValue::from_static("Origin");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// `[cors]` with at least one origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// `allowed_origin`
    pub origins: Vec<HeaderValue>,
    /// `allow_credentials`
    pub credentials: bool,
    /// `expose_headers`, joined. `None`: no headers.
    pub exposed: Option<HeaderValue>,
    /// `max_age`. `None`: not sent.
    pub max_age: Option<HeaderValue>,
    /// `allow_methods`
    pub methods: Vec<String>,
    /// `allow_headers`
    pub headers: Vec<String>,
}

/// The changes to the answer of one request.
pub struct CorsAnswer {
    cors: Arc<Cors>,
    /// The value for `Access-Control-Allow-Origin`. `None`: the request has no origin, or its origin is not allowed.
    origin: Option<HeaderValue>,
    /// Whether the request has the method OPTIONS.
    is_options: bool,
    /// The allowed method and headers of a preflight request.
    preflight: Option<(HeaderValue, Option<HeaderValue>)>,
}

impl Cors {
    /// Returns the changes that the answer of a request needs.
    pub fn check(self: &Arc<Self>, method: &Method, headers: &HeaderMap) -> Option<CorsAnswer> {
        let is_options = method == Method::OPTIONS;
        let origin = joined(headers, &ORIGIN).and_then(|origin| self.origin(origin));
        if origin.is_none() && !is_options {
            return None;
        }
        let preflight = if is_options { self.preflight(headers) } else { None };
        Some(CorsAnswer { cors: Arc::clone(self), origin, is_options, preflight })
    }

    fn origin(&self, origin: HeaderValue) -> Option<HeaderValue> {
        if self.origins.contains(&origin) {
            return Some(origin);
        }
        self.origins.contains(&ANY).then_some(ANY)
    }

    /// Returns the method and the headers that a preflight request asks for, if all of them are allowed. Methods are compared
    /// with their case, names of headers are not.
    fn preflight(&self, headers: &HeaderMap) -> Option<(HeaderValue, Option<HeaderValue>)> {
        let method = joined(headers, &ACCESS_CONTROL_REQUEST_METHOD)?;
        if !self.methods.iter().any(|allowed| allowed.as_bytes() == method.as_bytes()) {
            return None;
        }
        let requested = joined(headers, &ACCESS_CONTROL_REQUEST_HEADERS);
        let text = requested.as_ref().map_or(Ok(""), HeaderValue::to_str).ok()?;
        let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let allowed = || self.headers.iter().map(String::as_str).chain(SIMPLE_HEADERS);
        if !names.iter().all(|name| allowed().any(|allowed| allowed.eq_ignore_ascii_case(name))) {
            return None;
        }
        let names = if names.is_empty() { None } else { HeaderValue::from_str(&names.join(",")).ok() };
        Some((method, names))
    }
}

impl CorsAnswer {
    /// Changes the answer. As in oslo.middleware, a failed OPTIONS request becomes an empty 200, because a browser reads only
    /// the headers of the answer to a preflight request. The exception is a request that breaks the rules of HTTP.
    pub fn apply(self, answer: &mut Response) {
        let CorsAnswer { cors, origin, is_options, preflight } = self;
        if is_options && !answer.status().is_success() && !response::is_malformed(answer) {
            *answer = response::options();
        }
        let Some(origin) = origin else { return };
        let headers = answer.headers_mut();
        match (is_options, preflight) {
            (false, _) => {
                headers.insert(VARY, with_origin(headers.get(VARY)));
                if let Some(exposed) = &cors.exposed {
                    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
                }
            }
            (true, None) => return,
            (true, Some((method, names))) => {
                headers.insert(VARY, ORIGIN_IN_VARY);
                headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method);
                if let Some(names) = names {
                    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
                }
                if let Some(age) = &cors.max_age {
                    headers.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
                }
            }
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if cors.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
    }
}

/// Returns the values of a header as one, as WSGI does.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_none() {
        return Some(first.clone());
    }
    let all: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&all.join(&b","[..])).ok()
}

/// Adds the origin to a `Vary` header.
fn with_origin(vary: Option<&HeaderValue>) -> HeaderValue {
    let Some(vary) = vary else { return ORIGIN_IN_VARY };
    let value = [vary.as_bytes(), b",Origin"].concat();
    HeaderValue::from_bytes(&value).unwrap_or(ORIGIN_IN_VARY)
}
