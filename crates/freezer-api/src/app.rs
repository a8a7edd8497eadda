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
    /// What waits to be done together with others.
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
    /// `[healthcheck]`
    pub health: HealthSettings,
    /// `[oslo_middleware] enable_proxy_headers_parsing`: links lead to where a proxy says that the client asked.
    pub proxy_headers: bool,
    /// `[api] max_limit`: documents on a page at most; none: no maximum.
    pub max_limit: Option<u64>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            // oslo.middleware's default limit
            max_body: 114_688,
            body: BodyLimits::default(),
            health: HealthSettings::default(),
            proxy_headers: false,
            max_limit: Some(10_000),
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

/// The app as handlers hold it.
pub type SharedApp = Arc<App>;
