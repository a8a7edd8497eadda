//! The errors of loading rules ([`Error`]) and of deciding with them ([`EnforceError`]).

use std::path::PathBuf;

/// Why rules could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or directory exists, but it cannot be read.
    #[error("policy: cannot read {}: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// `policy_file` names something that is not a file.
    #[error("[oslo_policy] policy_file: {}: {source}", path.display())]
    PolicyFile {
        /// The value of the option.
        path: PathBuf,
        /// What it is.
        source: std::io::Error,
    },
    /// An entry of `policy_dirs` is not a directory.
    #[error("[oslo_policy] policy_dirs: {}: it is not a directory; name a directory", path.display())]
    NotADirectory {
        /// The entry.
        path: PathBuf,
    },
    /// The file is not YAML (or JSON).
    #[error("policy: {}: line {line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The problem.
        message: String,
    },
    /// The value of a rule is not text (or a list of lists), or one of its checks cannot be understood.
    #[error("policy: {}: line {line}: rule {rule}: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The name of the rule.
        rule: String,
        /// The problem with the value.
        message: String,
    },
    /// A check in a default of the service cannot be understood.
    #[error("policy: the default of the rule {rule}: {message}")]
    Default {
        /// The name of the rule.
        rule: &'static str,
        /// The problem with the check.
        message: String,
    },
    /// The service declares two rules with the same name.
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

/// Why a rule did not allow a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnforceError {
    /// The rule denies.
    #[error("policy rule {rule} does not allow it: {reason}")]
    Denied {
        /// The requested rule.
        rule: String,
        /// Why it denies.
        reason: Denial,
    },
    /// The rule could not be evaluated. Treat this as a fault, never as an allow.
    #[error("policy rule {rule} cannot be decided: {reason}")]
    Broken {
        /// The requested rule.
        rule: String,
        /// The failed check and the reason.
        reason: String,
    },
}

/// Why a rule denies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The check of the rule does not hold.
    #[error("its check fails for these credentials")]
    Check,
    /// Neither the rule nor a default rule exists.
    #[error("there is neither such a rule nor a default rule")]
    UnknownRule,
    /// The token has a scope that the rule is not meant for.
    #[error("it needs a token of scope {}, the token's is {token}", wanted.join(" or "))]
    Scope {
        /// The scope types of the rule.
        wanted: &'static [&'static str],
        /// The scope of the token.
        token: &'static str,
    },
}
