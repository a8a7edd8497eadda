//! Rules as a service declares them. Overriding them with policy files belongs in `rules`.

/// A rule that the service declares. A policy file can override its check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDefault {
    /// The name that the service and policy files use, such as `jobs:create`.
    pub name: &'static str,
    /// The default, in the policy language.
    pub check_str: &'static str,
    /// The operation that the rule protects, for operators.
    pub description: &'static str,
    /// Method and path of the requests that the rule protects.
    pub operations: &'static [(&'static str, &'static str)],
    /// The token scopes that the rule accepts (`project`, `domain`, `system`). An empty list accepts all of them.
    pub scope_types: &'static [&'static str],
    /// The name or the default of this rule in an earlier release.
    pub deprecated: Option<DeprecatedRule>,
}

/// The name and the check of a rule in an earlier release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeprecatedRule {
    /// The former name. It is the current name if only the default changed.
    pub name: &'static str,
    /// The former default.
    pub check_str: &'static str,
    /// Why it changed, for operators.
    pub reason: &'static str,
    /// The release that changed it.
    pub since: &'static str,
}
