//! What `ast.literal_eval` makes of the text left of a check's colon.
//! The grammar is in `expression`; looking a name up in the credentials is `check`'s part.

use crate::python::expression::{Expression, parse};
use crate::python::text::{bytes_repr, complex_str, float_repr, str_repr};
use crate::python::token::{Number, SyntaxError, tokenize};

/// What the left side of a check stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A literal, by the text that Python's `str` makes of it.
    Literal(String),
    /// A valid expression that is no literal: the path of an attribute, split at its dots.
    Path(Vec<String>),
    /// Not an expression at all (`class`, `a..b`): oslo.policy fails when it comes to it.
    Invalid(SyntaxError),
}

impl Kind {
    /// Decides what a kind is.
    pub(crate) fn classify(kind: &str) -> Kind {
        let expression = match tokenize(kind).and_then(parse) {
            Ok(expression) => expression,
            Err(why) => return Kind::Invalid(why),
        };
        match evaluate(&expression) {
            Ok(value) => Kind::Literal(value.str()),
            Err(Refusal::NotLiteral) => Kind::Path(kind.split('.').map(str::to_owned).collect()),
            Err(Refusal::Unsupported(why)) => Kind::Invalid(why),
        }
    }
}

/// Why an expression is no literal.
enum Refusal {
    /// Python's `ValueError`.
    NotLiteral,
    /// Python's `TypeError`, and what is not decided here.
    Unsupported(SyntaxError),
}

/// A literal: its `repr`, and its `str` where that differs.
struct Literal {
    repr: String,
    text: Option<String>,
    hashable: bool,
}

impl Literal {
    fn new(repr: impl Into<String>) -> Literal {
        Literal { repr: repr.into(), text: None, hashable: true }
    }

    fn str(self) -> String {
        self.text.unwrap_or(self.repr)
    }
}

fn evaluate(expression: &Expression) -> Result<Literal, Refusal> {
    match expression {
        Expression::Constant(name) => Ok(Literal::new(*name)),
        Expression::Text(text) => {
            Ok(Literal { repr: str_repr(text), text: Some(text.clone()), hashable: true })
        }
        Expression::Bytes(bytes) => Ok(Literal::new(bytes_repr(bytes))),
        Expression::Number(_) | Expression::Signed { .. } => {
            Ok(Literal::new(signed_number(expression)?.repr()))
        }
        Expression::Sum { minus, left, right } => {
            let left = signed_number(left)?;
            let Expression::Number(Number::Imaginary(imaginary)) = **right else {
                return Err(Refusal::NotLiteral);
            };
            let real = match left {
                Numeric::Int { negative, digits } => {
                    let size: f64 = digits.parse().unwrap_or(f64::INFINITY);
                    // An integer zero has no sign.
                    if negative && size != 0.0 { -size } else { size }
                }
                Numeric::Float(number) => number,
                Numeric::Complex(..) => return Err(Refusal::NotLiteral),
            };
            let (real, imaginary) =
                if *minus { (real - 0.0, 0.0 - imaginary) } else { (real + 0.0, 0.0 + imaginary) };
            Ok(Literal::new(complex_str(real, imaginary)))
        }
        Expression::Tuple(items) => {
            let (reprs, hashable) = reprs(items)?;
            let comma = if items.len() == 1 { "," } else { "" };
            Ok(Literal { hashable, ..Literal::new(format!("({}{comma})", reprs.join(", "))) })
        }
        Expression::List(items) => {
            let (reprs, _) = reprs(items)?;
            Ok(Literal { hashable: false, ..Literal::new(format!("[{}]", reprs.join(", "))) })
        }
        Expression::Set(items) => {
            let (reprs, hashable) = reprs(items)?;
            if !hashable {
                return Err(Refusal::Unsupported("a set of unhashable values"));
            }
            if reprs.len() > 1 {
                return Err(Refusal::Unsupported("a set of several values has no fixed order"));
            }
            Ok(Literal { hashable: false, ..Literal::new(format!("{{{}}}", reprs.join(", "))) })
        }
        Expression::EmptyDict => Ok(Literal { hashable: false, ..Literal::new("{}") }),
        Expression::EmptySet => Ok(Literal { hashable: false, ..Literal::new("set()") }),
        Expression::NameSet | Expression::Other => Err(Refusal::NotLiteral),
    }
}

fn reprs(items: &[Expression]) -> Result<(Vec<String>, bool), Refusal> {
    let mut hashable = true;
    let mut reprs = Vec::with_capacity(items.len());
    for item in items {
        let literal = evaluate(item)?;
        hashable &= literal.hashable;
        reprs.push(literal.repr);
    }
    Ok((reprs, hashable))
}

enum Numeric {
    Int { negative: bool, digits: String },
    Float(f64),
    Complex(f64, f64),
}

impl Numeric {
    fn repr(&self) -> String {
        match self {
            Numeric::Int { negative: true, digits } if digits != "0" => format!("-{digits}"),
            Numeric::Int { digits, .. } => digits.clone(),
            Numeric::Float(number) => float_repr(*number),
            Numeric::Complex(real, imaginary) => complex_str(*real, *imaginary),
        }
    }
}

/// A number with at most one sign before it.
fn signed_number(expression: &Expression) -> Result<Numeric, Refusal> {
    let (minus, number) = match expression {
        Expression::Number(number) => (false, number),
        Expression::Signed { minus, operand } => match &**operand {
            Expression::Number(number) => (*minus, number),
            _ => return Err(Refusal::NotLiteral),
        },
        _ => return Err(Refusal::NotLiteral),
    };
    Ok(match number {
        Number::Int(digits) => Numeric::Int { negative: minus, digits: digits.clone() },
        Number::Float(value) => Numeric::Float(if minus { -value } else { *value }),
        Number::Imaginary(value) if minus => Numeric::Complex(-0.0, -value),
        Number::Imaginary(value) => Numeric::Complex(0.0, *value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        for (kind, expected) in [
            ("None", "None"),
            ("True", "True"),
            ("'Member'", "Member"),
            ("'a''b'", "ab"),
            ("u\"a\"", "a"),
            ("-0", "0"),
            ("0x10", "16"),
            ("1e3", "1000.0"),
            ("-.5", "-0.5"),
            ("-1j", "(-0-1j)"),
            ("1-0j", "(1+0j)"),
            ("...", "Ellipsis"),
            ("(1,)", "(1,)"),
            ("1,'a'", "(1, 'a')"),
            ("[1,[],{}]", "[1, [], {}]"),
            ("{'a'}", "{'a'}"),
            ("set()", "set()"),
            (" \t1", "1"),
        ] {
            assert_eq!(Kind::classify(kind), Kind::Literal(expected.to_owned()), "{kind}");
        }
    }

    #[test]
    fn paths() {
        for kind in [
            "user_id",
            "token.project.id",
            "user-name",
            "a[0]",
            "f(x)",
            "not(a)",
            "1+1",
            "--1",
            "-True",
            "f'abc'",
            "a#b",
            "[x for x in y]",
            "1if 1else 2",
            "[*a]",
            "lower.set",
            "1..real",
        ] {
            let path = kind.split('.').map(str::to_owned).collect();
            assert_eq!(Kind::classify(kind), Kind::Path(path), "{kind}");
        }
    }

    #[test]
    fn invalid() {
        for kind in [
            "",
            "class",
            "user.is.x",
            "a..b",
            "a.",
            "007",
            "$x",
            "a b",
            "'x",
            "a b'",
            "{[]}",
            "'a'b''",
            "(",
            "a=b",
            "a+=b",
            "lambda",
            "*a",
            "(*a)",
            "a\nb",
            "1.real",
        ] {
            assert!(matches!(Kind::classify(kind), Kind::Invalid(_)), "{kind}");
        }
        let deep = "(".repeat(100_000);
        assert!(matches!(Kind::classify(&deep), Kind::Invalid(_)));
    }
}
