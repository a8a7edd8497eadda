//! The limits of the database's columns, and the conversion of values that do not have the type of their
//! column.
//!
//! The types and widths are those of the store's declarations of tables. The schemas contain the name of a column, and
//! [`column()`] looks it up there.
//!
//! Real clients send numbers as text (`"5"`) and texts as numbers, and the Python service leaves the
//! conversion to MariaDB. [`to_int`], [`to_text`] and [`to_bool`] convert in the same way, so a store with
//! strict types gives the same answers. They reject the values that MariaDB rejects (an internal error in the
//! Python service, a 400 here). They also reject three kinds of values that MariaDB stores although they are
//! mistakes: a boolean as a number (`true` → 1), a list with one element (`[5]` → 5), and text whose trailing
//! spaces do not fit (MariaDB removes them).
//!
//! The HTTP layer limits whole bodies, and `keywords` has the texts of errors.

use std::ops::RangeInclusive;

use freezer_store::migrations::{ColumnKind, TABLES};
use serde_json::{Number, Value};

/// The range of an INT column.
pub const INT: RangeInclusive<i64> = -2_147_483_648..=2_147_483_647;

/// Returns the type of a column by its name `table.column`.
#[must_use]
pub fn column(name: &str) -> Option<ColumnKind> {
    let (table, column) = name.split_once('.')?;
    let table = TABLES.iter().find(|layout| layout.name == table)?;
    table.columns.iter().find(|layout| layout.name == column).map(|layout| layout.kind)
}

/// Returns the number that an INT column stores for this value. Returns `None` for null and for values that
/// it cannot store.
///
/// A text is read as a decimal number with optional white space around it, and rounded half away from zero. A
/// JSON number with a fraction is rounded half to even. MariaDB does the same.
#[must_use]
pub fn to_int(value: &Value) -> Option<i32> {
    let rounded = match value {
        Value::Number(number) => match number.as_i64() {
            Some(integer) => return i32::try_from(integer).ok(),
            None => number.as_f64()?.round_ties_even(),
        },
        Value::String(text) => decimal(text)?.round(),
        _ => return None,
    };
    let range = f64::from(i32::MIN)..=f64::from(i32::MAX);
    #[allow(clippy::cast_possible_truncation, reason = "whole, and in the range of i32")]
    range.contains(&rounded).then_some(rounded as i32)
}

/// Parses a decimal number like SQL: no `inf`, no hexadecimal, only ASCII digits.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    text.chars().all(plain).then(|| text.parse().ok()).flatten()
}

/// Returns the text that a VARCHAR column stores for this value. Returns `None` for null and for values that
/// it cannot store (objects and lists). The caller checks the width.
#[must_use]
pub fn to_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(if *flag { "1" } else { "0" }.to_owned()),
        Value::Number(number) => Some(number_text(number)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn number_text(number: &Number) -> String {
    let literal = number.to_string();
    match number.as_f64() {
        Some(float) if literal.contains(['.', 'e', 'E']) => {
            // MariaDB formats a double with up to 15 digits without an exponent.
            if float.abs() < 1e15 { float.to_string() } else { format!("{float:e}") }
        }
        _ => literal,
    }
}

/// Returns the boolean that a BOOLEAN column stores for this value (true, false, 1 and 0). Returns `None` for
/// null and for values that it cannot store.
#[must_use]
pub fn to_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        _ => None,
    }
}

/// Returns the number of characters of a list of names as JSON text, with a space after each comma like in
/// the Python service, so that both services accept the same lists.
pub(super) fn list_width(items: &[Value]) -> usize {
    let texts: usize = items.iter().map(|item| item.to_string().len()).sum();
    2 + texts + 2 * items.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
    use super::*;
    use serde_json::json;

    /// All pairs were stored in an INT column of MariaDB 10.11 in strict mode and read back.
    #[test]
    fn integers_are_converted_like_in_mariadb() {
        for (value, stored) in [
            (json!("5"), Some(5)),
            (json!(" 5 "), Some(5)),
            (json!("\t5"), Some(5)),
            (json!("5\n"), Some(5)),
            (json!("+5"), Some(5)),
            (json!("5."), Some(5)),
            (json!("5.4"), Some(5)),
            (json!("5.5"), Some(6)),
            (json!("-5.5"), Some(-6)),
            (json!("1e2"), Some(100)),
            (json!("2147483647"), Some(i32::MAX)),
            (json!("2147483647.4"), Some(i32::MAX)),
            (json!("2147483648"), None),
            (json!(""), None),
            (json!(" "), None),
            (json!("abc"), None),
            (json!("5abc"), None),
            (json!("5 6"), None),
            (json!("0x10"), None),
            (json!("1e1000"), None),
            (json!("inf"), None),
            (json!("\u{665}"), None),
            (json!("\u{200b}5"), None),
            (json!(1.0), Some(1)),
            (json!(1.4), Some(1)),
            (json!(1.5), Some(2)),
            (json!(2.5), Some(2)),
            (json!(-1.5), Some(-2)),
            (json!(-2.5), Some(-2)),
            (json!(1e20), None),
            (json!(2_147_483_647.4), Some(i32::MAX)),
            (json!(2_147_483_647.5), None),
            (json!(-2_147_483_648_i64), Some(i32::MIN)),
            (json!(2_147_483_648_i64), None),
            (json!(-2_147_483_649_i64), None),
            (json!(u64::MAX), None),
            (json!(null), None),
            (json!([]), None),
            (json!({}), None),
            // MariaDB stores these, but this service rejects them.
            (json!(true), None),
            (json!([1]), None),
        ] {
            assert_eq!(to_int(&value), stored, "{value}");
        }
    }

    /// All pairs were stored in a VARCHAR column of MariaDB 10.11 and read back.
    #[test]
    fn texts_are_converted_like_in_mariadb() {
        for (value, stored) in [
            (json!("a\0b"), Some("a\0b")),
            (json!(5), Some("5")),
            (json!(-5), Some("-5")),
            (json!(1.0), Some("1")),
            (json!(1.5), Some("1.5")),
            (json!(0.1), Some("0.1")),
            (json!(1e-7), Some("0.0000001")),
            (json!(123_456_789.125), Some("123456789.125")),
            (json!(1e15), Some("1e15")),
            (json!(1e20), Some("1e20")),
            (json!(1e300), Some("1e300")),
            (json!(true), Some("1")),
            (json!(false), Some("0")),
            (json!(null), None),
            (json!(["a", "b"]), None),
            (json!({"a": 1}), None),
            // MariaDB stores these, but this service rejects them.
            (json!([1]), None),
        ] {
            assert_eq!(to_text(&value).as_deref(), stored, "{value}");
        }
    }

    #[test]
    fn booleans_are_true_false_one_and_zero() {
        for (value, stored) in [
            (json!(true), Some(true)),
            (json!(false), Some(false)),
            (json!(1), Some(true)),
            (json!(0), Some(false)),
            (json!(1.0), Some(true)),
            (json!(2), None),
            (json!("true"), None),
            (json!("1"), None),
            (json!(null), None),
        ] {
            assert_eq!(to_bool(&value), stored, "{value}");
        }
    }

    #[test]
    fn a_list_has_the_width_of_pythons_json() {
        for list in [json!([]), json!(["backup"]), json!(["backup", "restore"])] {
            let python = list.to_string().replace(',', ", ");
            assert_eq!(list_width(list.as_array().unwrap()), python.len(), "{python}");
        }
    }
}
