//! `auth_strategy = noauth`: takes the identity from the headers that an auth middleware would set.
//!
//! Any caller that reaches the port is trusted. Therefore the server only listens on loopback addresses in this mode
//! (`server/listen.rs`). Web pages can reach it, too, through the browser of a local user. So a request is rejected if
//! its `Host` is neither a loopback name nor a configured name, because the name of a page's server can resolve to
//! 127.0.0.1. It is also rejected if its `Origin` is not this service.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::Request;
use http::header::{HOST, ORIGIN};
use http::{HeaderName, HeaderValue};

use crate::context::RequestContext;
use crate::error::Error;

/// The user id of a caller that sends no identity headers.
const USER: &str = "dev";
const ROLES: &str = "admin,member";

/// Names that the `/etc/hosts` of distributions give to the loopback interface.
const LOOPBACK_NAMES: [&str; 6] =
    ["localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"];

/// The headers of an auth middleware. They are constants because a header name in a string is parsed at each access.
const STATUS: HeaderName = HeaderName::from_static("x-identity-status");
const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const PROJECT_ID: HeaderName = HeaderName::from_static("x-project-id");
const ROLE_NAMES: HeaderName = HeaderName::from_static("x-roles");
const DOMAIN_ID: HeaderName = HeaderName::from_static("x-domain-id");
const SYSTEM_SCOPE: HeaderName = HeaderName::from_static("openstack-system-scope");
const USER_DOMAIN_ID: HeaderName = HeaderName::from_static("x-user-domain-id");
const PROJECT_DOMAIN_ID: HeaderName = HeaderName::from_static("x-project-domain-id");

/// Reads `X-User-Id`, `X-Project-Id` and `X-Roles`. Their defaults are the user `dev`, the project of the path, and the
/// roles admin and member. `names` are the host names of this service in addition to those of the loopback interface.
///
/// # Errors
/// [`Error::Unauthenticated`] if `X-Identity-Status` says that a middleware did not confirm the caller.
pub fn context(request: &Request, names: &[String]) -> Result<RequestContext, Error> {
    reject_web_pages(request, names)?;
    let header = |name: HeaderName| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
    };
    if let Some(status) = header(STATUS).filter(|status| status != "Confirmed") {
        return Err(Error::Unauthenticated(format!("X-Identity-Status is {status}, not Confirmed")));
    }
    let path_project = || {
        let project = request.uri().path().strip_prefix("/v2/")?.split('/').next()?;
        let decoded = percent_encoding::percent_decode_str(project).decode_utf8().ok()?;
        (!decoded.is_empty()).then(|| decoded.into_owned())
    };
    let roles = header(ROLE_NAMES).unwrap_or_else(|| ROLES.to_owned());
    Ok(RequestContext {
        user_id: header(USER_ID).unwrap_or_else(|| USER.to_owned()),
        project_id: header(PROJECT_ID).or_else(path_project),
        roles: roles.split(',').map(|role| role.trim().to_lowercase()).filter(|r| !r.is_empty()).collect(),
        domain_id: header(DOMAIN_ID),
        system_scope: header(SYSTEM_SCOPE),
        user_domain_id: header(USER_DOMAIN_ID),
        project_domain_id: header(PROJECT_DOMAIN_ID),
        ..RequestContext::default()
    })
}

/// Rejects requests that come from pages of other web servers.
fn reject_web_pages(request: &Request, names: &[String]) -> Result<(), Error> {
    let refused = |header: &str, value: &str, reason: &str| {
        Err(Error::ForeignPage(format!("{header} is {value}: {reason}")))
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).trim().to_lowercase();
    let uri_host = request.uri().authority().map(|authority| authority.as_str().to_lowercase());
    let hosts: Vec<String> = request.headers().get_all(HOST).iter().map(text).chain(uri_host).collect();
    if let Some(other) = hosts.iter().find(|host| !is_served(host, names)) {
        return refused(
            "Host",
            other,
            "without authentication, only loopback names such as localhost are served, and those of bind_host and \
             [api] noauth_hosts",
        );
    }
    let is_ours = |origin: &str| {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| hosts.iter().any(|host| host == authority))
    };
    match request.headers().get_all(ORIGIN).iter().map(text).find(|origin| !is_ours(origin)) {
        Some(origin) => refused("Origin", &origin, "without authentication, other web pages are not served"),
        None => Ok(()),
    }
}

/// Returns whether the host of an authority (`host:port`) is a name or an address of the loopback interface, or one of
/// `names`.
fn is_served(authority: &str, names: &[String]) -> bool {
    let end = match authority.strip_prefix('[') {
        Some(address) => address.find(']').map_or(authority.len(), |end| end + 2),
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let Some(host) = plain_name(host).filter(|_| port.is_empty() || is_port(port)) else { return false };
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    LOOPBACK_NAMES.contains(&host.as_str())
        || host.ends_with(".localhost")
        || host.parse().is_ok_and(is_loopback)
        || names.contains(&host)
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Returns a host name in lower case and without a final dot, or an address in its shortest form and without brackets.
/// Returns `None` if it is neither.
pub fn plain_name(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Some(address.parse::<Ipv6Addr>().ok()?.to_string());
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.split('.').all(is_label).then(|| name.to_lowercase())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use axum::body::Body;

    fn request(path: &str, headers: &[(&str, &str)]) -> Request {
        let mut builder = http::Request::builder().uri(path);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Body::empty()).unwrap()
    }

    #[test]
    fn without_headers_the_caller_is_dev_in_the_project_of_the_path() {
        let context = context(&request("/v2/p%201/jobs", &[]), &[]).unwrap();
        assert_eq!((context.user_id.as_str(), context.project_id.as_deref()), ("dev", Some("p 1")));
        assert_eq!(context.roles, ["admin", "member"]);
    }

    #[test]
    fn headers_are_trusted() {
        let headers = [("x-user-id", "u1"), ("x-project-id", "p2"), ("x-roles", "Member, reader,")];
        let context = context(&request("/v2/p1/jobs", &headers), &[]).unwrap();
        assert_eq!((context.user_id.as_str(), context.project_id.as_deref()), ("u1", Some("p2")));
        assert_eq!(context.roles, ["member", "reader"]);
    }

    #[test]
    fn an_unconfirmed_identity_is_rejected() {
        let error = context(&request("/v2/p1/jobs", &[("x-identity-status", "Invalid")]), &[]).unwrap_err();
        assert!(matches!(error, Error::Unauthenticated(_)), "{error}");
    }

    #[test]
    fn only_loopback_names_are_served() {
        let served = |host: &str| context(&request("/v2/p1/jobs", &[("host", host)]), &[]).is_ok();
        for host in [
            "localhost",
            "localhost:9090",
            "LocalHost:9090",
            "localhost.:9090",
            "api.localhost",
            "127.0.0.1:9090",
            "127.8.9.10",
            "[::1]:9090",
            "[::1]",
            "[::ffff:127.0.0.1]:1",
            "[0:0:0:0:0:0:0:1]:9090",
            "[::FFFF:7f00:1]",
        ] {
            assert!(served(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "10.0.0.1:9090",
            "0.0.0.0",
            "[::2]",
            "[::1",
            "",
            "localhost:evil",
            "localhost@evil.example",
            "[::1]evil",
            "localhost, evil.example",
            "localhost..",
            ".localhost",
            "*.localhost",
            "::2",
            "[::1%25lo]:9090",
            "[127.0.0.1]",
            "127.0.0.1.nip.io",
            "xn--localhost-.evil.example",
        ] {
            assert!(!served(host), "{host}");
        }
        let both = [("host", "localhost"), ("host", "evil.example")];
        assert!(matches!(context(&request("/v2/p1/jobs", &both), &[]), Err(Error::ForeignPage(_))));
        let absolute = context(&request("http://evil.example/v2/p1/jobs", &[("host", "localhost")]), &[]);
        assert!(matches!(absolute, Err(Error::ForeignPage(_))));
    }

    #[test]
    fn only_the_services_own_origin_is_served() {
        let served = |origin: &str| {
            context(&request("/v2/p1/jobs", &[("host", "localhost:9090"), ("origin", origin)]), &[]).is_ok()
        };
        assert!(served("http://localhost:9090") && served("HTTP://LOCALHOST:9090"));
        for origin in [
            "https://evil.example",
            "null",
            "",
            "http://localhost",
            "http://localhost:8080",
            "http://127.0.0.1:9090",
            "http://evil.example:9090",
            "localhost:9090",
            "http://localhost:9090.evil.example",
        ] {
            assert!(!served(origin), "{origin}");
        }
    }

    #[test]
    fn configured_names_are_served() {
        let names = ["freezer.dev.example".to_owned(), "192.0.2.7".to_owned(), "2001:db8::7".to_owned()];
        let answered = |headers: &[(&str, &str)]| context(&request("/v2/p1/jobs", headers), &names).is_ok();
        for host in [
            "freezer.dev.example",
            "freezer.dev.example:9090",
            "FREEZER.dev.Example.:9090",
            "192.0.2.7:9090",
            "[2001:DB8:0::7]:9090",
            "localhost",
        ] {
            assert!(answered(&[("host", host)]), "{host}");
        }
        for host in [
            "dev.example",
            "other.freezer.dev.example",
            "freezer.dev.example.evil.example",
            "freezer.dev.example@evil.example",
            "freezer.dev.example:",
            "192.0.2.70",
            "[2001:db8::8]",
        ] {
            assert_eq!(answered(&[("host", host)]), host.ends_with(':'), "{host}");
        }
        let with_origin =
            |origin: &str| answered(&[("host", "freezer.dev.example:9090"), ("origin", origin)]);
        assert!(with_origin("http://freezer.dev.example:9090"));
        for origin in
            ["null", "http://localhost:9090", "http://freezer.dev.example", "http://evil.example:9090"]
        {
            assert!(!with_origin(origin), "{origin}");
        }
        // Browsers never send a request without Host. HTTP/1.0 clients may.
        assert!(answered(&[]) && !answered(&[("origin", "http://freezer.dev.example")]));
    }

    #[test]
    fn names_are_normalized_before_they_are_compared() {
        for (written, plain) in [
            ("Freezer.Example.", Some("freezer.example")),
            ("my_host", Some("my_host")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("[::1]", Some("::1")),
            ("::1", Some("::1")),
            ("", None),
            (".", None),
            ("*", None),
            ("*.example", None),
            (".example", None),
            ("http://freezer", None),
            ("freezer:9090", None),
            ("two words", None),
            ("[freezer]", None),
        ] {
            assert_eq!(plain_name(written).as_deref(), plain, "{written}");
        }
    }
}
