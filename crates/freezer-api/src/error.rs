//! [`Error`]: what can go wrong with a request, in the words of the domain.
//!
//! No status codes: `api/response.rs` picks them. `Display` is the text that the client reads, except for
//! those that wrap a defect or an outage, whose text is for the log.

use freezer_store::{StoreError, TxError};

use crate::readiness::Wait;
use crate::validate::Invalid;

/// The body of a request did not arrive in time: [`BodyLimits`](crate::app::BodyLimits).
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the request body did not arrive in time")]
pub struct BodyTimeout;

/// A resource that other requests have taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// A connection of the service.
    #[error("All connections of the service are in use.")]
    Connections,
    /// A connection of the service: the client's address has as many as it may have.
    #[error("There are too many connections from the address of the client.")]
    Peer,
    /// A slot for a search: the project has as many as it may have.
    #[error("Too many searches of the project are running or waiting.")]
    Project,
    /// A slot for a search.
    #[error("Too many searches are running.")]
    Searches,
    /// A place among those that wait for the database.
    #[error("Too many requests are waiting for the database; try again later.")]
    Database,
}

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not JSON.
    #[error("the request body is not valid JSON: {0}")]
    MalformedJson(String),
    /// The body is JSON, but not a document that is taken here. The text names the field.
    #[error("{0}")]
    BadDocument(String),
    /// The request breaks the rules of HTTP.
    #[error("{0}")]
    Malformed(String),
    /// The body comes in a transfer coding that the service does not know.
    #[error("the transfer coding \"{0}\" is not known; only chunked is")]
    UnknownCoding(String),
    /// The request body pauses for too long, or takes too long in all.
    #[error(transparent)]
    BodyTimeout(#[from] BodyTimeout),
    /// `Expect` names something that is not known.
    #[error("the expectation \"{0}\" is not known; only 100-continue is")]
    UnknownExpectation(String),
    /// A query parameter cannot be used.
    #[error("The \"{name}\" parameter is invalid. {reason}")]
    BadParameter {
        /// Its name.
        name: &'static str,
        /// What it must be.
        reason: String,
    },
    /// The body is larger than the service takes.
    #[error("the request body is larger than {limit} bytes")]
    TooLarge {
        /// `[oslo_middleware] max_request_body_size`, bytes.
        limit: usize,
    },
    /// A document would be larger than the service stores.
    #[error("{field}: would take more than {limit} bytes")]
    DocumentTooLarge {
        /// The part of the document that is too large.
        field: String,
        /// `[api] max_document_bytes`.
        limit: usize,
    },
    /// The document is well formed, but refers to something that is not there or does not fit.
    #[error("{0}")]
    Unprocessable(String),
    /// The document is there already, or somebody else's.
    #[error("{0}")]
    Conflict(String),
    /// A request with the same `Idempotency-Key` is being carried out.
    #[error("a request with this Idempotency-Key is being carried out; send it again later")]
    UnderWay,
    /// What the path names is not there: for a change, with a text.
    #[error("{what} not found: {id}")]
    NotFound {
        /// `job`, `session`, …
        what: &'static str,
        /// The id asked for.
        id: String,
    },
    /// What the path names is not there: for a GET, which has always been answered without a text.
    #[error("not found")]
    Absent,
    /// No such path.
    #[error("no such path")]
    NoRoute,
    /// The path does not take this method; the allowed ones go into a header.
    #[error("the path does not take this method")]
    NoMethod,
    /// The session does not know this action.
    #[error("{0}")]
    NoSuchAction(String),
    /// The client accepts no JSON.
    #[error("the service answers in JSON only")]
    NotAcceptable,
    /// Nobody knows who is calling.
    #[error("the request could not be authenticated: {0}")]
    Unauthenticated(String),
    /// Policy says no.
    #[error("You are not allowed to access this resource")]
    Forbidden,
    /// A web page has sent the request to a service without authentication.
    #[error("{0}")]
    ForeignPage(String),
    /// The service has started before its database was ready.
    #[error("{}", match .0 {
        Wait::Database => "The database is temporarily unavailable.",
        Wait::Tables => "The tables of the database are not ready yet.",
    })]
    NotReady(Wait),
    /// The service is too busy to serve the request now.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Keystone cannot be asked.
    #[error("{0}")]
    KeystoneUnavailable(String),
    /// Keystone makes no trust for the caller: they lack a role that is to be delegated, or their token may make none.
    #[error("{0}")]
    TrustRefused(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect of ours; the text is for the log.
    #[error("{0}")]
    Internal(String),
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
    /// A missing document, for a change.
    pub fn not_found(what: &'static str, id: &str) -> Error {
        Error::NotFound { what, id: id.to_owned() }
    }
}
