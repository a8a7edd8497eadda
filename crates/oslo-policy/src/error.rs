//! What can go wrong: while reading rules ([`Error`]) and while deciding ([`EnforceError`]).

use std::path::PathBuf;

/// Why rules could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or directory exists, and cannot be read.
    #[error("policy: cannot read {}: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// One of `policy_dirs` is something else.
    #[error("policy: {} is listed in policy_dirs and is not a directory", path.display())]
    NotADirectory {
        /// What was listed.
        path: PathBuf,
    },
    /// The file is not YAML (or JSON).
    #[error("policy: {}: line {line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong there.
        message: String,
    },
    /// A rule has a value that no rule can be made of.
    #[error("policy: {}: line {line}: rule {rule}: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The name of the rule.
        rule: String,
        /// What is wrong with the value.
        message: String,
    },
    /// The service declares two rules of one name.
    #[error("policy: the rule {name} is declared twice")]
    DuplicateDefault {
        /// The name.
        name: &'static str,
    },
    /// The service declares a scope type twice for one rule.
    #[error("policy: the rule {name} lists the scope type {scope} twice")]
    DuplicateScope {
        /// The name of the rule.
        name: &'static str,
        /// The scope type.
        scope: &'static str,
    },
}

/// Why a rule did not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnforceError {
    /// The rules say no.
    #[error("policy rule {rule} does not allow it: {reason}")]
    Denied {
        /// The rule that was asked for.
        rule: String,
        /// What said no.
        reason: Denial,
    },
    /// The rules could not be evaluated; must be treated as a fault, never as an allow.
    #[error("policy rule {rule} cannot be decided: {reason}")]
    Broken {
        /// The rule that was asked for.
        rule: String,
        /// What failed, and where.
        reason: String,
    },
}

/// What said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The rule's check.
    #[error("its check fails for these credentials")]
    Check,
    /// There is no such rule, and no default rule.
    #[error("there is neither such a rule nor a default rule")]
    UnknownRule,
    /// The token was issued for another scope than the rule is meant for.
    #[error("it needs a token of scope {}, the token's is {token}", wanted.join(" or "))]
    Scope {
        /// The rule's scope types.
        wanted: &'static [&'static str],
        /// The token's scope.
        token: &'static str,
    },
}
