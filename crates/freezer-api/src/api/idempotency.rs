//! `Idempotency-Key`: a POST that is sent several times with the same key is carried out once, and gets the same answer.
//!
//! The key is claimed in the database before the request is carried out, so it is effective across processes. Repeated
//! reports of backups are recognized without a key, in `service/backups.rs`. The statements are in `freezer_store::query`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use freezer_store::query::idempotency::{self, Claim, Created, Expected, Keyed};
use freezer_store::{Deadline, Outage, Store, StoreError, single};
use http::{HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use tracing::Instrument;

use super::extract::{PlannedId, RequestDeadline, whole_body};
use super::response;
use crate::app::SharedApp;
use crate::context::RequestContext;
use crate::error::Error;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was sent before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Maximum length of a key in characters.
const MAX_KEY_LENGTH: usize = 255;
/// Milliseconds between the attempts to claim a key while the first request with this key is carried out. After the last attempt
/// the answer is a 409. They start again when another request has claimed the key, because the one before was refused.
const CLAIM_PAUSES: [u64; 7] = [20, 50, 100, 200, 400, 800, 1_600];
/// Additional time after which a request without an answer counts as abandoned, for example because its process was killed. It
/// is added to twice the `request_timeout`, which is the limit for the request and for storing its answer.
const MARGIN: Duration = Duration::from_secs(60);
/// Seconds between further attempts to release a key.
const RELEASE_PAUSES: [u64; 4] = [1, 4, 15, 60];
/// Seconds before each attempt to release a key whose claim has failed. With the default `request_timeout`, the claim has expired
/// after the last attempt.
const ABANDON_PAUSES: [u64; 10] = [0, 1, 2, 3, 5, 10, 15, 20, 25, 30];
/// Time limit of an attempt to release a key.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// Routes a request of an identified caller. A POST with a key is carried out at most once. `guards` has the same routes as
/// `router`, but only checks the policy. It is used before a stored answer is read, because the caller may have lost the
/// permission to see this answer.
pub async fn route(app: &SharedApp, router: Router, guards: Router, request: Request) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(KEY) {
        let Ok(answer) = router.oneshot(request).await;
        return answer;
    }
    let (parts, body) = request.into_parts();
    let Ok(permitted) = guards.oneshot(Request::from_parts(parts.clone(), Body::empty())).await;
    if !permitted.status().is_success() {
        return permitted;
    }
    match route_once(app, router, Request::from_parts(parts, body)).await {
        Ok(answer) => answer,
        Err(error) => error.into_response(),
    }
}

/// Claims the key of a request and carries out the request, or returns the stored answer.
async fn route_once(app: &SharedApp, router: Router, request: Request) -> Result<Response, Error> {
    let key = key(&request)?;
    let (parts, body) = request.into_parts();
    let began = Instant::now();
    let body = whole_body(body, app.http.max_body).await?;
    let deadline = RequestDeadline::of(app, &parts.extensions).after_body(began.elapsed());
    let caller = parts.extensions.get::<RequestContext>();
    let caller = caller.map(|caller| [caller.user_id.as_str(), caller.own_project()]).unwrap_or_default();
    let store = app.store.of(caller[1]);
    // an empty query counts as no query
    let path = match parts.uri.query() {
        None | Some("") => parts.uri.path(),
        Some(_) => parts.uri.path_and_query().map_or("", |path| path.as_str()),
    };
    let planned = app.ids.document();
    let keyed = Keyed {
        expected: expected(parts.uri.path(), &planned),
        id: hash(&[caller[0].as_bytes(), caller[1].as_bytes(), key.as_bytes()]),
        request: hash(&[path.as_bytes(), &body]),
        attempt: app.ids.document(),
        now: app.clock.now(),
        patience: i64::try_from((app.http.request_timeout * 2 + MARGIN).as_secs()).unwrap_or(i64::MAX),
    };
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(PlannedId(planned));
    request.extensions_mut().insert(deadline);
    // in its own task: if the caller disconnects, it must get the answer when it sends the request again
    let work = carry_out(app.clone(), router, request, (store, keyed, deadline.deadline()));
    tokio::spawn(work.in_current_span()).await.map_err(|_| {
        Error::Internal("a request with an Idempotency-Key ended without an answer".to_owned())
    })?
}

/// Claims the key and carries out the request, or returns the stored answer.
async fn carry_out(
    app: SharedApp,
    router: Router,
    request: Request,
    (store, keyed, deadline): (Store, Keyed, Deadline),
) -> Result<Response, Error> {
    let claimed = match claim(&app.abandoned, &store.until(deadline), &keyed).await {
        Ok(claimed) => claimed,
        Err(error) => {
            app.abandoned.release(store, keyed);
            return Err(nothing_done(error).into());
        }
    };
    match claimed {
        Some(Claim::Ours) => {}
        Some(Claim::Answered { status, answer }) => {
            let mut answer = response::stored(status, answer)?;
            answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            return Ok(answer);
        }
        Some(Claim::Other) => {
            return Err(Error::Unprocessable(
                "Idempotency-Key: the key was used for another request; use a new key for each request"
                    .to_owned(),
            ));
        }
        Some(Claim::UnderWay { .. }) => return Err(Error::UnderWay),
        None => {
            tracing::warn!(
                "Idempotency-Key has no effect, because the table for keys is missing: run freezer-manage db sync"
            );
            let Ok(answer) = router.oneshot(request).await;
            return Ok(answer);
        }
    }
    let Ok(answer) = router.oneshot(request).await;
    Ok(store_answer(store, app.http.request_timeout, deadline, keyed, answer).await)
}

/// The attempts whose claims have failed but may still be stored. Nothing else is stored for them.
#[derive(Debug, Clone, Default)]
pub struct AbandonedClaims(Arc<Mutex<HashSet<String>>>);

impl AbandonedClaims {
    fn attempts(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases the key of an attempt whose claim has failed. The claim can be stored later, when the database reads the
    /// statement from a connection that the service has already closed. Therefore a task repeats the release until it finds
    /// the claim, or until the claim has expired.
    fn release(&self, store: Store, keyed: Keyed) {
        let abandoned = self.clone();
        abandoned.attempts().insert(keyed.attempt.clone());
        let work = async move {
            for pause in ABANDON_PAUSES {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                if matches!(release_once(&store.until(Deadline::after(RELEASE_LIMIT)), &keyed).await, Ok(1..))
                {
                    break;
                }
            }
            abandoned.attempts().remove(&keyed.attempt);
        };
        tokio::spawn(work.in_current_span());
    }
}

/// Returns the error of a failed claim as that of a request that has changed nothing.
fn nothing_done(error: StoreError) -> StoreError {
    match error {
        StoreError::OutcomeUnknown { doing, reason } => {
            StoreError::Unavailable { doing, outage: Outage::Away, reason }
        }
        other => other,
    }
}

/// Claims the key. If another request with it is being carried out, waits for a moment, and longer, until the deadline of the
/// store, as long as one request after the other is refused. Takes the key of an abandoned claim. None: there is no table for
/// keys.
async fn claim(
    abandoned: &AbandonedClaims,
    store: &Store,
    keyed: &Keyed,
) -> Result<Option<Claim>, StoreError> {
    let mut pauses = CLAIM_PAUSES.into_iter();
    let mut holder = None;
    loop {
        let claim = single!(store, "idempotency.claim", |db| idempotency::claim(db, keyed).await)?;
        let Some(Claim::UnderWay { attempt }) = &claim else { return Ok(claim) };
        if let Some(attempt) = attempt.as_ref().filter(|attempt| abandoned.attempts().contains(*attempt)) {
            release_once(store, &Keyed { attempt: attempt.clone(), ..keyed.clone() }).await?;
        }
        if attempt.is_none() || *attempt != holder {
            pauses = CLAIM_PAUSES.into_iter();
            holder.clone_from(attempt);
        }
        let Some(pause) = pauses.next().map(Duration::from_millis) else { return Ok(claim) };
        if store.deadline().within(pause) < pause {
            return Ok(claim);
        }
        tokio::time::sleep(pause).await;
    }
}

/// Stores the answer of a successful request. If the request was refused or failed, its key is released, so the caller can
/// correct the request or retry. The caller gets its answer at the deadline even if the database has not finished.
async fn store_answer(
    store: Store,
    timeout: Duration,
    deadline: Deadline,
    keyed: Keyed,
    answer: Response,
) -> Response {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let again = Response::from_parts(parts, Body::from(body.clone()));
    let status = again.status().as_u16();
    let work = match std::str::from_utf8(&body).ok().filter(|_| again.status().is_success()) {
        None => tokio::spawn(release(store, keyed).in_current_span()),
        Some(text) => {
            if keyed.expected.as_ref().is_some_and(|known| known.status == status && known.answer == text) {
                return again;
            }
            let text = text.to_owned();
            tokio::spawn(keep(store.until(Deadline::after(timeout)), keyed, status, text).in_current_span())
        }
    };
    // after the deadline, the task continues without the caller
    let _ = tokio::time::timeout(deadline.within(timeout), work).await;
    again
}

/// Stores the answer of a request.
async fn keep(store: Store, keyed: Keyed, status: u16, text: String) {
    let stored: Result<(), StoreError> =
        single!(store, "idempotency.answer", |db| idempotency::answer(db, &keyed, status, &text).await);
    if let Err(error) = stored {
        // the caller still gets its answer; a repeated request gets a 409 until the key expires
        tracing::error!("the answer to a request with an Idempotency-Key could not be stored: {error}");
    }
}

/// Releases a key, and retries it if the database is not available.
async fn release(store: Store, keyed: Keyed) {
    for pause in std::iter::once(0).chain(RELEASE_PAUSES) {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        if release_once(&store.until(Deadline::after(RELEASE_LIMIT)), &keyed).await.is_ok() {
            return;
        }
    }
}

async fn release_once(store: &Store, keyed: &Keyed) -> Result<u64, StoreError> {
    single!(store, "idempotency.release", |db| idempotency::release(db, keyed).await)
}

/// Returns the answer to a request that creates a document with this id. None if requests to this path do not create documents.
fn expected(path: &str, id: &str) -> Option<Expected> {
    let mut segments = path.strip_prefix("/v2/")?.split('/').skip(1);
    let (kind, name) = match (segments.next()?, segments.next()) {
        ("actions", None) => (Created::Action, "action_id"),
        ("backups", None) => (Created::Backup, "backup_id"),
        ("jobs", None) => (Created::Job, "job_id"),
        ("sessions", None) => (Created::Session, "session_id"),
        _ => return None,
    };
    let answer = serde_json::json!({ name: id }).to_string();
    Some(Expected { kind, document_id: id.to_owned(), status: response::CREATED, answer })
}

/// Returns the key of a request.
fn key(request: &Request) -> Result<String, Error> {
    let refused = |reason: &str| Err(Error::BadDocument(format!("Idempotency-Key: {reason}")));
    let mut values = request.headers().get_all(KEY).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return refused("given more than once") };
    match value.to_str().map(str::trim) {
        Ok("") => refused("must not be empty"),
        Ok(text) if text.len() > MAX_KEY_LENGTH => refused("longer than 255 characters"),
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.to_owned()),
        _ => refused("must consist of visible ASCII characters without spaces"),
    }
}

/// Returns the SHA-256 of several parts in hexadecimal digits. The length of each part is hashed as well, so different lists of
/// parts have different hashes.
fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
