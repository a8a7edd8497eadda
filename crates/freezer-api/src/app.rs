//! [`App`]: what every request needs, built once at start and shared.

use std::path::PathBuf;
use std::sync::Arc;

use freezer_store::Store;
use oslo_policy::Enforcer;

use crate::auth::Authentication;
use crate::clock::{Clock, Ids};
use crate::service::Queues;
use crate::service::trusts::Trusts;
use crate::validate::Validators;

/// The running service's parts. No global state: tests build as many as they like.
pub struct App {
    /// The database.
    pub store: Store,
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
    /// `[healthcheck] disable_by_file_path`: while this file is there, the health check says 503.
    pub healthcheck_disabled_by: Option<PathBuf>,
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
            healthcheck_disabled_by: None,
            proxy_headers: false,
            max_limit: Some(10_000),
        }
    }
}

/// The app as handlers hold it.
pub type SharedApp = Arc<App>;
