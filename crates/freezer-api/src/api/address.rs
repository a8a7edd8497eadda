//! The public address of the service, as the client named it: what links begin with.

use http::HeaderMap;
use http::header::{FORWARDED, HOST};

/// Returns scheme, host and prefix of the address that the client asked, without a slash at the end.
///
/// If `behind_proxy`, the headers of proxies count as in oslo.middleware's `HTTPProxyToWSGI`: the first element of
/// `Forwarded` (RFC 7239), or `X-Forwarded-Proto` and `X-Forwarded-Host` if there is none, and `X-Forwarded-Prefix` in
/// any case. If several proxies added to a header, the first one counts, which is the one that the client reached.
pub fn public_address(headers: &HeaderMap, behind_proxy: bool) -> String {
    let host = header(headers, HOST.as_str()).unwrap_or("localhost");
    if !behind_proxy {
        return format!("http://{host}");
    }
    let (proto, forwarded_host) = match header(headers, FORWARDED.as_str()) {
        Some(forwarded) => {
            let first = first_element(forwarded);
            (field(first, "proto"), field(first, "host"))
        }
        None => (header(headers, "x-forwarded-proto"), header(headers, "x-forwarded-host")),
    };
    let proto = proto.map(first_element).filter(|proto| is_scheme(proto)).unwrap_or("http");
    let host = forwarded_host.map(first_element).filter(|host| !host.is_empty()).unwrap_or(host);
    let prefix =
        header(headers, "x-forwarded-prefix").map(first_element).unwrap_or_default().trim_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    format!("{proto}://{host}{slash}{prefix}")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|value| !value.is_empty())
}

fn first_element(list: &str) -> &str {
    list.split(',').next().unwrap_or_default().trim()
}

/// A parameter of an element of `Forwarded`.
fn field<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    Some(value.trim().trim_matches('"')).filter(|value| !value.is_empty())
}

/// Source: RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::public_address;
    use http::{HeaderMap, HeaderName};

    #[test]
    fn proxies_are_believed_if_that_is_configured() {
        let address = |pairs: &[(&str, &str)], believed: bool| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs.iter().chain([&("host", "inside:9090")]) {
                headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            public_address(&headers, believed)
        };
        let old = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "cloud"),
            ("x-forwarded-prefix", "/backup/"),
        ];
        assert_eq!(address(&old, false), "http://inside:9090");
        assert_eq!(address(&old, true), "https://cloud/backup");
        assert_eq!(address(&old[..1], true), "https://inside:9090");
        assert_eq!(address(&[("x-forwarded-port", "8443")], true), "http://inside:9090");
        let several = [
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "cloud:8443, inner"),
            ("x-forwarded-prefix", "a/b"),
        ];
        assert_eq!(address(&several, true), "https://cloud:8443/a/b");
        let new = [("forwarded", "for=1.2.3.4; Proto=https;host=\"a:1\", proto=http;host=b"), old[1]];
        assert_eq!(address(&new, true), "https://a:1");
        assert_eq!(address(&[new[0], old[2]], true), "https://a:1/backup");
        assert_eq!(address(&[("forwarded", "for=1.2.3.4"), old[0]], true), "http://inside:9090");
        assert_eq!(address(&[("x-forwarded-proto", "\"><b>")], true), "http://inside:9090");
        assert_eq!(address(&[], true), "http://inside:9090");
    }
}
