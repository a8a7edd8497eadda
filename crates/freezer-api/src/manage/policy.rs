//! `freezer-manage policy`: the sample file, the check of the configured files, and the effective rules. The
//! crate `oslo-policy` implements the rule language and finds mistakes. The rules are in [`policy`].

use std::collections::HashMap;
use std::io::Write;

use freezer_store::maintenance::Verdict;
use oslo_policy::lint::{self, Problem, ProblemKind};
use oslo_policy::{EffectiveRule, Enforcer, RuleDefault, RuleOrigin, sample};
use serde_json::{Value, json};

use crate::config::{ConfigError, PolicySettings};
use crate::policy;

/// The reason why a policy command failed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The configuration has no valid location of the rules.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A policy file cannot be loaded.
    #[error(transparent)]
    Rules(#[from] oslo_policy::Error),
    /// An error of the terminal.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

/// Prints all rules, commented out in the layout of oslopolicy-sample-generator, or as JSON.
pub fn print_sample(as_json: bool, out: &mut impl Write) -> Result<(), PolicyError> {
    let defaults = policy::all();
    if as_json {
        let rules: Vec<Value> = defaults.iter().map(described).collect();
        writeln!(out, "{:#}", Value::Array(rules))?;
    } else {
        out.write_all(sample::render(&defaults).as_bytes())?;
    }
    Ok(())
}

fn described(rule: &RuleDefault) -> Value {
    let operations: Vec<Value> =
        rule.operations.iter().map(|(method, path)| json!({"method": method, "path": path})).collect();
    json!({
        "name": rule.name,
        "default": rule.check_str,
        "description": rule.description,
        "operations": operations,
        "scope_types": rule.scope_types,
    })
}

/// Returns the severity of a problem.
fn verdict(kind: ProblemKind, file_is_named: bool) -> Verdict {
    match kind {
        // The effective rules do not depend on it, and most services have no policy file.
        ProblemKind::Redundant => Verdict::Success,
        ProblemKind::MissingFile if !file_is_named => Verdict::Success,
        kind if kind.is_error() => Verdict::Failure,
        _ => Verdict::Warning,
    }
}

/// Finds mistakes in the configured files and prints them as `file:line: rule: message`. Returns the worst
/// result. A failure means that the service would not start, or that a rule does not have its apparent
/// effect. A warning is a rule that allows every caller, a deprecated name, or a configured file that does
/// not exist.
pub fn check(settings: &PolicySettings, as_json: bool, out: &mut impl Write) -> Result<Verdict, PolicyError> {
    let found: Vec<(Verdict, Problem)> = lint::check(&policy::all(), &settings.options)
        .into_iter()
        .map(|problem| (verdict(problem.kind, settings.named), problem))
        .collect();
    let worst = found.iter().map(|(verdict, _)| *verdict).max().unwrap_or(Verdict::Success);
    if as_json {
        let problems: Vec<Value> =
            found.iter().map(|(verdict, problem)| as_value(*verdict, problem)).collect();
        writeln!(out, "{:#}", json!({"verdict": worst, "problems": problems}))?;
        return Ok(worst);
    }
    for (verdict, problem) in &found {
        writeln!(out, "{:<8} {problem}", word(*verdict))?;
    }
    if found.is_empty() {
        writeln!(out, "nothing is wrong with the policy files")?;
    }
    Ok(worst)
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Success => "note",
        Verdict::Warning => "warning",
        Verdict::Failure => "failure",
    }
}

fn as_value(verdict: Verdict, problem: &Problem) -> Value {
    json!({
        "severity": word(verdict),
        "kind": kind_name(problem.kind),
        "file": problem.file,
        "line": problem.line,
        "rule": problem.rule,
        "message": problem.message,
    })
}

/// Returns the name of the kind for programs. Names must never change.
fn kind_name(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Unloadable => "unloadable",
        ProblemKind::MissingFile => "missing_file",
        ProblemKind::UnknownRule => "unknown_rule",
        ProblemKind::DuplicateRule => "duplicate_rule",
        ProblemKind::Unparsable => "unparsable",
        ProblemKind::UndefinedReference => "undefined_reference",
        ProblemKind::Cycle => "cycle",
        ProblemKind::EmptyValue => "empty_value",
        ProblemKind::AllowsEveryone => "allows_everyone",
        ProblemKind::DeprecatedName => "deprecated_name",
        ProblemKind::Redundant => "redundant",
    }
}

/// Prints each effective rule with its check, its source and, if they differ, the service's default.
///
/// # Errors
/// If a policy file cannot be loaded.
pub fn list(settings: PolicySettings, as_json: bool, out: &mut impl Write) -> Result<(), PolicyError> {
    let rules = in_force(settings)?;
    if as_json {
        let rules: Vec<Value> = rules.iter().map(ComparedRule::to_value).collect();
        writeln!(out, "{:#}", Value::Array(rules))?;
        return Ok(());
    }
    let rows: Vec<[String; 4]> = std::iter::once(["RULE", "CHECK", "FROM", "DEFAULT"].map(str::to_owned))
        .chain(rules.iter().map(|rule| {
            let default = rule.default.map(|default| default.check_str);
            let default = default.filter(|_| !rule.is_default()).unwrap_or_default();
            [rule.effective.name.clone(), rule.check().to_owned(), rule.origin(), default.to_owned()]
        }))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [name, check, origin] = [width(0), width(1), width(2)];
    for row in &rows {
        let line = format!("{:<name$}  {:<check$}  {:<origin$}  {}", row[0], row[1], row[2], row[3]);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Prints the effective policy as a policy file, like oslopolicy-policy-generator. Each rule of a file is
/// below its source.
///
/// # Errors
/// If a policy file cannot be loaded.
pub fn show_effective(
    settings: PolicySettings,
    as_json: bool,
    out: &mut impl Write,
) -> Result<(), PolicyError> {
    let rules = in_force(settings)?;
    if as_json {
        let rules: serde_json::Map<String, Value> =
            rules.iter().map(|rule| (rule.effective.name.clone(), rule.check().into())).collect();
        writeln!(out, "{:#}", Value::Object(rules))?;
        return Ok(());
    }
    for rule in &rules {
        if !rule.is_default() {
            writeln!(out, "# {}", rule.origin())?;
        }
        // Texts of JSON are valid texts of YAML.
        writeln!(out, "{}: {}", Value::from(rule.effective.name.as_str()), Value::from(rule.check()))?;
    }
    Ok(())
}

/// An effective rule, and the service's own rule with the same name.
struct ComparedRule {
    effective: EffectiveRule,
    default: Option<&'static RuleDefault>,
}

fn in_force(settings: PolicySettings) -> Result<Vec<ComparedRule>, PolicyError> {
    let defaults: HashMap<&str, &'static RuleDefault> =
        policy::declared().map(|rule| (rule.name, rule)).collect();
    let enforcer = Enforcer::new(policy::all(), settings.options)?;
    let rules = enforcer.effective().into_iter().map(|effective| {
        let default = defaults.get(effective.name.as_str()).copied();
        ComparedRule { effective, default }
    });
    Ok(rules.collect())
}

impl ComparedRule {
    fn is_default(&self) -> bool {
        self.effective.origin == RuleOrigin::Default
    }

    /// Returns the check as the service declares it, otherwise in oslo.policy's canonical form.
    fn check(&self) -> &str {
        match self.default {
            Some(default) if self.is_default() => default.check_str,
            _ => &self.effective.check,
        }
    }

    fn origin(&self) -> String {
        match &self.effective.origin {
            RuleOrigin::Default => "default".to_owned(),
            RuleOrigin::DefaultOrDeprecated => "default, or that of an earlier release".to_owned(),
            RuleOrigin::File { path, line } => format!("{}:{line}", path.display()),
            RuleOrigin::DeprecatedName { name, path, line } => {
                format!("{}:{line} (as {name})", path.display())
            }
        }
    }

    fn to_value(&self) -> Value {
        let (file, line) = match &self.effective.origin {
            RuleOrigin::File { path, line } | RuleOrigin::DeprecatedName { path, line, .. } => {
                (Some(path), Some(line))
            }
            _ => (None, None),
        };
        json!({
            "name": self.effective.name,
            "check": self.check(),
            "default": self.default.map(|default| default.check_str),
            "description": self.default.map(|default| default.description),
            "file": file.map(|path| path.display().to_string()),
            "line": line,
        })
    }
}
