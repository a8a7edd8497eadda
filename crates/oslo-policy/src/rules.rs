//! [`RuleSet`]: the rules in force. Policy files override the service's defaults, also by the rule names of earlier
//! releases. Reading files belongs in `loader`.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::check::Check;
use crate::defaults::RuleDefault;
use crate::error::Error;
use crate::file::FileContent;
use crate::parser::{ParsedRule, parse_text};

/// The source of a rule's check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleOrigin {
    /// The service's default.
    Default,
    /// The service's default or the default of the earlier release: it is enough if one of them allows.
    DefaultOrDeprecated,
    /// A policy file.
    File {
        /// The file.
        path: Arc<PathBuf>,
        /// The line of the value, counted from 1.
        line: u64,
    },
    /// A policy file that uses the name of an earlier release.
    DeprecatedName {
        /// That name.
        name: String,
        /// The file.
        path: Arc<PathBuf>,
        /// The line of the value, counted from 1.
        line: u64,
    },
}

/// A rule in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveRule {
    /// The rule's name.
    pub name: String,
    /// Its check in canonical form: `@` for an empty rule, `!` for a text that does not form a rule.
    pub check: String,
    /// The source of the check.
    pub origin: RuleOrigin,
}

/// The rules of one file.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    /// The file.
    pub(crate) path: Arc<PathBuf>,
    /// Its rules.
    pub(crate) content: FileContent,
}

/// The options that decide which rules are in this set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleSettings<'s> {
    /// The rule that replaces every rule that does not exist.
    pub(crate) default_rule: &'s str,
    /// Whether the defaults of earlier releases are ignored.
    pub(crate) enforce_new_defaults: bool,
}

#[derive(Debug)]
pub(crate) struct RuleEntry {
    pub(crate) check: Check,
    pub(crate) origin: RuleOrigin,
}

/// All rules in force. A reload builds a new set.
#[derive(Debug, Default)]
pub(crate) struct RuleSet {
    rules: HashMap<String, RuleEntry>,
    default_rule: String,
    /// Rules whose evaluation can reach an `http:` or `https:` check.
    remote: HashSet<String>,
}

impl RuleSet {
    /// Merges the defaults and the files. Later files override earlier ones. A text that does not form a rule denies and is
    /// logged. An error is that of a default, which only the service can correct.
    pub(crate) fn build(
        defaults: &[RuleDefault],
        files: &[PolicyFile],
        settings: RuleSettings<'_>,
    ) -> Result<RuleSet, Error> {
        let mut overrides: HashMap<&str, RuleEntry> = HashMap::new();
        for file in files {
            for rule in &file.content.rules {
                let parsed = &rule.parsed;
                if !parsed.problems.is_empty() {
                    tracing::error!(
                        rule = rule.name,
                        file = %file.path.display(),
                        line = rule.line,
                        "policy rule cannot be understood and denies: {}",
                        parsed.problems.join("; "),
                    );
                }
                let origin = RuleOrigin::File { path: Arc::clone(&file.path), line: rule.line };
                overrides.insert(&rule.name, RuleEntry { check: parsed.check.clone(), origin });
            }
        }
        let mut added = Vec::new();
        for default in defaults {
            if overrides.contains_key(default.name) {
                parse_default(default, default.check_str)?;
                if let Some(deprecated) = &default.deprecated {
                    parse_default(default, deprecated.check_str)?;
                }
            } else {
                added.push((default.name, default_entry(default, &overrides, settings)?));
            }
        }
        overrides.extend(added);
        let rules = overrides.into_iter().map(|(name, entry)| (name.to_owned(), entry)).collect();
        let mut set =
            RuleSet { rules, default_rule: settings.default_rule.to_owned(), remote: HashSet::new() };
        set.remote = set.find_remote();
        Ok(set)
    }

    /// Returns the check of a rule, or of the default rule if the rule does not exist.
    pub(crate) fn resolve(&self, name: &str) -> Option<&Check> {
        let entry = self.rules.get(name).or_else(|| self.rules.get(&self.default_rule));
        entry.map(|entry| &entry.check)
    }

    /// Returns whether evaluating a rule can reach an `http:` or `https:` check.
    pub(crate) fn needs_remote(&self, name: &str) -> bool {
        if self.remote.is_empty() {
            return false;
        }
        let name = if self.rules.contains_key(name) { name } else { &self.default_rule };
        self.remote.contains(name)
    }

    /// Returns whether any rule has an `https:` check.
    pub(crate) fn has_https_check(&self) -> bool {
        let mut found = false;
        for (_, entry) in self.entries() {
            entry.check.walk(&mut |check| {
                found |= matches!(check, Check::Remote(url) if url.to_string().starts_with("https:"));
            });
        }
        found
    }

    /// Returns the names of all rules, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.rules.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Returns all rules, sorted by name.
    pub(crate) fn effective(&self) -> Vec<EffectiveRule> {
        let mut rules: Vec<_> = self
            .rules
            .iter()
            .map(|(name, entry)| EffectiveRule {
                name: name.clone(),
                check: entry.check.to_string(),
                origin: entry.origin.clone(),
            })
            .collect();
        rules.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        rules
    }

    /// Iterates over all rules in no particular order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &RuleEntry)> {
        self.rules.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// Returns the rules that refer to rules that do not exist, sorted, each with those names. (If a default rule exists,
    /// it replaces the missing rules.)
    pub(crate) fn undefined_references(&self) -> Vec<(&str, Vec<&str>)> {
        let mut found: Vec<_> = self
            .entries()
            .filter_map(|(name, entry)| {
                let mut missing = entry.check.references();
                missing.retain(|reference| !self.rules.contains_key(*reference));
                missing.dedup();
                (!missing.is_empty()).then_some((name, missing))
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// Returns the rules that refer to themselves, directly or through others, and the rules that refer to such a rule,
    /// sorted.
    pub(crate) fn cyclic(&self) -> Vec<&str> {
        // A rule is settled if all of its references are settled. The remaining rules are cyclic.
        let mut waiting: HashMap<&str, usize> = HashMap::new();
        let mut referred_by: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut settled = Vec::new();
        for (name, entry) in self.entries() {
            let references: HashSet<_> =
                entry.check.references().into_iter().filter_map(|name| self.defined(name)).collect();
            if references.is_empty() {
                settled.push(name);
            } else {
                waiting.insert(name, references.len());
            }
            for reference in references {
                referred_by.entry(reference).or_default().push(name);
            }
        }
        while let Some(name) = settled.pop() {
            for referrer in referred_by.remove(name).unwrap_or_default() {
                if let Some(count) = waiting.get_mut(referrer) {
                    *count -= 1;
                    if *count == 0 {
                        waiting.remove(referrer);
                        settled.push(referrer);
                    }
                }
            }
        }
        let mut cyclic: Vec<_> = waiting.into_keys().collect();
        cyclic.sort_unstable();
        cyclic
    }

    /// Logs undefined references and cycles, as oslo.policy does after loading.
    pub(crate) fn log_mistakes(&self) {
        for (rule, missing) in self.undefined_references() {
            tracing::warn!(rule, "policy rule refers to rules that do not exist: {}", missing.join(", "));
        }
        for rule in self.cyclic() {
            tracing::warn!(rule, "policy rule leads to a cycle of references and may not be decidable");
        }
    }

    /// Returns the name of the rule that a reference resolves to.
    fn defined<'s>(&'s self, name: &'s str) -> Option<&'s str> {
        if self.rules.contains_key(name) {
            Some(name)
        } else {
            self.rules.contains_key(&self.default_rule).then_some(self.default_rule.as_str())
        }
    }

    fn find_remote(&self) -> HashSet<String> {
        let mut referred_by: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut open = Vec::new();
        for (name, entry) in self.entries() {
            entry.check.walk(&mut |check| match check {
                Check::Remote(_) => open.push(name),
                Check::Rule(reference) => {
                    if let Some(reference) = self.defined(reference) {
                        referred_by.entry(reference).or_default().push(name);
                    }
                }
                _ => {}
            });
        }
        let mut found = HashSet::new();
        while let Some(name) = open.pop() {
            if found.insert(name.to_owned()) {
                open.extend(referred_by.get(name).into_iter().flatten());
            }
        }
        found
    }
}

/// Returns the entry of a rule that no file overrides by its current name.
fn default_entry(
    default: &RuleDefault,
    overrides: &HashMap<&str, RuleEntry>,
    settings: RuleSettings<'_>,
) -> Result<RuleEntry, Error> {
    let parsed = parse_default(default, default.check_str)?;
    if !parsed.problems.is_empty() {
        tracing::error!(
            rule = default.name,
            "the default of a policy rule cannot be understood and denies: {}",
            parsed.problems.join("; "),
        );
    }
    let check = parsed.check;
    let Some(deprecated) = &default.deprecated else {
        return Ok(RuleEntry { check, origin: RuleOrigin::Default });
    };
    let old = parse_default(default, deprecated.check_str)?.check;
    if deprecated.name != default.name
        && let Some(RuleEntry { check: overridden, origin: RuleOrigin::File { path, line } }) =
            overrides.get(deprecated.name)
    {
        tracing::warn!(
            rule = default.name,
            deprecated = deprecated.name,
            since = deprecated.since,
            file = %path.display(),
            line,
            "a policy file uses the former name of a rule: {}",
            deprecated.reason,
        );
        // The override has no effect if it repeats the former default or refers to the new name.
        let forwards = overridden.to_string() == format!("rule:{}", default.name);
        if *overridden != old && !forwards {
            let origin = RuleOrigin::DeprecatedName {
                name: deprecated.name.to_owned(),
                path: Arc::clone(path),
                line: *line,
            };
            return Ok(RuleEntry { check: overridden.clone(), origin });
        }
    }
    if !settings.enforce_new_defaults && deprecated.check_str != default.check_str {
        tracing::warn!(
            rule = default.name,
            since = deprecated.since,
            "the default of a policy rule has changed; the former default still allows as well: {}",
            deprecated.reason,
        );
        return Ok(RuleEntry { check: Check::Or(vec![check, old]), origin: RuleOrigin::DefaultOrDeprecated });
    }
    Ok(RuleEntry { check, origin: RuleOrigin::Default })
}

fn parse_default(default: &RuleDefault, text: &str) -> Result<ParsedRule, Error> {
    parse_text(text).map_err(|message| Error::Default { rule: default.name, message })
}
