//! Python's expression grammar, without what needs a colon (a check's kind never holds one).
//!
//! Only the shapes that `ast.literal_eval` accepts are kept; every other valid expression is
//! [`Expression::Other`]. Telling valid from invalid matters: for the one oslo.policy looks the
//! kind up in the credentials, for the other it fails. Operators are here, operands in `operand`.

mod operand;

use crate::python::token::{Number, SyntaxError, Token};

/// Deeper nesting is refused, to bound the parser's own recursion.
const MAX_DEPTH: usize = 40;

const INVALID: SyntaxError = "invalid syntax";

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    /// `None`, `True`, `False` or `...`, by the text that Python shows for it.
    Constant(&'static str),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// `(a, b)`.
    Tuple(Vec<Expression>),
    /// `[a, b]`.
    List(Vec<Expression>),
    /// `{a, b}`.
    Set(Vec<Expression>),
    /// `{}`.
    EmptyDict,
    /// `set()`.
    EmptySet,
    /// `+a` or `-a`.
    Signed {
        /// Whether the sign is a minus.
        minus: bool,
        /// What the sign stands before.
        operand: Box<Expression>,
    },
    /// `a + b` or `a - b`.
    Sum {
        /// Whether the operator is a minus.
        minus: bool,
        /// The left side.
        left: Box<Expression>,
        /// The right side.
        right: Box<Expression>,
    },
    /// The bare name `set`, which `set()` is made of.
    NameSet,
    /// Any other valid expression.
    Other,
}

/// Parses a whole expression (Python's `eval` mode).
pub(crate) fn parse(tokens: Vec<Token>) -> Result<Expression, SyntaxError> {
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let expression = parser.expression_list(false)?;
    if parser.at < parser.tokens.len() { Err(INVALID) } else { Ok(expression) }
}

/// The tokens and how far they have been read.
struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

type Parsed = Result<Expression, SyntaxError>;

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Binary operators by how tightly they bind, loosest first.
const BINARY: [&[&str]; 6] =
    [&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "/", "//", "%", "@"]];

impl Parser {
    pub(super) fn is(&self, operator: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Operator(found)) if *found == operator)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Token::Name(name)) if name == word)
    }

    pub(super) fn accept(&mut self, operator: &str) -> bool {
        let found = self.is(operator);
        self.at += usize::from(found);
        found
    }

    pub(super) fn accept_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, operator: &str) -> Result<(), SyntaxError> {
        if self.accept(operator) { Ok(()) } else { Err(INVALID) }
    }

    pub(super) fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("nested too deeply");
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// `a` or `a, b`: a comma makes a tuple. `starred` allows `*a` in it.
    pub(super) fn expression_list(&mut self, starred: bool) -> Parsed {
        let first = self.item(starred)?;
        if !self.is(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.accept(",") && self.starts_expression() {
            items.push(self.item(starred)?);
        }
        Ok(Expression::Tuple(items))
    }

    pub(super) fn item(&mut self, starred: bool) -> Parsed {
        if starred && self.accept("*") {
            self.binary(0)?;
            return Ok(Expression::Other);
        }
        self.expression()
    }

    /// Whether another element follows a comma, rather than the end of the list.
    fn starts_expression(&self) -> bool {
        match self.tokens.get(self.at) {
            None => false,
            Some(Token::Operator(operator)) => !matches!(*operator, ")" | "]" | "}"),
            Some(_) => true,
        }
    }

    /// `a if b else c`.
    pub(super) fn expression(&mut self) -> Parsed {
        self.deeper(|parser| {
            let value = parser.logical("or")?;
            if !parser.accept_word("if") {
                return Ok(value);
            }
            parser.logical("or")?;
            if !parser.accept_word("else") {
                return Err(INVALID);
            }
            parser.expression()?;
            Ok(Expression::Other)
        })
    }

    pub(super) fn logical(&mut self, word: &str) -> Parsed {
        let operand = |parser: &mut Self| {
            if word == "or" { parser.logical("and") } else { parser.inversion() }
        };
        let mut value = operand(self)?;
        while self.accept_word(word) {
            operand(self)?;
            value = Expression::Other;
        }
        Ok(value)
    }

    fn inversion(&mut self) -> Parsed {
        if self.accept_word("not") {
            self.deeper(Self::inversion)?;
            return Ok(Expression::Other);
        }
        let mut value = self.binary(0)?;
        while self.comparison() {
            self.binary(0)?;
            value = Expression::Other;
        }
        Ok(value)
    }

    fn comparison(&mut self) -> bool {
        if self.accept_word("is") {
            self.accept_word("not");
            return true;
        }
        if self.is_word("not") {
            let is_not_in = matches!(self.tokens.get(self.at + 1), Some(Token::Name(name)) if name == "in");
            self.at += if is_not_in { 2 } else { 0 };
            return is_not_in;
        }
        self.accept_word("in") || ["==", "!=", "<=", ">=", "<", ">"].iter().any(|op| self.accept(op))
    }

    pub(super) fn binary(&mut self, level: usize) -> Parsed {
        let Some(operators) = BINARY.get(level) else { return self.factor() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.is(operator)) {
            self.at += 1;
            let right = self.binary(level + 1)?;
            left = match *operator {
                // A sum of sums is no literal, whatever it is made of.
                "+" | "-" if !matches!(left, Expression::Sum { .. } | Expression::Other) => {
                    Expression::Sum { minus: *operator == "-", left: Box::new(left), right: Box::new(right) }
                }
                _ => Expression::Other,
            };
        }
        Ok(left)
    }

    pub(super) fn factor(&mut self) -> Parsed {
        for (operator, minus) in [("+", Some(false)), ("-", Some(true)), ("~", None)] {
            if self.accept(operator) {
                let operand = self.deeper(Self::factor)?;
                return Ok(match minus {
                    Some(minus) => Expression::Signed { minus, operand: Box::new(operand) },
                    None => Expression::Other,
                });
            }
        }
        let awaited = self.accept_word("await");
        let value = self.primary()?;
        if self.accept("**") {
            self.deeper(Self::factor)?;
            return Ok(Expression::Other);
        }
        Ok(if awaited { Expression::Other } else { value })
    }
}
