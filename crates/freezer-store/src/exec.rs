//! [`Db`]: what a query function runs its statements on, in or outside a transaction.
//!
//! It sends statements and reads rows; when a transaction begins, ends or runs again is `tx.rs`, and when a statement is given
//! up, `watch.rs`.
//! After any failed or interrupted statement the connection is not used again by accident: `tx.rs` asks
//! [`Db::is_settled`] before it gives the connection back.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, SqlStr, Sqlite};

use crate::deadline::Deadline;
use crate::dialect::Dialect;
use crate::engine::Connection;
use crate::error::{DriverError, Outage, StoreError};
use crate::explain;
use crate::pool::Lease;
use crate::row::Row;
use crate::statement::{Statement, is_kept};
use crate::watch::given_up;

/// Time for a transaction to be undone.
const ROLLBACK: Duration = Duration::from_secs(2);

/// How long a task may work through rows before other tasks of the thread have their turn.
const LONG: Duration = Duration::from_millis(2);

/// The turn of a task on its thread. Rows differ in size, and searches in what they look for, so it ends by time.
pub(crate) struct Turn(Instant);

impl Turn {
    pub(crate) fn begin() -> Turn {
        Turn(Instant::now())
    }

    /// Lets other tasks run if this one has worked for long.
    pub(crate) async fn end_if_long(&mut self) {
        if self.0.elapsed() >= LONG {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
    }
}

/// A statement for SQLite, kept prepared if it is worth it.
fn query<'q>(sql: SqlStr, arguments: SqliteArguments) -> sqlx::query::Query<'q, Sqlite, SqliteArguments> {
    let is_kept = is_kept(sql.as_str());
    sqlx::query_with(sql, arguments).persistent(is_kept)
}

/// A connection in the hands of one named read or write.
pub struct Db {
    lease: Lease,
    doing: &'static str,
    deadline: Deadline,
    is_repeat: bool,
}

impl Db {
    pub(crate) fn new(lease: Lease, doing: &'static str, deadline: Deadline, is_repeat: bool) -> Db {
        Db { lease, doing, deadline, is_repeat }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.lease.dialect()
    }

    /// Name of the transaction or query, for errors and logs.
    pub(crate) fn doing(&self) -> &'static str {
        self.doing
    }

    /// Returns whether an earlier run of the body may have been stored, because its answer was lost (`repeat.rs`).
    pub fn is_repeat(&self) -> bool {
        self.is_repeat
    }

    /// Returns whether every statement was answered to its end.
    pub(crate) fn is_settled(&self) -> bool {
        self.lease.is_settled()
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The connection, and whether every statement was answered to its end.
    pub(crate) fn into_parts(self) -> (Lease, bool) {
        let is_settled = self.is_settled();
        (self.lease, is_settled)
    }

    /// All rows of a query.
    pub(crate) async fn select(
        &mut self,
        statement: &(impl Statement + Sync),
    ) -> Result<Vec<Row>, StoreError> {
        self.explain(statement).await?;
        self.run(async |connection| {
            Ok(match connection {
                Connection::MySql(c) => {
                    c.select(statement.mysql()?).await?.into_iter().map(Row::MySql).collect()
                }
                Connection::Sqlite(c) => {
                    let (sql, arguments) = statement.sqlite()?;
                    let rows = query(sql, arguments).fetch_all(&mut c.connection).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
            })
        })
        .await
    }

    /// The first row of a query, if there is one.
    pub(crate) async fn select_one(
        &mut self,
        statement: &(impl Statement + Sync),
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.select(statement).await?.into_iter().next())
    }

    /// Hands each row of a query to `each` as it comes, so that not all are held at once. After `Break` or an error the
    /// rest is read and thrown away, which leaves the connection in step: bound such a query by a limit.
    pub(crate) async fn select_each(
        &mut self,
        statement: &(impl Statement + Sync),
        mut each: impl FnMut(Row) -> Result<ControlFlow<()>, StoreError> + Send,
    ) -> Result<(), StoreError> {
        self.explain(statement).await?;
        self.run(async |connection| {
            let mut so_far = Ok(ControlFlow::Continue(()));
            let mut take = |row| {
                if matches!(so_far, Ok(ControlFlow::Continue(()))) {
                    so_far = each(row);
                }
            };
            match connection {
                Connection::MySql(c) => {
                    c.select_each(statement.mysql()?, |row| take(Row::MySql(row))).await?;
                }
                Connection::Sqlite(c) => {
                    let (sql, arguments) = statement.sqlite()?;
                    let mut rows = query(sql, arguments).fetch(&mut c.connection);
                    let mut turn = Turn::begin();
                    while let Some(row) = rows.try_next().await? {
                        take(Row::Sqlite(row));
                        turn.end_if_long().await;
                    }
                }
            }
            Ok(so_far.map(|_| ()))
        })
        .await?
    }

    /// Runs a statement that changes rows and returns how many rows it matched.
    pub(crate) async fn execute(&mut self, statement: &(impl Statement + Sync)) -> Result<u64, StoreError> {
        self.explain(statement).await?;
        self.run(async |connection| {
            Ok(match connection {
                Connection::MySql(c) => c.execute(statement.mysql()?).await?,
                Connection::Sqlite(c) => {
                    let (sql, arguments) = statement.sqlite()?;
                    query(sql, arguments).execute(&mut c.connection).await?.rows_affected()
                }
            })
        })
        .await
    }

    /// Keeps the plan of a statement that is about to be sent, where plans are kept.
    async fn explain(&mut self, statement: &(impl Statement + Sync)) -> Result<(), StoreError> {
        if !self.lease.plans().kept() {
            return Ok(());
        }
        let doing = self.doing;
        let explained =
            self.run(async |connection| explain::explain(connection, doing, statement).await).await;
        let plan = match explained {
            Ok(plan) => plan,
            // a database that does not explain a statement may still carry it out
            Err(StoreError::Backend { source, .. }) if self.is_settled() => explain::Plan {
                doing,
                sql: String::new(),
                steps: Vec::new(),
                refused: Some(source.to_string()),
            },
            Err(error) => return Err(error),
        };
        self.lease.plans().add(plan);
        Ok(())
    }

    /// Runs a statement without values: BEGIN, COMMIT, and what the migrations need.
    pub(crate) async fn raw(&mut self, sql: &str) -> Result<u64, StoreError> {
        let sql = sql.to_owned();
        self.run(async |connection| {
            Ok(match connection {
                Connection::MySql(c) => c.raw(&sql).await?,
                Connection::Sqlite(c) => {
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut c.connection).await?.rows_affected()
                }
            })
        })
        .await
    }

    /// Undoes a transaction, also after the deadline. A rollback that does not end leaves the statement in flight, so the
    /// connection is closed.
    pub(crate) async fn rollback(&mut self) {
        self.deadline = Deadline::after(ROLLBACK);
        // without a transaction, SQLite answers with an error
        let _ = self.raw("ROLLBACK").await;
    }

    /// All rows of a query given as text, for questions about the catalogue of tables.
    pub(crate) async fn raw_select(&mut self, sql: &str) -> Result<Vec<Row>, StoreError> {
        let sql = sql.to_owned();
        self.run(async |connection| {
            Ok(match connection {
                Connection::MySql(c) => c.raw_select(&sql).await?.into_iter().map(Row::MySql).collect(),
                Connection::Sqlite(c) => {
                    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut c.connection).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
            })
        })
        .await
    }

    async fn run<T>(
        &mut self,
        statement: impl AsyncFnOnce(&mut Connection) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        let doing = self.doing;
        let unavailable = |outage, reason| StoreError::Unavailable { doing, outage, reason };
        if self.deadline.is_over() {
            return Err(unavailable(Outage::Slow, "the deadline of the request has passed".to_owned()));
        }
        let (pool, thread) = (self.lease.pool().clone(), self.lease.thread());
        let limit = self.lease.statement_timeout();
        let Some(connection) = self.lease.connection() else {
            return Err(unavailable(Outage::Away, "the connection is closed".to_owned()));
        };
        let result = tokio::select! {
            biased;
            result = statement(connection) => result,
            (outage, reason) = given_up(&pool, thread.as_ref(), limit, self.deadline) => {
                return Err(unavailable(outage, reason));
            }
        };
        // A server that answered with an error is in step with us; a broken wire is not.
        if !matches!(&result, Err(error) if !error.is_answer()) {
            self.lease.answered();
        }
        result.map_err(|error| StoreError::from_driver(doing, error))
    }
}
