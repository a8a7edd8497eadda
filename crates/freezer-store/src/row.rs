//! [`Row`]: one result row of either engine, read by position.
//!
//! Positions, because every query names its columns in one const list beside the code that reads them.
//! Decoding is unchecked against the declared type: SQLite declares BOOLEAN and DATETIME where it stores
//! integers and text, and a database made by the Python service has its own widths.

use sqlx::{Row as _, ValueRef, sqlite::SqliteRow};

use crate::error::DriverError;
use crate::mysql::{MySqlRow, MySqlValue};

/// A row of a result.
pub(crate) enum Row {
    MySql(MySqlRow),
    Sqlite(SqliteRow),
}

impl Row {
    /// Text, or `None` for NULL.
    pub(crate) fn text(&self, at: usize) -> Result<Option<String>, DriverError> {
        match self {
            Row::MySql(row) => match value(row, at)? {
                MySqlValue::NULL => Ok(None),
                MySqlValue::Bytes(bytes) => match String::from_utf8(bytes.clone()) {
                    Ok(text) => Ok(Some(text)),
                    Err(_) => Err(DriverError::Column { at, reason: "the text is not UTF-8" }),
                },
                MySqlValue::Int(number) => Ok(Some(number.to_string())),
                MySqlValue::UInt(number) => Ok(Some(number.to_string())),
                _ => Err(DriverError::Column { at, reason: "not a text" }),
            },
            Row::Sqlite(row) => Ok(row.try_get_unchecked(at)?),
        }
    }

    /// As [`text`](Self::text), without a copy: the row loses it, and a second look fails.
    pub(crate) fn take_text(&mut self, at: usize) -> Result<Option<String>, DriverError> {
        match self {
            Row::MySql(row) if matches!(value(row, at)?, MySqlValue::Bytes(_)) => match row.take(at) {
                Some(MySqlValue::Bytes(bytes)) => match String::from_utf8(bytes) {
                    Ok(text) => Ok(Some(text)),
                    Err(_) => Err(DriverError::Column { at, reason: "the text is not UTF-8" }),
                },
                _ => Ok(None),
            },
            _ => self.text(at),
        }
    }

    /// As [`string`](Self::string), without a copy: the row loses it.
    pub(crate) fn take_string(&mut self, at: usize) -> Result<String, DriverError> {
        Ok(self.take_text(at)?.unwrap_or_default())
    }

    /// Text that the layout declares NOT NULL, or whose NULL means the same as "".
    pub(crate) fn string(&self, at: usize) -> Result<String, DriverError> {
        Ok(self.text(at)?.unwrap_or_default())
    }

    /// A whole number, or `None` for NULL.
    pub(crate) fn int(&self, at: usize) -> Result<Option<i64>, DriverError> {
        let wrong = || DriverError::Column { at, reason: "not a whole number of 64 bits" };
        match self {
            Row::MySql(row) => match value(row, at)? {
                MySqlValue::NULL => Ok(None),
                MySqlValue::Int(number) => Ok(Some(*number)),
                MySqlValue::UInt(number) => i64::try_from(*number).map(Some).map_err(|_| wrong()),
                // an answer to a query without placeholders
                MySqlValue::Bytes(digits) => {
                    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                    number.map(Some).ok_or_else(wrong)
                }
                _ => Err(wrong()),
            },
            Row::Sqlite(row) => Ok(row.try_get_unchecked(at)?),
        }
    }

    /// False for NULL.
    pub(crate) fn is_some(&self, at: usize) -> Result<bool, DriverError> {
        Ok(match self {
            Row::MySql(row) => *value(row, at)? != MySqlValue::NULL,
            Row::Sqlite(row) => !row.try_get_raw(at)?.is_null(),
        })
    }

    /// A BOOLEAN column; NULL is false.
    pub(crate) fn flag(&self, at: usize) -> Result<bool, DriverError> {
        Ok(self.int(at)?.unwrap_or(0) != 0)
    }
}

fn value(row: &MySqlRow, at: usize) -> Result<&MySqlValue, DriverError> {
    row.as_ref(at).ok_or(DriverError::Column { at, reason: "there is no such column" })
}
