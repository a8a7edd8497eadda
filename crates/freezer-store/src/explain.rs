//! [`QueryPlan`]: the plan of a statement according to the database.
//!
//! Plans are for tests that check the index of every statement, and for estimates of the number of rows. After
//! [`Store::explain`](crate::Store::explain), a store requests the plan of each statement before it sends it.
//! Other stores do not.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr};

use crate::engine::DbConnection;
use crate::error::DriverError;
use crate::mysql::{MySqlRow, Sql};
use crate::row::Row;
use crate::statement::Statement;

/// A statement and its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryPlan {
    /// Name of the transaction or query.
    pub doing: &'static str,
    /// Text of the statement.
    pub sql: String,
    /// The access to each table.
    pub steps: Vec<PlanStep>,
    /// The reason why the database did not explain the statement. Then text and steps are empty.
    pub refused: Option<String>,
}

/// The access to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanStep {
    /// The table or its alias. On SQLite the whole line.
    pub table: String,
    /// Column `type` of EXPLAIN: `ALL`, `index`, `range`, `ref`, …. Empty on SQLite.
    pub access: String,
    /// The used index.
    pub key: Option<String>,
    /// Estimated number of rows.
    pub rows: u64,
    /// Column `Extra` of EXPLAIN.
    pub extra: String,
}

/// The recorded plans, if plans are recorded.
#[derive(Default)]
pub(crate) struct Plans(OnceLock<Mutex<Vec<QueryPlan>>>);

impl Plans {
    /// Starts to record plans.
    pub(crate) fn keep(&self) {
        self.0.get_or_init(Mutex::default);
    }

    pub(crate) fn kept(&self) -> bool {
        self.0.get().is_some()
    }

    /// Removes and returns the recorded plans.
    pub(crate) fn drain(&self) -> Vec<QueryPlan> {
        let plans = self.0.get();
        plans
            .map(|plans| std::mem::take(&mut *plans.lock().unwrap_or_else(PoisonError::into_inner)))
            .unwrap_or_default()
    }

    pub(crate) fn add(&self, plan: QueryPlan) {
        if let Some(plans) = self.0.get() {
            plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan);
        }
    }
}

/// Requests the plan of a statement.
pub(crate) async fn explain(
    connection: &mut DbConnection,
    doing: &'static str,
    statement: &(impl Statement + Sync),
) -> Result<QueryPlan, DriverError> {
    match connection {
        DbConnection::MySql(c) => {
            let (sql, values) = statement.mysql()?;
            let sql = match sql {
                Sql::Fixed(text) => text.to_owned(),
                Sql::Made(text) => text,
            };
            // Without a format, MySQL 9 prints a tree.
            let rows = c.select((Sql::Made(format!("EXPLAIN FORMAT=TRADITIONAL {sql}")), values)).await?;
            let steps = rows.into_iter().map(mysql_step).collect();
            Ok(QueryPlan { doing, sql, steps, refused: None })
        }
        DbConnection::Sqlite(c) => {
            let (sql, arguments) = statement.sqlite()?;
            let sql = sql.as_str().to_owned();
            let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")).into_sql_str();
            let rows =
                sqlx::query_with(explained, arguments).persistent(false).fetch_all(&mut c.connection).await?;
            let step = |row: &sqlx::sqlite::SqliteRow| PlanStep {
                table: row.try_get_unchecked("detail").unwrap_or_default(),
                access: String::new(),
                key: None,
                rows: 0,
                extra: String::new(),
            };
            Ok(QueryPlan { doing, sql, steps: rows.iter().map(step).collect(), refused: None })
        }
    }
}

/// Returns the estimated number of rows in a line of EXPLAIN. 0 for SQLite, which has none.
pub(crate) fn estimated_rows(line: Row) -> u64 {
    match line {
        Row::MySql(row) => mysql_step(row).rows,
        Row::Sqlite(_) => 0,
    }
}

/// Reads a line of EXPLAIN. Its columns have names, because MySQL has more of them than MariaDB.
fn mysql_step(row: MySqlRow) -> PlanStep {
    let positions: HashMap<String, usize> = row
        .columns_ref()
        .iter()
        .enumerate()
        .map(|(at, column)| (column.name_str().into_owned(), at))
        .collect();
    let row = Row::MySql(row);
    let text = |name: &str| positions.get(name).and_then(|at| row.text(*at).ok().flatten());
    // MySQL returns a number. MariaDB returns a text, which may continue with the filter, as in `12 (3%)`.
    let rows = text("rows").unwrap_or_default();
    let rows = rows.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    PlanStep {
        table: text("table").unwrap_or_default(),
        access: text("type").unwrap_or_default(),
        key: text("key"),
        rows: rows.unwrap_or(0),
        extra: text("Extra").unwrap_or_default(),
    }
}
