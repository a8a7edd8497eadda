//! The checks that a rule is made of, how they are written, and what they decide.
//! Text becomes checks in `parser`; which rules exist is `rules`' part.

use std::fmt;

use crate::attributes::{Credentials, Target};
use crate::python::format::{FormatError, Template};
use crate::python::literal::Kind;
use crate::python::text::str_of;
use crate::remote::{RemoteCheck, RemoteRequest};
use crate::rules::RuleSet;
use crate::value::Value;

/// How deeply checks may nest, counted through `rule:` references. Python gives up at about
/// the same depth, which also ends a cycle of references.
pub(crate) const MAX_DEPTH: usize = 300;

/// A rule, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Check {
    /// `@`, and the empty rule.
    True,
    /// `!`, and a rule that could not be parsed.
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
    Role { written: String, role: Template },
    /// `left:right`, for any other left side.
    Generic { left: String, right: String, kind: Kind, template: Template },
    /// `http:…` or `https:…`; both parts together are the URL.
    Remote { url: String, template: Template },
    /// A rule nested too deeply to be kept: evaluating it fails.
    TooDeep,
}

impl Check {
    /// The check for one `kind:match`.
    pub(crate) fn from_parts(kind: &str, matched: &str) -> Check {
        match kind {
            "rule" => Check::Rule(matched.to_owned()),
            "role" => Check::Role { written: matched.to_owned(), role: Template::parse(matched) },
            "http" | "https" => {
                let url = format!("{kind}:{matched}");
                Check::Remote { template: Template::parse(&url), url }
            }
            _ => Check::Generic {
                left: kind.to_owned(),
                right: matched.to_owned(),
                kind: Kind::classify(kind),
                template: Template::parse(matched),
            },
        }
    }

    /// Calls `visit` for this check and every one below it, in the order of evaluation.
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

    /// The names of the rules that this check refers to.
    pub(crate) fn references(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.walk(&mut |check| {
            if let Check::Rule(name) = check {
                names.push(name.as_str());
            }
        });
        names
    }

    /// Why this check by itself can never be decided, whoever asks.
    pub(crate) fn mistake(&self) -> Option<String> {
        let template = match self {
            Check::TooDeep => return Some(format!("more than {MAX_DEPTH} levels deep")),
            Check::Generic { left, kind: Kind::Invalid(why), .. } => {
                return Some(format!("{left:?} is not a name or a literal: {why}"));
            }
            Check::Role { role, .. } => role,
            Check::Generic { template, .. } | Check::Remote { template, .. } => template,
            _ => return None,
        };
        template.mistake().map(|why| format!("malformed %-template in \"{self}\": {why}"))
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
            Check::Role { written, .. } => write!(f, "role:{written}"),
            Check::Generic { left, right, .. } => write!(f, "{left}:{right}"),
            Check::Remote { url, .. } => f.write_str(url),
            Check::TooDeep => f.write_str("(nested too deeply)"),
        }
    }
}

/// Why a check came to no answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// Python's `KeyError`, which a `rule:` reference around it turns into "no".
    MissingKey(String),
    /// Anything else.
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::MissingKey(key) => write!(f, "the target has no attribute {key:?}"),
            Failure::Broken(why) => f.write_str(why),
        }
    }
}

type Decision = Result<bool, Failure>;

fn broken(why: impl Into<String>) -> Decision {
    Err(Failure::Broken(why.into()))
}

/// One decision in the making.
pub(crate) struct Evaluation<'e> {
    /// Where `rule:` references lead.
    pub(crate) rules: &'e RuleSet,
    /// What is acted on.
    pub(crate) target: &'e Target<'e>,
    /// Who acts.
    pub(crate) creds: &'e Credentials<'e>,
    /// Who answers `http:` checks.
    pub(crate) remote: Option<&'e dyn RemoteCheck>,
    /// The rule that was asked for.
    pub(crate) rule: &'e str,
}

impl Evaluation<'_> {
    /// Evaluates a check; `depth` counts the checks around it.
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
            Check::Rule(name) => match self.rules.resolve(name) {
                None => Ok(false),
                Some(check) => match self.decide(check, depth) {
                    Err(Failure::MissingKey(_)) => Ok(false),
                    decision => decision,
                },
            },
            Check::Role { role, .. } => match role.render(self.target) {
                Ok(role) => self.has_role(&role),
                Err(FormatError::MissingKey(_)) => Ok(false),
                Err(FormatError::Malformed(why)) => broken(format!("in \"{check}\": {why}")),
            },
            Check::Generic { kind, template, .. } => {
                let wanted = match template.render(self.target) {
                    Ok(wanted) => wanted,
                    Err(FormatError::MissingKey(_)) => return Ok(false),
                    Err(FormatError::Malformed(why)) => {
                        return broken(format!("in \"{check}\": {why}"));
                    }
                };
                match kind {
                    Kind::Literal(text) => Ok(*text == wanted),
                    Kind::Path(path) => self.find_in_creds(path, &wanted),
                    Kind::Invalid(why) => broken(format!("in \"{check}\": left of the colon: {why}")),
                }
            }
            Check::Remote { template, .. } => self.ask(template),
            Check::TooDeep => broken(format!("more than {MAX_DEPTH} levels deep")),
        }
    }

    fn has_role(&self, wanted: &str) -> Decision {
        let Some(roles) = self.creds.get("roles") else { return Ok(false) };
        let mut found = false;
        match roles {
            Value::List(roles) => {
                for role in roles {
                    let Value::Str(role) = role else {
                        return broken(format!("a role is a {}, not a text", role.type_name()));
                    };
                    found |= same_ignoring_case(wanted, role);
                }
            }
            // What iterating over them gives in Python: characters, and keys.
            Value::Str(text) => {
                found = text.chars().any(|c| same_ignoring_case(wanted, c.encode_utf8(&mut [0; 4])));
            }
            Value::Map(entries) => {
                found = entries.iter().any(|(key, _)| same_ignoring_case(wanted, key));
            }
            other => return broken(format!("the roles are a {}, not a list", other.type_name())),
        }
        Ok(found)
    }

    fn find_in_creds(&self, path: &[String], wanted: &str) -> Decision {
        let Some((first, rest)) = path.split_first() else { return Ok(false) };
        match self.creds.get(first) {
            None => Ok(false),
            Some(value) => find_in_entry(value, rest, wanted),
        }
    }

    fn ask(&self, template: &Template) -> Decision {
        let url = match template.render(self.target) {
            Ok(url) => url,
            Err(FormatError::MissingKey(key)) => return Err(Failure::MissingKey(key)),
            Err(FormatError::Malformed(why)) => return broken(format!("in an http: check: {why}")),
        };
        let Some(remote) = self.remote else {
            return broken(format!("nothing answers the remote check {url}"));
        };
        let request = RemoteRequest { url: &url, rule: self.rule, target: self.target, creds: self.creds };
        remote.check(&request).or_else(|error| broken(format!("the remote check {url} failed: {error}")))
    }
}

/// The value of an entry: of a list, each element is tried.
fn find_in_entry(value: &Value<'_>, path: &[String], wanted: &str) -> Decision {
    let Value::List(items) = value else { return find(value, path, wanted) };
    for item in items {
        if find(item, path, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn find(value: &Value<'_>, path: &[String], wanted: &str) -> Decision {
    let Some((key, rest)) = path.split_first() else { return Ok(str_of(value) == wanted) };
    match value {
        Value::Map(entries) => match entries.iter().find(|(name, _)| name == key) {
            None => Ok(false),
            Some((_, value)) => find_in_entry(value, rest, wanted),
        },
        other => broken(format!("cannot look for {key:?} in a {} of the credentials", other.type_name())),
    }
}

/// Equality of the lower-cased texts, without making them where both are ASCII.
fn same_ignoring_case(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        a.eq_ignore_ascii_case(b)
    } else {
        a.to_lowercase() == b.to_lowercase()
    }
}
