//! [`Plan`]: how the database carries out the statements that a store sends, as the database itself explains it.
//!
//! For tests that hold every statement to its index: [`Store::explain`](crate::Store::explain) makes a store ask about
//! each statement before it sends it. A store that was not asked to does nothing of it.

use std::sync::{Mutex, OnceLock, PoisonError};

use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr};

use crate::engine::Connection;
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
) -> Result<Plan, sqlx::Error> {
    match connection {
        Connection::MySql(c) => {
            let (sql, arguments) = statement.mysql()?;
            let sql = sql.as_str().to_owned();
            let explained = AssertSqlSafe(format!("EXPLAIN {sql}")).into_sql_str();
            let rows = sqlx::query_with(explained, arguments).persistent(false).fetch_all(&mut **c).await?;
            let text = |row: &sqlx::mysql::MySqlRow, name: &str| -> Option<String> {
                row.try_get_unchecked::<Option<String>, _>(name).ok().flatten()
            };
            let step = |row: &sqlx::mysql::MySqlRow| Step {
                table: text(row, "table").unwrap_or_default(),
                access: text(row, "type").unwrap_or_default(),
                key: text(row, "key"),
                rows: expected_rows(row, text(row, "rows")),
                extra: text(row, "Extra").unwrap_or_default(),
            };
            Ok(Plan { doing, sql, steps: rows.iter().map(step).collect(), refused: None })
        }
        Connection::Sqlite(c) => {
            let (sql, arguments) = statement.sqlite()?;
            let sql = sql.as_str().to_owned();
            let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")).into_sql_str();
            let rows = sqlx::query_with(explained, arguments).persistent(false).fetch_all(&mut **c).await?;
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

/// Column `rows`: a number on MySQL; on MariaDB text, which may go on with what a filter leaves, as in `12 (3%)`.
fn expected_rows(row: &sqlx::mysql::MySqlRow, text: Option<String>) -> u64 {
    if let Ok(rows) = row.try_get::<Option<u64>, _>("rows") {
        return rows.unwrap_or(0);
    }
    let text = text.unwrap_or_default();
    let digits = text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}
