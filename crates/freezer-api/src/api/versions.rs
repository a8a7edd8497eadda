//! `GET /`: which versions of the API are served. Open to all, so that a client finds out before it logs in.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use http::header::{FORWARDED, HOST};
use serde_json::json;

use super::{middleware, response};
use crate::app::SharedApp;
use crate::error::Error;

/// Answers 300 with the document of versions; links lead back to the host that the client named.
///
/// # Errors
/// [`Error::NotAcceptable`] for a client that takes no JSON.
pub async fn show(State(app): State<SharedApp>, headers: HeaderMap) -> Result<Response, Error> {
    if !middleware::accepts_json(&headers) {
        return Err(Error::NotAcceptable);
    }
    let base = base(&headers, app.http.proxy_headers);
    response::choices(&json!({"versions": [{
        "id": "v2",
        "status": "CURRENT",
        "updated": "2018-02-21T13:30:00",
        "links": [{"href": format!("{base}/v2/"), "rel": "self"}],
    }]}))
}

/// The address that the client asked, without a slash at its end. What proxies say counts as oslo.middleware's
/// `HTTPProxyToWSGI` takes it: of `Forwarded` (RFC 7239) the first element, and `X-Forwarded-*` only without it.
fn base(headers: &HeaderMap, behind_proxy: bool) -> String {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|v| !v.is_empty());
    let host = header(HOST.as_str()).unwrap_or("localhost");
    if !behind_proxy {
        return format!("http://{host}");
    }
    let (proto, forwarded_host) = match header(FORWARDED.as_str()) {
        Some(forwarded) => {
            let first = forwarded.split(',').next().unwrap_or_default();
            let field = |name: &str| {
                let mut pairs = first.split(';').filter_map(|pair| pair.split_once('='));
                let found = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.trim().trim_matches('"')).filter(|value| !value.is_empty())
            };
            (field("proto"), field("host"))
        }
        None => (header("x-forwarded-proto"), header("x-forwarded-host")),
    };
    let prefix = header("x-forwarded-prefix").unwrap_or_default().trim_end_matches('/');
    format!("{}://{}{prefix}", proto.unwrap_or("http"), forwarded_host.unwrap_or(host))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::base;
    use http::{HeaderMap, HeaderName};

    #[test]
    fn proxies_are_believed_where_that_is_configured() {
        let address = |pairs: &[(&str, &str)], believed: bool| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs.iter().chain([&("host", "inside:9090")]) {
                headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            base(&headers, believed)
        };
        let old = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "cloud"),
            ("x-forwarded-prefix", "/backup/"),
        ];
        assert_eq!(address(&old, false), "http://inside:9090");
        assert_eq!(address(&old, true), "https://cloud/backup");
        assert_eq!(address(&old[..1], true), "https://inside:9090");
        let new = [("forwarded", "for=1.2.3.4; Proto=https;host=\"a:1\", proto=http;host=b"), old[1]];
        assert_eq!(address(&new, true), "https://a:1");
        assert_eq!(address(&[], true), "http://inside:9090");
    }
}
