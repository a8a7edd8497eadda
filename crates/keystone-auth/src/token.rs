//! [`ValidatedToken`], and its JSON format in the answer of `GET /v3/auth/tokens`. `client` and `request`
//! decide whether a token is accepted. Source: Identity API v3, "Validate and show information for token",
//! and keystoneauth1 for missing parts.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::access_rules::AccessRule;

/// A validated token. The fields contain the values that keystonemiddleware would write into the identity
/// headers of the request; `None` means that the header is absent. The token itself, which is a secret, is
/// not part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidatedToken {
    /// `X-User-Id`.
    pub user_id: String,
    /// `X-User-Name`.
    pub user_name: String,
    /// `X-User-Domain-Id`.
    pub user_domain_id: String,
    /// `X-User-Domain-Name`.
    pub user_domain_name: String,
    /// `X-Project-Id`, of a project-scoped token.
    pub project_id: Option<String>,
    /// `X-Project-Name`.
    pub project_name: Option<String>,
    /// `X-Project-Domain-Id`.
    pub project_domain_id: Option<String>,
    /// `X-Project-Domain-Name`.
    pub project_domain_name: Option<String>,
    /// `X-Domain-Id`, of a domain-scoped token.
    pub domain_id: Option<String>,
    /// `X-Domain-Name`.
    pub domain_name: Option<String>,
    /// `OpenStack-System-Scope`: `all` for a system-scoped token.
    pub system_scope: Option<String>,
    /// `X-Roles`: names, in Keystone's order. Empty for an unscoped token.
    pub roles: Vec<String>,
    /// `X-Is-Admin-Project`: also true if the answer does not contain it.
    pub is_admin_project: bool,
    /// Id of the trust that issued the token.
    pub trust_id: Option<String>,
    /// Id of the user that delegated its roles, if the token comes from a trust.
    pub trustor_user_id: Option<String>,
    /// Id of the user that received the roles, if the token comes from a trust.
    pub trustee_user_id: Option<String>,
    /// Id of the application credential that issued the token.
    pub application_credential_id: Option<String>,
    /// The requests that the token may make; `None`: all. [`crate::authenticate_request`] checks them.
    pub access_rules: Option<Vec<AccessRule>>,
    /// Service types in the token's catalog. Only requested and filled if there are access rules to check.
    pub catalog_types: Vec<String>,
    /// Whether the token is bound to a Kerberos principal (a feature that current versions of Keystone do not
    /// have).
    pub kerberos_bound: bool,
    /// Expiry time in seconds since 1970-01-01 UTC.
    pub expires_at: i64,
}

impl ValidatedToken {
    /// Returns whether the token has expired at `now`, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn expired_at(&self, now: i64) -> bool {
        self.expires_at <= now
    }

    /// Returns whether the token has the role `name`. The comparison is case-sensitive.
    #[must_use]
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role == name)
    }
}

/// Parses the body of Keystone's answer. The second part is the catalog, or empty if the answer has none.
///
/// # Errors
/// A description of the problem, which contains only field names and the expiry time from the document.
pub(crate) fn parse(body: &[u8]) -> Result<(ValidatedToken, Vec<CatalogService>), String> {
    let wire = serde_json::from_slice::<Envelope>(body).map_err(|error| error.to_string())?.token;
    let expires_at = unix_seconds(&wire.expires_at)
        .ok_or_else(|| format!("expires_at {:?} is not an ISO 8601 time", wire.expires_at))?;
    let (user_domain_id, user_domain_name) = split(wire.user.domain);
    let (domain_id, domain_name) = split(wire.domain);
    let project = wire.project.unwrap_or_default();
    let (project_domain_id, project_domain_name) = split(project.domain);
    let trust = wire.trust.unwrap_or_default();
    let application_credential = wire.application_credential.unwrap_or_default();
    let access_rules = application_credential.access_rules;
    let catalog = wire.catalog.unwrap_or_default();
    let catalog_types = match access_rules {
        Some(_) => catalog.iter().map(|service| service.kind.clone()).collect(),
        None => Vec::new(),
    };
    let token = ValidatedToken {
        user_id: wire.user.id,
        user_name: wire.user.name,
        user_domain_id: user_domain_id.unwrap_or_default(),
        user_domain_name: user_domain_name.unwrap_or_default(),
        project_id: project.id,
        project_name: project.name,
        project_domain_id,
        project_domain_name,
        domain_id,
        domain_name,
        system_scope: wire.system.is_some_and(|system| system.all == Some(true)).then(|| "all".to_owned()),
        roles: wire.roles.unwrap_or_default().into_iter().map(|role| role.name).collect(),
        is_admin_project: wire.is_admin_project.unwrap_or(true),
        trust_id: trust.id,
        trustor_user_id: trust.trustor_user.map(|user| user.id),
        trustee_user_id: trust.trustee_user.map(|user| user.id),
        application_credential_id: application_credential.id,
        access_rules,
        catalog_types,
        kerberos_bound: wire.bind.is_some_and(|bind| bind.contains_key("kerberos")),
        expires_at,
    };
    Ok((token, catalog))
}

/// A service of a catalog.
#[derive(Debug, Deserialize)]
pub(crate) struct CatalogService {
    /// Service type, "identity" for Keystone.
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    /// Endpoints.
    #[serde(default)]
    pub(crate) endpoints: Vec<CatalogEndpoint>,
}

/// An endpoint of a service.
#[derive(Debug, Deserialize)]
pub(crate) struct CatalogEndpoint {
    /// `public`, `internal` or `admin`.
    #[serde(default)]
    pub(crate) interface: String,
    /// Old name of the field `region_id`.
    #[serde(default)]
    pub(crate) region: Option<String>,
    /// Region.
    #[serde(default)]
    pub(crate) region_id: Option<String>,
    /// Base URL.
    #[serde(default)]
    pub(crate) url: String,
}

#[derive(Deserialize)]
struct Envelope {
    token: WireToken,
}

#[derive(Deserialize)]
struct WireToken {
    user: WireUser,
    expires_at: String,
    roles: Option<Vec<WireRole>>,
    project: Option<WireProject>,
    domain: Option<Named>,
    system: Option<WireSystem>,
    is_admin_project: Option<bool>,
    #[serde(rename = "OS-TRUST:trust")]
    trust: Option<WireTrust>,
    application_credential: Option<WireCredential>,
    bind: Option<serde_json::Map<String, serde_json::Value>>,
    catalog: Option<Vec<CatalogService>>,
}

#[derive(Deserialize)]
struct WireUser {
    id: String,
    name: String,
    domain: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize, Default)]
struct WireProject {
    id: Option<String>,
    name: Option<String>,
    domain: Option<Named>,
}

#[derive(Deserialize)]
struct WireRole {
    name: String,
}

#[derive(Deserialize)]
struct WireSystem {
    all: Option<bool>,
}

#[derive(Deserialize, Default)]
struct WireTrust {
    id: Option<String>,
    trustor_user: Option<WireReference>,
    trustee_user: Option<WireReference>,
}

#[derive(Deserialize)]
struct WireReference {
    id: String,
}

#[derive(Deserialize, Default)]
struct WireCredential {
    id: Option<String>,
    access_rules: Option<Vec<AccessRule>>,
}

fn split(named: Option<Named>) -> (Option<String>, Option<String>) {
    named.map_or((None, None), |named| (named.id, named.name))
}

/// Returns the seconds since 1970 of an ISO 8601 time. A time without an offset is UTC, as in keystoneauth1.
fn unix_seconds(text: &str) -> Option<i64> {
    OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339))
        .ok()
        .map(OffsetDateTime::unix_timestamp)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use serde_json::{Value, json};

    use super::*;

    fn user() -> Value {
        json!({"id": "u1", "name": "ann", "domain": {"id": "default", "name": "Default"},
               "password_expires_at": null})
    }

    fn read(token: Value) -> ValidatedToken {
        parse(json!({ "token": token }).to_string().as_bytes()).unwrap().0
    }

    #[test]
    fn a_project_scoped_token() {
        let token = read(json!({
            "methods": ["password"], "user": user(), "audit_ids": ["x"],
            "expires_at": "2026-11-22T10:00:00.000000Z", "issued_at": "2026-11-22T09:00:00.000000Z",
            "project": {"id": "p1", "name": "demo", "domain": {"id": "d2", "name": "Two"}},
            "is_domain": false,
            "roles": [{"id": "r1", "name": "reader"}, {"id": "r2", "name": "member"}],
        }));
        assert_eq!(token.expires_at, 1_795_341_600);
        assert_eq!((&*token.user_id, &*token.user_name), ("u1", "ann"));
        assert_eq!((&*token.user_domain_id, &*token.user_domain_name), ("default", "Default"));
        assert_eq!(token.project_id.as_deref(), Some("p1"));
        assert_eq!(token.project_name.as_deref(), Some("demo"));
        assert_eq!(token.project_domain_id.as_deref(), Some("d2"));
        assert_eq!(token.project_domain_name.as_deref(), Some("Two"));
        assert_eq!(token.roles, ["reader", "member"]);
        assert!(token.has_role("member") && !token.has_role("Member"));
        assert!(token.is_admin_project, "absent means true, as keystoneauth1 reads it");
        assert_eq!((token.domain_id, token.system_scope, token.trust_id), (None, None, None));
        assert_eq!((token.access_rules, token.kerberos_bound), (None, false));
    }

    #[test]
    fn an_unscoped_token_has_neither_scope_nor_roles() {
        let token = read(json!({"user": user(), "expires_at": "2026-11-22T10:00:00Z"}));
        assert_eq!((token.project_id, token.domain_id, token.system_scope), (None, None, None));
        assert!(token.roles.is_empty());
    }

    #[test]
    fn a_domain_scoped_token() {
        let token = read(json!({"user": user(), "expires_at": "2026-11-22T10:00:00Z",
            "domain": {"id": "d1", "name": "One"}, "roles": [{"id": "r", "name": "admin"}],
            "is_admin_project": false}));
        assert_eq!(token.domain_id.as_deref(), Some("d1"));
        assert_eq!(token.domain_name.as_deref(), Some("One"));
        assert_eq!(token.project_id, None);
        assert!(!token.is_admin_project);
    }

    #[test]
    fn a_token_is_system_scoped_only_if_all_is_true() {
        let with = |system| {
            read(json!({"user": user(), "expires_at": "2026-11-22T10:00:00Z", "system": system})).system_scope
        };
        assert_eq!(with(json!({"all": true})).as_deref(), Some("all"));
        assert_eq!(with(json!({"all": false})), None);
        assert_eq!(with(json!({})), None);
        assert_eq!(with(Value::Null), None);
    }

    #[test]
    fn a_token_of_a_trust_and_an_application_credential() {
        let token = read(json!({"user": user(), "expires_at": "2026-11-22T10:00:00Z",
            "OS-TRUST:trust": {"id": "t1", "impersonation": false,
                "trustor_user": {"id": "u9"}, "trustee_user": {"id": "u1"}},
            "application_credential": {"id": "ac1", "name": "n", "restricted": true,
                "access_rules": [{"id": "1", "service": "backup", "method": "GET", "path": "/v2/jobs"}]},
            "catalog": [{"type": "backup", "endpoints": []}],
            "bind": {"kerberos": "ann"}}));
        assert_eq!(token.trust_id.as_deref(), Some("t1"));
        assert_eq!(token.trustor_user_id.as_deref(), Some("u9"));
        assert_eq!(token.trustee_user_id.as_deref(), Some("u1"));
        assert_eq!(token.application_credential_id.as_deref(), Some("ac1"));
        assert_eq!(token.access_rules.unwrap().len(), 1);
        assert_eq!(token.catalog_types, ["backup"]);
        assert!(token.kerberos_bound);
    }

    #[test]
    fn the_expiry_may_have_an_offset_or_a_fraction() {
        assert_eq!(unix_seconds("2026-11-22T10:00:00.999999Z"), Some(1_795_341_600));
        assert_eq!(unix_seconds("2026-11-22T11:00:00+01:00"), Some(1_795_341_600));
        assert_eq!(unix_seconds("2026-11-22T10:00:00"), Some(1_795_341_600));
        assert_eq!(unix_seconds("tomorrow"), None);
    }

    #[test]
    fn a_document_without_a_token_a_user_or_an_expiry_is_an_error() {
        assert!(parse(b"<html>").is_err());
        assert!(parse(b"{}").unwrap_err().contains("token"));
        let no_user = json!({"token": {"expires_at": "2026-11-22T10:00:00Z"}}).to_string();
        assert!(parse(no_user.as_bytes()).unwrap_err().contains("user"));
        let bad = json!({"token": {"user": user(), "expires_at": "soon"}}).to_string();
        assert!(parse(bad.as_bytes()).unwrap_err().contains("soon"));
    }
}
