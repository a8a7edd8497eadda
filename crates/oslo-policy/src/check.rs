//! The checks that a rule consists of: their text form and their evaluation.
//! Parsing rules belongs in `parser`, and the set of rules in `rules`.

use std::fmt;

use crate::attributes::{Credentials, Target};
use crate::operand::Operand;
use crate::remote::{RemoteCheck, RemoteRequest};
use crate::rules::RuleSet;
use crate::template::{RenderError, Template};
use crate::value::Value;

/// The maximum depth of nested checks, counted through `rule:` references. This also ends a cycle of references. Python's
/// call stack ends at about the same depth.
pub(crate) const MAX_DEPTH: usize = 300;

/// A rule, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Check {
    /// `@`, and the empty rule.
    True,
    /// `!`, and a text that does not form a rule.
    False,
    /// `not …`
    Not(Box<Check>),
    /// `… and …`
    And(Vec<Check>),
    /// `… or …`
    Or(Vec<Check>),
    /// `rule:name`
    Rule(String),
    /// `role:name`
    Role(Template),
    /// `left:right`, for any other left side.
    Generic { left: String, operand: Operand, right: Template },
    /// `http:…` or `https:…`. The template is the whole URL.
    Remote(Template),
}

impl Check {
    /// Builds the check for one `kind:match`. An error names the problem and the correction.
    pub(crate) fn from_parts(kind: &str, matched: &str) -> Result<Check, String> {
        Ok(match kind {
            "rule" => Check::Rule(matched.to_owned()),
            "role" => Check::Role(Template::parse(matched)?),
            "http" | "https" => Check::Remote(Template::parse(&format!("{kind}:{matched}"))?),
            _ => Check::Generic {
                left: kind.to_owned(),
                operand: Operand::parse(kind)?,
                right: Template::parse(matched)?,
            },
        })
    }

    /// Calls `visit` for this check and every check below it, in the order of evaluation.
    pub(crate) fn walk<'c>(&'c self, visit: &mut dyn FnMut(&'c Check)) {
        visit(self);
        match self {
            Check::Not(check) => check.walk(visit),
            Check::And(checks) | Check::Or(checks) => {
                for check in checks {
                    check.walk(visit);
                }
            }
            _ => {}
        }
    }

    /// Returns the names of the rules that this check refers to.
    pub(crate) fn references(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.walk(&mut |check| {
            if let Check::Rule(name) = check {
                names.push(name.as_str());
            }
        });
        names
    }
}

/// The canonical text, as oslo.policy prints its checks.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, checks: &[Check], word: &str| {
            for (i, check) in checks.iter().enumerate() {
                write!(f, "{}{check}", if i == 0 { "(" } else { word })?;
            }
            f.write_str(")")
        };
        match self {
            Check::True => f.write_str("@"),
            Check::False => f.write_str("!"),
            Check::Not(check) => write!(f, "not {check}"),
            Check::And(checks) => joined(f, checks, " and "),
            Check::Or(checks) => joined(f, checks, " or "),
            Check::Rule(name) => write!(f, "rule:{name}"),
            Check::Role(role) => write!(f, "role:{role}"),
            Check::Generic { left, right, .. } => write!(f, "{left}:{right}"),
            Check::Remote(url) => write!(f, "{url}"),
        }
    }
}

/// Why a check could not be decided.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// The URL of a remote check needs an attribute that the target lacks. As in oslo.policy, a `rule:` reference to such a
    /// check does not hold.
    MissingAttribute(String),
    /// Any other reason.
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::MissingAttribute(name) => write!(f, "the target has no attribute {name:?}"),
            Failure::Broken(reason) => f.write_str(reason),
        }
    }
}

type Decision = Result<bool, Failure>;

fn broken(reason: impl Into<String>) -> Decision {
    Err(Failure::Broken(reason.into()))
}

/// The inputs of one decision.
pub(crate) struct Evaluation<'e> {
    /// The rules that `rule:` checks refer to.
    pub(crate) rules: &'e RuleSet,
    /// The object of the operation.
    pub(crate) target: &'e Target<'e>,
    /// The caller.
    pub(crate) creds: &'e Credentials<'e>,
    /// Answers `http:` and `https:` checks.
    pub(crate) remote: Option<&'e dyn RemoteCheck>,
    /// The requested rule.
    pub(crate) rule: &'e str,
}

impl Evaluation<'_> {
    /// Evaluates a check. `depth` is the number of checks around it.
    pub(crate) fn decide(&self, check: &Check, depth: usize) -> Decision {
        if depth >= MAX_DEPTH {
            return broken(format!("more than {MAX_DEPTH} levels deep; do its rules form a cycle?"));
        }
        let depth = depth + 1;
        match check {
            Check::True => Ok(true),
            Check::False => Ok(false),
            Check::Not(check) => self.decide(check, depth).map(|allowed| !allowed),
            Check::And(checks) => {
                for check in checks {
                    if !self.decide(check, depth)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Check::Or(checks) => {
                for check in checks {
                    if self.decide(check, depth)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Check::Rule(name) => match self.rules.resolve(name).map(|check| self.decide(check, depth)) {
                None | Some(Err(Failure::MissingAttribute(_))) => Ok(false),
                Some(decision) => decision,
            },
            Check::Role(role) => self.compare(check, role, |wanted| self.has_role(wanted)),
            Check::Generic { operand, right, .. } => self.compare(check, right, |wanted| match operand {
                Operand::Literal(text) => Ok(text == wanted),
                Operand::Credential(path) => self.has_credential(path, wanted),
            }),
            Check::Remote(url) => self.ask(url),
        }
    }

    /// Renders the right side and compares it. A check whose attribute is missing does not hold.
    fn compare(&self, check: &Check, right: &Template, holds: impl FnOnce(&str) -> Decision) -> Decision {
        match right.render(self.target) {
            Ok(wanted) => holds(&wanted),
            Err(RenderError::MissingAttribute(_)) => Ok(false),
            Err(error @ RenderError::NotText { .. }) => broken(format!("in \"{check}\": {error}")),
        }
    }

    fn has_role(&self, wanted: &str) -> Decision {
        let roles = match self.creds.get("roles") {
            None => return Ok(false),
            Some(Value::List(roles)) => roles,
            Some(other) => return broken(format!("the roles are a {}, not a list", other.type_name())),
        };
        let mut found = false;
        for role in roles {
            let Value::Str(role) = role else {
                return broken(format!("a role is a {}, not a text", role.type_name()));
            };
            found |= same_ignoring_case(wanted, role);
        }
        Ok(found)
    }

    fn has_credential(&self, path: &[String], wanted: &str) -> Decision {
        let Some((first, rest)) = path.split_first() else { return Ok(false) };
        match self.creds.get(first) {
            None => Ok(false),
            Some(value) => find_in_entry(value, first, rest, wanted),
        }
    }

    fn ask(&self, url: &Template) -> Decision {
        let url = match url.render(self.target) {
            Ok(url) => url,
            Err(RenderError::MissingAttribute(name)) => return Err(Failure::MissingAttribute(name)),
            Err(error) => return broken(format!("in \"{url}\": {error}")),
        };
        let Some(remote) = self.remote else {
            return broken(format!(
                "the remote check {url} cannot be made: http: and https: checks are not set up"
            ));
        };
        let request = RemoteRequest { url: &url, rule: self.rule, target: self.target, creds: self.creds };
        remote.check(&request).or_else(|error| broken(format!("the remote check {url} failed: {error}")))
    }
}

/// Compares the entry `name` of the credentials. Of a list, it tries each element.
fn find_in_entry(value: &Value<'_>, name: &str, path: &[String], wanted: &str) -> Decision {
    let Value::List(items) = value else { return find(value, name, path, wanted) };
    for item in items {
        if find(item, name, path, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn find(value: &Value<'_>, name: &str, path: &[String], wanted: &str) -> Decision {
    let Some((key, rest)) = path.split_first() else {
        return match value.to_text() {
            Some(text) => Ok(text == wanted),
            None => broken(format!(
                "{name:?} of the credentials is a {}, which cannot be compared",
                value.type_name()
            )),
        };
    };
    match value {
        Value::Map(entries) => match entries.iter().find(|(name, _)| name == key) {
            None => Ok(false),
            Some((_, value)) => find_in_entry(value, key, rest, wanted),
        },
        other => broken(format!("{name:?} of the credentials is a {} and has no {key:?}", other.type_name())),
    }
}

/// Compares two texts by their lower-case forms. Does not allocate if both are ASCII.
fn same_ignoring_case(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        a.eq_ignore_ascii_case(b)
    } else {
        a.to_lowercase() == b.to_lowercase()
    }
}
