//! Policy: the rules with upstream's names and defaults, one file for each resource, and the check of a rule.
//!
//! The crate `oslo-policy` implements the rule language. This module has only Freezer's part: names, default
//! checks, and the target of a check (`project_id` of the path). All are those of freezer-api 19.0.0, because
//! the policy.yaml of operators refers to them. A route contains its rule in `api/v2/mod.rs`, and the
//! extractor `api/extract.rs::Call` checks it before a handler runs.

pub mod actions;
pub mod backups;
pub mod base;
pub mod clients;
pub mod jobs;
pub mod sessions;

use std::time::Duration;

use freezer_store::Deadline;
use oslo_policy::{EnforceError, Enforcer, RuleDefault, Target};
use tokio::time::timeout;
use tracing::Span;

use crate::context::RequestContext;
use crate::error::{Denied, Error};

/// Returns all rules: operations of all resources, then the base rules that they use.
pub fn declared() -> impl Iterator<Item = &'static RuleDefault> {
    operations().chain(base::RULES)
}

/// Returns the rules that guard operations.
pub fn operations() -> impl Iterator<Item = &'static RuleDefault> {
    let resources = [actions::RULES, backups::RULES, clients::RULES, jobs::RULES, sessions::RULES];
    resources.into_iter().flatten().copied()
}

/// Returns the rules of [`declared`] for an enforcer.
pub fn all() -> Vec<RuleDefault> {
    declared().cloned().collect()
}

/// Checks whether the caller may do the operation of `rule` in the project of the path. A denial is logged when it becomes an
/// answer, so a check that only selects rows is silent.
///
/// # Errors
/// [`Error::Forbidden`] if the policy denies it. [`Error::Internal`] if the policy cannot be evaluated before the
/// deadline, which never allows the operation.
pub async fn authorize(
    enforcer: &Enforcer,
    context: &RequestContext,
    rule: &RuleDefault,
    project_id: &str,
    deadline: Deadline,
) -> Result<(), Error> {
    ask(enforcer, context, rule, Target::from([("project_id", project_id.into())]), deadline).await
}

/// Like [`authorize`] with an empty target, which upstream uses for `jobs:get_all_projects` and
/// `clients:create_central`, because they do not depend on the path.
pub async fn authorize_anywhere(
    enforcer: &Enforcer,
    context: &RequestContext,
    rule: &RuleDefault,
    deadline: Deadline,
) -> Result<(), Error> {
    ask(enforcer, context, rule, Target::new(), deadline).await
}

async fn ask(
    enforcer: &Enforcer,
    context: &RequestContext,
    rule: &RuleDefault,
    target: Target<'_>,
    deadline: Deadline,
) -> Result<(), Error> {
    let decision = if enforcer.needs_remote(rule.name) {
        let evaluated = in_blocking_thread(enforcer, context, rule, target);
        timeout(deadline.within(Duration::MAX), evaluated).await.map_err(|_| {
            let name = rule.name;
            Error::Internal(format!(
                "policy rule {name}: the server of its http check did not answer before the deadline of the request \
                 ([api] request_timeout)"
            ))
        })??
    } else {
        enforcer.enforce(rule.name, &target, &context.credentials())
    };
    match decision {
        Ok(()) => Ok(()),
        Err(EnforceError::Denied { rule, reason }) => {
            let roles = context.roles.clone();
            Err(Box::new(Denied::Policy { rule, roles, reason }).into())
        }
        Err(broken @ EnforceError::Broken { .. }) => Err(Error::Internal(broken.to_string())),
    }
}

/// Evaluates a rule in a thread where waiting is allowed, because it calls another server.
async fn in_blocking_thread(
    enforcer: &Enforcer,
    context: &RequestContext,
    rule: &RuleDefault,
    target: Target<'_>,
) -> Result<Result<(), EnforceError>, Error> {
    let (enforcer, name, span) = (enforcer.clone(), rule.name, Span::current());
    let (target, credentials) = (target.into_owned(), context.credentials().into_owned());
    tokio::task::spawn_blocking(move || span.in_scope(|| enforcer.enforce(name, &target, &credentials)))
        .await
        .map_err(|error| Error::Internal(format!("policy rule {name} could not be evaluated: {error}")))
}

/// Declares rules: name, default check, description, method and path.
macro_rules! rules {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $check:expr, $text:literal, $method:literal $path:literal;)*) => {
        $(
            $(#[$doc])*
            pub static $id: oslo_policy::RuleDefault = oslo_policy::RuleDefault {
                name: $name,
                check_str: $check,
                description: $text,
                operations: &[($method, $path)],
                scope_types: &["project"],
                deprecated: None,
            };
        )*
        /// All rules of this file.
        pub static RULES: &[&oslo_policy::RuleDefault] = &[$(&$id),*];
    };
}
use rules;
