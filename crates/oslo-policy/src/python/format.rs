//! Python's `template % mapping`: parsed once, rendered for every check.
//! Which mapping it is, and what a missing key means for a check, is `check`'s part.

use std::borrow::Cow;

use crate::attributes::Target;
use crate::python::text::str_of;
use crate::value::Value;

/// No sensible rule pads a value to more characters than this; a larger number is an error
/// here as it is, for want of memory, in Python.
pub(crate) const MAX_PADDING: usize = 65_536;

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Field(Field),
    /// Text that no conversion can be made of. It fails only when rendering comes to it: a
    /// missing key further left is found first.
    Malformed(String),
}

/// One conversion, such as `%(key)-5s`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) key: Option<String>,
    pub(crate) left: bool,
    pub(crate) plus: bool,
    pub(crate) blank: bool,
    pub(crate) alternate: bool,
    pub(crate) zero: bool,
    pub(crate) width: Amount,
    pub(crate) precision: Amount,
    pub(crate) conversion: char,
}

/// A width or a precision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Amount {
    Unset,
    Fixed(usize),
    /// `*`: taken from the arguments.
    Argument,
}

/// Why a template could not be rendered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FormatError {
    /// Python's `KeyError`: the target has no such attribute.
    MissingKey(String),
    /// Any other error of Python's `%`.
    Malformed(String),
}

pub(crate) fn malformed<T>(why: impl Into<String>) -> Result<T, FormatError> {
    Err(FormatError::Malformed(why.into()))
}

impl Template {
    /// Parses a template; never fails, since Python finds mistakes only while rendering.
    pub(crate) fn parse(template: &str) -> Template {
        let chars: Vec<char> = template.chars().collect();
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut at = 0;
        while at < chars.len() {
            if chars[at] != '%' {
                text.push(chars[at]);
                at += 1;
                continue;
            }
            at += 1;
            if chars.get(at) == Some(&'%') {
                text.push('%');
                at += 1;
                continue;
            }
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            parse_field(&chars, &mut at, &mut pieces);
            if matches!(pieces.last(), Some(Piece::Malformed(_))) {
                break;
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Template { pieces }
    }

    /// The first mistake that would make a rendering fail whatever the target holds.
    pub(crate) fn mistake(&self) -> Option<&str> {
        self.pieces.iter().find_map(|piece| match piece {
            Piece::Malformed(why) => Some(why.as_str()),
            _ => None,
        })
    }

    /// `template % target`.
    pub(crate) fn render<'v>(&'v self, target: &'v Target<'_>) -> Result<Cow<'v, str>, FormatError> {
        match self.pieces.as_slice() {
            [] => return Ok(Cow::Borrowed("")),
            [Piece::Text(text)] => return Ok(Cow::Borrowed(text)),
            // The commonest template of all, `%(project_id)s`, copies nothing.
            [
                Piece::Field(Field {
                    key: Some(key),
                    width: Amount::Unset,
                    precision: Amount::Unset,
                    conversion: 's',
                    ..
                }),
            ] => return lookup(target, key).map(str_of),
            _ => {}
        }
        let whole = target.to_value();
        let mut arguments = Arguments { current: &whole, used: false };
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Malformed(why) => return malformed(why),
                Piece::Field(field) => {
                    if let Some(key) = &field.key {
                        arguments = Arguments { current: lookup(target, key)?, used: false };
                    }
                    field.render(&mut out, &mut arguments)?;
                }
            }
        }
        Ok(Cow::Owned(out))
    }
}

fn lookup<'v, 'a>(target: &'v Target<'a>, key: &str) -> Result<&'v Value<'a>, FormatError> {
    target.get(key).ok_or_else(|| FormatError::MissingKey(key.to_owned()))
}

/// What a conversion without a key takes: the whole mapping, or the value of the last key, once.
pub(crate) struct Arguments<'v, 'a> {
    current: &'v Value<'a>,
    used: bool,
}

impl<'v, 'a> Arguments<'v, 'a> {
    pub(crate) fn take(&mut self) -> Result<&'v Value<'a>, FormatError> {
        if std::mem::replace(&mut self.used, true) {
            return malformed("not enough arguments for format string");
        }
        Ok(self.current)
    }

    pub(crate) fn take_amount(&mut self) -> Result<i128, FormatError> {
        match self.take()? {
            Value::Int(number) => Ok(*number),
            Value::Bool(flag) => Ok(i128::from(*flag)),
            _ => malformed("* wants int"),
        }
    }
}

/// Reads one conversion, from behind its `%`, in the order in which Python reads it.
fn parse_field(chars: &[char], at: &mut usize, pieces: &mut Vec<Piece>) {
    let mut field = Field {
        key: None,
        left: false,
        plus: false,
        blank: false,
        alternate: false,
        zero: false,
        width: Amount::Unset,
        precision: Amount::Unset,
        conversion: ' ',
    };
    if chars.get(*at) == Some(&'(') {
        let start = *at + 1;
        let mut depth = 1;
        *at = start;
        while depth > 0 {
            match chars.get(*at) {
                None => {
                    pieces.push(Piece::Malformed("incomplete format key".to_owned()));
                    return;
                }
                Some('(') => depth += 1,
                Some(')') => depth -= 1,
                Some(_) => {}
            }
            *at += 1;
        }
        field.key = Some(chars[start..*at - 1].iter().collect());
    }
    loop {
        match chars.get(*at) {
            Some('-') => field.left = true,
            Some('+') => field.plus = true,
            Some(' ') => field.blank = true,
            Some('#') => field.alternate = true,
            Some('0') => field.zero = true,
            _ => break,
        }
        *at += 1;
    }
    let mut mistake = None;
    field.width = parse_amount(chars, at, &mut mistake);
    if chars.get(*at) == Some(&'.') {
        *at += 1;
        field.precision = match parse_amount(chars, at, &mut mistake) {
            Amount::Unset => Amount::Fixed(0),
            amount => amount,
        };
    }
    if matches!(chars.get(*at), Some('h' | 'l' | 'L')) {
        *at += 1;
    }
    match chars.get(*at) {
        Some(&conversion) => field.conversion = conversion,
        None => mistake = Some("incomplete format"),
    }
    *at += 1;
    let Some(why) = mistake else {
        pieces.push(Piece::Field(field));
        return;
    };
    // The key is looked up before the mistake is met.
    if field.key.is_some() {
        pieces.push(Piece::Field(Field {
            width: Amount::Unset,
            precision: Amount::Fixed(0),
            conversion: 's',
            ..field
        }));
    }
    pieces.push(Piece::Malformed(why.to_owned()));
}

fn parse_amount(chars: &[char], at: &mut usize, mistake: &mut Option<&'static str>) -> Amount {
    if chars.get(*at) == Some(&'*') {
        *at += 1;
        return Amount::Argument;
    }
    let mut amount = Amount::Unset;
    while let Some(digit) = chars.get(*at).and_then(|c| c.to_digit(10)) {
        let so_far = if let Amount::Fixed(number) = amount { number } else { 0 };
        let number = so_far.saturating_mul(10).saturating_add(digit as usize);
        if number > MAX_PADDING {
            *mistake = Some("width or precision too big");
        }
        amount = Amount::Fixed(number);
        *at += 1;
    }
    amount
}
