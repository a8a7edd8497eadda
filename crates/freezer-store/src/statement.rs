//! [`Statement`]: the statements that a connection can run. A statement of sea-query is built for each use.
//! The text of a [`Fixed`] statement is rendered once.
//!
//! Building and rendering a statement takes about as long as the database needs to run it, so the most
//! frequent statements are fixed. Both types come from the same builder functions. `exec.rs` runs them.

use std::sync::OnceLock;

use sea_query::{Expr, Value};
use sea_query_sqlx::{SqlxBinder, SqlxValues};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, IntoArguments, SqlSafeStr, SqlStr, Sqlite};

use crate::dialect::Dialect;
use crate::error::DriverError;
use crate::mysql::{MySqlValue, Sql};

/// A statement that a connection can run.
pub(crate) trait Statement {
    /// Renders it for MySQL.
    fn mysql(&self) -> Result<(Sql, Vec<MySqlValue>), DriverError>;
    /// Renders it for SQLite.
    fn sqlite(&self) -> Result<(SqlStr, SqliteArguments), DriverError>;
}

impl<T: SqlxBinder> Statement for T {
    fn mysql(&self) -> Result<(Sql, Vec<MySqlValue>), DriverError> {
        let (sql, values) = Dialect::MySql.build(self);
        let values = values.0.0.into_iter().map(mysql_value).collect::<Result<_, _>>()?;
        Ok((Sql::Made(sql), values))
    }

    fn sqlite(&self) -> Result<(SqlStr, SqliteArguments), DriverError> {
        let (sql, values) = Dialect::Sqlite.build(self);
        Ok((AssertSqlSafe(sql).into_sql_str(), IntoArguments::<Sqlite>::into_arguments(values)))
    }
}

/// A statement whose text never changes. It lives in a static, and each use passes its arguments.
pub(crate) struct Fixed {
    build: fn(Dialect) -> (String, SqlxValues),
    mysql: OnceLock<FixedText>,
    sqlite: OnceLock<FixedText>,
}

struct FixedText {
    sql: String,
    slots: Vec<Placeholder>,
}

/// A placeholder of a fixed statement.
enum Placeholder {
    Argument(usize),
    Constant(Value),
}

/// An argument of a fixed statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument<'a> {
    /// A text or NULL.
    Text(Option<&'a str>),
    /// A whole number.
    Number(u64),
    /// A number that may be negative.
    Signed(i64),
    /// Bytes or NULL.
    Bytes(Option<&'a [u8]>),
}

impl<'a> From<&'a str> for Argument<'a> {
    fn from(text: &'a str) -> Self {
        Argument::Text(Some(text))
    }
}

/// Prefix of an argument while the text is rendered. No constant of a statement begins with it.
const MARK: &str = "\u{0}argument ";

/// The same for numbers in LIMIT.
const NUMBER_MARK: u64 = u64::MAX - 1_000;

/// Returns a stand-in for an argument in LIMIT.
pub(crate) fn number_argument(position: u64) -> u64 {
    NUMBER_MARK + position
}

/// Returns a stand-in for an argument, counted from 0, in the statement of [`Fixed::new`].
pub(crate) fn argument(position: usize) -> Expr {
    Expr::val(argument_text(position))
}

/// Returns the same as a text.
pub(crate) fn argument_text(position: usize) -> String {
    format!("{MARK}{position}")
}

impl Fixed {
    /// Declares a statement. `build` builds it with [`argument`]s.
    pub(crate) const fn new(build: fn(Dialect) -> (String, SqlxValues)) -> Fixed {
        Fixed { build, mysql: OnceLock::new(), sqlite: OnceLock::new() }
    }

    /// Returns the statement with its arguments.
    pub(crate) fn with<'a>(&'static self, arguments: Vec<Argument<'a>>) -> Filled<'a> {
        Filled { fixed: self, arguments }
    }

    fn text(&'static self, dialect: Dialect) -> &'static FixedText {
        let text = match dialect {
            Dialect::MySql => &self.mysql,
            Dialect::Sqlite => &self.sqlite,
        };
        text.get_or_init(|| {
            let (sql, values) = (self.build)(dialect);
            FixedText { sql, slots: values.0.0.into_iter().map(placeholder).collect() }
        })
    }
}

fn placeholder(value: Value) -> Placeholder {
    let position = match &value {
        Value::String(Some(text)) => text.strip_prefix(MARK).and_then(|number| number.parse().ok()),
        Value::BigUnsigned(Some(number)) => {
            number.checked_sub(NUMBER_MARK).and_then(|position| usize::try_from(position).ok())
        }
        _ => None,
    };
    position.map_or(Placeholder::Constant(value), Placeholder::Argument)
}

/// A fixed statement with its arguments.
pub(crate) struct Filled<'a> {
    fixed: &'static Fixed,
    arguments: Vec<Argument<'a>>,
}

impl Filled<'_> {
    fn argument(&self, position: usize) -> Result<Argument<'_>, DriverError> {
        let missing = || DriverError::Value(format!("argument {position}, which is missing"));
        self.arguments.get(position).copied().ok_or_else(missing)
    }
}

impl Statement for Filled<'_> {
    fn mysql(&self) -> Result<(Sql, Vec<MySqlValue>), DriverError> {
        let text = self.fixed.text(Dialect::MySql);
        let value = |slot: &Placeholder| match slot {
            Placeholder::Argument(position) => Ok(match self.argument(*position)? {
                Argument::Text(text) => text.into(),
                Argument::Bytes(bytes) => bytes.into(),
                Argument::Number(number) => number.into(),
                Argument::Signed(number) => number.into(),
            }),
            Placeholder::Constant(value) => mysql_value(value.clone()),
        };
        Ok((Sql::Fixed(&text.sql), text.slots.iter().map(value).collect::<Result<_, DriverError>>()?))
    }

    fn sqlite(&self) -> Result<(SqlStr, SqliteArguments), DriverError> {
        let text = self.fixed.text(Dialect::Sqlite);
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut filled = SqliteArguments::default();
        for slot in &text.slots {
            let added = match slot {
                Placeholder::Argument(position) => match self.argument(*position)? {
                    Argument::Text(text) => filled.add(text),
                    Argument::Bytes(bytes) => filled.add(bytes),
                    Argument::Number(number) => filled.add(whole(number)),
                    Argument::Signed(number) => filled.add(number),
                },
                Placeholder::Constant(Value::Bool(Some(flag))) => filled.add(*flag),
                Placeholder::Constant(Value::BigUnsigned(Some(number))) => filled.add(whole(*number)),
                Placeholder::Constant(Value::Int(Some(number))) => filled.add(i64::from(*number)),
                Placeholder::Constant(Value::BigInt(Some(number))) => filled.add(*number),
                Placeholder::Constant(Value::String(text)) => filled.add(text.as_deref()),
                Placeholder::Constant(other) => Err(format!("{other:?} in a fixed statement").into()),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        Ok((text.sql.as_str().into_sql_str(), filled))
    }
}

/// Converts a value of a statement for the driver.
fn mysql_value(value: Value) -> Result<MySqlValue, DriverError> {
    Ok(match value {
        Value::Bool(value) => value.into(),
        Value::TinyInt(value) => value.into(),
        Value::SmallInt(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::BigInt(value) => value.into(),
        Value::TinyUnsigned(value) => value.into(),
        Value::SmallUnsigned(value) => value.into(),
        Value::Unsigned(value) => value.into(),
        Value::BigUnsigned(value) => value.into(),
        Value::Float(value) => value.into(),
        Value::Double(value) => value.into(),
        Value::String(value) => value.into(),
        Value::Bytes(value) => value.into(),
        other => return Err(DriverError::Value(format!("{other:?}"))),
    })
}
