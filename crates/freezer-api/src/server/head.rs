//! Rules for the head of a request that the HTTP library does not check (RFC 9112, sections 3.2, 6.1 and
//! 6.3).
//!
//! A proxy in front of the service must see the same requests as the service. A head that the two could
//! interpret differently is therefore rejected, and its connection is closed.

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderValue, Version};

use crate::api::address::is_host;
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
