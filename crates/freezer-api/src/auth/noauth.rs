//! `auth_strategy = noauth`: takes the identity from the headers that an auth middleware would set.
//!
//! Whoever reaches the port may be anybody, so the server refuses to listen on anything but loopback in this
//! mode (`server/mod.rs`).

use axum::extract::Request;
use http::HeaderName;

use crate::context::RequestContext;
use crate::error::Error;

/// Who a caller without identity headers is.
const USER: &str = "dev";
const ROLES: &str = "admin,member";

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
}
