//! Pages of documents: order, paging and search, the same for every noun.
//!
//! Lists are ordered by (created_at, id), so that a page never skips or repeats a row while nothing changes.
//! Without a search the database cuts the page, here; with one, `searched.rs` reads on until the page is full. Both make
//! their statements with `order.rs`. Memory is bounded by the page and a batch, however many rows a project has.

mod order;
mod searched;

use sea_query::{Expr, Func, IntoColumnRef, SelectStatement};
use serde::Serialize;

use self::order::Last;
pub(super) use self::order::last;
use self::searched::{Wanted, searched};
use super::narrow::Shape;
use crate::error::StoreError;
use crate::exec::Db;
use crate::row::Row;
use crate::search::Search;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many documents at most.
    pub limit: u64,
    /// How many to pass over first.
    pub offset: u64,
    /// Begin behind the document of this id.
    pub marker: Option<String>,
    /// From the newest to the oldest, instead of the other way.
    pub newest_first: bool,
    /// Say whether there is more behind the page.
    pub look_ahead: bool,
    /// Say how many documents there are in all.
    pub count: bool,
}

impl Page {
    /// So many documents, after passing over so many.
    pub fn at(limit: u64, offset: u64) -> Page {
        Page { limit, offset, marker: None, newest_first: false, look_ahead: false, count: false }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The documents, in order.
    pub documents: Vec<T>,
    /// Whether there is more behind them, where [`Page::look_ahead`] asked.
    pub more: bool,
    /// How many there are in all, where [`Page::count`] asked.
    pub count: Option<u64>,
}

impl<T> Listed<T> {
    /// The same page of other documents, made of these.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Listed<U> {
        let Listed { documents, more, count } = self;
        Listed { documents: documents.into_iter().map(make).collect(), more, count }
    }
}

/// Documents that are completed from other tables at once.
const COMPLETED_AT_ONCE: usize = 250;

/// Where every listed query puts what paging needs.
pub(super) const CREATED_AT: usize = 0;
pub(super) const ID: usize = 1;

/// A query that lists documents, and what is asked of it.
pub(super) struct Listing<'a, C: 'static> {
    /// Selects (created_at as text, id, …) of all rows in scope; no order, no limit.
    pub(super) select: SelectStatement,
    /// The same of rows that the search may want: one query or several, no row in two of them. Several, where one could
    /// not read along an index.
    pub(super) narrowed: Vec<SelectStatement>,
    /// The column of position [`CREATED_AT`].
    pub(super) created_at: C,
    /// The column of position [`ID`].
    pub(super) id: C,
    /// Which documents are wanted.
    pub(super) search: &'a Search,
    /// What documents are made of.
    pub(super) shape: &'a Shape<C>,
    /// Which of them.
    pub(super) page: &'a Page,
}

/// The first documents of a list, read before the rest is asked for: complete, in order, wanted by the search or not.
pub(super) struct Begun<T> {
    pub(super) documents: Vec<T>,
    /// The place of the last of them.
    pub(super) after: Option<Last>,
    /// Whether nothing is behind them.
    pub(super) all: bool,
}

impl<T> Begun<T> {
    /// Nothing yet of what is behind a place.
    fn behind(after: Option<Last>) -> Begun<T> {
        Begun { documents: Vec::new(), after, all: false }
    }
}

/// A document of a list. Some of its keys may have their values from other tables.
pub(super) trait Document: Serialize + Send {
    /// Keys at its top whose values are not known before [`Parts::complete`].
    const MISSING: &'static [&'static str] = &[];

    /// These keys with their values, of a completed document: a JSON object.
    fn missing(&self) -> serde_json::Result<String> {
        Ok("{}".to_owned())
    }
}

/// How rows become documents: `read` from a row's own columns, then `complete` from other tables, many at once.
pub(super) struct Parts<R, F> {
    pub(super) read: R,
    pub(super) complete: F,
}

/// For documents that are in one table whole.
pub(super) async fn nothing_missing<T>(_: &mut Db, _: &mut [T]) -> Result<(), StoreError> {
    Ok(())
}

/// Runs a listing. `begun`: how the list begins, where that has been read; only for a page without a marker, an offset,
/// or another order.
///
/// # Errors
/// [`StoreError::UnknownMarker`], and as every query.
pub(super) async fn list<C, T, R, F>(
    db: &mut Db,
    listing: Listing<'_, C>,
    begun: Option<Begun<T>>,
    parts: Parts<R, F>,
) -> Result<Listed<T>, StoreError>
where
    C: IntoColumnRef + Copy,
    T: Document,
    R: Fn(&Row) -> Result<T, StoreError> + Send + Sync,
    F: AsyncFn(&mut Db, &mut [T]) -> Result<(), StoreError>,
{
    let page = listing.page;
    let begun = match (begun, &page.marker) {
        (Some(begun), _) => begun,
        (None, Some(marker)) => Begun::behind(Some(listing.find(db, marker).await?)),
        (None, None) => Begun::behind(None),
    };
    let limit = page.limit.saturating_add(u64::from(page.look_ahead));
    let mut documents = match listing.search.is_empty() {
        true => whole_page(db, &listing, &parts, begun, limit).await?,
        false => {
            let mut wanted = Wanted { skip: page.offset, limit, documents: Vec::new() };
            searched(db, &listing, &parts, begun, &mut wanted).await?;
            wanted.documents
        }
    };
    let more = documents.len() as u64 > page.limit;
    documents.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
    let count = match page.count {
        true => Some(listing.count(db, &parts).await?),
        false => None,
    };
    Ok(Listed { documents, more, count })
}

async fn whole_page<C, T, R, F>(
    db: &mut Db,
    listing: &Listing<'_, C>,
    parts: &Parts<R, F>,
    begun: Begun<T>,
    limit: u64,
) -> Result<Vec<T>, StoreError>
where
    C: IntoColumnRef + Copy,
    T: Document,
    R: Fn(&Row) -> Result<T, StoreError> + Send + Sync,
    F: AsyncFn(&mut Db, &mut [T]) -> Result<(), StoreError>,
{
    let Begun { mut documents, after, all } = begun;
    let first = documents.len();
    let limit = limit.saturating_sub(first as u64);
    if all || limit == 0 {
        return Ok(documents);
    }
    let rows = db.select(&listing.batch(after.as_ref(), limit, listing.page.offset)).await?;
    documents.reserve(rows.len());
    for row in rows {
        documents.push((parts.read)(&row)?);
    }
    for some in documents[first..].chunks_mut(COMPLETED_AT_ONCE) {
        (parts.complete)(db, some).await?;
    }
    Ok(documents)
}

impl<C: IntoColumnRef + Copy> Listing<'_, C> {
    /// How many documents there are in all, which takes as long as there are many.
    async fn count<T, R, F>(&self, db: &mut Db, parts: &Parts<R, F>) -> Result<u64, StoreError>
    where
        T: Document,
        R: Fn(&Row) -> Result<T, StoreError> + Send + Sync,
        F: AsyncFn(&mut Db, &mut [T]) -> Result<(), StoreError>,
    {
        if self.search.is_empty() {
            let mut select = self.select.clone();
            select.clear_selects().expr(Func::count(Expr::col(self.id)));
            let row = db.select_one(&select).await?;
            let counted = row.map(|row| row.int(0)).transpose().map_err(super::unreadable(db.doing()))?;
            return Ok(counted.flatten().and_then(|count| u64::try_from(count).ok()).unwrap_or(0));
        }
        let mut all = Wanted { skip: u64::MAX, limit: 0, documents: Vec::new() };
        searched(db, self, parts, Begun::behind(None), &mut all).await?;
        Ok(u64::MAX - all.skip)
    }
}

/// Ids for an `IN` list, padded to a few fixed lengths by repeating the last one: each length is a statement
/// of its own in the connection's cache of prepared statements.
pub(super) fn padded<I: Clone>(mut ids: Vec<I>) -> Vec<I> {
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
            [0, 1, 2, 4, 5, 16, 17, 200].iter().map(|n| padded(vec!["x"; *n]).len()).collect();
        assert_eq!(lengths, [0, 1, 4, 4, 16, 16, 64, 256]);
    }
}
