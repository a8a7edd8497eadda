//! Finds rules that allow every caller, by their checks alone. Used by [`lint`](crate::lint). Decisions about a caller
//! belong in `check`.

use std::collections::HashMap;

use crate::check::Check;
use crate::operand::Operand;
use crate::rules::RuleSet;

/// The decision of a check, if it is the same for every caller and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FixedDecision {
    Allows,
    Denies,
    Depends,
}

impl RuleSet {
    /// Returns the rules that allow every caller, sorted. If a rule does so through a reference, its entry names that rule.
    pub(crate) fn open_to_everyone(&self) -> Vec<(&str, Option<&str>)> {
        let mut fixed = FixedRules { rules: self, known: HashMap::new() };
        let mut found = Vec::new();
        for (name, entry) in self.entries() {
            if fixed.rule(name) == FixedDecision::Allows {
                found.push((name, fixed.through(&entry.check)));
            }
        }
        found.sort_unstable();
        found
    }
}

struct FixedRules<'s> {
    rules: &'s RuleSet,
    /// A rule counts as `Depends` while it is being examined, because a cycle of references decides nothing.
    known: HashMap<&'s str, FixedDecision>,
}

impl<'s> FixedRules<'s> {
    fn rule(&mut self, name: &'s str) -> FixedDecision {
        if let Some(fixed) = self.known.get(name) {
            return *fixed;
        }
        self.known.insert(name, FixedDecision::Depends);
        // As in a decision, the default rule replaces a rule that does not exist.
        let fixed = self.rules.resolve(name).map_or(FixedDecision::Denies, |check| self.check(check));
        self.known.insert(name, fixed);
        fixed
    }

    fn check(&mut self, check: &'s Check) -> FixedDecision {
        match check {
            Check::True => FixedDecision::Allows,
            Check::False => FixedDecision::Denies,
            Check::Not(check) => match self.check(check) {
                FixedDecision::Allows => FixedDecision::Denies,
                FixedDecision::Denies => FixedDecision::Allows,
                FixedDecision::Depends => FixedDecision::Depends,
            },
            Check::And(checks) => self.joined(checks, FixedDecision::Denies, FixedDecision::Allows),
            Check::Or(checks) => self.joined(checks, FixedDecision::Allows, FixedDecision::Denies),
            Check::Rule(name) => self.rule(name),
            Check::Generic { operand: Operand::Literal(text), right, .. } => match right.constant() {
                Some(right) if right == text => FixedDecision::Allows,
                Some(_) => FixedDecision::Denies,
                None => FixedDecision::Depends,
            },
            _ => FixedDecision::Depends,
        }
    }

    /// Returns `one` if any check is `one`, and `all` if every check is `all`.
    fn joined(&mut self, checks: &'s [Check], one: FixedDecision, all: FixedDecision) -> FixedDecision {
        let parts: Vec<FixedDecision> = checks.iter().map(|check| self.check(check)).collect();
        if parts.contains(&one) {
            one
        } else if parts.iter().all(|part| *part == all) {
            all
        } else {
            FixedDecision::Depends
        }
    }

    /// Returns the first rule that the check refers to and that allows every caller. Returns none if a part of the check
    /// itself allows every caller.
    fn through(&mut self, check: &'s Check) -> Option<&'s str> {
        let mut itself = false;
        check.walk(&mut |part| {
            let composed = matches!(part, Check::Rule(_) | Check::And(_) | Check::Or(_));
            itself |= !composed && self.check(part) == FixedDecision::Allows;
        });
        if itself {
            return None;
        }
        check.references().into_iter().find(|name| self.rule(name) == FixedDecision::Allows)
    }
}
