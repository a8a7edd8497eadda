//! Rules as a service declares them. What operators make of them is `rules`' part.

/// A rule that the service declares, with the check that is in force unless an operator's file
/// says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDefault {
    /// The name that the service asks for and operators override, such as `jobs:create`.
    pub name: &'static str,
    /// The default, in the policy language.
    pub check_str: &'static str,
    /// What the rule guards, for operators.
    pub description: &'static str,
    /// Method and path of the requests that the rule guards.
    pub operations: &'static [(&'static str, &'static str)],
    /// The scopes of token (`project`, `domain`, `system`) that the rule is meant for; none
    /// means all.
    pub scope_types: &'static [&'static str],
    /// The rule that this one replaces, or its former default.
    pub deprecated: Option<DeprecatedRule>,
}

/// What a rule was called, or checked, in an earlier release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeprecatedRule {
    /// The former name; the same as the new one where only the default changed.
    pub name: &'static str,
    /// The former default.
    pub check_str: &'static str,
    /// Why it changed, for operators.
    pub reason: &'static str,
    /// The release that changed it.
    pub since: &'static str,
}
