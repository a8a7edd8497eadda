//! [`RequestContext`]: the caller, the project and the request id of a request.
//!
//! Two modules build it (`auth/`), with the same result for all later code. It contains no token except the
//! one for trusts, which is never printed.

use keystone_auth::Secret;
use oslo_policy::Credentials;

/// The caller of a request.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// Id of this request, `req-<uuid>`. It is part of the answer and of every log line.
    pub request_id: String,
    /// Id that an earlier service assigned to the whole operation, if it sent one.
    pub global_request_id: Option<String>,
    /// The user.
    pub user_id: String,
    /// The project of the token. `None` for domain- and system-scoped tokens.
    pub project_id: Option<String>,
    /// Role names in lower case.
    pub roles: Vec<String>,
    /// Domain of the token, if it is domain-scoped.
    pub domain_id: Option<String>,
    /// `all` for a system-scoped token.
    pub system_scope: Option<String>,
    /// Domain of the user.
    pub user_domain_id: Option<String>,
    /// Domain of the project.
    pub project_domain_id: Option<String>,
    /// The roles that the caller can delegate. `None` without Keystone.
    pub trustor: Option<Trustor>,
}

/// A caller that can delegate roles to a central scheduler.
#[derive(Debug, Clone)]
pub struct Trustor {
    /// The caller's token.
    pub token: Secret,
    /// The roles of the token, with their spelling in Keystone.
    pub roles: Vec<String>,
}

impl RequestContext {
    /// Returns the caller's attributes for policy rules: the names of oslo.context's `to_policy_values`,
    /// which rules of other services use, and those of its `to_dict`, which freezer-api 19.0.0 uses. There,
    /// `is_admin` is never true and `is_admin_project` always is.
    pub fn credentials(&self) -> Credentials<'_> {
        let roles = oslo_policy::Value::List(self.roles.iter().map(|role| role.as_str().into()).collect());
        let project = || self.project_id.as_deref().into();
        let domain = || self.domain_id.as_deref().into();
        let user_domain = || self.user_domain_id.as_deref().into();
        let project_domain = || self.project_domain_id.as_deref().into();
        Credentials::from([
            ("user_id", self.user_id.as_str().into()),
            ("user", self.user_id.as_str().into()),
            ("project_id", project()),
            ("project", project()),
            ("roles", roles),
            ("is_admin", false.into()),
            ("is_admin_project", true.into()),
            ("domain_id", domain()),
            ("domain", domain()),
            ("system_scope", self.system_scope.as_deref().into()),
            ("user_domain_id", user_domain()),
            ("user_domain", user_domain()),
            ("project_domain_id", project_domain()),
            ("project_domain", project_domain()),
            ("request_id", self.request_id.as_str().into()),
            ("global_request_id", self.global_request_id.as_deref().into()),
        ])
    }

    /// Returns the caller's own project, or "" if the token has none.
    pub fn own_project(&self) -> &str {
        self.project_id.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::RequestContext;
    use oslo_policy::{Enforcer, Options, Target};

    /// Returns whether a rule that an operator could write holds for an administrator.
    fn holds(check: &str) -> bool {
        let context = RequestContext {
            user_id: "u1".to_owned(),
            project_id: Some("p1".to_owned()),
            roles: vec!["admin".to_owned()],
            user_domain_id: Some("d1".to_owned()),
            ..RequestContext::default()
        };
        let rule = oslo_policy::RuleDefault {
            name: "asked",
            check_str: Box::leak(check.to_owned().into_boxed_str()),
            description: "",
            operations: &[],
            scope_types: &["project"],
            deprecated: None,
        };
        let enforcer = Enforcer::new(vec![rule], Options::default());
        enforcer.is_ok_and(|enforcer| {
            enforcer.enforce("asked", &Target::new().with("project_id", "p1"), &context.credentials()).is_ok()
        })
    }

    #[test]
    fn rules_use_the_names_of_oslo_context() {
        for yes in
            ["user:u1", "user_id:u1", "project:%(project_id)s", "user_domain_id:d1", "is_admin_project:True"]
        {
            assert!(holds(yes), "{yes}");
        }
        // 19.0.0 never sets it, so a rule with it allows no caller.
        for no in ["is_admin:True", "user:u2", "domain_id:d1", "auth_token:t"] {
            assert!(!holds(no), "{no}");
        }
    }
}
