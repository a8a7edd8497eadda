//! Answers with documents, within the budget of `service/answers.rs`.
//!
//! The size of a page is known only after it was read. Therefore a page is first read up to a size that needs no part
//! of the budget. If it is larger, the request waits for a part of the budget and reads the page again, up to the size
//! for which that part is enough. While it waits, it holds no connection and no documents.

use axum::body::{Body, HttpBody, to_bytes};
use axum::response::Response;

use super::extract::Call;
use crate::error::Error;
use crate::service::answers::{FREE, Held};

/// Bytes of documents up to which a page is read without a part of the budget. The connections to the database bound the
/// number of such reads.
const FIRST_BYTES: u64 = 256 << 10;

/// How many times more bytes are read if a page is larger. A large page costs little more than if it were read once.
const STEP: u64 = 16;

/// Memory for making an answer, in relation to its documents. They are in memory twice while the answer is written.
const WHILE_MADE: usize = 2;

/// An answer, and whether its page ended early because of its bytes.
pub type Draft = (Response, bool);

/// Returns the answer to a request for documents. `make` reads documents, up to the number of bytes that it is given, and
/// writes the answer. It can run several times. `max_bytes`: as
/// [`Page::max_bytes`](freezer_store::query::Page::max_bytes).
///
/// # Errors
/// Those of `make`; [`Error::Busy`] if no part of the budget becomes free in time.
pub async fn answer<F>(call: &Call, max_bytes: u64, make: impl Fn(u64) -> F) -> Result<Response, Error>
where
    F: Future<Output = Result<Draft, Error>>,
{
    let mut up_to = max_bytes.min(FIRST_BYTES);
    let mut held = None;
    loop {
        let (response, is_cut) = make(up_to).await?;
        let mut bytes = size(&response);
        if is_cut && up_to < max_bytes {
            up_to = up_to.saturating_mul(STEP).min(max_bytes);
            bytes = usize::try_from(up_to).unwrap_or(usize::MAX);
            drop(response);
        } else if let Some(held) = held {
            return hold(response, held).await;
        } else if let Some(response) = within(call, response).await? {
            return Ok(response);
        }
        // given back before more is taken, so that requests do not wait for each other's parts
        drop(held.take());
        let (answers, deadline) = (call.app.queues.answers(), call.store()?.deadline());
        held = Some(answers.hold(&call.scope(), bytes.saturating_mul(WHILE_MADE), deadline).await?);
    }
}

/// Returns the answer if it is small, or if its part of the budget is free. Otherwise drops it.
pub async fn within(call: &Call, response: Response) -> Result<Option<Response>, Error> {
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
