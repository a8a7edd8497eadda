//! [`Db`]: what a query function runs its statements on, in or outside a transaction.
//!
//! It sends statements and reads rows; when a transaction begins, ends or runs again is `tx.rs`.
//! After any failed or interrupted statement the connection is not used again by accident: `tx.rs` asks
//! [`Db::is_settled`] before it gives the connection back.

use sea_query_sqlx::SqlxBinder;
use sqlx::AssertSqlSafe;

use crate::dialect::Dialect;
use crate::engine::Connection;
use crate::error::StoreError;
use crate::pool::Lease;
use crate::row::Row;

/// A connection in the hands of one named read or write.
pub struct Db {
    lease: Lease,
    doing: &'static str,
    attempt: u32,
    /// True while a statement is under way; stays true when its future is dropped half-way.
    in_flight: bool,
}

impl Db {
    pub(crate) fn new(lease: Lease, doing: &'static str, attempt: u32) -> Db {
        Db { lease, doing, attempt, in_flight: false }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.lease.dialect()
    }

    /// Name of the transaction or query, for errors and logs.
    pub(crate) fn doing(&self) -> &'static str {
        self.doing
    }

    /// 1 for the first run of the body; more when it runs again.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// True where every statement was answered to its end.
    pub(crate) fn is_settled(&self) -> bool {
        !self.in_flight
    }

    pub(crate) fn into_lease(self) -> Lease {
        self.lease
    }

    /// All rows of a query.
    pub(crate) async fn select(&mut self, statement: &impl SqlxBinder) -> Result<Vec<Row>, StoreError> {
        let (sql, values) = self.dialect().build(statement);
        self.run(async |connection| {
            Ok(match connection {
                Connection::MySql(c) => {
                    let rows = sqlx::query_with(AssertSqlSafe(sql), values).fetch_all(&mut **c).await?;
                    rows.into_iter().map(Row::MySql).collect()
                }
                Connection::Sqlite(c) => {
                    let rows = sqlx::query_with(AssertSqlSafe(sql), values).fetch_all(&mut **c).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
            })
        })
        .await
    }

    /// The first row of a query, if there is one.
    pub(crate) async fn select_one(
        &mut self,
        statement: &impl SqlxBinder,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.select(statement).await?.into_iter().next())
    }

    /// Runs a statement that changes rows and returns how many rows it matched.
    pub(crate) async fn execute(&mut self, statement: &impl SqlxBinder) -> Result<u64, StoreError> {
        let (sql, values) = self.dialect().build(statement);
        self.run(async |connection| {
            Ok(match connection {
                Connection::MySql(c) => {
                    sqlx::query_with(AssertSqlSafe(sql), values).execute(&mut **c).await?.rows_affected()
                }
                Connection::Sqlite(c) => {
                    sqlx::query_with(AssertSqlSafe(sql), values).execute(&mut **c).await?.rows_affected()
                }
            })
        })
        .await
    }

    /// Runs a statement without values: BEGIN, COMMIT, and what the migrations need.
    pub(crate) async fn raw(&mut self, sql: &str) -> Result<u64, StoreError> {
        let sql = sql.to_owned();
        self.run(async |connection| {
            Ok(match connection {
                Connection::MySql(c) => {
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **c).await?.rows_affected()
                }
                Connection::Sqlite(c) => {
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **c).await?.rows_affected()
                }
            })
        })
        .await
    }

    /// All rows of a query given as text, for questions about the catalogue of tables.
    pub(crate) async fn raw_select(&mut self, sql: &str) -> Result<Vec<Row>, StoreError> {
        let sql = sql.to_owned();
        self.run(async |connection| {
            Ok(match connection {
                Connection::MySql(c) => {
                    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut **c).await?;
                    rows.into_iter().map(Row::MySql).collect()
                }
                Connection::Sqlite(c) => {
                    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut **c).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
            })
        })
        .await
    }

    async fn run<T>(
        &mut self,
        statement: impl AsyncFnOnce(&mut Connection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let doing = self.doing;
        let limit = self.lease.statement_timeout();
        self.in_flight = true;
        let Some(connection) = self.lease.connection() else {
            return Err(StoreError::Unavailable { doing, reason: "the connection is closed".to_owned() });
        };
        match tokio::time::timeout(limit, statement(connection)).await {
            Ok(result) => {
                // A server that answered with an error is in step with us; a broken wire is not.
                self.in_flight = matches!(&result, Err(error) if !matches!(error, sqlx::Error::Database(_)));
                result.map_err(|error| StoreError::from_driver(doing, error))
            }
            Err(_) => Err(StoreError::Unavailable {
                doing,
                reason: format!("a statement took longer than {limit:?}"),
            }),
        }
    }
}
