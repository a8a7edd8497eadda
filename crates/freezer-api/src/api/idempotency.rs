//! `Idempotency-Key`: a POST that is sent several times with the same key is carried out once, and gets the same answer.
//!
//! The key is claimed in the database before the request is carried out (`claims.rs`), so it is effective across processes. The
//! claim has the id and the time of the document that the request creates. If the outcome of the request is unknown, the next request
//! with the key takes them over, so the document cannot be stored twice. Repeated reports of backups are recognized without a key, in
//! `service/backups.rs`. The statements are in `freezer_store::query`.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use freezer_store::query::idempotency::{self, Claim, Created, Earlier, Expected, Keyed};
use freezer_store::{Deadline, Scope, Store, StoreError, single};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use tower::ServiceExt;
use tracing::Instrument;

use super::claims;
pub use super::claims::AbandonedClaims;
use super::extract::{Plan, RequestDeadline, whole_body};
use super::response;
use crate::app::SharedApp;
use crate::context::RequestContext;
use crate::error::Error;
use crate::metrics::KeyUse;
use crate::service::admission::{AdmittedRequest, BodySize};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was sent before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Maximum length of a key in characters.
const MAX_KEY_LENGTH: usize = 255;
/// Additional time after which a request without an answer counts as abandoned, for example because its process was killed. It
/// is added to twice the `request_timeout`, which is the limit for the request and for storing its answer.
const MARGIN: Duration = Duration::from_secs(60);

/// Routes a request of an identified caller. A POST with a key is carried out at most once. `guards` has the same routes as
/// `router`, but only checks the policy: before the body is read, and again with the body before a stored answer is sent,
/// because the caller may have lost the permission to see this answer.
pub async fn route(app: &SharedApp, router: Router, guards: Router, request: Request) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(KEY) {
        let Ok(answer) = router.oneshot(request).await;
        return answer;
    }
    let (parts, body) = request.into_parts();
    let Ok(permitted) = guards.clone().oneshot(Request::from_parts(parts.clone(), Body::empty())).await;
    if !permitted.status().is_success() {
        return permitted;
    }
    match route_once(app, router, guards, Request::from_parts(parts, body)).await {
        Ok(answer) => answer,
        Err(error) => error.into_response(),
    }
}

/// Claims the key of a request and carries out the request, or returns the stored answer.
async fn route_once(
    app: &SharedApp,
    router: Router,
    guards: Router,
    request: Request,
) -> Result<Response, Error> {
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
    let now = app.clock.now();
    let keyed = Keyed {
        expected: expected(parts.uri.path(), &app.ids.document()),
        id: hash(&[caller[0].as_bytes(), caller[1].as_bytes(), key.as_bytes()]),
        request: hash(&[path.as_bytes(), &body]),
        attempt: idempotency::attempt(&app.ids.document(), now),
        now,
        patience: i64::try_from((app.http.request_timeout * 2 + MARGIN).as_secs()).unwrap_or(i64::MAX),
    };
    // while it waits for its key, it counts as a request with the memory of its text
    let size = BodySize { text: body.len(), memory: body.len() };
    let scope = Scope::project(caller[1]);
    let admitted = app.queues.admission().admit_body(&scope, size, deadline.deadline()).await?;
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(deadline);
    let attempt = Attempt { app: app.clone(), store, keyed, deadline: deadline.deadline(), is_repeat: false };
    // in its own task: if the caller disconnects, it must get the answer when it sends the request again
    let work = attempt.answer(router, guards, request, admitted);
    tokio::spawn(work.in_current_span()).await.map_err(|_| {
        Error::Internal("a request with an Idempotency-Key ended without an answer".to_owned())
    })?
}

/// An attempt to carry out a request with a key.
struct Attempt {
    app: SharedApp,
    store: Store,
    keyed: Keyed,
    deadline: Deadline,
    /// Whether an earlier attempt may have been stored.
    is_repeat: bool,
}

impl Attempt {
    /// Claims the key and carries out the request, or returns the stored answer. `admitted`: the request while it waits for its key.
    async fn answer(
        mut self,
        router: Router,
        guards: Router,
        request: Request,
        admitted: AdmittedRequest,
    ) -> Result<Response, Error> {
        let claimed = claims::claim(&self.app.abandoned, &self.store.until(self.deadline), &self.keyed).await;
        // from here on, the request counts when it uses the database
        drop(admitted);
        self.app.metrics.count_key(key_use(&claimed));
        match claimed {
            Ok(Some(Claim::Ours { earlier })) => {
                self.continue_from(earlier);
                Ok(self.carry_out(router, request).await)
            }
            Ok(Some(Claim::Answered { status, answer })) => {
                let Ok(permitted) = guards.oneshot(request).await;
                if !permitted.status().is_success() {
                    return Ok(permitted);
                }
                let mut answer = response::stored(status, answer)?;
                answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
                Ok(answer)
            }
            Ok(Some(Claim::Other)) => Err(Error::Unprocessable(
                "Idempotency-Key: the key was used for another request; use a new key for each request"
                    .to_owned(),
            )),
            Ok(Some(Claim::UnderWay { .. })) => Err(Error::UnderWay),
            Ok(None) => {
                tracing::warn!(
                    "Idempotency-Key has no effect, because the table for keys is missing: run freezer-manage db sync"
                );
                let Ok(answer) = router.oneshot(request).await;
                Ok(answer)
            }
            Err(error) => {
                self.app.abandoned.free(self.store, &self.keyed);
                Err(claims::nothing_done(error).into())
            }
        }
    }

    /// Takes the document and the time of an earlier attempt.
    fn continue_from(&mut self, earlier: Option<Earlier>) {
        if let Some(Earlier { expected, began }) = earlier {
            self.keyed.expected = Some(expected);
            self.keyed.now = began;
            self.is_repeat = true;
        }
    }

    async fn carry_out(self, router: Router, mut request: Request) -> Response {
        if let Some(Expected { document_id, .. }) = &self.keyed.expected {
            let (document_id, now) = (document_id.clone(), self.keyed.now);
            request.extensions_mut().insert(Plan { document_id, now, is_repeat: self.is_repeat });
        }
        let Ok(answer) = router.oneshot(request).await;
        let (answer, text) = read(answer).await;
        self.end(answer.status(), text).await;
        answer
    }

    /// Stores the answer of a successful request. If the request was refused, releases its key. If it failed, the next request
    /// can take over the key. The caller gets its answer at the deadline even if the database has not finished.
    async fn end(self, status: StatusCode, text: Option<String>) {
        let Attempt { app, store, keyed, deadline, is_repeat } = self;
        let timeout = app.http.request_timeout;
        let work = match text {
            Some(text) if status.is_success() => {
                if keyed.expected.as_ref().is_some_and(|known| known.status == status && known.answer == text)
                {
                    return;
                }
                let store = store.until(Deadline::after(timeout));
                tokio::spawn(keep(store, keyed, status.as_u16(), text).in_current_span())
            }
            // an earlier attempt may still be stored, whatever happened to this one
            _ if is_repeat || status.is_server_error() => return app.abandoned.free(store, &keyed),
            _ => tokio::spawn(claims::release(store, keyed).in_current_span()),
        };
        // after the deadline, the task continues without the caller
        let _ = tokio::time::timeout(deadline.within(timeout), work).await;
    }
}

/// Returns the result of the request of a key.
fn key_use(claimed: &Result<Option<Claim>, StoreError>) -> KeyUse {
    match claimed {
        Ok(Some(Claim::Ours { .. })) => KeyUse::CarriedOut,
        Ok(Some(Claim::Answered { .. })) => KeyUse::Replayed,
        Ok(Some(Claim::Other)) => KeyUse::OtherRequest,
        Ok(Some(Claim::UnderWay { .. })) => KeyUse::UnderWay,
        Ok(None) => KeyUse::WithoutTable,
        Err(_) => KeyUse::Failed,
    }
}

/// Returns an answer, and its body if that is a text.
async fn read(answer: Response) -> (Response, Option<String>) {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = std::str::from_utf8(&body).ok().map(str::to_owned);
    (Response::from_parts(parts, Body::from(body)), text)
}

/// Stores the answer of a request.
async fn keep(store: Store, keyed: Keyed, status: u16, text: String) {
    let stored: Result<(), StoreError> =
        single!(store, "idempotency.answer", |db| idempotency::answer(db, &keyed, status, &text).await);
    if let Err(error) = stored {
        // The caller still gets its answer. If the request creates no document, a repeated one gets a 409 until the claim
        // counts as abandoned, and is then carried out again.
        tracing::error!("the answer to a request with an Idempotency-Key could not be stored: {error}");
    }
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
