//! Pages of documents: order, paging and search, the same for every noun.
//!
//! Lists are ordered by (created_at, id), so that a page never skips or repeats a row while nothing changes.
//! Without a search the database cuts the page. With one, the database passes over what it can (`narrow.rs`), and the
//! rest comes in batches, row by row: each is judged by its own columns as it comes, and what a document has in other
//! tables is read only for those that are still wanted. Memory is bounded by the page and a batch, however many rows a
//! project has.

use std::ops::ControlFlow;

use sea_query::{Condition, Expr, ExprTrait, Func, IntoColumnRef, Order, SelectStatement};
use serde::Serialize;

use super::narrow::Shape;
use crate::error::StoreError;
use crate::exec::Db;
use crate::row::Row;
use crate::search::{Judge, Search, Verdict};
use crate::statement::Filled;

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

/// Rows of the first query while searching at least, and of the largest one: a poll wants the few jobs of one client,
/// and the database has passed over most of what is not wanted.
const FIRST_BATCH: u64 = 10;
const LARGEST_BATCH: u64 = 1_000;
/// Documents that are completed from other tables at once.
const COMPLETED_AT_ONCE: usize = 250;

/// Where every listed query puts what paging needs.
pub(super) const CREATED_AT: usize = 0;
pub(super) const ID: usize = 1;

/// A query that lists documents, and what is asked of it.
pub(super) struct Listing<'a, C: 'static> {
    /// Selects (created_at as text, id, …) of all rows in scope; no order, no limit.
    pub(super) select: SelectStatement,
    /// The same of rows that the search may want.
    pub(super) narrowed: SelectStatement,
    /// The first batch of `narrowed`, in order, as a fixed statement: where the search is one of those that are asked
    /// all the time.
    pub(super) first: Option<Filled<'a>>,
    /// The column of position [`CREATED_AT`].
    pub(super) created_at: C,
    /// The column of position [`ID`].
    pub(super) id: C,
    /// Which documents are wanted.
    pub(super) search: &'a Search,
    /// What documents are made of.
    pub(super) shape: &'a Shape<C>,
    /// The key of what [`Parts::complete`] adds.
    pub(super) missing: Option<&'static str>,
    /// Which of them.
    pub(super) page: &'a Page,
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

/// Last row seen: its time, its id.
type Last = (Option<String>, String);

/// Runs a listing.
///
/// # Errors
/// [`StoreError::UnknownMarker`], and as every query.
pub(super) async fn list<C, T, R, F>(
    db: &mut Db,
    mut listing: Listing<'_, C>,
    parts: Parts<R, F>,
) -> Result<Listed<T>, StoreError>
where
    C: IntoColumnRef + Copy,
    T: Serialize + Send,
    R: Fn(&Row) -> Result<T, StoreError> + Send + Sync,
    F: AsyncFn(&mut Db, &mut [T]) -> Result<(), StoreError>,
{
    let page = listing.page;
    let after = match &page.marker {
        Some(marker) => Some(listing.find(db, marker).await?),
        None => None,
    };
    // it knows neither markers nor another order
    let first = listing.first.take().filter(|_| after.is_none() && !page.newest_first);
    let limit = page.limit.saturating_add(u64::from(page.look_ahead));
    let mut documents = match listing.search.is_empty() {
        true => whole_page(db, &listing, &parts, first, after, limit).await?,
        false => {
            let mut wanted = Wanted { skip: page.offset, limit, documents: Vec::new() };
            searched(db, &listing, &parts, first, after, &mut wanted).await?;
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
    first: Option<Filled<'_>>,
    after: Option<Last>,
    limit: u64,
) -> Result<Vec<T>, StoreError>
where
    C: IntoColumnRef + Copy,
    T: Send,
    R: Fn(&Row) -> Result<T, StoreError> + Send + Sync,
    F: AsyncFn(&mut Db, &mut [T]) -> Result<(), StoreError>,
{
    let rows = match first {
        Some(first) => db.select(&first.at(limit, listing.page.offset)).await?,
        None => {
            let mut select = listing.batch(after.as_ref(), limit);
            select.offset(listing.page.offset);
            db.select(&select).await?
        }
    };
    let mut documents = Vec::with_capacity(rows.len());
    for row in rows {
        documents.push((parts.read)(&row)?);
    }
    for some in documents.chunks_mut(COMPLETED_AT_ONCE) {
        (parts.complete)(db, some).await?;
    }
    Ok(documents)
}

/// The documents that a page takes of those that a search accepts, in order.
struct Wanted<T> {
    skip: u64,
    limit: u64,
    documents: Vec<T>,
}

impl<T> Wanted<T> {
    /// How many accepted documents are still needed, those to be passed over included.
    fn needed(&self) -> u64 {
        self.skip.saturating_add(self.limit - self.documents.len() as u64)
    }

    /// Takes an accepted document; true where the page has room for it.
    fn takes(&mut self) -> bool {
        let passed_over = self.skip > 0;
        self.skip -= u64::from(passed_over);
        !passed_over
    }
}

/// A query for some rows.
enum Batch<'a> {
    Fixed(Filled<'a>),
    Made(Box<SelectStatement>),
}

/// A document that may be wanted.
struct Candidate<T> {
    document: T,
    verdict: Verdict,
}

async fn searched<C, T, R, F>(
    db: &mut Db,
    listing: &Listing<'_, C>,
    parts: &Parts<R, F>,
    mut first: Option<Filled<'_>>,
    mut after: Option<Last>,
    wanted: &mut Wanted<T>,
) -> Result<(), StoreError>
where
    C: IntoColumnRef + Copy,
    T: Serialize + Send,
    R: Fn(&Row) -> Result<T, StoreError> + Send + Sync,
    F: AsyncFn(&mut Db, &mut [T]) -> Result<(), StoreError>,
{
    let mut judge = Judge::new(listing.search, listing.shape.identity);
    let largest = if listing.missing.is_some() { COMPLETED_AT_ONCE as u64 } else { LARGEST_BATCH };
    let mut batch = wanted.needed().clamp(FIRST_BATCH, largest);
    while wanted.needed() > 0 {
        let mut candidates = Vec::new();
        let mut seen = 0;
        let mut text = Vec::new();
        let (doing, missing, read) = (db.doing(), listing.missing, &parts.read);
        let needed = usize::try_from(wanted.needed()).unwrap_or(usize::MAX).min(COMPLETED_AT_ONCE);
        let select = match first.take() {
            Some(first) => Batch::Fixed(first.at(batch, 0)),
            None => Batch::Made(Box::new(listing.batch(after.as_ref(), batch))),
        };
        let each = |row: Row| {
            seen += 1;
            after = Some(last(doing, &row)?);
            let document = read(&row)?;
            let verdict = verdict(&mut judge, &document, missing, &mut text);
            // what is only passed over need not be kept, as long as no earlier one is in doubt
            let passed_over =
                verdict == Verdict::Accepted && candidates.is_empty() && wanted.skip > 0 && !wanted.takes();
            if verdict != Verdict::Refused && !passed_over {
                candidates.push(Candidate { document, verdict });
            }
            let full = candidates.len() >= needed || wanted.needed() == 0;
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        match &select {
            Batch::Fixed(fixed) => db.select_each(fixed, each).await?,
            Batch::Made(made) => db.select_each(&**made, each).await?,
        }
        // a batch that was broken off is not the last one
        let complete = seen < batch && candidates.len() < needed;
        settle(db, listing, parts, &mut judge, candidates, wanted).await?;
        if complete {
            return Ok(());
        }
        batch = std::cmp::Ord::min(batch * 4, largest);
    }
    Ok(())
}

/// Completes the candidates, judges those in doubt, and gives the page its share.
async fn settle<C, T, R, F>(
    db: &mut Db,
    listing: &Listing<'_, C>,
    parts: &Parts<R, F>,
    judge: &mut Judge<'_>,
    candidates: Vec<Candidate<T>>,
    wanted: &mut Wanted<T>,
) -> Result<(), StoreError>
where
    T: Serialize,
    F: AsyncFn(&mut Db, &mut [T]) -> Result<(), StoreError>,
{
    let verdicts: Vec<Verdict> = candidates.iter().map(|candidate| candidate.verdict).collect();
    let mut documents: Vec<T> = candidates.into_iter().map(|candidate| candidate.document).collect();
    if listing.missing.is_some() {
        (parts.complete)(db, &mut documents).await?;
    }
    let mut text = Vec::new();
    for (document, known) in documents.into_iter().zip(verdicts) {
        let accepted = match known {
            Verdict::Open => verdict(judge, &document, None, &mut text) == Verdict::Accepted,
            known => known == Verdict::Accepted,
        };
        if accepted && wanted.needed() > 0 && wanted.takes() {
            wanted.documents.push(document);
        }
    }
    Ok(())
}

fn verdict(
    judge: &mut Judge<'_>,
    document: &impl Serialize,
    missing: Option<&str>,
    buffer: &mut Vec<u8>,
) -> Verdict {
    buffer.clear();
    // A document that cannot be written cannot be judged, so it is not shown.
    if serde_json::to_writer(&mut *buffer, document).is_err() {
        return Verdict::Refused;
    }
    match (std::str::from_utf8(buffer), missing) {
        (Ok(text), Some(missing)) => judge.verdict_without(text, missing),
        (Ok(text), None) => judge.verdict(text),
        (Err(_), _) => Verdict::Refused,
    }
}

fn last(doing: &'static str, row: &Row) -> Result<Last, StoreError> {
    let at = super::unreadable(doing);
    Ok((row.text(CREATED_AT).map_err(&at)?, row.string(ID).map_err(&at)?))
}

impl<C: IntoColumnRef + Copy> Listing<'_, C> {
    /// So many rows behind the last one seen.
    fn batch(&self, after: Option<&Last>, limit: u64) -> SelectStatement {
        let order = if self.page.newest_first { Order::Desc } else { Order::Asc };
        let mut select = self.narrowed.clone();
        select.order_by(self.created_at, order.clone()).order_by(self.id, order).limit(limit);
        if let Some(last) = after {
            select.cond_where(self.behind(last));
        }
        select
    }

    /// Rows behind the last one seen, in the order (created_at, id). Rows written by hand may lack the time; both
    /// engines sort NULL first.
    fn behind(&self, last: &Last) -> Condition {
        let (time, id) = (|| Expr::col(self.created_at), || Expr::col(self.id));
        let (at, last_id) = (last.0.as_deref(), last.1.as_str());
        match (at, self.page.newest_first) {
            // the first half alone bounds the part of the index that is read
            (Some(at), false) => Condition::all()
                .add(time().gte(at))
                .add(Condition::any().add(time().gt(at)).add(id().gt(last_id))),
            (None, false) => Condition::any().add(time().is_not_null()).add(id().gt(last_id)),
            (Some(at), true) => Condition::any().add(time().is_null()).add(
                Condition::all()
                    .add(time().lte(at))
                    .add(Condition::any().add(time().lt(at)).add(id().lt(last_id))),
            ),
            (None, true) => Condition::all().add(time().is_null()).add(id().lt(last_id)),
        }
    }

    /// The place of a marker. It need not be what the search wants: documents change between two pages.
    async fn find(&self, db: &mut Db, marker: &str) -> Result<Last, StoreError> {
        let mut select = self.select.clone();
        select.and_where(Expr::col(self.id).eq(marker)).limit(1);
        let doing = db.doing();
        match db.select_one(&select).await? {
            // as bytes: the database may take another id for this one
            Some(row) if last(doing, &row)?.1 == marker => last(doing, &row),
            _ => Err(StoreError::UnknownMarker { id: marker.to_owned() }),
        }
    }

    /// How many documents there are in all, which takes as long as there are many.
    async fn count<T, R, F>(&self, db: &mut Db, parts: &Parts<R, F>) -> Result<u64, StoreError>
    where
        T: Serialize + Send,
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
        searched(db, self, parts, None, None, &mut all).await?;
        Ok(u64::MAX - all.skip)
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
