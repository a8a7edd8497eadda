//! The rule language of oslo.policy 6.0.1, and an enforcer for it.
//!
//! The crate knows no service, and speaks HTTP only for `http:` checks and with its feature `http`: a service declares its rules ([`RuleDefault`]),
//! operators override them in policy files, and [`Enforcer::enforce`] decides whether a caller
//! ([`Credentials`]) may do what a rule guards to an object ([`Target`]).
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
//! A rule is a text of checks joined by `and`, `or`, `not` (in any case) and parentheses. `and`
//! binds before `or`; `not` takes the one check, or the one parenthesis, behind it.
//!
//! | Check | Holds when |
//! |---|---|
//! | `@`, or an empty rule | always |
//! | `!` | never |
//! | `role:name` | the credentials' `roles` have the name, in any case |
//! | `rule:name` | that rule holds; where it does not exist, the default rule |
//! | `http://…`, `https://…` | a server says so ([`RemoteCheck`]) |
//! | `a.b:text` | the credentials' `a` is a mapping whose `b` reads `text`; of a list, one element is enough |
//! | `'literal':text`, `True:text`, `5:text` | the Python literal reads `text` |
//!
//! `%(name)s` in what stands right of the colon is the target's attribute of that name, with all
//! that Python's `%` can do; a check whose attribute is missing does not hold. The older lists of
//! lists (an "or" of "and"s) are understood too. A rule that makes no sense denies.
//!
//! # When a rule cannot be decided
//!
//! Where oslo.policy raises an exception, and a Python service answers 500, `enforce` gives
//! [`EnforceError::Broken`]: a cycle of references that is really followed, a template that
//! Python's `%` refuses (`%(x`, `%(x)d` of a text), a left side that is no Python expression
//! (`class:x`), credentials of an unforeseen shape (roles that are no list, a path through a text),
//! a remote check without an answer. As there, a check that is never reached does no harm:
//! `@ or class:x` allows.
//!
//! # Deliberate differences from oslo.policy
//!
//! With the same rules, nothing is allowed here that is refused there.
//!
//! * *YAML tags* are refused, with their line. The bare `!` is one (`"name": !`, without quotes):
//!   oslo.policy reads an empty rule and allows everyone.
//! * *Remote checks* follow no redirect and no proxy of the environment: what is known of callers goes where the policy
//!   file says and nowhere else. Their time limit is one for the whole exchange, not one for each read.
//! * *A broken file at run time* keeps the rules that are in force; there, every request fails
//!   until the file is mended. At the start both refuse.
//! * *`enforce_scope = false`* is kept for configurations that still set it: the mismatch is
//!   logged and allowed. oslo.policy 6 always refuses, which is the default here.
//! * *YAML 1.2*: a few malformed files that PyYAML (YAML 1.1) refuses are read, such as one with
//!   a key over two lines in braces or an empty key. Texts that both versions read differently
//!   (a bare `?` before a key) are refused; `yes`, `0o17` and `1:30` are what they are in PyYAML.
//! * *Nesting* ends at 300 levels of checks, counted through references; there, where Python's
//!   stack ends, at about as many. What is deeper is `Broken`.
//! * *Left sides that are unusual Python* are `Broken` although Python understands them: sets of
//!   several values (their order is not fixed), `\N{…}` escapes and lone surrogates, f-strings
//!   with fields, line breaks, more than about twenty nested brackets, and names with characters
//!   that Unicode counts to identifiers but not to letters and digits. Widths and precisions
//!   over 65 536 in a template are `Broken`.
//! * *Unicode tables* (which characters `%r` escapes, how other alphabets are lower-cased) are
//!   those of the Rust standard library; Python's differ from release to release.
//!
//! # Where things are
//!
//! `parser` makes `check` trees of texts, `file` makes named texts of YAML, `loader` finds files
//! and notices changes, `rules` decides which rules are in force, `enforcer` asks them; `python`
//! holds what the language borrows from Python. `remote` is the seam for
//! `http:` checks and `http` what fills it. [`lint`] and [`sample`] are for operators' tools.

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
mod parser;
mod python;
mod remote;
mod rules;
pub mod sample;
mod value;

pub use attributes::{Credentials, Scope, Target};
pub use defaults::{DeprecatedRule, RuleDefault};
pub use enforcer::{Enforcer, Options};
pub use error::{Denial, EnforceError, Error};
#[cfg(feature = "http")]
pub use http::{ContentType, HttpCheck, HttpCheckError, HttpCheckSettings};
pub use remote::{RemoteCheck, RemoteRequest, answer_allows};
pub use rules::{EffectiveRule, Origin};
pub use value::Value;
