//! One conversion of a template: a value becomes padded text, as Python's `%d`, `%5s` and so on
//! make it. Finding conversions in a template is `format`'s part.

use std::borrow::Cow;

use crate::python::format::{Amount, Arguments, Field, FormatError, MAX_PADDING, malformed};
use crate::python::text::{ascii_of, float_digits, repr_of, str_of};
use crate::value::Value;

impl Field {
    /// Appends the converted value; the errors are those of Python's `%`.
    pub(crate) fn render(
        &self,
        out: &mut String,
        arguments: &mut Arguments<'_, '_>,
    ) -> Result<(), FormatError> {
        let mut left = self.left;
        let width = match self.width {
            Amount::Unset => 0,
            Amount::Fixed(number) => number,
            Amount::Argument => {
                let number = arguments.take_amount()?;
                left |= number < 0;
                padding(number.unsigned_abs())?
            }
        };
        let precision = match self.precision {
            Amount::Unset => None,
            Amount::Fixed(number) => Some(number),
            Amount::Argument => Some(padding(arguments.take_amount()?.max(0).unsigned_abs())?),
        };
        let value = arguments.take()?;
        let number = match self.conversion {
            's' | 'r' | 'a' => {
                let text = match self.conversion {
                    's' => str_of(value),
                    'r' => Cow::Owned(repr_of(value)),
                    _ => Cow::Owned(ascii_of(&repr_of(value))),
                };
                let kept = match precision {
                    Some(most) => text.chars().take(most).collect(),
                    None => text.into_owned(),
                };
                pad(out, &kept, width, left);
                return Ok(());
            }
            'c' => {
                pad(out, &character(value)?.to_string(), width, left);
                return Ok(());
            }
            'd' | 'i' | 'u' | 'o' | 'x' | 'X' => self.integer(value, precision)?,
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => self.float(value, precision.unwrap_or(6))?,
            other => return malformed(format!("unsupported format character {other:?}")),
        };
        let sign = match (number.negative, self.plus, self.blank) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let length = sign.len() + number.prefix.len() + number.digits.len();
        if self.zero && !left {
            let zeros = "0".repeat(width.saturating_sub(length));
            out.extend([sign, number.prefix, &zeros, &number.digits]);
        } else {
            pad(out, &[sign, number.prefix, &number.digits].concat(), width, left);
        }
        Ok(())
    }

    fn integer(&self, value: &Value<'_>, precision: Option<usize>) -> Result<Digits, FormatError> {
        let decimal = matches!(self.conversion, 'd' | 'i' | 'u');
        let (negative, mut digits) = match value {
            Value::Float(number) if decimal && number.is_finite() => {
                let whole = number.trunc();
                (whole < 0.0, format!("{:.0}", whole.abs()))
            }
            Value::Int(_) | Value::Bool(_) => {
                let number = if let Value::Int(number) = value {
                    *number
                } else {
                    i128::from(*value == Value::Bool(true))
                };
                let size = number.unsigned_abs();
                let digits = match self.conversion {
                    'o' => format!("{size:o}"),
                    'x' => format!("{size:x}"),
                    'X' => format!("{size:X}"),
                    _ => size.to_string(),
                };
                (number < 0, digits)
            }
            other => {
                return malformed(format!(
                    "%{} format: a number is required, not {}",
                    self.conversion,
                    other.type_name()
                ));
            }
        };
        if let Some(least) = precision {
            digits.insert_str(0, &"0".repeat(least.saturating_sub(digits.len())));
        }
        let prefix = match self.conversion {
            _ if !self.alternate => "",
            'o' => "0o",
            'x' => "0x",
            'X' => "0X",
            _ => "",
        };
        Ok(Digits { negative, prefix, digits })
    }

    #[allow(clippy::cast_precision_loss, reason = "Python's float(int) rounds the same way")]
    fn float(&self, value: &Value<'_>, precision: usize) -> Result<Digits, FormatError> {
        let number = match value {
            Value::Float(number) => *number,
            Value::Int(number) => *number as f64,
            Value::Bool(flag) => f64::from(u8::from(*flag)),
            other => return malformed(format!("must be real number, not {}", other.type_name())),
        };
        let size = number.abs();
        let mut digits = if !size.is_finite() {
            float_digits(size)
        } else {
            match self.conversion.to_ascii_lowercase() {
                'f' => format!("{size:.precision$}"),
                'e' => exponent_form(size, precision),
                _ => general_form(size, precision, self.alternate),
            }
        };
        if self.alternate && size.is_finite() && !digits.contains('.') {
            let end = digits.find('e').unwrap_or(digits.len());
            digits.insert(end, '.');
        }
        if self.conversion.is_ascii_uppercase() {
            digits.make_ascii_uppercase();
        }
        Ok(Digits { negative: number.is_sign_negative() && !number.is_nan(), prefix: "", digits })
    }
}

/// A number on its way into a template.
struct Digits {
    negative: bool,
    prefix: &'static str,
    digits: String,
}

fn padding(amount: u128) -> Result<usize, FormatError> {
    match usize::try_from(amount) {
        Ok(amount) if amount <= MAX_PADDING => Ok(amount),
        _ => malformed("width or precision too big"),
    }
}

fn pad(out: &mut String, text: &str, width: usize, left: bool) {
    let spaces = " ".repeat(width.saturating_sub(text.chars().count()));
    let (first, second) = if left { (text, spaces.as_str()) } else { (spaces.as_str(), text) };
    out.push_str(first);
    out.push_str(second);
}

fn character(value: &Value<'_>) -> Result<char, FormatError> {
    let found = match value {
        Value::Int(number) => u32::try_from(*number).ok().and_then(char::from_u32),
        Value::Bool(flag) => Some(if *flag { '\x01' } else { '\0' }),
        Value::Str(text) => {
            let mut chars = text.chars();
            chars.next().filter(|_| chars.next().is_none())
        }
        _ => None,
    };
    found.map_or_else(|| malformed("%c requires int or char"), Ok)
}

/// `%e`: at least two digits in the exponent.
fn exponent_form(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `%g`: the shorter of the two forms, without zeros at the end unless asked for.
fn general_form(size: f64, precision: usize, keep_zeros: bool) -> String {
    let significant = precision.max(1);
    let rounded = format!("{size:.*e}", significant - 1);
    let exponent: i64 = rounded.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let precise = i64::try_from(significant).unwrap_or(i64::MAX);
    let text = if exponent < -4 || exponent >= precise {
        exponent_form(size, significant - 1)
    } else {
        let decimals = usize::try_from(precise - 1 - exponent).unwrap_or(0);
        format!("{size:.decimals$}")
    };
    if keep_zeros || !text.contains('.') {
        return text;
    }
    let (mantissa, exponent) = match text.find('e') {
        Some(at) => text.split_at(at),
        None => (text.as_str(), ""),
    };
    format!("{}{exponent}", mantissa.trim_end_matches('0').trim_end_matches('.'))
}
