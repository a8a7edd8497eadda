//! Lists with a search.
//!
//! The database skips as many rows as it can (`narrow.rs`). The others arrive in batches. Each row is matched
//! by its own columns, and data from other tables is only read for the documents that are still undecided or
//! accepted. `search/matcher.rs` matches documents.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::order;
use super::{
    COMPLETED_AT_ONCE, COMPLETED_CAREFULLY, Completed, CompletionLimits, DocumentQuery, DocumentReader, Last,
    ListedDocument, PageBuilder, SMALL, end_before, too_large,
};
use crate::error::{DriverError, StoreError};
use crate::exec::Db;
use crate::query::unreadable;
use crate::row::Row;
use crate::search::{MatchResult, Matcher};
use crate::time_slice::TimeSlice;
use sea_query::IntoColumnRef;

/// Minimum number of rows of the first query. A poll needs the few jobs of one client, and the database skips most
/// other rows.
const FIRST_BATCH: u64 = 10;
/// Maximum number of rows of any query.
const LARGEST_BATCH: u64 = 1_000;

/// A document that may match.
pub(super) struct Candidate<T> {
    pub(super) document: T,
    pub(super) verdict: MatchResult,
}

/// Fills a page with the accepted documents after a row, batch by batch.
pub(super) async fn searched<C, T, R, F>(
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
    let mut matcher = Matcher::new(listing.search, listing.shape.identity);
    let largest = if T::IN_PARTS { COMPLETED_AT_ONCE as u64 } else { LARGEST_BATCH };
    let mut batch = builder.needed().clamp(FIRST_BATCH, largest);
    // Undecided candidates may all be rejected, so more of them are collected each time.
    let mut most = usize::try_from(builder.needed()).unwrap_or(usize::MAX).min(COMPLETED_AT_ONCE);
    let newest_first = listing.page.newest_first;
    let mut among = listing.among.map(|all| order::behind(all, builder.after.as_ref(), newest_first));
    while builder.needed() > 0 {
        let mut candidates = Vec::new();
        let (mut seen, mut bytes, room) = (0, 0, builder.room().bytes);
        let (doing, read, what) = (db.doing(), &reader.read, listing.what);
        let mut is_whole = true;
        let mut accepted = 0;
        let places =
            among.map(|all| all.split_at(all.len().min(usize::try_from(batch).unwrap_or(usize::MAX))));
        let some = places.map(|(some, _)| some);
        if some.is_some_and(<[_]>::is_empty) {
            return Ok(());
        }
        let (mut oversized, sized, read_limit) = (None, listing.size_at(), db.read_limit());
        let select = Box::new(listing.batch(db, builder.after.as_ref(), some, batch, 0).await?);
        let each = |mut row: Row| {
            seen += 1;
            let mut too_large = too_large(sized, doing, read_limit, &row)?;
            let (document, place) = read(&mut row).map_err(unreadable(doing))?;
            let verdict = match too_large.is_some() {
                true => MatchResult::No,
                false => match_row(&mut matcher, &document),
            };
            let size = document.size() as u64;
            // A document that is only skipped or counted is not in the answer.
            if sized.is_none() && verdict == MatchResult::Yes && size > read_limit && builder.takes_next() {
                too_large = Some(StoreError::TooLarge { doing, what, id: place.1.clone(), bytes: size });
            }
            let is_left_out = too_large.is_some();
            oversized = too_large.and_then(|error| builder.leave_out(error));
            if oversized.is_some() {
                is_whole = false;
                return Ok(ControlFlow::Break(()));
            }
            builder.after = Some(place);
            if is_left_out {
                return Ok(ControlFlow::Continue(()));
            }
            // Documents to skip are not kept if all earlier ones are decided.
            let passed_over =
                verdict == MatchResult::Yes && candidates.is_empty() && builder.skip > 0 && !builder.takes();
            if verdict != MatchResult::No && !passed_over {
                bytes += size;
                accepted += u64::from(verdict == MatchResult::Yes);
                candidates.push(Candidate { document, verdict });
            }
            let is_enough = candidates.len() >= most || accepted >= builder.needed();
            is_whole = !is_enough && (bytes <= room || candidates.len() <= 1);
            let full = !is_whole || builder.needed() == 0;
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        db.select_each(&*select, each).await?;
        // An interrupted batch is not the last one.
        let complete = is_whole && places.map_or(seen < batch, |(_, rest)| rest.is_empty());
        among = match is_whole {
            true => places.map(|(_, rest)| rest),
            false => among.map(|all| order::behind(all, builder.after.as_ref(), newest_first)),
        };
        settle(db, reader, &mut matcher, candidates, builder).await?;
        end_before(oversized, builder)?;
        if complete {
            return Ok(());
        }
        batch = (batch * 4).min(largest);
        most = (most * 4).min(COMPLETED_AT_ONCE);
    }
    Ok(())
}

/// Completes the candidates, matches the undecided ones, and adds accepted documents to the page.
pub(super) async fn settle<T, R, F>(
    db: &mut Db,
    reader: &DocumentReader<R, F>,
    matcher: &mut Matcher<'_>,
    candidates: Vec<Candidate<T>>,
    builder: &mut PageBuilder<T>,
) -> Result<(), StoreError>
where
    T: ListedDocument,
    F: AsyncFn(&mut Db, &mut [T], CompletionLimits) -> Result<Completed, StoreError>,
{
    let mut slice = TimeSlice::start();
    let mut rest = VecDeque::from(candidates);
    let mut at_once = if builder.max_bytes == u64::MAX { COMPLETED_AT_ONCE } else { COMPLETED_CAREFULLY };
    while builder.needed() > 0 && !rest.is_empty() {
        let some = rest.drain(..at_once.min(rest.len()));
        let (mut documents, mut verdicts): (Vec<T>, Vec<MatchResult>) =
            some.map(|Candidate { document, verdict }| (document, verdict)).unzip();
        if T::IN_PARTS {
            let whole = match (reader.complete)(db, &mut documents, builder.room()).await {
                // The next page begins before this document.
                Err(error @ StoreError::TooLarge { .. }) => return builder.cut_before(error),
                completed => match completed? {
                    Completed::First(whole) => whole,
                    Completed::Unreadable(errors) => {
                        documents.drain(..errors.len());
                        for (verdict, error) in verdicts.drain(..errors.len()).zip(errors) {
                            builder.leave_out(error);
                            // An offset and the number of documents include those that a search finds by their rows alone.
                            let _ = verdict == MatchResult::Yes && builder.takes();
                        }
                        0
                    }
                },
            };
            let later = documents.drain(whole..).zip(verdicts.drain(whole..)).rev();
            later.for_each(|(document, verdict)| rest.push_front(Candidate { document, verdict }));
        }
        let largest = documents.iter().map(T::size).max().unwrap_or(0) as u64;
        at_once = if largest <= SMALL { COMPLETED_AT_ONCE } else { COMPLETED_CAREFULLY };
        for (document, known) in documents.into_iter().zip(verdicts) {
            let accepted = match known {
                MatchResult::Undecided(found) => {
                    matcher.accepts_with(found, |matcher| document.show_rest(matcher))
                }
                known => known == MatchResult::Yes,
            };
            if accepted {
                builder.add(document);
            }
            slice.yield_if_over().await;
        }
    }
    Ok(())
}

/// Matches a document before it is completed.
fn match_row<T: ListedDocument>(matcher: &mut Matcher<'_>, document: &T) -> MatchResult {
    match T::IN_PARTS {
        true => matcher.match_part(|matcher| document.show_row(matcher)),
        false if matcher.accepts(|matcher| document.show_row(matcher)) => MatchResult::Yes,
        false => MatchResult::No,
    }
}
