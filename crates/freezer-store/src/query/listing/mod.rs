//! Pages of documents: order, paging and search, for all nouns.
//!
//! Lists are ordered by (created_at, id), so a page never skips or repeats a row while nothing changes.
//! Without a search, the database returns the page, and this file reads it. With a search, `searched.rs`
//! reads rows until the page is full. `order.rs` builds the statements of both. The memory of a list is
//! bounded by its page and a batch, independent of the number of rows.

mod order;
mod page_builder;
mod searched;
mod table_list;

use std::ops::ControlFlow;

use sea_query::{Expr, Func, IntoColumnRef, SelectStatement};
use serde::Serialize;

pub(super) use self::order::Last;
pub(super) use self::page_builder::PageBuilder;
use self::searched::{Candidate, searched, settle};
pub(super) use self::table_list::TableList;
use super::narrow::Shape;
use crate::error::{DriverError, StoreError};
use crate::exec::Db;
use crate::row::{FromRow, Row};
use crate::search::{MatchResult, Matcher, Search};
use crate::tables::TableRow;

/// The requested part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Maximum number of documents.
    pub limit: u64,
    /// Number of documents to skip.
    pub offset: u64,
    /// Start after the document with this id.
    pub marker: Option<String>,
    /// From the newest to the oldest document, instead of the other way.
    pub newest_first: bool,
    /// Whether the result must say if there are more documents.
    pub look_ahead: bool,
    /// Whether the result must contain the total number of documents.
    pub count: bool,
    /// Maximum size of the documents, in bytes. A larger page ends early, but has at least one document.
    pub max_bytes: u64,
    /// Size of the largest document that any request can read. The page leaves out larger ones.
    pub readable: u64,
}

impl Page {
    /// Returns a page of `limit` documents after skipping `offset` documents.
    pub fn at(limit: u64, offset: u64) -> Page {
        Page {
            limit,
            offset,
            marker: None,
            newest_first: false,
            look_ahead: false,
            count: false,
            max_bytes: u64::MAX,
            readable: u64::MAX,
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The documents, in order.
    pub documents: Vec<T>,
    /// Whether there are more documents, if [`Page::look_ahead`] is set or the page ends early.
    pub more: bool,
    /// Whether the page ends early, because of [`Page::max_bytes`].
    pub cut: bool,
    /// The errors of documents that the page leaves out because of [`Page::readable`], a limited number of them.
    pub left_out: Vec<StoreError>,
    /// The total number, if [`Page::count`] is set.
    pub count: Option<u64>,
}

impl<T> Listed<T> {
    /// Converts the documents of a page.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Listed<U> {
        let Listed { documents, more, cut, left_out, count } = self;
        Listed { documents: documents.into_iter().map(make).collect(), more, cut, left_out, count }
    }
}

/// Maximum number of documents in [`Listed::left_out`].
pub const NAMED: usize = 100;

/// Number of documents that are completed from other tables at once if they are small, or if the page has no limit of
/// bytes.
const COMPLETED_AT_ONCE: usize = 250;
/// The same while their sizes are unknown, and for larger documents.
const COMPLETED_CAREFULLY: usize = 25;
/// Size in bytes up to which a document is small.
const SMALL: u64 = 16 << 10;
/// Bytes of documents that are read at once beside those of the page, unless one document alone takes more.
const READ_AT_ONCE: u64 = 8 << 20;

/// Rows of one statement for a page.
const ROWS_AT_ONCE: u64 = 1_000;

/// A query for documents, with the request for them.
pub(super) struct DocumentQuery<'a, C: 'static> {
    /// Selects all rows in scope as [`TableColumns::live`](super::TableColumns::live) does, without order and limit.
    pub(super) select: SelectStatement,
    /// The same, for the rows that the search may accept. Several queries, if one query could not read along
    /// an index. No row is in two of them.
    pub(super) narrowed: Vec<SelectStatement>,
    /// The index that contains the rows of the first query of `narrowed` in the order of the list, one of
    /// [`Indexes::Lists`](crate::additions::Indexes::Lists). A list continues along it after a row. Without this
    /// hint, MariaDB would read all rows before that row again. `None`: the query names an index itself, or
    /// another index may find its few rows.
    pub(super) along: Option<&'static str>,
    /// Finds the row of the page's marker, deleted or not. `None` if the page has no marker.
    pub(super) marked: Option<SelectStatement>,
    /// The time of creation, the first column of the order.
    pub(super) created_at: C,
    /// The id, the second column of the order.
    pub(super) id: C,
    /// The conditions on the documents.
    pub(super) search: &'a Search,
    /// The sources of the documents' keys.
    pub(super) shape: &'a Shape<C>,
    /// The requested part.
    pub(super) page: &'a Page,
    /// The only rows that the search may accept, in the order of the page. `None`: any row.
    pub(super) among: Option<&'a [Last]>,
    /// How to count the documents. `None`: by reading each row that the search may accept.
    pub(super) counted: Option<Counted>,
    /// The kind of document (`job`).
    pub(super) what: &'static str,
    /// The position of the size of a row if the statements have it
    /// ([`live_within`](super::TableColumns::live_within)). Without it, a search reads rows of any size, but a document that
    /// it finds may still not be larger than the query may read.
    pub(super) sized: Option<usize>,
}

/// Queries with which the database counts documents.
pub(super) struct Counted {
    /// Counts rows that the search certainly accepts.
    pub(super) certain: SelectStatement,
    /// Selects other rows that the search may accept, like [`DocumentQuery::narrowed`].
    pub(super) doubtful: Option<SelectStatement>,
}

/// Approximate size of the keys and ids of a document, for [`ListedDocument::size`].
pub(crate) const KEYS: usize = 640;

/// A document of a list. Other tables may contain the values of some keys.
pub(super) trait ListedDocument: Serialize + Send + Sized {
    /// Whether there are such keys. [`DocumentReader::complete`] sets their values.
    const IN_PARTS: bool = false;

    /// Returns the approximate size of the document in an answer. The estimate must not be too small.
    fn size(&self) -> usize;

    /// Passes the keys of the document's own row to a matcher.
    fn show_row(&self, matcher: &mut Matcher<'_>) {
        matcher.document(self);
    }

    /// Passes the keys from other tables to a matcher.
    fn show_rest(&self, _judge: &mut Matcher<'_>) {}
}

/// Functions that turn rows into documents: `read` uses a row's own columns ([`read_listed`]), and `complete` adds data
/// from other tables, within [`CompletionLimits`].
pub(super) struct DocumentReader<R, F> {
    pub(super) read: R,
    pub(super) complete: F,
}

/// Reads a row of a listed query, and its position in the list.
pub(super) fn read_listed<R: TableRow>(row: &mut Row) -> Result<(R, Last), DriverError> {
    let (stored, created_at): (R, Option<String>) = row.read()?;
    let place = (created_at, stored.id().to_owned());
    Ok((stored, place))
}

/// The limits within which documents are completed.
#[derive(Clone, Copy)]
pub(super) struct CompletionLimits {
    /// Maximum number of bytes, unless one document alone takes more.
    pub(super) bytes: u64,
    /// As [`Page::readable`].
    pub(super) readable: u64,
}

/// The result of completing documents.
pub(super) enum Completed {
    /// So many of the first documents are complete, at least one.
    First(usize),
    /// The first documents, as many as these errors, are larger than [`CompletionLimits::readable`].
    Unreadable(Vec<StoreError>),
}

/// Completes documents that are in one table.
pub(super) async fn nothing_missing<T>(
    _: &mut Db,
    all: &mut [T],
    _: CompletionLimits,
) -> Result<Completed, StoreError> {
    Ok(Completed::First(all.len()))
}

/// Runs a listing. `begun` is the page with its first documents, if they were read in advance. It is only allowed for a page
/// without a marker or an offset in the default order.
///
/// # Errors
/// [`StoreError::UnknownMarker`] if the marker does not exist.
pub(super) async fn list<C, T, R, F>(
    db: &mut Db,
    listing: DocumentQuery<'_, C>,
    begun: Option<PageBuilder<T>>,
    reader: DocumentReader<R, F>,
) -> Result<Listed<T>, StoreError>
where
    C: IntoColumnRef + Copy,
    T: ListedDocument,
    R: Fn(&mut Row) -> Result<(T, Last), DriverError> + Send + Sync,
    F: AsyncFn(&mut Db, &mut [T], CompletionLimits) -> Result<Completed, StoreError>,
{
    let page = listing.page;
    let mut builder = match begun {
        Some(begun) => begun,
        None => PageBuilder::new(page, listing.find_marker(db).await?),
    };
    match listing.search.is_empty() {
        true => whole_page(db, &listing, &reader, &mut builder).await?,
        false => searched(db, &listing, &reader, &mut builder).await?,
    }
    let count = match page.count {
        true => Some(listing.count(db, &reader).await?),
        false => None,
    };
    Ok(builder.build(page, count))
}

/// Ends a page before a document that is larger than the query may read. This is an error if the page has no documents.
fn end_before<T: ListedDocument>(
    oversized: Option<StoreError>,
    builder: &mut PageBuilder<T>,
) -> Result<(), StoreError> {
    match oversized {
        Some(error) if builder.needed() > 0 => builder.cut_before(error),
        _ => Ok(()),
    }
}

async fn whole_page<C, T, R, F>(
    db: &mut Db,
    listing: &DocumentQuery<'_, C>,
    reader: &DocumentReader<R, F>,
    builder: &mut PageBuilder<T>,
) -> Result<(), StoreError>
where
    C: IntoColumnRef + Copy,
    T: ListedDocument,
    R: Fn(&mut Row) -> Result<(T, Last), DriverError> + Send + Sync,
    F: AsyncFn(&mut Db, &mut [T], CompletionLimits) -> Result<Completed, StoreError>,
{
    let mut offset = std::mem::take(&mut builder.skip);
    let mut matcher = Matcher::new(listing.search, listing.shape.identity);
    while builder.needed() > 0 {
        let limit = builder.needed().min(ROWS_AT_ONCE);
        let (doing, read) = (db.doing(), &reader.read);
        let (mut documents, mut bytes, mut seen) = (Vec::new(), 0, 0);
        let (mut oversized, sized, read_limit) = (None, listing.size_at(), db.read_limit());
        let select = Box::new(listing.batch(db, builder.after.as_ref(), None, limit, offset).await?);
        let each = |mut row: Row| {
            seen += 1;
            let too_large = too_large(sized, doing, read_limit, &row)?;
            let is_left_out = too_large.is_some();
            oversized = too_large.and_then(|error| builder.leave_out(error));
            if oversized.is_some() {
                return Ok(ControlFlow::Break(()));
            }
            let (document, place) = read(&mut row).map_err(super::unreadable(doing))?;
            builder.after = Some(place);
            if is_left_out {
                return Ok(ControlFlow::Continue(()));
            }
            bytes += document.size() as u64;
            documents.push(Candidate { document, verdict: MatchResult::Yes });
            let full = bytes > listing.page.max_bytes && documents.len() > 1;
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        db.select_each(&*select, each).await?;
        offset = 0;
        let is_last = seen < limit && bytes <= listing.page.max_bytes && oversized.is_none();
        settle(db, reader, &mut matcher, documents, builder).await?;
        end_before(oversized, builder)?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// The position of the size in the columns of [`live_within`](super::TableColumns::live_within).
pub(super) const fn size_position<R: TableRow>() -> usize {
    <(R, Option<String>)>::COUNT
}

/// Returns the error of a row whose texts are NULL because of their size. `sized`: as [`DocumentQuery::size_at`].
fn too_large(
    sized: Option<(&'static str, usize)>,
    doing: &'static str,
    limit: u64,
    row: &Row,
) -> Result<Option<StoreError>, StoreError> {
    let Some((what, at)) = sized else { return Ok(None) };
    let bytes = row.int(at).map_err(super::unreadable(doing))?;
    let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
    if bytes <= limit {
        return Ok(None);
    }
    // the id is the first column
    let id = row.string(0).map_err(super::unreadable(doing))?;
    Ok(Some(StoreError::TooLarge { doing, what, id, bytes: bytes.saturating_add(KEYS as u64) }))
}

impl<C: IntoColumnRef + Copy> DocumentQuery<'_, C> {
    /// Returns the kind of document, and the position of the size of a row if the statements have it.
    fn size_at(&self) -> Option<(&'static str, usize)> {
        self.sized.map(|at| (self.what, at))
    }

    /// Returns the total number of documents. Its cost grows with their number.
    async fn count<T, R, F>(&self, db: &mut Db, reader: &DocumentReader<R, F>) -> Result<u64, StoreError>
    where
        T: ListedDocument,
        R: Fn(&mut Row) -> Result<(T, Last), DriverError> + Send + Sync,
        F: AsyncFn(&mut Db, &mut [T], CompletionLimits) -> Result<Completed, StoreError>,
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
        // The queries for counting name an index themselves.
        let along = self.along.filter(|_| self.counted.is_none());
        let doubtful = DocumentQuery {
            select: self.select.clone(),
            narrowed,
            along,
            marked: None,
            counted: None,
            ..*self
        };
        let mut all = PageBuilder::counting(self.page.readable);
        searched(db, &doubtful, reader, &mut all).await?;
        Ok(certain + all.counted())
    }
}

/// Returns the number of a query.
async fn number(db: &mut Db, select: &SelectStatement) -> Result<u64, StoreError> {
    let number: Option<Option<i64>> = db.read_one(select).await?;
    Ok(number.flatten().and_then(|number| u64::try_from(number).ok()).unwrap_or(0))
}

/// Pads the ids of an `IN` list to a few fixed lengths by repeating the last one, because each length needs a
/// prepared statement of its own.
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
