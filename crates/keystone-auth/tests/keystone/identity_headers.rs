//! The removal of identity headers that a client sent.

use http::{HeaderMap, HeaderName, HeaderValue};
use keystone_auth::remove_identity_headers;

#[test]
fn every_identity_header_is_removed_and_other_headers_stay() {
    let names = [
        "X-Identity-Status",
        "X-Service-Identity-Status",
        "X-Is-Admin-Project",
        "X-Service-Catalog",
        "X-User-Id",
        "X-User-Name",
        "X-User-Domain-Id",
        "X-User-Domain-Name",
        "X-Roles",
        "X-Role",
        "X-User",
        "X-Tenant",
        "X-Tenant-Id",
        "X-Tenant-Name",
        "X-Project-Id",
        "X-Project-Name",
        "X-Project-Domain-Id",
        "X-Project-Domain-Name",
        "X-Domain-Id",
        "X-Domain-Name",
        "X-Service-User-Id",
        "X-Service-User-Name",
        "X-Service-User-Domain-Id",
        "X-Service-User-Domain-Name",
        "X-Service-Project-Id",
        "X-Service-Project-Name",
        "X-Service-Project-Domain-Id",
        "X-Service-Project-Domain-Name",
        "X-Service-Domain-Id",
        "X-Service-Domain-Name",
        "X-Service-Roles",
        "OpenStack-System-Scope",
    ];
    let mut headers = HeaderMap::new();
    for name in names.iter().chain(&["X-Auth-Token", "X-Service-Token", "X-Client"]) {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name.clone(), HeaderValue::from_static("one"));
        headers.append(name, HeaderValue::from_static("two"));
    }
    remove_identity_headers(&mut headers);
    let mut remaining: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    remaining.sort_unstable();
    assert_eq!(remaining, ["x-auth-token", "x-client", "x-service-token"]);
}
