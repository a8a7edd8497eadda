//! [`Row`]: a result row of either engine, and [`FromRow`]: the values that are read from it.
//!
//! Columns are read by position, because a look-up by name would cost a comparison of texts for each value. Positions are not
//! written by hand: a tuple or a struct of `tables/` reads its columns in their order. Decoding does not check the declared
//! type: SQLite declares BOOLEAN and DATETIME for integers and texts, and a database of the Python service has its own
//! widths.

use mysql_async::Column;
use mysql_async::consts::ColumnType;
use sqlx::{Row as _, ValueRef, sqlite::SqliteRow};

use crate::error::DriverError;
use crate::mysql::{MySqlRow, MySqlValue};

/// A row of a result.
pub(crate) enum Row {
    MySql(MySqlRow),
    Sqlite(SqliteRow),
}

impl Row {
    /// Reads the first columns.
    pub(crate) fn read<T: FromRow>(&mut self) -> Result<T, DriverError> {
        T::from_row(self, 0)
    }

    /// Returns a text, or `None` for NULL. A time has the form of
    /// [`Dialect::datetime`](crate::dialect::Dialect::datetime), so it can be compared with its column again.
    pub(crate) fn text(&self, at: usize) -> Result<Option<String>, DriverError> {
        match self {
            Row::MySql(row) => match value(row, at)? {
                MySqlValue::NULL => Ok(None),
                MySqlValue::Bytes(bytes) => match String::from_utf8(bytes.clone()) {
                    Ok(text) => Ok(Some(text)),
                    Err(_) => Err(unexpected(row, at, "the text is not UTF-8")),
                },
                MySqlValue::Date(..) => Ok(Some(time(value(row, at)?))),
                MySqlValue::Int(number) => Ok(Some(number.to_string())),
                MySqlValue::UInt(number) => Ok(Some(number.to_string())),
                _ => Err(unexpected(row, at, "not a text")),
            },
            Row::Sqlite(row) => Ok(row.try_get_unchecked(at)?),
        }
    }

    /// Like [`text`](Self::text), but bytes that are not UTF-8 become U+FFFD.
    fn text_of_bytes(&self, at: usize) -> Result<Option<String>, DriverError> {
        let bytes = match self {
            Row::MySql(row) => match value(row, at)? {
                MySqlValue::Bytes(bytes) => bytes.clone(),
                _ => return self.text(at),
            },
            Row::Sqlite(row) => match row.try_get_unchecked::<Option<Vec<u8>>, _>(at)? {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
        };
        Ok(Some(
            String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ))
    }

    /// Returns bytes, or `None` for NULL.
    pub(crate) fn bytes(&self, at: usize) -> Result<Option<Vec<u8>>, DriverError> {
        match self {
            Row::MySql(row) => match value(row, at)? {
                MySqlValue::NULL => Ok(None),
                MySqlValue::Bytes(bytes) => Ok(Some(bytes.clone())),
                _ => Err(unexpected(row, at, "not bytes")),
            },
            Row::Sqlite(row) => Ok(row.try_get_unchecked(at)?),
        }
    }

    /// Like [`text`](Self::text) without a copy. The value is removed from the row, so it can be read only
    /// once.
    pub(crate) fn take_text(&mut self, at: usize) -> Result<Option<String>, DriverError> {
        match self {
            Row::MySql(row) if matches!(value(row, at)?, MySqlValue::Bytes(_)) => match row.take(at) {
                Some(MySqlValue::Bytes(bytes)) => match String::from_utf8(bytes) {
                    Ok(text) => Ok(Some(text)),
                    Err(_) => Err(unexpected(row, at, "the text is not UTF-8")),
                },
                _ => Ok(None),
            },
            _ => self.text(at),
        }
    }

    /// Like [`string`](Self::string) without a copy. The value is removed from the row.
    pub(crate) fn take_string(&mut self, at: usize) -> Result<String, DriverError> {
        Ok(self.take_text(at)?.unwrap_or_default())
    }

    /// Returns a text that is NOT NULL in the layout, or whose NULL means the same as "".
    pub(crate) fn string(&self, at: usize) -> Result<String, DriverError> {
        Ok(self.text(at)?.unwrap_or_default())
    }

    /// Returns a whole number, or `None` for NULL.
    pub(crate) fn int(&self, at: usize) -> Result<Option<i64>, DriverError> {
        match self {
            Row::MySql(row) => match value(row, at)? {
                MySqlValue::NULL => Ok(None),
                other => {
                    let is_bits = row.columns_ref().get(at).map(Column::column_type)
                        == Some(ColumnType::MYSQL_TYPE_BIT);
                    let number = if is_bits { bits(other) } else { whole(other) };
                    number.map(Some).ok_or_else(|| unexpected(row, at, "not a whole number of 64 bits"))
                }
            },
            Row::Sqlite(row) => Ok(row.try_get_unchecked(at)?),
        }
    }

    /// Returns false for NULL.
    pub(crate) fn is_some(&self, at: usize) -> Result<bool, DriverError> {
        Ok(match self {
            Row::MySql(row) => *value(row, at)? != MySqlValue::NULL,
            Row::Sqlite(row) => !row.try_get_raw(at)?.is_null(),
        })
    }

    /// Returns a BOOLEAN. NULL is false.
    pub(crate) fn flag(&self, at: usize) -> Result<bool, DriverError> {
        Ok(self.int(at)?.unwrap_or(0) != 0)
    }
}

/// A value, or several values whose columns follow each other in a row.
///
/// Texts are moved out of the row without a copy, so each column can be read once.
pub(crate) trait FromRow: Sized {
    /// The number of columns.
    const COUNT: usize;

    /// Reads the columns that begin at position `from`.
    fn from_row(row: &mut Row, from: usize) -> Result<Self, DriverError>;
}

/// Implements [`FromRow`] for the type of one column with a method of [`Row`].
macro_rules! value {
    ($($type:ty: $read:ident),* $(,)?) => {$(
        impl FromRow for $type {
            const COUNT: usize = 1;

            fn from_row(row: &mut Row, from: usize) -> Result<Self, DriverError> {
                row.$read(from)
            }
        }
    )*};
}
value! {
    String: take_string,
    Option<String>: take_text,
    Option<i64>: int,
    Option<Vec<u8>>: bytes,
    bool: flag,
}

/// A text whose bytes that are not UTF-8 became U+FFFD.
pub(crate) struct LossyText(pub(crate) Option<String>);

impl FromRow for LossyText {
    const COUNT: usize = 1;

    fn from_row(row: &mut Row, from: usize) -> Result<Self, DriverError> {
        row.text_of_bytes(from).map(LossyText)
    }
}

impl<T: FromRow, const N: usize> FromRow for [T; N] {
    const COUNT: usize = N * T::COUNT;

    fn from_row(row: &mut Row, from: usize) -> Result<Self, DriverError> {
        let values = (0..N).map(|number| T::from_row(row, from + number * T::COUNT));
        let values = values.collect::<Result<Vec<T>, _>>()?;
        values
            .try_into()
            .map_err(|_| DriverError::Column { place: from.to_string(), reason: "not all columns were read" })
    }
}

/// Implements [`FromRow`] for a tuple.
macro_rules! tuple {
    ($($value:ident),*) => {
        impl<$($value: FromRow),*> FromRow for ($($value,)*) {
            const COUNT: usize = 0 $(+ $value::COUNT)*;

            fn from_row(row: &mut Row, from: usize) -> Result<Self, DriverError> {
                let mut next = from;
                Ok(($({
                    next += $value::COUNT;
                    $value::from_row(row, next - $value::COUNT)?
                },)*))
            }
        }
    };
}
tuple!(A, B);
tuple!(A, B, C);
tuple!(A, B, C, D);
tuple!(A, B, C, D, E);
tuple!(A, B, C, D, E, F);

/// Formats a DATETIME like the server, with a fraction only if there is one. It does not use `format!`, which
/// would take as long as reading the row's JSON.
fn time(value: &MySqlValue) -> String {
    let MySqlValue::Date(year, month, day, hour, minute, second, microseconds) = value else {
        return String::new();
    };
    let mut text = String::with_capacity(26);
    let mut part = |mark: &str, number: u32, digits: u32| {
        text.push_str(mark);
        for place in (0..digits).rev() {
            let digit = number / 10_u32.pow(place) % 10;
            text.push(char::from_digit(digit, 10).unwrap_or('0'));
        }
    };
    part("", u32::from(*year), 4);
    for (mark, number) in [("-", month), ("-", day), (" ", hour), (":", minute), (":", second)] {
        part(mark, u32::from(*number), 2);
    }
    if *microseconds > 0 {
        part(".", *microseconds, 6);
    }
    text
}

fn value(row: &MySqlRow, at: usize) -> Result<&MySqlValue, DriverError> {
    row.as_ref(at).ok_or_else(|| unexpected(row, at, "there is no such column"))
}

/// Returns the error for a value that cannot be read. It names the table and the column, if the server did.
fn unexpected(row: &MySqlRow, at: usize, reason: &'static str) -> DriverError {
    let name = row.columns_ref().get(at).map(|column| match column.org_table_str() {
        table if table.is_empty() => column.name_str().into_owned(),
        table => format!("{table}.{}", column.org_name_str()),
    });
    let place = name.map_or_else(|| at.to_string(), |name| format!("{at} ({name})"));
    DriverError::Column { place, reason }
}

/// Returns a whole number of any numeric type. A column that was changed by hand may be a DECIMAL, for example.
fn whole(value: &MySqlValue) -> Option<i64> {
    match value {
        MySqlValue::Int(number) => Some(*number),
        MySqlValue::UInt(number) => i64::try_from(*number).ok(),
        MySqlValue::Float(number) => exact(f64::from(*number)),
        MySqlValue::Double(number) => exact(*number),
        // A DECIMAL, or the result of a query without placeholders.
        MySqlValue::Bytes(digits) => {
            let digits = std::str::from_utf8(digits).ok()?;
            let whole = match digits.split_once('.') {
                Some((whole, fraction)) => fraction.bytes().all(|digit| digit == b'0').then_some(whole)?,
                None => digits,
            };
            whole.parse().ok()
        }
        _ => None,
    }
}

#[allow(clippy::cast_possible_truncation, reason = "whole, and smaller than 2^53")]
fn exact(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

/// Returns the number in a BIT column.
fn bits(value: &MySqlValue) -> Option<i64> {
    match value {
        MySqlValue::Bytes(bytes) if bytes.len() <= 8 => {
            let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            i64::try_from(number).ok()
        }
        other => whole(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_of_all_types_are_read() {
        let text = |text: &str| MySqlValue::Bytes(text.as_bytes().to_vec());
        for (value, number) in [
            (MySqlValue::Int(-1), Some(-1)),
            (MySqlValue::UInt(u64::MAX), None),
            (MySqlValue::Double(1.0), Some(1)),
            (MySqlValue::Float(0.5), None),
            (text("12"), Some(12)),
            (text("1.000"), Some(1)),
            (text("1.5"), None),
            (text(""), None),
            (text("x"), None),
        ] {
            assert_eq!(whole(&value), number, "{value:?}");
        }
        for (bytes, number) in
            [(&[0][..], Some(0)), (&[1], Some(1)), (&[1, 0], Some(256)), (&[255; 8], None), (&[0; 9], None)]
        {
            assert_eq!(bits(&MySqlValue::Bytes(bytes.to_vec())), number, "{bytes:?}");
        }
    }

    #[test]
    fn times_are_formatted_like_the_server() {
        for (value, text) in [
            (MySqlValue::Date(2026, 11, 2, 3, 4, 5, 0), "2026-11-02 03:04:05"),
            (MySqlValue::Date(987, 1, 31, 23, 59, 59, 12), "0987-01-31 23:59:59.000012"),
            (MySqlValue::Date(0, 0, 0, 0, 0, 0, 0), "0000-00-00 00:00:00"),
        ] {
            assert_eq!(time(&value), text);
        }
    }
}
