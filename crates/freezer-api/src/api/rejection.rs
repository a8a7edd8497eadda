//! [`RejectionReason`]: why a limit or an outage rejected a request, in one word for access lines and metrics.

use freezer_store::{Outage, StoreError};

use crate::error::{Busy, Error};

/// The limit or the outage that rejected a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RejectionReason {
    /// `[api] max_connections`.
    Connections,
    /// `[api] max_connections_per_peer`.
    PeerConnections,
    /// The head did not arrive in time.
    HeadTime,
    /// The head has too many headers, or is too large.
    HeadSize,
    /// The path and the query are too long.
    UriLength,
    /// `[api] body_idle_timeout`, `body_timeout`.
    BodyTime,
    /// `[oslo_middleware] max_request_body_size`.
    BodySize,
    /// `[api] max_document_bytes`.
    DocumentSize,
    /// `[api] max_job_actions`.
    JobActions,
    /// A stored document is too large to be read.
    AnswerSize,
    /// Too many large answers are being made or sent.
    Answers,
    /// The project has too many large answers.
    ProjectAnswers,
    /// Too many searches are running.
    Searches,
    /// The project has too many searches.
    ProjectSearches,
    /// `[api] max_waiting_requests`, `max_waiting_bytes`.
    WaitingRequests,
    /// `[api] request_timeout` has passed in the database.
    RequestTime,
    /// No connection to the database became free.
    DatabaseConnections,
    /// Other changes to the same rows did not end.
    Contention,
    /// The database is not available, or cannot do its work.
    Database,
    /// It is unknown whether a change is stored.
    OutcomeUnknown,
    /// Keystone is not available.
    Keystone,
    /// The service waits for its database or its tables.
    NotReady,
}

impl RejectionReason {
    /// All reasons.
    pub const ALL: [RejectionReason; 22] = [
        RejectionReason::Connections,
        RejectionReason::PeerConnections,
        RejectionReason::HeadTime,
        RejectionReason::HeadSize,
        RejectionReason::UriLength,
        RejectionReason::BodyTime,
        RejectionReason::BodySize,
        RejectionReason::DocumentSize,
        RejectionReason::JobActions,
        RejectionReason::AnswerSize,
        RejectionReason::Answers,
        RejectionReason::ProjectAnswers,
        RejectionReason::Searches,
        RejectionReason::ProjectSearches,
        RejectionReason::WaitingRequests,
        RejectionReason::RequestTime,
        RejectionReason::DatabaseConnections,
        RejectionReason::Contention,
        RejectionReason::Database,
        RejectionReason::OutcomeUnknown,
        RejectionReason::Keystone,
        RejectionReason::NotReady,
    ];

    /// Returns the name in access lines and metrics. `docs/logging.md` lists the names.
    pub fn name(self) -> &'static str {
        match self {
            RejectionReason::Connections => "connections",
            RejectionReason::PeerConnections => "peer_connections",
            RejectionReason::HeadTime => "head_time",
            RejectionReason::HeadSize => "head_size",
            RejectionReason::UriLength => "uri_length",
            RejectionReason::BodyTime => "body_time",
            RejectionReason::BodySize => "body_size",
            RejectionReason::DocumentSize => "document_size",
            RejectionReason::JobActions => "job_actions",
            RejectionReason::AnswerSize => "answer_size",
            RejectionReason::Answers => "answers",
            RejectionReason::ProjectAnswers => "project_answers",
            RejectionReason::Searches => "searches",
            RejectionReason::ProjectSearches => "project_searches",
            RejectionReason::WaitingRequests => "waiting_requests",
            RejectionReason::RequestTime => "request_time",
            RejectionReason::DatabaseConnections => "database_connections",
            RejectionReason::Contention => "contention",
            RejectionReason::Database => "database",
            RejectionReason::OutcomeUnknown => "outcome_unknown",
            RejectionReason::Keystone => "keystone",
            RejectionReason::NotReady => "not_ready",
        }
    }

    /// Returns the reason that an error means. `None`: neither a limit nor an outage rejected the request.
    pub fn of(error: &Error) -> Option<RejectionReason> {
        Some(match error {
            Error::Busy(busy) => RejectionReason::of_busy(*busy),
            Error::BodyTimeout(_) => RejectionReason::BodyTime,
            Error::TooLarge { .. } => RejectionReason::BodySize,
            Error::DocumentTooLarge { .. } => RejectionReason::DocumentSize,
            Error::TooManyActions { .. } => RejectionReason::JobActions,
            Error::AnswerTooLarge { .. } => RejectionReason::AnswerSize,
            Error::KeystoneUnavailable(_) => RejectionReason::Keystone,
            Error::NotReady(_) => RejectionReason::NotReady,
            Error::Store(error) => return RejectionReason::of_store(error),
            _ => return None,
        })
    }

    fn of_busy(busy: Busy) -> RejectionReason {
        match busy {
            Busy::Connections => RejectionReason::Connections,
            Busy::Peer => RejectionReason::PeerConnections,
            Busy::Project => RejectionReason::ProjectSearches,
            Busy::Searches => RejectionReason::Searches,
            Busy::ProjectAnswers => RejectionReason::ProjectAnswers,
            Busy::Answers => RejectionReason::Answers,
            Busy::Database => RejectionReason::WaitingRequests,
        }
    }

    fn of_store(error: &StoreError) -> Option<RejectionReason> {
        Some(match error {
            _ if error.is_replaced() => RejectionReason::NotReady,
            StoreError::TooLarge { .. } | StoreError::TreeTooLarge { .. } => RejectionReason::AnswerSize,
            StoreError::OutcomeUnknown { .. } => RejectionReason::OutcomeUnknown,
            StoreError::Unavailable { outage: Outage::Slow, .. } => RejectionReason::RequestTime,
            StoreError::Unavailable { outage: Outage::Busy, .. } => RejectionReason::DatabaseConnections,
            StoreError::Unavailable { outage: Outage::Contended, .. } => RejectionReason::Contention,
            StoreError::Unavailable { .. }
            | StoreError::Refused { .. }
            | StoreError::Setting { .. }
            | StoreError::Url(_) => RejectionReason::Database,
            _ => return None,
        })
    }

    /// Returns the reason for which the HTTP library refuses a head with this status. `None`: the head is malformed.
    pub fn of_head(status: u16) -> Option<RejectionReason> {
        match status {
            431 => Some(RejectionReason::HeadSize),
            413 => Some(RejectionReason::BodySize),
            414 => Some(RejectionReason::UriLength),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_reason_has_its_own_name() {
        let names: BTreeSet<&str> = RejectionReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), RejectionReason::ALL.len());
        let all: BTreeSet<RejectionReason> = RejectionReason::ALL.into();
        assert_eq!(all.len(), RejectionReason::ALL.len());
        let last = RejectionReason::NotReady as usize;
        assert_eq!(last + 1, RejectionReason::ALL.len(), "ALL lacks a reason");
    }
}
