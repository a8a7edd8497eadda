//! [`Row`]: one result row of either engine, read by position.
//!
//! Positions, because every query names its columns in one const list beside the code that reads them.
//! Decoding is unchecked against the declared type: SQLite declares BOOLEAN and DATETIME where it stores
//! integers and text, and a database made by the Python service has its own widths.

use sqlx::{Row as _, mysql::MySqlRow, sqlite::SqliteRow};

/// A row of a result.
pub(crate) enum Row {
    MySql(MySqlRow),
    Sqlite(SqliteRow),
}

impl Row {
    /// Text, or `None` for NULL.
    pub(crate) fn text(&self, at: usize) -> Result<Option<String>, sqlx::Error> {
        match self {
            Row::MySql(row) => row.try_get_unchecked(at),
            Row::Sqlite(row) => row.try_get_unchecked(at),
        }
    }

    /// Text that the layout declares NOT NULL, or whose NULL means the same as "".
    pub(crate) fn string(&self, at: usize) -> Result<String, sqlx::Error> {
        Ok(self.text(at)?.unwrap_or_default())
    }

    /// A whole number, or `None` for NULL.
    pub(crate) fn int(&self, at: usize) -> Result<Option<i64>, sqlx::Error> {
        match self {
            Row::MySql(row) => row.try_get_unchecked(at),
            Row::Sqlite(row) => row.try_get_unchecked(at),
        }
    }

    /// A BOOLEAN column; NULL is false.
    pub(crate) fn flag(&self, at: usize) -> Result<bool, sqlx::Error> {
        Ok(self.int(at)?.unwrap_or(0) != 0)
    }
}
