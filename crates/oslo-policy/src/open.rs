//! Finds rules that allow everyone, by what their text says alone. For [`lint`](crate::lint); no decision about a caller
//! is made here.

use std::collections::HashMap;

use crate::check::Check;
use crate::python::literal::Kind;
use crate::rules::RuleSet;

/// What a check decides, if that is the same for every caller and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fixed {
    Allows,
    Denies,
    Depends,
}

impl RuleSet {
    /// Returns the rules that allow everyone, sorted, each with the rule through which it does, if it is another one.
    pub(crate) fn open_to_everyone(&self) -> Vec<(&str, Option<&str>)> {
        let mut fixed = FixedRules { rules: self, known: HashMap::new() };
        let mut found = Vec::new();
        for (name, entry) in self.entries() {
            if fixed.rule(name) == Fixed::Allows {
                found.push((name, fixed.through(&entry.check)));
            }
        }
        found.sort_unstable();
        found
    }
}

struct FixedRules<'s> {
    rules: &'s RuleSet,
    /// A rule that is being looked at depends: a cycle of references decides nothing.
    known: HashMap<&'s str, Fixed>,
}

impl<'s> FixedRules<'s> {
    fn rule(&mut self, name: &'s str) -> Fixed {
        if let Some(fixed) = self.known.get(name) {
            return *fixed;
        }
        self.known.insert(name, Fixed::Depends);
        // as a decision does it: the default rule answers for a rule that does not exist
        let fixed = self.rules.resolve(name).map_or(Fixed::Denies, |check| self.check(check));
        self.known.insert(name, fixed);
        fixed
    }

    fn check(&mut self, check: &'s Check) -> Fixed {
        match check {
            Check::True => Fixed::Allows,
            Check::False => Fixed::Denies,
            Check::Not(check) => match self.check(check) {
                Fixed::Allows => Fixed::Denies,
                Fixed::Denies => Fixed::Allows,
                Fixed::Depends => Fixed::Depends,
            },
            Check::And(checks) => self.joined(checks, Fixed::Denies, Fixed::Allows),
            Check::Or(checks) => self.joined(checks, Fixed::Allows, Fixed::Denies),
            Check::Rule(name) => self.rule(name),
            Check::Generic { right, kind: Kind::Literal(text), .. } if !right.contains('%') => {
                if text == right { Fixed::Allows } else { Fixed::Denies }
            }
            _ => Fixed::Depends,
        }
    }

    /// `one` if any of the checks is that, `all` if every one is that.
    fn joined(&mut self, checks: &'s [Check], one: Fixed, all: Fixed) -> Fixed {
        let parts: Vec<Fixed> = checks.iter().map(|check| self.check(check)).collect();
        if parts.contains(&one) {
            one
        } else if parts.iter().all(|part| *part == all) {
            all
        } else {
            Fixed::Depends
        }
    }

    /// The first rule that the check refers to and that allows everyone. None if the check itself says so.
    fn through(&mut self, check: &'s Check) -> Option<&'s str> {
        let mut itself = false;
        check.walk(&mut |part| {
            let composed = matches!(part, Check::Rule(_) | Check::And(_) | Check::Or(_));
            itself |= !composed && self.check(part) == Fixed::Allows;
        });
        if itself {
            return None;
        }
        check.references().into_iter().find(|name| self.rule(name) == Fixed::Allows)
    }
}
