//! `auth_strategy = noauth`: takes the identity from the headers that an auth middleware would set.
//!
//! Whoever reaches the port may be anybody, so the server refuses to listen on anything but loopback in this
//! mode (`server.rs`).

use axum::extract::Request;

use crate::context::RequestContext;
use crate::error::Error;

/// Who a caller without identity headers is.
const USER: &str = "dev";
const ROLES: &str = "admin,member";

/// Reads `X-User-Id`, `X-Project-Id` and `X-Roles`; absent: user `dev`, the project of the path, roles
/// admin and member.
///
/// # Errors
/// [`Error::Unauthenticated`] where `X-Identity-Status` says that a middleware did not confirm the caller.
pub fn context(request: &Request) -> Result<RequestContext, Error> {
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
    };
    if let Some(status) = header("x-identity-status").filter(|status| status != "Confirmed") {
        return Err(Error::Unauthenticated(format!("X-Identity-Status is {status}, not Confirmed")));
    }
    let of_path = || {
        let project = request.uri().path().strip_prefix("/v2/")?.split('/').next()?;
        let decoded = percent_encoding::percent_decode_str(project).decode_utf8().ok()?;
        (!decoded.is_empty()).then(|| decoded.into_owned())
    };
    let roles = header("x-roles").unwrap_or_else(|| ROLES.to_owned());
    Ok(RequestContext {
        user_id: header("x-user-id").unwrap_or_else(|| USER.to_owned()),
        project_id: header("x-project-id").or_else(of_path),
        roles: roles.split(',').map(|role| role.trim().to_lowercase()).filter(|r| !r.is_empty()).collect(),
        domain_id: header("x-domain-id"),
        system_scope: header("openstack-system-scope"),
        user_domain_id: header("x-user-domain-id"),
        project_domain_id: header("x-project-domain-id"),
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
