//! Pages of documents: order, paging and search, the same for every noun.
//!
//! Lists are ordered by (created_at, id), so that a page never skips or repeats a row while nothing changes.
//! Without a search the database cuts the page, here; with one, `searched.rs` reads on until the page is full. Both make
//! their statements with `order.rs`. Memory is bounded by the page and a batch, however many rows a project has.

mod order;
mod searched;

use std::ops::ControlFlow;

use sea_query::{Expr, Func, IntoColumnRef, SelectStatement};
use serde::Serialize;

pub(super) use self::order::{Last, last};
use self::searched::{Candidate, Wanted, searched, settle};
use super::narrow::Shape;
use crate::error::StoreError;
use crate::exec::Db;
use crate::known::Indexes;
use crate::row::Row;
use crate::search::{Judge, Search, Verdict};

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
    /// Maximum size of the documents, in bytes. A larger page ends early, but has at least ten documents.
    pub max_bytes: u64,
}

/// Documents that a page has before it ends early: a scheduler takes a page of fewer jobs for the last one.
const FEWEST: usize = 10;

impl Page {
    /// So many documents, after passing over so many.
    pub fn at(limit: u64, offset: u64) -> Page {
        Page {
            limit,
            offset,
            marker: None,
            newest_first: false,
            look_ahead: false,
            count: false,
            max_bytes: u64::MAX,
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The documents, in order.
    pub documents: Vec<T>,
    /// Whether there is more behind them, where [`Page::look_ahead`] asked or where the page ends early.
    pub more: bool,
    /// Whether the page ends early, because of [`Page::max_bytes`].
    pub cut: bool,
    /// How many there are in all, where [`Page::count`] asked.
    pub count: Option<u64>,
}

impl<T> Listed<T> {
    /// The same page of other documents, made of these.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Listed<U> {
        let Listed { documents, more, cut, count } = self;
        Listed { documents: documents.into_iter().map(make).collect(), more, cut, count }
    }
}

/// Documents that are completed from other tables at once, and as long as it is not known how large they become.
const COMPLETED_AT_ONCE: usize = 250;
const COMPLETED_FIRST: usize = 25;
/// Documents of at most this size are completed many at once.
const SMALL: u64 = 16 << 10;

/// Rows of one statement for a page.
const ROWS_AT_ONCE: u64 = 1_000;

/// Where every listed query puts what paging needs.
pub(super) const CREATED_AT: usize = 0;
pub(super) const ID: usize = 1;

/// A query that lists documents, and what is asked of it.
pub(super) struct Listing<'a, C: 'static> {
    /// Selects (created_at, id, …) of all rows in scope; no order, no limit.
    pub(super) select: SelectStatement,
    /// The same of rows that the search may want: one query or several, no row in two of them. Several, where one could
    /// not read along an index.
    pub(super) narrowed: Vec<SelectStatement>,
    /// The index of a project's rows in the order of the list, for the first query of `narrowed`; none in another scope.
    pub(super) along: Option<&'static str>,
    /// Finds the row of the page's marker, deleted or not; none if the page has no marker.
    pub(super) marked: Option<SelectStatement>,
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
    /// The places of the only rows that the search may want, in the order of the page; none: any row may be.
    pub(super) among: Option<&'a [Last]>,
    /// How they are counted; none: by looking at each that the search may want.
    pub(super) counted: Option<Counted>,
}

/// Documents that the database counts.
pub(super) struct Counted {
    /// Counts rows that are certainly wanted.
    pub(super) certain: SelectStatement,
    /// Selects rows that may be wanted beside those, as [`Listing::narrowed`] does.
    pub(super) doubtful: Option<SelectStatement>,
}

/// The first documents of a list, read before the rest is asked for: complete, in order, wanted by the search or not.
pub(super) struct Begun<T> {
    pub(super) documents: Vec<T>,
    /// The place of the last of them.
    pub(super) after: Option<Last>,
    /// Whether nothing is behind them.
    pub(super) all: bool,
}

/// How far a page is.
pub(super) struct Progress<T> {
    wanted: Wanted<T>,
    /// What is still to be read is behind this row.
    after: Option<Last>,
    /// Whether nothing is still to be read.
    complete: bool,
}

impl<T: Document> Progress<T> {
    fn new(page: &Page, after: Option<Last>) -> Progress<T> {
        let limit = page.limit.saturating_add(u64::from(page.look_ahead));
        let wanted = Wanted::new(page.offset, limit, page.max_bytes);
        Progress { wanted, after, complete: false }
    }

    /// How far the first documents of a list bring its first page.
    pub(super) fn begun(
        begun: Begun<T>,
        search: &Search,
        identity: &'static [&'static str],
        page: &Page,
    ) -> Progress<T> {
        let mut progress = Progress::new(page, begun.after);
        let mut judge = (!search.is_empty()).then(|| Judge::new(search, identity));
        for document in begun.documents {
            let show = |judge: &mut Judge<'_>| {
                document.show_row(judge);
                document.show_rest(judge);
            };
            if judge.as_mut().is_none_or(|judge| judge.accepts(show)) {
                progress.wanted.take(document);
            }
        }
        progress.complete = begun.all || progress.wanted.needed() == 0;
        progress
    }

    /// The page, where it is complete and nothing is to be counted.
    pub(super) fn listed(self, page: &Page) -> Result<Listed<T>, Progress<T>> {
        if page.count || !self.complete {
            return Err(self);
        }
        Ok(self.into_listed(page, None))
    }

    fn into_listed(self, page: &Page, count: Option<u64>) -> Listed<T> {
        let Wanted { mut documents, cut, .. } = self.wanted;
        let more = cut || documents.len() as u64 > page.limit;
        documents.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Listed { documents, more, cut, count }
    }
}

/// Bytes of the keys and ids of a document, about, for [`Document::size`].
pub(super) const KEYS: usize = 640;

/// A document of a list. Some of its keys may have their values from other tables.
pub(super) trait Document: Serialize + Send + Sized {
    /// Whether there are such keys, which [`Parts::complete`] gives their values.
    const IN_PARTS: bool = false;

    /// About how many bytes it takes in an answer, not less.
    fn size(&self) -> usize;

    /// Shows a judge what the document's own row tells.
    fn show_row(&self, judge: &mut Judge<'_>) {
        judge.document(self);
    }

    /// Shows a judge what comes from other tables.
    fn show_rest(&self, _judge: &mut Judge<'_>) {}
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

/// Runs a listing. `progress`: how far its first documents brought it, where they have been read; only for a page without
/// a marker, an offset, or another order.
///
/// # Errors
/// [`StoreError::UnknownMarker`], and as every query.
pub(super) async fn list<C, T, R, F>(
    db: &mut Db,
    mut listing: Listing<'_, C>,
    progress: Option<Progress<T>>,
    parts: Parts<R, F>,
) -> Result<Listed<T>, StoreError>
where
    C: IntoColumnRef + Copy,
    T: Document,
    R: Fn(&mut Row) -> Result<T, StoreError> + Send + Sync,
    F: AsyncFn(&mut Db, &mut [T]) -> Result<(), StoreError>,
{
    let page = listing.page;
    let mut progress = match progress {
        Some(progress) => progress,
        None => Progress::new(page, listing.find_marker(db).await?),
    };
    // MariaDB would read all that is newer than the marker
    let backwards = page.newest_first && page.marker.is_some() && listing.search.is_empty();
    if let (Some(index), true, [first, ..]) = (listing.along, backwards, &mut listing.narrowed[..])
        && db.has_indexes(Indexes::Lists).await?
    {
        db.dialect().read_along(first, index);
    }
    if !progress.complete {
        match listing.search.is_empty() {
            true => whole_page(db, &listing, &parts, &mut progress).await?,
            false => searched(db, &listing, &parts, &mut progress).await?,
        }
    }
    let count = match page.count {
        true => Some(listing.count(db, &parts).await?),
        false => None,
    };
    Ok(progress.into_listed(page, count))
}

async fn whole_page<C, T, R, F>(
    db: &mut Db,
    listing: &Listing<'_, C>,
    parts: &Parts<R, F>,
    progress: &mut Progress<T>,
) -> Result<(), StoreError>
where
    C: IntoColumnRef + Copy,
    T: Document,
    R: Fn(&mut Row) -> Result<T, StoreError> + Send + Sync,
    F: AsyncFn(&mut Db, &mut [T]) -> Result<(), StoreError>,
{
    let Progress { wanted, after, .. } = progress;
    let mut offset = std::mem::take(&mut wanted.skip);
    let mut judge = Judge::new(listing.search, listing.shape.identity);
    loop {
        let limit = wanted.needed().min(ROWS_AT_ONCE);
        let (doing, read) = (db.doing(), &parts.read);
        let (mut documents, mut bytes) = (Vec::new(), 0);
        let select = Box::new(listing.batch(after.as_ref(), None, limit, offset));
        let each = |mut row: Row| {
            *after = Some(last(doing, &row)?);
            let document = read(&mut row)?;
            bytes += document.size() as u64;
            documents.push(Candidate { document, verdict: Verdict::Accepted });
            let full = bytes > listing.page.max_bytes && documents.len() > FEWEST;
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        db.select_each(&*select, each).await?;
        offset = 0;
        let is_last = (documents.len() as u64) < limit && bytes <= listing.page.max_bytes;
        settle(db, parts, &mut judge, documents, wanted).await?;
        if is_last || wanted.needed() == 0 {
            return Ok(());
        }
    }
}

impl<C: IntoColumnRef + Copy> Listing<'_, C> {
    /// How many documents there are in all, which takes as long as there are many.
    async fn count<T, R, F>(&self, db: &mut Db, parts: &Parts<R, F>) -> Result<u64, StoreError>
    where
        T: Document,
        R: Fn(&mut Row) -> Result<T, StoreError> + Send + Sync,
        F: AsyncFn(&mut Db, &mut [T]) -> Result<(), StoreError>,
    {
        let (certain, doubtful) = match &self.counted {
            Some(Counted { certain, doubtful }) => {
                (number(db, certain).await?, doubtful.clone().map(|it| vec![it]))
            }
            None if self.search.is_empty() => {
                let mut all = self.select.clone();
                all.clear_selects().expr(Func::count(Expr::col(self.id)));
                (number(db, &all).await?, None)
            }
            None => (0, Some(self.narrowed.clone())),
        };
        let Some(narrowed) = doubtful else { return Ok(certain) };
        let doubtful =
            Listing { select: self.select.clone(), narrowed, marked: None, counted: None, ..*self };
        let wanted = Wanted::new(u64::MAX, 0, u64::MAX);
        let mut all = Progress { wanted, after: None, complete: false };
        searched(db, &doubtful, parts, &mut all).await?;
        Ok(certain + (u64::MAX - all.wanted.skip))
    }
}

/// The number that a query gives.
async fn number(db: &mut Db, select: &SelectStatement) -> Result<u64, StoreError> {
    let row = db.select_one(select).await?;
    let number = row.map(|row| row.int(0)).transpose().map_err(super::unreadable(db.doing()))?;
    Ok(number.flatten().and_then(|number| u64::try_from(number).ok()).unwrap_or(0))
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
