//! Policy: the rules with upstream's names and defaults, a file per resource, and how one is asked.
//!
//! The rule language is the crate `oslo-policy`. Here is only what is Freezer's: names, default checks,
//! and the target of a check ({project_id: the path's}), all as freezer-api 19.0.0 has them, since operators'
//! policy.yaml refers to them. A route names its rule in `api/v2/mod.rs`; the extractor
//! `api/extract.rs::Call` asks it before a handler runs.

pub mod actions;
pub mod backups;
pub mod base;
pub mod clients;
pub mod jobs;
pub mod sessions;

use oslo_policy::{EnforceError, Enforcer, RuleDefault, Target};
use tracing::Span;

use crate::context::RequestContext;
use crate::error::Error;

/// Every rule: operations of all resources, then the base rules that they are made of.
pub fn declared() -> impl Iterator<Item = &'static RuleDefault> {
    operations().chain(base::RULES)
}

/// The rules that guard operations.
pub fn operations() -> impl Iterator<Item = &'static RuleDefault> {
    let resources = [actions::RULES, backups::RULES, clients::RULES, jobs::RULES, sessions::RULES];
    resources.into_iter().flatten().copied()
}

/// [`declared`], as an enforcer takes them.
pub fn all() -> Vec<RuleDefault> {
    declared().cloned().collect()
}

/// Asks whether the caller may do what `rule` guards in the project of the path.
///
/// # Errors
/// [`Error::Forbidden`] where policy says no; [`Error::Internal`] where it cannot decide, which is
/// never an allow.
pub async fn authorize(
    enforcer: &Enforcer,
    context: &RequestContext,
    rule: &RuleDefault,
    project_id: &str,
) -> Result<(), Error> {
    ask(enforcer, context, rule, Target::from([("project_id", project_id.into())])).await
}

/// As [`authorize`], but with an empty target, as upstream asks `jobs:get_all_projects` and
/// `clients:create_central`: those do not depend on the path.
///
/// # Errors
/// As [`authorize`].
pub async fn authorize_anywhere(
    enforcer: &Enforcer,
    context: &RequestContext,
    rule: &RuleDefault,
) -> Result<(), Error> {
    ask(enforcer, context, rule, Target::new()).await
}

async fn ask(
    enforcer: &Enforcer,
    context: &RequestContext,
    rule: &RuleDefault,
    target: Target<'_>,
) -> Result<(), Error> {
    let decision = if enforcer.needs_remote(rule.name) {
        elsewhere(enforcer, context, rule, target).await?
    } else {
        enforcer.enforce(rule.name, &target, &context.credentials())
    };
    match decision {
        Ok(()) => Ok(()),
        Err(denied @ EnforceError::Denied { .. }) => {
            tracing::debug!(%denied, "refused by policy");
            Err(Error::Forbidden)
        }
        Err(broken @ EnforceError::Broken { .. }) => Err(Error::Internal(broken.to_string())),
    }
}

/// Decides where waiting holds up nobody else: another server is asked.
async fn elsewhere(
    enforcer: &Enforcer,
    context: &RequestContext,
    rule: &RuleDefault,
    target: Target<'_>,
) -> Result<Result<(), EnforceError>, Error> {
    let (enforcer, name, span) = (enforcer.clone(), rule.name, Span::current());
    let (target, credentials) = (target.into_owned(), context.credentials().into_owned());
    tokio::task::spawn_blocking(move || span.in_scope(|| enforcer.enforce(name, &target, &credentials)))
        .await
        .map_err(|error| Error::Internal(format!("policy rule {name} was not decided: {error}")))
}

/// Spells out rules: name, default check, description, method and path.
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
        /// Every rule of this file.
        pub static RULES: &[&oslo_policy::RuleDefault] = &[$(&$id),*];
    };
}
use rules;
