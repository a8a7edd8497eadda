//! Extractors of handlers: the permitted call, the ids of the path, and the body. Their errors are JSON answers like those of
//! the Python service, and not those of the framework. The query of a list is in `paging.rs`.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::{Bytes, BytesMut};
use freezer_store::{Deadline, Scope, Store, Timestamp, heavy, tree_memory};
use http::Extensions;
use http::request::Parts;
use http_body_util::BodyExt;
use oslo_policy::RuleDefault;
use serde_json::{Map, Value};

use crate::app::{App, SharedApp};
use crate::clock::Ids;
use crate::context::RequestContext;
use crate::error::{BodyTimeout, Error};
use crate::policy;
use crate::service::Change;
use crate::service::admission::{AdmittedRequest, BodySize};
use crate::service::trusts::Delegation;

/// The plan of a request that creates a document and has an `Idempotency-Key`. All attempts of the request have the same ids and the
/// same time, so that only one of them can be stored.
#[derive(Clone)]
pub struct Plan {
    /// The id of the document. The ids of others that the request creates depend on it.
    pub document_id: String,
    /// The time of the request.
    pub now: Timestamp,
    /// Whether an earlier attempt may have been stored.
    pub is_repeat: bool,
}

/// The time at which a request must be answered: `[api] request_timeout` after its arrival. The time for reading its body is
/// added, because it depends on the client and has its own limits.
#[derive(Debug, Clone, Copy)]
pub struct RequestDeadline(Deadline);

impl RequestDeadline {
    /// Returns the deadline of a request that arrives now.
    pub fn new(app: &App) -> RequestDeadline {
        RequestDeadline(Deadline::after(app.http.request_timeout))
    }

    /// Returns the deadline of a request with these extensions. If it has none, the request arrives now.
    pub fn of(app: &App, extensions: &Extensions) -> RequestDeadline {
        extensions.get().copied().unwrap_or_else(|| RequestDeadline::new(app))
    }

    /// Returns the deadline for work.
    pub fn deadline(self) -> Deadline {
        self.0
    }

    /// Returns the time until the deadline.
    pub fn time_left(self) -> Duration {
        self.0.within(Duration::MAX)
    }

    /// Returns the deadline after the body was read, which took this time.
    pub fn after_body(self, time: Duration) -> RequestDeadline {
        RequestDeadline(self.0.later(time))
    }
}

/// The policy rule of a route. Every v2 route has one (see `v2/mod.rs`).
#[derive(Clone, Copy)]
pub struct Guard(pub &'static RuleDefault);

/// A permitted call: the caller, the project, and the app.
///
/// The extractor checks the policy rule of the route, so a handler only runs if the policy permits the request. Handlers can
/// only get the store from a call.
pub struct Call {
    /// The app.
    pub app: SharedApp,
    /// The caller.
    pub context: RequestContext,
    /// The project in the path.
    pub project_id: String,
    /// Source of ids.
    ids: Ids,
    plan: Option<Plan>,
    intake: Intake,
    access: OnceLock<DatabaseAccess>,
}

/// Access of an admitted request to the database.
struct DatabaseAccess {
    store: Store,
    _admitted: AdmittedRequest,
}

/// The parts of a request that its call and its body share.
#[derive(Clone)]
struct Intake(Arc<IntakeState>);

struct IntakeState {
    scope: Scope,
    progress: Mutex<IntakeProgress>,
}

struct IntakeProgress {
    deadline: RequestDeadline,
    /// The admission of a request with a body, until the call takes it.
    admitted: Option<AdmittedRequest>,
}

impl Intake {
    fn new(project_id: &str, deadline: RequestDeadline) -> Intake {
        let progress = Mutex::new(IntakeProgress { deadline, admitted: None });
        Intake(Arc::new(IntakeState { scope: Scope::project(project_id), progress }))
    }

    fn progress(&self) -> MutexGuard<'_, IntakeProgress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deadline(&self) -> Deadline {
        self.progress().deadline.deadline()
    }

    /// Moves the deadline by the time that reading the body took.
    fn body_was_read(&self, time: Duration) {
        let mut progress = self.progress();
        progress.deadline = progress.deadline.after_body(time);
    }

    /// Admits the request before its body is parsed, because a large body may have to wait for memory.
    async fn admit(&self, app: &App, body: BodySize) -> Result<(), Error> {
        let admitted = app.queues.admission().admit_body(&self.0.scope, body, self.deadline()).await?;
        self.progress().admitted = Some(admitted);
        Ok(())
    }
}

/// How many trees of its body a request has at most: the body, the parts that are stored, and a copy of these.
pub(crate) const TREES: usize = 3;

/// Widths of the columns for the owner of a row. A longer id cannot own rows.
const PROJECT_ID_WIDTH: usize = 36;
const USER_ID_WIDTH: usize = 64;

impl FromRequestParts<SharedApp> for Call {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Call, Error> {
        let project_id = match path_params(parts, app).await?.iter().next() {
            Some(("project_id", value)) => value.to_owned(),
            _ => return Err(Error::Internal("the route has no {project_id}".to_owned())),
        };
        let Some(Guard(rule)) = parts.extensions.get::<Guard>().copied() else {
            return Err(Error::Internal("the route has no policy rule".to_owned()));
        };
        let Some(context) = parts.extensions.remove::<RequestContext>() else {
            return Err(Error::Internal("the request was not authenticated before its handler".to_owned()));
        };
        let deadline = RequestDeadline::of(app, &parts.extensions);
        policy::authorize(&app.enforcer, &context, rule, &project_id, deadline.deadline()).await?;
        for (name, id, width) in
            [("project_id", &project_id, PROJECT_ID_WIDTH), ("user_id", &context.user_id, USER_ID_WIDTH)]
        {
            if id.chars().count() > width {
                return Err(Error::BadDocument(format!("{name}: longer than {width} characters")));
            }
        }
        let plan = parts.extensions.remove::<Plan>();
        let ids = plan.as_ref().map(|plan| app.ids.beginning_with(&plan.document_id));
        let ids = ids.unwrap_or_else(|| app.ids.clone());
        let intake = Intake::new(&project_id, deadline);
        parts.extensions.insert(intake.clone());
        Ok(Call { app: app.clone(), context, project_id, ids, plan, intake, access: OnceLock::new() })
    }
}

impl Call {
    /// Returns the project of the path as the scope of a query.
    pub fn scope(&self) -> Scope {
        Scope::project(&self.project_id)
    }

    /// Returns the deadline of the call.
    pub fn deadline(&self) -> Deadline {
        self.intake.deadline()
    }

    /// Returns the database with the deadline of the call.
    ///
    /// # Errors
    /// [`Error::Busy`] if too many requests use the database.
    pub fn store(&self) -> Result<&Store, Error> {
        if let Some(access) = self.access.get() {
            return Ok(&access.store);
        }
        let App { queues, store, .. } = &*self.app;
        let admitted = self.intake.progress().admitted.take();
        let admitted = admitted.map_or_else(|| queues.admission().admit(), Ok)?;
        let store = store.of(&self.project_id).until(self.deadline());
        let is_repeat = self.plan.as_ref().is_some_and(|plan| plan.is_repeat);
        let store = if is_repeat { store.repeating() } else { store };
        Ok(&self.access.get_or_init(|| DatabaseAccess { store, _admitted: admitted }).store)
    }

    /// Returns the context of a change by this call.
    ///
    /// # Errors
    /// As [`Call::store`].
    pub fn change(&self) -> Result<Change<'_>, Error> {
        Ok(Change {
            store: self.store()?,
            queues: &self.app.queues,
            ids: &self.ids,
            project_id: &self.project_id,
            user_id: &self.context.user_id,
            repeat_window: self.app.http.repeat_window,
            now: self.plan.as_ref().map_or_else(|| self.app.clock.now(), |plan| plan.now),
            max_document: self.app.http.max_document,
            max_job_actions: self.app.http.max_job_actions,
            delegation: self
                .app
                .trusts
                .as_ref()
                .zip(self.context.trustor.as_ref())
                .map(|(trusts, trustor)| Delegation { trusts, token: &trustor.token, roles: &trustor.roles }),
        })
    }

    /// Returns whether an additional rule permits the call. The rule must not depend on the path.
    ///
    /// # Errors
    /// [`Error::Internal`] if the rule cannot be evaluated.
    pub async fn may(&self, rule: &RuleDefault) -> Result<bool, Error> {
        match policy::authorize_anywhere(&self.app.enforcer, &self.context, rule, self.deadline()).await {
            Ok(()) => Ok(true),
            Err(Error::Forbidden(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Checks an additional rule that must permit the call. The rule must not depend on the path.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if it does not; [`Error::Internal`] if the rule cannot be evaluated.
    pub async fn require(&self, rule: &RuleDefault) -> Result<(), Error> {
        policy::authorize_anywhere(&self.app.enforcer, &self.context, rule, self.deadline()).await
    }
}

/// Logs a change with the id of the changed document and further fields. The line has the name of the module that uses this
/// macro. Project, user and request id of the caller are in the span.
macro_rules! log_change {
    ($call:expr, $message:literal, $id:expr $(, $($field:tt)+)?) => {
        tracing::info!(id = $id, in_project = %$call.project_id, $($($field)+,)? $message)
    };
}
pub(crate) use log_change;

/// Logs the failure of a run at WARNING, like [`log_change`].
macro_rules! log_failure {
    ($call:expr, $message:literal, $id:expr $(, $($field:tt)+)?) => {
        tracing::warn!(id = $id, in_project = %$call.project_id, $($($field)+,)? $message)
    };
}
pub(crate) use log_failure;

/// The ids in a path after the project, in their order.
pub struct PathIds<const N: usize>(pub [String; N]);

impl<const N: usize> FromRequestParts<SharedApp> for PathIds<N> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &SharedApp) -> Result<Self, Error> {
        let params = path_params(parts, app).await?;
        let ids: Vec<String> = params.iter().skip(1).map(|(_, value)| value.to_owned()).collect();
        ids.try_into().map(PathIds).map_err(|_| Error::Internal(format!("the route does not have {N} ids")))
    }
}

async fn path_params(parts: &mut Parts, app: &SharedApp) -> Result<RawPathParams, Error> {
    RawPathParams::from_request_parts(parts, app)
        .await
        .map_err(|rejection| Error::BadDocument(format!("the path: {}", rejection.body_text())))
}

/// The pairs of a query: each as it was sent, and its decoded name and value. falcon decodes names as it does values.
pub(super) fn pairs(query: &str) -> impl DoubleEndedIterator<Item = (&str, String, String)> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    query.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (pair, decoded(name), decoded(value))
    })
}

/// Returns the value of a parameter of a query. As in falcon, the last value is used if there are several.
pub(super) fn query_value(query: &str, name: &str) -> Option<String> {
    pairs(query).rfind(|(_, other, _)| other == name).map(|(_, _, value)| value)
}

/// Returns a whole number of a query. Absent and empty values are 0.
pub(super) fn parse_number(name: &'static str, value: Option<String>) -> Result<u64, Error> {
    let value = value.unwrap_or_default();
    let digits = value.trim();
    if digits.is_empty() {
        return Ok(0);
    }
    let number: i64 = digits
        .parse()
        .map_err(|_| Error::BadParameter { name, reason: "The value must be an integer.".to_owned() })?;
    u64::try_from(number)
        .map_err(|_| Error::BadParameter { name, reason: "The value must not be negative.".to_owned() })
}

/// Returns a truth value of a query, in the spellings that falcon accepts. A name without a value is true.
pub(super) fn parse_flag(name: &'static str, value: Option<String>) -> Result<bool, Error> {
    match value.as_deref() {
        None | Some("false" | "False" | "f" | "no" | "n" | "0" | "off") => Ok(false),
        Some("true" | "True" | "t" | "yes" | "y" | "1" | "on" | "") => Ok(true),
        Some(_) => Err(Error::BadParameter {
            name,
            reason: "The value of the parameter must be \"true\" or \"false\".".to_owned(),
        }),
    }
}

/// A JSON body of any type. As in the Python service, a missing body is read as `{}`.
pub struct Body(pub Value);

impl FromRequest<SharedApp> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, app: &SharedApp) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let began = Instant::now();
        let bytes = whole_body(body, app.http.max_body).await?;
        let intake = parts.extensions.get::<Intake>();
        if let Some(intake) = intake {
            intake.body_was_read(began.elapsed());
        }
        if bytes.is_empty() {
            return Ok(Body(Value::Object(Map::new())));
        }
        let memory = tree_memory(&bytes);
        if let Some(intake) = intake {
            let body = BodySize { text: bytes.len(), memory: memory.saturating_mul(TREES) };
            intake.admit(app, body).await?;
        }
        heavy::compute(memory, move || super::json::parse(&bytes)).await.map(Body)
    }
}

/// Reads a body of at most `limit` bytes. If `Content-Length` is larger, the body is refused before it is read, so a client
/// that waits for `100 Continue` does not have to send it.
pub(super) async fn whole_body(mut body: axum::body::Body, limit: usize) -> Result<Bytes, Error> {
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limit {
        return Err(Error::TooLarge { limit });
    }
    // most bodies arrive in one piece, which is not copied
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(unreadable)?.into_data() else { continue };
        if data.len() > limit - first.len() - all.len() {
            return Err(Error::TooLarge { limit });
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(declared.max(first.len() + data.len()));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn unreadable(error: axum::Error) -> Error {
    let error = error.into_inner();
    match error.downcast_ref::<BodyTimeout>() {
        Some(timeout) => (*timeout).into(),
        None => Error::Malformed(format!("the request body cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn numbers_of_a_query_are_whole_and_not_negative() {
        let limit =
            |query| parse_number("limit", query_value(query, "limit")).map_err(|error| error.to_string());
        assert_eq!(limit(""), Ok(0));
        assert_eq!(limit("limit="), Ok(0));
        assert_eq!(limit("limit=7&x=1"), Ok(7));
        assert_eq!(limit("limit=7&limit=8"), Ok(8));
        assert_eq!(limit("limit=%207"), Ok(7));
        assert!(limit("limit=-1").unwrap_err().contains("\"limit\" parameter is invalid"));
        assert!(limit("limit=abc").unwrap_err().contains("must be an integer"));
        assert!(limit("limit=99999999999999999999").is_err());
        assert_eq!(limit("nolimit=3"), Ok(0));
    }

    #[test]
    fn names_of_a_query_are_decoded_as_values_are() {
        for (query, value) in [
            ("offset=3", Some("3")),
            ("off%73et=3", Some("3")),
            ("%6Ff%66set=%33", Some("3")),
            ("offset=1&off%73et=3", Some("3")),
            ("off%73et=1&offset=3", Some("3")),
            ("off%73et", Some("")),
            ("offset%3D3=4", None),
            ("off%2573et=3", None),
            ("off+set=3", None),
            ("Off%73et=3", None),
            ("off%7", None),
            ("x=1%26offset=3", None),
        ] {
            assert_eq!(query_value(query, "offset").as_deref(), value, "{query}");
        }
        assert_eq!(query_value("a+b%20c=1+2", "a b c").as_deref(), Some("1 2"));
    }

    #[test]
    fn truth_values_have_the_spellings_of_falcon() {
        let all = |query| parse_flag("all_projects", query_value(query, "all_projects"));
        assert!(all("all_projects=True").unwrap());
        assert!(all("all_projects").unwrap());
        assert!(!all("all_projects=False").unwrap());
        assert!(!all("").unwrap());
        assert!(all("all_projects=junk").is_err());
    }
}
