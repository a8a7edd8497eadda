//! What each column of the database can take, and what the database makes of a value that is not
//! of its column's type.
//!
//! The widths are those of the tables that freezer-api 19.0.0 creates, except `clients.hostname`,
//! which older releases made wider and which must not shrink. This is the only list of widths:
//! the schemas name a column, and [`column()`] finds it here.
//!
//! Real clients send numbers as text (`"5"`) and text as numbers, and the Python service leaves
//! the conversion to MariaDB. [`to_int`], [`to_text`] and [`to_bool`] convert in the same way, so
//! a store that is strict about types gives the same answers. What they refuse is what MariaDB
//! refuses (an internal error in the Python service, a 400 here), and three things more, which
//! MariaDB stores but nobody can mean: a boolean as a number (`true` → 1), a list of one element
//! (`[5]` → 5) and text whose spaces at the end do not fit (they are cut off).
//!
//! Not here: limits on a whole body (the HTTP layer), and the text of the errors (`keywords`).

use std::ops::RangeInclusive;

use serde_json::{Number, Value};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// VARCHAR of so many characters (not bytes).
    Text(usize),
    /// INT: see [`INT`].
    Int,
    /// BOOLEAN.
    Bool,
    /// A list kept as JSON text in a VARCHAR of so many characters.
    List(usize),
}

/// One column that values from a request reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// `table.column`, as in the database.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

const fn text(name: &'static str, max: usize) -> Column {
    Column { name, kind: Kind::Text(max) }
}

const fn int(name: &'static str) -> Column {
    Column { name, kind: Kind::Int }
}

const fn list(name: &'static str) -> Column {
    Column { name, kind: Kind::List(255) }
}

/// What an INT column takes.
pub const INT: RangeInclusive<i64> = -2_147_483_648..=2_147_483_647;

/// Every column that a value of a request can reach. TEXT columns (schedules, metadata) have no
/// entry: the limit on the whole body is theirs. The two of `user_credentials` are for what
/// Keystone returns; no request fills them.
pub const COLUMNS: &[Column] = &[
    text("clients.client_id", 255),
    text("clients.hostname", 255),
    text("clients.description", 255),
    text("clients.uuid", 36),
    list("clients.supported_actions"),
    list("clients.supported_modes"),
    list("clients.supported_storages"),
    list("clients.supported_engines"),
    text("actions.id", 36),
    text("actions.action", 255),
    text("actions.actionmode", 255),
    text("actions.path_to_backup", 255),
    text("actions.backup_name", 255),
    text("actions.container", 255),
    text("actions.log_file", 255),
    int("actions.timeout"),
    int("actions.priority"),
    int("actions.max_retries"),
    int("actions.max_retries_interval"),
    Column { name: "actions.mandatory", kind: Kind::Bool },
    text("jobs.id", 36),
    text("jobs.client_id", 255),
    text("jobs.session_id", 36),
    text("jobs.description", 255),
    int("jobs.session_tag"),
    text("sessions.description", 255),
    text("sessions.status", 255),
    text("sessions.result", 255),
    int("sessions.session_tag"),
    int("sessions.hold_off"),
    int("sessions.time_start"),
    int("sessions.time_end"),
    int("sessions.time_started"),
    int("sessions.time_ended"),
    text("backups.job_id", 36),
    text("user_credentials.trust_id", 255),
    text("user_credentials.trustor_user_id", 64),
];

/// The entry of a column by its `table.column` name.
#[must_use]
pub fn column(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.name == name)
}

/// The number that an INT column keeps for this value; `None` for null and for what cannot be
/// kept.
///
/// Text is read as a decimal number with white space around it and rounded half away from zero; a
/// JSON number with a fraction is rounded half to even. That is what MariaDB does with the two.
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

/// A decimal number as SQL reads it: no `inf`, no hexadecimal, no digits beyond ASCII.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    text.chars().all(plain).then(|| text.parse().ok()).flatten()
}

/// The text that a VARCHAR column keeps for this value; `None` for null and for what cannot be
/// kept (objects and lists). The caller checks the width.
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
            // MariaDB writes a double without its exponent up to 15 digits.
            if float.abs() < 1e15 { float.to_string() } else { format!("{float:e}") }
        }
        _ => literal,
    }
}

/// The truth value that a BOOLEAN column keeps for this value (true, false, 1 and 0); `None` for
/// null and for what cannot be kept.
#[must_use]
pub fn to_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Value::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        _ => None,
    }
}

/// The number of characters that a list of plain names takes as JSON text, written with a space after each comma
/// as the Python service does, so that both services fit the same lists.
pub(super) fn list_width(items: &[Value]) -> usize {
    let texts: usize = items.iter().map(|item| item.to_string().len()).sum();
    2 + texts + 2 * items.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]
    use super::*;
    use serde_json::json;

    /// Every pair was stored in, and read back from, an INT column of MariaDB 10.11 in strict mode.
    #[test]
    fn integers_as_mariadb_stores_them() {
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
            // Stored by MariaDB, refused here.
            (json!(true), None),
            (json!([1]), None),
        ] {
            assert_eq!(to_int(&value), stored, "{value}");
        }
    }

    /// Every pair was stored in, and read back from, a VARCHAR column of MariaDB 10.11.
    #[test]
    fn texts_as_mariadb_stores_them() {
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
            // Stored by MariaDB, refused here.
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
    fn a_list_is_as_wide_as_python_writes_it() {
        for list in [json!([]), json!(["backup"]), json!(["backup", "restore"])] {
            let python = list.to_string().replace(',', ", ");
            assert_eq!(list_width(list.as_array().unwrap()), python.len(), "{python}");
        }
    }
}
