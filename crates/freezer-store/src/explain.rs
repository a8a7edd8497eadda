//! [`Plan`]: how the database carries out the statements that a store sends, as the database itself explains it.
//!
//! For tests that hold every statement to its index: [`Store::explain`](crate::Store::explain) makes a store ask about
//! each statement before it sends it. A store that was not asked to does nothing of it.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr};

use crate::engine::Connection;
use crate::error::DriverError;
use crate::mysql::{MySqlRow, Sql};
use crate::row::Row;
use crate::statement::Statement;

/// A statement and its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Name of the transaction or query that sent it.
    pub doing: &'static str,
    /// Its text.
    pub sql: String,
    /// How each table is read.
    pub steps: Vec<Step>,
    /// Why the database did not explain it, where it did not; text and steps are empty then.
    pub refused: Option<String>,
}

/// How a table is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The table or its alias; the whole line on SQLite.
    pub table: String,
    /// `ALL`, `index`, `range`, `ref`, …: column `type` of EXPLAIN; "" on SQLite.
    pub access: String,
    /// The index that is used.
    pub key: Option<String>,
    /// Rows that the database expects to read.
    pub rows: u64,
    /// Column `Extra` of EXPLAIN.
    pub extra: String,
}

/// The plans so far, once somebody wants them.
#[derive(Default)]
pub(crate) struct Plans(OnceLock<Mutex<Vec<Plan>>>);

impl Plans {
    /// From now on, plans are kept.
    pub(crate) fn keep(&self) {
        self.0.get_or_init(Mutex::default);
    }

    pub(crate) fn kept(&self) -> bool {
        self.0.get().is_some()
    }

    /// Takes the plans so far.
    pub(crate) fn take(&self) -> Vec<Plan> {
        let plans = self.0.get();
        plans
            .map(|plans| std::mem::take(&mut *plans.lock().unwrap_or_else(PoisonError::into_inner)))
            .unwrap_or_default()
    }

    pub(crate) fn add(&self, plan: Plan) {
        if let Some(plans) = self.0.get() {
            plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan);
        }
    }
}

/// Asks the database how it would carry out a statement.
pub(crate) async fn explain(
    connection: &mut Connection,
    doing: &'static str,
    statement: &(impl Statement + Sync),
) -> Result<Plan, DriverError> {
    match connection {
        Connection::MySql(c) => {
            let (sql, values) = statement.mysql()?;
            let sql = match sql {
                Sql::Fixed(text) => text.to_owned(),
                Sql::Made(text) => text,
            };
            // MySQL 9 prints a tree where nobody asks for a table
            let rows = c.select((Sql::Made(format!("EXPLAIN FORMAT=TRADITIONAL {sql}")), values)).await?;
            let steps = rows.into_iter().map(mysql_step).collect();
            Ok(Plan { doing, sql, steps, refused: None })
        }
        Connection::Sqlite(c) => {
            let (sql, arguments) = statement.sqlite()?;
            let sql = sql.as_str().to_owned();
            let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")).into_sql_str();
            let rows =
                sqlx::query_with(explained, arguments).persistent(false).fetch_all(&mut c.connection).await?;
            let step = |row: &sqlx::sqlite::SqliteRow| Step {
                table: row.try_get_unchecked("detail").unwrap_or_default(),
                access: String::new(),
                key: None,
                rows: 0,
                extra: String::new(),
            };
            Ok(Plan { doing, sql, steps: rows.iter().map(step).collect(), refused: None })
        }
    }
}

/// A line of EXPLAIN, whose columns are found by their names: MySQL has more of them than MariaDB.
fn mysql_step(row: MySqlRow) -> Step {
    let positions: HashMap<String, usize> = row
        .columns_ref()
        .iter()
        .enumerate()
        .map(|(at, column)| (column.name_str().into_owned(), at))
        .collect();
    let row = Row::MySql(row);
    let text = |name: &str| positions.get(name).and_then(|at| row.text(*at).ok().flatten());
    // a number on MySQL; on MariaDB text, which may go on with what a filter leaves, as in `12 (3%)`
    let rows = text("rows").unwrap_or_default();
    let rows = rows.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    Step {
        table: text("table").unwrap_or_default(),
        access: text("type").unwrap_or_default(),
        key: text("key"),
        rows: rows.unwrap_or(0),
        extra: text("Extra").unwrap_or_default(),
    }
}
