//! The operands of Python's expressions: literals, names, brackets, calls.
//! Operators are the parent module's part.

use super::{Expression, INVALID, KEYWORDS, Parsed, Parser};
use crate::python::token::{SyntaxError, Token};

impl Parser {
    /// An operand with the calls, subscripts and attributes behind it.
    pub(super) fn primary(&mut self) -> Parsed {
        let mut value = self.atom()?;
        loop {
            if self.accept(".") {
                match self.tokens.get(self.at) {
                    Some(Token::Name(name)) if !KEYWORDS.contains(&name.as_str()) => self.at += 1,
                    _ => return Err(INVALID),
                }
                value = Expression::Other;
            } else if self.accept("(") {
                let empty = self.is(")");
                self.deeper(Self::arguments)?;
                let is_set = empty && value == Expression::NameSet;
                value = if is_set { Expression::EmptySet } else { Expression::Other };
            } else if self.accept("[") {
                self.expression_list(true)?;
                self.expect("]")?;
                value = Expression::Other;
            } else {
                return Ok(value);
            }
        }
    }

    /// The arguments of a call and its closing bracket.
    fn arguments(&mut self) -> Parsed {
        let (mut named, mut unpacked, mut count) = (false, false, 0);
        while !self.accept(")") {
            if self.accept("**") {
                self.expression()?;
                unpacked = true;
            } else if self.accept("*") {
                self.expression()?;
                if unpacked {
                    return Err("positional argument after **");
                }
            } else if matches!(self.tokens.get(self.at + 1), Some(Token::Operator("="))) {
                match self.tokens.get(self.at) {
                    Some(Token::Name(name)) if !KEYWORDS.contains(&name.as_str()) => self.at += 2,
                    _ => return Err(INVALID),
                }
                self.expression()?;
                named = true;
            } else {
                self.expression()?;
                if named || unpacked {
                    return Err("positional argument after a named one");
                }
                if self.is_word("for") || self.is_word("async") {
                    self.comprehension()?;
                    let alone = count == 0 && self.is(")");
                    if !alone {
                        return Err(INVALID);
                    }
                }
            }
            count += 1;
            if !self.accept(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(Expression::Other)
    }

    /// The `for … in …` clauses behind the element of a comprehension.
    fn comprehension(&mut self) -> Result<(), SyntaxError> {
        loop {
            let asynchronous = self.accept_word("async");
            if !self.accept_word("for") {
                return if asynchronous { Err(INVALID) } else { Ok(()) };
            }
            loop {
                self.accept("*");
                self.primary()?;
                if !self.accept(",") || self.is_word("in") {
                    break;
                }
            }
            if !self.accept_word("in") {
                return Err(INVALID);
            }
            self.logical("or")?;
            while self.accept_word("if") {
                self.logical("or")?;
            }
        }
    }

    fn atom(&mut self) -> Parsed {
        let token = self.tokens.get(self.at).cloned().ok_or(INVALID)?;
        self.at += 1;
        match token {
            Token::Number(number) => Ok(Expression::Number(number)),
            Token::Text(_) | Token::Bytes(_) | Token::Formatted => {
                self.at -= 1;
                self.texts()
            }
            Token::Name(name) => match name.as_str() {
                "None" => Ok(Expression::Constant("None")),
                "True" => Ok(Expression::Constant("True")),
                "False" => Ok(Expression::Constant("False")),
                "set" => Ok(Expression::NameSet),
                name if KEYWORDS.contains(&name) => Err(INVALID),
                _ => Ok(Expression::Other),
            },
            Token::Operator("...") => Ok(Expression::Constant("Ellipsis")),
            Token::Operator("(") => self.deeper(Self::parenthesized),
            Token::Operator("[") => self.deeper(|parser| parser.elements("]").map(Expression::into_list)),
            Token::Operator("{") => self.deeper(Self::braced),
            Token::Operator(_) => Err(INVALID),
        }
    }

    fn parenthesized(&mut self) -> Parsed {
        if self.accept(")") {
            return Ok(Expression::Tuple(Vec::new()));
        }
        if self.accept_word("yield") {
            let from = self.accept_word("from");
            if from || !self.is(")") {
                self.expression_list(!from)?;
            }
            self.expect(")")?;
            return Ok(Expression::Other);
        }
        let starred = self.is("*");
        let value = self.expression_list(true)?;
        if self.is_word("for") || self.is_word("async") {
            let tuple = matches!(self.tokens.get(self.at - 1), Some(Token::Operator(",")));
            if tuple || starred {
                return Err(INVALID);
            }
            self.comprehension()?;
            self.expect(")")?;
            return Ok(Expression::Other);
        }
        // `(*a)` alone is not an expression.
        if starred && !matches!(value, Expression::Tuple(_)) {
            return Err(INVALID);
        }
        self.expect(")")?;
        Ok(value)
    }

    /// The elements of a list or a set and the closing bracket; `Other` for a comprehension.
    fn elements(&mut self, close: &str) -> Result<Elements, SyntaxError> {
        let mut items = Vec::new();
        while !self.accept(close) {
            let starred = self.is("*");
            items.push(self.item(true)?);
            if (self.is_word("for") || self.is_word("async")) && items.len() == 1 && !starred {
                self.comprehension()?;
                self.expect(close)?;
                return Ok(None);
            }
            if !self.accept(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(Some(items))
    }

    fn braced(&mut self) -> Parsed {
        if self.accept("}") {
            return Ok(Expression::EmptyDict);
        }
        if self.is("**") {
            while self.accept("**") {
                self.binary(0)?;
                if !self.accept(",") {
                    break;
                }
            }
            self.expect("}")?;
            return Ok(Expression::Other);
        }
        Ok(self.elements("}")?.map_or(Expression::Other, Expression::Set))
    }

    /// Adjacent quoted texts are one.
    fn texts(&mut self) -> Parsed {
        let (mut text, mut bytes) = (None::<String>, None::<Vec<u8>>);
        let mut formatted = false;
        loop {
            match self.tokens.get(self.at) {
                Some(Token::Text(part)) => text.get_or_insert_default().push_str(part),
                Some(Token::Bytes(part)) => bytes.get_or_insert_default().extend(part),
                Some(Token::Formatted) => formatted = true,
                _ => break,
            }
            self.at += 1;
        }
        match (text, bytes) {
            (None, Some(bytes)) if !formatted => Ok(Expression::Bytes(bytes)),
            (_, Some(_)) => Err("texts and bytes cannot be joined"),
            (Some(text), None) if !formatted => Ok(Expression::Text(text)),
            (_, None) => Ok(Expression::Other),
        }
    }
}

/// The elements of a display, or nothing for a comprehension.
type Elements = Option<Vec<Expression>>;

impl Expression {
    fn into_list(elements: Elements) -> Expression {
        elements.map_or(Expression::Other, Expression::List)
    }
}
