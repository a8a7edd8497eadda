//! [`Db`] runs the statements of a query function, inside or outside a transaction.
//!
//! It sends statements and reads rows. `tx.rs` decides when a transaction begins, ends or runs again, and
//! `watch.rs` when a statement is given up. After a failed or interrupted statement the connection must not
//! be reused by accident, so `tx.rs` checks [`Db::is_settled`] before it returns the connection.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, SqlStr, Sqlite};

use crate::Store;
use crate::additions::Additions;
use crate::class::{Class, Outage};
use crate::deadline::Deadline;
use crate::dialect::Dialect;
use crate::engine::DbConnection;
use crate::error::{DriverError, StoreError, classify};
use crate::explain;
use crate::pool::Lease;
use crate::prepared::is_kept;
use crate::row::{FromRow, Row};
use crate::statement::Statement;
use crate::time_slice::TimeSlice;
use crate::tx::{Mode, TxError};
use crate::watch::given_up;

/// Time limit for a rollback.
const ROLLBACK: Duration = Duration::from_secs(2);

/// Creates a query for SQLite. Its statement stays prepared if it is small enough.
fn query<'q>(sql: SqlStr, arguments: SqliteArguments) -> sqlx::query::Query<'q, Sqlite, SqliteArguments> {
    let is_kept = is_kept(sql.as_str());
    sqlx::query_with(sql, arguments).persistent(is_kept)
}

/// A connection during one named read or write.
pub struct Db {
    lease: Lease,
    additions: Arc<Additions>,
    doing: &'static str,
    deadline: Deadline,
    read_limit: u64,
    tree_limit: u64,
    is_repeat: bool,
    has_changed: bool,
    /// Whether the server ended a statement at its time limit.
    is_timed_out: bool,
}

impl Db {
    pub(crate) fn new(
        lease: Lease,
        additions: Arc<Additions>,
        doing: &'static str,
        store: &Store,
        is_repeat: bool,
    ) -> Db {
        let (deadline, read_limit, tree_limit) = (store.deadline, store.read_limit, store.tree_limit);
        let (has_changed, is_timed_out) = (false, false);
        Db { lease, additions, doing, deadline, read_limit, tree_limit, is_repeat, has_changed, is_timed_out }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.lease.dialect()
    }

    /// Returns the name of the transaction or query, for errors and logs.
    pub(crate) fn doing(&self) -> &'static str {
        self.doing
    }

    /// Returns whether an earlier run of the body may have been stored, because its answer was lost, or an earlier attempt of the
    /// request (see `repeat.rs`).
    pub fn is_repeat(&self) -> bool {
        self.is_repeat
    }

    /// Returns the maximum number of bytes of a document that a query may read ([`Store::reading_up_to`]).
    pub(crate) fn read_limit(&self) -> u64 {
        self.read_limit
    }

    /// Returns the maximum memory of the tree of a document that a change may build ([`Store::building_up_to`]).
    pub(crate) fn tree_limit(&self) -> u64 {
        self.tree_limit
    }

    /// Returns whether a statement has changed rows.
    pub(crate) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// Returns whether the server ended a statement at its time limit.
    pub(crate) fn is_timed_out(&self) -> bool {
        self.is_timed_out
    }

    /// Returns whether all statements have been answered completely.
    pub(crate) fn is_settled(&self) -> bool {
        self.lease.is_settled()
    }

    /// Returns the known additions to the tables.
    pub(crate) fn additions(&self) -> &Additions {
        &self.additions
    }

    /// Returns the connection, and whether all statements have been answered completely.
    pub(crate) fn into_parts(self) -> (Lease, bool) {
        let is_settled = self.is_settled();
        (self.lease, is_settled)
    }

    /// Returns all rows of a query.
    pub(crate) async fn select(
        &mut self,
        statement: &(impl Statement + Sync),
    ) -> Result<Vec<Row>, StoreError> {
        self.explain(statement).await?;
        self.run(async |connection| {
            Ok(match connection {
                DbConnection::MySql(c) => {
                    c.select(statement.mysql()?).await?.into_iter().map(Row::MySql).collect()
                }
                DbConnection::Sqlite(c) => {
                    let (sql, arguments) = statement.sqlite()?;
                    let rows = query(sql, arguments).fetch_all(&mut c.connection).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
            })
        })
        .await
    }

    /// Returns the first row of a query, if any.
    pub(crate) async fn select_one(
        &mut self,
        statement: &(impl Statement + Sync),
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.select(statement).await?.into_iter().next())
    }

    /// Returns the values of all rows of a query.
    pub(crate) async fn read<T: FromRow>(
        &mut self,
        statement: &(impl Statement + Sync),
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.select(statement).await?;
        self.values(rows)
    }

    /// Returns the values of the first row of a query, if any.
    pub(crate) async fn read_one<T: FromRow>(
        &mut self,
        statement: &(impl Statement + Sync),
    ) -> Result<Option<T>, StoreError> {
        let row = self.select_one(statement).await?;
        row.map(|mut row| row.read()).transpose().map_err(|error| StoreError::from_driver(self.doing, error))
    }

    /// Passes each row of a query to `each` as it arrives, so that the rows are not all in memory at once.
    /// After `Break` or an error, the statement is ended if many bytes remain. The connection stays usable.
    pub(crate) async fn select_each(
        &mut self,
        statement: &(impl Statement + Sync),
        mut each: impl FnMut(Row) -> Result<ControlFlow<()>, StoreError> + Send,
    ) -> Result<(), StoreError> {
        self.explain(statement).await?;
        let (pool, thread) = (self.lease.pool().clone(), self.lease.thread());
        self.run(async |connection| {
            let mut so_far = Ok(());
            let mut take = |row| match each(row) {
                Ok(flow) => flow,
                Err(error) => {
                    so_far = Err(error);
                    ControlFlow::Break(())
                }
            };
            match connection {
                DbConnection::MySql(c) => {
                    let stop = async {
                        if let Some(thread) = &thread {
                            pool.control().stop(thread).await;
                        }
                    };
                    c.select_each(statement.mysql()?, |row| take(Row::MySql(row)), stop).await?;
                }
                DbConnection::Sqlite(c) => {
                    let (sql, arguments) = statement.sqlite()?;
                    let mut rows = query(sql, arguments).fetch(&mut c.connection);
                    let mut slice = TimeSlice::start();
                    while let Some(row) = rows.try_next().await? {
                        if take(Row::Sqlite(row)).is_break() {
                            break;
                        }
                        slice.yield_if_over().await;
                    }
                }
            }
            Ok(so_far)
        })
        .await?
    }

    /// Runs a statement that changes rows. Returns the number of matched rows.
    pub(crate) async fn execute(&mut self, statement: &(impl Statement + Sync)) -> Result<u64, StoreError> {
        self.explain(statement).await?;
        let rows = self.run(async |connection| {
            Ok(match connection {
                DbConnection::MySql(c) => c.execute(statement.mysql()?).await?,
                DbConnection::Sqlite(c) => {
                    let (sql, arguments) = statement.sqlite()?;
                    query(sql, arguments).execute(&mut c.connection).await?.rows_affected()
                }
            })
        });
        let rows = rows.await?;
        self.has_changed |= rows > 0;
        Ok(rows)
    }

    /// Records the plan of a statement before it is sent, if plans are recorded.
    async fn explain(&mut self, statement: &(impl Statement + Sync)) -> Result<(), StoreError> {
        if !self.lease.plans().kept() {
            return Ok(());
        }
        let doing = self.doing;
        let explained =
            self.run(async |connection| explain::explain(connection, doing, statement).await).await;
        let plan = match explained {
            Ok(plan) => plan,
            // The database may still run a statement that it cannot explain.
            Err(StoreError::Backend { source, .. }) if self.is_settled() => explain::QueryPlan {
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

    /// Runs a statement without values, such as BEGIN, COMMIT, and those of migrations.
    pub(crate) async fn raw(&mut self, sql: &str) -> Result<u64, StoreError> {
        let sql = sql.to_owned();
        self.run(async |connection| {
            Ok(match connection {
                DbConnection::MySql(c) => c.raw(&sql).await?,
                DbConnection::Sqlite(c) => {
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut c.connection).await?.rows_affected()
                }
            })
        })
        .await
    }

    /// Commits or rolls back. Also returns whether the error comes from COMMIT.
    pub(crate) async fn end<T, E: TxError>(&mut self, result: Result<T, E>) -> (Result<T, E>, bool) {
        let (error, is_of_commit) = match result {
            Ok(done) => match self.raw("COMMIT").await {
                Ok(_) => return (Ok(done), false),
                Err(error) => (E::from(error), true),
            },
            Err(error) => (error, false),
        };
        if self.is_settled() {
            self.rollback().await;
        }
        (Err(error), is_of_commit)
    }

    /// Returns whether a change may be stored although its last statement failed.
    pub(crate) fn may_have_stored(&self, error: &StoreError, mode: Mode) -> bool {
        match error.class() {
            // Only the end of a transaction could still fail.
            Class::Outage(Outage::Refusing) => mode == Mode::Transaction,
            Class::Outage(Outage::Away | Outage::Storage) => true,
            _ => !self.is_settled(),
        }
    }

    /// Rolls a transaction back, even after the deadline. If the rollback does not end, the statement stays
    /// in flight, so the connection is closed.
    pub(crate) async fn rollback(&mut self) {
        self.deadline = Deadline::after(ROLLBACK);
        // Without a transaction, SQLite answers with an error.
        let _ = self.raw("ROLLBACK").await;
    }

    /// Returns all rows of a query given as text, for queries of the database's catalogue.
    pub(crate) async fn raw_select(&mut self, sql: &str) -> Result<Vec<Row>, StoreError> {
        let sql = sql.to_owned();
        self.run(async |connection| {
            Ok(match connection {
                DbConnection::MySql(c) => c.raw_select(&sql).await?.into_iter().map(Row::MySql).collect(),
                DbConnection::Sqlite(c) => {
                    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut c.connection).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
            })
        })
        .await
    }

    /// Returns the values of all rows of a query given as text.
    pub(crate) async fn raw_read<T: FromRow>(&mut self, sql: &str) -> Result<Vec<T>, StoreError> {
        let rows = self.raw_select(sql).await?;
        self.values(rows)
    }

    fn values<T: FromRow>(&self, rows: Vec<Row>) -> Result<Vec<T>, StoreError> {
        let values = rows.into_iter().map(|mut row| row.read());
        values.collect::<Result<_, _>>().map_err(|error| StoreError::from_driver(self.doing, error))
    }

    async fn run<T>(
        &mut self,
        statement: impl AsyncFnOnce(&mut DbConnection) -> Result<T, DriverError>,
    ) -> Result<T, StoreError> {
        let doing = self.doing;
        let unavailable = |outage, reason| StoreError::Unavailable { doing, outage, reason };
        if self.deadline.is_over() {
            return Err(unavailable(Outage::Slow, "the deadline of the request has passed".to_owned()));
        }
        let pool = self.lease.pool().clone();
        let limit = self.lease.statement_timeout();
        let Some(connection) = self.lease.connection() else {
            return Err(unavailable(Outage::Away, "the connection is closed".to_owned()));
        };
        let watched = connection.watched();
        let result = tokio::select! {
            biased;
            result = statement(connection) => result,
            (outage, reason) = given_up(&pool, watched.as_ref(), limit, self.deadline) => {
                return Err(unavailable(outage, reason));
            }
        };
        // If the server answered with an error, the connection is still usable. A broken connection is not.
        if !matches!(&result, Err(error) if !error.is_answer()) {
            self.lease.answered();
        }
        self.is_timed_out |= matches!(&result, Err(error) if classify(error) == Class::Outage(Outage::Slow));
        result.map_err(|error| StoreError::from_driver(doing, error))
    }
}
