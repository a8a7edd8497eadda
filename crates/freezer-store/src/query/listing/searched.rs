//! Lists with a search: what of the rows is wanted.
//!
//! The database passes over what it can (`narrow.rs`), and the rest comes in batches, row by row: each is judged by its
//! own columns as it comes, and what a document has in other tables is read only for those that are still wanted. How a
//! document is judged is `search/judge.rs`.

use std::ops::ControlFlow;

use super::order;
use super::{COMPLETED_AT_ONCE, COMPLETED_FIRST, Document, FEWEST, Listing, Parts, Progress, SMALL};
use crate::error::StoreError;
use crate::exec::{Db, Turn};
use crate::row::Row;
use crate::search::{Judge, Verdict};
use sea_query::IntoColumnRef;

/// Rows of the first query while searching at least, and of the largest one: a poll wants the few jobs of one client,
/// and the database has passed over most of what is not wanted.
const FIRST_BATCH: u64 = 10;
const LARGEST_BATCH: u64 = 1_000;

/// The documents that a page takes of those that a search accepts, in order.
pub(super) struct Wanted<T> {
    pub(super) skip: u64,
    limit: u64,
    pub(super) documents: Vec<T>,
    max_bytes: u64,
    bytes: u64,
    /// Whether a document did not fit.
    pub(super) cut: bool,
}

impl<T: Document> Wanted<T> {
    pub(super) fn new(skip: u64, limit: u64, max_bytes: u64) -> Wanted<T> {
        Wanted { skip, limit, documents: Vec::new(), max_bytes, bytes: 0, cut: false }
    }

    /// How many accepted documents are still needed, those to be passed over included.
    pub(super) fn needed(&self) -> u64 {
        match self.cut {
            true => 0,
            false => self.skip.saturating_add(self.limit - self.documents.len() as u64),
        }
    }

    /// Takes an accepted document where it is needed.
    pub(super) fn take(&mut self, document: T) {
        if self.needed() == 0 || !self.takes() {
            return;
        }
        let bytes = self.bytes.saturating_add(document.size() as u64);
        if bytes > self.max_bytes && self.documents.len() >= FEWEST {
            self.cut = true;
            return;
        }
        self.bytes = bytes;
        self.documents.push(document);
    }

    /// Passes over an accepted document while some are to be passed over; true where the page takes it.
    fn takes(&mut self) -> bool {
        let passed_over = self.skip > 0;
        self.skip -= u64::from(passed_over);
        !passed_over
    }
}

/// A document that may be wanted.
pub(super) struct Candidate<T> {
    pub(super) document: T,
    pub(super) verdict: Verdict,
}

/// Fills a page with what the search accepts behind a row, batch by batch.
///
/// # Errors
/// As every query.
pub(super) async fn searched<C, T, R, F>(
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
    let mut judge = Judge::new(listing.search, listing.shape.identity);
    let largest = if T::IN_PARTS { COMPLETED_AT_ONCE as u64 } else { LARGEST_BATCH };
    let mut batch = wanted.needed().clamp(FIRST_BATCH, largest);
    let newest_first = listing.page.newest_first;
    let mut among = listing.among.map(|all| order::behind(all, after.as_ref(), newest_first));
    while wanted.needed() > 0 {
        let mut candidates = Vec::new();
        let (mut seen, mut bytes, room) = (0, 0, wanted.max_bytes.saturating_sub(wanted.bytes));
        let (doing, read) = (db.doing(), &parts.read);
        let mut is_whole = true;
        let needed = usize::try_from(wanted.needed()).unwrap_or(usize::MAX).min(COMPLETED_AT_ONCE);
        let places =
            among.map(|all| all.split_at(all.len().min(usize::try_from(batch).unwrap_or(usize::MAX))));
        let some = places.map(|(some, _)| some);
        if some.is_some_and(<[_]>::is_empty) {
            return Ok(());
        }
        let select = Box::new(listing.batch(after.as_ref(), some, batch, 0));
        let each = |mut row: Row| {
            seen += 1;
            *after = Some(order::last(doing, &row)?);
            let document = read(&mut row)?;
            let verdict = judge_row(&mut judge, &document);
            // what is only passed over need not be kept, as long as no earlier one is in doubt
            let passed_over =
                verdict == Verdict::Accepted && candidates.is_empty() && wanted.skip > 0 && !wanted.takes();
            if verdict != Verdict::Refused && !passed_over {
                bytes += document.size() as u64;
                candidates.push(Candidate { document, verdict });
            }
            is_whole = candidates.len() < needed && (bytes <= room || candidates.len() <= FEWEST);
            let full = !is_whole || wanted.needed() == 0;
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        db.select_each(&*select, each).await?;
        // a batch that was broken off is not the last one
        let complete = is_whole && places.map_or(seen < batch, |(_, rest)| rest.is_empty());
        among = match is_whole {
            true => places.map(|(_, rest)| rest),
            false => among.map(|all| order::behind(all, after.as_ref(), newest_first)),
        };
        settle(db, parts, &mut judge, candidates, wanted).await?;
        if complete {
            return Ok(());
        }
        batch = std::cmp::Ord::min(batch * 4, largest);
    }
    Ok(())
}

/// Completes the candidates, judges those in doubt, and gives the page its share.
pub(super) async fn settle<T, R, F>(
    db: &mut Db,
    parts: &Parts<R, F>,
    judge: &mut Judge<'_>,
    candidates: Vec<Candidate<T>>,
    wanted: &mut Wanted<T>,
) -> Result<(), StoreError>
where
    T: Document,
    F: AsyncFn(&mut Db, &mut [T]) -> Result<(), StoreError>,
{
    let mut turn = Turn::begin();
    let mut rest = candidates.into_iter();
    let mut at_once = if wanted.max_bytes == u64::MAX { COMPLETED_AT_ONCE } else { COMPLETED_FIRST };
    while wanted.needed() > 0 && rest.len() > 0 {
        let some = rest.by_ref().take(at_once).map(|Candidate { document, verdict }| (document, verdict));
        let (mut documents, verdicts): (Vec<T>, Vec<Verdict>) = some.unzip();
        if T::IN_PARTS {
            (parts.complete)(db, &mut documents).await?;
        }
        let largest = documents.iter().map(T::size).max().unwrap_or(0) as u64;
        at_once = if largest <= SMALL { COMPLETED_AT_ONCE } else { COMPLETED_FIRST };
        for (document, known) in documents.into_iter().zip(verdicts) {
            let accepted = match known {
                Verdict::Open(found) => judge.accepts_with(found, |judge| document.show_rest(judge)),
                known => known == Verdict::Accepted,
            };
            if accepted {
                wanted.take(document);
            }
            turn.end_if_long().await;
        }
    }
    Ok(())
}

/// What can be said of a document before it is completed.
fn judge_row<T: Document>(judge: &mut Judge<'_>, document: &T) -> Verdict {
    match T::IN_PARTS {
        true => judge.verdict(|judge| document.show_row(judge)),
        false if judge.accepts(|judge| document.show_row(judge)) => Verdict::Accepted,
        false => Verdict::Refused,
    }
}
