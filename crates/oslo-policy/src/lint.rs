//! Checks policy files before a service uses them: [`check`]. Printing problems belongs in the command line tool.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::defaults::RuleDefault;
use crate::enforcer::Options;
use crate::error::Error;
use crate::loader::Loader;
use crate::parser::parse_text;
use crate::rules::{PolicyFile, RuleOrigin, RuleSet};

/// The kind of a [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// The service would not start: a file cannot be read or is not a YAML mapping of rules, or a rule has a check that
    /// cannot be understood.
    Unloadable,
    /// The policy file does not exist.
    MissingFile,
    /// The service has no such rule, and no rule refers to it.
    UnknownRule,
    /// A rule occurs twice in one file. The last value applies.
    DuplicateRule,
    /// The text does not form a rule, so it, or a part of it, denies.
    Unparsable,
    /// A rule refers to a rule that does not exist.
    UndefinedReference,
    /// A rule refers to itself, directly or through others, or refers to such a rule.
    Cycle,
    /// The value of a rule is missing, which allows every caller.
    EmptyValue,
    /// A rule allows every caller, by itself or through the rules that it refers to.
    AllowsEveryone,
    /// A rule is overridden by the name that it had in an earlier release.
    DeprecatedName,
    /// A rule repeats the service's default.
    Redundant,
}

impl ProblemKind {
    /// Returns whether the problem is an error. Otherwise it is advice.
    #[must_use]
    pub fn is_error(self) -> bool {
        !matches!(self, Self::MissingFile | Self::AllowsEveryone | Self::DeprecatedName | Self::Redundant)
    }
}

/// A problem in a policy file. [`check`] returns these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The kind.
    pub kind: ProblemKind,
    /// The file, if the problem is in a file.
    pub file: Option<PathBuf>,
    /// The line in the file, counted from 1.
    pub line: Option<u64>,
    /// The rule, if the problem concerns a rule.
    pub rule: Option<String>,
    /// The problem.
    pub message: String,
}

/// `file:line: rule: message`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, "{rule}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Returns the problems of the policy files that `options` names. First come the problems of each file in the order of
/// lines, then those of references between rules in the order of names.
#[must_use]
pub fn check(defaults: &[RuleDefault], options: &Options) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(path) = &options.policy_file
        && matches!(path.try_exists(), Ok(false))
    {
        problems.push(Problem {
            kind: ProblemKind::MissingFile,
            file: Some(path.clone()),
            line: None,
            rule: None,
            message: "the file does not exist: the service's defaults are in force".to_owned(),
        });
    }
    match Loader::read_leniently(options.policy_file.as_deref(), &options.policy_dirs) {
        Ok(files) => check_files(&mut problems, &files, defaults, options),
        Err(error) => problems.push(unloadable(&error)),
    }
    problems
}

fn unloadable(error: &Error) -> Problem {
    let (file, line, rule, message) = match error {
        Error::Read { path, source } | Error::PolicyFile { path, source } => {
            (Some(path), None, None, format!("cannot be read: {source}"))
        }
        Error::NotADirectory { path } => (
            Some(path),
            None,
            None,
            "is listed in policy_dirs, but it is not a directory; name a directory".to_owned(),
        ),
        Error::Syntax { path, line, message } => (Some(path), Some(*line), None, message.clone()),
        Error::Value { path, line, rule, message } => {
            (Some(path), Some(*line), Some(rule.clone()), message.clone())
        }
        Error::Default { .. } | Error::DuplicateDefault { .. } | Error::DuplicateScope { .. } => {
            (None, None, None, error.to_string())
        }
    };
    Problem { kind: ProblemKind::Unloadable, file: file.cloned(), line, rule, message }
}

fn check_files(
    problems: &mut Vec<Problem>,
    files: &[PolicyFile],
    defaults: &[RuleDefault],
    options: &Options,
) {
    let set = match RuleSet::build(defaults, files, options.settings()) {
        Ok(set) => set,
        Err(error) => return problems.push(unloadable(&error)),
    };
    let known: HashMap<&str, &RuleDefault> = defaults.iter().map(|default| (default.name, default)).collect();
    let renamed: HashMap<&str, &str> = defaults
        .iter()
        .filter_map(|default| default.deprecated.as_ref().map(|old| (old.name, default.name)))
        .filter(|(old, new)| old != new)
        .collect();
    let mut referred: HashSet<&str> = HashSet::new();
    for (name, entry) in set.entries() {
        referred.extend(entry.check.references().into_iter().filter(|reference| *reference != name));
    }
    for file in files {
        let first = problems.len();
        problems.extend(file.content.errors.iter().map(unloadable));
        let mut names = HashSet::new();
        for rule in &file.content.rules {
            let name = rule.name.as_str();
            let mut add = |kind, message: String| {
                problems.push(Problem {
                    kind,
                    file: Some(file.path.as_ref().clone()),
                    line: Some(rule.line),
                    rule: Some(name.to_owned()),
                    message,
                });
            };
            if !names.insert(name) {
                add(
                    ProblemKind::DuplicateRule,
                    "occurs in the file before; the last value applies".to_owned(),
                );
            }
            if rule.empty {
                add(
                    ProblemKind::EmptyValue,
                    "has no value, which allows every caller; write \"@\" if that is intended".to_owned(),
                );
            }
            let parsed = &rule.parsed;
            if !parsed.problems.is_empty() {
                add(ProblemKind::Unparsable, parsed.problems.join("; "));
            }
            if let Some(new) = renamed.get(name) {
                add(ProblemKind::DeprecatedName, format!("is the former name of {new}"));
            } else if let Some(default) = known.get(name) {
                let is_default =
                    parse_text(default.check_str).is_ok_and(|default| default.check == parsed.check);
                if parsed.problems.is_empty() && is_default {
                    add(ProblemKind::Redundant, "repeats the default".to_owned());
                }
            } else if name != options.default_rule && !referred.contains(name) {
                add(
                    ProblemKind::UnknownRule,
                    "the service has no such rule, and no rule refers to it".to_owned(),
                );
            }
        }
        problems[first..].sort_by_key(|problem| problem.line);
    }
    let without_value: HashSet<String> = problems
        .iter()
        .filter(|problem| problem.kind == ProblemKind::EmptyValue)
        .filter_map(|problem| problem.rule.clone())
        .collect();
    let first = problems.len();
    check_references(problems, &set);
    // A rule without a value is already reported.
    let mut at = 0;
    problems.retain(|problem| {
        at += 1;
        let reported = problem.rule.as_ref().is_some_and(|rule| without_value.contains(rule));
        at <= first || problem.kind != ProblemKind::AllowsEveryone || !reported
    });
}

/// Adds the problems of the rules in force. They have a file and a line if the rule comes from a file.
fn check_references(problems: &mut Vec<Problem>, set: &RuleSet) {
    let origins: HashMap<&str, &RuleOrigin> =
        set.entries().map(|(name, entry)| (name, &entry.origin)).collect();
    let mut add = |kind, rule: &str, message: String| {
        let (file, line) = match origins.get(rule) {
            Some(RuleOrigin::File { path, line } | RuleOrigin::DeprecatedName { path, line, .. }) => {
                (Some(PathBuf::clone(path)), Some(*line))
            }
            _ => (None, None),
        };
        problems.push(Problem { kind, file, line, rule: Some(rule.to_owned()), message });
    };
    for (rule, through) in set.open_to_everyone() {
        let message = match through {
            None => "allows every caller, regardless of roles and project".to_owned(),
            Some(through) => format!("allows every caller, through rule:{through}"),
        };
        add(ProblemKind::AllowsEveryone, rule, message);
    }
    for (rule, missing) in set.undefined_references() {
        let message = format!("refers to rules that do not exist: {}", missing.join(", "));
        add(ProblemKind::UndefinedReference, rule, message);
    }
    for rule in set.cyclic() {
        let message = "is part of a cycle of references or refers to one, so it cannot be decided".to_owned();
        add(ProblemKind::Cycle, rule, message);
    }
}

/// Returns the problems of a text, as if it were the content of the policy file `name`.
#[must_use]
pub fn check_text(text: &str, name: &str, defaults: &[RuleDefault], options: &Options) -> Vec<Problem> {
    let path = PathBuf::from(name);
    let mut problems = Vec::new();
    match crate::file::read(text, &path) {
        Ok(content) => {
            let files = [PolicyFile { path: Arc::new(path), content }];
            check_files(&mut problems, &files, defaults, options);
        }
        Err(error) => problems.push(unloadable(&error)),
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defaults::DeprecatedRule;

    const PLAIN: RuleDefault = RuleDefault {
        name: "",
        check_str: "role:admin",
        description: "",
        operations: &[],
        scope_types: &[],
        deprecated: None,
    };

    fn found(text: &str) -> Vec<(ProblemKind, u64, String)> {
        let defaults = [
            RuleDefault { name: "a", ..PLAIN },
            RuleDefault {
                name: "b",
                deprecated: Some(DeprecatedRule {
                    name: "old_b",
                    check_str: "@",
                    reason: "renamed",
                    since: "1",
                }),
                ..PLAIN
            },
        ];
        check_text(text, "p.yaml", &defaults, &Options::default())
            .into_iter()
            .map(|problem| {
                assert!(problem.to_string().starts_with("p.yaml:"), "{problem}");
                (problem.kind, problem.line.unwrap_or(0), problem.rule.unwrap_or_default())
            })
            .collect()
    }

    #[test]
    fn each_kind_names_line_and_rule() {
        use ProblemKind::{
            AllowsEveryone, Cycle, DeprecatedName, DuplicateRule, EmptyValue, Redundant, UndefinedReference,
            UnknownRule, Unloadable, Unparsable,
        };
        type Found = &'static [(ProblemKind, u64, &'static str)];
        let cases: [(&str, Found); 12] = [
            ("a: role:other\n", &[]),
            ("a: rule:helper\nhelper: role:x\ndefault: '!'\n", &[]),
            ("a: '!'\nb: \"@\"\n", &[(AllowsEveryone, 2, "b")]),
            ("\nc: role:x\n", &[(UnknownRule, 2, "c")]),
            ("a: role:x\na: role:y\n", &[(DuplicateRule, 2, "a")]),
            ("a: role:x and\nb: admin\n", &[(Unparsable, 1, "a"), (Unparsable, 2, "b")]),
            ("a: class:x\nb: role:x or 'x':%(y\n", &[(Unloadable, 1, "a"), (Unloadable, 2, "b")]),
            ("a: rule:gone or role:x\n", &[(UndefinedReference, 1, "a")]),
            (
                "a: not rule:x\nx: rule:y\ny: rule:x\nb: rule:a or role:x",
                &[(Cycle, 1, "a"), (Cycle, 4, "b"), (Cycle, 2, "x"), (Cycle, 3, "y")],
            ),
            ("a:\nold_b: role:x\n", &[(EmptyValue, 1, "a"), (DeprecatedName, 2, "old_b")]),
            ("a: 'role:admin'\n", &[(Redundant, 1, "a")]),
            ("a: b\nb: [\n", &[(Unloadable, 2, "")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> =
                expected.iter().map(|(kind, line, rule)| (*kind, *line, (*rule).to_owned())).collect();
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn every_way_to_allow_every_caller_is_found() {
        let open = |text: &str| {
            found(text)
                .into_iter()
                .filter(|(kind, ..)| *kind == ProblemKind::AllowsEveryone)
                .map(|(_, _, rule)| rule)
                .collect::<Vec<_>>()
        };
        for value in [
            "''",
            "[]",
            "'@'",
            "'( @ )'",
            "role:x or @",
            "'@ or role:x'",
            "'(role:x and role:y) or (@ and @)'",
            "not !",
            "'not (! and role:x)'",
            "[['@'], ['role:x']]",
            "\"'a':a\"",
            "True:True",
        ] {
            assert_eq!(open(&format!("a: {value}\n")), ["a"], "{value}");
        }
        for value in [
            "'!'",
            "role:x",
            "[[]]",
            "'@ and role:x'",
            "not @",
            "\"'a':b\"",
            "\"'a':%(a)s\"",
            "rule:gone",
            "role:x or !",
        ] {
            assert!(open(&format!("a: {value}\n")).is_empty(), "{value}");
        }
        assert_eq!(open("a: rule:all\nall: rule:really\nreally: '@'\n"), ["a", "all", "really"]);
        // A reference to a cycle decides nothing.
        assert!(open("a: rule:x or role:y\nx: rule:a\n").is_empty());
        // The default rule replaces a rule that does not exist.
        assert_eq!(open("a: rule:gone\ndefault: ''\n"), ["a", "default"]);
    }

    #[test]
    fn a_default_that_a_file_opens_to_every_caller_is_found() {
        let defaults = [
            RuleDefault { name: "base", ..PLAIN },
            RuleDefault { name: "jobs:get", check_str: "rule:base or role:reader", ..PLAIN },
        ];
        let problems = check_text("base: ''\n", "p.yaml", &defaults, &Options::default());
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let expected = [
            "p.yaml:1: base: allows every caller, regardless of roles and project",
            "jobs:get: allows every caller, through rule:base",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_missing_file_is_advice() {
        let options =
            Options { policy_file: Some(PathBuf::from("/nonexistent/policy.yaml")), ..Options::default() };
        let problems = check(&[], &options);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].kind, ProblemKind::MissingFile);
        assert!(!problems[0].kind.is_error());
    }
}
