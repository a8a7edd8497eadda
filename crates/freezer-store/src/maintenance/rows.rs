//! Measures the numbers of rows for monitoring, at a cost that does not depend on the sizes of the tables.
//!
//! Every process of the service measures, so none may read a large table. A table of at most [`COUNTED_ROWS`] rows is
//! counted by status. Of a larger table, only the estimated total is known: that of the server's statistics, which
//! InnoDB keeps up to date without reading the table (`EXPLAIN` reads them, and unlike
//! `information_schema.tables` it is never cached), or the largest row number of a SQLite file. After many
//! changes, an estimate of InnoDB can differ from the real number by some ten percent.
//!
//! Statuses can be any text. Only the words of [`STATUSES`] are kept, so the number of results is bounded.

use std::collections::BTreeMap;

use crate::Store;
use crate::additions::Indexes;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::explain::estimated_rows;
use crate::migrations::KEYS;
use crate::read;
use crate::tables::{
    ActionReports, Actions, Backups, Clients, Column, JobActions, Jobs, Sessions, UserCredentials,
};

/// Number of rows up to which a table is counted.
pub const COUNTED_ROWS: u64 = 20_000;

/// The statuses of jobs, sessions and backups that are distinguished.
const STATUSES: [&str; 11] = [
    "aborting",
    "available",
    "completed",
    "deleting",
    "error",
    "failed",
    "pending",
    "removed",
    "running",
    "scheduled",
    "stop",
];

/// The rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows {
    /// Name of the table.
    pub table: &'static str,
    /// Whether the number is an estimate of the whole table.
    pub is_estimate: bool,
    /// Rows by status. `deleted`: marked as deleted; `live`: all others of a table without a status; `none`, `other`:
    /// without a status, or with one that is not distinguished; `all`: the estimate.
    pub rows: Vec<(&'static str, u64)>,
}

/// A table to measure.
struct MeasuredTable {
    name: &'static str,
    /// Whether its rows can be marked as deleted.
    has_deleted: bool,
    /// The expression for the status of a row. `None`: rows have no status.
    status: Option<&'static str>,
}

/// The status of a job, which is in its schedule.
const JOB_STATUS: [&str; 2] = [
    "CASE WHEN JSON_VALID(schedule) = 1 THEN JSON_UNQUOTE(JSON_EXTRACT(schedule, '$.status')) END",
    "CASE WHEN json_valid(CAST(schedule AS TEXT)) THEN json_extract(CAST(schedule AS TEXT), '$.status') END",
];

fn measured(dialect: Dialect) -> Vec<MeasuredTable> {
    let job_status = JOB_STATUS[usize::from(dialect == Dialect::Sqlite)];
    let table = |name, status| MeasuredTable { name, has_deleted: true, status };
    vec![
        table(Clients::TABLE, None),
        table(Sessions::TABLE, Some("status")),
        table(Jobs::TABLE, Some(job_status)),
        table(Actions::TABLE, None),
        table(ActionReports::TABLE, None),
        table(Backups::TABLE, Some("status")),
        table(UserCredentials::TABLE, None),
        table(JobActions::TABLE, None),
        MeasuredTable { name: KEYS, has_deleted: false, status: None },
    ]
}

impl Store {
    /// Measures the rows of every table of ours, one short statement after the other. The deadline of the store limits all of
    /// them together.
    ///
    /// # Errors
    /// As every query. Nothing is returned if the tables are missing or are being upgraded.
    pub async fn measure_rows(&self) -> Result<Vec<TableRows>, StoreError> {
        let mut found = Vec::new();
        for table in measured(self.dialect()) {
            let rows = read!(self, "rows.measure", |db| measure(db, &table).await);
            found.extend(rows?);
        }
        Ok(found)
    }
}

/// Measures a table. `None`: this optional table does not exist.
async fn measure(db: &mut Db, table: &MeasuredTable) -> Result<Option<TableRows>, StoreError> {
    if table.name == KEYS && !db.has_indexes(Indexes::Keys).await? {
        return Ok(None);
    }
    let estimate = estimate(db, table.name).await?;
    // an estimate can be too large by half
    let counted = if estimate > COUNTED_ROWS * 2 { None } else { count(db, table).await? };
    Ok(Some(match counted {
        Some(rows) => TableRows { table: table.name, is_estimate: false, rows },
        None => {
            let rows = vec![("all", estimate.max(COUNTED_ROWS))];
            TableRows { table: table.name, is_estimate: true, rows }
        }
    }))
}

/// Returns the estimated number of rows.
async fn estimate(db: &mut Db, table: &str) -> Result<u64, StoreError> {
    let quoted = db.dialect().quote(table);
    match db.dialect() {
        Dialect::MySql => {
            let plan = db.raw_select(&format!("EXPLAIN FORMAT=TRADITIONAL SELECT 1 FROM {quoted}")).await?;
            Ok(plan.into_iter().map(estimated_rows).sum())
        }
        Dialect::Sqlite => {
            let sql = format!("SELECT CAST(COALESCE(MAX(rowid), 0) AS TEXT) FROM {quoted}");
            super::number(db, &sql).await
        }
    }
}

/// Counts the rows by status. `None`: the table has more than [`COUNTED_ROWS`] rows, of which only so many were read.
async fn count(db: &mut Db, table: &MeasuredTable) -> Result<Option<Vec<(&'static str, u64)>>, StoreError> {
    let MeasuredTable { name, has_deleted, status } = table;
    let quoted = db.dialect().quote(name);
    let deleted = if *has_deleted { "CASE WHEN deleted = 1 THEN 1 ELSE 0 END" } else { "0" };
    let status_of_row = status.unwrap_or("'live'");
    let sql = format!(
        "SELECT status, CAST(is_deleted AS CHAR), CAST(COUNT(*) AS CHAR) FROM \
         (SELECT {status_of_row} AS status, {deleted} AS is_deleted FROM {quoted} LIMIT {}) AS part \
         GROUP BY status, is_deleted",
        COUNTED_ROWS + 1
    );
    let mut rows = initial(*has_deleted, status.is_some());
    for (status, is_deleted, number) in db.raw_read::<(Option<String>, String, String)>(&sql).await? {
        let word = if is_deleted == "1" { "deleted" } else { word(status.as_deref()) };
        *rows.entry(word).or_default() += number.parse::<u64>().unwrap_or(0);
    }
    let total: u64 = rows.values().sum();
    Ok((total <= COUNTED_ROWS).then(|| rows.into_iter().collect()))
}

/// Returns the statuses that are reported even if no row has them, so that their series begin with 0.
fn initial(has_deleted: bool, has_status: bool) -> BTreeMap<&'static str, u64> {
    let mut words: Vec<&str> = if has_deleted { vec!["deleted"] } else { Vec::new() };
    if !has_status {
        words.push("live");
    }
    words.into_iter().map(|word| (word, 0)).collect()
}

/// Returns the status if it is distinguished.
fn word(status: Option<&str>) -> &'static str {
    match status {
        None | Some("") => "none",
        Some("live") => "live",
        Some(status) => STATUSES.into_iter().find(|known| *known == status).unwrap_or("other"),
    }
}
