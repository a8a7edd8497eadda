//! The rule language of oslo.policy 6.0.1, and an enforcer for it.
//!
//! The crate knows nothing of the service that uses it. A service declares its rules ([`RuleDefault`]), operators override
//! them in policy files, and [`Enforcer::enforce`] decides whether a caller ([`Credentials`]) may perform the operation
//! that a rule protects on an object ([`Target`]). HTTP is used only for `http:` and `https:` checks, with the feature
//! `http`.
//!
//! ```
//! use oslo_policy::{Credentials, Enforcer, Options, RuleDefault, Target};
//!
//! static RULES: [RuleDefault; 1] = [RuleDefault {
//!     name: "jobs:delete",
//!     check_str: "role:admin or (role:member and project_id:%(project_id)s)",
//!     description: "Delete a job.",
//!     operations: &[("DELETE", "/v2/jobs/{job_id}")],
//!     scope_types: &["project"],
//!     deprecated: None,
//! }];
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let enforcer = Enforcer::new(RULES.as_slice(), Options::default())?;
//! let target = Target::new().with("project_id", "9a0b");
//! let roles = ["Member".to_owned()];
//! let mine = Credentials::new().with("roles", roles.as_slice()).with("project_id", "9a0b");
//! let other = Credentials::new().with("roles", roles.as_slice()).with("project_id", "77c1");
//! assert!(enforcer.enforce("jobs:delete", &target, &mine).is_ok());
//! assert!(enforcer.enforce("jobs:delete", &target, &other).is_err());
//! # Ok(())
//! # }
//! ```
//!
//! # The language
//!
//! A rule consists of checks, joined by `and`, `or`, `not` (in upper or lower case) and parentheses. `and` binds more
//! tightly than `or`. `not` applies to the next check or parenthesis only.
//!
//! | Check | Holds if |
//! |---|---|
//! | `@`, or an empty rule | always |
//! | `!` | never |
//! | `role:name` | the credentials' `roles` contain the name, ignoring case |
//! | `rule:name` | that rule holds. If it does not exist, the default rule replaces it |
//! | `http://…`, `https://…` | the server answers `True` ([`RemoteCheck`]) |
//! | `a.b:text` | the credential `a` is a mapping whose `b` is `text`. If it is a list, one element must match |
//! | `'literal':text`, `True:text`, `5:text` | the literal is `text` |
//!
//! On the right side, `%(name)s` is replaced by the attribute `name` of the target, and `%%` by a percent sign. A check
//! does not hold if the target lacks the attribute. Values are compared as Python's `str` writes them: `None`, `True`,
//! `1.5`. The older syntax, lists of lists, works too.
//!
//! On the left side, a literal is text in quotes without a colon or a backslash, a number as Python prints it, `True`,
//! `False` or `None`. Everything else must be the name of a credential: identifiers joined by dots or hyphens.
//!
//! # Errors
//!
//! As in oslo.policy, a text that does not form a rule (`role:admin and`) denies. A check with another left or right side
//! is an [`Error`] when the rules are loaded.
//!
//! `enforce` returns [`EnforceError::Broken`] if a rule cannot be evaluated, which oslo.policy reports with an exception:
//! because of a cycle of references, credentials of an unexpected type (`roles` that are not a list, a path through text),
//! or a remote check without an answer. Checks that are not reached have no effect: `@ or rule:cycle` allows.
//!
//! # Deliberate differences from oslo.policy
//!
//! With the same rules, this crate never allows a request that oslo.policy refuses.
//!
//! * *Left and right sides* can be any Python expression and any `%` format in oslo.policy. Here they are limited to the
//!   forms above, and other forms are errors. oslo.policy loads such a rule and often fails at each request.
//! * *Lists and mappings* cannot be compared with text. oslo.policy compares their Python form. Here the rule is `Broken`.
//! * *YAML tags* are errors. The bare `!` is one (`"name": !`, without quotes). oslo.policy reads it as an empty rule, which
//!   allows every caller.
//! * *Unquoted numbers, dates and booleans* are errors, both as rules and as names. oslo.policy reads `0` and `false` as
//!   empty rules, which allow every caller.
//! * *Remote checks* follow no redirects and no proxies of the environment, because the request contains the credentials.
//!   The time limit applies to the whole request, not to each read.
//! * *A policy file that cannot be loaded at run time* leaves the former rules in force. In oslo.policy, every request fails
//!   until the file is corrected. At the start, both refuse the file.
//! * *`enforce_scope = false`* logs and allows a token of another scope. oslo.policy 6 always refuses it, which is the
//!   default here.
//! * *YAML 1.2*: a few malformed files that PyYAML (YAML 1.1) refuses are accepted, for example one with an empty key.
//! * *Nesting* is limited to 300 levels of checks, counted through references. In oslo.policy, the call stack of Python is
//!   the limit, at about the same depth.
//! * *Unicode*: the tables for lower case are those of the Rust standard library.
//!
//! # Modules
//!
//! `parser` parses rules into `check` trees, with `operand` for the left side and `template` for the right side of a
//! check. `file` reads YAML, `loader` finds files and notices changes, `rules` builds the set of rules in force, and
//! `enforcer` decides. `remote` is the interface for `http:` checks, and `http` implements it. [`lint`] and [`sample`] are
//! for the tools of operators.

mod attributes;
mod check;
mod defaults;
mod enforcer;
mod error;
mod file;
#[cfg(feature = "http")]
mod http;
pub mod lint;
mod loader;
mod open;
mod operand;
mod parser;
mod remote;
mod rules;
pub mod sample;
mod template;
mod value;

pub use attributes::{Credentials, Target, TokenScope};
pub use defaults::{DeprecatedRule, RuleDefault};
pub use enforcer::{Enforcer, Options};
pub use error::{Denial, EnforceError, Error};
#[cfg(feature = "http")]
pub use http::{ContentType, HttpCheck, HttpCheckError, HttpCheckSettings};
pub use remote::{RemoteCheck, RemoteRequest, answer_allows};
pub use rules::{EffectiveRule, RuleOrigin};
pub use value::Value;
