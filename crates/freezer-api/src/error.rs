//! [`Error`]: the errors of a request in the terms of the domain.
//!
//! `api/response.rs` chooses the status codes. `Display` is the text for the client, except for defects and
//! outages, whose text is for the log.

use freezer_store::{StoreError, TxError};
use oslo_policy::Denial;

use crate::readiness::Wait;
use crate::validate::Invalid;

/// The body of a request did not arrive in time: see [`BodyLimits`](crate::app::BodyLimits).
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the request body did not arrive in time")]
pub struct BodyTimeout;

/// A resource that other requests are using.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// All connections of the service are in use.
    #[error("All connections of the service are in use.")]
    Connections,
    /// The client's address has the maximum number of connections.
    #[error("There are too many connections from the address of the client.")]
    Peer,
    /// The project has the maximum number of searches.
    #[error("Too many searches of the project are running or waiting.")]
    Project,
    /// The maximum number of searches is running.
    #[error("Too many searches are running.")]
    Searches,
    /// The project has as many bytes of large answers as it may have.
    #[error(
        "Large answers of the project are still being made or sent; read them, or ask for smaller pages (limit)."
    )]
    ProjectAnswers,
    /// The service has as many bytes of large answers as it may have.
    #[error(
        "Too many large answers are being made or sent; try again later, or ask for smaller pages (limit)."
    )]
    Answers,
    /// The maximum number of requests is waiting for the database.
    #[error("Too many requests are waiting for the database; try again later.")]
    Database,
}

/// The reason why a caller may not do something. The text is for the client.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The policy denies it.
    #[error("policy rule {rule}{}", scope_of(.reason))]
    Policy {
        /// Name of the rule.
        rule: String,
        /// The roles of the caller.
        roles: Vec<String>,
        /// The reason of the policy.
        reason: Denial,
    },
    /// The resource can be seen, but belongs to another project.
    #[error("{what} {id} belongs to another project")]
    OtherProject {
        /// `client`.
        what: &'static str,
        /// Its id.
        id: String,
    },
}

/// Returns the part of the reason that helps the caller: which scope the token must have.
fn scope_of(reason: &Denial) -> String {
    match reason {
        Denial::Scope { .. } => format!(": {reason}"),
        _ => String::new(),
    }
}

/// The reason why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not JSON.
    #[error("the request body is not valid JSON: {0}")]
    MalformedJson(String),
    /// The body is JSON, but not a valid document. The text names the field.
    #[error("{0}")]
    BadDocument(String),
    /// The request violates the rules of HTTP.
    #[error("{0}")]
    Malformed(String),
    /// The request came without TLS to a port that serves HTTPS.
    #[error("This port serves only HTTPS; use an address that begins with https://.")]
    LacksTls,
    /// The body has an unknown transfer coding.
    #[error("the transfer coding \"{0}\" is not known; only chunked is")]
    UnknownCoding(String),
    /// The request body pauses for too long, or takes too long in total.
    #[error(transparent)]
    BodyTimeout(#[from] BodyTimeout),
    /// `Expect` contains an unknown expectation.
    #[error("the expectation \"{0}\" is not known; only 100-continue is")]
    UnknownExpectation(String),
    /// A query parameter is not valid.
    #[error("The \"{name}\" parameter is invalid. {reason}")]
    BadParameter {
        /// Its name.
        name: &'static str,
        /// Its valid values.
        reason: String,
    },
    /// The body exceeds the maximum size.
    #[error("the request body is larger than {limit} bytes")]
    TooLarge {
        /// `[oslo_middleware] max_request_body_size`, bytes.
        limit: usize,
    },
    /// A document would exceed the maximum size.
    #[error("{field}: would take more than {limit} bytes")]
    DocumentTooLarge {
        /// The part of the document that is too large.
        field: String,
        /// `[api] max_document_bytes`.
        limit: usize,
    },
    /// A stored document is larger than the service may read at once.
    #[error(
        "{what} {id}: takes about {bytes} bytes, and the service reads at most {limit} at once; {}",
        smaller(what)
    )]
    AnswerTooLarge {
        /// `job`, `backup`, …
        what: &'static str,
        /// Id of the document.
        id: String,
        /// Its approximate size.
        bytes: u64,
        /// The largest size.
        limit: u64,
    },
    /// The job would have more actions than a job may have.
    #[error(
        "job_actions: a job may have at most {limit} actions ([api] max_job_actions), and this one would have {number}"
    )]
    TooManyActions {
        /// The number of actions that the job would have.
        number: usize,
        /// `[api] max_job_actions`.
        limit: usize,
    },
    /// The document is well formed, but refers to something that does not exist or is not suitable.
    #[error("{0}")]
    Unprocessable(String),
    /// The document exists already, or belongs to another project.
    #[error("{0}")]
    Conflict(String),
    /// A request with the same `Idempotency-Key` is in progress.
    #[error("a request with this Idempotency-Key is being carried out; send it again later")]
    UnderWay,
    /// The resource of the path does not exist. For a change, which is answered with a text.
    #[error("{what} not found: {id}")]
    NotFound {
        /// `job`, `session`, …
        what: &'static str,
        /// The requested id.
        id: String,
    },
    /// The resource of the path does not exist. For a GET, which 19.0.0 answers without a text.
    #[error("not found")]
    Absent,
    /// The path does not exist.
    #[error("no such path")]
    NoRoute,
    /// The path does not support this method. The allowed methods are sent in a header.
    #[error("the path does not take this method")]
    NoMethod,
    /// The session does not support this action.
    #[error("{0}")]
    NoSuchAction(String),
    /// The client does not accept JSON.
    #[error("the service answers in JSON only")]
    NotAcceptable,
    /// The caller is not authenticated.
    #[error("the request could not be authenticated: {0}")]
    Unauthenticated(String),
    /// The caller may not do this.
    #[error("You are not allowed to access this resource: {0}")]
    Forbidden(#[from] Box<Denied>),
    /// A web page sent the request to a service without authentication.
    #[error("{0}")]
    ForeignPage(String),
    /// The service has started before its database was ready.
    #[error("{}", match .0 {
        Wait::Database => "The database is temporarily unavailable.",
        Wait::Tables => "The tables of the database are not ready yet.",
    })]
    NotReady(Wait),
    /// The service is too busy for the request at present.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Keystone is not available.
    #[error("{0}")]
    KeystoneUnavailable(String),
    /// Keystone refuses to create a trust for the caller: the caller lacks a role to delegate, or the token
    /// may not create trusts.
    #[error("{0}")]
    TrustRefused(String),
    /// An error of the database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect of the service. The text is for the log.
    #[error("{0}")]
    Internal(String),
}

/// Returns the ways to handle a stored document that is too large to be read. Only `job_actions` can be replaced without
/// reading them.
fn smaller(what: &str) -> &'static str {
    match what {
        "job" => {
            "give it a shorter list of job_actions (PATCH); if this is refused too, its schedule is too large: then \
             raise [api] max_answer_bytes, or delete the job"
        }
        _ => "raise [api] max_answer_bytes to read or change it, or delete it",
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Error::BadDocument(invalid.to_string())
    }
}

impl TxError for Error {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Error::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl Error {
    /// Returns the error for a missing document in a change.
    pub fn not_found(what: &'static str, id: &str) -> Error {
        Error::NotFound { what, id: id.to_owned() }
    }
}
