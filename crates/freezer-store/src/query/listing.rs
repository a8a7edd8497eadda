//! Pages of documents: order, paging and search, the same for every noun.
//!
//! Lists are ordered by (created_at, id), so that a page never skips or repeats a row while nothing changes.
//! Without a search the database cuts the page. With one, rows are read in batches, each judged by
//! [`Search::accepts`], until the page is full: memory is bounded by the batch however many rows a
//! project has.

use sea_query::{Condition, Expr, ExprTrait, IntoColumnRef, Order, SelectStatement};
use serde::Serialize;

use crate::error::StoreError;
use crate::exec::Db;
use crate::row::Row;
use crate::search::Search;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many documents at most.
    pub limit: u64,
    /// How many to pass over first.
    pub offset: u64,
}

/// Rows read at once while searching. The first batch is smaller: a poll wants the few jobs of one client.
const FIRST_BATCH: u64 = 50;
const NEXT_BATCHES: u64 = 1_000;

/// Where every listed query puts what paging needs.
pub(super) const CREATED_AT: usize = 0;
pub(super) const ID: usize = 1;

/// A query that lists documents, and what is asked of it.
pub(super) struct Listing<'a, C> {
    /// Selects (created_at as text, id, …) of all rows in scope; no order, no limit.
    pub(super) select: SelectStatement,
    /// The column of position [`CREATED_AT`].
    pub(super) created_at: C,
    /// The column of position [`ID`].
    pub(super) id: C,
    /// Which documents are wanted.
    pub(super) search: &'a Search,
    /// Keys that name the document itself (see [`Search::accepts`]).
    pub(super) identity: &'static [&'static str],
    /// Which of them.
    pub(super) page: Page,
}

/// Runs a listing; `read` makes documents of a batch of rows, one for each, in their order.
pub(super) async fn list<C, T>(
    db: &mut Db,
    listing: Listing<'_, C>,
    read: impl AsyncFn(&mut Db, Vec<Row>) -> Result<Vec<T>, StoreError>,
) -> Result<Vec<T>, StoreError>
where
    C: IntoColumnRef + Clone,
    T: Serialize,
{
    let Listing { mut select, created_at, id, search, identity, page } = listing;
    select.order_by(created_at.clone(), Order::Asc).order_by(id.clone(), Order::Asc);
    if search.is_empty() {
        select.limit(page.limit).offset(page.offset);
        let rows = db.select(&select).await?;
        return read(db, rows).await;
    }
    let mut found = Vec::new();
    let mut to_skip = page.offset;
    let mut batch = FIRST_BATCH;
    let mut after: Option<(Option<String>, String)> = None;
    loop {
        let mut next = select.clone();
        next.limit(batch);
        if let Some(last) = &after {
            next.cond_where(behind(&created_at, &id, last));
        }
        let rows = db.select(&next).await?;
        let complete = (rows.len() as u64) < batch;
        if let Some(last) = rows.last() {
            let at = |error| StoreError::from_driver(db.doing(), error);
            after = Some((last.text(CREATED_AT).map_err(at)?, last.string(ID).map_err(at)?));
        }
        for document in read(db, rows).await? {
            // A document that cannot be turned into a tree cannot be judged, so it is not shown.
            let Ok(tree) = serde_json::to_value(&document) else { continue };
            if !search.accepts(&tree, identity) {
                continue;
            }
            if to_skip > 0 {
                to_skip -= 1;
                continue;
            }
            found.push(document);
            if found.len() as u64 == page.limit {
                return Ok(found);
            }
        }
        if complete {
            return Ok(found);
        }
        batch = NEXT_BATCHES;
    }
}

/// Rows behind the last one seen, in the order (created_at, id). Rows written by hand may lack the time;
/// both engines sort NULL first.
fn behind<C: IntoColumnRef + Clone>(created_at: &C, id: &C, last: &(Option<String>, String)) -> Condition {
    let time = || Expr::col(created_at.clone());
    let later_id = Expr::col(id.clone()).gt(last.1.as_str());
    match &last.0 {
        Some(at) => Condition::any()
            .add(time().gt(at.as_str()))
            .add(Condition::all().add(time().eq(at.as_str())).add(later_id)),
        None => Condition::any()
            .add(time().is_not_null())
            .add(Condition::all().add(time().is_null()).add(later_id)),
    }
}

/// Ids for an `IN` list, padded to a few fixed lengths by repeating the last one: each length is a statement
/// of its own in the connection's cache of prepared statements.
pub(super) fn padded(mut ids: Vec<String>) -> Vec<String> {
    let Some(last) = ids.last().cloned() else { return ids };
    let mut length = 1;
    while length < ids.len() {
        length *= 4;
    }
    ids.resize(length, last);
    ids
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn in_lists_have_few_lengths() {
        let lengths: Vec<usize> =
            [0, 1, 2, 4, 5, 16, 17, 200].iter().map(|n| padded(vec!["x".to_owned(); *n]).len()).collect();
        assert_eq!(lengths, [0, 1, 4, 4, 16, 16, 64, 256]);
    }
}
