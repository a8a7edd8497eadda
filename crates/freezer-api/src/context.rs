//! [`RequestContext`]: who is calling, for which project, under which request id.
//!
//! Built in one of two ways (`auth/`), the same for everything behind. It holds no token but the one that
//! trusts need, and that one never prints.

use keystone_auth::Secret;
use oslo_policy::Credentials;

/// Who is calling.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// Id of this request, `req-<uuid>`: in the answer and in every log line.
    pub request_id: String,
    /// Id that an earlier service gave to the whole operation, where it sent one.
    pub global_request_id: Option<String>,
    /// The user.
    pub user_id: String,
    /// The project that the token is for; none for domain- and system-scoped tokens.
    pub project_id: Option<String>,
    /// Role names in lower case.
    pub roles: Vec<String>,
    /// Domain that the token is for, if it is for one.
    pub domain_id: Option<String>,
    /// `all` for a system-scoped token.
    pub system_scope: Option<String>,
    /// Domain of the user.
    pub user_domain_id: Option<String>,
    /// Domain of the project.
    pub project_domain_id: Option<String>,
    /// What the caller can delegate; none without Keystone.
    pub trustor: Option<Trustor>,
}

/// A caller as one who may entrust jobs to a central scheduler.
#[derive(Debug, Clone)]
pub struct Trustor {
    /// The caller's token.
    pub token: Secret,
    /// Its roles, as Keystone names them.
    pub roles: Vec<String>,
}

impl RequestContext {
    /// What policy rules can ask about the caller; the names are oslo.context's.
    pub fn credentials(&self) -> Credentials<'_> {
        let roles: Vec<oslo_policy::Value<'_>> = self.roles.iter().map(|role| role.as_str().into()).collect();
        Credentials::new()
            .with("user_id", self.user_id.as_str())
            .with("project_id", self.project_id.as_deref())
            .with("roles", oslo_policy::Value::List(roles))
            .with("is_admin", self.roles.iter().any(|role| role == "admin"))
            .with("domain_id", self.domain_id.as_deref())
            .with("system_scope", self.system_scope.as_deref())
            .with("user_domain_id", self.user_domain_id.as_deref())
            .with("project_domain_id", self.project_domain_id.as_deref())
    }

    /// The caller's own project, "" where the token has none.
    pub fn own_project(&self) -> &str {
        self.project_id.as_deref().unwrap_or_default()
    }
}
