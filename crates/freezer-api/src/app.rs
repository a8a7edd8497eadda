//! [`App`]: what every request needs, built once at start and shared.

use std::sync::Arc;
use std::time::Duration;

use freezer_store::Store;
use oslo_policy::Enforcer;

use crate::auth::Authentication;
use crate::clock::{Clock, Ids};
use crate::health::HealthSettings;
use crate::readiness::Readiness;
use crate::service::Queues;
use crate::service::admission;
use crate::service::scans::ScanLimits;
use crate::service::trusts::Trusts;
use crate::validate::Validators;

/// The running service's parts. No global state: tests build as many as they like.
pub struct App {
    /// The database.
    pub store: Store,
    /// Whether the tables can be served.
    pub readiness: Readiness,
    /// The rules.
    pub enforcer: Enforcer,
    /// The documents that are taken.
    pub validators: Validators,
    /// How callers are known.
    pub authentication: Authentication,
    /// Which jobs are entrusted to central schedulers; none without Keystone.
    pub trusts: Option<Trusts>,
    /// Queues of requests that share a statement or a transaction.
    pub queues: Queues,
    /// Time.
    pub clock: Clock,
    /// Ids.
    pub ids: Ids,
    /// Limits and switches of the HTTP side.
    pub http: HttpSettings,
}

/// Limits and switches of the HTTP side.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// `[oslo_middleware] max_request_body_size`, bytes.
    pub max_body: usize,
    /// Time limits of request bodies.
    pub body: BodyLimits,
    /// Limits of connections.
    pub connections: ConnectionLimits,
    /// How many searches run at a time.
    pub scans: ScanLimits,
    /// Time limits of a stop.
    pub stop: StopSettings,
    /// `[healthcheck]`
    pub health: HealthSettings,
    /// `[oslo_middleware] enable_proxy_headers_parsing`: links lead to where a proxy says that the client asked.
    pub proxy_headers: bool,
    /// `[api] request_timeout`: how long the database may take for a request, with all waiting and retries.
    pub request_timeout: Duration,
    /// `[api] max_waiting_requests`, `max_waiting_bytes`
    pub waiting: admission::Limits,
    /// `[api] max_limit`: documents on a page at most; none: no maximum.
    pub max_limit: Option<u64>,
    /// `[api] repeated_backup_window`: how long a backup that is reported again is the one that was stored; none: never.
    pub repeat_window: Option<Duration>,
    /// `[api] max_page_bytes`: bytes of the documents on a page at most; none: no maximum.
    pub max_page: Option<u64>,
    /// `[api] max_document_bytes`: bytes of a stored document at most.
    pub max_document: usize,
    /// `[api] max_job_actions`: actions of a job at most.
    pub max_job_actions: usize,
    /// `[api] max_search_conditions`: pairs and texts of a search at most.
    pub max_conditions: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            // oslo.middleware's default limit
            max_body: 114_688,
            body: BodyLimits::default(),
            connections: ConnectionLimits::default(),
            scans: ScanLimits::default(),
            stop: StopSettings::default(),
            health: HealthSettings::default(),
            proxy_headers: false,
            request_timeout: Duration::from_secs(30),
            waiting: admission::Limits::default(),
            max_limit: Some(10_000),
            repeat_window: Some(Duration::from_secs(600)),
            max_page: Some(32 << 20),
            max_document: 1 << 20,
            max_job_actions: 1_000,
            max_conditions: 50,
        }
    }
}

/// How long the body of a request may take. A body that takes longer is answered with 408.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// `[api] body_idle_timeout`: longest pause.
    pub idle: Duration,
    /// `[api] body_timeout`: longest time in all.
    pub total: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        BodyLimits { idle: Duration::from_secs(30), total: Duration::from_secs(60) }
    }
}

/// How many connections there may be, and how long one may hold up its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `[api] max_connections`
    pub most: usize,
    /// More connections, for health checks.
    pub reserve: usize,
    /// `[api] max_connections_per_peer`; none: no limit.
    pub per_peer: Option<usize>,
    /// `[api] answer_timeout`: longest time in which a client reads nothing of its answer.
    pub answer_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits { most: 8_192, reserve: 64, per_peer: None, answer_timeout: Duration::from_secs(30) }
    }
}

/// Time limits after the signal to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopSettings {
    /// `[DEFAULT] shutdown_delay`: time in which requests are accepted, and readiness says that the service stops.
    pub delay: Duration,
    /// `[DEFAULT] graceful_shutdown_timeout`: time for accepted requests to be answered.
    pub timeout: Duration,
}

impl Default for StopSettings {
    fn default() -> Self {
        StopSettings { delay: Duration::ZERO, timeout: Duration::from_secs(60) }
    }
}

/// The app as handlers hold it.
pub type SharedApp = Arc<App>;
