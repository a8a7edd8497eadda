//! Parses a rule, in either syntax, into a tree of checks. A single check belongs in `check`, YAML in `file`.
//!
//! The grammar is the one that oslo.policy's greedy reductions accept. It is smaller than a grammar with
//! precedence: `not` applies to the next check only, `and` binds more tightly than `or`, and a text that does not reduce
//! to one check denies.

use crate::check::{Check, MAX_DEPTH};

/// A parsed rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParsedRule {
    /// The check that decides. It denies if the text does not form a rule, as in oslo.policy.
    pub(crate) check: Check,
    /// Why the text, or a part of it, denies.
    pub(crate) problems: Vec<String>,
}

/// A rule as a policy file contains it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RuleSource {
    /// The policy language.
    Text(String),
    /// The old syntax: a list of alternatives.
    Lists(Vec<Alternative>),
}

/// An element of the outer list of the old syntax: checks that must all hold. An empty element is skipped.
pub(crate) type Alternative = Vec<String>;

/// Parses a rule of either syntax. An error names the check that cannot be understood, and the correction.
pub(crate) fn parse_rule(source: &RuleSource) -> Result<ParsedRule, String> {
    match source {
        RuleSource::Text(text) => parse_text(text),
        RuleSource::Lists(lists) => parse_lists(lists),
    }
}

/// Parses a rule of the policy language. Errors are those of [`parse_rule`].
pub(crate) fn parse_text(text: &str) -> Result<ParsedRule, String> {
    if text.is_empty() {
        return Ok(ParsedRule { check: Check::True, problems: Vec::new() });
    }
    let mut parser = RuleParser { stack: Vec::new(), problems: Vec::new() };
    for token in text.split(is_space).filter(|token| !token.is_empty()) {
        parser.token(token)?;
    }
    Ok(parser.finish())
}

/// Returns whether Python's `\s` matches a character: Unicode white space and four ASCII separators that are not in it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

fn parse_lists(lists: &[Alternative]) -> Result<ParsedRule, String> {
    if lists.is_empty() {
        return Ok(ParsedRule { check: Check::True, problems: Vec::new() });
    }
    let mut problems = Vec::new();
    let mut alternatives = Vec::new();
    for alternative in lists.iter().filter(|checks| !checks.is_empty()) {
        let checks = alternative.iter().map(|text| parse_check(text, &mut problems));
        alternatives.push(single_or(checks.collect::<Result<_, _>>()?, Check::And));
    }
    let check = if alternatives.is_empty() {
        problems.push("the list has only empty elements, which denies".to_owned());
        Check::False
    } else {
        single_or(alternatives, Check::Or)
    };
    Ok(ParsedRule { check, problems })
}

fn single_or(mut checks: Vec<Check>, join: fn(Vec<Check>) -> Check) -> Check {
    match checks.pop() {
        Some(only) if checks.is_empty() => only,
        last => {
            checks.extend(last);
            join(checks)
        }
    }
}

/// Parses one check without spaces, brackets or operators. A text without a colon denies and is a problem.
fn parse_check(text: &str, problems: &mut Vec<String>) -> Result<Check, String> {
    match text {
        "!" => return Ok(Check::False),
        "@" => return Ok(Check::True),
        _ => {}
    }
    let Some((kind, matched)) = text.split_once(':') else {
        problems.push(format!("{text:?} is not of the form kind:match"));
        return Ok(Check::False);
    };
    Check::from_parts(kind, matched).map_err(|error| format!("in the check {text:?}: {error}"))
}

/// An element of the reduction stack. Checks carry their depth, because evaluating a rule that is too deep would overflow
/// the call stack.
#[derive(Debug)]
enum Element {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A text in quotes. It never reduces, so the rule denies.
    Quoted,
    Check(Deep),
    AndExpr(Vec<Deep>),
    OrExpr(Vec<Deep>),
}

/// A check and its number of levels.
type Deep = (Check, usize);

impl Element {
    fn into_check(self) -> Option<Deep> {
        match self {
            Element::Check(check) => Some(check),
            Element::AndExpr(checks) => Some(joined(checks, Check::And)),
            Element::OrExpr(checks) => Some(joined(checks, Check::Or)),
            _ => None,
        }
    }

    fn is_operand(&self) -> bool {
        matches!(self, Element::Check(..) | Element::AndExpr(..) | Element::OrExpr(..))
    }
}

fn joined(checks: Vec<Deep>, join: fn(Vec<Check>) -> Check) -> Deep {
    let deepest = checks.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
    (join(checks.into_iter().map(|(check, _)| check).collect()), deepest + 1)
}

struct RuleParser {
    stack: Vec<Element>,
    problems: Vec<String>,
}

impl RuleParser {
    fn token(&mut self, token: &str) -> Result<(), String> {
        let rest = token.trim_start_matches('(');
        for _ in 0..token.len() - rest.len() {
            self.shift(Element::Open)?;
        }
        let clean = rest.trim_end_matches(')');
        if !clean.is_empty() {
            let element = if clean.eq_ignore_ascii_case("and") {
                Element::And
            } else if clean.eq_ignore_ascii_case("or") {
                Element::Or
            } else if clean.eq_ignore_ascii_case("not") {
                Element::Not
            } else if is_quoted(rest) {
                self.problems.push(format!("the quoted text {rest} is not a check"));
                Element::Quoted
            } else {
                Element::Check((parse_check(clean, &mut self.problems)?, 1))
            };
            self.shift(element)?;
        }
        for _ in 0..rest.len() - clean.len() {
            self.shift(Element::Close)?;
        }
        Ok(())
    }

    fn shift(&mut self, element: Element) -> Result<(), String> {
        self.stack.push(element);
        while self.reduce()? {}
        Ok(())
    }

    /// Applies the first reduction that fits the top of the stack. Returns whether one did.
    fn reduce(&mut self) -> Result<bool, String> {
        use Element::{And, AndExpr, Check as Operand, Close, Not, Open, Or, OrExpr};
        let length = self.stack.len();
        let fits_three = match self.stack.as_slice() {
            [.., Open, inner, Close] => inner.is_operand(),
            [.., Operand(..) | AndExpr(..) | OrExpr(..), And | Or, Operand(..)] => true,
            _ => false,
        };
        if fits_three {
            let last: Vec<Element> = self.stack.drain(length - 3..).collect();
            let Ok([first, middle, third]) = <[Element; 3]>::try_from(last) else { return Ok(false) };
            self.stack.extend(join(first, middle, third)?);
            return Ok(true);
        }
        if matches!(self.stack.as_slice(), [.., Not, Operand(..)])
            && let Some((check, depth)) = self.stack.pop().and_then(Element::into_check)
        {
            self.stack.pop();
            self.stack.push(Operand(limited((Check::Not(Box::new(check)), depth + 1))?));
            return Ok(true);
        }
        Ok(false)
    }

    fn finish(mut self) -> ParsedRule {
        let result = self.stack.pop().filter(|_| self.stack.is_empty());
        let check = match result.and_then(Element::into_check) {
            Some((check, _)) => check,
            None => {
                self.problems.push("the text does not make a rule".to_owned());
                Check::False
            }
        };
        ParsedRule { check, problems: self.problems }
    }
}

/// Reduces three elements that [`RuleParser::reduce`] found to fit.
fn join(first: Element, middle: Element, third: Element) -> Result<Option<Element>, String> {
    if matches!(first, Element::Open) {
        return Ok(middle.into_check().map(limited).transpose()?.map(Element::Check));
    }
    let Some(check) = third.into_check() else { return Ok(None) };
    Ok(match (first, matches!(middle, Element::And)) {
        (Element::AndExpr(mut checks), true) => {
            checks.push(check);
            Some(Element::AndExpr(checks))
        }
        (Element::OrExpr(mut checks), false) => {
            checks.push(check);
            Some(Element::OrExpr(checks))
        }
        // `a or b and c`: the check joins the last alternative.
        (Element::OrExpr(mut checks), true) => {
            let last = match checks.pop() {
                Some((Check::And(mut inner), depth)) => {
                    inner.push(check.0);
                    (Check::And(inner), depth.max(check.1 + 1))
                }
                last => joined(last.into_iter().chain([check]).collect(), Check::And),
            };
            checks.push(limited(last)?);
            Some(Element::OrExpr(checks))
        }
        (first, is_and) => {
            let Some(first) = first.into_check() else { return Ok(None) };
            let checks = vec![limited(first)?, check];
            Some(if is_and { Element::AndExpr(checks) } else { Element::OrExpr(checks) })
        }
    })
}

/// Returns the check, or an error if it has too many levels.
fn limited((check, depth): Deep) -> Result<Deep, String> {
    if depth < MAX_DEPTH {
        return Ok((check, depth));
    }
    Err(format!("the rule has more than {MAX_DEPTH} levels; split it into several rules"))
}

fn is_quoted(token: &str) -> bool {
    ['"', '\''].iter().any(|&quote| token.len() >= 2 && token.starts_with(quote) && token.ends_with(quote))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    fn canonical(text: &str) -> String {
        parse_text(text).unwrap().check.to_string()
    }

    #[test]
    fn precedence_and_reductions() {
        for (text, expected) in [
            ("", "@"),
            ("  ", "!"),
            ("a:b", "a:b"),
            ("a:1 and b:2 and c:3", "(a:1 and b:2 and c:3)"),
            ("a:1 or b:2 and c:3", "(a:1 or (b:2 and c:3))"),
            ("a:1 and b:2 or c:3", "((a:1 and b:2) or c:3)"),
            ("a:1 or (b:2 and c:3) and d:4", "(a:1 or (b:2 and c:3 and d:4))"),
            ("not a:1 and b:2", "(not a:1 and b:2)"),
            ("a:1 AND Not not b:2", "(a:1 and not not b:2)"),
            ("not (a:1 or b:2)", "not (a:1 or b:2)"),
            ("((@))", "@"),
            ("( a:1 )or b:2", "!"),
            ("(a:1)", "a:1"),
            ("a:(1)", "!"),
            ("role:admin and", "!"),
            ("a:%(x)s", "a:%(x)s"),
            ("and", "!"),
            ("a:1 b:2", "!"),
            ("'quoted'", "!"),
            ("('quoted')", "!"),
            ("'x':y", "'x':y"),
            ("a:1\u{1c}or\u{2003}b:2", "(a:1 or b:2)"),
        ] {
            assert_eq!(canonical(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lists() {
        let canonical = |lists: &[&[&str]]| {
            let lists = lists.iter().map(|checks| checks.iter().map(|&check| check.to_owned()).collect());
            parse_rule(&RuleSource::Lists(lists.collect())).unwrap().check.to_string()
        };
        assert_eq!(canonical(&[]), "@");
        assert_eq!(canonical(&[&[]]), "!");
        assert_eq!(canonical(&[&["a:1"]]), "a:1");
        assert_eq!(canonical(&[&["a:1", "b:2 or c"], &[]]), "(a:1 and b:2 or c)");
        assert_eq!(canonical(&[&["a:1"], &["@", "role:x"]]), "(a:1 or (@ and role:x))");
    }

    #[test]
    fn a_check_that_is_not_understood_is_an_error_that_names_it() {
        for (text, check) in [
            ("role:x or class:y", "class:y"),
            ("not ([1]:y)", "[1]:y"),
            ("a:%(x", "a:%(x"),
            ("role:%(x)d and role:y", "role:%(x)d"),
            ("http://server/a%20b", "http://server/a%20b"),
            ("'a:b':c", "'a:b':c"),
        ] {
            let error = parse_text(text).unwrap_err();
            assert!(
                error.contains(&format!("in the check {check:?}")) && error.contains("write"),
                "{text}: {error}"
            );
        }
        let lists = RuleSource::Lists(vec![vec!["role:x".to_owned(), "1+1:x".to_owned()]]);
        assert!(parse_rule(&lists).unwrap_err().contains("in the check \"1+1:x\""));
    }

    #[test]
    fn depth_is_bounded() {
        let too_deep =
            |text: String| parse_text(&text).is_err_and(|error| error.contains("more than 300 levels"));
        let tail = ")".repeat(5_000);
        assert!(too_deep("not ".repeat(1_000_000) + "@"));
        assert!(too_deep("(@ and ".repeat(5_000) + "@" + &tail));
        assert!(!too_deep("not ".repeat(250) + "@"));
        let brackets = "(".repeat(100_000) + "@" + &")".repeat(100_000);
        assert_eq!(parse_text(&brackets).unwrap().check, Check::True);
    }
}
