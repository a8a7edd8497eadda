//! [`App`]: the shared state of all requests. It is built once at start.

use std::sync::Arc;
use std::time::Duration;

use freezer_store::Store;
use oslo_policy::Enforcer;

use crate::api::idempotency::AbandonedClaims;
use crate::auth::Authenticator;
use crate::clock::{Clock, Ids};
use crate::cors::Cors;
use crate::health::HealthSettings;
use crate::metrics::Metrics;
use crate::probes::Probes;
use crate::readiness::Readiness;
use crate::service::scans::ScanLimits;
use crate::service::trusts::Trusts;
use crate::service::{QueueLimits, Queues, admission};
use crate::validate::Validators;

/// The parts of the running service. There is no global state, so tests can build several apps.
pub struct App {
    /// The database.
    pub store: Store,
    /// Whether requests can be served.
    pub readiness: Readiness,
    /// The policy rules.
    pub enforcer: Enforcer,
    /// The schemas of documents.
    pub validators: Validators,
    /// How callers are authenticated.
    pub authenticator: Authenticator,
    /// Trusts for central schedulers. `None` without Keystone.
    pub trusts: Option<Trusts>,
    /// Queues of requests that share a statement or a transaction.
    pub queues: Queues,
    /// Claims of keys that may still be stored although their requests have ended.
    pub abandoned: AbandonedClaims,
    /// The checks of `GET /readyz`.
    pub probes: Probes,
    /// The clock.
    pub clock: Clock,
    /// The source of ids.
    pub ids: Ids,
    /// Limits and switches of the HTTP server.
    pub http: HttpSettings,
    /// The counters and measurements of the service.
    pub metrics: Metrics,
}

/// Limits and switches of the HTTP server.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// `[oslo_middleware] max_request_body_size`, bytes.
    pub max_body: usize,
    /// Time limits of request bodies.
    pub body: BodyLimits,
    /// Limits of connections.
    pub connections: ConnectionLimits,
    /// Limits of simultaneous searches.
    pub scans: ScanLimits,
    /// Time limits of a shutdown.
    pub stop: StopSettings,
    /// `[healthcheck]`
    pub health: HealthSettings,
    /// `[oslo_middleware] enable_proxy_headers_parsing`: links use the public address that a proxy sends.
    pub proxy_headers: bool,
    /// `[cors]`. `None`: no origin is allowed.
    pub cors: Option<Arc<Cors>>,
    /// `[api] request_timeout`: the time that Keystone and the database may take for a request, including all waiting and
    /// retries.
    pub request_timeout: Duration,
    /// `[api] max_waiting_requests`, `max_waiting_bytes`
    pub waiting: admission::AdmissionLimits,
    /// `[api] max_limit`: the maximum number of documents on a page. `None`: no maximum.
    pub max_limit: Option<u64>,
    /// `[api] repeated_backup_window`: the time in which a repeated report of a backup is recognized. `None`: reports
    /// are never compared.
    pub repeat_window: Option<Duration>,
    /// `[api] max_page_bytes`: the maximum size of the documents on a page. `None`: no maximum.
    pub max_page: Option<u64>,
    /// `[api] max_answer_bytes`: the maximum size of all large answers that are being made or sent.
    pub max_answers: usize,
    /// `[api] max_document_bytes`: the maximum size of a stored document.
    pub max_document: usize,
    /// `[api] max_job_actions`: the maximum number of actions of a job.
    pub max_job_actions: usize,
    /// `[api] max_search_conditions`: the maximum number of pairs and texts in a search.
    pub max_conditions: usize,
}

impl HttpSettings {
    /// Returns the limits of the queues.
    pub fn queue_limits(&self) -> QueueLimits {
        QueueLimits {
            max_body: self.max_body,
            max_answers: self.max_answers,
            waiting: self.waiting,
            scans: self.scans,
        }
    }

    /// Returns the size of the largest stored document that a request can read.
    pub fn largest_readable(&self) -> u64 {
        // a project can have half of the budget, and a document is in memory twice while it is written
        let part = self.max_answers as u64 / 4;
        part.max((self.max_document as u64).saturating_mul(DOCUMENTS)).max(LEAST)
    }
}

/// Number of documents of `[api] max_document_bytes` that an answer can always have: those of a job are its schedule and its
/// actions, which also have other keys.
const DOCUMENTS: u64 = 4;

/// Bytes that an answer can always have: those that one statement for several jobs reads.
const LEAST: u64 = 4 << 20;

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            // This is the default limit of oslo.middleware.
            max_body: 114_688,
            body: BodyLimits::default(),
            connections: ConnectionLimits::default(),
            scans: ScanLimits::default(),
            stop: StopSettings::default(),
            health: HealthSettings::default(),
            proxy_headers: false,
            cors: None,
            request_timeout: Duration::from_secs(30),
            waiting: admission::AdmissionLimits::default(),
            max_limit: Some(10_000),
            repeat_window: Some(Duration::from_secs(600)),
            max_page: Some(32 << 20),
            max_answers: 256 << 20,
            max_document: 1 << 20,
            max_job_actions: 200,
            max_conditions: 50,
        }
    }
}

/// The time that the body of a request may take. If a body takes longer, the request is answered with 408.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// `[api] body_idle_timeout`: the longest pause.
    pub idle: Duration,
    /// `[api] body_timeout`: the longest time in total.
    pub total: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        BodyLimits { idle: Duration::from_secs(30), total: Duration::from_secs(60) }
    }
}

/// The maximum number of connections, and the time that a connection may delay its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `[api] max_connections`
    pub max: usize,
    /// Additional connections that are reserved for health checks.
    pub reserve: usize,
    /// `[api] max_connections_per_peer`. `None`: no limit.
    pub per_peer: Option<usize>,
    /// `[api] answer_timeout`: the longest time for which a client may stop reading its answer.
    pub answer_timeout: Duration,
    /// `[api] min_answer_rate`: bytes per second that a client must read after this time. 0: no minimum.
    pub min_answer_rate: u64,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            max: 8_192,
            reserve: 64,
            per_peer: None,
            answer_timeout: Duration::from_secs(30),
            min_answer_rate: 32_768,
        }
    }
}

/// Time limits after the signal to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopSettings {
    /// `[DEFAULT] shutdown_delay`: the time in which requests are still accepted although readiness reports the
    /// shutdown.
    pub delay: Duration,
    /// `[DEFAULT] graceful_shutdown_timeout`: the time in which accepted requests must be answered.
    pub timeout: Duration,
}

impl Default for StopSettings {
    fn default() -> Self {
        StopSettings { delay: Duration::ZERO, timeout: Duration::from_secs(60) }
    }
}

/// The shared reference to the app that handlers get.
pub type SharedApp = Arc<App>;
