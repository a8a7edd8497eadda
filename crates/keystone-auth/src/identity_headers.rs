//! The headers in which keystonemiddleware passes the caller's identity to a Python service.

use http::{HeaderMap, HeaderName};

/// The headers that keystonemiddleware sets. This crate ignores them. They are removed from requests, because a
/// handler or a service behind this one could trust them.
const IDENTITY_HEADERS: [HeaderName; 32] = [
    HeaderName::from_static("openstack-system-scope"),
    HeaderName::from_static("x-domain-id"),
    HeaderName::from_static("x-domain-name"),
    HeaderName::from_static("x-identity-status"),
    HeaderName::from_static("x-is-admin-project"),
    HeaderName::from_static("x-project-domain-id"),
    HeaderName::from_static("x-project-domain-name"),
    HeaderName::from_static("x-project-id"),
    HeaderName::from_static("x-project-name"),
    HeaderName::from_static("x-role"),
    HeaderName::from_static("x-roles"),
    HeaderName::from_static("x-service-catalog"),
    HeaderName::from_static("x-service-domain-id"),
    HeaderName::from_static("x-service-domain-name"),
    HeaderName::from_static("x-service-identity-status"),
    HeaderName::from_static("x-service-project-domain-id"),
    HeaderName::from_static("x-service-project-domain-name"),
    HeaderName::from_static("x-service-project-id"),
    HeaderName::from_static("x-service-project-name"),
    HeaderName::from_static("x-service-roles"),
    HeaderName::from_static("x-service-user-domain-id"),
    HeaderName::from_static("x-service-user-domain-name"),
    HeaderName::from_static("x-service-user-id"),
    HeaderName::from_static("x-service-user-name"),
    HeaderName::from_static("x-tenant"),
    HeaderName::from_static("x-tenant-id"),
    HeaderName::from_static("x-tenant-name"),
    HeaderName::from_static("x-user"),
    HeaderName::from_static("x-user-domain-id"),
    HeaderName::from_static("x-user-domain-name"),
    HeaderName::from_static("x-user-id"),
    HeaderName::from_static("x-user-name"),
];

/// Removes every header that keystonemiddleware would set. Token headers stay.
pub fn remove_identity_headers(headers: &mut HeaderMap) {
    for name in &IDENTITY_HEADERS {
        headers.remove(name);
    }
}
