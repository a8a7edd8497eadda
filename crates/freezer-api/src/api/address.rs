//! The public address of the service, with which links begin, and the syntax of hosts.

use http::HeaderMap;
use http::header::{FORWARDED, HOST};

/// Returns scheme, host and prefix of the address that the client used, without a slash at the end.
///
/// If `behind_proxy` is true, headers of proxies are used as in oslo.middleware's `HTTPProxyToWSGI`: the first element of
/// `Forwarded` (RFC 7239), or `X-Forwarded-Proto` and `X-Forwarded-Host` if this header is absent, and `X-Forwarded-Prefix`
/// in both cases. If several proxies added a value to a header, the first value is used, because it comes from the proxy
/// that the client reached. A value that is not a valid scheme, host or path is ignored.
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
    let proto = proto.map(first_element).and_then(scheme).unwrap_or("http");
    let forwarded_host = forwarded_host.map(first_element).filter(|host| !host.is_empty());
    let host = forwarded_host.filter(|host| is_host(host.as_bytes())).unwrap_or(host);
    let prefix = header(headers, "x-forwarded-prefix").map(first_element).filter(|prefix| is_path(prefix));
    let prefix = prefix.unwrap_or_default().trim_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    format!("{proto}://{host}{slash}{prefix}")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|value| !value.is_empty())
}

fn first_element(list: &str) -> &str {
    list.split(',').next().unwrap_or_default().trim()
}

/// Returns a parameter of an element of `Forwarded`.
fn field<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    Some(value.trim().trim_matches('"')).filter(|value| !value.is_empty())
}

/// Returns the scheme if it is `http` or `https`.
fn scheme(text: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme))
}

/// Returns whether a text has only characters that a path may have (RFC 3986, section 3.3).
fn is_path(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:@/".contains(&byte))
}

/// Returns whether a value has the form `uri-host [":" port]`. An empty value is valid, but a list is not.
pub fn is_host(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let (name, rest) = if value.starts_with(b"[") {
        let Some(end) = memchr::memchr(b']', value) else { return false };
        let (address, rest) = value.split_at(end + 1);
        let text = address.get(1..end).and_then(|text| std::str::from_utf8(text).ok());
        if text.is_none_or(|text| text.parse::<std::net::Ipv6Addr>().is_err()) {
            return false;
        }
        (&[][..], rest)
    } else {
        value.split_at(memchr::memchr(b':', value).unwrap_or(value.len()))
    };
    let port = match rest {
        [] => true,
        [b':', port @ ..] => {
            port.iter().all(u8::is_ascii_digit)
                && (port.is_empty()
                    || std::str::from_utf8(port).is_ok_and(|port| port.parse::<u16>().is_ok()))
        }
        _ => false,
    };
    // RFC 3986, section 3.2.2, without the comma, because proxies use it to join two headers
    port && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{is_host, public_address};
    use http::{HeaderMap, HeaderName};

    #[test]
    fn headers_of_proxies_are_used_if_this_is_configured() {
        let address = |pairs: &[(&str, &str)], behind_proxy: bool| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs.iter().chain([&("host", "inside:9090")]) {
                headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            public_address(&headers, behind_proxy)
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

    #[test]
    fn headers_of_proxies_are_checked() {
        let address = |pairs: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs.iter().chain([&("host", "inside:9090")]) {
                headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            public_address(&headers, true)
        };
        for proto in
            ["javascript", "ftp", "file", "httpx", "http:", "ht tp", "https://evil", "data", "http\"", ""]
        {
            assert_eq!(address(&[("x-forwarded-proto", proto)]), "http://inside:9090", "{proto}");
            let forwarded = format!("proto=\"{proto}\"");
            assert_eq!(address(&[("forwarded", &forwarded)]), "http://inside:9090", "{proto}");
        }
        for proto in ["https", "HTTPS", "Https"] {
            assert_eq!(address(&[("x-forwarded-proto", proto)]), "https://inside:9090");
        }
        for host in [
            "evil/path",
            "user@evil",
            "evil\"><b>",
            "a b",
            "evil?x",
            "evil#",
            "evil:port",
            "evil:99999",
            "[::1",
            "http://evil",
            "\\evil",
            "",
        ] {
            assert_eq!(address(&[("x-forwarded-host", host)]), "http://inside:9090", "{host}");
            let forwarded = format!("host=\"{host}\";proto=https");
            assert_eq!(address(&[("forwarded", &forwarded)]), "https://inside:9090", "{host}");
        }
        for host in ["cloud", "cloud:443", "[::1]:8443", "192.0.2.1"] {
            assert_eq!(address(&[("x-forwarded-host", host)]), format!("http://{host}"));
            assert_eq!(address(&[("forwarded", &format!("host=\"{host}\""))]), format!("http://{host}"));
        }
        for prefix in ["a b", "\"><b>", "x?y", "x#y", "a\\b"] {
            assert_eq!(address(&[("x-forwarded-prefix", prefix)]), "http://inside:9090", "{prefix}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for host in [
            "",
            "f",
            "freezer_api:9090",
            "a.b.example.",
            "127.0.0.1:9090",
            "[::1]",
            "[fe80::1]:443",
            "h:",
            "x--1%41",
            " f ",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "a b", "a,b", "a, b", "user@h", "http://h", "h/", "h?x", "h#x", "h:port", "h:-1", "h:65536",
            "h:1:2", "::1", "[::1", "[::1]x", "[x]:1", "\u{e4}", "a\\b", "<h>", "\"h\"",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
