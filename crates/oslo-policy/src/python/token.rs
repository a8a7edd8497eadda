//! Python's tokens, as far as a literal or an expression has them.
//! Their grammar is in `expression`; what they mean as a value in `literal`.

/// A token of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A name or a keyword.
    Name(String),
    /// A number.
    Number(Number),
    /// A text, its escapes resolved.
    Text(String),
    /// A `b'…'` literal.
    Bytes(Vec<u8>),
    /// An f-string, which is never a literal.
    Formatted,
    /// An operator or a bracket.
    Operator(&'static str),
}

/// A number as written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Number {
    /// Decimal digits without leading zeros, of any length.
    Int(String),
    /// A floating point number.
    Float(f64),
    /// The imaginary part of a complex number.
    Imaginary(f64),
}

/// Why a text is no Python expression.
pub(crate) type SyntaxError = &'static str;

const BAD_NUMBER: SyntaxError = "invalid number";
const BAD_ESCAPE: SyntaxError = "invalid escape in a quoted text";
const UNTERMINATED: SyntaxError = "unterminated quoted text";

/// Longest first, so that the first that fits is the right one. Those that an expression
/// cannot hold are here too: they must not be read as two operators.
const OPERATORS: [&str; 44] = [
    "...", "**=", "//=", "<<=", ">>=", "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "->", "+=", "-=",
    "*=", "/=", "%=", "&=", "|=", "^=", "@=", "+", "-", "*", "/", "%", "@", "&", "|", "^", "~", "<", ">",
    "(", ")", "[", "]", "{", "}", ",", ".", "=",
];

/// Splits an expression into tokens.
pub(crate) fn tokenize(source: &str) -> Result<Vec<Token>, SyntaxError> {
    let chars: Vec<char> = source.chars().collect();
    if chars.iter().any(|c| matches!(c, '\n' | '\r' | '\0')) {
        return Err("line breaks and null characters are not accepted in a literal");
    }
    let mut lexer = Lexer { chars, at: 0 };
    let mut tokens = Vec::new();
    while let Some(c) = lexer.peek(0) {
        match c {
            ' ' | '\t' | '\x0c' => lexer.at += 1,
            '#' => break,
            '0'..='9' => tokens.push(Token::Number(lexer.number()?)),
            '.' if lexer.peek(1).is_some_and(|c| c.is_ascii_digit()) => {
                tokens.push(Token::Number(lexer.number()?));
            }
            '\'' | '"' => tokens.push(lexer.quoted("")?),
            c if is_name_start(c) => tokens.push(lexer.name_or_quoted()?),
            _ => tokens.push(Token::Operator(lexer.operator()?)),
        }
    }
    Ok(tokens)
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_name_part(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn operator(&mut self) -> Result<&'static str, SyntaxError> {
        let found = OPERATORS
            .into_iter()
            .find(|operator| operator.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c)));
        let operator = found.ok_or("invalid character")?;
        self.at += operator.len();
        Ok(operator)
    }

    fn name_or_quoted(&mut self) -> Result<Token, SyntaxError> {
        let start = self.at;
        while self.peek(0).is_some_and(is_name_part) {
            self.at += 1;
        }
        let name: String = self.chars[start..self.at].iter().collect();
        if matches!(self.peek(0), Some('\'' | '"')) {
            let prefix = name.to_ascii_lowercase();
            if matches!(prefix.as_str(), "r" | "u" | "b" | "f" | "br" | "rb" | "fr" | "rf") {
                return self.quoted(&prefix);
            }
        }
        Ok(Token::Name(name))
    }

    /// Digits with single underscores between them.
    fn digits(&mut self, radix: u32, out: &mut String) -> Result<(), SyntaxError> {
        while let Some(c) = self.peek(0) {
            if c.is_digit(radix) {
                out.push(c);
            } else if c != '_' || !self.peek(1).is_some_and(|next| next.is_digit(radix)) {
                break;
            }
            self.at += 1;
        }
        if self.peek(0) == Some('_') { Err(BAD_NUMBER) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Number, SyntaxError> {
        let radix = match (self.peek(0), self.peek(1)) {
            (Some('0'), Some('x' | 'X')) => 16,
            (Some('0'), Some('o' | 'O')) => 8,
            (Some('0'), Some('b' | 'B')) => 2,
            _ => 10,
        };
        let mut text = String::new();
        if radix != 10 {
            self.at += 2;
            if self.peek(0) == Some('_') {
                self.at += 1;
            }
            self.digits(radix, &mut text)?;
            if text.is_empty() || self.peek(0).is_some_and(|c| c.is_ascii_digit()) {
                return Err(BAD_NUMBER);
            }
            self.end_of_number()?;
            return Ok(Number::Int(decimal(&text, radix)));
        }
        self.digits(10, &mut text)?;
        let mut whole = true;
        if self.peek(0) == Some('.') {
            whole = false;
            self.at += 1;
            text.push('.');
            if self.peek(0) == Some('_') {
                return Err(BAD_NUMBER);
            }
            self.digits(10, &mut text)?;
        }
        if matches!(self.peek(0), Some('e' | 'E')) {
            let signed = matches!(self.peek(1), Some('+' | '-'));
            if self.peek(1 + usize::from(signed)).is_some_and(|c| c.is_ascii_digit()) {
                whole = false;
                text.push('e');
                if signed {
                    text.extend(self.peek(1));
                }
                self.at += 1 + usize::from(signed);
                self.digits(10, &mut text)?;
            } else if signed {
                return Err(BAD_NUMBER);
            }
        }
        if matches!(self.peek(0), Some('j' | 'J')) {
            self.at += 1;
            self.end_of_number()?;
            return text.parse().map(Number::Imaginary).map_err(|_| BAD_NUMBER);
        }
        self.end_of_number()?;
        if !whole {
            return text.parse().map(Number::Float).map_err(|_| BAD_NUMBER);
        }
        if text.starts_with('0') && text.bytes().any(|digit| digit != b'0') {
            return Err("leading zeros in a decimal number");
        }
        Ok(Number::Int(decimal(&text, 10)))
    }

    /// A number may run into one of a few keywords, and into no other name.
    fn end_of_number(&self) -> Result<(), SyntaxError> {
        let rest: String = self.chars[self.at..].iter().take(4).collect();
        let keywords = ["and", "else", "for", "if", "in", "is", "or", "not"];
        if keywords.iter().any(|keyword| rest.starts_with(keyword)) {
            return Ok(());
        }
        if self.peek(0).is_some_and(is_name_part) { Err(BAD_NUMBER) } else { Ok(()) }
    }

    fn quoted(&mut self, prefix: &str) -> Result<Token, SyntaxError> {
        let raw = prefix.contains('r');
        let bytes = prefix.contains('b');
        let quote = self.peek(0).ok_or(UNTERMINATED)?;
        let triple = self.peek(1) == Some(quote) && self.peek(2) == Some(quote);
        self.at += if triple { 3 } else { 1 };
        let mut body = String::new();
        loop {
            let c = self.peek(0).ok_or(UNTERMINATED)?;
            self.at += 1;
            if c == quote {
                if !triple {
                    break;
                }
                if self.peek(0) == Some(quote) && self.peek(1) == Some(quote) {
                    self.at += 2;
                    break;
                }
            }
            body.push(c);
            if c == '\\' {
                body.push(self.peek(0).ok_or(UNTERMINATED)?);
                self.at += 1;
            }
        }
        if bytes && !body.is_ascii() {
            return Err("bytes can only contain ASCII characters");
        }
        if prefix.contains('f') {
            // What stands in the braces is not looked at: a text with a field is refused.
            if body.replace("{{", "").replace("}}", "").contains(['{', '}']) {
                return Err("fields of f-strings are not accepted");
            }
            if !raw {
                unescape(&body, false)?;
            }
            return Ok(Token::Formatted);
        }
        let text = if raw { body } else { unescape(&body, bytes)? };
        if !bytes {
            return Ok(Token::Text(text));
        }
        // `unescape` keeps to the first 256 characters for bytes.
        Ok(Token::Bytes(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()))
    }
}

/// Resolves the backslash escapes of a text, or of bytes (one character for each byte).
fn unescape(body: &str, bytes: bool) -> Result<String, SyntaxError> {
    let mut out = String::with_capacity(body.len());
    let mut chars = body.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let escape = chars.next().ok_or(BAD_ESCAPE)?;
        let hex_digits = match escape {
            'x' => 2,
            'u' if !bytes => 4,
            'U' if !bytes => 8,
            'N' if !bytes => return Err("\\N{…} escapes are not accepted"),
            _ => 0,
        };
        if hex_digits > 0 {
            let mut code = 0;
            for _ in 0..hex_digits {
                let digit = chars.next().and_then(|c| c.to_digit(16)).ok_or(BAD_ESCAPE)?;
                code = code * 16 + digit;
            }
            out.push(char::from_u32(code).ok_or(BAD_ESCAPE)?);
            continue;
        }
        match escape {
            '\\' | '\'' | '"' => out.push(escape),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            '0'..='7' => {
                let mut code = escape.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) else { break };
                    chars.next();
                    code = code * 8 + digit;
                }
                if bytes {
                    code &= 0xff;
                }
                out.push(char::from_u32(code).ok_or(BAD_ESCAPE)?);
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Ok(out)
}

/// Digits of any base and length as decimal digits.
fn decimal(digits: &str, radix: u32) -> String {
    const LIMB: u64 = 1_000_000_000;
    if radix == 10 {
        let trimmed = digits.trim_start_matches('0');
        return if trimmed.is_empty() { "0" } else { trimmed }.to_owned();
    }
    let mut limbs: Vec<u64> = vec![0];
    for digit in digits.chars().filter_map(|c| c.to_digit(radix)) {
        let mut carry = u64::from(digit);
        for limb in &mut limbs {
            let sum = *limb * u64::from(radix) + carry;
            *limb = sum % LIMB;
            carry = sum / LIMB;
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let mut parts = limbs.iter().rev();
    let mut out = parts.next().map(u64::to_string).unwrap_or_default();
    for limb in parts {
        out.push_str(&format!("{limb:09}"));
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn numbers() {
        let int = |text: &str| Ok(vec![Token::Number(Number::Int(text.to_owned()))]);
        assert_eq!(tokenize("1_000"), int("1000"));
        assert_eq!(tokenize("00_0"), int("0"));
        assert_eq!(
            tokenize("0xffffffffffffffffffffffffffffffffffff"),
            int("22300745198530623141535718272648361505980415")
        );
        assert_eq!(tokenize("0b_11"), int("3"));
        assert_eq!(tokenize(".5e-1"), Ok(vec![Token::Number(Number::Float(0.05))]));
        for bad in ["007", "1_", "1__0", "0x", "0b12", "1abc", "1e+", "1._5", "0_7"] {
            assert!(tokenize(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn texts() {
        let text = |source: &str| tokenize(source).map(|tokens| tokens[0].clone());
        assert_eq!(text(r"'a\x41\u00e9\101\q'"), Ok(Token::Text("aAéA\\q".to_owned())));
        assert_eq!(text(r"r'\''"), Ok(Token::Text(r"\'".to_owned())));
        assert_eq!(text(r"'''a'b'''"), Ok(Token::Text("a'b".to_owned())));
        assert_eq!(text(r"Rb'\x00\''"), Ok(Token::Bytes(br"\x00\'".to_vec())));
        assert_eq!(text(r"b'\xff\777'"), Ok(Token::Bytes(vec![0xff, 0xff])));
        for bad in ["'a", r"'\x4'", "b'é'", r"'\N{DASH}'", "f'{a}'", "'''a''"] {
            assert!(text(bad).is_err(), "{bad}");
        }
    }
}
