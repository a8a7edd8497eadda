//! Rules for the head of a request that the HTTP library does not check (RFC 9112, sections 3.2, 6.1 and
//! 6.3).
//!
//! A proxy in front of the service must see the same requests as the service. A head that the two could
//! interpret differently is therefore rejected, and its connection is closed.

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Version};

use crate::error::Error;

/// Returns the reason for rejecting a request, if any. `has_two_lengths` means that it has
/// `Transfer-Encoding` and `Content-Length`.
pub(super) fn refusal(parts: &Parts, has_two_lengths: bool) -> Option<Error> {
    if has_two_lengths {
        return malformed("the request has both Transfer-Encoding and Content-Length");
    }
    host(parts).or_else(|| transfer_encoding(parts))
}

fn malformed(reason: &str) -> Option<Error> {
    Some(Error::Malformed(reason.to_owned()))
}

fn host(parts: &Parts) -> Option<Error> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => malformed("the request has more than one Host header"),
        (Some(host), None) if !is_host(host.as_bytes()) => {
            malformed("the Host header must be a host name or an address, with a port if need be")
        }
        (None, None) if parts.version >= Version::HTTP_11 => malformed("the request has no Host header"),
        _ => None,
    }
}

/// Returns whether a value has the form `uri-host [":" port]`. An empty value is valid, but a list is not.
fn is_host(value: &[u8]) -> bool {
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
    // RFC 3986, section 3.2.2, without the comma, because proxies join two headers with it.
    port && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(byte))
}

/// Accepts only the transfer coding `chunked`, once. The library has already rejected a list in which it is
/// not the last one.
fn transfer_encoding(parts: &Parts) -> Option<Error> {
    let values = || parts.headers.get_all(TRANSFER_ENCODING).iter();
    if values().all(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked")) && values().nth(1).is_none() {
        return None;
    }
    let codings = values().flat_map(codings);
    let mut chunked = 0;
    for coding in codings {
        if coding.eq_ignore_ascii_case(b"chunked") {
            chunked += 1;
        } else if !coding.is_empty() {
            return Some(Error::UnknownCoding(String::from_utf8_lossy(coding).into_owned()));
        }
    }
    if chunked == 1 {
        None
    } else {
        malformed("the request names the transfer coding chunked more than once")
    }
}

fn codings(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::is_host;

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
