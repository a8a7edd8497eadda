//! Checks of host addresses and URIs as in oslo.config: a host address by the rules of `inet_pton` and of
//! host names (RFC 1123), a URI by RFC 3986 for its scheme, host and path. Nothing is resolved or contacted.

use std::net::{Ipv4Addr, Ipv6Addr};

const NOT_A_HOST: &str =
    "must be an IPv4 or IPv6 address (without brackets) or a host name, without a scheme and a port";

/// Returns an address, or a host name without its final dot.
///
/// # Errors
/// A text for the operator, without the value.
pub(crate) fn host_address(text: &str) -> Result<String, String> {
    if text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok() {
        return Ok(text.to_owned());
    }
    if text.is_empty() || text.chars().count() > 253 {
        return Err(NOT_A_HOST.to_owned());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    // If the last label consists of digits, the text is a mistyped address.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().any(|byte| byte.is_ascii_alphabetic() || byte == b'-') && name.split('.').all(is_label) {
        Ok(name.to_owned())
    } else {
        Err(NOT_A_HOST.to_owned())
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Accepts a URI that has a scheme, a host and no illegal character in host and path.
///
/// # Errors
/// A text for the operator, without the value.
pub(crate) fn uri(text: &str) -> Result<(), String> {
    let (_, rest) = text
        .split_once(':')
        .filter(|(scheme, _)| is_scheme(scheme))
        .ok_or("must be a URI with a scheme, such as http://host/path")?;
    let no_host = "must be a URI with a valid host, such as http://host/path";
    let rest = rest.strip_prefix("//").ok_or(no_host)?;
    // A backslash ends the authority too. The library behind oslo.config counts it as part of the path.
    let (authority, tail) = split_before(rest, &['\\', '/', '?', '#']);
    if !is_authority(authority) {
        return Err(no_host.to_owned());
    }
    // Other illegal characters of the path are percent-encoded before the check, so they are accepted.
    let (path, _) = split_before(tail, &['?', '#']);
    if path.contains(['[', ']']) {
        return Err("must be a URI without square brackets in its path".to_owned());
    }
    Ok(())
}

fn split_before<'a>(text: &'a str, ends: &[char]) -> (&'a str, &'a str) {
    let end = text.find(ends).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
}

/// Checks `[userinfo@]host[:port]`. The host may be empty if there is a user or a port.
fn is_authority(authority: &str) -> bool {
    if authority.is_empty() {
        return false;
    }
    let host_and_port = match authority.rsplit_once('@') {
        Some((userinfo, rest)) if !userinfo.is_empty() && is_encoded(userinfo, ":") => rest,
        Some(_) => return false,
        None => authority,
    };
    let (host, port) = match host_and_port.rsplit_once(']') {
        Some((host, rest)) => match host.strip_prefix('[') {
            Some(address) if is_address_literal(address) => (None, rest),
            _ => return false,
        },
        None => {
            let (host, port) = split_before(host_and_port, &[':']);
            (Some(host), port)
        }
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    if port.len() > 5 || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    host.is_none_or(|host| {
        is_encoded(host, "")
            && (!looks_like_ipv4(host) || host.split('.').all(|part| part.parse::<u8>().is_ok()))
    })
}

/// Returns whether a text consists of unreserved characters, sub-delimiters, percent-encoded octets and the
/// characters of `more`.
fn is_encoded(text: &str, more: &str) -> bool {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let plain = c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(c) || more.contains(c);
        let length = if plain {
            c.len_utf8()
        } else if c == '%'
            && rest.get(1..3).is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            3
        } else {
            return false;
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    true
}

fn looks_like_ipv4(host: &str) -> bool {
    let parts: Vec<&str> = host.split('.').collect();
    let short = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.len() == 4 && parts.iter().all(short)
}

/// Checks a text in square brackets: an IPv6 address, with a zone after `%25` (RFC 6874), or a later kind of
/// address (`v` and a hexadecimal number, RFC 3986 section 3.2.2).
fn is_address_literal(address: &str) -> bool {
    if let Some(later) = address.strip_prefix('v') {
        return later.split_once('.').is_some_and(|(version, rest)| {
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !rest.is_empty()
                && !rest.contains('%')
                && is_encoded(rest, ":")
        });
    }
    let (ipv6, zone) = match address.split_once('%') {
        Some((ipv6, zone)) => (ipv6, Some(zone)),
        None => (address, None),
    };
    let zone_is_legal = zone.is_none_or(|zone| {
        let unreserved = |c: char| !"!$&'()*+,;=".contains(c);
        zone.strip_prefix("25")
            .is_some_and(|name| !name.is_empty() && is_encoded(name, "") && name.chars().all(unreserved))
    });
    // The grammar of the RFC does not limit the numbers of an embedded IPv4 address, only their digits.
    let ipv6 = match ipv6.rsplit_once(':') {
        Some((head, tail)) if looks_like_ipv4(tail) => format!("{head}:0:0"),
        _ => ipv6.to_owned(),
    };
    zone_is_legal && ipv6.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_addresses() {
        let long = "a".repeat(64);
        for good in ["127.0.0.1", "::", "::ffff:1.2.3.4", "localhost", "a-b.example", "1.2.3.4a"] {
            assert_eq!(host_address(good).as_deref(), Ok(good));
        }
        assert_eq!(host_address("host.example.").as_deref(), Ok("host.example"));
        for bad in [
            "",
            ".",
            "1.2.3",
            "256.1.1.1",
            "01.2.3.4",
            "1:2",
            "-a",
            "a-",
            "a..b",
            "a_b",
            "a b",
            "é",
            "fe80::1%eth0",
            "[::1]",
            &long,
        ] {
            assert!(host_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn uris() {
        for good in [
            "http://host",
            "http://host/path?[q]#[f]",
            "HTTP+x://u:p%40@host:5000/v3 with blanks",
            "http://[::1]:80/",
            "http://[::1]80",
            "http://[fe80::1%25eth0]/",
            "http://[::999.1.1.1]",
            "http://[v1.a:b]",
            "http://:80", // An empty host is legal if there is a user or a port.
            "http://u@",
            "http://host:",
            "http://1.2.3.4:99999",
            "http://1.2.3.4.5",
        ] {
            assert_eq!(uri(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "host",
            "/path",
            "http:host",
            "http:/host",
            "http://",
            "http:///path",
            "sqlite:///file",
            "1http://host",
            "http://@host",
            "http://ho st",
            "http://host:123456",
            "http://host:x",
            "http://a@b@c",
            "http://1.2.3.256",
            "http://[::1",
            "http://[fe80::1%eth0]",
            "http://[1:2]",
            "http://host/[p]",
            "http://%zz",
            "http://hé",
        ] {
            assert!(uri(bad).is_err(), "{bad}");
        }
    }
}
