//! Answers with documents, and changes of documents, within the budget of `service/answers.rs`.
//!
//! The size of a page or a document is known only after it was read. Therefore it is first read up to a size that needs no
//! part of the budget. If it is larger, the request waits for a part of the budget and reads it again, up to the size
//! for which that part is enough. While it waits, it holds no connection and no documents.
//!
//! A document that is larger than the query may read is not read at all ([`StoreError::TooLarge`]). A change waits for its part
//! before anything is stored, so a change that was stored is never answered with an error.

use axum::body::{Body, HttpBody, to_bytes};
use axum::response::Response;
use freezer_store::{MOST_MEMORY_PER_BYTE, Store, StoreError};

use super::extract::Call;
use crate::error::Error;
use crate::service::answers::{FREE, Held};

/// Bytes of documents up to which they are read without a part of the budget. The connections to the database bound the
/// number of such reads.
pub const FIRST_BYTES: u64 = 256 << 10;

/// Bytes of a document up to which it is answered by its change without a part of the budget.
pub const FIRST_ANSWER: u64 = FREE as u64;

/// How many times more bytes are read if a page is larger. A large page costs little more than if it were read once.
const STEP: u64 = 16;

/// Memory for making an answer, in relation to its documents. They are in memory twice while the answer is written.
const WHILE_MADE: u64 = 2;

/// Memory for the tree of a document whose size alone is known, in relation to its size. A document with many small values takes
/// more than this. Its change then waits a second time, for the memory that was estimated from its text.
const TREE: u64 = 12;

/// Memory for the texts of a document that is changed, in relation to its size: as it was read, as it is stored and as it is
/// answered.
const TEXTS: u64 = 4;

/// Memory of a tree that a change builds without a part of the budget.
const FIRST_TREE: u64 = 4 << 20;

/// An answer.
pub struct Draft {
    /// The answer itself.
    pub response: Response,
    /// Whether its page ended early because of its bytes.
    pub is_cut: bool,
    /// The errors of documents that the page leaves out because no request can read them.
    pub left_out: Vec<StoreError>,
}

/// Returns the answer to a request for documents. `make` reads documents, up to the number of bytes that it is given, and
/// writes the answer. It can run several times. `max_bytes`: as
/// [`Page::max_bytes`](freezer_store::query::Page::max_bytes).
///
/// # Errors
/// Those of `make`; [`Error::Busy`] if no part of the budget becomes free in time; [`Error::AnswerTooLarge`].
pub async fn answer<F>(call: &Call, max_bytes: u64, make: impl Fn(u64) -> F) -> Result<Response, Error>
where
    F: Future<Output = Result<Draft, Error>>,
{
    // a page ends early before it takes more than the whole part of its project
    let max_bytes = max_bytes.min(largest(call));
    let mut up_to = max_bytes.min(FIRST_BYTES);
    let mut held = None;
    loop {
        let needed = match make(up_to).await {
            Ok(draft) if draft.is_cut && up_to < max_bytes => up_to.saturating_mul(STEP).min(max_bytes),
            Ok(Draft { response, left_out, .. }) => {
                warn_of_left_out(call, left_out);
                if let Some(held) = held {
                    return hold(response, held).await;
                }
                let size = size(&response) as u64;
                match within(call, response).await? {
                    Some(response) => return Ok(response),
                    None => up_to.max(size),
                }
            }
            Err(error) => allowed(call, up_to, error)?.max(up_to.saturating_mul(STEP).min(max_bytes)),
        };
        // given back before more is taken, so that requests do not wait for each other's parts
        drop(held.take());
        held = Some(wait(call, needed.saturating_mul(WHILE_MADE)).await?);
        up_to = needed;
    }
}

/// Returns the answer to a request for one document. `make` reads it if it is not larger than the number of bytes that it is
/// given.
///
/// # Errors
/// As [`answer`].
pub async fn document<F>(call: &Call, make: impl Fn(u64) -> F) -> Result<Response, Error>
where
    F: Future<Output = Result<Response, Error>>,
{
    answer(call, FIRST_BYTES, |up_to| {
        let made = make(up_to);
        async move { Ok(Draft { response: made.await?, is_cut: false, left_out: Vec::new() }) }
    })
    .await
}

/// The limits of a document that is changed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum number of bytes of its texts.
    pub bytes: u64,
    /// Maximum memory of its tree.
    tree: u64,
}

impl Limits {
    /// Returns a store whose changes keep these limits.
    pub fn applied_to(self, store: &Store) -> Store {
        store.reading_up_to(self.bytes).building_up_to(self.tree)
    }

    /// Returns the memory of a change with these limits.
    fn memory(self) -> u64 {
        self.tree.saturating_add(self.bytes.saturating_mul(TEXTS))
    }
}

/// Carries out a change. `make` changes documents and returns the answer. If a document exceeds the limits that it is given, it
/// returns [`StoreError::TooLarge`] or [`StoreError::TreeTooLarge`] before it has stored anything. `first`: the maximum number of
/// bytes in the first run.
///
/// # Errors
/// Those of `make`; [`Error::Busy`] if no part of the budget becomes free in time; [`Error::AnswerTooLarge`]. Then nothing was
/// stored.
pub async fn change<F>(call: &Call, first: u64, make: impl Fn(Limits) -> F) -> Result<Response, Error>
where
    F: Future<Output = Result<Response, Error>>,
{
    let mut limits = Limits { bytes: first, tree: FIRST_TREE };
    let mut held = None;
    loop {
        match make(limits).await {
            Ok(response) => match held {
                Some(held) => return hold(response, held).await,
                None => return Ok(response),
            },
            Err(Error::Store(StoreError::TreeTooLarge { what, id, memory, .. })) => {
                let limit = largest_tree(call);
                if memory > limit || memory <= limits.tree {
                    return Err(Error::AnswerTooLarge { what, id, bytes: memory, limit });
                }
                limits.tree = memory;
            }
            Err(error) => {
                let bytes = allowed(call, limits.bytes, error)?;
                limits = Limits { bytes, tree: limits.tree.max(bytes.saturating_mul(TREE)) };
            }
        }
        drop(held.take());
        held = Some(wait(call, limits.memory()).await?);
    }
}

/// Returns the size of a document that was not read because of its size, if an answer may have it.
fn allowed(call: &Call, up_to: u64, error: Error) -> Result<u64, Error> {
    let Error::Store(StoreError::TooLarge { what, id, bytes, .. }) = error else { return Err(error) };
    let limit = largest(call);
    if bytes > limit || bytes <= up_to {
        let refused = Error::AnswerTooLarge { what, id: id.clone(), bytes, limit };
        warn(call, &id, &refused);
        return Err(refused);
    }
    Ok(bytes)
}

/// Warns about the documents that a page leaves out.
fn warn_of_left_out(call: &Call, left_out: Vec<StoreError>) {
    for error in left_out {
        if let StoreError::TooLarge { what, id, bytes, .. } = error {
            warn(call, &id, &Error::AnswerTooLarge { what, id: id.clone(), bytes, limit: largest(call) });
        }
    }
}

/// Names a document that cannot be read in the log, because schedulers do not report it.
fn warn(call: &Call, id: &str, refused: &Error) {
    if call.app.queues.oversized().is_due(id, std::time::Instant::now()) {
        tracing::warn!(
            "lists leave out a document that is too large, and a request for it gets a 413: {refused}"
        );
    }
}

/// Returns the size of the largest document that is read.
fn largest(call: &Call) -> u64 {
    call.app.http.largest_readable()
}

/// Returns the memory of the largest tree that a change builds: the whole budget, and that of every document that the service
/// accepts.
fn largest_tree(call: &Call) -> u64 {
    let budget = call.app.queues.answers().in_all();
    budget.max(call.app.http.max_document.saturating_mul(MOST_MEMORY_PER_BYTE)) as u64
}

async fn wait(call: &Call, bytes: u64) -> Result<Held, Error> {
    let (answers, deadline) = (call.app.queues.answers(), call.store()?.deadline());
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    Ok(answers.hold(&call.scope(), bytes, deadline).await?)
}

/// Returns the answer if it is small, or if its part of the budget is free. Otherwise drops it.
async fn within(call: &Call, response: Response) -> Result<Option<Response>, Error> {
    let size = size(&response);
    if size <= FREE {
        return Ok(Some(response));
    }
    match call.app.queues.answers().try_hold(&call.scope(), size) {
        Some(held) => hold(response, held).await.map(Some),
        None => Ok(None),
    }
}

fn size(response: &Response) -> usize {
    usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX)
}

/// Ties a part of the budget to the body of an answer.
async fn hold(response: Response, held: Held) -> Result<Response, Error> {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await;
    let bytes = bytes.map_err(|error| Error::Internal(format!("an answer cannot be written: {error}")))?;
    Ok(Response::from_parts(parts, Body::from(held.with(bytes))))
}
