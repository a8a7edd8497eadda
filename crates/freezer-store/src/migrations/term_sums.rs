//! Compares the table of terms with the actions by sums, so a table of 15 million rows is read only once.
//!
//! Rows are divided into [`PARTS`] by a checksum of project and action. Each part has a number of rows, and a
//! sum of the products of that checksum and the term. Both are computed for the table and for the terms that
//! actions list in `fz_terms`. If they agree, the part has exactly the expected rows, unless 62 bits agree by
//! chance. Parts that differ are repaired (`moves/action_terms.rs`, `moves/surplus_terms.rs`).

use std::ops::ControlFlow;

use sea_query::{Alias, Expr, ExprTrait, Query};

use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::exec::Db;
use crate::row::FromRow;
use crate::search::action_terms::{self as terms, ActionTerm, MASK, number, weight};
use crate::tables::{Actions, FzActionTerms};

/// The table of terms.
pub(crate) const TABLE: &str = "fz_action_terms";

/// Columns of `actions` from which terms are computed, or that identify the action in the table of terms.
pub(super) const SOURCES: [&str; 14] = [
    "id",
    "project_id",
    "action",
    "actionmode",
    "path_to_backup",
    "backup_name",
    "container",
    "log_file",
    "timeout",
    "priority",
    "max_retries",
    "max_retries_interval",
    "mandatory",
    "backup_metadata",
];

/// The values of these columns.
pub(super) type SourceValues = [Option<String>; SOURCES.len()];

/// The number of parts.
pub(crate) const PARTS: usize = 256;

/// A set of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts([u64; PARTS / 64]);

impl Parts {
    /// All parts.
    pub(super) const ALL: Parts = Parts([u64::MAX; PARTS / 64]);

    fn add(&mut self, part: usize) {
        self.0[part / 64] |= 1 << (part % 64);
    }

    fn contains(&self, part: usize) -> bool {
        self.0[part / 64] >> (part % 64) & 1 == 1
    }

    /// Returns whether the rows of an action belong to one of these parts.
    pub(super) fn has(&self, project_id: &str, action_id: &str) -> bool {
        self.contains(part(number(project_id, action_id)))
    }

    /// Returns the condition that a row belongs to one of these parts. `None` if the engine cannot decide this,
    /// or if the set contains all parts.
    pub(super) fn condition(&self, dialect: Dialect, project: &str, action: &str) -> Option<String> {
        let number = dialect.crc_of_ids(project, action).filter(|_| *self != Parts::ALL)?;
        let parts: Vec<String> =
            (0..PARTS).filter(|part| self.contains(*part)).map(|part| part.to_string()).collect();
        Some(format!("{number} & {} IN ({})", PARTS - 1, parts.join(", ")))
    }

    /// Returns the number of parts in this set.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Returns whether this set is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

const fn part(number: u32) -> usize {
    number as usize % PARTS
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum {
    rows: u64,
    sum: u128,
}

type Sums = Vec<Sum>;

fn add(sums: &mut Sums, project_id: &str, action_id: &str, rows: impl Iterator<Item = ActionTerm>) {
    let number = number(project_id, action_id);
    let sum = &mut sums[part(number)];
    for term in rows {
        sum.rows += 1;
        sum.sum += u128::from(number) * u128::from(weight(term));
    }
}

/// Returns the parts of the table that differ from the rows that actions list. On SQLite this includes the parts
/// of actions with a wrong checksum. Both sides are read in one snapshot, so changes by a running service do not
/// matter.
pub(super) async fn wrong_parts(db: &mut Db) -> Result<Parts, StoreError> {
    db.raw(db.dialect().begin_snapshot()).await?;
    match compare(db).await {
        Ok(parts) => {
            db.raw("COMMIT").await?;
            Ok(parts)
        }
        Err(error) => {
            if db.is_settled() {
                db.rollback().await;
            }
            Err(error)
        }
    }
}

async fn compare(db: &mut Db) -> Result<Parts, StoreError> {
    let mut wrong = Parts::default();
    let listed = listed(db, &mut wrong).await?;
    let found = found(db).await?;
    for (part, (listed, found)) in listed.iter().zip(&found).enumerate() {
        if listed != found {
            wrong.add(part);
        }
    }
    Ok(wrong)
}

/// The id and the project of an action, its terms and its checksum.
type ListedTerms = (String, String, Option<Vec<u8>>, Option<i64>);

/// Returns the sums of the terms that actions list. Adds the parts of actions with a wrong checksum to `wrong`.
async fn listed(db: &mut Db, wrong: &mut Parts) -> Result<Sums, StoreError> {
    let dialect = db.dialect();
    let mut select = Query::select();
    select
        .columns([Actions::Id, Actions::ProjectId, Actions::FzTerms, Actions::FzTermsCrc])
        .from(Actions::Table)
        .and_where(Expr::col(Actions::FzTerms).is_not_null());
    let is_checked = dialect == Dialect::Sqlite;
    if is_checked {
        for column in SOURCES {
            select.expr(Expr::col(Alias::new(column)).cast_as(Alias::new("TEXT")));
        }
    }
    let at = |error| StoreError::from_driver("schema.terms", error);
    let mut sums = vec![Sum::default(); PARTS];
    db.select_each(&select, |mut row| {
        let (action, project, bytes, crc): ListedTerms = row.read().map_err(at)?;
        add(&mut sums, &project, &action, terms::from_bytes(&bytes.unwrap_or_default()).into_iter());
        if is_checked && let Some(crc) = crc {
            let sources = SourceValues::from_row(&mut row, ListedTerms::COUNT).map_err(at)?;
            if i64::from(terms::crc_of_columns(sources.into())) != crc {
                wrong.add(part(number(&project, &action)));
            }
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    Ok(sums)
}

/// Returns the sums of the table.
async fn found(db: &mut Db) -> Result<Sums, StoreError> {
    let mut sums = vec![Sum::default(); PARTS];
    let at = |error| StoreError::from_driver("schema.terms", error);
    if let Some(number) = db.dialect().crc_of_ids("project_id", "action_id") {
        let sql = format!(
            "SELECT CAST(number & {} AS CHAR), CAST(COUNT(*) AS CHAR), CAST(SUM(number * ((term & {MASK}) + 1)) AS CHAR) \
             FROM (SELECT term, {number} AS number FROM {TABLE} WHERE action_id <> '') AS terms GROUP BY 1",
            PARTS - 1
        );
        for (part, rows, sum) in db.raw_read::<(String, String, String)>(&sql).await? {
            let part: usize = part.parse().unwrap_or(0);
            sums[part % PARTS] = Sum { rows: rows.parse().unwrap_or(0), sum: sum.parse().unwrap_or(0) };
        }
        return Ok(sums);
    }
    let mut select = Query::select();
    select
        .columns([FzActionTerms::Term, FzActionTerms::ProjectId, FzActionTerms::ActionId])
        .from(FzActionTerms::Table)
        .and_where(Expr::col(FzActionTerms::ActionId).ne(""));
    db.select_each(&select, |mut row| {
        let (term, project, action): (Option<i64>, String, String) = row.read().map_err(at)?;
        add(&mut sums, &project, &action, std::iter::once(term.unwrap_or_default()));
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    Ok(sums)
}
