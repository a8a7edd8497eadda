//! [`Metrics`]: the counters and measurements of the service, in the terms of Prometheus. `docs/metrics.md` lists every metric.
//!
//! Events are counted when they happen: requests (`requests.rs`), reads and writes of the store (`database.rs`), calls to
//! Keystone (`keystone.rs`), reloads (`reloads.rs`), batches and `Idempotency-Key`s (here). Everything that has a present value is
//! read when it is asked for (`state.rs`, `process.rs`), except the numbers of rows, which a task measures from time to time
//! (`rows.rs`). The store and the crate `keystone-auth` do not know Prometheus: they report events to an observer.
//!
//! Every label has few values. None comes from a client, and none is a project. `server/metrics.rs` is the listener.

mod database;
mod keystone;
mod process;
mod reloads;
mod requests;
pub mod rows;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use freezer_store::StoreObserver;
use freezer_store::maintenance::TableRows;
use keystone_auth::KeystoneObserver;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use reloads::Reloads;
pub use requests::{InFlight, RequestMetrics};

use crate::app::App;

/// The type of the answer.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Prefix of the names of all metrics, except those of the process.
const PREFIX: &str = "freezer";

/// Bounds of times in seconds. A request may take 30 seconds by default.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Bounds of the number of items in a batch.
const BATCH_SIZES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];

/// Labels whose values are known when the program is compiled.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// LabelledCounters with labels.
type LabelledCounters<const N: usize> = Family<Labels<N>, Counter>;

/// Histograms with labels.
type Histograms<const N: usize> = Family<Labels<N>, Histogram>;

fn times<const N: usize>() -> Histograms<N> {
    Family::new_with_constructor(|| Histogram::new(SECONDS))
}

/// The metrics of the service. Clones are the same metrics.
#[derive(Clone)]
pub struct Metrics(Arc<MetricParts>);

struct MetricParts {
    registry: Registry,
    requests: RequestMetrics,
    database: Arc<database::DatabaseMetrics>,
    keystone: Arc<keystone::KeystoneMetrics>,
    policy: Reloads,
    configuration: Reloads,
    batches: Histograms<1>,
    keys: LabelledCounters<1>,
    connections: Gauge,
    rows: Mutex<rows::RowMeasurements>,
}

/// The queues of requests that share a statement or a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchQueue {
    /// Actions of sessions.
    SessionActions,
    /// Reports of backups.
    Backups,
    /// Single jobs.
    Jobs,
    /// Polls of schedulers.
    Polls,
}

/// The result of a request with an `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// It was the first one with its key, and was carried out.
    CarriedOut,
    /// It got the stored answer.
    Replayed,
    /// Its key belongs to another request.
    OtherRequest,
    /// A request with its key was in progress.
    UnderWay,
    /// The database did not answer.
    Failed,
    /// The table of keys is missing, so the key had no effect.
    WithoutTable,
}

impl BatchQueue {
    const ALL: [BatchQueue; 4] =
        [BatchQueue::SessionActions, BatchQueue::Backups, BatchQueue::Jobs, BatchQueue::Polls];

    fn name(self) -> &'static str {
        match self {
            BatchQueue::SessionActions => "session_actions",
            BatchQueue::Backups => "backups",
            BatchQueue::Jobs => "jobs",
            BatchQueue::Polls => "polls",
        }
    }
}

impl KeyUse {
    const ALL: [KeyUse; 6] = [
        KeyUse::CarriedOut,
        KeyUse::Replayed,
        KeyUse::OtherRequest,
        KeyUse::UnderWay,
        KeyUse::Failed,
        KeyUse::WithoutTable,
    ];

    fn name(self) -> &'static str {
        match self {
            KeyUse::CarriedOut => "carried_out",
            KeyUse::Replayed => "replayed",
            KeyUse::OtherRequest => "other_request",
            KeyUse::UnderWay => "under_way",
            KeyUse::Failed => "failed",
            KeyUse::WithoutTable => "without_table",
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::with_prefix(PREFIX);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running release", build);
        let requests = RequestMetrics::registered(&mut registry);
        let connections = Gauge::default();
        registry.register("http_connections", "Open connections of clients", connections.clone());
        let batches: Histograms<1> = Family::new_with_constructor(|| Histogram::new(BATCH_SIZES));
        registry.register("batch_size", "Requests that shared a statement or a transaction", batches.clone());
        let keys = LabelledCounters::default();
        registry.register(
            "idempotency_requests",
            "Requests with an Idempotency-Key, by result",
            keys.clone(),
        );
        for queue in BatchQueue::ALL {
            batches.get_or_create_owned(&[("queue", queue.name())]);
        }
        for key in KeyUse::ALL {
            keys.get_or_create_owned(&[("result", key.name())]);
        }
        let database = Arc::new(database::DatabaseMetrics::registered(&mut registry));
        let keystone = Arc::new(keystone::KeystoneMetrics::registered(&mut registry));
        let policy = Reloads::registered(&mut registry, "policy", "policy files");
        let configuration = Reloads::registered(&mut registry, "config", "configuration");
        let rows = Mutex::default();
        Metrics(Arc::new(MetricParts {
            registry,
            requests,
            database,
            keystone,
            policy,
            configuration,
            batches,
            keys,
            connections,
            rows,
        }))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Returns the metrics of requests.
    pub fn requests(&self) -> &RequestMetrics {
        &self.0.requests
    }

    /// Returns the observer of the store.
    pub fn of_store(&self) -> Arc<dyn StoreObserver> {
        self.0.database.clone()
    }

    /// Returns the observer of the calls to Keystone.
    pub fn of_keystone(&self) -> Arc<dyn KeystoneObserver> {
        self.0.keystone.clone()
    }

    /// Returns the metrics of policy reloads.
    pub fn policy_reloads(&self) -> &Reloads {
        &self.0.policy
    }

    /// Returns the metrics of reloads of the configuration.
    pub fn configuration_reloads(&self) -> &Reloads {
        &self.0.configuration
    }

    /// Returns the histogram of the sizes of batches.
    pub fn batch_sizes(&self, queue: BatchQueue) -> Histogram {
        self.0.batches.get_or_create_owned(&[("queue", queue.name())])
    }

    /// Counts a request with an `Idempotency-Key`.
    pub fn count_key(&self, key: KeyUse) {
        self.0.keys.get_or_create(&[("result", key.name())]).inc();
    }

    /// Returns the number of open connections of clients, for the server to change.
    pub fn connections(&self) -> Gauge {
        self.0.connections.clone()
    }

    /// Keeps the result of a measurement of rows. `None`: it failed.
    pub fn set_rows(&self, found: Option<Vec<TableRows>>, now: i64) {
        self.rows().add(found, now);
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, rows::RowMeasurements> {
        self.0.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the present metrics of the service as OpenMetrics text.
///
/// # Errors
/// If the text cannot be written. This is a defect.
pub fn text(app: &App) -> Result<String, fmt::Error> {
    let mut text = String::with_capacity(64 << 10);
    let metrics = &app.metrics;
    encode_registry(&mut text, &metrics.0.registry)?;
    encode_registry(&mut text, &state::registry(app, &metrics.rows()))?;
    encode_registry(&mut text, &process::registry())?;
    encode_eof(&mut text)?;
    Ok(text)
}
