//! `str()` and `repr()` of values, and Python's idea of whitespace.
//! Templates are in `format`; literals in `literal`.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::value::Value;

/// Whether Python's `str.isspace` and the `\s` of its `re` hold for a character: Unicode's
/// white space and the four ASCII separators that Unicode does not count.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `str(value)`.
pub(crate) fn str_of<'v>(value: &'v Value<'_>) -> Cow<'v, str> {
    match value {
        Value::None => Cow::Borrowed("None"),
        Value::Bool(true) => Cow::Borrowed("True"),
        Value::Bool(false) => Cow::Borrowed("False"),
        Value::Str(text) => Cow::Borrowed(text),
        _ => Cow::Owned(repr_of(value)),
    }
}

/// `repr(value)`.
pub(crate) fn repr_of(value: &Value<'_>) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

fn write_repr(out: &mut String, value: &Value<'_>) {
    match value {
        Value::None => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Float(number) => out.push_str(&float_repr(*number)),
        Value::Str(text) => out.push_str(&str_repr(text)),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_repr(out, item);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (i, (key, item)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                out.push_str(&str_repr(key));
                out.push_str(": ");
                write_repr(out, item);
            }
            out.push('}');
        }
    }
}

/// `repr` of a text: single quotes unless only they occur in it.
pub(crate) fn str_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => push_escape(&mut out, c),
        }
    }
    out.push(quote);
    out
}

/// `repr` of bytes.
pub(crate) fn bytes_repr(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut out = String::from("b");
    out.push(quote);
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b' '..=b'~' => {
                if char::from(byte) == quote {
                    out.push('\\');
                }
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(quote);
    out
}

/// What `ascii()` makes of a `repr`: every character beyond ASCII becomes an escape.
pub(crate) fn ascii_of(repr: &str) -> String {
    let mut out = String::with_capacity(repr.len());
    for c in repr.chars() {
        if c.is_ascii() { out.push(c) } else { push_escape(&mut out, c) }
    }
    out
}

fn push_escape(out: &mut String, c: char) {
    let code = u32::from(c);
    let _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// Python's `str.isprintable` for one character. The standard library keeps the same table for
/// its own escapes; a text's combining characters are escaped there only at its start, hence
/// the letter in front.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    let mut buffer = [0_u8; 5];
    buffer[0] = b'a';
    let end = 1 + c.encode_utf8(&mut buffer[1..]).len();
    std::str::from_utf8(&buffer[..end]).is_ok_and(|text| text.escape_debug().nth(1) == Some(c))
}

/// `repr` of a float: the shortest digits that read back, `1e+16` from there on, `1e-05` below
/// 0.0001.
pub(crate) fn float_repr(number: f64) -> String {
    let text = float_digits(number);
    if number.is_finite() && !text.contains(['.', 'e']) { text + ".0" } else { text }
}

/// As [`float_repr`], without the `.0` of a whole number; complex numbers are made of these.
pub(crate) fn float_digits(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) || number == 0.0 {
        format!("{number}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
    }
}

/// `str` of a complex number.
pub(crate) fn complex_str(real: f64, imaginary: f64) -> String {
    if real == 0.0 && real.is_sign_positive() {
        return format!("{}j", float_digits(imaginary));
    }
    let sign = if imaginary.is_sign_negative() { "" } else { "+" };
    format!("({}{sign}{}j)", float_digits(real), float_digits(imaginary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_python_writes_them() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1.5, "1.5"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e300, "1e+300"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(float_repr(number), expected);
        }
        assert_eq!(complex_str(0.0, 1e20), "1e+20j");
        assert_eq!(complex_str(-0.0, -1.0), "(-0-1j)");
        assert_eq!(complex_str(1.0, 2.0), "(1+2j)");
    }

    #[test]
    fn texts_and_containers() {
        let value = Value::List(vec![
            Value::from("it's"),
            Value::from("\"'\n\u{7f}\u{200b}é"),
            Value::Map(vec![("k".into(), Value::None)]),
        ]);
        assert_eq!(repr_of(&value), "[\"it's\", '\"\\'\\n\\x7f\\u200bé', {'k': None}]");
        assert_eq!(ascii_of("'é\u{1f600}'"), "'\\xe9\\U0001f600'");
        assert_eq!(bytes_repr(b"a\x00'"), "b\"a\\x00'\"");
        assert_eq!(str_repr("a\u{301}"), "'a\u{301}'");
    }
}
