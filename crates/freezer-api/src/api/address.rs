//! The public address of the service, with which links begin, the address of the client, and the syntax of hosts.

use std::collections::HashMap;
use std::net::IpAddr;

use http::header::{FORWARDED, HOST};
use http::{Extensions, HeaderMap};

/// How a request reached the service. It is an extension of the request, unless it came over TCP without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestTransport {
    /// TCP without TLS.
    #[default]
    Tcp,
    /// TCP with TLS.
    Tls,
    /// The Unix socket, which only a proxy on the same machine uses.
    UnixSocket,
}

/// Returns scheme, host and prefix of the address that the client used, without a slash at the end.
///
/// If `behind_proxy` is true, or the request came through the Unix socket, headers of proxies are used as in oslo.middleware's `HTTPProxyToWSGI`: the first element of
/// `Forwarded` (RFC 7239), or `X-Forwarded-Proto` and `X-Forwarded-Host` if this header is absent, and `X-Forwarded-Prefix`
/// in both cases. If several proxies added a value to a header, the first value is used, because it comes from the proxy
/// that the client reached. A value that is not a valid scheme, host or path is ignored as a whole.
pub fn public_address(headers: &HeaderMap, extensions: &Extensions, behind_proxy: bool) -> String {
    let transport: RequestTransport = extensions.get().copied().unwrap_or_default();
    let own_scheme = if transport == RequestTransport::Tls { "https" } else { "http" };
    let host = header(headers, HOST.as_str()).filter(|host| is_public_host(host)).unwrap_or("localhost");
    if !behind_proxy && transport != RequestTransport::UnixSocket {
        return format!("{own_scheme}://{host}");
    }
    let (proto, forwarded_host) = match header(headers, FORWARDED.as_str()) {
        Some(forwarded) => {
            let mut element = first_of_forwarded(forwarded).unwrap_or_default();
            (element.remove("proto"), element.remove("host"))
        }
        None => {
            let first = |name| header(headers, name).map(first_element).map(str::to_owned);
            (first("x-forwarded-proto"), first("x-forwarded-host"))
        }
    };
    let proto = proto.as_deref().and_then(scheme).unwrap_or(own_scheme);
    let host = forwarded_host.as_deref().filter(|host| is_public_host(host)).unwrap_or(host);
    let prefix = header(headers, "x-forwarded-prefix").map(first_element).unwrap_or_default();
    let prefix = Some(prefix.trim_matches('/')).filter(|prefix| is_path(prefix)).unwrap_or_default();
    let slash = if prefix.is_empty() { "" } else { "/" };
    format!("{proto}://{host}{slash}{prefix}")
}

/// Returns the address of the client in the headers of a proxy, as oslo.middleware does: `for` of the first element of
/// `Forwarded`, or the first value of `X-Forwarded-For` if this header is absent. Names instead of addresses are ignored.
pub fn client_address(headers: &HeaderMap) -> Option<IpAddr> {
    match header(headers, FORWARDED.as_str()) {
        Some(forwarded) => address_of_node(&first_of_forwarded(forwarded)?.remove("for")?),
        None => address_of_node(first_element(header(headers, "x-forwarded-for")?)),
    }
}

/// Returns the address of a node (RFC 7239, section 6): an IPv4 address, or an IPv6 address with or without brackets. A port
/// may follow.
fn address_of_node(node: &str) -> Option<IpAddr> {
    let address = match node.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None if node.matches(':').count() == 1 => node.split(':').next()?,
        None => node,
    };
    address.parse().ok()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|value| !value.is_empty())
}

fn first_element(list: &str) -> &str {
    list.split(',').next().unwrap_or_default().trim()
}

/// Returns the parameters of the first element of `Forwarded`, with names in lower case. Returns `None` if the element has
/// not the form of RFC 7239, section 4, or names a parameter twice. The value may be a host with a port that is not quoted,
/// because many proxies send it so.
fn first_of_forwarded(header: &str) -> Option<HashMap<String, String>> {
    let mut parameters = HashMap::new();
    let mut rest = header.trim_start_matches([',', ' ', '\t']);
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        if rest.is_empty() || rest.starts_with(',') {
            return Some(parameters);
        }
        let (name, behind) = rest.split_once('=')?;
        let name = name.trim_end();
        if name.is_empty() || !name.bytes().all(is_of_token) {
            return None;
        }
        let (value, behind) = forwarded_value(behind.trim_start())?;
        if parameters.insert(name.to_ascii_lowercase(), value).is_some() {
            return None;
        }
        rest = behind.trim_start();
        if !(rest.is_empty() || rest.starts_with([',', ';'])) {
            return None;
        }
    }
}

/// Returns the value that a text begins with, without its quotes, and the remaining text.
fn forwarded_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([',', ';']).unwrap_or(text.len()));
        let value = value.trim_end();
        let is_plain = value.bytes().all(|byte| is_of_token(byte) || b":[]/@".contains(&byte));
        return is_plain.then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

/// Whether a byte may be part of a token (RFC 9110, section 5.6.2).
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns the scheme if it is `http` or `https`.
fn scheme(text: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme))
}

/// Whether a text without slashes at its ends is a path of segments (RFC 3986, section 3.3) that means the same wherever it
/// is read: without empty segments, `.` and `..`, and without escapes of slashes and control characters.
fn is_path(text: &str) -> bool {
    text.is_empty() || text.split('/').all(is_segment)
}

fn is_segment(segment: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:@".contains(&byte);
    let escapes = segment
        .split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()));
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(segment).collect();
    segment.bytes().all(is_allowed)
        && escapes
        && !matches!(decoded[..], [] | [b'.'] | [b'.', b'.'])
        && !decoded.iter().any(|byte| byte.is_ascii_control() || b"/\\".contains(byte))
}

/// Maximum length of the name of a host.
const LONGEST_HOST: usize = 253;

/// Whether a link may lead to a host: an address or the name of a host, not any name of RFC 3986, with an optional port.
fn is_public_host(host: &str) -> bool {
    if !is_host(host.as_bytes()) {
        return false;
    }
    if host.starts_with('[') {
        return true;
    }
    let name = host.split(':').next().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    name.len() <= LONGEST_HOST
        && name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_of_label))
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
    use super::{RequestTransport, client_address, is_host};
    use http::{Extensions, HeaderMap, HeaderName};

    fn public_address(headers: &HeaderMap, behind_proxy: bool) -> String {
        super::public_address(headers, &Extensions::new(), behind_proxy)
    }

    #[test]
    fn the_address_of_the_client_is_the_first_one() {
        for (name, value, expected) in [
            ("x-forwarded-for", "192.0.2.7", Some("192.0.2.7")),
            ("x-forwarded-for", " 192.0.2.7 , 10.0.0.1", Some("192.0.2.7")),
            ("x-forwarded-for", "192.0.2.7:4711", Some("192.0.2.7")),
            ("x-forwarded-for", "2001:db8::7", Some("2001:db8::7")),
            ("x-forwarded-for", "[2001:db8::7]:4711", Some("2001:db8::7")),
            ("x-forwarded-for", "unknown, 10.0.0.1", None),
            ("x-forwarded-for", "1.2.3", None),
            ("forwarded", "for=192.0.2.7;proto=https, for=10.0.0.1", Some("192.0.2.7")),
            ("forwarded", "proto=https;For=\"[2001:db8::7]:4711\"", Some("2001:db8::7")),
            ("forwarded", "for=_hidden", None),
            ("forwarded", "proto=https", None),
            ("x-real-ip", "192.0.2.7", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(client_address(&headers), expected, "{name}: {value}");
        }
    }

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
    fn the_transport_decides_about_the_scheme_and_the_trust_in_proxies() {
        let address = |transport: RequestTransport, pairs: &[(&str, &str)], behind_proxy: bool| {
            let (mut headers, mut extensions) = (HeaderMap::new(), Extensions::new());
            for (name, value) in pairs.iter().chain([&("host", "inside:9090")]) {
                headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            extensions.insert(transport);
            super::public_address(&headers, &extensions, behind_proxy)
        };
        let forwarded = [("x-forwarded-proto", "https"), ("x-forwarded-host", "cloud")];
        for (transport, pairs, behind_proxy, expected) in [
            (RequestTransport::Tls, &[][..], false, "https://inside:9090"),
            (RequestTransport::Tls, &forwarded, false, "https://inside:9090"),
            (RequestTransport::Tls, &[], true, "https://inside:9090"),
            (RequestTransport::Tls, &forwarded[1..], true, "https://cloud"),
            (RequestTransport::Tls, &[("x-forwarded-proto", "http")], true, "http://inside:9090"),
            (RequestTransport::Tcp, &forwarded, false, "http://inside:9090"),
            (RequestTransport::UnixSocket, &[], false, "http://inside:9090"),
            (RequestTransport::UnixSocket, &forwarded, false, "https://cloud"),
        ] {
            assert_eq!(address(transport, pairs, behind_proxy), expected, "{transport:?} {pairs:?}");
        }
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
            "a b",
            "evil?x",
            "evil#",
            "evil:port",
            "evil:99999",
            "[::1",
            "http://evil",
            "",
            ":80",
            ":",
            ".",
            "..",
            "a..b",
            ".a",
            ".:80",
            "%00",
            "%41",
            "a%2fb",
            "a%",
            "a;b",
            "a'b",
            "a*b",
            "(a)",
            "$a",
            "a=b",
            "~",
            "[::1]x",
            "::1",
            &"a".repeat(254),
        ] {
            assert_eq!(address(&[("x-forwarded-host", host)]), "http://inside:9090", "{host}");
            let forwarded = format!("host=\"{host}\";proto=https");
            assert_eq!(address(&[("forwarded", &forwarded)]), "https://inside:9090", "{host}");
            let mut headers = HeaderMap::new();
            headers.insert("host", host.parse().unwrap());
            assert_eq!(public_address(&headers, false), "http://localhost", "{host}");
        }
        for host in ["cloud", "cloud:443", "[::1]:8443", "192.0.2.1"] {
            assert_eq!(address(&[("x-forwarded-host", host)]), format!("http://{host}"));
            assert_eq!(address(&[("forwarded", &format!("host=\"{host}\""))]), format!("http://{host}"));
        }
        for prefix in [
            "a b",
            "\"><b>",
            "x?y",
            "x#y",
            "a\\b",
            "/a/../b",
            "/..",
            "../a",
            "/./a",
            "/a/.",
            "/a//b",
            "/%2e%2E/a",
            "/a/.%2e",
            "/%2e",
            "/a%2fb",
            "/a%5Cb",
            "/a%00",
            "/%7f",
            "/a%",
            "/a%2",
            "/%zz",
            "/%%41",
        ] {
            assert_eq!(address(&[("x-forwarded-prefix", prefix)]), "http://inside:9090", "{prefix}");
        }
        for (prefix, taken) in [
            ("/a/b", "/a/b"),
            ("/a.b/..c/", "/a.b/..c"),
            ("a%20b", "/a%20b"),
            ("//a//", "/a"),
            ("/", ""),
            ("/~a/@b:c", "/~a/@b:c"),
        ] {
            let expected = format!("http://inside:9090{taken}");
            assert_eq!(address(&[("x-forwarded-prefix", prefix)]), expected, "{prefix}");
        }
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        for (forwarded, expected) in [
            ("host=a", "http://a"),
            ("Host = a ; PROTO = \"https\"", "https://a"),
            ("host=a:80;proto=https", "https://a:80"),
            ("for=\"[2001:db8::1]:80\";host=\"[::1]:8443\"", "http://[::1]:8443"),
            ("for=\"a,b;host=evil\";host=good", "http://good"),
            ("for=\"a\\\"b;host=evil\";host=good", "http://good"),
            ("host=\"\\a\\b\"", "http://ab"),
            (";;host=a;;", "http://a"),
            (", host=a, host=b", "http://a"),
            ("host=a,\"", "http://a"),
            ("host=\"a\" , host=b", "http://a"),
            // no host
            ("host=\"a,b\"", "http://inside:9090"),
            ("host=\"a;b\"", "http://inside:9090"),
            ("host=\"a,b\";proto=https", "https://inside:9090"),
            ("host=\"a\\\"b\"", "http://inside:9090"),
            ("host=", "http://inside:9090"),
            ("for=x, host=b", "http://inside:9090"),
            // not of this form
            ("host=\"a", "http://inside:9090"),
            ("host=\"a\\", "http://inside:9090"),
            ("host=\"a\"b;proto=https", "http://inside:9090"),
            ("host=a\"b\";proto=https", "http://inside:9090"),
            ("host=a b;proto=https", "http://inside:9090"),
            ("proto=https;host", "http://inside:9090"),
            ("proto=https;=a", "http://inside:9090"),
            ("proto=https;a b=c", "http://inside:9090"),
            ("proto=https;host=a;host=b", "http://inside:9090"),
            ("proto=https;Host=a;host=a", "http://inside:9090"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("host", "inside:9090".parse().unwrap());
            headers.insert("forwarded", forwarded.parse().unwrap());
            // beside `Forwarded`, this header does not count
            headers.insert("x-forwarded-host", "other".parse().unwrap());
            assert_eq!(public_address(&headers, true), expected, "{forwarded}");
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
