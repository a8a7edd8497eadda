//! `auth_strategy = noauth`: takes the identity from the headers that an auth middleware would set.
//!
//! Whoever reaches the port may be anybody, so the server refuses to listen on anything but loopback in this
//! mode (`server/mod.rs`). Web pages reach it too, through the browser of a user of this machine. So requests are refused if
//! their `Host` is no loopback name (the name of a page's server can be made to lead to 127.0.0.1), or if their `Origin` is
//! another one than this service.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::Request;
use http::header::{HOST, ORIGIN};
use http::{HeaderName, HeaderValue};

use crate::context::RequestContext;
use crate::error::Error;

/// Who a caller without identity headers is.
const USER: &str = "dev";
const ROLES: &str = "admin,member";

/// Names that the `/etc/hosts` of distributions give to the loopback interface.
const LOOPBACK_NAMES: [&str; 6] =
    ["localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"];

/// What an auth middleware would set, made once: a name that comes as text is parsed at every look.
const STATUS: HeaderName = HeaderName::from_static("x-identity-status");
const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const PROJECT_ID: HeaderName = HeaderName::from_static("x-project-id");
const ROLE_NAMES: HeaderName = HeaderName::from_static("x-roles");
const DOMAIN_ID: HeaderName = HeaderName::from_static("x-domain-id");
const SYSTEM_SCOPE: HeaderName = HeaderName::from_static("openstack-system-scope");
const USER_DOMAIN_ID: HeaderName = HeaderName::from_static("x-user-domain-id");
const PROJECT_DOMAIN_ID: HeaderName = HeaderName::from_static("x-project-domain-id");

/// Reads `X-User-Id`, `X-Project-Id` and `X-Roles`; absent: user `dev`, the project of the path, roles
/// admin and member.
///
/// # Errors
/// [`Error::Unauthenticated`] where `X-Identity-Status` says that a middleware did not confirm the caller.
pub fn context(request: &Request) -> Result<RequestContext, Error> {
    refuse_web_pages(request)?;
    let header = |name: HeaderName| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
    };
    if let Some(status) = header(STATUS).filter(|status| status != "Confirmed") {
        return Err(Error::Unauthenticated(format!("X-Identity-Status is {status}, not Confirmed")));
    }
    let of_path = || {
        let project = request.uri().path().strip_prefix("/v2/")?.split('/').next()?;
        let decoded = percent_encoding::percent_decode_str(project).decode_utf8().ok()?;
        (!decoded.is_empty()).then(|| decoded.into_owned())
    };
    let roles = header(ROLE_NAMES).unwrap_or_else(|| ROLES.to_owned());
    Ok(RequestContext {
        user_id: header(USER_ID).unwrap_or_else(|| USER.to_owned()),
        project_id: header(PROJECT_ID).or_else(of_path),
        roles: roles.split(',').map(|role| role.trim().to_lowercase()).filter(|r| !r.is_empty()).collect(),
        domain_id: header(DOMAIN_ID),
        system_scope: header(SYSTEM_SCOPE),
        user_domain_id: header(USER_DOMAIN_ID),
        project_domain_id: header(PROJECT_DOMAIN_ID),
        ..RequestContext::default()
    })
}

/// Refuses what a page of another web server has sent.
fn refuse_web_pages(request: &Request) -> Result<(), Error> {
    let refused = |header: &str, value: &str, reason: &str| {
        Err(Error::ForeignPage(format!("{header} is {value}: {reason}")))
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).trim().to_lowercase();
    let of_uri = request.uri().authority().map(|authority| authority.as_str().to_lowercase());
    let hosts: Vec<String> = request.headers().get_all(HOST).iter().map(text).chain(of_uri).collect();
    if let Some(other) = hosts.iter().find(|host| !is_loopback(host)) {
        return refused(
            "Host",
            other,
            "without authentication, only loopback names such as localhost are served",
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

/// Whether the host of an authority (`host:port`) is a name or an address of the loopback interface.
fn is_loopback(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => {
                let is_loopback = address.parse::<Ipv6Addr>().is_ok_and(|address| {
                    address.is_loopback()
                        || address.to_ipv4_mapped().is_some_and(|mapped| mapped.is_loopback())
                });
                return is_loopback && (port.is_empty() || is_port(port));
            }
            None => return false,
        },
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_name = LOOPBACK_NAMES.contains(&host) || host.ends_with(".localhost");
    (is_name || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()))
        && (port.is_empty() || is_port(port))
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.bytes().all(|digit| digit.is_ascii_digit()))
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
        let context = context(&request("/v2/p%201/jobs", &[])).unwrap();
        assert_eq!((context.user_id.as_str(), context.project_id.as_deref()), ("dev", Some("p 1")));
        assert_eq!(context.roles, ["admin", "member"]);
    }

    #[test]
    fn headers_are_believed() {
        let headers = [("x-user-id", "u1"), ("x-project-id", "p2"), ("x-roles", "Member, reader,")];
        let context = context(&request("/v2/p1/jobs", &headers)).unwrap();
        assert_eq!((context.user_id.as_str(), context.project_id.as_deref()), ("u1", Some("p2")));
        assert_eq!(context.roles, ["member", "reader"]);
    }

    #[test]
    fn an_unconfirmed_identity_is_nobody() {
        let error = context(&request("/v2/p1/jobs", &[("x-identity-status", "Invalid")])).unwrap_err();
        assert!(matches!(error, Error::Unauthenticated(_)), "{error}");
    }

    #[test]
    fn only_loopback_names_are_served() {
        let served = |host: &str| context(&request("/v2/p1/jobs", &[("host", host)])).is_ok();
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
        ] {
            assert!(!served(host), "{host}");
        }
        let both = [("host", "localhost"), ("host", "evil.example")];
        assert!(matches!(context(&request("/v2/p1/jobs", &both)), Err(Error::ForeignPage(_))));
        let absolute = context(&request("http://evil.example/v2/p1/jobs", &[("host", "localhost")]));
        assert!(matches!(absolute, Err(Error::ForeignPage(_))));
    }

    #[test]
    fn only_the_services_own_origin_is_served() {
        let served = |origin: &str| {
            context(&request("/v2/p1/jobs", &[("host", "localhost:9090"), ("origin", origin)])).is_ok()
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
}
