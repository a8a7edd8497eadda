//! Text (or the old lists of lists) to a tree of checks.
//! What a single check means is `check`'s part; YAML is `file`'s.
//!
//! The grammar is what oslo.policy's greedy reductions accept, which is less than a grammar with
//! precedence would: `not` binds to the one check behind it, `and` before `or`, and anything
//! that does not reduce to one check denies.

use crate::check::{Check, MAX_DEPTH};
use crate::python::text::is_space;

/// A parsed rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parsed {
    /// What decides; denies where the text makes no sense.
    pub(crate) check: Check,
    /// What was wrong with the text.
    pub(crate) problems: Vec<String>,
}

/// A rule as a policy file holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// The policy language.
    Text(String),
    /// The old syntax: an outer "or" of inner "and"s.
    Lists(Vec<Alternative>),
}

/// An element of the outer list of the old syntax.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Alternative {
    /// A single check.
    Single(String),
    /// Checks that must all hold; nothing stands for an element that is no text.
    All(Vec<Option<String>>),
}

/// Parses a rule of either syntax.
pub(crate) fn parse_rule(source: &Source) -> Parsed {
    match source {
        Source::Text(text) => parse_text(text),
        Source::Lists(lists) => parse_lists(lists),
    }
}

/// Parses a rule of the policy language.
pub(crate) fn parse_text(text: &str) -> Parsed {
    if text.is_empty() {
        return Parsed { check: Check::True, problems: Vec::new() };
    }
    let mut parser = Parser { stack: Vec::new(), problems: Vec::new(), too_deep: false };
    for token in text.split(is_space).filter(|token| !token.is_empty()) {
        parser.token(token);
    }
    parser.finish()
}

fn parse_lists(lists: &[Alternative]) -> Parsed {
    if lists.is_empty() {
        return Parsed { check: Check::True, problems: Vec::new() };
    }
    let mut problems = Vec::new();
    let mut alternatives = Vec::new();
    for alternative in lists {
        let checks = match alternative {
            Alternative::Single(text) if text.is_empty() => continue,
            Alternative::Single(text) => vec![parse_check(text, &mut problems)],
            Alternative::All(texts) if texts.is_empty() => continue,
            Alternative::All(texts) => texts
                .iter()
                .map(|text| match text {
                    Some(text) => parse_check(text, &mut problems),
                    None => {
                        problems.push("a check in a list is not a text".to_owned());
                        Check::False
                    }
                })
                .collect(),
        };
        alternatives.push(single_or(checks, Check::And));
    }
    let check = if alternatives.is_empty() {
        problems.push("the list has only empty elements, which denies".to_owned());
        Check::False
    } else {
        single_or(alternatives, Check::Or)
    };
    Parsed { check, problems }
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

/// One check, without spaces, brackets or operators.
fn parse_check(text: &str, problems: &mut Vec<String>) -> Check {
    match text {
        "!" => return Check::False,
        "@" => return Check::True,
        _ => {}
    }
    let Some((kind, matched)) = text.split_once(':') else {
        problems.push(format!("{text:?} is not of the form kind:match"));
        return Check::False;
    };
    Check::from_parts(kind, matched)
}

/// An element of the reduction stack. Checks carry their depth, so that a rule that would
/// overflow the stack of whoever evaluates it is never built.
#[derive(Debug)]
enum Element {
    Open,
    Close,
    And,
    Or,
    Not,
    /// Reduces with nothing.
    Quoted,
    Check(Deep),
    AndExpr(Vec<Deep>),
    OrExpr(Vec<Deep>),
}

/// A check and how many levels it has.
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

struct Parser {
    stack: Vec<Element>,
    problems: Vec<String>,
    too_deep: bool,
}

impl Parser {
    fn token(&mut self, token: &str) {
        let rest = token.trim_start_matches('(');
        for _ in 0..token.len() - rest.len() {
            self.shift(Element::Open);
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
                Element::Check((parse_check(clean, &mut self.problems), 1))
            };
            self.shift(element);
        }
        for _ in 0..rest.len() - clean.len() {
            self.shift(Element::Close);
        }
    }

    fn shift(&mut self, element: Element) {
        self.stack.push(element);
        while self.reduce() {}
    }

    /// Applies the first reduction that fits the top of the stack.
    fn reduce(&mut self) -> bool {
        use Element::{And, AndExpr, Check as Operand, Close, Not, Open, Or, OrExpr};
        let length = self.stack.len();
        let fits_three = match self.stack.as_slice() {
            [.., Open, inner, Close] => inner.is_operand(),
            [.., Operand(..) | AndExpr(..) | OrExpr(..), And | Or, Operand(..)] => {
                // `a and b or c` reduces, `(a or b)` as a whole is an operand already.
                true
            }
            _ => false,
        };
        if fits_three {
            let last: Vec<Element> = self.stack.drain(length - 3..).collect();
            let Ok([first, middle, third]) = <[Element; 3]>::try_from(last) else { return false };
            let reduced = self.join(first, middle, third);
            self.stack.extend(reduced);
            return true;
        }
        if matches!(self.stack.as_slice(), [.., Not, Operand(..)])
            && let Some((check, depth)) = self.stack.pop().and_then(Element::into_check)
        {
            self.stack.pop();
            let negated = self.limited((Check::Not(Box::new(check)), depth + 1));
            self.stack.push(Operand(negated));
            return true;
        }
        false
    }

    /// What three elements become that [`reduce`](Self::reduce) found to fit.
    fn join(&mut self, first: Element, middle: Element, third: Element) -> Option<Element> {
        if matches!(first, Element::Open) {
            let inner = middle.into_check()?;
            return Some(Element::Check(self.limited(inner)));
        }
        let check = third.into_check()?;
        let is_and = matches!(middle, Element::And);
        match (first, is_and) {
            (Element::AndExpr(mut checks), true) => {
                checks.push(check);
                Some(Element::AndExpr(checks))
            }
            (Element::OrExpr(mut checks), false) => {
                checks.push(check);
                Some(Element::OrExpr(checks))
            }
            // `a or b and c`: the last alternative takes the check.
            (Element::OrExpr(mut checks), true) => {
                let last = match checks.pop()? {
                    (Check::And(mut inner), depth) => {
                        inner.push(check.0);
                        (Check::And(inner), depth.max(check.1 + 1))
                    }
                    last => joined(vec![last, check], Check::And),
                };
                checks.push(self.limited(last));
                Some(Element::OrExpr(checks))
            }
            (first, is_and) => {
                let checks = vec![self.limited(first.into_check()?), check];
                Some(if is_and { Element::AndExpr(checks) } else { Element::OrExpr(checks) })
            }
        }
    }

    /// The check, unless it nests too deeply.
    fn limited(&mut self, (check, depth): Deep) -> Deep {
        if depth < MAX_DEPTH {
            return (check, depth);
        }
        self.too_deep = true;
        (Check::False, 1)
    }

    fn finish(mut self) -> Parsed {
        let result = self.stack.pop().filter(|_| self.stack.is_empty());
        let check = match result.and_then(Element::into_check) {
            Some((check, _)) => check,
            None => {
                self.problems.push("the text does not make a rule".to_owned());
                Check::False
            }
        };
        let check = if self.too_deep { Check::TooDeep } else { check };
        Parsed { check, problems: self.problems }
    }
}

fn is_quoted(token: &str) -> bool {
    ['"', '\''].iter().any(|&quote| token.len() >= 2 && token.starts_with(quote) && token.ends_with(quote))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        parse_text(text).check.to_string()
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
        let all =
            |texts: &[&str]| Alternative::All(texts.iter().map(|text| Some((*text).to_owned())).collect());
        let canonical = |lists: Vec<Alternative>| parse_rule(&Source::Lists(lists)).check.to_string();
        assert_eq!(canonical(vec![]), "@");
        assert_eq!(canonical(vec![all(&[])]), "!");
        assert_eq!(canonical(vec![all(&["a:1"])]), "a:1");
        assert_eq!(canonical(vec![all(&["a:1", "b:2 or c"]), all(&[])]), "(a:1 and b:2 or c)");
        assert_eq!(
            canonical(vec![Alternative::Single("a:1".to_owned()), Alternative::All(vec![None])]),
            "(a:1 or !)"
        );
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(parse_text(&("not ".repeat(1_000_000) + "@")).check, Check::TooDeep);
        assert_eq!(parse_text(&("(".repeat(100_000) + "@" + &")".repeat(100_000))).check, Check::True);
        let tail = ")".repeat(5_000);
        assert_eq!(parse_text(&("(@ and ".repeat(5_000) + "@" + &tail)).check, Check::TooDeep);
        assert_ne!(parse_text(&("not ".repeat(250) + "@")).check, Check::TooDeep);
    }
}
